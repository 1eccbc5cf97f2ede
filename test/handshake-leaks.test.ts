/** Failing handshakes by the thousand: what they leave behind, and how many may wait for their end at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLINDED_MAX } from '../src/base/limits.ts';
import { FAILING_HANDSHAKES, failingListener, play, type Seen } from './support/failing-handshakes.ts';
import { testPort } from './support/test-port.ts';
import { descriptors, LONG, residentBytes, Tollgate, until } from './support/tollgate.ts';

const UPSTREAM = 'upstreams: [{ name: app, targets: ["127.0.0.1:1"] }]\n';
const ADDRESS = '127.0.0.1';
/** Kinds that wait for a deadline, of the handshake or of blinding, are for the first round and the last. */
const SLOW = new Set(['hello_timeout', 'handshake_timeout', 'decrypt_error']);
const ROUNDS = LONG ? 200 : 30;
const BLIND = 'noise where TLS 1.3 is sealed';
const BEYOND = 40;

test('thousands of failing handshakes of every kind, on both engines: memory is level within 10 %, and descriptors are back', async (t) => {
  const other = await testPort();
  const tollgate = await Tollgate.start(t, {
    log: 'level: error',
    config: `timeouts: { handshake: 1s, close: 1s }\nlisteners:\n${failingListener('s2n')}${failingListener('openssl', 'other', other)}${UPSTREAM}`,
  });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const idle = descriptors(worker);
  const cases = Object.values(FAILING_HANDSHAKES);
  const quick = cases.filter(({ s2n, openssl }) => !SLOW.has(s2n[0]) && !SLOW.has(openssl[0]));
  let failed = 0;
  const round = async (kinds: typeof cases): Promise<void> => {
    const sides = await Promise.all([tollgate.port, other].flatMap((port) => kinds.map(({ steps }) => play(port, ADDRESS, steps))));
    failed += sides.length;
    if (kinds === quick) await until(() => sides.every(({ ended }) => ended));
    for (const { socket } of sides) socket.destroy();
  };
  const settled = async (): Promise<void> => {
    await until(async () => {
      const metrics = await tollgate.metrics();
      const waiting = metrics.get('tollgate_blinded_connections') ?? 0;
      return metrics.get('tollgate_handshakes_open') === 0 && descriptors(worker) === idle + waiting;
    });
  };
  await round(cases);
  for (let i = 0; i < ROUNDS / 3; i++) await round(quick);
  await settled();
  const before = residentBytes(worker);
  for (let i = 0; i < ROUNDS; i++) await round(quick);
  await round(cases);
  await settled();
  const after = residentBytes(worker);
  t.diagnostic(`${failed} handshakes; ${before >> 10} KiB before, ${after >> 10} KiB after`);
  assert.ok(after < before * 1.1, `${before} bytes before, ${after} after`);
});

test('so many that wait out their end, and no more; the first to be over makes room for another', async (t) => {
  const tollgate = await Tollgate.start(t, { log: 'level: error', config: `listeners:\n${failingListener('s2n')}${UPSTREAM}` });
  const { steps } = FAILING_HANDSHAKES[BLIND]!;
  const seen: Seen[] = [];
  t.after(() => {
    for (const { socket } of seen) socket.destroy();
  });
  const fail = async (count: number): Promise<void> => {
    seen.push(...(await Promise.all(Array.from({ length: count }, () => play(tollgate.port, ADDRESS, steps)))));
  };
  const ended = (): number => seen.filter((each) => each.ended).length;
  const sample = async (name: string): Promise<number> => (await tollgate.metrics()).get(name) ?? 0;
  const waiting = (): Promise<number> => sample('tollgate_blinded_connections');
  const beyond = (): Promise<number> => sample('tollgate_limit_hits_total{limit="blinded"}');
  while (seen.length < BLINDED_MAX) await fail(128);
  // By the time the last is there the first may be over, on a machine that is slow enough: what is over and what waits are all of them.
  await fail(BEYOND);
  await until(async () => (await waiting()) + ended() === seen.length);
  const refused = await beyond();
  assert.ok(refused <= BEYOND && ended() >= refused);
  // Unannounced until then: an end that comes is the connection's.
  await until(() => ended() > refused);
  await until(async () => (await waiting()) < BLINDED_MAX);
  await fail(1);
  await until(async () => (await waiting()) + ended() === seen.length);
  assert.equal(await beyond(), refused);
});
