/**
 * Prometheus text, made from the shared table: a scrape asks no worker anything. Names and help are plan/counters.ts's; cardinality is
 * bounded by the configuration (targets, workers) and by our own tables (faults).
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { FAULTS } from '../base/faults.ts';
import {
  C_DURATION,
  C_DURATION_SUM_S,
  C_FAULTS,
  COUNTERS,
  DURATION_BOUNDS_S,
  T_BYTES_IN,
  T_BYTES_OUT,
  T_CONNECTS,
  T_FAILURES,
  T_FIRST_BYTE_S,
  T_IN_FLIGHT,
  T_REQUESTS,
} from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import { monotonicS, S_HEARTBEAT_S, type SharedTable } from '../plan/table.ts';

export interface MetricsSource {
  readonly plan: Plan;
  readonly table: SharedTable;
  readonly version: string;
  readonly startedMs: number;
  /** How often configurations came to run, and did not; Unix time of the last that did, milliseconds. */
  readonly changes: { readonly applied: number; readonly refused: number; readonly lastAppliedMs: number };
  readonly workers: readonly {
    readonly slot: number;
    /** In the table; null: nobody sits there. */
    readonly row: number | null;
    readonly pid: number | null;
    readonly ready: boolean;
    readonly restarts: number;
  }[];
}

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

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
  {
    place: T_FIRST_BYTE_S,
    name: 'tollgate_target_first_byte_seconds_total',
    help: 'Time from request to response head, summed.',
    kind: 'counter',
  },
  { place: T_BYTES_IN, name: 'tollgate_target_received_bytes_total', help: 'Bytes received from a target.', kind: 'counter' },
  { place: T_BYTES_OUT, name: 'tollgate_target_sent_bytes_total', help: 'Bytes sent to a target.', kind: 'counter' },
];

/** The whole exposition. */
export async function renderMetrics(source: MetricsSource): Promise<string> {
  const text = await fill(source).metrics();
  return `${text}\n${durationText(source.table)}`;
}

/** A counter or gauge, and what it has counted by its labels. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

export interface Histogram {
  readonly name: string;
  readonly help: string;
  /** Upper bounds of the buckets, but for the last, which has none. */
  readonly bounds: readonly number[];
  /** By bucket, each without those below it. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** The same numbers as the exposition's, for whoever puts them another way. */
export async function collectMetrics(
  source: MetricsSource,
): Promise<{ readonly metrics: readonly Metric[]; readonly durations: Histogram }> {
  const metrics = (await fill(source).getMetricsAsJSON()).map(({ name, help, type, values }): Metric => {
    const samples = values.map(({ labels, value }) => ({
      labels: Object.fromEntries(Object.entries(labels).map(([label, text]) => [label, String(text)])),
      value,
    }));
    return { name, help, kind: String(type) === 'counter' ? 'counter' : 'gauge', samples };
  });
  return { metrics, durations: durationsOf(source.table) };
}

function fill(source: MetricsSource): Registry {
  const registry = new Registry();
  addCounters(registry, source.table);
  addFaults(registry, source.table);
  addTargets(registry, source);
  addWorkers(registry, source);
  addChanges(registry, source);
  return registry;
}

function addCounters(registry: Registry, table: SharedTable): void {
  const made = new Map<string, Counter<string> | Gauge<string>>();
  COUNTERS.forEach((row, place) => {
    let metric = made.get(row.name);
    if (metric === undefined) {
      const labels = { name: row.name, help: row.help, labelNames: Object.keys(row.labels ?? {}), registers: [registry] };
      metric = row.kind === 'gauge' ? new Gauge(labels) : new Counter(labels);
      made.set(row.name, metric);
    }
    // Of "how long at most" the worst worker's tells, not the sum.
    const value = row.name.endsWith('_max') || row.name === 'tollgate_loop_lag_seconds' ? largest(table, place) : table.counter(place);
    metric.inc(row.labels ?? {}, value);
  });
}

function largest(table: SharedTable, place: number): number {
  return Math.max(...table.rows.map((row) => row.counters[place] ?? 0));
}

function addFaults(registry: Registry, table: SharedTable): void {
  const faults = new Counter({
    name: 'tollgate_faults_total',
    help: 'What went wrong, by reason and by whose fault it is.',
    labelNames: ['reason', 'culprit'],
    registers: [registry],
  });
  for (const { code, reason, culprit } of FAULTS) faults.inc({ reason, culprit }, table.counter(C_FAULTS - code));
}

function addTargets(registry: Registry, { plan, table }: MetricsSource): void {
  for (const { place, name, help, kind } of TARGET_METRICS) {
    const labels = { name, help, labelNames: ['upstream', 'target'], registers: [registry] };
    const metric = kind === 'gauge' ? new Gauge(labels) : new Counter(labels);
    for (const upstream of plan.upstreams) {
      for (const target of upstream.targets)
        metric.inc({ upstream: upstream.name, target: target.label }, table.target(target.slot, place));
    }
  }
}

function addWorkers(registry: Registry, { table, workers, version, startedMs }: MetricsSource): void {
  const labelNames = ['worker'];
  const registers = [registry];
  const up = new Gauge({ name: 'tollgate_worker_up', help: 'Whether the worker serves.', labelNames, registers });
  const restarts = new Counter({ name: 'tollgate_worker_restarts_total', help: 'Times the worker was replaced.', labelNames, registers });
  const quiet = new Gauge({
    name: 'tollgate_worker_heartbeat_age_seconds',
    help: 'Time since the loop last turned.',
    labelNames,
    registers,
  });
  for (const worker of workers) {
    const label = { worker: String(worker.slot) };
    up.set(label, worker.ready ? 1 : 0);
    restarts.inc(label, worker.restarts);
    quiet.set(label, worker.row === null ? 0 : Math.max(0, monotonicS() - table.worker(worker.row).state[S_HEARTBEAT_S]!));
  }
  new Gauge({ name: 'tollgate_build_info', help: 'Always 1.', labelNames: ['version', 'node'], registers }).set(
    { version, node: process.version },
    1,
  );
  new Gauge({ name: 'tollgate_start_time_seconds', help: 'Unix time of the start.', registers }).set(startedMs / 1_000);
}

function addChanges(registry: Registry, { plan, changes }: MetricsSource): void {
  const registers = [registry];
  const all = new Counter({
    name: 'tollgate_config_changes_total',
    help: 'Configurations that came to run, and that were refused.',
    labelNames: ['result'],
    registers,
  });
  all.inc({ result: 'applied' }, changes.applied);
  all.inc({ result: 'refused' }, changes.refused);
  const last = new Gauge({ name: 'tollgate_config_last_applied_seconds', help: 'Unix time since when the configuration runs.', registers });
  last.set(changes.lastAppliedMs / 1_000);
  new Gauge({ name: 'tollgate_config_number', help: 'Number of the configuration that runs.', registers }).set(plan.id);
}

function durationsOf(table: SharedTable): Histogram {
  return {
    name: 'tollgate_request_duration_seconds',
    help: 'Time from request head to the last byte of the response.',
    bounds: DURATION_BOUNDS_S,
    counts: Array.from({ length: DURATION_BOUNDS_S.length + 1 }, (_, i) => table.counter(C_DURATION + i)),
    sum: table.counter(C_DURATION_SUM_S),
  };
}

/** prom-client fills histograms by observation; ours come counted. */
function durationText(table: SharedTable): string {
  const { name, help, bounds, counts, sum } = durationsOf(table);
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  let count = 0;
  [...bounds, Number.POSITIVE_INFINITY].forEach((bound, i) => {
    count += counts[i]!;
    lines.push(`${name}_bucket{le="${bound === Number.POSITIVE_INFINITY ? '+Inf' : bound}"} ${count}`);
  });
  lines.push(`${name}_sum ${sum}`, `${name}_count ${count}`, '');
  return lines.join('\n');
}
