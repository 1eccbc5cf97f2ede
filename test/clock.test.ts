/** The wall clock is set, forth and back, by days: what goes by time goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { ca, leaf } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { FakeClock } from './support/fake-clock.ts';
import { echoOrigin } from './support/site.ts';
import { Tollgate, until } from './support/tollgate.ts';

const DAY_S = 86_400;
const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** One request on a new connection, with `session` if it still opens something. */
async function visit(port: number, version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer): Promise<{ resumed: boolean; session: Buffer }> {
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca,
    minVersion: version,
    maxVersion: version,
    ...(session === undefined ? {} : { session }),
  });
  let ticket: Buffer | null = null;
  socket.on('session', (given: Buffer) => {
    ticket = given;
  });
  await once(socket, 'secureConnect');
  const resumed = socket.isSessionReused();
  socket.write(GET);
  let heard = '';
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    heard += String(data);
    if (heard.endsWith('\r\n\r\nok')) break;
  }
  await until(() => ticket !== null || resumed);
  socket.destroy();
  return { resumed, session: ticket ?? session! };
}

test('a wall clock that is set forth and back ends no connection, no timer, and no service; sessions are resumed, days left follow', async (t) => {
  const origin = await echoOrigin(t);
  const clock = new FakeClock(t);
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    environment: clock.environment,
    config: `
timeouts: { idle: 10m, requestHead: 10m, tunnel: 10m }
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
  const kept = await new Client(tollgate.port).open();
  const slow = await new Client(tollgate.port).open();
  const tunnel = await new Client(tollgate.port).open();
  for (const client of [kept, slow, tunnel]) t.after(() => client.close());
  await kept.send(GET).until('\r\n\r\nok');
  slow.send('GET / HTTP/1.1\r\n');
  await tunnel.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n').until('101 Switching');
  const daysLeft = async (): Promise<number> => (await tollgate.status()).certificates[0]!.daysLeft;
  const days = await daysLeft();
  const { pid } = (await tollgate.status()).workers[0]!;
  const sessions: Record<string, Buffer> = {};
  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  for (const version of versions) sessions[version] = (await visit(tollgate.port, version)).session;

  const early = { ...sessions };

  const jumps = [
    ['far back', -400 * DAY_S],
    ['and forth again', 0],
    ['forth', 3 * DAY_S],
    ['and back again', 0],
  ] as const;
  let set = 0;
  for (const [name, seconds] of jumps) {
    clock.set(seconds);
    set++;
    await until(() => (tollgate.errors.match(/the wall clock was set/g) ?? []).length === set, 20_000);
    assert.equal(await daysLeft(), days - Math.round(seconds / DAY_S), name);
    // A worker goes by the new time too, which an access line shows.
    await until(async () => {
      kept.received = Buffer.alloc(0);
      await kept.send(GET).until('\r\n\r\nok');
      const told = Date.parse(/\r\nDate: (.*)\r\n/.exec(kept.text)?.[1] ?? String(tollgate.accessLog().at(-1)?.time ?? ''));
      return Math.abs(told - Date.now() - seconds * 1_000) < 60_000;
    }, 20_000);
    tunnel.send(`${name};`);
    await tunnel.until(`${name};`);
    for (const version of versions) {
      // What was given before the jump may be worth nothing; a full handshake is what it costs. What is given now is resumed.
      const first = await visit(tollgate.port, version, sessions[version]);
      const second = await visit(tollgate.port, version, first.session);
      assert.equal(second.resumed, true, `${version}, ${name}`);
      sessions[version] = second.session;
    }
    if (name !== 'and forth again') continue;
    // The keys of before are still there: tickets of that time are good again at that time.
    for (const version of versions) assert.equal((await visit(tollgate.port, version, early[version])).resumed, true, version);
  }
  slow.send('Host: localhost\r\n\r\n');
  assert.match(await slow.until('\r\n\r\nok'), /^HTTP\/1\.1 200 /);
  const status = await tollgate.status();
  assert.deepEqual([status.workers[0]?.pid, status.workers[0]?.restarts], [pid, 0]);
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_faults_total{reason="idle_timeout",culprit="client"}'), 0);
  assert.equal(metrics.get('tollgate_faults_total{reason="request_head_timeout",culprit="client"}'), 0);
  assert.ok(status.uptimeS < 600, 'how long it runs is no matter of the wall clock');
});
