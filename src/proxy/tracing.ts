/** Which requests are traced, and where their records go. One per worker and plan. */
import { isSampled, traceNumber } from '../http/trace-context.ts';
import type { TracingPlan } from '../plan/plan.ts';
import type { SpanBuffer } from '../record/span-buffer.ts';

/** Numbers that `traceNumber` may give. */
const TRACE_NUMBERS = 2 ** 32;

export class Tracing {
  readonly spans: SpanBuffer;
  readonly #parentBased: boolean;
  /** Traces whose number lies below are sampled. */
  readonly #below: number;

  constructor(plan: TracingPlan, spans: SpanBuffer) {
    this.spans = spans;
    this.#parentBased = plan.parentBased;
    this.#below = plan.rate * TRACE_NUMBERS;
  }

  /** Whether to trace a request that continues the sound traceparent at `from` of `buf`, or (-1) begins the trace `requestId`. */
  samples(buf: Uint8Array, from: number, requestId: Uint8Array): boolean {
    if (from >= 0 && this.#parentBased) return isSampled(buf, from);
    if (this.#below === 0) return false;
    return this.#below === TRACE_NUMBERS || traceNumber(buf, from, requestId) < this.#below;
  }
}
