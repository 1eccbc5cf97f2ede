/**
 * Sends spans and metrics to an OpenTelemetry collector. Spans wait in a queue of bounded length and go out in batches, one at a time; a batch that
 * is not taken is tried again for a while, then given up. A collector that is gone, slow or confused costs spans, counted, and nothing else.
 * Owns the queue, the batch under way and the timers; what the bytes look like is observe/otlp-encode.ts's affair.
 *
 *   spans:    queue -> batch -> taken | given up (both counted); while a batch is tried again the queue fills, then drops what is new
 *   metrics:  every interval, once: what is lost comes with the next, because everything counts from the start
 */
import { hostname } from 'node:os';
import { SPANS_QUEUED_MAX } from '../base/limits.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../observe/log.ts';
import { collectMetrics, type MetricsSource } from '../observe/metrics.ts';
import { encodeMetrics, encodeSpans, type OtlpSource } from '../observe/otlp-encode.ts';
import {
  C_EXPORT_FAILURES_METRICS,
  C_EXPORT_FAILURES_TRACES,
  C_SPANS_DROPPED_COLLECTOR,
  C_SPANS_DROPPED_QUEUE,
  C_SPANS_SENT,
} from '../plan/counters.ts';
import { type SpanRecord, spanCount } from '../plan/span-record.ts';
import { type PostResult, post } from './otlp-post.ts';

/** Records in one request to the collector. */
const BATCH_MAX = 512;
/** How long a record waits for others. Milliseconds. */
const GATHER_MS = 1_000;
/** One request to the collector, answer included. Milliseconds. */
const POST_MS = 10_000;
/** Times a batch is sent before it is given up. */
const TRIES_MAX = 5;
/** Wait before the second try; doubled each time, up to the last. Milliseconds. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** Shortest wait that a collector may ask for. Milliseconds. */
const RETRY_AFTER_MS_MIN = 100;
/** How long the end of everything waits for what is left to go out. Milliseconds. */
const CLOSE_MS = 3_000;

export type TelemetrySettings = NonNullable<Config['telemetry']>;

export interface OtlpExporterOptions {
  readonly log: Log;
  /** What metrics are made from, and whose row 0 is counted in. */
  readonly source: () => MetricsSource;
  // For tests; each has its default above.
  readonly retryMs?: number;
  readonly postMs?: number;
  readonly closeMs?: number;
}

type Signal = 'traces' | 'metrics';

export class OtlpExporter {
  readonly #options: OtlpExporterOptions;
  #settings: TelemetrySettings | null = null;
  #source: OtlpSource = { resource: {}, version: '' };
  #queue: SpanRecord[] = [];
  #gathering: NodeJS.Timeout | null = null;
  /** The batch under way, and those behind it. */
  #sending: Promise<void> | null = null;
  /** Ends a wait between two tries. */
  #wake: (() => void) | null = null;
  #metricsTimer: NodeJS.Timeout | null = null;
  #metricsSending: Promise<void> | null = null;
  #metricsNotBeforeMs = 0;
  /** What was told to fail, so that it is told once. */
  readonly #failing = new Set<Signal>();
  readonly #abort = new AbortController();
  #closing: Promise<void> | null = null;

  constructor(options: OtlpExporterOptions) {
    this.#options = options;
  }

  /** Records that wait, those of the batch under way left out. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Works by `settings` from now on; null: sends nothing any more. What waits goes out by the new ones. */
  configure(settings: TelemetrySettings | null): void {
    if (this.#closing !== null) return;
    this.#settings = settings;
    const { version } = this.#options.source();
    const own = {
      'service.name': 'tollgate',
      'service.version': version,
      'service.instance.id': `${hostname()}-${process.pid}`,
      'host.name': hostname(),
    };
    this.#source = { resource: { ...own, ...settings?.resource }, version };
    if (settings?.traces === undefined) this.#drop(this.#queue.splice(0), C_SPANS_DROPPED_QUEUE);
    if (this.#metricsTimer !== null) clearInterval(this.#metricsTimer);
    this.#metricsTimer = null;
    this.#metricsNotBeforeMs = 0;
    if (settings?.metrics !== undefined) this.#metricsTimer = setInterval(() => this.#sendMetrics(), settings.metrics.interval);
  }

  /** Takes records of sampled requests: for the next batch, or, where there is no room, for the counter of those that are lost. */
  add(records: readonly SpanRecord[]): void {
    const off = this.#settings?.traces === undefined || this.#closing !== null;
    const room = off ? 0 : SPANS_QUEUED_MAX - this.#queue.length;
    for (const record of records.slice(0, room)) this.#queue.push(record);
    if (records.length > room) this.#drop(records.slice(room), C_SPANS_DROPPED_QUEUE);
    if (this.#queue.length >= BATCH_MAX) this.#send();
    else if (this.#queue.length > 0) this.#gathering ??= setTimeout(() => this.#send(), GATHER_MS);
  }

  #send(): void {
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#gathering = null;
    if (this.#sending !== null || this.#closing !== null) return;
    this.#sending = this.#guarded(this.#sendBatches()).finally(() => {
      this.#sending = null;
      if (this.#queue.length > 0 && this.#closing === null) this.#gathering ??= setTimeout(() => this.#send(), GATHER_MS);
    });
  }

  /** Whole batches, and the first even when it is not. */
  async #sendBatches(): Promise<void> {
    do await this.#deliver(this.#queue.splice(0, BATCH_MAX));
    while (this.#queue.length >= BATCH_MAX && this.#closing === null);
  }

  /** Sends `batch` until it is taken, refused, or was tried often enough. */
  async #deliver(batch: readonly SpanRecord[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const result = await this.#post('traces', encodeSpans(batch, this.#source));
      if (result.kind === 'taken') {
        const spans = spanCount(batch);
        const rejected = Math.min(spans, result.rejected);
        this.#count(C_SPANS_SENT, spans - rejected);
        this.#count(C_SPANS_DROPPED_COLLECTOR, rejected);
        return;
      }
      if (result.kind === 'refused' || tries === TRIES_MAX || this.#closing !== null || this.#settings?.traces === undefined) break;
      const ownMs = Math.min(RETRY_MS_MAX, (this.#options.retryMs ?? RETRY_MS) * 2 ** (tries - 1));
      const waitMs = result.afterMs === null ? ownMs : Math.max(RETRY_AFTER_MS_MIN, result.afterMs);
      // Up to a fifth later: instances that lost their collector together do not come back together.
      await this.#wait(waitMs * (1 + Math.random() / 5));
      if (this.#settings?.traces === undefined) break;
    }
    this.#drop(batch, C_SPANS_DROPPED_COLLECTOR);
  }

  /** A mistake of ours in here is worth a line, not the supervisor. */
  async #guarded(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#options.log.error({ error: error instanceof Error ? error.message : 'unknown error' }, 'telemetry cannot be sent');
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closing !== null) {
        resolve();
        return;
      }
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  #sendMetrics(): void {
    if (this.#metricsSending !== null || performance.now() < this.#metricsNotBeforeMs) return;
    this.#metricsSending = this.#guarded(this.#exportMetrics()).finally(() => {
      this.#metricsSending = null;
    });
  }

  async #exportMetrics(): Promise<void> {
    const source = this.#options.source();
    const body = encodeMetrics(collectMetrics(source), this.#source, source.startedMs, Date.now());
    const result = await this.#post('metrics', body);
    if (result.kind === 'later' && result.afterMs !== null) this.#metricsNotBeforeMs = performance.now() + result.afterMs;
  }

  async #post(signal: Signal, body: string): Promise<PostResult> {
    const { endpoint, headers } = this.#settings!;
    const url = new URL(endpoint);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/${signal}`;
    const result = await post(body, {
      url,
      headers,
      timeoutMs: this.#options.postMs ?? POST_MS,
      signal: this.#abort.signal,
      rejectedName: signal === 'traces' ? 'rejectedSpans' : 'rejectedDataPoints',
    });
    const failed = result.kind !== 'taken' || result.rejected > 0;
    if (failed) this.#count(signal === 'traces' ? C_EXPORT_FAILURES_TRACES : C_EXPORT_FAILURES_METRICS, 1);
    this.#tell(signal, failed, result.why);
    return result;
  }

  /** Once when it begins to fail, and once when it works again. */
  #tell(signal: Signal, failed: boolean, reason: string): void {
    if (failed === this.#failing.has(signal)) return;
    const { origin } = this.#settings!.endpoint;
    if (failed) {
      this.#failing.add(signal);
      this.#options.log.warn({ signal, collector: origin, reason }, 'the collector does not take telemetry; what cannot wait is dropped');
    } else {
      this.#failing.delete(signal);
      this.#options.log.info({ signal, collector: origin }, 'the collector takes telemetry again');
    }
  }

  #drop(records: readonly SpanRecord[], counter: number): void {
    this.#count(counter, spanCount(records));
  }

  #count(place: number, amount: number): void {
    this.#options.source().table.rows[0]!.counters[place]! += amount;
  }

  /** Sends what is left, once, within a bound, and ends. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends a `close` that is under way at once. */
  hurry(): void {
    this.#abort.abort();
  }

  async #close(): Promise<void> {
    // Whoever asks whether it is closing is asked behind this.
    await Promise.resolve();
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    if (this.#metricsTimer !== null) clearInterval(this.#metricsTimer);
    this.#metricsTimer = null;
    const late = setTimeout(() => this.hurry(), this.#options.closeMs ?? CLOSE_MS);
    this.#wake?.();
    await this.#sending;
    while (this.#queue.length > 0) await this.#guarded(this.#deliver(this.#queue.splice(0, BATCH_MAX)));
    await this.#metricsSending;
    if (this.#settings?.metrics !== undefined) await this.#guarded(this.#exportMetrics());
    clearTimeout(late);
  }
}
