import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedMemory } from '../native/shared-memory.ts';
import { type MetricsSource, renderMetrics } from '../observe/metrics.ts';
import { makeStatus, type StatusSource, statusText } from '../observe/status.ts';
import { TargetMeter } from '../observe/target-meter.ts';
import { C_FAULTS, C_REQUESTS, H_DURATION, T_REQUESTS } from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import { makeAdmin } from './admin.ts';

const PLAN: Plan = {
  id: 4,
  listeners: [
    {
      name: 'web',
      address: { family: 4, ip: '192.0.2.1', port: 443 },
      tls: {
        engine: 's2n',
        engineReason: 'the fast one has all that is asked for',
        certificates: [0],
        strict: false,
        alpn: ['http/1.1'],
        compressCertificates: false,
        rules: [
          {
            names: [],
            policy: 'modern@1',
            minVersion: 0x0304,
            requirePostQuantum: false,
            report: null,
            tickets: true,
            ticketLifetimeS: 86_400,
            clients: null,
          },
        ],
      },
      routes: [],
      tcpRoutes: null,
      passthrough: [],
      proxyProtocol: null,
      forwarding: { xForwarded: true, forwarded: false, traceparent: false, trustedProxies: [] },
      errorPages: [],
      access: null,
      hsts: null,
      socket: { backlog: 16, fastOpen: true, deferAccept: true, userTimeoutMs: 0, keepAliveS: 0 },
    },
  ],
  upstreams: [
    {
      name: 'shop',
      balance: 'round-robin',
      targets: [{ label: 'shop "one":8080', addresses: [{ family: 4, ip: '192.0.2.9', port: 8080 }], host: null, weight: 1, slot: 0 }],
      idleMax: 1,
      idleMs: 1,
      connectMs: 1,
      responseHeadMs: 1,
      bodyMs: 1,
      proxyProtocol: null,
      source4: null,
      source6: null,
      tls: null,
    },
  ],
  certificates: [
    {
      fingerprint: 'f',
      chainFingerprint: 'c',
      algorithms: '',
      keyType: 'p256',
      names: ['shop.example'],
      notBeforeMs: 0,
      notAfterMs: Date.now() + 864_000_000,
      source: 'shop.pem',
      chainBlob: 0,
      keyBlob: 1,
    },
  ],
  opensslLibrary: null,
  fastEngineProblem: null,
  timeouts: { handshakeMs: 1, requestHeadMs: 1, bodyMs: 1, idleMs: 1, tunnelMs: 1, closeMs: 1, drainMs: 1 },
  clients: { connections: null, handshakes: null, requests: null, ipv4Prefix: 32, ipv6Prefix: 64, exempt: [] },
  limits: {
    memoryBytesMax: null,
    connectionsMax: 1,
    requestsMax: null,
    minimumRate: 0,
    minimumRateAfterMs: 1,
    headBytesMax: 1,
    fieldsMax: 1,
    targetBytesMax: 1,
  },
  accessLog: null,
  errorLog: { destination: { kind: 'standard' }, format: null, level: 'info', handshakeSuccesses: 0 },
  tracing: null,
};

function source(): StatusSource & MetricsSource {
  const { memory } = createSharedMemory(tableBytes(2));
  return {
    plan: PLAN,
    table: SharedTable.create(memory, 2),
    version: '1.2.3',
    startedMs: 0,
    uptimeS: 3_700,
    draining: false,
    inactive: ['TCP Fast Open: the kernel does not let servers (net.ipv4.tcp_fastopen lacks 2)'],
    rates: { requests: 1_234.5, handshakes: 3.25, handshakeFailures: 0, answers5xx: 0, bytesIn: 100, bytesOut: 3_000_000 },
    trialUntilMs: null,
    keyLog: null,
    revocation: [],
    file: '/etc/tollgate.yaml',
    changes: { applied: 1, refused: 0, lastAppliedMs: 0 },
    self: { residentBytes: 1, heapBytes: 2, cpuS: 0.5, descriptors: 3, descriptorsMax: 1_024 },
    meter: new TargetMeter(),
    finishing: [{ pid: 77, connections: 3 }],
    workers: [
      { slot: 0, row: 0, pid: 4_242, ready: true, restarts: 2 },
      { slot: 1, row: null, pid: null, ready: false, restarts: 0 },
    ],
  };
}

interface Family {
  readonly type: string;
  readonly samples: Map<string, number>;
}

/** Reads the exposition by its own rules: every sample belongs to a family that has HELP and TYPE. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const helped = new Set<string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const help = /^# HELP (\S+) \S/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help !== null) helped.add(help[1]!);
    else if (type !== null) families.set(type[1]!, { type: type[2]!, samples: new Map() });
    else {
      const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (-?[\d.]+(?:e[+-]?\d+)?|\+Inf|NaN)$/.exec(line);
      assert.ok(sample !== null, `not a sample: ${line}`);
      const family = families.get(sample[1]!) ?? families.get(sample[1]!.replace(/_(bucket|sum|count)$/, ''));
      assert.ok(family !== undefined, `a sample of no family: ${line}`);
      family.samples.set(sample[1]! + (sample[2] ?? ''), Number(sample[3]));
    }
  }
  for (const name of families.keys()) assert.ok(helped.has(name), `${name} has no help`);
  return families;
}

test('renderMetrics() is Prometheus text that adds up over workers, labels escaped', () => {
  const from = source();
  from.table.worker(0).counters[C_REQUESTS] = 3;
  from.table.worker(1).counters[C_REQUESTS] = 4;
  from.table.worker(1).counters[C_FAULTS + 20] = 5;
  from.table.worker(0).targets[T_REQUESTS] = 7;
  from.table.worker(0).counters[H_DURATION.at + 2] = 2;
  from.table.worker(0).counters[H_DURATION.at + 15] = 1;
  from.table.worker(0).counters[H_DURATION.at + 16] = 40.5;
  const families = parse(renderMetrics(from));
  assert.equal(families.get('tollgate_requests_total')?.samples.get('tollgate_requests_total'), 7);
  assert.equal(families.get('tollgate_faults_total')?.samples.get('tollgate_faults_total{reason="plain_http",culprit="client"}'), 5);
  assert.equal(
    families
      .get('tollgate_target_requests_total')
      ?.samples.get('tollgate_target_requests_total{upstream="shop",target="shop \\"one\\":8080"}'),
    7,
  );
  assert.equal(families.get('tollgate_worker_up')?.samples.get('tollgate_worker_up{worker="1"}'), 0);
  const duration = families.get('tollgate_request_duration_seconds')!;
  assert.equal(duration.type, 'histogram');
  const buckets = [...duration.samples].filter(([name]) => name.includes('_bucket')).map(([, count]) => count);
  assert.ok(buckets.every((count, i) => i === 0 || count >= buckets[i - 1]!));
  assert.equal(buckets.at(-1), 3);
  assert.equal(duration.samples.get('tollgate_request_duration_seconds_sum'), 40.5);
});

test('renderMetrics() never lets a counter fall when a worker dies', () => {
  const from = source();
  from.table.worker(0).counters[C_REQUESTS] = 3;
  const before = parse(renderMetrics(from)).get('tollgate_requests_total')?.samples.get('tollgate_requests_total');
  from.table.fold(0);
  const after = parse(renderMetrics(from)).get('tollgate_requests_total')?.samples.get('tollgate_requests_total');
  assert.equal(after, before);
});

test('statusText() tells a person what serves, what went wrong, and what is inactive', () => {
  const from = source();
  from.table.worker(0).counters[C_FAULTS + 20] = 5;
  const text = statusText(makeStatus(from)).replace(`pid ${process.pid},`, 'pid PID,');
  assert.equal(
    text,
    `tollgate 1.2.3, pid PID, up 1h 1m
configuration 4 of /etc/tollgate.yaml
connections 0 open, 0 in all; requests 0 open, 0 in all; handshakes 0 full, 0 resumed
a second: 1235 requests, 3.3 handshakes, 0 failed ones, 0 answers 5xx, 100 B in, 2.9 MiB out

LISTENERS
  web  192.0.2.1:443  https  modern@1 (s2n: the fast one has all that is asked for)

UPSTREAMS
  shop  shop "one":8080  0 requests  0 open  0 failed

WORKERS
  0  pid 4242  serves          0 connections  0 MiB  2 restarts
  1  gone      does not serve  0 connections  0 MiB
  -  pid 77  finishes  3 connections

CERTIFICATES
  shop.example  shop.pem  9 days left

WHAT WENT WRONG
  plain_http  5

INACTIVE
  TCP Fast Open: the kernel does not let servers (net.ipv4.tcp_fastopen lacks 2)
`,
  );
});

test('makeAdmin() answers health, readiness, metrics and status, and refuses the rest', async () => {
  let reason: string | null = 'no worker serves';
  const admin = makeAdmin({
    metrics: () => '# nothing\n',
    status: () => makeStatus(source()),
    notReady: () => reason,
  });
  assert.equal((await admin.inject('/healthz')).statusCode, 200);
  const early = await admin.inject('/readyz');
  assert.equal(early.statusCode, 503);
  assert.equal(early.body, 'no worker serves\n');
  reason = null;
  assert.equal((await admin.inject('/readyz')).statusCode, 200);
  assert.match(String((await admin.inject('/metrics')).headers['content-type']), /^text\/plain/);
  assert.equal((await admin.inject('/status')).json().plan, 4);
  assert.equal((await admin.inject('/nope')).statusCode, 404);
  const wrong = await admin.inject({ method: 'POST', url: '/metrics' });
  assert.equal(wrong.statusCode, 405);
  assert.equal(wrong.headers.allow, 'GET, HEAD');
  await admin.close();
});
