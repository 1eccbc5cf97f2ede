/** HTTP/1.1 through the real program: framing both ways, keep-alive, what is added and what is removed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const CLOSE = 'Connection: close\r\n\r\n';

test('forwarded fields are set, and what a client says of itself is dropped', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  await exchange(
    tollgate.port,
    `GET /a?b=1 HTTP/1.1\r\nHost: shop.example:${tollgate.port}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-ID: mine\r\nForwarded: for=6.6.6.6\r\nX-Secret: 1\r\nConnection: close, x-secret\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-Kept: yes\r\n\r\n`,
  );
  const { headers, url, httpVersion } = origin.requests[0]!;
  assert.equal(url, '/a?b=1');
  assert.equal(httpVersion, '1.1');
  assert.match(String(headers['x-request-id']), /^[0-9a-f]{32}$/);
  const { 'x-request-id': _, ...rest } = headers;
  assert.deepEqual(rest, {
    host: `shop.example:${tollgate.port}`,
    'x-kept': 'yes',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': `shop.example:${tollgate.port}`,
    'x-forwarded-port': String(tollgate.port),
    'x-real-ip': '127.0.0.1',
  });
});

test('ten pipelined requests in one write are answered in order, on one connection', async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    setTimeout(() => response.end(`<${request.url}>`), request.url === '/0' ? 50 : 0);
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const requests = Array.from({ length: 10 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: localhost\r\n${i === 9 ? CLOSE : '\r\n'}`).join('');
  const text = await exchange(tollgate.port, requests);
  assert.deepEqual(
    [...text.matchAll(/<\/(\d)>/g)].map((match) => match[1]),
    Array.from({ length: 10 }, (_, i) => String(i)),
  );
});

test('bodies go both ways by length and in chunks, trailers too, and HEAD, 204 and 304 have none', async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
    else if (request.url === '/trailer') {
      response.writeHead(200, { trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '42' });
      response.end();
    } else if (request.url === '/head') response.writeHead(200, { 'content-length': 5 }).end(request.method === 'HEAD' ? '' : 'hello');
    else {
      let size = 0;
      request.on('data', (data) => {
        size += data.length;
      });
      request.on('end', () =>
        response.end(
          `${size} ${request.headers['content-length'] ?? request.headers['transfer-encoding']} ${JSON.stringify(request.trailers)}`,
        ),
      );
    }
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send('POST /l HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello');
  await client.until('5 5 {}');
  client
    .send('POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;ext="x"\r\nabc\r\n')
    .send('2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n');
  await client.until('5 chunked {"x-sum":"7"}');
  client.send('HEAD /head HTTP/1.1\r\nHost: localhost\r\n\r\nGET /head HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('hello');
  client.send('GET /204 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /304 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('HTTP/1.1 304');
  client.send('GET /trailer HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n');
  await client.until('0\r\nX-Sum: 42\r\n\r\n');
  client.send(`GET /head HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`);
  assert.match(await client.all(), /hello$/);
});

test('a body that ends with the connection is chunked for HTTP/1.1, and ends the same way for HTTP/1.0', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\nDate: x\r\n\r\nabcdef'));
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('0\r\n\r\n');
  assert.match(client.text, /^HTTP\/1\.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n$/);
  assert.equal(client.ended, false, 'the client keeps its connection');
  client.close();
  assert.match(
    await exchange(tollgate.port, 'GET / HTTP/1.0\r\n\r\n'),
    /^HTTP\/1\.1 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nabcdef$/,
  );
});

test('100 Continue and other interim answers go through; a client of HTTP/1.0 gets none', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n');
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const text = await exchange(
    tollgate.port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n${CLOSE}hi`,
  );
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/x>\r\n\r\nHTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  assert.match(await exchange(tollgate.port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\n/);
});

test('a request on a kept connection that died goes out once more, and only when that is safe', async (t) => {
  let connections = 0;
  const origin = await rawOrigin(t, (socket, index) => {
    connections++;
    let requests = 0;
    socket.on('data', () => {
      requests++;
      // The first connection serves one request, and dies on the next.
      if (index === 0 && requests === 2) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send('GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('ok');
  client.send('GET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.wait(() => client.text.split('200 OK').length === 3);
  assert.equal(connections, 2);
  assert.match(origin.heard[1]!, /^GET \/2 /);
  assert.equal((await tollgate.metrics()).get('tollgate_upstream_retries_total'), 1);
  client.close();
});

test('the access log has one line of JSON for every request, and keeps them over a stop', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  for (let i = 0; i < 50; i++) {
    client.send(
      `GET /"${i}\\\u00e9 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a"b\r\n\r\n`.replace(/["\u00e9\\]/g, (each) =>
        encodeURIComponent(each),
      ),
    );
    await client.wait(() => client.text.split('HTTP/1.1 200').length === i + 2);
  }
  client.send('GET / HTTP/1.1\r\nHost : x\r\n\r\n');
  await client.all();
  tollgate.child.kill('SIGTERM');
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  const lines = tollgate.accessLog();
  assert.equal(lines.length, 51);
  const { time, requestId, durationMs, ...first } = lines[0]!;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.match(String(requestId), /^[0-9a-f]{32}$/);
  assert.equal(typeof durationMs, 'number');
  assert.deepEqual(first, {
    client: '127.0.0.1',
    tls: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    sni: 'localhost',
    method: 'GET',
    host: 'localhost',
    path: '/%220%5C%C3%A9',
    userAgent: 'a%22b',
    status: 200,
    bytes: first.bytes,
    upstream: `127.0.0.1:${origin.port}`,
  });
  assert.equal(lines[50]?.status, 400);
  assert.equal(lines[50]?.reason, 'field_name');
});

test('malformed and ambiguous requests are refused, closed, and never reach the server', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const cases: readonly (readonly [string, number])[] = [
    ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx', 400],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    ['POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    ['GET / HTTP/1.1\nHost: a\n\n', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n', 400],
    ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    ['GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 405],
    ['GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n', 417],
    [`GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    [`GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(300)}\r\n`, 431],
  ];
  for (const [bytes, status] of cases) {
    const text = await exchange(tollgate.port, bytes);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(bytes.slice(0, 80)));
    assert.match(text, /\r\nConnection: close\r\n/);
  }
  assert.equal(origin.requests.length, 0);
  // The first part of a body is on its way when the second turns out wrong: the server sees a request that is cut, not a whole one.
  const text = await exchange(tollgate.port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n');
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('routes choose by host and path, targets take turns by weight, and no route is 404', async (t) => {
  const named = (name: string) => httpOrigin(t, (_request, response) => response.end(name));
  const [one, two, three] = [await named('one'), await named('two'), await named('three')];
  const { leaf } = await import('./support/certificates.ts');
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes:
      - { match: { host: shop.example, path: /api/* }, to: api }
      - { match: { host: "*.shop.example" }, to: api }
      - { match: { host: shop.example }, to: web }
upstreams:
  - { name: web, targets: ["127.0.0.1:${one.port}", { address: "127.0.0.1:${two.port}", weight: 3 }] }
  - { name: api, targets: ["127.0.0.1:${three.port}"] }
`,
  });
  const get = async (host: string, path: string) =>
    (await exchange(tollgate.port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}`)).split('\r\n\r\n').at(-1);
  assert.equal(await get('shop.example', '/api/x'), 'three');
  assert.equal(await get('EU.shop.example', '/'), 'three');
  const counts = { one: 0, two: 0 };
  for (let i = 0; i < 8; i++) counts[(await get('shop.example', '/')) as 'one' | 'two']++;
  assert.deepEqual(counts, { one: 2, two: 6 });
  assert.match(await exchange(tollgate.port, `GET / HTTP/1.1\r\nHost: other.example\r\n${CLOSE}`), /^HTTP\/1\.1 404 /);
  await until(async () => (await tollgate.metrics()).get('tollgate_faults_total{reason="no_route",culprit="client"}') === 1);
});

test('an answer without Date gets one, and one that has it keeps it', async (t) => {
  const origin = await rawOrigin(t, (socket, index) => {
    socket.once('data', () =>
      socket.write(`HTTP/1.1 200 OK\r\n${index === 0 ? '' : 'Date: x\r\n'}Content-Length: 0\r\nConnection: close\r\n\r\n`),
    );
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const request = `GET / HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`;
  assert.match(await exchange(tollgate.port, request), /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  assert.deepEqual((await exchange(tollgate.port, request)).match(/Date: .*/g), ['Date: x']);
});
