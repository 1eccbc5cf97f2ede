/**
 * Records of sampled requests on their way to the supervisor: gathered between two ticks, in bounded number. A supervisor that takes nothing
 * costs records, counted, never requests.
 */
import { SPANS_PENDING_MAX } from '../base/limits.ts';
import { C_SPANS, C_SPANS_DROPPED_WORKER } from '../plan/counters.ts';
import { SPANS_PER_FRAME, type SpanRecord, spanCount } from '../plan/span-record.ts';

export class SpanBuffer {
  readonly #counters: Float64Array;
  #records: SpanRecord[] = [];

  constructor(counters: Float64Array) {
    this.#counters = counters;
  }

  get length(): number {
    return this.#records.length;
  }

  add(record: SpanRecord): void {
    const spans = record.upstream === null ? 1 : 2;
    this.#counters[C_SPANS]! += spans;
    if (this.#records.length >= SPANS_PENDING_MAX) this.#counters[C_SPANS_DROPPED_WORKER]! += spans;
    else this.#records.push(record);
  }

  /** Hands on what there is, SPANS_PER_FRAME at a time, for as long as `take` says that it took them. */
  flush(take: (records: readonly SpanRecord[]) => boolean): void {
    const records = this.#records;
    let at = 0;
    while (at < records.length && take(records.slice(at, at + SPANS_PER_FRAME))) at += SPANS_PER_FRAME;
    if (at > 0) this.#records = records.slice(at);
  }

  /** Nobody will take what is left any more. */
  drop(): void {
    this.#counters[C_SPANS_DROPPED_WORKER]! += spanCount(this.#records);
    this.#records = [];
  }
}
