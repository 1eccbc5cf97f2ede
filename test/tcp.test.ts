/** Protocol tcp: whatever clients speak is carried as it is, over TLS that is terminated here, or none. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ca } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { rawOrigin } from './support/origin.ts';
import { PIECE_BYTES, Plain, pieces, tcpTollgate, tls } from './support/tcp.ts';
import { testPort } from './support/test-port.ts';
import { descriptors, LONG, PROGRAM, residentBytes, until } from './support/tollgate.ts';

const run = promisify(execFile);
/** A server that greets before it is spoken to, as SMTP's do, and answers a line with a line. */
const greet = (socket: Socket): void => {
  socket.write('220 mail.example ESMTP\r\n');
  socket.on('data', (data: Buffer) => {
    if (String(data).startsWith('QUIT')) socket.end('221 bye\r\n');
    else socket.write(`250 ${data}`);
  });
  socket.on('end', () => socket.end());
};
const echo = (socket: Socket): void => void socket.pipe(socket);

for (const [kind, lines] of [
  ['TLS', tls()],
  ['no TLS', ''],
] as const) {
  const open = (port: number): Client | Plain => (kind === 'TLS' ? new Client(port) : new Plain(port));

  test(`where the server speaks first nothing waits for the client, with ${kind}`, async (t) => {
    const origin = await rawOrigin(t, greet);
    const tollgate = await tcpTollgate(t, origin.port, `${lines}\nroutes: [{ to: server }]`);
    const client = open(tollgate.port);
    t.after(() => client.close());
    await until(() => client.text === '220 mail.example ESMTP\r\n');
    client.send('EHLO me\r\n');
    await until(() => client.text.endsWith('250 EHLO me\r\n'));
    client.send('QUIT\r\n');
    await until(() => client.text.endsWith('221 bye\r\n') && client.ended);
    client.socket.end();
    await until(() => tollgate.accessLog().length === 1);
    const [line] = tollgate.accessLog();
    const { time, durationMs, requestId, cipher, ...rest } = line!;
    assert.match(String(requestId), /^[0-9a-f]{32}$/);
    assert.ok(typeof time === 'string' && typeof durationMs === 'number' && durationMs > 0);
    assert.deepEqual(rest, {
      client: '127.0.0.1',
      ...(kind === 'TLS' ? { tls: 'TLSv1.3', sni: 'localhost' } : {}),
      bytes: 24 + 13 + 9,
      upstream: `127.0.0.1:${origin.port}`,
      bytesIn: 9 + 6,
    });
    assert.equal(cipher === undefined, kind !== 'TLS');
    const metrics = await tollgate.metrics();
    assert.equal(metrics.get(`tollgate_tcp_connections_total{tls="${kind === 'TLS' ? 'terminated' : 'none'}"}`), 1);
    assert.equal((await tollgate.status()).connections.open, 0);
  });

  test(`the end of one direction is passed on, and the other goes on, with ${kind}`, async (t) => {
    const origin = await rawOrigin(t, (socket) => {
      socket.on('end', () => socket.end('all heard'));
    });
    const tollgate = await tcpTollgate(t, origin.port, `${lines}\nroutes: [{ to: server }]`);
    const client = open(tollgate.port);
    t.after(() => client.close());
    client.send('last words');
    client.socket.end();
    await until(() => client.text === 'all heard' && client.ended);
    assert.equal(origin.heard[0], 'last words');
    await until(() => tollgate.accessLog().length === 1);
    assert.equal(tollgate.accessLog()[0]?.reason, undefined);
    // And the other way round: the server ends first, and hears what the client says then.
    const other = await rawOrigin(t, (socket) => void socket.end('I am done'));
    const second = await tcpTollgate(t, other.port, `${lines}\nroutes: [{ to: server }]`);
    const late = open(second.port);
    t.after(() => late.close());
    await until(() => late.text === 'I am done' && late.ended);
    if (kind === 'no TLS') {
      // TLS libraries answer a goodbye with their own, and say no more.
      late.send('one more thing');
      await until(() => other.heard[0] === 'one more thing');
    }
    late.socket.end();
    await until(async () => (await second.status()).connections.open === 0);
  });
}

test('1 GB each way at once is the same bytes, in bounded memory', async (t) => {
  const count = LONG ? 10_000 : 1_000;
  const [up, down] = [createHash('sha256'), createHash('sha256')];
  const sent = { up: createHash('sha256'), down: createHash('sha256') };
  const pour = async (socket: NodeJS.WritableStream, hash: ReturnType<typeof createHash>, seed: number): Promise<void> => {
    for (const piece of pieces(seed, count)) {
      hash.update(piece);
      if (!socket.write(piece)) await once(socket, 'drain');
    }
    socket.end();
  };
  let heard = 0;
  const origin = await rawOriginUnheard(t, (socket) => {
    socket.on('data', (data: Buffer) => {
      up.update(data);
      heard += data.length;
    });
    void pour(socket, sent.down, 2);
  });
  const tollgate = await tcpTollgate(t, origin, `${tls()}\nroutes: [{ to: server }]`);
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const client = new Client(tollgate.port);
  await client.open();
  client.socket.removeAllListeners('data');
  let got = 0;
  let most = 0;
  const before = residentBytes(worker);
  client.socket.on('data', (data: Buffer) => {
    down.update(data);
    got += data.length;
    if (got % (64 << 20) < data.length) most = Math.max(most, residentBytes(worker));
  });
  await pour(client.socket, sent.up, 1);
  await client.wait(() => client.ended, 3_600_000);
  await until(() => heard === PIECE_BYTES * count, 3_600_000);
  assert.equal(got, PIECE_BYTES * count);
  assert.equal(up.digest('hex'), sent.up.digest('hex'));
  assert.equal(down.digest('hex'), sent.down.digest('hex'));
  assert.ok(most - before < 60 << 20, `grew by ${most - before}`);
});

test('a reader that does not read stops the writer, in both directions by itself', async (t) => {
  let taken = 0;
  const origin = await rawOriginUnheard(t, (socket) => {
    socket.pause();
    // It floods whoever asks, and hears nothing but the first word.
    const flood = (): void => {
      for (;;) {
        taken += 65_536;
        if (!socket.write(Buffer.alloc(65_536, 'f'))) return;
      }
    };
    socket.on('drain', flood);
    flood();
  });
  const tollgate = await tcpTollgate(t, origin, `${tls()}\nroutes: [{ to: server }]`);
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  const clients: Client[] = [];
  t.after(() => {
    for (const client of clients) client.close();
  });
  for (let i = 0; i < 10; i++) {
    const client = await new Client(tollgate.port).open();
    client.socket.pause();
    clients.push(client);
    const push = (): void => {
      while (client.socket.write(Buffer.alloc(65_536, 'p')));
    };
    client.socket.on('drain', push);
    push();
  }
  let last = -1;
  await until(async () => {
    const now = taken;
    const still = now === last;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return still;
  }, 30_000);
  assert.ok(residentBytes(worker) - before < 60 << 20, `grew by ${residentBytes(worker) - before}`);
  // Reading frees the one direction while the other still stands.
  const [first] = clients;
  first!.socket.removeAllListeners('data');
  let got = 0;
  first!.socket.on('data', (data: Buffer) => {
    got += data.length;
  });
  first!.socket.resume();
  await until(() => got > 16 << 20, 60_000);
});

test('a target that refuses is passed over, and when none is left the client is let go', async (t) => {
  const origin = await rawOrigin(t, greet);
  const [one, two] = [await testPort(), await testPort()];
  const tollgate = await tcpTollgate(t, one, `routes: [{ to: many }]`, {
    upstream: ` }\n  - { name: many, targets: ["127.0.0.1:${one}", "127.0.0.1:${origin.port}", "127.0.0.1:${two}"]`,
  });
  for (let i = 0; i < 6; i++) {
    const client = new Plain(tollgate.port);
    t.after(() => client.close());
    await until(() => client.text.startsWith('220 '));
    client.close();
  }
  assert.ok((await tollgate.metrics()).get('tollgate_upstream_connect_retries_total')! > 0);
  const dead = await tcpTollgate(t, one, `${tls()}\nroutes: [{ to: server }]`);
  const client = new Client(dead.port);
  await client.wait(() => client.closed || client.ended);
  await until(() => dead.accessLog().length === 1);
  assert.equal(dead.accessLog()[0]?.reason, 'connect_refused');
  assert.equal(dead.accessLog()[0]?.bytes, 0);
});

test('routes are chosen by server name and by the protocol that was agreed', async (t) => {
  const names = ['mail.example', 'db.example', 'a.wild.example', 'localhost'];
  const [imap, smtp, db, wild, rest] = await Promise.all(
    ['imap', 'smtp', 'db', 'wild', 'rest'].map((name) => rawOrigin(t, (socket) => void socket.end(name))),
  );
  const target = (origin: { port: number } | undefined): string => `["127.0.0.1:${origin!.port}"]`;
  const tollgate = await tcpTollgate(
    t,
    rest!.port,
    `${tls(names, ', alpn: [imap, smtp]')}
routes:
  - { match: { sni: mail.example, alpn: imap }, to: imap }
  - { match: { sni: mail.example, alpn: [smtp] }, to: smtp }
  - { match: { sni: db.example }, to: db }
  - { match: { sni: "*.wild.example" }, to: wild }
  - { to: server }`,
    {
      upstream: ` }
  - { name: imap, targets: ${target(imap)} }
  - { name: smtp, targets: ${target(smtp)} }
  - { name: db, targets: ${target(db)} }
  - { name: wild, targets: ${target(wild)}`,
    },
  );
  const said = async (servername: string, protocols: string[] = []): Promise<string> => {
    const client = new Client(tollgate.port, { servername, ca, ...(protocols.length > 0 ? { ALPNProtocols: protocols } : {}) });
    return await client.all();
  };
  assert.equal(await said('mail.example', ['imap']), 'imap');
  assert.equal(await said('mail.example', ['x', 'smtp']), 'smtp');
  assert.equal(await said('mail.example'), 'rest');
  assert.equal(await said('db.example'), 'db');
  assert.equal(await said('a.wild.example', ['imap']), 'wild');
  assert.equal(await said('localhost'), 'rest');
  const other = new Client(tollgate.port, { servername: 'mail.example', ALPNProtocols: ['h2'] });
  await assert.rejects(other.open(), /no application protocol/);
  await until(() => tollgate.accessLog().length === 6);
  const alpn = tollgate.accessLog().map((line) => line.alpn);
  assert.deepEqual(alpn, ['imap', 'smtp', undefined, undefined, 'imap', undefined]);
});

test('a quiet connection is closed when its time is over, one that half speaks is not', async (t) => {
  const origin = await rawOrigin(t, echo);
  const tollgate = await tcpTollgate(t, origin.port, `${tls()}\nroutes: [{ to: server }]`, { top: 'timeouts: { tunnel: 2s }' });
  const [quiet, busy] = [await new Client(tollgate.port).open(), await new Client(tollgate.port).open()];
  quiet.send('x');
  for (let i = 1; i <= 12; i++) {
    busy.send('y');
    await busy.wait(() => busy.text.length === i);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(quiet.ended || quiet.closed);
  assert.ok(!busy.ended && !busy.closed);
  busy.close();
  await until(() => tollgate.accessLog().length === 2);
  assert.equal(tollgate.accessLog()[0]?.reason, 'idle_timeout');
  assert.equal((await tollgate.metrics()).get('tollgate_faults_total{culprit="client",reason="idle_timeout"}') ?? 1, 1);
});

test('a client that resets resets the server; one that goes without a goodbye has said all it said', async (t) => {
  let reset: NodeJS.ErrnoException | null = null;
  const origin = await rawOrigin(t, (socket) => {
    socket.on('error', (error) => {
      reset = error;
    });
  });
  const plain = await tcpTollgate(t, origin.port, 'routes: [{ to: server }]');
  const rude = new Plain(plain.port).send('half a ');
  await until(() => origin.heard[0] === 'half a ');
  rude.socket.resetAndDestroy();
  await until(() => reset !== null);
  assert.equal(reset!.code, 'ECONNRESET');
  await until(() => plain.accessLog().length === 1);
  assert.equal(plain.accessLog()[0]?.reason, 'reset');
  const secured = await tcpTollgate(t, origin.port, `${tls()}\nroutes: [{ to: server }]`);
  const below = connect({ port: secured.port, host: '127.0.0.1', allowHalfOpen: true });
  await once(below, 'connect');
  const client = await new Client(secured.port, { socket: below }).open();
  t.after(() => client.close());
  client.send('no goodbye');
  await until(() => origin.heard[1] === 'no goodbye');
  // The socket below TLS ends, and TLS says nothing.
  below.end();
  await until(() => origin.sockets[1]!.readableEnded);
  origin.sockets[1]!.end();
  await until(() => secured.accessLog().length === 1);
  assert.equal(secured.accessLog()[0]?.reason, 'truncated');
  assert.equal(secured.accessLog()[0]?.bytesIn, 10);
});

test('what a server said before it broke off is delivered', async (t) => {
  const answer = Buffer.alloc(300_000, 'a');
  const origin = await rawOrigin(t, (socket) => {
    socket.pause();
    socket.write(answer, () => setTimeout(() => socket.destroy(), 200));
  });
  const tollgate = await tcpTollgate(t, origin.port, `${tls()}\nroutes: [{ to: server }]`);
  const client = await new Client(tollgate.port).open();
  client.send(Buffer.alloc(4 << 20, 'q'));
  await client.wait(() => client.received.length === answer.length);
  await client.wait(() => client.ended || client.closed);
  await until(() => tollgate.accessLog().length === 1);
  assert.equal(tollgate.accessLog()[0]?.reason, 'upstream_gone');
});

test('connections are listed and ended by command, live on over a reload, and end with a drain, each with its line', async (t) => {
  const origin = await rawOrigin(t, echo);
  const tollgate = await tcpTollgate(t, origin.port, `${tls()}\nroutes: [{ to: server }]`, { top: 'timeouts: { drain: 1s }' });
  const runtime = ['--runtime', `${tollgate.directory}/run`];
  const command = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [PROGRAM, ...args, ...runtime])).stdout;
  const clients = await Promise.all([0, 1, 2].map(() => new Client(tollgate.port).open()));
  const echoes = async (word: string, ...some: readonly Client[]): Promise<void> => {
    for (const client of some) client.send(word);
    await Promise.all(some.map((client) => client.until(word)));
  };
  await echoes('one', ...clients);
  const { list } = JSON.parse(await command('connections', '--json')) as {
    list: { id: string; state: string; listener: string; sni: string }[];
  };
  assert.deepEqual(
    list.map(({ state, listener, sni }) => [state, listener, sni]),
    Array.from({ length: 3 }, () => ['tunnel', 'raw', 'localhost']),
  );
  await command('reload');
  await echoes('two', ...clients);
  await command('connections', list[0]!.id, '--close');
  await until(() => clients.some((client) => client.ended || client.closed));
  const left = clients.filter((client) => !client.ended && !client.closed);
  assert.equal(left.length, 2);
  await echoes('three', ...left);
  tollgate.child.kill('SIGTERM');
  await Promise.all(left.map((client) => client.wait(() => client.ended || client.closed)));
  await tollgate.ended();
  assert.deepEqual(
    tollgate.accessLog().map(({ reason }) => reason),
    ['shutdown', 'shutdown', 'shutdown'],
  );
});

test('1,000 connections at once are carried, and descriptors are level after', async (t) => {
  const origin = await rawOrigin(t, greet);
  const tollgate = await tcpTollgate(t, origin.port, `${tls()}\nroutes: [{ to: server }]`);
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = descriptors(worker);
  const clients: Client[] = [];
  for (let i = 0; i < 1_000; i += 50) {
    clients.push(...(await Promise.all(Array.from({ length: 50 }, () => new Client(tollgate.port).open()))));
  }
  for (const client of clients) client.send('EHLO\r\n');
  await Promise.all(clients.map((client) => client.until('250 EHLO\r\n')));
  for (const client of clients) client.close();
  await until(async () => (await tollgate.status()).connections.open === 0);
  await until(() => descriptors(worker) === before);
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_upstream_connections_open'), 0);
});

/** As `rawOrigin`, but nothing is kept of what it hears. */
async function rawOriginUnheard(t: Parameters<typeof rawOrigin>[0], serve: (socket: Socket) => void): Promise<number> {
  const origin = await rawOrigin(t, (socket) => {
    socket.removeAllListeners('data');
    serve(socket);
  });
  return origin.port;
}
