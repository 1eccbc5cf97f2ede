/** Bytes through TLS towards servers: bodies by hash, tunnels, ends with and without a goodbye, and the header in front of it all. */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { authority, server } from './support/server-certificates.ts';
import { PIECE_BYTES, Plain, pieces } from './support/tcp.ts';
import { residentBytes, Tollgate, until } from './support/tollgate.ts';

const PIECES = 100;
const GROWTH_MAX = 60 << 20;
const SECURE = { cert: server.pem, key: server.keyPem };

async function listen(t: TestContext, listening: Server): Promise<number> {
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  t.after(() => listening.close());
  return (listening.address() as AddressInfo).port;
}

/** A server by TLS that speaks bytes; `before` takes what is in front of the handshake. */
async function secureOrigin(
  t: TestContext,
  serve: (socket: TLSSocket, raw: Socket) => void,
  before: (raw: Socket) => Promise<void> = async () => {},
): Promise<number> {
  return await listen(
    t,
    createServer({ allowHalfOpen: true }, async (raw) => {
      raw.on('error', () => {});
      t.after(() => raw.destroy());
      await before(raw);
      const socket = new TLSSocket(raw, { isServer: true, ...SECURE });
      socket.on('error', () => {});
      serve(socket, raw);
    }),
  );
}

function config(port: number, protocol: 'http' | 'tcp', upstream = ''): string {
  return `
listeners:
  - { name: web, address: "127.0.0.1:PORT", protocol: ${protocol}, routes: [{ to: secure }] }
upstreams:
  - { name: secure, targets: ["127.0.0.1:${port}"], tls: { authorities: ${authority.certificate} }${upstream} }
`;
}

async function pour(stream: NodeJS.WritableStream, hash: Hash, seed: number): Promise<void> {
  for (const piece of pieces(seed, PIECES)) {
    hash.update(piece);
    if (!stream.write(piece)) await once(stream, 'drain');
  }
  stream.end();
}

test('100 MB each way are the same bytes, in bounded memory, as bodies of HTTP', async (t) => {
  const sent = { up: createHash('sha256'), down: createHash('sha256') };
  const got = { up: createHash('sha256'), down: createHash('sha256') };
  const origin = createHttpsServer(SECURE, (asked, answer) => {
    if (asked.method === 'GET') {
      void pour(answer, sent.down, 1);
      return;
    }
    asked.on('data', (data: Buffer) => got.up.update(data));
    asked.on('end', () => answer.end('taken'));
  });
  const port = await listen(t, origin);
  const tollgate = await Tollgate.start(t, { config: config(port, 'http') });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  let most = 0;
  let bytes = 0;
  const down = await new Promise<number>((resolve, reject) => {
    request({ port: tollgate.port }, (answer) => {
      answer.on('data', (data: Buffer) => {
        got.down.update(data);
        bytes += data.length;
        if (bytes % (16 << 20) < data.length) most = Math.max(most, residentBytes(worker));
      });
      answer.on('end', () => resolve(bytes));
      answer.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
  assert.equal(down, PIECES * PIECE_BYTES);
  assert.equal(got.down.digest('hex'), sent.down.digest('hex'));
  const answered = await new Promise<string>((resolve, reject) => {
    const upload = request({ port: tollgate.port, method: 'POST' }, (answer) => {
      answer.on('data', (data) => resolve(String(data)));
    }).on('error', reject);
    void pour(upload, sent.up, 2);
  });
  most = Math.max(most, residentBytes(worker));
  assert.equal(answered, 'taken');
  assert.equal(got.up.digest('hex'), sent.up.digest('hex'));
  assert.ok(most - before < GROWTH_MAX, `grew by ${most - before}`);
});

test('100 MB each way at once are the same bytes, for plain clients of protocol tcp, and ends are passed on', async (t) => {
  const sent = { up: createHash('sha256'), down: createHash('sha256') };
  const got = { up: createHash('sha256'), down: createHash('sha256') };
  let heard = 0;
  const port = await secureOrigin(t, (socket) => {
    socket.on('data', (data: Buffer) => {
      got.up.update(data);
      heard += data.length;
    });
    void pour(socket, sent.down, 3);
  });
  const tollgate = await Tollgate.start(t, { config: config(port, 'tcp') });
  const plain = new Plain(tollgate.port);
  t.after(() => plain.close());
  plain.socket.removeAllListeners('data');
  plain.socket.on('data', (data: Buffer) => got.down.update(data));
  await pour(plain.socket, sent.up, 4);
  await until(() => plain.ended && heard === PIECES * PIECE_BYTES);
  assert.equal(got.down.digest('hex'), sent.down.digest('hex'));
  assert.equal(got.up.digest('hex'), sent.up.digest('hex'));
  await until(() => tollgate.accessLog().length === 1);
  assert.equal(tollgate.accessLog()[0]!.reason, undefined);
});

test('an upgrade becomes a tunnel through TLS', async (t) => {
  const port = await secureOrigin(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
      socket.on('data', (data: Buffer) => socket.write(data));
    });
  });
  const tollgate = await Tollgate.start(t, { config: config(port, 'http') });
  const client = new Plain(tollgate.port).send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  t.after(() => client.close());
  await until(() => client.text.endsWith('\r\n\r\nhello'));
  client.send(' and hello again');
  await until(() => client.text.endsWith('hello and hello again'));
});

test('an answer that ends with its connection is whole behind a goodbye, and cut without one', async (t) => {
  let rude = false;
  const port = await secureOrigin(t, (socket, raw) => {
    socket.once('data', () => {
      socket.write('HTTP/1.0 200 OK\r\n\r\nas much as there is', () => {
        if (rude) raw.end();
        else socket.end();
      });
    });
  });
  const tollgate = await Tollgate.start(t, { config: config(port, 'http') });
  const ask = async (): Promise<Plain> => {
    const client = new Plain(tollgate.port).send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => client.ended || client.closed);
    client.close();
    return client;
  };
  assert.match((await ask()).text, /as much as there is\r\n0\r\n\r\n$/);
  rude = true;
  assert.doesNotMatch((await ask()).text, /0\r\n\r\n$/);
  await until(() => tollgate.accessLog().length === 2);
  assert.deepEqual(
    tollgate.accessLog().map(({ status, reason }) => [status, reason]),
    [
      [200, undefined],
      [200, 'server_tls_truncated'],
    ],
  );
});

test('a PROXY header stands in front of the handshake', async (t) => {
  let header = '';
  const port = await secureOrigin(
    t,
    (socket) => {
      socket.on('data', (data: Buffer) => socket.end(`heard ${data}`));
    },
    async (raw) => {
      await once(raw, 'readable');
      let byte = raw.read(1) as Buffer | null;
      while (byte !== null && !header.endsWith('\r\n')) {
        header += byte.toString('latin1');
        if (!header.endsWith('\r\n')) byte = raw.read(1) as Buffer | null;
      }
    },
  );
  const tollgate = await Tollgate.start(t, { config: config(port, 'tcp', ', proxyProtocol: v1') });
  const client = new Plain(tollgate.port).send('words');
  await until(() => client.text === 'heard words');
  client.close();
  assert.match(header, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/);
});
