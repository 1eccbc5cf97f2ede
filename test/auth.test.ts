/** Who must say who they are: passwords, and an authorisation server that is asked; bodies that are held until they are whole. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { Tollgate, until } from './support/tollgate.ts';

const PASSWORD = 'correct horse';

function configOf(route: string, upstreams: Readonly<Record<string, number>>): string {
  const { certificate, key } = leaf(['localhost']);
  return `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ ${route} }]
upstreams:
${Object.entries(upstreams)
  .map(([name, port]) => `  - { name: ${name}, targets: ["127.0.0.1:${port}"] }`)
  .join('\n')}
`;
}

function basic(user: string, password: string): string {
  return `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`;
}

function get(fields = '', path = '/'): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`;
}

async function userFile(): Promise<string> {
  const { makePasswordHash } = await import('../src/config/make-password.ts');
  const path = `${leaf(['localhost']).certificate}.users`;
  const hash = await makePasswordHash(Buffer.from(PASSWORD), 'scrypt');
  writeFileSync(path, `# users\nanna:${hash}\n`, { mode: 0o600 });
  return path;
}

test('passwords: who has one passes, who has not is asked, and many at once share the work', async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    let bytes = 0;
    request.on('data', (data) => {
      bytes += data.length;
    });
    request.on('end', () => response.end(`got ${bytes}`));
  });
  const tollgate = await Tollgate.start(t, {
    config: configOf(`to: origin, basicAuth: { realm: "the office", users: ${await userFile()} }`, { origin: origin.port }),
  });
  const asked = await exchange(tollgate.port, get());
  assert.match(asked, /^HTTP\/1\.1 401 [\s\S]*\r\nWWW-Authenticate: Basic realm="the office", charset="UTF-8"\r\n/);
  for (const wrong of [basic('anna', 'x'), basic('nobody', PASSWORD), 'Authorization: Basic !!!\r\n', 'Authorization: Bearer abc\r\n']) {
    assert.match(await exchange(tollgate.port, get(wrong)), /^HTTP\/1\.1 401 /);
  }
  assert.equal(origin.requests.length, 0);
  const right = basic('anna', PASSWORD);
  const all = await Promise.all(Array.from({ length: 20 }, () => exchange(tollgate.port, get(right))));
  for (const text of all) assert.match(text, /^HTTP\/1\.1 200 [\s\S]*got 0/);
  // A body that comes with the head, and behind it, while the password is verified; and a pipelined request.
  const upload = `POST / HTTP/1.1\r\nHost: localhost\r\n${basic('anna', 'not yet known')}Content-Length: 5\r\n\r\nhello`;
  assert.match(await exchange(tollgate.port, upload), /^HTTP\/1\.1 401 [\s\S]*Connection: close/);
  const client = await new Client(tollgate.port).open();
  client.send(`POST / HTTP/1.1\r\nHost: localhost\r\n${right}Content-Length: 11\r\n\r\nhello `);
  client.send(`world${get(right)}`);
  assert.match(await client.all(), /got 11[\s\S]*got 0/);
  // A client that goes while it is verified leaves nothing behind.
  const gone = await new Client(tollgate.port).open();
  gone.send(get(basic('anna', 'yet another'))).close();
  await until(async () => (await tollgate.metrics()).get('tollgate_requests_open') === 0);
});

test('an authorisation server is asked, and what it says decides', async (t) => {
  const authority = await httpOrigin(t, (request, response) => {
    const { cookie } = request.headers;
    if (cookie === 'session=good') response.writeHead(200, { 'x-user': 'anna', 'set-cookie': 'seen=1', 'x-other': 'no' }).end('welcome');
    else if (cookie === undefined)
      response.writeHead(302, { location: 'https://login.example/', 'set-cookie': 'a=1' }).end('go and log in');
    else response.writeHead(403, { 'content-type': 'application/json' }).write('{"no":');
    if (cookie !== undefined && cookie !== 'session=good') setTimeout(() => response.end('1}'), 20);
  });
  const origin = await httpOrigin(t, (request, response) => {
    let text = '';
    request.on('data', (data) => {
      text += String(data);
    });
    request.on('end', () => response.end(`${request.method} ${request.headers['x-user']} ${text}`));
  });
  const tollgate = await Tollgate.start(t, {
    config: configOf(
      'to: origin, forwardAuth: { to: authority, path: "/verify?app=1", copyToRequest: [X-User], copyToResponse: [Set-Cookie] }',
      {
        origin: origin.port,
        authority: authority.port,
      },
    ),
  });
  const login = await exchange(tollgate.port, get('', '/page?x=1'));
  assert.match(login, /^HTTP\/1\.1 302 [\s\S]*\r\nlocation: https:\/\/login\.example\/\r\n[\s\S]*go and log in$/i);
  const question = authority.requests[0]!;
  assert.equal(`${question.method} ${question.url}`, 'GET /verify?app=1');
  assert.equal(question.headers['x-forwarded-method'], 'GET');
  assert.equal(question.headers['x-forwarded-uri'], '/page?x=1');
  assert.equal(question.headers['x-forwarded-host'], 'localhost');
  assert.match(
    await exchange(tollgate.port, get('Cookie: session=bad\r\n')),
    /^HTTP\/1\.1 403 [\s\S]*\r\nContent-Length: 8\r\n[\s\S]*\{"no":1\}$/,
  );
  assert.equal(origin.requests.length, 0);
  const client = await new Client(tollgate.port).open();
  const good = 'Cookie: session=good\r\nX-User: mallory\r\nIf-None-Match: "x"\r\n';
  client.send(
    `POST /p HTTP/1.1\r\nHost: localhost\r\n${good}Content-Length: 5\r\n\r\nhelloGET /q HTTP/1.1\r\nHost: localhost\r\n${good}\r\n`,
  );
  await client.until('GET anna ');
  assert.match(client.text, /^HTTP\/1\.1 200 [\s\S]*\r\nset-cookie: seen=1\r\n[\s\S]*POST anna hello[\s\S]*GET anna $/i);
  assert.equal(authority.requests.at(-1)!.headers['if-none-match'], undefined);
  assert.equal(origin.requests[0]!.headers['if-none-match'], '"x"');
  client.close();
  authority.server.closeAllConnections();
  assert.match(
    await exchange(tollgate.port, get('Cookie: session=good\r\n')),
    /^HTTP\/1\.1 200 /,
    'a kept connection that died is no refusal',
  );
  authority.server.close();
  authority.server.closeAllConnections();
  assert.match(await exchange(tollgate.port, get('Cookie: session=good\r\n')), /^HTTP\/1\.1 502 /, 'nobody to ask: nobody comes in');
});

test('a body is held until it is whole, by length and in chunks, and one that is too large streams', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', () => {});
  });
  const tollgate = await Tollgate.start(t, { config: configOf('to: origin, requestBody: { buffer: 64KiB }', { origin: origin.port }) });
  const piece = 'x'.repeat(1_000);
  for (const [first, rest, end] of [
    ['POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n', piece, piece],
    ['POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n', `3e8\r\n${piece}\r\n`, '0\r\n\r\n'],
  ] as const) {
    const client = await new Client(tollgate.port).open();
    const before = origin.heard.length;
    client.send(first + (end === piece ? piece : ''));
    await until(async () => (await tollgate.metrics()).get('tollgate_requests_open') === 1);
    client.send(rest);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(origin.heard.length, before, 'the server knows nothing yet');
    client.send(end);
    await until(() => origin.heard.length > before && origin.heard[before]!.endsWith(end));
    assert.match(origin.heard[before]!, /^POST \/ HTTP\/1\.1\r\n/);
    origin.sockets[before]!.write('HTTP/1.1 204 No Content\r\n\r\n');
    await client.until('204');
    client.close();
    await until(async () => (await tollgate.metrics()).get('tollgate_requests_open') === 0);
    origin.sockets[before]!.destroy();
    await until(async () => (await tollgate.metrics()).get('tollgate_upstream_idle_connections') === 0);
  }
  // A client that sends all of it and then ends its direction is served; one that ends before is told so.
  for (const [body, expected] of [
    [piece + piece, /^HTTP\/1\.1 204 /],
    [piece, /^HTTP\/1\.1 400 /],
  ] as const) {
    const half = await new Client(tollgate.port).open();
    const known = origin.heard.length;
    half.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n');
    await until(async () => (await tollgate.metrics()).get('tollgate_requests_open') === 1);
    half.socket.end(body);
    if (body.length === 2_000) {
      await until(() => origin.heard.length > known && origin.heard[known]!.endsWith(body));
      origin.sockets[known]!.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    }
    assert.match(await half.all(), expected);
  }
  const large = await new Client(tollgate.port).open();
  const before = origin.heard.length;
  large.send(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n${piece}`);
  await until(() => origin.heard.length > before && origin.heard[before]!.endsWith(piece));
  large.close();
});

test('a server is done with before a slow client is, where the route has room for its answer', async (t) => {
  const large = Buffer.alloc(12 << 20, 'y');
  const done = Promise.withResolvers<void>();
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
      socket.write(large, () => done.resolve());
    });
  });
  const tollgate = await Tollgate.start(t, { config: configOf('to: origin, responseBody: { buffer: 16MiB }', { origin: origin.port }) });
  const client = await new Client(tollgate.port).open();
  client.socket.pause();
  client.send(get());
  await done.promise;
  await until(async () => (await tollgate.metrics()).get('tollgate_upstream_idle_connections') === 1);
  assert.ok(client.received.length < large.length / 2);
  client.socket.resume();
  await client.all();
  assert.equal(client.received.length - client.received.indexOf('\r\n\r\n') - 4, large.length);
  assert.ok(client.received.subarray(-large.length).equals(large));
});

test('what an authorisation server gave for one request reaches no other', async (t) => {
  const authority = await httpOrigin(t, (_request, response) =>
    response.writeHead(200, { 'x-user': 'anna', 'set-cookie': 'seen=1' }).end(),
  );
  const origin = await httpOrigin(t, (request, response) => response.end(`<${String(request.headers['x-user'])}>`));
  const gated = 'forwardAuth: { to: authority, copyToRequest: [X-User], copyToResponse: [Set-Cookie] }';
  const tollgate = await Tollgate.start(t, {
    config: configOf(`match: { path: /in/* }, to: origin, ${gated} }, { to: origin`, { origin: origin.port, authority: authority.port }),
  });
  for (let i = 0; i < 3; i++) {
    assert.match(await exchange(tollgate.port, get('', '/in/x')), /set-cookie: seen=1\r\n[\s\S]*<anna>$/i);
    const open = await exchange(tollgate.port, get());
    assert.match(open, /<undefined>$/);
    assert.doesNotMatch(open, /seen=1/);
  }
});
