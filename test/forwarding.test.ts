/** What a route and a listener change on the way through: fields, Host, Location, cookies, redirects, answers of our own, trust. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

function configOf(listener: string, origin: number): string {
  const { certificate, key } = leaf(['localhost', 'shop.example']);
  return `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
${listener}
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`;
}

function head(text: string): string {
  return text.slice(0, text.indexOf('\r\n\r\n') + 2);
}

test('fields are set, added and removed on both ways, with variables', async (t) => {
  const origin = await httpOrigin(t, (_request, response) =>
    response.writeHead(200, { server: 'secret/1.0', 'x-powered-by': 'x' }).end('ok'),
  );
  const tollgate = await Tollgate.start(t, {
    config: configOf(
      `    routes:
      - name: main
        to: origin
        headers:
          request:
            set: { X-Tls: "{tls.version} {tls.sni}", X-Where: "{listener}/{route}/{request.method} {request.host} {request.path} {request.target}" }
            add: { X-Kept: "two" }
            remove: [x-secret, Cookie]
          response:
            set: { Server: "tollgate", X-Request: "{request.id} {client.address} {target}" }
            remove: [X-Powered-By]`,
      origin.port,
    ),
  });
  const text = await exchange(
    tollgate.port,
    'GET /a/b?c=1 HTTP/1.1\r\nHost: localhost:1\r\nX-Tls: forged\r\nX-SECRET: 1\r\ncookie: a=b\r\nX-Kept: one\r\nConnection: close\r\n\r\n',
  );
  const { headers } = origin.requests[0]!;
  assert.equal(headers['x-tls'], 'TLSv1.3 localhost');
  assert.equal(headers['x-where'], 'web/main/GET localhost /a/b /a/b?c=1');
  assert.equal(headers['x-kept'], 'one, two');
  assert.equal(headers['x-secret'], undefined);
  assert.equal(headers.cookie, undefined);
  assert.match(head(text), /\r\nServer: tollgate\r\n/);
  assert.doesNotMatch(text, /secret|powered/i);
  assert.match(
    head(text),
    new RegExp(`\\r\\nX-Request: ${String(headers['x-request-id'])} 127\\.0\\.0\\.1 127\\.0\\.0\\.1:${origin.port}\\r\\n`),
  );
});

test('Host is rewritten, and what the server then says of itself is mended', async (t) => {
  const origin = await httpOrigin(t, (_request, response) =>
    response
      .writeHead(302, {
        location: 'http://app.internal:8080/next?a=1',
        'set-cookie': ['a=1; Path=/; Domain=app.internal', 'b=2; Secure'],
      })
      .end(),
  );
  const tollgate = await Tollgate.start(t, { config: configOf('    routes: [{ to: origin, host: "app.internal:8080" }]', origin.port) });
  const text = await exchange(tollgate.port, `GET / HTTP/1.1\r\nHost: localhost:${tollgate.port}\r\nConnection: close\r\n\r\n`);
  assert.equal(origin.requests[0]!.headers.host, 'app.internal:8080');
  assert.equal(origin.requests[0]!.headers['x-forwarded-host'], `localhost:${tollgate.port}`);
  assert.match(head(text), new RegExp(`\\r\\nLocation: https://localhost:${tollgate.port}/next\\?a=1\\r\\n`));
  assert.match(head(text), /\r\nSet-Cookie: a=1; Path=\/; Secure\r\nSet-Cookie: b=2; Secure\r\n/);
});

test('mend: false leaves the answer as it came', async (t) => {
  const origin = await httpOrigin(t, (_request, response) =>
    response.writeHead(302, { location: 'http://localhost/', 'set-cookie': 'a=1' }).end(),
  );
  const tollgate = await Tollgate.start(t, { config: configOf('    routes: [{ to: origin, mend: false }]', origin.port) });
  const text = await exchange(tollgate.port, GET);
  assert.match(head(text), /\r\nLocation: http:\/\/localhost\/\r\n/i);
  assert.match(head(text), /\r\nset-cookie: a=1\r\n/i);
});

test('a trusted proxy is believed, and its lists are extended; HSTS, Forwarded and traceparent', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, {
    config: configOf(
      `    trustedProxies: [127.0.0.0/8, "::1"]
    forwarded: both
    traceparent: true
    hsts: { maxAge: 365d, includeSubDomains: true }
    routes: [{ match: { path: /x* }, to: origin }]`,
      origin.port,
    ),
  });
  const text = await exchange(
    tollgate.port,
    'GET /x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.7, ::ffff:127.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Prefix: /p\r\nForwarded: for=6.6.6.6\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: close\r\n\r\n',
  );
  const { headers } = origin.requests[0]!;
  assert.equal(headers['x-forwarded-for'], '6.6.6.6, 198.51.100.7, ::ffff:127.0.0.9, 127.0.0.1');
  assert.equal(headers['x-real-ip'], '198.51.100.7');
  assert.equal(headers['x-forwarded-proto'], 'http');
  assert.equal(headers['x-forwarded-host'], 'shop.example');
  assert.equal(headers['x-forwarded-port'], '80');
  assert.equal(headers['x-forwarded-prefix'], '/p');
  assert.equal(headers.forwarded, 'for=6.6.6.6, for=127.0.0.1;host=shop.example;proto=http');
  assert.match(String(headers.traceparent), /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  assert.match(head(text), /\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\n/);
  assert.match(await exchange(tollgate.port, GET), /^HTTP\/1\.1 404 [\s\S]*\r\nStrict-Transport-Security: max-age=31536000/);
  await until(() => tollgate.accessLog().length === 2);
  const [line] = tollgate.accessLog();
  assert.equal(line!.client, '198.51.100.7');
  assert.equal(line!.peer, '127.0.0.1');
  assert.equal(line!.tls, 'TLSv1.3');
});

test('a host that another certificate is for is not served on this connection', async (t) => {
  const origin = await httpOrigin(t, (request, response) => response.end(`<${request.headers.host}>`));
  const [one, two] = [leaf(['one.example', '*.one.example']), leaf(['two.example'])];
  const tollgate = await Tollgate.start(t, {
    config: configOf('    routes: [{ to: origin }]', origin.port).replace(
      /certificates: .*\]/,
      `certificates: [{ certificate: ${one.certificate}, key: ${one.key} }, { certificate: ${two.certificate}, key: ${two.key} }]`,
    ),
  });
  const client = await new Client(tollgate.port, { servername: 'one.example' }).open();
  const statusFor = async (host: string): Promise<string> => {
    const from = client.text.length;
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.wait(() => /\r\n\r\n/.test(client.text.slice(from)) || client.ended);
    return client.text.slice(from + 9, from + 12);
  };
  for (const host of ['one.example', 'ONE.example:8443', 'a.one.example', 'one.example.', 'stranger.example', '127.0.0.1']) {
    assert.equal(await statusFor(host), '200', host);
  }
  assert.equal(await statusFor('Two.example'), '421');
  assert.equal(origin.requests.length, 6);
  const unnamed = await new Client(tollgate.port, { servername: '', checkServerIdentity: () => undefined }).open();
  unnamed.send('GET / HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n');
  assert.match(await unnamed.all(), /^HTTP\/1\.1 200 /, 'who names no server may ask for any');
});

test('redirects, fixed responses and error pages', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const pages = leaf(['localhost']).certificate.replace(/[^/]*$/, '');
  writeFileSync(`${pages}/missing.html`, '<h1>nothing here</h1>\n');
  const tollgate = await Tollgate.start(t, {
    config: configOf(
      `    errorPages: { "404": ${pages}missing.html }
    routes:
      - { match: { path: /old/* }, redirect: { to: "https://new.example{request.target}", status: 301 }, headers: { response: { set: { Cache-Control: no-store } } } }
      - { match: { path: /health }, respond: { body: "fine\\n" }, headers: { response: { set: { Content-Type: text/x }, add: { X-Id: "{route} {request.id}" } } } }
      - { match: { path: /empty }, respond: { status: 204 } }
      - { match: { path: /gone }, respond: { status: 410, type: text/html, body: "<p>gone</p>" } }`,
      origin.port,
    ).replace('listeners:\n', 'listeners:\n  - { name: plain, address: "127.0.0.1:0", redirect: https }\n'),
  });
  const client = await new Client(tollgate.port).open();
  const ask = async (request: string, until: string): Promise<string> => {
    const from = client.text.length;
    client.send(request);
    await client.wait(() => client.text.slice(from).includes(until));
    return client.text.slice(from);
  };
  const moved = await ask('GET /old/a?b=1 HTTP/1.1\r\nHost: localhost\r\n\r\n', '\r\n\r\n');
  assert.match(moved, /^HTTP\/1\.1 301 Moved Permanently\r\n[\s\S]*\r\nLocation: https:\/\/new\.example\/old\/a\?b=1\r\n/);
  assert.match(moved, /\r\nDate: \w{3}, \d\d \w{3} \d{4} /);
  assert.match(moved, /\r\nCache-Control: no-store\r\n/);
  assert.match(
    await ask('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n', 'fine\n'),
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 5\r\n/,
  );
  const asked = await ask('HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n', '\r\n\r\n');
  assert.match(asked, /Content-Length: 5\r\n[\s\S]*\r\n\r\n$/);
  // What a route says of its answers holds for those that nobody else gives, too.
  assert.match(asked, /\r\nX-Id: web\/2 [0-9a-f]{32}\r\n/);
  assert.deepEqual(asked.match(/^Content-Type: .*$/gm), ['Content-Type: text/x']);
  assert.doesNotMatch(await ask('GET /empty HTTP/1.1\r\nHost: localhost\r\n\r\n', '\r\n\r\n'), /Content-Length/);
  assert.match(await ask('GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n', '</p>'), /^HTTP\/1\.1 410 Gone\r\nContent-Type: text\/html\r\n/);
  assert.match(
    await ask('GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n', '</h1>'),
    /^HTTP\/1\.1 404 Not Found\r\nContent-Type: text\/html; charset=utf-8\r\n/,
  );
  // A body that nobody reads ends the connection behind the answer.
  const text = await exchange(tollgate.port, 'POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello');
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n/);
  client.close();
  const plain = (await tollgate.status()).listeners.find(({ name }) => name === 'plain')!.address;
  const answer = await fetch(`http://${plain}/a/b?c=1`, { redirect: 'manual' });
  assert.equal(answer.status, 308);
  assert.equal(answer.headers.get('location'), 'https://127.0.0.1/a/b?c=1');
});

test('bodies over their bound are refused: announced, chunked, and a server’s', async (t) => {
  const origin = await rawOrigin(t, (socket, index) => {
    socket.once('data', () => {
      if (index === 0) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n${'x'.repeat(2_000)}`);
      else socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      if (index === 1) socket.write(`7d0\r\n${'x'.repeat(2_000)}\r\n0\r\n\r\n`);
    });
  });
  const tollgate = await Tollgate.start(t, {
    config: configOf('    routes: [{ to: origin, requestBody: { max: 1KiB }, responseBody: { max: 1KiB } }]', origin.port),
  });
  const announced = await exchange(tollgate.port, `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1025\r\n\r\n${'x'.repeat(1_025)}`);
  assert.match(announced, /^HTTP\/1\.1 413 /);
  assert.equal(origin.heard.length, 0);
  assert.match(await exchange(tollgate.port, GET), /^HTTP\/1\.1 502 /);
  assert.doesNotMatch(await exchange(tollgate.port, GET), /0\r\n\r\n$/, 'a cut body never looks whole');
  const chunk = `400\r\n${'x'.repeat(1_024)}\r\n`;
  const chunked = await exchange(
    tollgate.port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
  );
  assert.match(chunked, /^HTTP\/1\.1 413 /);
  await until(() => tollgate.accessLog().length === 4);
  assert.deepEqual(
    tollgate.accessLog().map((line) => line.reason),
    ['body_too_large', 'response_too_large', 'response_too_large', 'body_too_large'],
  );
});

test('nonsense in the new settings is named with its place', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const path = `${tollgate.directory}/bad.yaml`;
  writeFileSync(
    path,
    `listeners:
  - name: web
    address: 127.0.0.1:1
    trustedProxies: [10.0.0.1/8, nonsense, "::/129"]
    hsts: 1d
    errorPages: { "200": a.html, "404": missing.html }
    routes:
      - { to: origin, redirect: https }
      - { match: { path: /a } }
      - { match: { path: /b }, redirect: "ftp://x" }
      - match: { path: /c }
        to: origin
        host: "a b"
        headers: { request: { set: { Content-Length: "1", "a b": c, X-A: "{nope}" } }, response: { set: { X-B: "{request.path}" } } }
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
  );
  let errors = '';
  try {
    tollgate.command('check', path);
  } catch (error) {
    errors = String((error as { stderr?: unknown }).stderr) + String((error as { stdout?: unknown }).stdout);
  }
  for (const expected of [
    /trustedProxies\[0\].*the network is 10\.0\.0\.0\/8/,
    /trustedProxies\[1\].*expected a network/,
    /trustedProxies\[2\].*128 at most/,
    /errorPages\["200"\].*expected a status from 400/,
    /routes\[0\].*one of to, redirect, respond; found to, redirect/,
    /routes\[1\].*found none/,
    /host: found 'a b'/,
    /Content-Length says where a message ends/,
    /expected a field name/,
    /no variable is named 'nope'/,
    /\{request\.path\} is gone when the answer comes/,
  ]) {
    assert.match(errors, expected);
  }
});

test('a target with a name of several addresses is reached at the one that answers, from the address that was asked for', async (t) => {
  const seen: (string | undefined)[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    seen.push(request.socket.remoteAddress);
    response.end('ok');
  });
  // localhost is ::1 as well, where nobody listens on this port.
  const config = configOf('    routes: [{ to: origin }]', origin.port).replace(
    /targets: .*\]/,
    `targets: ["localhost:${origin.port}"], sourceAddress: ["127.0.0.55", "::1"]`,
  );
  const tollgate = await Tollgate.start(t, { config });
  assert.match(await exchange(tollgate.port, GET), /^HTTP\/1\.1 200 /);
  assert.deepEqual(seen, ['127.0.0.55']);
  assert.equal((await tollgate.status()).upstreams[0]!.targets[0]!.failures, 0);
});
