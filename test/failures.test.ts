/** What goes wrong around Tollgate: slow and dying clients and servers, nonsense on the wire, and what each side is told. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Client, exchange, plainExchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { residentBytes, Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

test('a server that dies in the middle of a body leaves the client with a cut one, never a clean end', async (t) => {
  const origin = await rawOrigin(t, (socket, index) => {
    socket.once('data', () => {
      socket.write(
        index === 0
          ? 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'
          : 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
        () => socket.destroy(),
      );
    });
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const cut = await exchange(tollgate.port, GET);
  assert.match(cut, /\r\n\r\nabc$/);
  const chunked = await exchange(tollgate.port, GET);
  assert.match(chunked, /3\r\nabc\r\n$/);
  await until(() => tollgate.accessLog().length === 2);
  assert.deepEqual(
    tollgate.accessLog().map((line) => line.reason),
    ['response_truncated', 'response_truncated'],
  );
});

test('a client that dies in the middle of a body ends the request at the server too', async (t) => {
  let received = 0;
  const closed = Promise.withResolvers<void>();
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', (data) => {
      received += data.length;
    });
    socket.on('close', () => closed.resolve());
    socket.on('end', () => socket.destroy());
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000)}`);
  await until(() => received > 1_000);
  client.close();
  await closed.promise;
  assert.ok(received < 10_000);
});

test('a server that refuses is 502, one that is silent 504, one that talks nonsense 502, each with its reason', async (t) => {
  const silent = await rawOrigin(t, () => {});
  const nonsense = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.write('SSH-2.0-OpenSSH_9.2\r\n\r\n'));
  });
  const ambiguous = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'));
  });
  const { leaf } = await import('./support/certificates.ts');
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes:
      - { match: { path: /refused }, to: refused }
      - { match: { path: /silent }, to: silent }
      - { match: { path: /nonsense }, to: nonsense }
      - { match: { path: /ambiguous }, to: ambiguous }
upstreams:
  - { name: refused, targets: ["127.0.0.1:1"] }
  - { name: silent, targets: ["127.0.0.1:${silent.port}"], timeouts: { responseHead: 300ms } }
  - { name: nonsense, targets: ["127.0.0.1:${nonsense.port}"] }
  - { name: ambiguous, targets: ["127.0.0.1:${ambiguous.port}"] }
`,
  });
  const expected = [
    ['/refused', 502, 'connect_refused'],
    ['/silent', 504, 'response_head_timeout'],
    ['/nonsense', 502, 'status_line'],
    ['/ambiguous', 502, 'response_framing'],
  ] as const;
  for (const [path, status] of expected) {
    assert.match(
      await exchange(tollgate.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
      new RegExp(`^HTTP/1\\.1 ${status} `),
    );
  }
  await until(() => tollgate.accessLog().length === 4);
  assert.deepEqual(
    tollgate.accessLog().map((line) => [line.path, line.status, line.reason]),
    expected.map((each) => [...each]),
  );
});

test('a client that takes nothing holds the server back, and memory stays', async (t) => {
  let sent = 0;
  const origin = await httpOrigin(t, (_request, response) => {
    const piece = Buffer.alloc(65_536, 'x');
    const push = (): void => {
      while (sent < 500_000_000) {
        sent += piece.length;
        if (!response.write(piece)) {
          response.once('drain', push);
          return;
        }
      }
    };
    push();
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  const client = await new Client(tollgate.port).open();
  client.socket.pause();
  client.send(GET);
  let last = -1;
  // Until nothing moves any more: the kernel's buffers are full on both sides.
  await until(async () => {
    const still = sent === last;
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return still && sent > 0;
  }, 30_000);
  assert.ok(sent < 100_000_000, `${sent} bytes left the server`);
  assert.ok(residentBytes(worker) - before < 30_000_000);
  client.close();
});

test('half-closed clients get their answer, and half a request is refused', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => {
    setTimeout(() => response.end('late'), 100);
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send(GET);
  client.socket.end();
  assert.match(await client.all(), /late$/);
  const half = await new Client(tollgate.port).open();
  half.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc');
  half.socket.end();
  assert.match(await half.all(), /^HTTP\/1\.1 400 /);
});

test('an answer before the request is whole reaches the client, and the connection ends behind it', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig'));
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const text = await exchange(
    tollgate.port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n${'x'.repeat(100_000)}`,
  );
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.match(text, /Connection: close\r\n\r\nbig$/);
});

test('a slow request head is answered 408 when its time is over', async (t) => {
  const { leaf } = await import('./support/certificates.ts');
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    config: `
timeouts: { requestHead: 500ms, idle: 600ms }
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
  });
  const client = await new Client(tollgate.port).open();
  client.send('GET / HTTP/1.1\r\nHost: loc');
  assert.match(await client.all(), /^HTTP\/1\.1 408 /);
  const quiet = await new Client(tollgate.port).open();
  assert.equal(await quiet.all(), '', 'silence is worth no answer');
});

test('plain HTTP on the TLS port is told so; what is no TLS at all is closed', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1 });
  const answer = (await plainExchange(tollgate.port, GET)).toString('latin1');
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(answer, /TLS/);
  assert.equal((await plainExchange(tollgate.port, Buffer.alloc(200, 0xee))).length, 0);
  await until(() => tollgate.handshakes().length === 2);
  assert.deepEqual(
    tollgate.handshakes().map((line) => [line.reason, line.side]),
    [
      ['plain_http', 'client'],
      ['not_tls', 'client'],
    ],
  );
});

test('a client that connects and goes, or stays silent, costs nothing and leaves nothing', async (t) => {
  const { leaf } = await import('./support/certificates.ts');
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    config: `
timeouts: { handshake: 500ms }
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
  });
  const partial = connect(tollgate.port, '127.0.0.1');
  partial.on('connect', () => partial.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc])));
  await new Promise((resolve) => partial.once('close', resolve).resume());
  const silent = connect(tollgate.port, '127.0.0.1');
  await new Promise((resolve) => silent.once('close', resolve).resume());
  for (let i = 0; i < 20; i++) {
    const gone = connect(tollgate.port, '127.0.0.1');
    await new Promise((resolve) => gone.once('connect', resolve));
    gone.destroy();
  }
  await until(async () => (await tollgate.status()).connections.open === 0);
  assert.deepEqual(
    tollgate.handshakes().map((line) => line.reason),
    ['hello_timeout'],
  );
});
