/**
 * All that is measured, made from the shared table: whoever asks costs the workers nothing. Names and help of what workers count are
 * plan/counters.ts's. Cardinality is bounded by the configuration (listeners, routes, targets, certificates, workers) and by our own tables
 * (faults, suites, groups): nothing a client says makes a label.
 */
import {
  FAULT_ACCESS_DENIED,
  FAULT_BODY_TOO_LARGE,
  FAULT_CLIENT_CONNECTIONS,
  FAULT_CLIENT_HANDSHAKES,
  FAULT_CLIENT_REQUESTS,
  FAULT_CONNECTIONS_MAX,
  FAULT_HEAD_TOO_LARGE,
  FAULT_HELLO_UNKNOWN_NAME,
  FAULT_REQUEST_BODY_SLOW,
  FAULT_TARGET_TOO_LONG,
  FAULT_TOO_MANY_FIELDS,
  FAULT_UNAUTHORIZED,
  FAULT_VERIFIER_BUSY,
  FAULTS,
  type FaultRow,
  HANDSHAKE_FAULTS,
  SERVER_TLS_FAULTS,
} from '../base/faults.ts';
import {
  C_CPU_S,
  C_DESCRIPTORS_MAX,
  C_DESCRIPTORS_OPEN,
  C_FAULTS,
  C_HEAP_BYTES,
  C_REFUSED_BY_SERVER,
  C_RSS_BYTES,
  COUNTERS,
  HISTOGRAMS,
  R_1XX,
  R_SECONDS,
  R_UNANSWERED,
  T_BYTES_IN,
  T_BYTES_OUT,
  T_CONNECTS,
  T_FAILURES,
  T_HANDSHAKE_FAILURES,
  T_HANDSHAKES,
  T_HANDSHAKES_RESUMED,
  T_IDLE,
  T_IN_FLIGHT,
  T_OPEN,
  T_REQUESTS,
  TARGET_BOUNDS_S,
  TH_CONNECT,
  TH_DURATION,
  TH_FIRST_BYTE,
} from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import { monotonicS, ROUTE_NONE, ROUTE_OTHER, S_HEARTBEAT_S, S_STATE, type SharedTable, STATE_EMPTY } from '../plan/table.ts';
import { exposition, type Histogram, type HistogramSeries, type Labels, type Metric } from './exposition.ts';

export interface MetricsSource {
  readonly plan: Plan;
  readonly table: SharedTable;
  readonly version: string;
  readonly startedMs: number;
  /** How often configurations came to run, and did not; Unix time of the last that did, milliseconds. */
  readonly changes: { readonly applied: number; readonly refused: number; readonly lastAppliedMs: number };
  /** What the supervisor's own process takes. */
  readonly self: ProcessView;
  readonly workers: readonly {
    readonly slot: number;
    /** In the table; null: nobody sits there. */
    readonly row: number | null;
    readonly pid: number | null;
    readonly ready: boolean;
    readonly restarts: number;
  }[];
}

export interface ProcessView {
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly cpuS: number;
  readonly descriptors: number;
  /** Most that this process, and each worker, may have open. */
  readonly descriptorsMax: number;
}

/** Certificates that are told of by name: those that expire first. */
const CERTIFICATES_MAX = 1_000;

/** Refusals that are faults, and the rule (of the configuration) behind each. */
const RULES: readonly (readonly [fault: number, rule: string])[] = [
  [FAULT_ACCESS_DENIED, 'access'],
  [FAULT_UNAUTHORIZED, 'password'],
  [FAULT_VERIFIER_BUSY, 'password_checks'],
  [FAULT_CLIENT_CONNECTIONS, 'client_connections'],
  [FAULT_CLIENT_HANDSHAKES, 'client_handshakes'],
  [FAULT_CLIENT_REQUESTS, 'client_requests'],
  [FAULT_CONNECTIONS_MAX, 'connections'],
  [FAULT_HELLO_UNKNOWN_NAME, 'unknown_name'],
  [FAULT_HEAD_TOO_LARGE, 'head'],
  [FAULT_TOO_MANY_FIELDS, 'fields'],
  [FAULT_TARGET_TOO_LONG, 'target'],
  [FAULT_BODY_TOO_LARGE, 'request_body'],
  [FAULT_REQUEST_BODY_SLOW, 'minimum_rate'],
];

const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'];

/** The whole exposition. */
export function renderMetrics(source: MetricsSource): string {
  return exposition(collectMetrics(source));
}

/** The same numbers, for whoever puts them another way. */
export function collectMetrics(source: MetricsSource): (Metric | Histogram)[] {
  return [
    ...counters(source.table),
    ...faults(source.table),
    ...HISTOGRAMS.map(({ name, help, at, bounds }): Histogram => {
      const places = Array.from({ length: bounds.length + 2 }, (_, place) => source.table.counter(at + place));
      return { kind: 'histogram', name, help, labels: [], bounds, series: [seriesOf({}, places)] };
    }),
    ...routes(source),
    ...targets(source),
    ...workers(source),
    ...processes(source),
    ...certificates(source.plan),
    ...changes(source),
  ];
}

/** Places of a histogram: buckets, then the sum. */
function seriesOf(labels: Labels, places: readonly number[]): HistogramSeries {
  return { labels, counts: places.slice(0, -1), sum: places.at(-1)! };
}

function counters(table: SharedTable): Metric[] {
  const made = new Map<string, Metric & { readonly samples: { labels: Labels; value: number }[] }>();
  COUNTERS.forEach(({ name, help, kind, labels = {}, perProcess }, place) => {
    if (perProcess === true) return;
    const metric = made.get(name) ?? { kind, name, help, labels: Object.keys(labels), samples: [] };
    made.set(name, metric);
    metric.samples.push({ labels, value: table.counter(place) });
  });
  const refused = made.get(COUNTERS[C_REFUSED_BY_SERVER]!.name)!;
  for (const [fault, rule] of RULES) refused.samples.push({ labels: { rule }, value: table.counter(C_FAULTS - fault) });
  return [...made.values()];
}

function faults(table: SharedTable): Metric[] {
  const samples = (rows: readonly FaultRow[]): Metric['samples'] =>
    rows.map(({ code, reason, culprit }) => ({ labels: { reason, culprit }, value: table.counter(C_FAULTS - code) }));
  const labels = ['reason', 'culprit'];
  return [
    {
      kind: 'counter',
      name: 'tollgate_faults_total',
      help: 'What went wrong, by reason and by whose fault it is.',
      labels,
      samples: samples(FAULTS),
    },
    {
      kind: 'counter',
      name: 'tollgate_handshake_failures_total',
      help: 'TLS handshakes that failed, by reason and by whose fault it is: those of the faults that end a handshake.',
      labels,
      samples: samples(HANDSHAKE_FAULTS),
    },
    {
      kind: 'counter',
      name: 'tollgate_server_tls_failures_total',
      help: 'Requests and connections that TLS towards a server failed, by reason.',
      labels: ['reason'],
      samples: SERVER_TLS_FAULTS.map(({ code, reason }) => ({ labels: { reason }, value: table.counter(C_FAULTS - code) })),
    },
  ];
}

/** Places of routes, each with its labels, once: routes beyond what is counted share one. */
function routePlaces(plan: Plan): Map<number, Labels> {
  const places = new Map<number, Labels>();
  for (const { name, routes } of plan.listeners) {
    for (const route of routes) {
      places.set(route.slot, route.slot === ROUTE_OTHER ? { listener: '', route: 'other' } : { listener: name, route: route.name });
    }
  }
  places.set(ROUTE_NONE, { listener: '', route: '' });
  return places;
}

function routes({ plan, table }: MetricsSource): Metric[] {
  const places = [...routePlaces(plan)];
  const labels = ['listener', 'route'];
  const one = (name: string, help: string, place: number): Metric => ({
    kind: 'counter',
    name,
    help,
    labels,
    samples: places.map(([slot, own]) => ({ labels: own, value: table.route(slot, place) })),
  });
  return [
    {
      kind: 'counter',
      name: 'tollgate_route_responses_total',
      help: 'Response heads sent to clients, by route; an empty one: of requests that met no route.',
      labels: [...labels, 'class'],
      samples: places.flatMap(([slot, own]) =>
        STATUS_CLASSES.map((name, i) => ({ labels: { ...own, class: name }, value: table.route(slot, R_1XX + i) })),
      ),
    },
    one('tollgate_route_unanswered_total', 'Requests that ended before they had an answer, by route.', R_UNANSWERED),
    one('tollgate_route_request_seconds_total', 'Time from request head to the last byte of the response, summed, by route.', R_SECONDS),
  ];
}

const TARGET_METRICS: readonly {
  readonly place: number;
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
}[] = [
  { place: T_IN_FLIGHT, name: 'tollgate_target_requests_open', help: 'Requests under way at a target.', kind: 'gauge' },
  { place: T_REQUESTS, name: 'tollgate_target_requests_total', help: 'Requests sent to a target.', kind: 'counter' },
  { place: T_FAILURES, name: 'tollgate_target_failures_total', help: 'Requests a target failed.', kind: 'counter' },
  { place: T_CONNECTS, name: 'tollgate_target_connects_total', help: 'Connections begun to a target.', kind: 'counter' },
  { place: T_OPEN, name: 'tollgate_target_connections_open', help: 'Connections to a target open now.', kind: 'gauge' },
  { place: T_IDLE, name: 'tollgate_target_idle_connections', help: 'Kept-alive connections to a target waiting for use.', kind: 'gauge' },
  { place: T_BYTES_IN, name: 'tollgate_target_received_bytes_total', help: 'Bytes received from a target.', kind: 'counter' },
  { place: T_BYTES_OUT, name: 'tollgate_target_sent_bytes_total', help: 'Bytes sent to a target.', kind: 'counter' },
  {
    place: T_HANDSHAKE_FAILURES,
    name: 'tollgate_target_handshake_failures_total',
    help: 'TLS handshakes with a target that came to nothing, and those that it refused behind their end.',
    kind: 'counter',
  },
];

const TARGET_HISTOGRAMS: readonly { readonly at: number; readonly name: string; readonly help: string }[] = [
  { at: TH_CONNECT, name: 'tollgate_target_connect_seconds', help: 'Time to connect to a target, where that came about.' },
  { at: TH_FIRST_BYTE, name: 'tollgate_target_first_byte_seconds', help: 'Time from a request to the head of the response of a target.' },
  {
    at: TH_DURATION,
    name: 'tollgate_target_duration_seconds',
    help: 'Time from a request to the last byte of the response of a target, or to its failure.',
  },
];

function targets({ plan, table }: MetricsSource): (Metric | Histogram)[] {
  // The same server may stand in an upstream twice: it has two places, and one label.
  const slots = new Map<string, { readonly labels: Labels; readonly slots: number[] }>();
  for (const upstream of plan.upstreams) {
    for (const { label, slot } of upstream.targets) {
      const key = `${upstream.name}\0${label}`;
      const known = slots.get(key);
      if (known === undefined) slots.set(key, { labels: { upstream: upstream.name, target: label }, slots: [slot] });
      else known.slots.push(slot);
    }
  }
  const all = [...slots.values()];
  const sum = (of: readonly number[], read: (slot: number) => number): number => of.reduce((total, slot) => total + read(slot), 0);
  const labels = ['upstream', 'target'];
  return [
    handshakes(all.map((each) => ({ labels: each.labels, read: (place) => sum(each.slots, (slot) => table.target(slot, place)) }))),
    ...TARGET_METRICS.map(({ place, name, help, kind }): Metric => {
      const samples = all.map((each) => ({ labels: each.labels, value: sum(each.slots, (slot) => table.target(slot, place)) }));
      return { kind, name, help, labels, samples };
    }),
    ...TARGET_HISTOGRAMS.map(({ at, name, help }): Histogram => {
      const series = all.map((each) => {
        const places = each.slots.map((slot) => table.targetHistogram(slot, at, TARGET_BOUNDS_S.length + 2));
        return seriesOf(
          each.labels,
          places.reduce((sums, more) => sums.map((value, place) => value + more[place]!)),
        );
      });
      return { kind: 'histogram', name, help, labels, bounds: TARGET_BOUNDS_S, series };
    }),
  ];
}

function handshakes(targets: readonly { readonly labels: Labels; readonly read: (place: number) => number }[]): Metric {
  return {
    kind: 'counter',
    name: 'tollgate_target_handshakes_total',
    help: 'TLS handshakes with a target that were finished.',
    labels: ['upstream', 'target', 'resumed'],
    samples: targets.flatMap(({ labels, read }) => [
      { labels: { ...labels, resumed: 'false' }, value: read(T_HANDSHAKES) },
      { labels: { ...labels, resumed: 'true' }, value: read(T_HANDSHAKES_RESUMED) },
    ]),
  };
}

function workers({ table, workers: all }: MetricsSource): Metric[] {
  const labels = ['worker'];
  const metric = (kind: Metric['kind'], name: string, help: string, value: (worker: (typeof all)[number]) => number): Metric => ({
    kind,
    name,
    help,
    labels,
    samples: all.map((worker) => ({ labels: { worker: String(worker.slot) }, value: value(worker) })),
  });
  return [
    metric('gauge', 'tollgate_worker_up', 'Whether the worker serves.', ({ ready }) => (ready ? 1 : 0)),
    metric('counter', 'tollgate_worker_restarts_total', 'Times the worker was replaced.', ({ restarts }) => restarts),
    metric('gauge', 'tollgate_worker_heartbeat_age_seconds', 'Time since the loop last turned.', ({ row }) =>
      row === null ? 0 : Math.max(0, monotonicS() - table.worker(row).state[S_HEARTBEAT_S]!),
    ),
  ];
}

/** The supervisor, each worker by its number, and workers of an earlier program or number that finish what they have, together. */
function processes({ table, workers: all, self }: MetricsSource): Metric[] {
  const seated = new Set(all.flatMap(({ row }) => row ?? []));
  const finishing: number[] = [];
  for (let row = 0; row < table.workers; row++) {
    if (!seated.has(row) && table.worker(row).state[S_STATE] !== STATE_EMPTY) finishing.push(row);
  }
  const rows: [process: string, rows: readonly number[]][] = all.flatMap(({ slot, row }) => (row === null ? [] : [[String(slot), [row]]]));
  if (finishing.length > 0) rows.push(['finishing', finishing]);
  const metric = (place: number, own: number): Metric => {
    const { kind, name, help } = COUNTERS[place]!;
    const samples = rows.map(([process, of]) => ({
      labels: { process },
      value: of.reduce((sum, row) => sum + table.worker(row).counters[place]!, 0),
    }));
    return { kind, name, help, labels: ['process'], samples: [{ labels: { process: 'supervisor' }, value: own }, ...samples] };
  };
  return [
    metric(C_RSS_BYTES, self.residentBytes),
    metric(C_HEAP_BYTES, self.heapBytes),
    metric(C_CPU_S, self.cpuS),
    metric(C_DESCRIPTORS_OPEN, self.descriptors),
    metric(C_DESCRIPTORS_MAX, self.descriptorsMax),
  ];
}

function certificates({ certificates: all }: Plan): Metric[] {
  // Several may be named alike: the first to expire is the one to know of.
  const soonest = new Map<string, { readonly labels: Labels; readonly value: number }>();
  for (const { source, names, notAfterMs } of [...all].sort((a, b) => a.notAfterMs - b.notAfterMs)) {
    if (soonest.size === CERTIFICATES_MAX) break;
    const labels = { source, name: names[0] ?? '' };
    const key = `${labels.source}\0${labels.name}`;
    if (!soonest.has(key)) soonest.set(key, { labels, value: notAfterMs / 1_000 });
  }
  return [
    single('gauge', 'tollgate_certificates', 'Certificates in use.', all.length),
    {
      kind: 'gauge',
      name: 'tollgate_certificate_expiry_seconds',
      help: 'Unix time at which a certificate expires, by file and first name; the 1000 that do first.',
      labels: ['source', 'name'],
      samples: [...soonest.values()],
    },
  ];
}

function changes({ plan, changes: { applied, refused, lastAppliedMs }, version, startedMs }: MetricsSource): Metric[] {
  return [
    {
      kind: 'counter',
      name: 'tollgate_config_changes_total',
      help: 'Configurations that came to run, and that were refused.',
      labels: ['result'],
      samples: [
        { labels: { result: 'applied' }, value: applied },
        { labels: { result: 'refused' }, value: refused },
      ],
    },
    single('gauge', 'tollgate_config_last_applied_seconds', 'Unix time since when the configuration runs.', lastAppliedMs / 1_000),
    single('gauge', 'tollgate_config_number', 'Number of the configuration that runs.', plan.id),
    {
      kind: 'gauge',
      name: 'tollgate_build_info',
      help: 'Always 1.',
      labels: ['version', 'node'],
      samples: [{ labels: { version, node: process.version }, value: 1 }],
    },
    single('gauge', 'tollgate_start_time_seconds', 'Unix time of the start.', startedMs / 1_000),
  ];
}

function single(kind: Metric['kind'], name: string, help: string, value: number): Metric {
  return { kind, name, help, labels: [], samples: [{ labels: {}, value }] };
}
