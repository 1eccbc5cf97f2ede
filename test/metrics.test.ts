/**
 * What Tollgate measures, against what was sent to it: every number of a real run, by promtool's rules, and as a real Prometheus reads it for the
 * dashboard and the alerts.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { parse } from 'yaml';
import { leaf } from './support/certificates.ts';
import { Client, plainExchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { Site } from './support/site.ts';
import { testPort } from './support/test-port.ts';
import { ROOT, Tollgate, until } from './support/tollgate.ts';

/** The slow target takes at least this long to its first byte, and again to its last. Between two bounds of a target's buckets. */
const SLOW_MS = 600;
const SLOW_ABOVE_S = '0.5';

type Samples = ReadonlyMap<string, number>;

/** Answers with the status at the end of the path. */
function byPath(url: string, response: ServerResponse): void {
  response.writeHead(Number(/\/(\d{3})$/.exec(url)?.[1] ?? 200), { 'content-length': 2 }).end('ok');
}

async function startBench(t: TestContext): Promise<{ site: Site; tollgate: Tollgate; targets: readonly string[]; slow: string }> {
  const fast = await Promise.all([0, 1].map(() => httpOrigin(t, (request, response) => byPath(request.url!, response))));
  const slow = await httpOrigin(t, (_request, response) => {
    setTimeout(() => {
      response.writeHead(200, { 'content-length': 4 }).write('sl');
      setTimeout(() => response.end('ow'), SLOW_MS);
    }, SLOW_MS);
  });
  const { certificate, key } = leaf(['localhost']);
  const targets = fast.map(({ port }) => `127.0.0.1:${port}`);
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes:
      - { name: slow, match: { path: /slow }, to: slow }
      - { name: secret, match: { path: /secret }, to: app, access: { deny: [127.0.0.0/8] } }
      - { name: gone, match: { path: /gone }, respond: { status: 410 } }
      - { name: dead, match: { path: /dead }, to: dead }
      - { name: app, match: { path: /app/* }, to: app }
upstreams:
  - { name: app, targets: [${targets.map((each) => `"${each}"`).join(', ')}] }
  - { name: slow, targets: ["127.0.0.1:${slow.port}"] }
  - { name: dead, targets: ["127.0.0.1:1"] }
`,
  });
  return { site: new Site(tollgate), tollgate, targets, slow: `127.0.0.1:${slow.port}` };
}

/** Requests on one connection, one behind the other; its session, for the next. */
async function talk(
  port: number,
  paths: readonly string[],
  options: ConnectionOptions = {},
): Promise<{ session: Buffer; resumed: boolean }> {
  const client = await new Client(port, options).open();
  let session: Buffer | undefined;
  client.socket.on('session', (ticket: Buffer) => {
    session = ticket;
  });
  const resumed = client.socket.isSessionReused();
  for (const path of paths) {
    client.received = Buffer.alloc(0);
    await client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).wait(() => isWhole(client.text));
  }
  await client.wait(() => session !== undefined || client.socket.getProtocol() === 'TLSv1.2');
  const last = session ?? client.socket.getSession();
  client.close();
  assert.ok(last !== undefined);
  return { session: last, resumed };
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  return end >= 0 && text.length >= end + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
}

/** The samples, once nothing is under way any more. */
async function settled(tollgate: Tollgate): Promise<Samples> {
  let samples: Samples = new Map();
  await until(async () => {
    samples = await tollgate.metrics();
    return samples.get('tollgate_connections_open') === 0 && samples.get('tollgate_requests_open') === 0;
  });
  return samples;
}

/** Those of `name` that are not 0, by their labels as written. */
function nonzero(samples: Samples, name: string): Record<string, number> {
  const found = [...samples].filter(([key, value]) => key.startsWith(`${name}{`) && value !== 0);
  return Object.fromEntries(found.map(([key, value]) => [key.slice(name.length + 1, -1), value]));
}

const RESPONSES = 'tollgate_route_responses_total';

test('metrics are exactly what was sent, over routes, targets, handshakes, a reload and a worker that dies', async (t) => {
  const { site, tollgate, targets, slow } = await startBench(t);
  const { port } = tollgate;

  // Handshakes: 6 full ones and 2 resumed, 4 that fail.
  await talk(port, ['/app/200', '/app/201', '/app/404', '/app/500', '/app/503', '/app/302'], { ecdhCurve: 'X25519' });
  await talk(port, ['/gone', '/secret', '/nowhere', '/dead'], { ecdhCurve: 'X25519MLKEM768', ciphers: 'TLS_AES_256_GCM_SHA384' });
  const third = await talk(port, ['/app/200'], { ecdhCurve: 'P-256' });
  assert.equal((await talk(port, ['/app/200'], { ecdhCurve: 'P-256', session: third.session })).resumed, true);
  const tls12 = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', ecdhCurve: 'X25519:P-256' } as const;
  const second = await talk(port, ['/app/200'], tls12);
  assert.equal((await talk(port, ['/app/200'], { ...tls12, session: second.session })).resumed, true);
  await Promise.all([talk(port, ['/slow', '/slow'], { ecdhCurve: 'X25519' }), talk(port, ['/slow'], { ecdhCurve: 'X25519' })]);
  await plainExchange(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await plainExchange(port, 'plainly no TLS at all');
  // Takes no certificate of P-256, and says so.
  const picky = { ecdhCurve: 'P-384', maxVersion: 'TLSv1.2' } as const;
  for (let i = 0; i < 2; i++) await assert.rejects(new Client(port, picky).open(), /wrong curve/);

  const first = await settled(tollgate);
  const count = (name: string): number | undefined => first.get(name);
  assert.equal(count('tollgate_connections_total'), 12);
  assert.deepEqual(nonzero(first, 'tollgate_handshakes_total'), {
    'version="TLSv1.2",resumed="false"': 1,
    'version="TLSv1.2",resumed="true"': 1,
    'version="TLSv1.3",resumed="false"': 5,
    'version="TLSv1.3",resumed="true"': 1,
  });
  assert.deepEqual(nonzero(first, 'tollgate_handshakes_by_suite_total'), {
    'suite="TLS_AES_128_GCM_SHA256"': 5,
    'suite="TLS_AES_256_GCM_SHA384"': 1,
    'suite="TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"': 2,
  });
  assert.deepEqual(nonzero(first, 'tollgate_handshakes_by_group_total'), {
    'group="secp256r1"': 3,
    'group="x25519"': 3,
    'group="X25519MLKEM768"': 1,
    'group="none"': 1,
  });
  assert.equal(count('tollgate_handshake_duration_seconds_count'), 8);
  const failures = {
    'reason="plain_http",culprit="client"': 1,
    'reason="not_tls",culprit="client"': 1,
    'reason="client_alert",culprit="client"': 2,
  };
  assert.deepEqual(nonzero(first, 'tollgate_handshake_failures_total'), failures);
  assert.deepEqual(nonzero(first, 'tollgate_faults_total'), {
    ...failures,
    'reason="access_denied",culprit="client"': 1,
    'reason="no_route",culprit="client"': 1,
    'reason="connect_refused",culprit="upstream"': 1,
  });
  assert.deepEqual(nonzero(first, 'tollgate_refused_total'), { 'rule="access"': 1 });

  // 17 requests.
  assert.equal(count('tollgate_requests_total'), 17);
  assert.equal(count('tollgate_request_duration_seconds_count'), 17);
  const routes = {
    'listener="web",route="slow",class="2xx"': 3,
    'listener="web",route="secret",class="4xx"': 1,
    'listener="web",route="gone",class="4xx"': 1,
    'listener="web",route="dead",class="5xx"': 1,
    'listener="web",route="app",class="2xx"': 6,
    'listener="web",route="app",class="3xx"': 1,
    'listener="web",route="app",class="4xx"': 1,
    'listener="web",route="app",class="5xx"': 2,
    'listener="",route="",class="4xx"': 1,
  };
  assert.deepEqual(nonzero(first, RESPONSES), routes);
  assert.deepEqual(nonzero(first, 'tollgate_responses_total'), { 'class="2xx"': 9, 'class="3xx"': 1, 'class="4xx"': 4, 'class="5xx"': 3 });
  assert.deepEqual(nonzero(first, 'tollgate_route_unanswered_total'), {});
  assert.ok(count('tollgate_route_request_seconds_total{listener="web",route="slow"}')! >= (3 * 2 * SLOW_MS) / 1_000);

  // Targets: 10 requests by turns, 3 at the slow one, 1 where nobody is.
  const at = (name: string, upstream: string, target: string, le = ''): number | undefined =>
    count(`tollgate_target_${name}{upstream="${upstream}",target="${target}"${le === '' ? '' : `,le="${le}"`}}`);
  const ofApp = (name: string): number => targets.reduce((sum, target) => sum + at(name, 'app', target)!, 0);
  assert.equal(ofApp('requests_total'), 10);
  assert.equal(ofApp('failures_total'), 0);
  assert.equal(ofApp('first_byte_seconds_count'), 10);
  assert.equal(ofApp('duration_seconds_count'), 10);
  assert.equal(ofApp('connect_seconds_count'), ofApp('connects_total'));
  assert.equal(ofApp('connections_open'), ofApp('idle_connections'));
  assert.equal(ofApp('connections_open'), ofApp('connects_total'));
  assert.equal(ofApp('sent_bytes_total') > 10 * 30, true);
  assert.equal(at('first_byte_seconds_bucket', 'slow', slow, SLOW_ABOVE_S), 0, 'none was as fast as that');
  assert.equal(at('first_byte_seconds_bucket', 'slow', slow, '+Inf'), 3);
  assert.ok(at('first_byte_seconds_sum', 'slow', slow)! >= (3 * SLOW_MS) / 1_000);
  assert.ok(at('duration_seconds_sum', 'slow', slow)! - at('first_byte_seconds_sum', 'slow', slow)! >= (2 * SLOW_MS) / 1_000);
  assert.equal(at('duration_seconds_bucket', 'slow', slow, '1'), 0);
  assert.equal(at('failures_total', 'dead', '127.0.0.1:1'), 1);
  assert.equal(at('first_byte_seconds_count', 'dead', '127.0.0.1:1'), 0);
  assert.equal(at('duration_seconds_count', 'dead', '127.0.0.1:1'), 1);
  assert.equal(count('tollgate_upstream_connects_total')! + count('tollgate_upstream_reuses_total')!, 13);

  const { upstreams, handshakes } = await tollgate.status();
  assert.deepEqual([handshakes.full, handshakes.resumed, handshakes.resumedShare], [6, 2, 0.25]);
  const told = upstreams.find(({ name }) => name === 'slow')!.targets[0]!;
  assert.ok(told.firstByteMs! >= SLOW_MS && told.firstByteP99Ms! >= SLOW_MS);

  // A route and a target go, others come: who stays keeps its numbers, who comes has none.
  site.replace('{ name: gone, match: { path: /gone }', '{ name: fresh, match: { path: /gone }');
  site.replace(`, "${targets[1]}"]`, ', "127.0.0.1:2"]');
  await site.run('reload');
  const reloaded = await tollgate.metrics();
  const { 'listener="web",route="gone",class="4xx"': _, ...stay } = routes;
  assert.deepEqual(nonzero(reloaded, RESPONSES), stay);
  const stranger = 'tollgate_target_requests_total{upstream="app",target="127.0.0.1:2"}';
  assert.equal(reloaded.get(stranger), 0);
  const kept = `tollgate_target_requests_total{upstream="app",target="${targets[0]}"}`;
  assert.equal(reloaded.get(kept), count(kept));
  assert.deepEqual(nonzero(reloaded, 'tollgate_config_changes_total'), { 'result="applied"': 1 });
  await talk(port, ['/gone']);
  site.replace('{ name: fresh', '{ name: [] #');
  assert.notEqual((await site.attempt('reload')).status, 0);
  assert.deepEqual(nonzero(await tollgate.metrics(), 'tollgate_config_changes_total'), { 'result="applied"': 1, 'result="refused"': 1 });

  // What dead workers have counted stays; their memory and their open connections do not.
  const before = await settled(tollgate);
  for (const { pid } of (await tollgate.status()).workers) process.kill(pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers.every(({ serves, restarts }) => serves && restarts === 1));
  const after = await settled(tollgate);
  assert.deepEqual(nonzero(after, RESPONSES), { ...stay, 'listener="web",route="fresh",class="4xx"': 1 });
  assert.equal(after.get('tollgate_upstream_connections_open'), 0);
  for (const name of before.keys()) {
    if (!/^tollgate_(target|route|handshake|request|refused|faults|responses|connections_total)/.test(name)) continue;
    if (/_open|idle_connections/.test(name)) continue;
    assert.equal(after.get(name), before.get(name), name);
  }
  assert.equal(after.get('tollgate_worker_restarts_total{worker="0"}'), 1);
  assert.equal(new Set([...after.keys()].filter((name) => name.startsWith('tollgate_process_heap_bytes')).map((name) => name)).size, 3);
});

test('nothing that clients say becomes a label', async (t) => {
  const { tollgate } = await startBench(t);
  const names = async (): Promise<string[]> => [...(await tollgate.metrics()).keys()];
  const before = await names();
  const client = await new Client(tollgate.port, { servername: 'stranger.example', checkServerIdentity: () => undefined }).open();
  await client.send('BREW /stranger HTTP/1.1\r\nHost: stranger.example\r\nUser-Agent: stranger\r\n\r\n').wait(() => isWhole(client.text));
  client.close();
  assert.deepEqual(await names(), before);
});

function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: ROOT, input, encoding: 'utf8' });
  assert.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert?: string; readonly expr: string }[] }[];
}
interface RuleTests {
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
  }[];
}

const readExample = (name: string): string => readFileSync(join(ROOT, 'examples', name), 'utf8');

test('promtool finds nothing to say about the exposition, the alerts and the example of Prometheus; every alert is seen to be raised', async (t) => {
  const { tollgate } = await startBench(t);
  await talk(tollgate.port, ['/app/200', '/nowhere']);
  const answer = await fetch(`http://127.0.0.1:${tollgate.adminPort}/metrics`);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(promtool(['check', 'metrics'], await answer.text()), '');
  promtool(['check', 'config', 'examples/prometheus.yaml']);
  promtool(['check', 'rules', 'examples/prometheus-alerts.yaml']);
  promtool(['test', 'rules', 'test/prometheus/alerts.yaml']);
  const { groups } = parse(readExample('prometheus-alerts.yaml')) as Rules;
  const { tests } = parse(readFileSync(join(ROOT, 'test/prometheus/alerts.yaml'), 'utf8')) as RuleTests;
  const raised = tests.flatMap((each) => each.alert_rule_test).filter(({ exp_alerts }) => exp_alerts.length > 0);
  assert.deepEqual(
    [...new Set(raised.map(({ alertname }) => alertname))].sort(),
    groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? [])).sort(),
  );
});

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

/** A real Prometheus that looks at `tollgate` every second; its API. */
async function prometheus(t: TestContext, tollgate: Tollgate): Promise<(path: string, query?: string) => Promise<unknown[]>> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-prometheus-'));
  const config = readExample('prometheus.yaml')
    .replaceAll('15s', '1s')
    .replace('127.0.0.1:9901', `127.0.0.1:${tollgate.adminPort}`)
    .replace('prometheus-alerts.yaml', join(ROOT, 'examples/prometheus-alerts.yaml'));
  writeFileSync(join(directory, 'prometheus.yaml'), config);
  const port = await testPort();
  const child: ChildProcess = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  t.after(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(directory, { recursive: true, force: true });
  });
  return async (path, query) => {
    const url = new URL(`http://127.0.0.1:${port}/api/v1/${path}`);
    if (query !== undefined) url.searchParams.set('query', query);
    const answer = await fetch(url).catch(() => null);
    if (answer === null || answer.status === 503) return [];
    const { status, data, error } = (await answer.json()) as { status: string; error?: string; data: { result?: unknown[] } | unknown[] };
    assert.equal(status, 'success', `${query ?? path}: ${error}`);
    return Array.isArray(data) ? data : (data.result ?? []);
  };
}

test('a real Prometheus has a value for everything that the dashboard and the alerts ask', async (t) => {
  const { tollgate } = await startBench(t);
  const ask = await prometheus(t, tollgate);
  const traffic = (): Promise<unknown> => talk(tollgate.port, ['/app/200', '/app/500', '/nowhere', '/dead']);
  await traffic();
  const seen = async (expr: string): Promise<number> =>
    Number(((await ask('query', expr))[0] as { value: [number, string] } | undefined)?.value[1]);
  await until(async () => (await seen('count_over_time(up{job="tollgate"}[1m])')) >= 2, 60_000);
  assert.equal(await seen('up{job="tollgate"}'), 1);
  await traffic();
  await until(async () => (await seen('sum(increase(tollgate_requests_total[1m]))')) >= 1, 60_000);
  await until(async () => (await seen('count(tollgate:target_first_byte_seconds:mean5m)')) >= 2, 60_000);

  const known = new Set(await ask('label/__name__/values'));
  const dashboard = JSON.parse(readExample('grafana-dashboard.json')) as Dashboard;
  assert.deepEqual(
    dashboard.templating.list.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ],
  );
  const text = `${readExample('grafana-dashboard.json')}${readExample('prometheus-alerts.yaml')}`;
  const named = new Set(text.match(/\btollgate[_:][a-z0-9_:]+/g));
  assert.ok(named.size > 50);
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
    'names of the dashboard and the alerts that nothing measures',
  );

  const concrete = (expr: string): string => expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m');
  const empty: string[] = [];
  for (const { title, targets = [] } of dashboard.panels) {
    for (const { expr } of targets) if ((await ask('query', concrete(expr))).length === 0) empty.push(`${title}: ${expr}`);
  }
  for (const { expr } of dashboard.annotations.list) await ask('query', concrete(expr));
  const { groups } = parse(readExample('prometheus-alerts.yaml')) as Rules;
  for (const { alert, expr } of groups.flatMap(({ rules }) => rules)) {
    // What is compared has a value, whatever it is.
    const sides = expr.split(/\s(?:==|>=|>|<)\s/)[0]!.replace(/^\s*\(/, '');
    if (alert === undefined) await ask('query', expr);
    else if (balanced(sides) && (await ask('query', sides)).length === 0) empty.push(`${alert}: ${sides}`);
    await ask('query', expr);
  }
  assert.deepEqual(empty, []);
});

function balanced(expr: string): boolean {
  return [...expr].reduce((depth, character) => depth + (character === '(' ? 1 : character === ')' ? -1 : 0), 0) === 0;
}
