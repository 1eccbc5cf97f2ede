/** Upgraded connections: a WebSocket-like exchange over TLS, byte for byte, with its end on either side. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const UPGRADE = `GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`;

async function chat(t: Parameters<typeof rawOrigin>[0], extra = '') {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', (head: Buffer) => {
      const at = head.indexOf('\r\n\r\n') + 4;
      socket.write(SWITCH);
      if (at < head.length) socket.write(head.subarray(at));
      socket.pipe(socket);
    });
  });
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    config: `${extra}
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
  return { origin, tollgate };
}

test('an upgrade becomes a tunnel: what came behind the request is not lost, and bytes go both ways unchanged', async (t) => {
  const { origin, tollgate } = await chat(t);
  const client = await new Client(tollgate.port).open();
  client.send(`${UPGRADE}early`);
  await client.until('early');
  assert.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.ok(client.text.includes(`Sec-WebSocket-Accept: ${ACCEPT}`));
  assert.match(origin.heard[0]!, /\r\nUpgrade: websocket\r\n/i);
  assert.match(origin.heard[0]!, /\r\nConnection: upgrade\r\n/i);
  const start = client.received.length;
  const message = randomBytes(8 << 20);
  client.send(message);
  await client.wait(() => client.received.length === start + message.length);
  assert.ok(client.received.subarray(start).equals(message));
  assert.equal((await tollgate.metrics()).get('tollgate_tunnels_total'), 1);
  client.close();
  await until(async () => (await tollgate.status()).connections.open === 0);
});

test('the end of one direction passes through, and the other goes on', async (t) => {
  const { origin, tollgate } = await chat(t);
  const client = await new Client(tollgate.port).open();
  client.send(`${UPGRADE}last words`);
  await client.until('last words');
  client.socket.end();
  // The echo ends when its own input does: the client sees that end in turn.
  await client.wait(() => client.ended);
  assert.equal(origin.sockets[0]!.readableEnded, true);
  await until(async () => (await tollgate.status()).connections.open === 0);
});

test('a quiet tunnel is closed when its time is over', async (t) => {
  const { tollgate } = await chat(t, 'timeouts: { tunnel: 500ms }');
  const client = await new Client(tollgate.port).open();
  client.send(`${UPGRADE}x`);
  await client.until('\r\n\r\nx');
  await client.wait(() => client.ended || client.closed);
});

test('a server that does not switch answers as usual, and one that switches unasked is refused', async (t) => {
  const polite = await httpOrigin(t, (_request, response) => response.writeHead(426, { upgrade: 'websocket' }).end('no'));
  const tollgate = await Tollgate.start(t, { to: polite.port });
  const text = await exchange(tollgate.port, UPGRADE.replace('Connection: Upgrade', 'Connection: Upgrade, close'));
  assert.match(text, /^HTTP\/1\.1 426 /);
  const rude = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.write(SWITCH));
  });
  const other = await Tollgate.start(t, { to: rude.port });
  assert.match(await exchange(other.port, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 502 /);
});
