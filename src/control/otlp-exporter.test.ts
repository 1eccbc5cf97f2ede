import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { SPANS_QUEUED_MAX } from '../base/limits.ts';
import type { MetricsSource } from '../observe/metrics.ts';
import {
  C_EXPORT_FAILURES_METRICS,
  C_EXPORT_FAILURES_TRACES,
  C_REQUESTS,
  C_SPANS_DROPPED_COLLECTOR,
  C_SPANS_DROPPED_QUEUE,
  C_SPANS_SENT,
  H_DURATION,
} from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import type { SpanRecord } from '../plan/span-record.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import { OtlpExporter, type OtlpExporterOptions, type TelemetrySettings } from './otlp-exporter.ts';
import { type Answer, Collector, HANG, TAKE } from './test-collector.ts';

const PLAN = { id: 1, listeners: [], upstreams: [], certificates: [] } as unknown as Plan;
const REFUSE: Answer = (response) => void response.writeHead(400).end();

class Bench {
  readonly table = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1);
  readonly lines: Record<string, unknown>[] = [];
  readonly collector: Collector;
  readonly exporter: OtlpExporter;

  private constructor(collector: Collector, options: Partial<OtlpExporterOptions>) {
    this.collector = collector;
    const log = pino({ base: null }, { write: (line) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) });
    const startedMs = Date.now();
    const source = (): MetricsSource => ({
      plan: PLAN,
      table: this.table,
      version: '1.2.3',
      startedMs,
      changes: { applied: 1, refused: 0, lastAppliedMs: 0 },
      self: { residentBytes: 1, heapBytes: 2, cpuS: 0.5, descriptors: 3, descriptorsMax: 1_024 },
      workers: [],
    });
    this.exporter = new OtlpExporter({ log, source, retryMs: 1, ...options });
  }

  static async open(t: TestContext, answer: Answer = TAKE, options: Partial<OtlpExporterOptions> = {}): Promise<Bench> {
    const bench = new Bench(await Collector.open(answer), options);
    t.after(async () => {
      bench.exporter.hurry();
      await bench.exporter.close();
      await bench.collector.close();
      assert.deepEqual(bench.collector.complaints, []);
    });
    return bench;
  }

  configure(settings: Partial<TelemetrySettings> = {}): void {
    const endpoint = new URL(`http://127.0.0.1:${this.collector.port}`);
    this.exporter.configure({ endpoint, headers: {}, resource: {}, traces: { sample: 1, parentBased: true }, ...settings });
  }

  count(place: number): number {
    return this.table.counter(place);
  }

  /** Waits until as many spans are counted as lost or sent. */
  async settled(spans: number): Promise<void> {
    await this.until(() => this.count(C_SPANS_SENT) + this.count(C_SPANS_DROPPED_COLLECTOR) + this.count(C_SPANS_DROPPED_QUEUE) >= spans);
  }

  async until(condition: () => boolean): Promise<void> {
    const end = Date.now() + 30_000;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`not within 30 s: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function records(count: number, from = 0): SpanRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    trace: (from + i + 1).toString(16).padStart(32, '0'),
    span: (from + i + 1).toString(16).padStart(16, '0'),
    parent: '',
    startMs: 1_750_000_000_000,
    endMs: 1_750_000_000_001,
    listener: 'web',
    route: '',
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: `/${from + i}`,
    minor: 1,
    status: 200,
    client: '::1',
    peer: '::1',
    tls: '',
    bytes: 1,
    fault: 0,
    upstream: null,
  }));
}

test('OtlpExporter sends spans in batches, to the paths of OTLP, with its headers and resource', async (t) => {
  const bench = await Bench.open(t);
  const { collector } = bench;
  bench.configure({
    endpoint: new URL(`http://127.0.0.1:${collector.port}/base/`),
    headers: { Authorization: 'Bearer word' },
    resource: { 'service.name': 'shop', 'deployment.environment.name': 'test' },
  });
  bench.exporter.add(records(1_100));
  await bench.settled(1_100);
  assert.equal(new Set(collector.spans.map(({ traceId }) => traceId)).size, 1_100);
  assert.ok(collector.exports.every(({ spans }) => spans.length <= 512));
  const [first] = collector.exports;
  assert.equal(first!.path, '/base/v1/traces');
  assert.equal(first!.headers.authorization, 'Bearer word');
  assert.equal(first!.resource['service.name'], 'shop');
  assert.equal(first!.resource['service.version'], '1.2.3');
  assert.equal(first!.resource['deployment.environment.name'], 'test');
  assert.equal(bench.count(C_SPANS_SENT), 1_100);
  assert.deepEqual(bench.lines, []);
});

test('OtlpExporter waits as long as a collector says, and sends the same again', async (t) => {
  const statuses = [503, 429];
  const bench = await Bench.open(t, (response, index) => {
    const status = statuses.shift();
    if (status === undefined) TAKE(response, index);
    else response.writeHead(status, { 'retry-after': '1' }).end();
  });
  bench.configure();
  bench.exporter.add(records(3));
  await bench.settled(3);
  const { traces } = bench.collector;
  assert.equal(traces.length, 3);
  for (const again of traces.slice(1)) assert.deepEqual(again.spans, traces[0]!.spans);
  // Never earlier than asked; later is the machine's affair.
  for (const [i, { atMs }] of traces.entries()) if (i > 0) assert.ok(atMs - traces[i - 1]!.atMs >= 990);
  assert.equal(bench.count(C_SPANS_SENT), 3);
  assert.equal(bench.count(C_EXPORT_FAILURES_TRACES), 2);
  assert.deepEqual(
    bench.lines.map(({ msg }) => msg),
    ['the collector does not take telemetry; what cannot wait is dropped', 'the collector takes telemetry again'],
  );
});

test('OtlpExporter gives a batch up after some tries, counts it, and goes on with the next', async (t) => {
  const bench = await Bench.open(t, (response) => void response.writeHead(502).end());
  bench.configure();
  bench.exporter.add(records(2));
  await bench.settled(2);
  assert.equal(bench.collector.traces.length, 5);
  assert.equal(bench.count(C_SPANS_DROPPED_COLLECTOR), 2);
  bench.collector.answer = TAKE;
  bench.exporter.add(records(4, 100));
  await bench.settled(6);
  assert.equal(bench.count(C_SPANS_SENT), 4);
});

test('OtlpExporter sends nothing again that is refused, and counts what was taken in part', async (t) => {
  const bench = await Bench.open(t, REFUSE);
  bench.configure();
  bench.exporter.add(records(2));
  await bench.settled(2);
  assert.equal(bench.collector.traces.length, 1);
  assert.equal(bench.count(C_SPANS_DROPPED_COLLECTOR), 2);
  bench.collector.answer = (response) => void response.end('{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}');
  bench.exporter.add(records(5, 10));
  await bench.settled(7);
  assert.equal(bench.count(C_SPANS_DROPPED_COLLECTOR), 5);
  assert.equal(bench.count(C_SPANS_SENT), 2);
  bench.collector.answer = (response) => void response.end('<html>Please log in</html>');
  bench.exporter.add(records(1, 20));
  await bench.settled(8);
  assert.equal(bench.count(C_SPANS_DROPPED_COLLECTOR), 6);
  assert.deepEqual(
    bench.lines.map(({ reason }) => reason),
    ['status 400'],
    'it is told once',
  );
});

test('OtlpExporter holds a bounded number of spans while a collector hangs, and counts every other', async (t) => {
  const bench = await Bench.open(t, HANG, { postMs: 30_000, closeMs: 50 });
  bench.configure();
  const batch = 512;
  bench.exporter.add(records(batch));
  await bench.collector.until(() => bench.collector.traces.length === 1);
  const more = 100_000;
  for (let sent = 0; sent < more; sent += 16) {
    bench.exporter.add(records(16, batch + sent));
    assert.ok(bench.exporter.queued <= SPANS_QUEUED_MAX);
  }
  assert.equal(bench.exporter.queued, SPANS_QUEUED_MAX);
  assert.equal(bench.count(C_SPANS_DROPPED_QUEUE), more - SPANS_QUEUED_MAX);
  assert.equal(bench.collector.traces.length, 1, 'one batch is under way at a time');
  await bench.exporter.close();
  assert.equal(bench.exporter.queued, 0);
  assert.equal(bench.count(C_SPANS_DROPPED_COLLECTOR), batch + SPANS_QUEUED_MAX);
});

test('OtlpExporter sends what waits when it ends, also what waits for another try', async (t) => {
  const bench = await Bench.open(t, (response) => void response.writeHead(503, { 'retry-after': '300' }).end(), { closeMs: 20_000 });
  bench.configure({ metrics: { interval: 3_600_000 } });
  bench.exporter.add(records(600));
  await bench.until(() => bench.count(C_EXPORT_FAILURES_TRACES) === 1);
  bench.collector.answer = TAKE;
  bench.exporter.add(records(1, 1_000));
  await bench.exporter.close();
  assert.equal(bench.count(C_SPANS_SENT), 601);
  assert.equal(bench.collector.metrics.length, 1, 'the last numbers too');
  bench.exporter.add(records(1, 2_000));
  assert.equal(bench.count(C_SPANS_DROPPED_QUEUE), 1);
});

test('OtlpExporter sends every number that there is, as cumulative metrics, and outlives a failure', async (t) => {
  const bench = await Bench.open(t, REFUSE);
  const [, row] = bench.table.rows;
  row!.counters[C_REQUESTS] = 7;
  row!.counters[H_DURATION.at + 3] = 7;
  bench.configure({ traces: undefined, metrics: { interval: 20 } });
  await bench.collector.until(() => bench.collector.metrics.length === 2);
  assert.ok(bench.count(C_EXPORT_FAILURES_METRICS) >= 1);
  bench.collector.answer = TAKE;
  await bench.collector.until(() => bench.collector.metrics.length === 4);
  const { metrics } = bench.collector.exports.at(-1)!;
  const requests = metrics.get('tollgate_requests_total')!.sum!;
  assert.deepEqual([requests.aggregationTemporality, requests.isMonotonic, requests.dataPoints[0]!.asDouble], [2, true, 7]);
  const durations = metrics.get('tollgate_request_duration_seconds')!.histogram!;
  assert.equal(durations.dataPoints[0]!.count, '7');
  assert.equal(durations.dataPoints[0]!.bucketCounts[3], '7');
  assert.ok(metrics.get('tollgate_connections_open')!.gauge!.dataPoints.length === 1);
  assert.ok(metrics.get('tollgate_faults_total')!.sum!.dataPoints.length > 50);
  assert.equal(bench.collector.traces.length, 0);
});

test('OtlpExporter lets metrics wait as long as a collector says', async (t) => {
  const bench = await Bench.open(t, (response) => void response.writeHead(429, { 'retry-after': '300' }).end());
  bench.configure({ traces: undefined, metrics: { interval: 1 } });
  await bench.collector.until(() => bench.collector.metrics.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(bench.collector.metrics.length, 1);
});

test('OtlpExporter without settings takes nothing, and may be configured anew', async (t) => {
  const bench = await Bench.open(t);
  bench.exporter.add(records(2));
  assert.equal(bench.count(C_SPANS_DROPPED_QUEUE), 2);
  bench.configure();
  bench.exporter.add(records(3));
  bench.configure({ resource: { 'service.name': 'renamed' } });
  await bench.settled(5);
  assert.equal(bench.collector.traces[0]!.resource['service.name'], 'renamed');
  bench.exporter.add(records(1));
  bench.exporter.configure(null);
  assert.equal(bench.exporter.queued, 0);
  assert.equal(bench.count(C_SPANS_DROPPED_QUEUE), 3);
});
