/** The floor of defence on the real program: who may come in, how many of them, how often, and how slowly. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

function configOf(origin: number, { top = '', listener = '', route = '' }: { top?: string; listener?: string; route?: string }): string {
  const { certificate, key } = leaf(['localhost']);
  return `
${top}
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
${listener}
    routes: [{ to: origin${route} }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`;
}

/** Whether a client from `localAddress` is served; false when the connection is closed on it. */
async function served(port: number, localAddress: string, request = CLOSE): Promise<boolean> {
  const client = new Client(port, { localAddress } as never);
  client.send(request);
  await client.wait(() => client.ended || client.closed || client.failure !== null);
  client.close();
  return client.text.startsWith('HTTP/1.1 200 ');
}

async function fault(tollgate: Tollgate, reason: string): Promise<number> {
  const metrics = await tollgate.metrics();
  return [...metrics].find(([name]) => name.includes(`reason="${reason}"`))?.[1] ?? 0;
}

test('networks are let in or kept out at accept, by lists and files; a trusted proxy’s client too', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const list = `${leaf(['localhost']).certificate}.networks`;
  writeFileSync(list, `# ours\n${Array.from({ length: 50_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`).join('\n')}\n127.0.0.3\n`);
  const tollgate = await Tollgate.start(t, {
    config: configOf(origin.port, {
      listener: `    trustedProxies: [127.0.0.9]\n    access: { allow: [127.0.0.2, 198.51.100.0/24], deny: [127.0.0.2/31, 198.51.100.7, 203.0.113.0/24], denyFile: ${list} }`,
      route: ', access: { deny: [127.0.0.4] }',
    }),
  });
  assert.equal(await served(tollgate.port, '127.0.0.1'), true);
  assert.equal(await served(tollgate.port, '127.0.0.2'), true, 'the longest prefix decides');
  assert.equal(await served(tollgate.port, '127.0.0.3'), false);
  assert.equal(await fault(tollgate, 'access_denied'), 1);
  const byRoute = new Client(tollgate.port, { localAddress: '127.0.0.4' } as never);
  assert.match(await byRoute.send(GET).until('not allowed'), /^HTTP\/1\.1 403 /);
  byRoute.close();
  const via = (client: string): string => `GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: ${client}\r\nConnection: close\r\n\r\n`;
  assert.equal(await served(tollgate.port, '127.0.0.9', via('198.51.100.8')), true);
  assert.equal(await served(tollgate.port, '127.0.0.9', via('198.51.100.7')), false);
  assert.equal(await served(tollgate.port, '127.0.0.9', via('10.77.3.9')), false, 'out of the file');
  assert.equal(origin.requests.length, 3);
});

test('a client may have so many connections, over all workers, and others are not disturbed', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf(origin.port, { top: 'clients: { connections: 5, exempt: [127.0.0.7] }' }),
  });
  await until(async () => (await tollgate.status()).workers.every((worker) => worker.serves));
  const open = await Promise.all(
    Array.from({ length: 12 }, () => new Client(tollgate.port, { localAddress: '127.0.0.5' } as never).open().catch(() => null)),
  );
  const held = open.filter((client) => client !== null);
  assert.equal(held.length, 5);
  assert.equal(await fault(tollgate, 'client_connections'), 7);
  assert.equal(await served(tollgate.port, '127.0.0.6'), true);
  held[0]!.close();
  await until(() => served(tollgate.port, '127.0.0.5'));
  const exempt = await Promise.all(
    Array.from({ length: 12 }, () => new Client(tollgate.port, { localAddress: '127.0.0.7' } as never).open()),
  );
  for (const client of [...held, ...exempt]) client.close();
});

test('handshakes and requests of a client are held to their rates', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf(origin.port, { top: 'clients: { handshakes: { rate: 1/h, burst: 4 }, requests: { rate: 1/m, burst: 3 } }' }),
  });
  const client = await new Client(tollgate.port).open();
  const statuses: string[] = [];
  for (let i = 0; i < 5; i++) {
    const from = client.text.length;
    client.send(GET);
    await client.wait(() => client.text.slice(from).includes('\r\n\r\n'));
    statuses.push(client.text.slice(from + 9, from + 12));
  }
  assert.deepEqual(statuses, ['200', '200', '200', '429', '429']);
  assert.match(client.text, /Retry-After: 1/);
  assert.equal(client.ended, false, 'a well-formed request too many does not cost the connection');
  let handshakes = 1;
  for (let refused = false; !refused; ) {
    const each = new Client(tollgate.port);
    await each.open().catch(() => {});
    refused = !each.secured;
    if (!refused) handshakes++;
    each.close();
  }
  assert.equal(handshakes, 4);
  assert.equal(await fault(tollgate, 'client_handshakes'), 1);
  assert.equal(await fault(tollgate, 'client_requests'), 2);
  assert.equal(await served(tollgate.port, '127.0.0.8'), true);
  client.close();
});

test('connections in all, and requests on one connection, have their bounds', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf(origin.port, { top: 'limits: { connections: 6, requestsPerConnection: 2 }' }),
  });
  await until(async () => (await tollgate.status()).workers.every((worker) => worker.serves));
  const open = await Promise.all(Array.from({ length: 10 }, () => new Client(tollgate.port).open().catch(() => null)));
  const held = open.filter((client) => client !== null);
  assert.equal(held.length, 6);
  assert.equal(await fault(tollgate, 'connections_max'), 4);
  const [first] = held;
  first!.send(GET);
  await first!.until('ok');
  assert.match(await first!.send(GET).all(), /ok[\s\S]*Connection: close[\s\S]*ok$/);
  for (const client of held) client.close();
});

test('a body that drips is refused, one that keeps the rate is not; a reader that drips is cut', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', (data) => {
      if (String(data).startsWith('GET')) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 << 20}\r\n\r\n${'x'.repeat(8 << 20)}`);
    });
  });
  const tollgate = await Tollgate.start(t, {
    config: configOf(origin.port, { top: 'limits: { minimumRate: 100B, minimumRateAfter: 1s }\ntimeouts: { body: 20s }' }),
  });
  const drip = async (bytes: number): Promise<string> => {
    const client = await new Client(tollgate.port).open();
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n');
    const timer = setInterval(() => client.send('x'.repeat(bytes)), 100);
    await client.wait(() => client.ended || client.closed || client.socket.bytesWritten > 3_500).finally(() => clearInterval(timer));
    client.close();
    return client.text;
  };
  const [slow, steady] = await Promise.all([drip(2), drip(100)]);
  assert.match(slow, /^HTTP\/1\.1 408 /);
  assert.equal(steady, '');
  assert.equal(await fault(tollgate, 'request_body_slow'), 1);
  // A reader with a full socket that takes a little now and then.
  const reader = await new Client(tollgate.port).open();
  reader.socket.pause();
  reader.send(GET);
  await until(async () => (await fault(tollgate, 'client_slow')) === 1, 15_000);
  reader.close();
  await until(async () => (await tollgate.status()).connections.open === 0);
});

test('a head that drips has a deadline from its first byte', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, extra: 'timeouts: { requestHead: 1s, handshake: 1s }' });
  const client = await new Client(tollgate.port).open();
  const timer = setInterval(() => client.send('a'), 200);
  client.send('GET / HTTP/1.1\r\nX-A: ');
  await client.wait(() => client.ended || client.closed).finally(() => clearInterval(timer));
  assert.match(client.text, /^HTTP\/1\.1 408 /);
  client.close();
  const hello = connect(tollgate.port, '127.0.0.1');
  const bytes = setInterval(() => hello.write(Buffer.from([0x16, 3, 1, 2, 0, 1])), 200);
  hello.on('error', () => {});
  await new Promise((resolve) => hello.once('close', resolve).resume());
  clearInterval(bytes);
  assert.equal(origin.requests.length, 0);
});

test('lists and limits are read again while connections live on, and a bad file changes nothing', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const list = `${leaf(['localhost']).certificate}.reloaded`;
  writeFileSync(list, '192.0.2.1\n');
  const tollgate = await Tollgate.start(t, {
    workers: 2,
    config: configOf(origin.port, { listener: `    access: { denyFile: ${list} }` }),
  });
  await until(async () => (await tollgate.status()).workers.every((worker) => worker.serves));
  const kept = await new Client(tollgate.port, { localAddress: '127.0.0.21' } as never).open();
  await kept.send(GET).until('ok');
  assert.equal(await served(tollgate.port, '127.0.0.20'), true);
  writeFileSync(
    list,
    `${Array.from({ length: 100_000 }, (_, i) => `10.${(i >> 8) & 255}.${i & 255}.${(i >> 16) * 64}/26`).join('\n')}\n127.0.0.20\n`,
  );
  const reload = (): string => tollgate.command('reload', '--runtime', `${tollgate.directory}/run`);
  assert.match(reload(), /^~ listeners\.web: what its files or names say\nconfiguration 2 runs, after \d+ ms/);
  assert.equal(await served(tollgate.port, '127.0.0.20'), false);
  assert.equal(await served(tollgate.port, '127.0.0.22'), true);
  const before = kept.text.length;
  kept.send(GET);
  await kept.wait(() => kept.text.length > before);
  writeFileSync(list, 'nonsense\n');
  assert.throws(reload, /line 1: found 'nonsense'/);
  assert.equal(await served(tollgate.port, '127.0.0.20'), false, 'what ran goes on');
  writeFileSync(list, '');
  tollgate.child.kill('SIGHUP');
  await until(() => served(tollgate.port, '127.0.0.20'));
  // A worker that is replaced gets what runs now.
  process.kill((await tollgate.status()).workers[0]!.pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers[0]!.restarts === 1 && (await tollgate.status()).workers[0]!.serves);
  assert.equal(await served(tollgate.port, '127.0.0.20'), true);
  kept.close();
});
