/** Compression on the way to the client: what is, what is not, and that it is the same bytes in the end. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:https';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { ca, leaf } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const PAGE = Array.from({ length: 4_000 }, (_, i) => `<li>item ${i} ${createHash('md5').update(String(i)).digest('hex')}</li>`).join('\n');

function configOf(compress: string, origin: number): string {
  const { certificate, key } = leaf(['localhost']);
  return `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin, compress: ${compress} }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

async function get(port: number, path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const sent = request({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca,
      path,
      headers: { Host: 'localhost', ...headers },
      method,
      agent: false,
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (data: Buffer) => parts.push(data));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }));
      response.on('error', reject);
    });
    sent.end();
  });
}

test('text is compressed in the coding the client likes best, and is the same text', async (t) => {
  const big = randomBytes(3 << 20).toString('base64');
  const origin = await httpOrigin(t, (message, response) => {
    const body = message.url === '/big' ? big : PAGE;
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      etag: '"v1"',
      'accept-ranges': 'bytes',
      ...(message.url === '/chunked' ? {} : { 'content-length': Buffer.byteLength(body) }),
    });
    response.end(body);
  });
  const tollgate = await Tollgate.start(t, { config: configOf('true', origin.port) });
  for (const [accept, coding, decode] of [
    ['gzip', 'gzip', gunzipSync],
    ['gzip, br', 'br', brotliDecompressSync],
    ['gzip, deflate, br, zstd', 'zstd', zstdDecompressSync],
  ] as const) {
    for (const path of ['/', '/chunked', '/big']) {
      const { headers, body } = await get(tollgate.port, path, { 'Accept-Encoding': accept });
      assert.equal(headers['content-encoding'], coding);
      assert.equal(headers.vary, 'Accept-Encoding');
      assert.equal(headers.etag, 'W/"v1"');
      assert.equal(headers['content-length'], undefined);
      assert.equal(headers['accept-ranges'], undefined);
      assert.equal(decode(body).toString(), path === '/big' ? big : PAGE, `${coding} ${path}`);
      if (path !== '/big') assert.ok(body.length < PAGE.length * 0.7, `${body.length} of ${PAGE.length}`);
    }
  }
  const plain = await get(tollgate.port, '/');
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(plain.headers.vary, 'Accept-Encoding');
  assert.equal(plain.headers.etag, '"v1"');
  assert.equal(plain.body.toString(), PAGE);
});

test('what must not be compressed is not', async (t) => {
  const origin = await httpOrigin(t, (message, response) => {
    const kinds: Readonly<Record<string, Record<string, string>>> = {
      '/png': { 'content-type': 'image/png' },
      '/encoded': { 'content-type': 'text/html', 'content-encoding': 'x-own' },
      '/fixed': { 'content-type': 'text/html', 'cache-control': 'private, no-transform' },
      '/cookie': { 'content-type': 'text/html', 'set-cookie': 'a=1' },
      '/events': { 'content-type': 'text/event-stream' },
      '/short': { 'content-type': 'text/html', 'content-length': '2' },
      '/part': { 'content-type': 'text/html', 'content-range': 'bytes 0-1/2' },
    };
    response.writeHead(message.url === '/part' ? 206 : 200, kinds[message.url!] ?? { 'content-type': 'text/html' });
    response.end(message.url === '/short' ? 'ok' : PAGE);
  });
  const tollgate = await Tollgate.start(t, { config: configOf('true', origin.port) });
  for (const path of ['/png', '/encoded', '/fixed', '/cookie', '/events', '/part', '/short']) {
    const { headers, body } = await get(tollgate.port, path, { 'Accept-Encoding': 'gzip' });
    assert.notEqual(headers['content-encoding'], 'gzip', path);
    assert.equal(body.length, path === '/short' ? 2 : PAGE.length, path);
  }
  assert.equal((await get(tollgate.port, '/', { 'Accept-Encoding': 'gzip', Cookie: 'session=1' })).headers['content-encoding'], undefined);
  assert.equal((await get(tollgate.port, '/', { 'Accept-Encoding': 'gzip' }, 'HEAD')).body.length, 0);
  assert.equal((await get(tollgate.port, '/', { 'Accept-Encoding': 'gzip' })).headers['content-encoding'], 'gzip');
});

test('an answer made bit by bit is not held back, a cut one never looks whole, and a client may go', async (t) => {
  const go = Promise.withResolvers<void>();
  const origin = await httpOrigin(t, (message, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('first part\n');
    if (message.url === '/cut') setTimeout(() => response.destroy(), 50);
    else void go.promise.then(() => response.end('second part\n'));
  });
  const tollgate = await Tollgate.start(t, { config: configOf('{ codings: [gzip], minimum: 0B }', origin.port) });
  const client = await new Client(tollgate.port).open();
  client.send('GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n');
  const body = (): Buffer => {
    const at = client.received.indexOf('\r\n\r\n');
    let rest = client.received.subarray(at + 4);
    const parts: Buffer[] = [];
    for (;;) {
      const end = rest.indexOf('\r\n');
      const size = end < 0 ? 0 : Number.parseInt(rest.subarray(0, end).toString(), 16);
      if (size === 0 || rest.length < end + 2 + size) return Buffer.concat(parts);
      parts.push(rest.subarray(end + 2, end + 2 + size));
      rest = rest.subarray(end + 4 + size);
    }
  };
  const partly = (): string => {
    try {
      return gunzipSync(body(), { finishFlush: 2 }).toString();
    } catch {
      return '';
    }
  };
  await client.wait(() => partly() === 'first part\n');
  go.resolve();
  await client.all();
  assert.equal(gunzipSync(body()).toString(), 'first part\nsecond part\n');
  const cut = await new Client(tollgate.port).open();
  cut.send('GET /cut HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n');
  assert.doesNotMatch(await cut.all().catch(() => cut.text), /0\r\n\r\n$/);
  const gone = await new Client(tollgate.port).open();
  gone.send('GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n');
  await gone.until('Content-Encoding');
  gone.close();
  await until(async () => (await tollgate.metrics()).get('tollgate_requests_open') === 0);
});
