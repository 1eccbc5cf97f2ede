/**
 * HTTP/1.1 as strict as it gets: every case of test/strict through the real program, TLS in front, a server that records bytes behind. Owns
 * what is asserted about a case. A lane is a listener with a server of its own, so that cases can run side by side and each byte the server
 * gets belongs to one of them.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import type { RequestCase, ResponseCase } from './strict/cases.ts';
import { BARRIER, inLanes, isCut, RecordingOrigin, talk } from './strict/lane.ts';
import { REQUESTS } from './strict/requests.ts';
import { RESPONSES } from './strict/responses.ts';
import { ca, leaf } from './support/certificates.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, until } from './support/tollgate.ts';

const LANES = 8;
/** Longest time for one exchange. Milliseconds; none that is right takes a tenth of it. */
const EXCHANGE_MS_MAX = 5_000;

interface Lane {
  readonly origin: RecordingOrigin;
  connect(): Socket;
}

async function startLanes(t: TestContext): Promise<{ lanes: readonly Lane[]; tollgate: Tollgate }> {
  const { certificate, key } = leaf(['localhost']);
  const origins = await Promise.all(Array.from({ length: LANES }, () => new RecordingOrigin().listen()));
  t.after(() => {
    for (const origin of origins) origin.close();
  });
  const ports: number[] = [];
  for (let i = 0; i < LANES; i++) ports.push(await testPort());
  const listener = (port: number, i: number): string => `  - name: lane${i}
    address: 127.0.0.1:${port}
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin${i} }]
`;
  const upstream = ({ port }: RecordingOrigin, i: number): string => `  - { name: origin${i}, targets: ["127.0.0.1:${port}"] }\n`;
  const config = `listeners:\n${ports.map(listener).join('')}upstreams:\n${origins.map(upstream).join('')}`;
  const tollgate = await Tollgate.start(t, { config });
  const lanes = ports.map((port, i) => ({
    origin: origins[i]!,
    connect: () => connect({ port, host: '127.0.0.1', servername: 'localhost', ca }),
  }));
  return { lanes, tollgate };
}

/** Runs `check` for each case and tells of all that fail, by name. */
async function checkAll<Case extends { readonly rule: string; readonly name: string }>(
  lanes: readonly Lane[],
  cases: readonly Case[],
  check: (lane: Lane, each: Case) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  await inLanes(lanes, cases, async (lane, each) => {
    try {
      await check(lane, each);
    } catch (error) {
      failures.push(`${each.rule}: ${each.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  assert.deepEqual(failures, []);
}

async function checkRequest(lane: Lane, { bytes, expect }: RequestCase): Promise<void> {
  const { text, statuses, alive, silent } = await talk(lane.connect, bytes, true, EXCHANGE_MS_MAX);
  // On a connection of its own: what the case may have sent the server is there before it.
  const barrier = alive ? null : await talk(lane.connect, BARRIER, false, EXCHANGE_MS_MAX);
  const { requests, partial } = lane.origin.take();
  assert.equal(silent, false, `neither answered nor closed; got ${JSON.stringify(text.slice(0, 200))}`);
  assert.deepEqual(statuses, expect.statuses ?? [expect.status]);
  assert.equal(statuses[0], expect.status);
  assert.equal(alive, !expect.closes, alive ? 'the connection was left open' : 'the connection was closed');
  assert.equal(requests.length, expect.requests ?? (expect.forwarded ? 1 : 0), `the server saw ${JSON.stringify(requests)}`);
  if (expect.part !== true) assert.equal(partial, '', 'bytes reached the server that are no request');
  if (barrier !== null) assert.equal(barrier.statuses.length === 0 && barrier.alive, true, `behind it: ${JSON.stringify(barrier)}`);
  const seen = requests.join('');
  for (const each of expect.holds ?? [])
    assert.ok(seen.includes(each), `the server did not see ${JSON.stringify(each)}: ${JSON.stringify(seen)}`);
  for (const each of expect.lacks ?? []) {
    assert.ok(!seen.toLowerCase().includes(each.toLowerCase()), `the server saw ${JSON.stringify(each)}: ${JSON.stringify(seen)}`);
  }
  if (statuses.some((status) => status >= 400)) assert.match(text, /\r\nConnection: close\r\n/);
}

async function checkResponse(lane: Lane, { bytes, ends, method, version, expect }: ResponseCase, path: string): Promise<void> {
  lane.origin.script = { bytes, ends };
  const request = `${method} ${path} HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
  const { text, statuses, silent } = await talk(lane.connect, request, false, EXCHANGE_MS_MAX);
  lane.origin.script = null;
  // The next request of the lane must get its own answer, whatever the server has sent behind this one.
  const barrier = await talk(lane.connect, BARRIER, false, EXCHANGE_MS_MAX);
  lane.origin.take();
  const got = JSON.stringify(text.slice(0, 300));
  assert.equal(silent, false, `neither answered nor closed; got ${got}`);
  assert.equal(statuses[0], expect.status, got);
  for (const each of expect.holds ?? []) assert.ok(text.includes(each), `the client did not see ${JSON.stringify(each)}: ${got}`);
  for (const each of expect.lacks ?? []) {
    assert.ok(!text.toLowerCase().includes(each.toLowerCase()), `the client saw ${JSON.stringify(each)}: ${got}`);
  }
  if (expect.spoilt === true) assert.equal(lane.origin.reused, false, 'the connection to the server was used again');
  if (expect.cut === true) assert.ok(isCut(text), `a proper end: ${got}`);
  assert.equal(barrier.statuses.length === 0 && barrier.alive, true, `behind it: ${JSON.stringify(barrier)}`);
}

test('every case has a name of its own, and every rule its section', () => {
  assert.ok(REQUESTS.length >= 160 && RESPONSES.length >= 65);
  for (const cases of [REQUESTS, RESPONSES]) {
    assert.equal(new Set(cases.map(({ rule, name }) => `${rule}: ${name}`)).size, cases.length);
    for (const { rfc, rule, name } of cases) assert.match(rfc, /^RFC \d{4}, \d/, `${rule}: ${name}`);
  }
  for (const { expect, rule, name } of REQUESTS) assert.equal(expect.forwarded, expect.status === 200, `${rule}: ${name}`);
});

test('requests: what is malformed or ambiguous is refused before a byte reaches the server, what is right passes', async (t) => {
  const { lanes } = await startLanes(t);
  await checkAll(lanes, REQUESTS, checkRequest);
});

test('responses: what is malformed or ambiguous becomes a 502 with its reason, what is right passes', async (t) => {
  const { lanes, tollgate } = await startLanes(t);
  const paths = new Map(RESPONSES.map((each, i) => [each, `/response-${i}`] as const));
  await checkAll(lanes, RESPONSES, (lane, each) => checkResponse(lane, each, paths.get(each)!));
  const reasons = new Map<string, unknown>();
  await until(() => {
    for (const { path, reason } of tollgate.accessLog()) reasons.set(String(path), reason ?? null);
    return RESPONSES.every((each) => reasons.has(paths.get(each)!));
  });
  const logged = RESPONSES.map((each) => `${each.rule}: ${each.name}: ${reasons.get(paths.get(each)!)}`);
  assert.deepEqual(
    logged,
    RESPONSES.map(({ rule, name, expect }) => `${rule}: ${name}: ${expect.reason}`),
  );
});
