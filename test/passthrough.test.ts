/** TLS that goes through untouched, by the name and protocols of its ClientHello, on ports that terminate other names. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { caPath, leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { PIECE_BYTES, Plain, pieces, tcpTollgate, tls } from './support/tcp.ts';
import { testPort } from './support/test-port.ts';
import { descriptors, residentBytes, until } from './support/tollgate.ts';

const run = promisify(execFile);

/** A server that speaks TLS itself. */
async function tlsOrigin(t: TestContext, name: string, serve: (socket: TLSSocket) => void, ALPNProtocols: string[] = []) {
  const { certificate, key } = leaf([name]);
  const options = { cert: readFileSync(certificate), key: readFileSync(key), allowHalfOpen: true };
  const sockets: TLSSocket[] = [];
  const server = createServer(ALPNProtocols.length > 0 ? { ...options, ALPNProtocols } : options, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => {});
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return { port: address.port, sockets };
}

const said = async (port: number, servername: string, more = {}): Promise<string> => await new Client(port, { servername, ...more }).all();

test('names are passed through and terminated on one http port, and who names nobody is terminated', async (t) => {
  const far = await tlsOrigin(t, 'far.example', (socket) => void socket.end('far'));
  const wild = await tlsOrigin(t, 'a.wild.example', (socket) => void socket.end('wild'));
  const h2 = await tlsOrigin(t, 'both.example', (socket) => void socket.end('h2'), ['h2']);
  const web = await httpOrigin(t, (_request, response) => response.end('terminated'));
  const tollgate = await tcpTollgate(
    t,
    web.port,
    `protocol: http
${tls(['localhost', 'both.example', 'far.example'])}
passthrough:
  - { match: { sni: far.example }, to: far }
  - { match: { sni: "*.wild.example" }, to: wild }
  - { match: { sni: both.example, alpn: h2 }, to: h2 }
routes: [{ to: server }]`,
    {
      upstream: ` }
  - { name: far, targets: ["127.0.0.1:${far.port}"] }
  - { name: wild, targets: ["127.0.0.1:${wild.port}"] }
  - { name: h2, targets: ["127.0.0.1:${h2.port}"]`,
    },
  );
  assert.equal(await said(tollgate.port, 'far.example'), 'far');
  assert.equal(await said(tollgate.port, 'a.wild.example'), 'wild');
  assert.equal(await said(tollgate.port, 'both.example', { ALPNProtocols: ['http/1.1', 'h2'] }), 'h2');
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  assert.match(await exchange(tollgate.port, request, { servername: 'both.example', ALPNProtocols: ['http/1.1'] }), /terminated$/);
  assert.match(await exchange(tollgate.port, request), /terminated$/);
  assert.match(await exchange(tollgate.port, request, { servername: '', checkServerIdentity: () => undefined }), /terminated$/);
  // The certificate is the server's own: the client's private view of it says so.
  const seen = await run('sh', [
    '-c',
    `openssl s_client -connect 127.0.0.1:${tollgate.port} -servername far.example -CAfile ${caPath} </dev/null 2>&1`,
  ]);
  assert.match(seen.stdout, /subject=CN ?= ?far\.example/);
  assert.match(seen.stdout, /Verify return code: 0 \(ok\)/);
  await until(() => tollgate.accessLog().length >= 7);
  const passed = tollgate.accessLog().find(({ sni, bytesIn }) => sni === 'far.example' && bytesIn !== undefined);
  assert.equal(passed?.tls, undefined);
  assert.equal(passed?.upstream, `127.0.0.1:${far.port}`);
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_tcp_connections_total{tls="passthrough"}'), 4);
  assert.equal(metrics.get('tollgate_handshakes_open'), 0);
});

test('a port that terminates nothing needs no certificate, refuses names it does not know, and takes hellos in pieces', async (t) => {
  const far = await tlsOrigin(t, 'far.example', (socket) => void socket.end('far'));
  const tollgate = await tcpTollgate(t, far.port, 'passthrough: [{ match: { sni: far.example }, to: server }]');
  assert.equal(await said(tollgate.port, 'far.example'), 'far');
  await assert.rejects(new Client(tollgate.port, { servername: 'other.example' }).open(), /unrecognized name/);
  await until(() => tollgate.handshakes().length === 1);
  assert.equal(tollgate.handshakes()[0]?.reason, 'unknown_name');
  assert.equal(tollgate.handshakes()[0]?.sni, 'other.example');
  // Byte by byte: the hello is whole when its last byte is there, and the server sees all of it.
  const between = await rawOrigin(t, (socket) => {
    const onward = connect(tollgate.port, '127.0.0.1');
    onward.setNoDelay(true);
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
    let chain = Promise.resolve();
    socket.on('data', (data: Buffer) => {
      chain = chain.then(async () => {
        for (let at = 0; at < data.length; at += 7) {
          onward.write(data.subarray(at, at + 7));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    });
    onward.pipe(socket);
  });
  assert.equal(await said(between.port, 'far.example'), 'far');
  const nonsense = new Plain(tollgate.port).send('GET / HTTP/1.1\r\n\r\n');
  await until(() => nonsense.ended || nonsense.closed);
});

test('openssl s_client meets openssl s_server behind it, and who dies on either side leaves nothing', async (t) => {
  const { certificate, key } = leaf(['far.example']);
  const port = await testPort();
  const server = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', certificate, '-key', key, '-rev', '-quiet'], {
    stdio: 'ignore',
  });
  t.after(() => server.kill('SIGKILL'));
  const tollgate = await tcpTollgate(
    t,
    port,
    `${tls()}
passthrough: [{ match: { sni: "*.example" }, to: server }]
routes: [{ to: server }]`,
  );
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = descriptors(worker);
  await until(
    async () =>
      await new Promise<boolean>((resolve) => {
        const probe = connect(port, '127.0.0.1', () => resolve(probe.destroy() !== undefined));
        probe.once('error', () => resolve(false));
      }),
  );
  const command = `(echo olleh; sleep 1; echo CLOSE) | openssl s_client -connect 127.0.0.1:${tollgate.port} -servername far.example -CAfile ${caPath} -verify_return_error -quiet 2>&1`;
  assert.match((await run('sh', ['-c', command])).stdout, /hello/);
  // A client that dies within its hello, behind it, and within the conversation.
  const hello = new Plain(tollgate.port).send(Buffer.from('160301020001', 'hex'));
  hello.socket.once('connect', () => hello.socket.end());
  const below = connect(tollgate.port, '127.0.0.1');
  await once(below, 'connect');
  const died = await new Client(tollgate.port, { servername: 'far.example', socket: below }).open();
  died.socket.write('x');
  below.resetAndDestroy();
  server.kill('SIGKILL');
  await once(server, 'exit');
  // And a server that is not there any more.
  const refused = new Client(tollgate.port, { servername: 'far.example' });
  await refused.wait(() => refused.closed || refused.ended || refused.failure !== null);
  await until(async () => (await tollgate.status()).connections.open === 0);
  await until(() => descriptors(worker) === before);
  await until(() => tollgate.accessLog().some(({ reason }) => reason === 'connect_refused'));
});

test('256 MB pass through unchanged, in bounded memory', async (t) => {
  const sent = createHash('sha256');
  const far = await tlsOrigin(t, 'far.example', (socket) => {
    void (async () => {
      for (const piece of pieces(3, 256)) {
        sent.update(piece);
        if (!socket.write(piece)) await once(socket, 'drain');
      }
      socket.end();
    })();
  });
  const tollgate = await tcpTollgate(t, far.port, 'passthrough: [{ to: server }]');
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  const client = await new Client(tollgate.port, { servername: 'far.example' }).open();
  const got = createHash('sha256');
  let length = client.received.length;
  got.update(client.received);
  client.socket.removeAllListeners('data');
  client.socket.on('data', (data: Buffer) => {
    got.update(data);
    length += data.length;
  });
  await client.wait(() => client.ended, 300_000);
  assert.equal(length, 256 * PIECE_BYTES);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  assert.ok(residentBytes(worker) - before < 60 << 20);
});
