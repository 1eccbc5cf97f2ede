/** Traces and metrics on the real program, sent to a collector that takes nothing but OTLP to the letter; and collectors that are no good. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Answer, Collector, HANG, TAKE } from '../src/control/test-collector.ts';
import { attributesOf, type OtlpSpan } from '../src/observe/test-otlp.ts';
import { caPath, leaf } from './support/certificates.ts';
import { Client, exchange, plainExchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { residentBytes, Tollgate, until } from './support/tollgate.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const KIND_SERVER = 2;
const KIND_CLIENT = 3;

async function openCollector(t: TestContext, answer: Answer = TAKE): Promise<Collector> {
  const collector = await Collector.open(answer);
  t.after(async () => {
    await collector.close();
    assert.deepEqual(collector.complaints, []);
  });
  return collector;
}

interface Setup {
  /** Inside of `telemetry`; '' leaves it out. */
  readonly telemetry: string;
  readonly origin: number;
  /** Lines of the listener. */
  readonly listener?: string;
  readonly routes?: string;
  readonly upstreams?: string;
  readonly tls?: boolean;
}

function configOf({
  telemetry,
  origin,
  listener = '    traceparent: true',
  routes = '[{ to: origin }]',
  upstreams = '',
  tls = true,
}: Setup): string {
  const { certificate, key } = leaf(['localhost']);
  return `${telemetry === '' ? '' : `telemetry: { ${telemetry} }`}
listeners:
  - name: web
    address: 127.0.0.1:PORT
${tls ? `    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }` : ''}
${listener}
    routes: ${routes}
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
${upstreams}`;
}

function endpoint(port: number): string {
  return `endpoint: "http://127.0.0.1:${port}"`;
}

function get(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`;
}

function traceparent(trace: string, flags: '00' | '01', parent = PARENT): string {
  return `traceparent: 00-${trace}-${parent}-${flags}\r\n`;
}

function pick(spans: readonly OtlpSpan[], kind: number, path: string): OtlpSpan {
  const trace = spans.find((span) => attributesOf(span.attributes)['url.path'] === path)?.traceId;
  const found = spans.filter((span) => span.kind === kind && span.traceId === trace);
  assert.equal(found.length, 1, `one span of kind ${kind} for ${path}`);
  return found[0]!;
}

/** Spans that /metrics accounts for. */
async function accounts(
  tollgate: Tollgate,
): Promise<{ made: number; sent: number; worker: number; queue: number; collector: number; failures: number }> {
  const metrics = await tollgate.metrics();
  const of = (name: string): number => metrics.get(name) ?? Number.NaN;
  return {
    made: of('tollgate_spans_total'),
    sent: of('tollgate_spans_sent_total'),
    worker: of('tollgate_spans_dropped_total{at="worker"}'),
    queue: of('tollgate_spans_dropped_total{at="queue"}'),
    collector: of('tollgate_spans_dropped_total{at="collector"}'),
    failures: of('tollgate_export_failures_total{signal="traces"}'),
  };
}

test('a sampled request is a server span and a client span, and the server is told of the latter', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf({
      telemetry: `${endpoint(collector.port)}, headers: { x-key: word }, traces: { sample: 1 }, resource: { service.name: shop }`,
      origin: origin.port,
    }),
  });
  await exchange(tollgate.port, get('/begun?secret=1'));
  await exchange(tollgate.port, get('/continued', `${traceparent(TRACE, '01')}tracestate: a=b\r\n`));
  await collector.until(() => collector.spans.length === 4);
  const { spans } = collector;
  const [first, second] = origin.requests;

  const begun = pick(spans, KIND_SERVER, '/begun');
  assert.equal(begun.traceId, first!.headers['x-request-id']);
  assert.equal(begun.parentSpanId, undefined);
  assert.equal(begun.name, 'GET web/1');
  assert.equal(begun.status, undefined);
  const told = pick(spans, KIND_CLIENT, '/begun');
  assert.equal(told.parentSpanId, begun.spanId);
  assert.equal(first!.headers.traceparent, `00-${begun.traceId}-${told.spanId}-01`);

  const continued = pick(spans, KIND_SERVER, '/continued');
  assert.deepEqual([continued.traceId, continued.parentSpanId], [TRACE, PARENT]);
  const client = pick(spans, KIND_CLIENT, '/continued');
  assert.equal(second!.headers.traceparent, `00-${TRACE}-${client.spanId}-01`);
  assert.equal(second!.headers.tracestate, 'a=b');
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 4);

  const attributes = attributesOf(begun.attributes);
  const { 'http.response.size': size, ...rest } = attributes;
  assert.ok(Number(size) > 50);
  assert.deepEqual(rest, {
    'http.request.method': 'GET',
    'url.scheme': 'https',
    'url.path': '/begun',
    'server.address': 'localhost',
    'http.response.status_code': '200',
    'client.address': '127.0.0.1',
    'network.peer.address': '127.0.0.1',
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'tls.protocol.name': 'tls',
    'tls.protocol.version': '1.3',
    'tollgate.listener': 'web',
    'tollgate.route': 'web/1',
  });
  const { 'tollgate.connection.reused': reused, ...upstream } = attributesOf(told.attributes);
  assert.equal(reused, false);
  assert.deepEqual(upstream, {
    'http.request.method': 'GET',
    'url.full': `http://127.0.0.1:${origin.port}/begun`,
    'server.address': '127.0.0.1',
    'server.port': String(origin.port),
    'http.response.status_code': '200',
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'tollgate.target': `127.0.0.1:${origin.port}`,
  });
  assert.deepEqual(
    told.events?.map(({ name }) => name),
    ['tollgate.connected', 'tollgate.first_byte'],
  );
  const times = [begun.startTimeUnixNano, told.startTimeUnixNano, ...told.events!.map(({ timeUnixNano }) => timeUnixNano)];
  const ordered = [...times, told.endTimeUnixNano, begun.endTimeUnixNano].map(BigInt);
  for (let i = 1; i < ordered.length; i++) assert.ok(ordered[i]! >= ordered[i - 1]!, `${ordered}`);
  const offMs = Number(ordered[0]! / 1_000_000n) - Date.now();
  assert.ok(Math.abs(offMs) < 3_600_000, 'of this hour');

  assert.equal(pick(spans, KIND_CLIENT, '/continued').events!.length, 1, 'a kept connection stood already');
  assert.equal(attributesOf(client.attributes)['tollgate.connection.reused'], true);
  const [sent] = collector.traces;
  assert.equal(sent!.headers['x-key'], 'word');
  assert.equal(sent!.resource['service.name'], 'shop');
  await until(async () => (await accounts(tollgate)).sent === 4);
});

test('what has no target, or fails, or is no ordinary request, has its span as well', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (request, response) => {
    if (request.url === '/cut') response.writeHead(200, { 'content-length': '100' }).end('x', () => request.socket.destroy());
    else response.writeHead(503).end();
  });
  origin.server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tea\r\n\r\n');
  });
  const auth = await httpOrigin(t, (_request, response) => response.writeHead(204).end());
  const [closed] = [createServer()];
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const nobody = (closed.address() as { port: number }).port;
  await new Promise((resolve) => closed.close(resolve));
  const tollgate = await Tollgate.start(t, {
    config: configOf({
      telemetry: `${endpoint(collector.port)}, traces: { sample: 100% }`,
      origin: origin.port,
      listener: '    traceparent: true\n    trustedProxies: [127.0.0.1]',
      tls: false,
      routes: `
      - { match: { path: /fixed }, respond: { status: 418 } }
      - { match: { path: /gone }, to: gone }
      - { match: { path: /asked }, name: asked, to: origin, forwardAuth: { to: auth } }
      - { match: { path: /deny }, access: { deny: [0.0.0.0/0] }, to: origin }
      - { match: { path: /a/* }, to: origin }
      - { match: { path: /cut }, to: origin }`,
      upstreams: `  - { name: gone, targets: ["127.0.0.1:${nobody}"] }\n  - { name: auth, targets: ["127.0.0.1:${auth.port}"] }\n`,
    }),
  });
  const { port } = tollgate;
  await plainExchange(port, get('/fixed'));
  await plainExchange(port, get('/gone'));
  await plainExchange(port, get('/asked'));
  await plainExchange(port, get('/deny', 'X-Forwarded-For: 203.0.113.9\r\n'));
  await plainExchange(port, get('/nowhere'));
  await plainExchange(port, get('/cut'));
  await plainExchange(port, 'PROPFIND /a/dav HTTP/1.0\r\n\r\n');
  await plainExchange(port, 'GET /a/tea HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: tea\r\n\r\n');
  await collector.until(() => collector.spans.length === 13);
  const { spans } = collector;
  const of = (kind: number, path: string): unknown[] => {
    const { status, attributes } = pick(spans, kind, path);
    const all = attributesOf(attributes);
    return [all['http.response.status_code'] ?? null, all['error.type'] ?? null, status?.code ?? 0];
  };
  assert.deepEqual(of(KIND_SERVER, '/fixed'), ['418', null, 0]);
  assert.deepEqual(of(KIND_SERVER, '/gone'), ['502', 'connect_refused', 2]);
  assert.deepEqual(of(KIND_CLIENT, '/gone'), [null, 'connect_refused', 2]);
  assert.deepEqual(of(KIND_SERVER, '/asked'), ['503', '503', 2]);
  assert.deepEqual(of(KIND_CLIENT, '/asked'), ['503', '503', 2]);
  assert.deepEqual(of(KIND_SERVER, '/deny'), ['403', 'access_denied', 0]);
  assert.deepEqual(of(KIND_SERVER, '/nowhere'), ['404', 'no_route', 0]);
  assert.deepEqual(of(KIND_SERVER, '/cut'), ['200', 'response_truncated', 2]);
  assert.deepEqual(of(KIND_CLIENT, '/cut'), ['200', 'response_truncated', 2]);
  assert.deepEqual(of(KIND_SERVER, '/a/tea'), ['101', null, 0]);
  assert.deepEqual(of(KIND_CLIENT, '/a/tea'), ['101', null, 0]);
  const denied = attributesOf(pick(spans, KIND_SERVER, '/deny').attributes);
  assert.deepEqual([denied['client.address'], denied['network.peer.address']], ['203.0.113.9', '127.0.0.1']);
  const dav = pick(spans, KIND_SERVER, '/a/dav');
  assert.equal(dav.name, 'HTTP web/5');
  const davAttributes = attributesOf(dav.attributes);
  assert.deepEqual(
    [davAttributes['http.request.method'], davAttributes['http.request.method_original'], davAttributes['network.protocol.version']],
    ['_OTHER', 'PROPFIND', '1.0'],
  );
  assert.ok(!Object.hasOwn(davAttributes, 'tls.protocol.version'));
  // What the authorisation server does is part of what we do, not of what we ask the other server.
  const asked = pick(spans, KIND_SERVER, '/asked');
  assert.equal(auth.requests[0]!.headers.traceparent, `00-${asked.traceId}-${asked.spanId}-01`);
});

test('a request that goes out again on another connection is one client span that says so', async (t) => {
  const collector = await openCollector(t);
  const origin = await rawOrigin(t, (socket, index) => {
    let answered = 0;
    socket.on('data', () => {
      // The first connection takes the second request, and dies.
      if (index === 0 && answered++ === 1) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const tollgate = await Tollgate.start(t, {
    config: configOf({ telemetry: `${endpoint(collector.port)}, traces: { sample: 1 }`, origin: origin.port }),
  });
  await exchange(tollgate.port, get('/one'));
  assert.match(await exchange(tollgate.port, get('/two')), /^HTTP\/1\.1 200 /);
  await collector.until(() => collector.spans.length === 4);
  const span = pick(collector.spans, KIND_CLIENT, '/two');
  assert.equal(attributesOf(span.attributes)['http.request.resend_count'], '1');
  assert.equal(attributesOf(span.attributes)['tollgate.connection.reused'], false);
  assert.ok(origin.heard.every((heard) => !heard.includes('/two') || heard.includes(`-${span.spanId}-01`)));
});

test('sampling: by the share, by the parent, the same for the same trace', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const [none, all] = ['1'.repeat(32), '2'.repeat(32)];
  for (const [sample, parentBased, expected] of [
    // What is continued with flag 00, with flag 01, and what begins here.
    ['0', true, [false, true, false]],
    ['1', true, [false, true, true]],
    ['0%', false, [false, false, false]],
    ['100%', false, [true, true, true]],
  ] as const) {
    const tollgate = await Tollgate.start(t, {
      config: configOf({
        telemetry: `${endpoint(collector.port)}, traces: { sample: ${sample}, parentBased: ${parentBased} }`,
        origin: origin.port,
      }),
    });
    const from = origin.requests.length;
    const spansBefore = collector.spans.length;
    await exchange(tollgate.port, get('/', traceparent(none, '00')));
    await exchange(tollgate.port, get('/', traceparent(all, '01')));
    await exchange(tollgate.port, get('/'));
    const flags = origin.requests.slice(from).map(({ headers }) => String(headers.traceparent).slice(-2) === '01');
    assert.deepEqual(flags, expected, `${sample}, ${parentBased}`);
    // The end sends what there is, so that nothing need be waited for.
    await tollgate.end();
    const spans = collector.spans.slice(spansBefore);
    const traces = origin.requests.slice(from).map(({ headers }) => String(headers.traceparent).slice(3, 35));
    for (const [i, trace] of traces.entries()) {
      assert.equal(spans.filter(({ traceId }) => traceId === trace).length, expected[i] ? 2 : 0, `${sample}, ${parentBased}: ${i}`);
    }
  }
});

test('sampling: a share of the traces, whichever worker is asked, and of those that begin here', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf({
      telemetry: `${endpoint(collector.port)}, traces: { sample: 25%, parentBased: false }`,
      origin: origin.port,
      tls: false,
    }),
  });
  const count = 200;
  const traces = Array.from({ length: count }, (_, i) => (i + 1).toString(16).padStart(32, '0'));
  const pipelined = (fields: readonly string[]): string =>
    fields.map((field) => `GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n`).join('') + get('/');
  for (let round = 0; round < 3; round++) await plainExchange(tollgate.port, pipelined(traces.map((trace) => traceparent(trace, '00'))));
  await plainExchange(tollgate.port, pipelined(traces.map(() => '')));
  const flag = new Map<string, Set<string>>();
  for (const { headers } of origin.requests) {
    const [, trace = '', , sampled = ''] = String(headers.traceparent).split('-');
    flag.set(trace, (flag.get(trace) ?? new Set()).add(sampled));
  }
  assert.ok(
    [...flag.values()].every(({ size }) => size === 1),
    'one answer for one trace',
  );
  const sampled = (ids: readonly string[]): number => ids.filter((id) => flag.get(id)?.has('01')).length;
  const begun = [...flag.keys()].filter((id) => !traces.includes(id));
  assert.equal(begun.length, count + 4);
  // A quarter, within six deviations.
  for (const [what, share] of [
    ['continued', sampled(traces) / count],
    ['begun', sampled(begun) / begun.length],
  ] as const) {
    assert.ok(share > 0.06 && share < 0.44, `${what}: ${share}`);
  }
  await tollgate.end();
  const told = new Set(collector.spans.map(({ traceId }) => traceId));
  assert.deepEqual([...told].sort(), [...flag.keys()].filter((id) => flag.get(id)!.has('01')).sort());
});

test('a listener that continues no traces leaves the field alone, and has spans of its own', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf({ telemetry: `${endpoint(collector.port)}, traces: { sample: 1 }`, origin: origin.port, listener: '' }),
  });
  await exchange(tollgate.port, get('/', traceparent(TRACE, '00')));
  await collector.until(() => collector.spans.length === 2);
  const { headers } = origin.requests[0]!;
  assert.equal(headers.traceparent, `00-${TRACE}-${PARENT}-00`);
  assert.ok(collector.spans.every(({ traceId }) => traceId === headers['x-request-id']));
});

test('without telemetry nothing is sampled, and traceparent is what it was', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { config: configOf({ telemetry: '', origin: origin.port }) });
  await exchange(tollgate.port, get('/', traceparent(TRACE, '01')));
  await exchange(tollgate.port, get('/'));
  const [continued, begun] = origin.requests;
  assert.match(String(continued!.headers.traceparent), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  const id = String(begun!.headers['x-request-id']);
  assert.equal(begun!.headers.traceparent, `00-${id}-${id.slice(16)}-00`);
  assert.equal((await accounts(tollgate)).made, 0);
});

test('metrics are the numbers of /metrics', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf({ telemetry: `${endpoint(collector.port)}, metrics: { interval: 1s }`, origin: origin.port }),
  });
  for (let i = 0; i < 3; i++) await exchange(tollgate.port, get('/'));
  // The next may have been made while the last request ended.
  const before = collector.metrics.length;
  await collector.until(() => collector.metrics.length >= before + 2);
  const { metrics } = collector.metrics.at(-1)!;
  assert.equal(metrics.get('tollgate_requests_total')!.sum!.dataPoints[0]!.asDouble, 3);
  const scraped = await tollgate.metrics();
  const names = new Set([...scraped.keys()].map((sample) => sample.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')));
  assert.deepEqual([...metrics.keys()].sort(), [...names].sort());
  for (const [name, metric] of metrics) {
    for (const { attributes, asDouble } of metric.sum?.dataPoints ?? []) {
      // Counted on by the scrape itself, or by the loop.
      if (/loop_turns|cpu_seconds|spans|export|log_lines/.test(name)) continue;
      const labels = attributes.map(({ key, value }) => `${key}="${value.stringValue}"`).join(',');
      assert.equal(asDouble, scraped.get(labels === '' ? name : `${name}{${labels}}`), `${name} ${labels}`);
    }
  }
  const durations = metrics.get('tollgate_request_duration_seconds')!.histogram!;
  assert.equal(durations.dataPoints[0]!.count, String(scraped.get('tollgate_request_duration_seconds_count')));
  assert.equal(durations.aggregationTemporality, 2);
  const [firstByte] = metrics.get('tollgate_target_first_byte_seconds')!.histogram!.dataPoints;
  assert.equal(firstByte!.count, '3');
  assert.deepEqual(
    firstByte!.attributes.map(({ key }) => key),
    ['upstream', 'target'],
  );
  const starts = collector.metrics.map((each) => each.metrics.get('tollgate_requests_total')!.sum!.dataPoints[0]!.startTimeUnixNano);
  assert.equal(new Set(starts).size, 1, 'everything counts from the same start');
  assert.equal(collector.traces.length, 0);
});

test('a collector that is down, hangs, or talks nonsense costs spans, counted, and no request', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const sockets: Socket[] = [];
  const nonsense = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.end('220 smtp.example ESMTP\r\n'));
  });
  await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    nonsense.close();
  });
  const hanging = await openCollector(t, HANG);
  const login = await openCollector(
    t,
    (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>'),
  );
  const closed = await Collector.open();
  const { port: nobody } = closed;
  await closed.close();
  for (const [what, port] of [
    ['down', nobody],
    ['hanging', hanging.port],
    ['nonsense', (nonsense.address() as { port: number }).port],
    ['login', login.port],
  ] as const) {
    const tollgate = await Tollgate.start(t, {
      config: configOf({ telemetry: `${endpoint(port)}, traces: { sample: 1 }, metrics: { interval: 1s }`, origin: origin.port }),
    });
    for (let i = 0; i < 20; i++) assert.match(await exchange(tollgate.port, get(`/${i}`)), /^HTTP\/1\.1 200 /, what);
    if (what === 'hanging') await hanging.until(() => hanging.traces.length > 0 && hanging.metrics.length > 0);
    else if (what === 'login') await until(async () => (await accounts(tollgate)).collector === 40, 30_000);
    else await until(async () => (await accounts(tollgate)).failures > 0, 30_000);
    assert.match(await exchange(tollgate.port, get('/last')), /^HTTP\/1\.1 200 /, what);
    const counted = await accounts(tollgate);
    assert.equal(counted.sent, 0, what);
    assert.equal(counted.made, 42, what);
    const warnings = tollgate.errors.split('\n').filter((line) => line.includes('the collector does not take telemetry'));
    assert.ok(warnings.length <= 2, `once for each signal: ${tollgate.errors}`);
    tollgate.child.kill('SIGTERM');
    assert.deepEqual(await tollgate.ended(), { code: 0, signal: null }, 'it ends all the same');
  }
});

test('503 with Retry-After: the same spans come again, once the collector can', async (t) => {
  const collector = await openCollector(t, (response, index) => {
    if (index === 0) response.writeHead(503, { 'retry-after': '1' }).end();
    else TAKE(response, index);
  });
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf({ telemetry: `${endpoint(collector.port)}, traces: { sample: 1 }`, origin: origin.port }),
  });
  await exchange(tollgate.port, get('/'));
  await collector.until(() => collector.traces.length === 2);
  assert.deepEqual(collector.traces[1]!.spans, collector.traces[0]!.spans);
  await until(async () => (await accounts(tollgate)).sent === 2);
  const { failures, collector: lost } = await accounts(tollgate);
  assert.deepEqual([failures, lost], [1, 0]);
  await until(() => tollgate.errors.includes('the collector takes telemetry again'));
});

test('memory is bounded while a collector hangs: what does not fit is dropped and counted', async (t) => {
  const collector = await openCollector(t, HANG);
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf({
      telemetry: `${endpoint(collector.port)}, traces: { sample: 1 }`,
      origin: 1,
      tls: false,
      routes: '[{ match: { path: /x* }, to: origin }, { respond: { body: hello } }]',
    }),
  });
  const { pid } = await tollgate.status();
  const path = `/${'p'.repeat(500)}`;
  const each = 2_000;
  const flood = async (): Promise<void> => {
    const many = `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(each - 1) + get(path);
    const answers = await plainExchange(tollgate.port, many);
    assert.equal(answers.toString('latin1').split('HTTP/1.1 200').length - 1, each);
  };
  for (let i = 0; i < 5; i++) await flood();
  await collector.until(() => collector.traces.length > 0);
  const before = residentBytes(pid);
  for (let i = 0; i < 10; i++) await flood();
  const made = 15 * each;
  const held = 4_096 + 512;
  await until(async () => {
    const { made: now, worker, queue, collector: lost } = await accounts(tollgate);
    return now === made && worker + queue + lost >= made - held;
  });
  const grown = residentBytes(pid) - before;
  assert.ok(grown < 128 * 1_048_576, `${grown} bytes more`);
});

test('a reload turns telemetry on, elsewhere, and off', async (t) => {
  const [one, two] = [await openCollector(t), await openCollector(t)];
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const config = (telemetry: string): string => configOf({ telemetry, origin: origin.port });
  const tollgate = await Tollgate.start(t, { config: config('') });
  const file = join(tollgate.directory, 'tollgate.yaml');
  const top = readFileSync(file, 'utf8').split('\nlisteners:')[0]!;
  const reload = async (telemetry: string): Promise<void> => {
    writeFileSync(file, `${top}\n${config(telemetry).replaceAll('PORT', String(tollgate.port))}`);
    tollgate.command('reload', '--runtime', `${tollgate.directory}/run`);
  };
  await exchange(tollgate.port, get('/off'));
  await reload(`${endpoint(one.port)}, traces: { sample: 1 }`);
  await exchange(tollgate.port, get('/one'));
  await one.until(() => one.spans.length === 2);
  await reload(`${endpoint(two.port)}, traces: { sample: 1 }, metrics: { interval: 1s }`);
  await exchange(tollgate.port, get('/two'));
  await two.until(() => two.spans.length === 2 && two.metrics.length > 0);
  pick(two.spans, KIND_SERVER, '/two');
  await reload('');
  await exchange(tollgate.port, get('/off'));
  await tollgate.end();
  assert.deepEqual([one.spans.length, two.spans.length], [2, 2]);
});

test('a stop sends the spans of the last requests, of every worker', async (t) => {
  const collector = await openCollector(t);
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf({ telemetry: `${endpoint(collector.port)}, traces: { sample: 1 }`, origin: origin.port }),
  });
  const client = await new Client(tollgate.port).open();
  client.send('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('ok');
  for (let i = 0; i < 30; i++) await exchange(tollgate.port, get(`/${i}`));
  tollgate.child.kill('SIGTERM');
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  client.close();
  assert.equal(collector.spans.length, 62);
});

test('a collector is reached by TLS, and its certificate is verified', async (t) => {
  const { certificate, key } = leaf(['localhost']);
  const collector = await Collector.open(TAKE, { key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') });
  t.after(() => collector.close());
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const config = configOf({ telemetry: `endpoint: "https://localhost:${collector.port}", traces: { sample: 1 }`, origin: origin.port });
  const strange = await Tollgate.start(t, { config });
  await exchange(strange.port, get('/'));
  await until(async () => (await accounts(strange)).failures > 0, 30_000);
  assert.match(strange.errors, /UNABLE_TO|SELF_SIGNED|UNABLE_TO_VERIFY/);
  assert.equal(collector.exports.length, 0);
  await strange.end();
  process.env.NODE_EXTRA_CA_CERTS = caPath;
  t.after(() => {
    delete process.env.NODE_EXTRA_CA_CERTS;
  });
  const known = await Tollgate.start(t, { config });
  await exchange(known.port, get('/'));
  await collector.until(() => collector.spans.length === 2);
  assert.deepEqual(collector.complaints, []);
});
