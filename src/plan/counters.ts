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
  /** Told for each process by itself; it ends with the process. */
  readonly perProcess?: true;
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
function ofProcess(name: string, help: string, kind: CounterKind = 'gauge'): number {
  rows.push(Object.freeze({ name, help, kind, perProcess: true }));
  return next++;
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
export const C_RSS_BYTES = ofProcess('tollgate_process_resident_memory_bytes', 'Resident memory of a process.');
export const C_HEAP_BYTES = ofProcess('tollgate_process_heap_bytes', 'JavaScript heap in use in a process.');
export const C_CPU_S = ofProcess('tollgate_process_cpu_seconds_total', 'Processor time, user and system, of a process.', 'counter');
export const C_DESCRIPTORS_OPEN = ofProcess(
  'tollgate_process_open_fds',
  'Open descriptors of a process; of a worker: its connections and listeners.',
);

export const C_LIMIT_COMPRESSORS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'compressors' });
export const C_LIMIT_PASSWORDS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'password_checks' });
export const C_LIMIT_CLIENTS = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'client_table' });
export const C_LIMIT_MEMORY = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'memory' });
export const C_DESCRIPTORS_MAX = ofProcess('tollgate_process_max_fds', 'Descriptors that a process may have open.');

export const C_LIMIT_REVOCATION = counter('tollgate_limit_hits_total', 'Times a bound was hit.', { limit: 'revocation' });

export const C_SPANS = counter('tollgate_spans_total', 'Spans of sampled requests.');
export const C_SPANS_SENT = counter('tollgate_spans_sent_total', 'Spans that the collector took.');
export const C_SPANS_DROPPED_WORKER = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'worker' });
export const C_SPANS_DROPPED_QUEUE = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'queue' });
export const C_SPANS_DROPPED_COLLECTOR = counter('tollgate_spans_dropped_total', 'Spans that were lost.', { at: 'collector' });
const FAILURES = 'Requests to the collector that it did not take.';
export const C_EXPORT_FAILURES_TRACES = counter('tollgate_export_failures_total', FAILURES, { signal: 'traces' });
export const C_EXPORT_FAILURES_METRICS = counter('tollgate_export_failures_total', FAILURES, { signal: 'metrics' });

/** Of what is refused by rule, the only kind that is no fault: the others are counted as such. */
export const C_REFUSED_BY_SERVER = counter(
  'tollgate_refused_total',
  'Connections, handshakes and requests refused, by the rule that did.',
  {
    rule: 'authorization_server',
  },
);

/** Suites that have a place of their own: what our policies allow, and the rest of what servers still meet. IANA. */
const SUITES: readonly (readonly [suite: number, name: string])[] = [
  [0x1301, 'TLS_AES_128_GCM_SHA256'],
  [0x1302, 'TLS_AES_256_GCM_SHA384'],
  [0x1303, 'TLS_CHACHA20_POLY1305_SHA256'],
  [0xc02b, 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'],
  [0xc02c, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'],
  [0xcca9, 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'],
  [0xc02f, 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
  [0xc030, 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'],
  [0xcca8, 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256'],
  [0xc009, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA'],
  [0xc00a, 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA'],
  [0xc023, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256'],
  [0xc024, 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384'],
  [0xc013, 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA'],
  [0xc014, 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA'],
  [0xc027, 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256'],
  [0xc028, 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384'],
  [0x009e, 'TLS_DHE_RSA_WITH_AES_128_GCM_SHA256'],
  [0x009f, 'TLS_DHE_RSA_WITH_AES_256_GCM_SHA384'],
  [0xccaa, 'TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256'],
  [0x009c, 'TLS_RSA_WITH_AES_128_GCM_SHA256'],
  [0x009d, 'TLS_RSA_WITH_AES_256_GCM_SHA384'],
  [0x002f, 'TLS_RSA_WITH_AES_128_CBC_SHA'],
  [0x0035, 'TLS_RSA_WITH_AES_256_CBC_SHA'],
  [0x003c, 'TLS_RSA_WITH_AES_128_CBC_SHA256'],
  [0x003d, 'TLS_RSA_WITH_AES_256_CBC_SHA256'],
];
const SUITE_HELP = 'TLS handshakes finished, by the cipher suite agreed on.';
const suitePlaces = new Map(
  SUITES.map(([suite, name]) => [suite, counter('tollgate_handshakes_by_suite_total', SUITE_HELP, { suite: name })]),
);
const C_SUITE_OTHER = counter('tollgate_handshakes_by_suite_total', SUITE_HELP, { suite: 'other' });

/** Where finished handshakes with `suite`, a number as on the wire, are counted. */
export function suitePlace(suite: number): number {
  return suitePlaces.get(suite) ?? C_SUITE_OTHER;
}

/** Groups that have a place of their own. IANA. */
const GROUPS: readonly (readonly [group: number, name: string])[] = [
  [0x0017, 'secp256r1'],
  [0x0018, 'secp384r1'],
  [0x0019, 'secp521r1'],
  [0x001d, 'x25519'],
  [0x001e, 'x448'],
  [0x11eb, 'SecP256r1MLKEM768'],
  [0x11ec, 'X25519MLKEM768'],
  [0x11ed, 'SecP384r1MLKEM1024'],
  // A session of TLS 1.2 that is resumed, and one whose key RSA carries.
  [0, 'none'],
];
const GROUP_HELP = 'TLS handshakes finished, by the group of the key exchange.';
const groupPlaces = new Map(
  GROUPS.map(([group, name]) => [group, counter('tollgate_handshakes_by_group_total', GROUP_HELP, { group: name })]),
);
const C_GROUP_OTHER = counter('tollgate_handshakes_by_group_total', GROUP_HELP, { group: 'other' });

/** Where finished handshakes with `group`, a number as on the wire, 0 for none, are counted. */
export function groupPlace(group: number): number {
  return groupPlaces.get(group) ?? C_GROUP_OTHER;
}

const TCP = 'Connections carried as they are.';
export const C_TCP_TERMINATED = counter('tollgate_tcp_connections_total', TCP, { tls: 'terminated' });
export const C_TCP_PASSTHROUGH = counter('tollgate_tcp_connections_total', TCP, { tls: 'passthrough' });
export const C_TCP_PLAIN = counter('tollgate_tcp_connections_total', TCP, { tls: 'none' });
export const C_PROXY_HEADERS = counter('tollgate_proxy_headers_total', 'PROXY headers read from proxies in front of us.');
export const C_CONNECT_RETRIES = counter(
  'tollgate_upstream_connect_retries_total',
  'Connections tried at another target when one refused.',
);
export const C_TLS_FALLBACK = gauge(
  'tollgate_tls_fallback_workers',
  'Workers in which openssl serves in the place of the fast TLS engine, which cannot be loaded.',
);

const REPORTED = 'Clients looked at under the policy that only reports.';
export const C_REPORT_SERVED = counter('tollgate_policy_report_total', REPORTED, { verdict: 'served' });
export const C_REPORT_REFUSED = counter('tollgate_policy_report_total', REPORTED, { verdict: 'refused' });

/** Places of the counters named above. */
export const COUNTERS: readonly CounterRow[] = Object.freeze(rows);
/** Where the counters by fault begin: place `C_FAULTS - code` counts fault `code` (see base/faults.ts). */
export const C_FAULTS = next;
next += FAULT_CODES;

/**
 * A histogram in a row: a place for each bucket (without those below it; the reader makes them cumulative), the last for what is above all
 * bounds, then one for the sum.
 */
export interface HistogramRow {
  readonly name: string;
  readonly help: string;
  readonly at: number;
  /** Upper bounds of the buckets, but for the last. Seconds. */
  readonly bounds: readonly number[];
}

function histogram(name: string, help: string, bounds: readonly number[]): HistogramRow {
  const row = { name, help, at: next, bounds: Object.freeze(bounds) };
  next += histogramPlaces(bounds);
  return Object.freeze(row);
}

function histogramPlaces(bounds: readonly number[]): number {
  return bounds.length + 2;
}

/** Counts `value` in the histogram at `places[at]`. */
export function observe(places: Float64Array, at: number, bounds: readonly number[], value: number): void {
  let bucket = 0;
  while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
  places[at + bucket]!++;
  places[at + bounds.length + 1]! += value;
}

export const H_DURATION = histogram(
  'tollgate_request_duration_seconds',
  'Time from request head to the last byte of the response.',
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
);
export const H_HANDSHAKE = histogram(
  'tollgate_handshake_duration_seconds',
  'Time from accept to the end of a handshake that was finished.',
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
);
export const H_LOOP_LAG = histogram(
  'tollgate_loop_lag_seconds',
  'How late the timer of a worker, due every 100 ms, was.',
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
);
export const H_GC = histogram(
  'tollgate_gc_pause_seconds',
  'Pauses of workers for garbage collection.',
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
);
/** Over all connections of a worker. */
export const HISTOGRAMS: readonly HistogramRow[] = Object.freeze([H_DURATION, H_HANDSHAKE, H_LOOP_LAG, H_GC]);
export const COUNTER_PLACES = next;

// Per target, in a worker's row.
export const T_IN_FLIGHT = 0;
export const T_REQUESTS = 1;
export const T_FAILURES = 2;
export const T_CONNECTS = 3;
/** Connections that are open, and of those the ones that wait for use. */
export const T_OPEN = 4;
export const T_IDLE = 5;
export const T_BYTES_IN = 6;
export const T_BYTES_OUT = 7;
/** TLS handshakes that were done, whole ones and those that resumed a session, and that were not; and servers' refusals behind them. */
export const T_HANDSHAKES = 8;
export const T_HANDSHAKES_RESUMED = 9;
export const T_HANDSHAKE_FAILURES = 10;
/** Whole cache lines. */
export const TARGET_PLACES = 16;
/** Those that only describe the process that writes them. */
export const TARGET_GAUGES: ReadonlySet<number> = new Set([T_IN_FLIGHT, T_OPEN, T_IDLE]);

/** Upper bounds of a target's buckets: with the bucket above them and the sum two cache lines. Seconds. */
export const TARGET_BOUNDS_S: readonly number[] = Object.freeze([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]);
const TARGET_HISTOGRAM_PLACES = histogramPlaces(TARGET_BOUNDS_S);
// Histograms of a target, in places of their own: most rows have them for few targets.
export const TH_CONNECT = 0;
export const TH_FIRST_BYTE = TARGET_HISTOGRAM_PLACES;
export const TH_DURATION = 2 * TARGET_HISTOGRAM_PLACES;
export const TARGET_HISTOGRAMS_PLACES = 3 * TARGET_HISTOGRAM_PLACES;

// Per route, in a worker's row. Place `status class - 1` counts its answers.
export const R_1XX = 0;
/** Requests that ended before they had an answer. */
export const R_UNANSWERED = 5;
/** Time of all its requests, from head to the last byte of the response. */
export const R_SECONDS = 6;
export const ROUTE_PLACES = 8;
