/** Apache, nginx, Caddy, gunicorn and Node behind Tollgate: what each does passes, byte for byte, and its ends of connections never show. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ca, leaf } from './support/certificates.ts';
import { apache, type Content, caddy, gunicorn, KEPT_REQUESTS, KEPT_S, nginx } from './support/servers.ts';
import { Tollgate } from './support/tollgate.ts';

const CONTENT: Content = { small: 'a small thing\n', large: randomBytes(1 << 20) };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly continued: boolean;
}

/** A server, by the host that leads to it. */
interface Server {
  readonly name: string;
  /** Serves files: knows ranges and validators, and refuses uploads. Else it is an application with /digest, /stream and /status/N. */
  readonly files: boolean;
  readonly start: (t: TestContext) => Promise<number>;
}

async function node(t: TestContext): Promise<number> {
  const server = createServer((message, response) => {
    const { method, url = '' } = message;
    if (url === '/small' || url === '/large') {
      const data = url === '/small' ? Buffer.from(CONTENT.small) : CONTENT.large;
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': data.length }).end(method === 'HEAD' ? undefined : data);
    } else if (url === '/moved') response.writeHead(302, { location: '/small' }).end();
    else if (url === '/cookies') response.writeHead(200, { 'set-cookie': ['a=1; Path=/', 'b=2; Secure; HttpOnly'] }).end('ok');
    else if (url === '/digest') {
      const hash = createHash('sha256');
      let length = 0;
      message.on('data', (data: Buffer) => {
        hash.update(data);
        length += data.length;
      });
      message.on('end', () => response.end(`${length} ${hash.digest('hex')}`));
    } else if (url === '/stream') {
      for (let i = 0; i < 100; i++) response.write(`part ${i}\n`);
      response.end();
    } else if (url.startsWith('/status/')) response.writeHead(Number(url.slice(8))).end();
    else response.writeHead(404).end('missing');
  });
  server.keepAliveTimeout = KEPT_S * 1_000;
  server.maxRequestsPerSocket = KEPT_REQUESTS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const SERVERS: readonly Server[] = [
  { name: 'apache', files: true, start: (t) => apache(t, CONTENT) },
  { name: 'nginx', files: true, start: (t) => nginx(t, CONTENT) },
  { name: 'caddy', files: true, start: (t) => caddy(t, CONTENT) },
  { name: 'gunicorn', files: false, start: (t) => gunicorn(t, CONTENT) },
  { name: 'node', files: false, start: node },
];

class Visitor {
  readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  readonly #host: string;

  constructor(port: number, host: string) {
    this.#port = port;
    this.#host = host;
  }

  async ask(path: string, options: RequestOptions = {}, body: Buffer | null = null): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      let continued = false;
      const headers = { Host: this.#host, ...options.headers };
      const to = { port: this.#port, host: '127.0.0.1', servername: 'localhost', ca, agent: this.agent };
      const sent = request({ ...to, path, ...options, headers });
      sent.on('error', reject);
      sent.on('continue', () => {
        continued = true;
        sent.end(body);
      });
      sent.on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts), continued }),
        );
      });
      if ('Expect' in headers) sent.flushHeaders();
      else sent.end(body);
    });
  }
}

for (const server of SERVERS) {
  test(`${server.name} behind Tollgate`, async (t) => {
    const origin = await server.start(t);
    const { certificate, key } = leaf(['localhost']);
    const tollgate = await Tollgate.start(t, {
      config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ match: { host: ${server.name}.test }, to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`,
    });
    const visitor = new Visitor(tollgate.port, `${server.name}.test`);
    t.after(() => visitor.agent.destroy());

    const small = await visitor.ask('/small');
    assert.equal(small.status, 200);
    assert.equal(small.body.toString(), CONTENT.small);
    const large = await visitor.ask('/large');
    assert.ok(large.body.equals(CONTENT.large));
    const head = await visitor.ask('/large', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, String(CONTENT.large.length), 0]);

    const moved = await visitor.ask('/moved');
    assert.equal(moved.status, 302);
    assert.match(moved.headers.location!, new RegExp(`^(/small|https://${server.name}\\.test/small)$`), 'never back to http');
    const cookies = await visitor.ask('/cookies');
    assert.deepEqual(cookies.headers['set-cookie'], ['a=1; Path=/; Secure', 'b=2; Secure; HttpOnly']);
    assert.equal((await visitor.ask('/no/such')).status, 404);

    if (server.files) await files(visitor);
    else await application(visitor);

    // The server ends a connection after so many requests, and after so much quiet: nobody sees it.
    for (let i = 0; i < 4 * KEPT_REQUESTS; i++) assert.equal((await visitor.ask('/small')).body.toString(), CONTENT.small);
    await new Promise((resolve) => setTimeout(resolve, KEPT_S * 1_000 + 200));
    assert.equal(
      (await visitor.ask('/small', { method: server.files ? 'GET' : 'POST' }, server.files ? null : Buffer.from('x'))).status,
      200,
    );
    const many = Array.from({ length: 20 }, () => new Visitor(tollgate.port, `${server.name}.test`));
    for (const { status } of await Promise.all(many.map((each) => each.ask('/small', { headers: { Connection: 'close' } }))))
      assert.equal(status, 200);
    for (const each of many) each.agent.destroy();
    const reasons = tollgate.accessLog().filter((line) => line.reason !== undefined);
    assert.deepEqual(reasons, [], 'Tollgate itself refused nothing');
  });
}

/** What servers of files know. */
async function files(visitor: Visitor): Promise<void> {
  const part = await visitor.ask('/large', { headers: { Range: 'bytes=1000-1999' } });
  assert.equal(part.status, 206);
  assert.ok(part.body.equals(CONTENT.large.subarray(1_000, 2_000)));
  assert.equal(part.headers['content-range'], `bytes 1000-1999/${CONTENT.large.length}`);
  const parts = await visitor.ask('/large', { headers: { Range: 'bytes=0-9,100-109' } });
  assert.equal(parts.status, 206);
  assert.match(String(parts.headers['content-type']), /^multipart\/byteranges/);
  assert.ok(parts.body.includes(CONTENT.large.subarray(100, 110)));
  assert.equal((await visitor.ask('/large', { headers: { Range: 'bytes=99999999-' } })).status, 416);
  const { etag, 'last-modified': modified } = (await visitor.ask('/small')).headers;
  assert.equal((await visitor.ask('/small', { headers: { 'If-None-Match': etag! } })).status, 304);
  assert.equal((await visitor.ask('/small', { headers: { 'If-Modified-Since': modified! } })).status, 304);
  const refused = await visitor.ask('/small', { method: 'POST' }, CONTENT.large);
  assert.ok(refused.status === 405 || refused.status === 200, `an upload to a file is ${refused.status}`);
}

/** What applications do. */
async function application(visitor: Visitor): Promise<void> {
  const digest = `${CONTENT.large.length} ${createHash('sha256').update(CONTENT.large).digest('hex')}`;
  const byLength = { method: 'PUT', headers: { 'Content-Length': String(CONTENT.large.length) } };
  assert.equal((await visitor.ask('/digest', byLength, CONTENT.large)).body.toString(), digest);
  const inChunks = { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } };
  assert.equal((await visitor.ask('/digest', inChunks, CONTENT.large)).body.toString(), digest);
  const asking = await visitor.ask('/digest', { method: 'POST', headers: { ...byLength.headers, Expect: '100-continue' } }, CONTENT.large);
  assert.equal(asking.continued, true);
  assert.equal(asking.body.toString(), digest);
  const stream = await visitor.ask('/stream');
  assert.equal(stream.body.toString(), Array.from({ length: 100 }, (_, i) => `part ${i}\n`).join(''));
  for (const status of [204, 404, 500, 503]) assert.equal((await visitor.ask(`/status/${status}`)).status, status);
}
