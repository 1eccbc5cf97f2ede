/**
 * The access log: one JSON line for each request. What the request said is copied when it is read, because its bytes are gone when the
 * response ends; the line is put together then.
 *
 * Keys: time, client, method, host, path, userAgent, referer, status, bytes, durationMs, upstream, tls, cipher, sni, requestId, and
 * `reason` where Tollgate itself refused or failed. Values longer than their bound are cut.
 */
import { ClockText } from './clock-text.ts';
import type { LogWriter } from './log-writer.ts';
import { writeDecimal, writeJsonBytes, writePadded } from './text.ts';

// Source bytes of a value that are kept. Escaped, a byte may take six: the sum stays under a line's bound.
const METHOD_BYTES_MAX = 32;
const HOST_BYTES_MAX = 128;
const PATH_BYTES_MAX = 512;
const AGENT_BYTES_MAX = 160;
const REFERER_BYTES_MAX = 128;
const FRAGMENT_BYTES = 6 * (METHOD_BYTES_MAX + HOST_BYTES_MAX + PATH_BYTES_MAX + AGENT_BYTES_MAX + REFERER_BYTES_MAX) + 64;

/** What a line is made of. An exchange owns one; pooled with it. */
export class AccessRecord {
  /** The part that the request's bytes gave, ready for the line. */
  readonly fragment = Buffer.from(new ArrayBuffer(FRAGMENT_BYTES));
  fragmentBytes = 0;
  /** 32 hexadecimal digits. */
  readonly requestId = new Uint8Array(32);
  startMs = 0;
  status = 0;
  /** Body and head bytes sent to the client. */
  bytes = 0;
  /** `,"upstream":"…"`, or empty. */
  upstream = '';
  /** `,"reason":"…"`, or empty. */
  reason = '';

  reset(startMs: number): void {
    this.fragmentBytes = 0;
    this.startMs = startMs;
    this.status = 0;
    this.bytes = 0;
    this.upstream = '';
    this.reason = '';
  }

  /** Copies a request's own words out of `source`. Ranges are [start, end); an empty range leaves its key out. */
  keepRequest(
    source: Uint8Array,
    methodStart: number,
    methodEnd: number,
    hostStart: number,
    hostEnd: number,
    pathStart: number,
    pathEnd: number,
  ): void {
    const to = this.fragment;
    let at = to.latin1Write(',"method":"', 0);
    at = writeJsonBytes(to, at, source, methodStart, methodEnd, METHOD_BYTES_MAX);
    at += to.latin1Write('","host":"', at);
    at = writeJsonBytes(to, at, source, hostStart, hostEnd, HOST_BYTES_MAX);
    at += to.latin1Write('","path":"', at);
    at = writeJsonBytes(to, at, source, pathStart, pathEnd, PATH_BYTES_MAX);
    to[at] = 0x22;
    this.fragmentBytes = at + 1;
  }

  keepUserAgent(source: Uint8Array, start: number, end: number): void {
    this.#keepValue(',"userAgent":"', source, start, end, AGENT_BYTES_MAX);
  }

  keepReferer(source: Uint8Array, start: number, end: number): void {
    this.#keepValue(',"referer":"', source, start, end, REFERER_BYTES_MAX);
  }

  #keepValue(key: string, source: Uint8Array, start: number, end: number, max: number): void {
    const to = this.fragment;
    // A field sent twice would be kept twice: the fragment has room for each key once.
    if (this.fragmentBytes + key.length + 6 * max + 1 > FRAGMENT_BYTES) return;
    let at = this.fragmentBytes + to.latin1Write(key, this.fragmentBytes);
    at = writeJsonBytes(to, at, source, start, end, max);
    to[at] = 0x22;
    this.fragmentBytes = at + 1;
  }
}

export class AccessLog {
  readonly #writer: LogWriter;
  readonly #clock = new ClockText();

  constructor(writer: LogWriter) {
    this.#writer = writer;
  }

  /**
   * Writes the line of `record`. `connection` is what all requests of a connection share, made once: `,"client":"…","tls":"…"…`.
   * `nowMs` is on the clock `startMs` was read from; `unixMs` is the wall clock's.
   */
  write(record: AccessRecord, connection: string, nowMs: number, unixMs: number): void {
    const batch = this.#writer.reserve();
    if (batch === null) return;
    const to = batch.bytes;
    let at = batch.at;
    at += to.latin1Write('{"time":"', at);
    at = this.#clock.write(to, at, unixMs);
    to[at++] = 0x22;
    at += to.latin1Write(connection, at);
    record.fragment.copy(to, at, 0, record.fragmentBytes);
    at += record.fragmentBytes;
    at += to.latin1Write(',"status":', at);
    at = writeDecimal(to, at, record.status);
    at += to.latin1Write(',"bytes":', at);
    at = writeDecimal(to, at, record.bytes);
    at += to.latin1Write(',"durationMs":', at);
    const us = Math.max(0, Math.round((nowMs - record.startMs) * 1_000));
    const ms = Math.floor(us / 1_000);
    at = writeDecimal(to, at, ms);
    to[at] = 0x2e;
    at = writePadded(to, at + 1, us - ms * 1_000, 3);
    if (record.upstream !== '') at += to.latin1Write(record.upstream, at);
    if (record.reason !== '') at += to.latin1Write(record.reason, at);
    at += to.latin1Write(',"requestId":"', at);
    for (let i = 0; i < 32; i++) to[at + i] = record.requestId[i]!;
    at += 32;
    at += to.latin1Write('"}\n', at);
    this.#writer.commit(batch, at);
  }
}
