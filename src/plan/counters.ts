/**
 * What a worker counts, as places in its row of the shared table (table.ts). Each is a float64 that one process writes
 * and any process may read: plain stores of eight aligned bytes do not tear, so a scrape costs the workers nothing.
 *
 * Order is layout: append, and raise TABLE_VERSION when anything moves.
 */
import { FAULT_CODES } from '../base/faults.ts';

export type CounterKind = 'counter' | 'gauge';
export interface CounterRow {
  readonly name: string;
  readonly help: string;
  readonly kind: CounterKind;
  readonly labels?: Readonly<Record<string, string>>;
}

let next = 0;
const rows: CounterRow[] = [];
function counter(name: string, help: string, labels?: Readonly<Record<string, string>>, kind: CounterKind = 'counter'): number {
  rows.push(Object.freeze(labels === undefined ? { name, help, kind } : { name, help, kind, labels: Object.freeze(labels) }));
  return next++;
}
function gauge(name: string, help: string): number {
  return counter(name, help, undefined, 'gauge');
}

export const C_CONNECTIONS = counter('tollgate_connections_total', 'Client connections accepted.');
export const C_CONNECTIONS_OPEN = gauge('tollgate_connections_open', 'Client connections open now.');
export const C_HANDSHAKES_TLS12 = counter('tollgate_handshakes_total', 'TLS handshakes finished.', {
  version: 'TLSv1.2',
  resumed: 'false',
});
export const C_HANDSHAKES_TLS12_RESUMED = counter('tollgate_handshakes_total', 'TLS handshakes finished.', {
  version: 'TLSv1.2',
  resumed: 'true',
});
export const C_HANDSHAKES_TLS13 = counter('tollgate_handshakes_total', 'TLS handshakes finished.', {
  version: 'TLSv1.3',
  resumed: 'false',
});
export const C_HANDSHAKES_TLS13_RESUMED = counter('tollgate_handshakes_total', 'TLS handshakes finished.', {
  version: 'TLSv1.3',
  resumed: 'true',
});
export const C_HANDSHAKES_OPEN = gauge('tollgate_handshakes_open', 'TLS handshakes under way.');
export const C_BLINDED_OPEN = gauge('tollgate_blinded_connections', 'Failed connections that wait out a blinding delay.');
export const C_REQUESTS = counter('tollgate_requests_total', 'Requests whose head was read, well-formed or not.');
export const C_REQUESTS_OPEN = gauge('tollgate_requests_open', 'Requests under way.');
export const C_RESPONSES_1XX = counter('tollgate_responses_total', 'Response heads sent to clients.', { class: '1xx' });
export const C_RESPONSES_2XX = counter('tollgate_responses_total', 'Response heads sent to clients.', { class: '2xx' });
export const C_RESPONSES_3XX = counter('tollgate_responses_total', 'Response heads sent to clients.', { class: '3xx' });
export const C_RESPONSES_4XX = counter('tollgate_responses_total', 'Response heads sent to clients.', { class: '4xx' });
export const C_RESPONSES_5XX = counter('tollgate_responses_total', 'Response heads sent to clients.', { class: '5xx' });
export const C_TUNNELS = counter('tollgate_tunnels_total', 'Connections upgraded to a tunnel.');
export const C_BYTES_IN = counter('tollgate_received_bytes_total', 'Decrypted bytes received from clients.');
export const C_BYTES_OUT = counter('tollgate_sent_bytes_total', 'Bytes sent to clients, before encryption.');
export const C_UPSTREAM_CONNECTS = counter('tollgate_upstream_connects_total', 'Connections opened to targets.');
export const C_UPSTREAM_REUSES = counter('tollgate_upstream_reuses_total', 'Requests sent on a kept-alive connection to a target.');
export const C_UPSTREAM_RETRIES = counter(
  'tollgate_upstream_retries_total',
  'Requests sent again because a kept-alive connection had died.',
);
export const C_UPSTREAM_IDLE = gauge('tollgate_upstream_idle_connections', 'Kept-alive connections to targets waiting for use.');
export const C_UPSTREAM_OPEN = gauge('tollgate_upstream_connections_open', 'Connections to targets open now.');
export const C_LOG_LINES = counter('tollgate_log_lines_total', 'Log lines written.');
export const C_LOG_LINES_LOST = counter('tollgate_log_lines_lost_total', 'Log lines dropped because the destination was slow or full.');
export const C_LIMIT_CONNECTIONS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'connections' });
export const C_LIMIT_HANDSHAKES_TURN = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'handshakes_per_turn' });
export const C_LIMIT_TURN_BYTES = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'turn_bytes' });
export const C_LIMIT_BLINDED = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'blinded' });
export const C_LIMIT_DESCRIPTORS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'descriptors' });
export const C_LIMIT_IDLE_POOL = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'upstream_idle' });
export const C_LIMIT_SPARE_SESSIONS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'spare_sessions' });
export const C_TURNS = counter('tollgate_loop_turns_total', 'Turns of the event loop that found work.');
export const C_LOOP_LAG_S = gauge('tollgate_loop_lag_seconds', 'How late the last timer was.');
export const C_GC_COUNT = counter('tollgate_gc_pauses_total', 'Garbage collections.');
export const C_GC_S = counter('tollgate_gc_pause_seconds_total', 'Time spent in garbage collection.');
export const C_GC_MAX_S = gauge('tollgate_gc_pause_seconds_max', 'Longest garbage collection since start.');
export const C_RSS_BYTES = gauge('tollgate_resident_bytes', 'Resident memory.');
export const C_HEAP_BYTES = gauge('tollgate_heap_bytes', 'JavaScript heap in use.');
export const C_DESCRIPTORS_OPEN = gauge('tollgate_descriptors_open', 'Descriptors of connections and listeners open now.');

export const C_LIMIT_COMPRESSORS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'compressors' });
export const C_LIMIT_PASSWORDS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'password_checks' });
export const C_LIMIT_CLIENTS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'client_table' });

export const C_LIMIT_REVOCATION = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'revocation' });

export const C_SPANS = counter('tollgate_spans_total', 'Spans of sampled requests.');
export const C_SPANS_SENT = counter('tollgate_spans_sent_total', 'Spans that the collector took.');
export const C_SPANS_DROPPED_WORKER = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'worker' });
export const C_SPANS_DROPPED_QUEUE = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'queue' });
export const C_SPANS_DROPPED_COLLECTOR = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'collector' });
const FAILURES = 'Requests to the collector that it did not take.';
export const C_EXPORT_FAILURES_TRACES = counter('tollgate_export_failures_total', FAILURES, { signal: 'traces' });
export const C_EXPORT_FAILURES_METRICS = counter('tollgate_export_failures_total', FAILURES, { signal: 'metrics' });

export const C_TLS_FALLBACK = gauge(
  'tollgate_tls_fallback_workers',
  'Workers in which openssl serves in the place of the fast TLS engine, which cannot be loaded.',
);

/** Places of the counters named above. */
export const COUNTERS: readonly CounterRow[] = Object.freeze(rows);
/** Where the counters by fault begin: place `C_FAULTS - code` counts fault `code` (see base/faults.ts). */
export const C_FAULTS = next;
/** Where the buckets of the request duration begin: cumulative counts are made by the reader. */
export const C_DURATION = C_FAULTS + FAULT_CODES;
/** Upper bounds of the request duration's buckets. Seconds; one more bucket takes what is longer. */
export const DURATION_BOUNDS_S: readonly number[] = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]);
/** Place of the sum of request durations, in seconds, behind the buckets. */
export const C_DURATION_SUM_S = C_DURATION + DURATION_BOUNDS_S.length + 1;
export const COUNTER_PLACES = C_DURATION_SUM_S + 1;

// Per target, in a worker's row.
export const T_IN_FLIGHT = 0;
export const T_REQUESTS = 1;
export const T_FAILURES = 2;
export const T_CONNECTS = 3;
/** Seconds from request sent to response head, summed. */
export const T_FIRST_BYTE_S = 4;
export const T_BYTES_IN = 5;
export const T_BYTES_OUT = 6;
export const TARGET_PLACES = 8;
