/**
 * What a worker tells of one sampled request: enough for a server span, and a client span when a target was tried. Plain data of bounded size;
 * what it becomes on the wire is observe/otlp-encode.ts's affair. Times are Unix milliseconds, with fractions.
 */
export interface SpanRecord {
  /** 32 hexadecimal digits, lower case; the others 16. */
  readonly trace: string;
  readonly span: string;
  /** The caller's span; '' where the trace begins here. */
  readonly parent: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly listener: string;
  /** '' when no route was found. */
  readonly route: string;
  readonly method: string;
  readonly scheme: string;
  /** Host the client asked for, with its port if it named one. */
  readonly authority: string;
  /** Without the query. */
  readonly path: string;
  /** HTTP/1.x of the client. */
  readonly minor: number;
  /** What the client got; 0: no answer went out. */
  readonly status: number;
  /** The client, as far as trust reaches, and who connected. */
  readonly client: string;
  readonly peer: string;
  /** `1.3`; '' without TLS. */
  readonly tls: string;
  /** Sent to the client, heads and framing included, before encryption. */
  readonly bytes: number;
  /** A code of base/faults.ts, or 0. */
  readonly fault: number;
  /** Null: the request went to no target. */
  readonly upstream: UpstreamRecord | null;
}

/** The way to a target and back. */
export interface UpstreamRecord {
  /** What `traceparent` names to the server. */
  readonly span: string;
  readonly target: string;
  /** On a kept-alive connection. */
  readonly reused: boolean;
  /** Times it was sent again because a kept-alive connection had died. */
  readonly resends: number;
  readonly startMs: number;
  /** 0: it did not come that far, or (of a connection) it stood already. */
  readonly connectedMs: number;
  readonly firstByteMs: number;
  readonly endMs: number;
  /** What the server answered; 0: nothing. */
  readonly status: number;
}

/** Bounds of a record's texts, so that SPANS_PER_FRAME of them fit into a frame. Characters. */
export const SPAN_PATH_MAX = 512;
export const SPAN_AUTHORITY_MAX = 260;
export const SPAN_TARGET_MAX = 280;
export const SPAN_NAME_MAX = 80;
/** Records in one message to the supervisor: even the largest stay below what it takes in one frame. */
export const SPANS_PER_FRAME = 16;

/** Spans that the records are in OTLP: the unit of all counters. */
export function spanCount(records: readonly SpanRecord[]): number {
  let count = 0;
  for (const { upstream } of records) count += upstream === null ? 1 : 2;
  return count;
}
