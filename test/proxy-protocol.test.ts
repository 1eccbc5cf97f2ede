/** The PROXY protocol with HAProxy and nginx on both sides, and with senders that nobody would want. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin, rawOrigin } from './support/origin.ts';
import { ports } from './support/program.ts';
import { haproxy, nginx } from './support/proxies.ts';
import { Plain, tcpTollgate, tls } from './support/tcp.ts';
import { type Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v2 = (client: readonly number[], port: number): Buffer =>
  Buffer.concat([V2, Buffer.from([0x21, 0x11, 0, 12, ...client, 127, 0, 0, 1, port >> 8, port & 255, 1, 187])]);

/** Requests are answered with whom they are said to come from. */
async function front(t: TestContext, listener: string, top = ''): Promise<Tollgate> {
  const origin = await httpOrigin(t, (request, response) => response.end(`for ${request.headers['x-forwarded-for']}`));
  return await tcpTollgate(t, origin.port, `protocol: http\n${listener}\nroutes: [{ to: server }]`, { top });
}

test('HAProxy and nginx tell who the client is, in both versions, with and without sums and values', async (t) => {
  const tollgate = await front(t, `${tls()}\nproxyProtocol: { from: [127.0.0.1/32] }`);
  const [one = 0, two = 0, sums = 0, own = 0, engine = 0] = await ports(5);
  const server = `127.0.0.1:${tollgate.port}`;
  await haproxy(
    t,
    one,
    `listen one
  bind 127.0.0.1:${one}
  server s ${server} send-proxy
listen two
  bind 127.0.0.1:${two}
  server s ${server} send-proxy-v2
listen sums
  bind 127.0.0.1:${sums}
  unique-id-format %{+X}o%pid%rt%Ts
  server s ${server} send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl
listen own
  bind 127.0.0.1:${own}
  server s ${server} send-proxy-v2 check inter 200ms check-send-proxy
`,
  );
  await nginx(t, engine, { stream: `server { listen 127.0.0.1:${engine}; proxy_pass ${server}; proxy_protocol on; }` });
  for (const [i, port] of [one, two, sums, engine].entries()) {
    const localAddress = `127.0.0.${20 + i}`;
    const answer = await exchange(port, GET, { localAddress });
    assert.match(answer, new RegExp(`for ${localAddress.replaceAll('.', '\\.')}$`), `sender ${i}`);
  }
  // From elsewhere nobody speaks for others, and nobody is asked to.
  assert.match(await exchange(tollgate.port, GET, { localAddress: '127.0.0.9' }), /for 127\.0\.0\.9$/);
  await until(() => tollgate.accessLog().length === 5);
  assert.deepEqual(
    tollgate.accessLog().map(({ client }) => client),
    ['127.0.0.20', '127.0.0.21', '127.0.0.22', '127.0.0.23', '127.0.0.9'],
  );
  // HAProxy's checks of health (LOCAL) are let in, and come and go without a line.
  await until(async () => (await tollgate.metrics()).get('tollgate_proxy_headers_total')! > 6);
  assert.deepEqual(
    tollgate.handshakes().filter(({ reason }) => String(reason).startsWith('proxy_')),
    [],
  );
});

test('headers are taken in any pieces, exactly; what is none is refused with its reason', async (t) => {
  const tollgate = await front(t, 'proxyProtocol: { from: [127.0.0.1/32], required: true }', 'timeouts: { handshake: 2s }');
  const asked = async (header: Buffer | string, localAddress?: string): Promise<Plain> => {
    const client = new Plain(tollgate.port, localAddress);
    t.after(() => client.close());
    client.socket.setNoDelay(true);
    const bytes = Buffer.concat([Buffer.from(header as string, 'latin1'), Buffer.from(GET)]);
    for (let at = 0; at < bytes.length && !client.closed; at++) {
      client.send(bytes.subarray(at, at + 1));
      if (at < 60) await new Promise((resolve) => setImmediate(resolve));
    }
    return client;
  };
  for (const [header, address] of [
    ['PROXY TCP4 192.0.2.7 127.0.0.1 4000 443\r\n', '192.0.2.7'],
    ['PROXY TCP6 2001:DB8::7 ::1 4000 443\r\n', '2001:db8::7'],
    ['PROXY UNKNOWN what ever\r\n', '127.0.0.1'],
    [v2([198, 51, 100, 9], 4_000).toString('latin1'), '198.51.100.9'],
    [Buffer.concat([V2, Buffer.from([0x20, 0, 0, 3, 1, 2, 3])]).toString('latin1'), '127.0.0.1'],
  ] as const) {
    const client = await asked(header);
    await until(() => client.text.endsWith(`for ${address}`));
  }
  const before = tollgate.handshakes().length;
  const wrong: readonly (readonly [string | Buffer, string])[] = [
    ['', 'proxy_header_missing'],
    ['PROXY TCP4 192.0.2.300 127.0.0.1 4000 443\r\n', 'proxy_header_malformed'],
    [Buffer.concat([V2, Buffer.from([0x21, 0x11, 0, 11])]), 'proxy_header_malformed'],
    [Buffer.concat([V2, Buffer.from([0x21, 0x11, 0xff, 0xff])]), 'proxy_header_too_large'],
    [Buffer.concat([V2, Buffer.from([0x21, 0x11, 0, 19, ...Array(12).fill(1), 3, 0, 4, 0, 0, 0, 0])]), 'proxy_header_checksum'],
  ];
  for (const [i, [header, reason]] of wrong.entries()) {
    const client = await asked(header);
    await until(() => client.closed || client.ended);
    assert.equal(client.text, '');
    await until(() => tollgate.handshakes().length === before + i + 1);
    assert.equal(tollgate.handshakes().at(-1)?.reason, reason);
  }
  // Half a header, and then nothing; or an end.
  const silent = new Plain(tollgate.port).send('PROXY TCP4 192.0.2.7');
  const gone = new Plain(tollgate.port).send('PROXY TCP4 192.0.2.7');
  await until(() => silent.socket.bytesWritten > 0 && gone.socket.bytesWritten > 0);
  gone.socket.end();
  await until(() => gone.closed || gone.ended);
  await until(() => silent.closed || silent.ended);
  await until(() => tollgate.handshakes().length === before + wrong.length + 2);
  const reasons = tollgate
    .handshakes()
    .slice(-2)
    .map(({ reason }) => reason);
  assert.deepEqual(reasons.sort(), ['proxy_header_gone', 'proxy_header_timeout']);
  // Whoever is no proxy is turned away for the price of an accept.
  const other = new Plain(tollgate.port, '127.0.0.9').send(GET);
  await until(() => other.closed || other.ended);
  assert.equal(other.text, '');
});

test('lists and limits judge whom the header names, not who sent it', async (t) => {
  const tollgate = await front(
    t,
    'proxyProtocol: { from: [127.0.0.1/32] }\naccess: { deny: [192.0.2.0/24] }',
    'clients: { connections: 2 }',
  );
  const denied = new Plain(tollgate.port).send(`PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n${GET}`);
  await until(() => denied.closed || denied.ended);
  assert.equal(denied.text, '');
  const keep = GET.replace('Connection: close', 'Connection: keep-alive');
  const open = (address: string): Plain => {
    const client = new Plain(tollgate.port).send(`PROXY TCP4 ${address} 127.0.0.1 1 2\r\n${keep}`);
    t.after(() => client.close());
    return client;
  };
  const first = [open('198.51.100.1'), open('198.51.100.1'), open('198.51.100.2')];
  await until(() => first.every((client) => client.text.includes('for 198.51.100.')));
  const third = open('198.51.100.1');
  await until(() => third.closed || third.ended);
  assert.equal(third.text, '');
  for (const client of first) client.close();
  await until(async () => (await tollgate.status()).connections.open === 0);
  const again = open('198.51.100.1');
  await until(() => again.text.includes('for 198.51.100.1'));
});

test('HAProxy and nginx are told who the client is, by requests and by connections that are carried', async (t) => {
  const [byHaproxy = 0, byNginx = 0] = await ports(2);
  await haproxy(
    t,
    byHaproxy,
    `listen tells
  mode http
  bind 127.0.0.1:${byHaproxy} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]"
`,
  );
  await nginx(t, byNginx, {
    http: `server { listen 127.0.0.1:${byNginx} proxy_protocol; return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }`,
  });
  const { certificate, key } = leaf(['localhost', 'raw.example']);
  const tollgate = await tcpTollgate(
    t,
    byHaproxy,
    `protocol: http
tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
routes: [{ match: { path: /one }, to: nginx-v1 }, { match: { path: /two }, to: nginx-v2 }, { match: { path: /old }, to: haproxy-v1 }, { to: server }]`,
    {
      upstream: `, proxyProtocol: v2 }
  - { name: haproxy-v1, targets: ["127.0.0.1:${byHaproxy}"], proxyProtocol: v1 }
  - { name: nginx-v1, targets: ["127.0.0.1:${byNginx}"], proxyProtocol: v1 }
  - { name: nginx-v2, targets: ["127.0.0.1:${byNginx}"], proxyProtocol: v2`,
    },
  );
  // Two clients, side by side and kept alive: neither is ever taken for the other.
  const clients = await Promise.all(['127.0.0.31', '127.0.0.32'].map((localAddress) => new Client(tollgate.port, { localAddress }).open()));
  for (const path of ['/', '/old', '/one', '/two', '/']) {
    for (const [i, client] of clients.entries()) {
      client.received = Buffer.alloc(0);
      client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await client.wait(() => /\r\n\r\n[\s\S]*127\.0\.0\.\d+ \d+ \d+/.test(client.text));
      const body = client.text.slice(client.text.indexOf('\r\n\r\n'));
      const port = client.socket.localPort;
      assert.ok(body.includes(`127.0.0.${31 + i} ${port} ${tollgate.port}`), `${path}: ${body}`);
      if (path === '/') assert.match(body, / localhost [0-9a-f]{32}/);
    }
  }
  await until(() => tollgate.accessLog().length === 10);
  const id = /[0-9a-f]{32}/.exec(clients[1]!.text.slice(clients[1]!.text.indexOf('\r\n\r\n')))?.[0];
  assert.equal(tollgate.accessLog().at(-1)?.requestId, id);
  assert.equal((await tollgate.metrics()).get('tollgate_upstream_idle_connections'), 0);
  for (const client of clients) client.close();
  const raw = await tcpTollgate(t, byHaproxy, `${tls(['raw.example'])}\nroutes: [{ to: server }]`, { upstream: ', proxyProtocol: v2' });
  const client = await new Client(raw.port, { localAddress: '127.0.0.33', servername: 'raw.example' }).open();
  client.send(GET);
  await client.wait(() => client.ended);
  assert.match(client.text, new RegExp(`127\\.0\\.0\\.33 ${client.socket.localPort ?? '\\d+'} ${raw.port} raw\\.example [0-9a-f]{32}`));
});

test('a header in is a header out, with what is known of the TLS behind it', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.end('heard'));
  });
  const tollgate = await tcpTollgate(
    t,
    origin.port,
    `${tls(['localhost'], ', alpn: [imap]')}
proxyProtocol: { from: [127.0.0.0/8] }
passthrough: [{ match: { sni: far.example }, to: server }]
routes: [{ to: server }]`,
    { upstream: ', proxyProtocol: v2' },
  );
  const below = new Plain(tollgate.port).send(v2([203, 0, 113, 5], 7_777));
  below.socket.removeAllListeners('data');
  const client = await new Client(tollgate.port, { socket: below.socket, ALPNProtocols: ['imap'] }).open();
  client.send('hello');
  await client.until('heard');
  client.close();
  const heard = Buffer.from(origin.heard[0]!, 'latin1');
  const length = heard.readUInt16BE(14);
  assert.equal(
    heard.subarray(0, 28).toString('hex'),
    v2([203, 0, 113, 5], 7_777).toString('hex').replace(/000c/, length.toString(16).padStart(4, '0')),
  );
  assert.equal(heard.subarray(16 + length).toString(), 'hello');
  const values = heard.subarray(28, 16 + length).toString('latin1');
  assert.ok(values.includes('\x01\0\x04imap') && values.includes('\x02\0\x09localhost') && values.includes('\x21\0\x07TLSv1.3'));
  const ssl = values.indexOf('\x21\0\x07TLSv1.3') - 5;
  assert.equal(Buffer.from(values.slice(ssl, ssl + 5), 'latin1').toString('hex'), '0100000001');
  assert.equal(values[ssl - 3], '\x20');
  assert.ok(values.includes(`\x23\0${String.fromCharCode(22)}TLS_AES_`));
  await until(() => tollgate.accessLog().length === 1);
  const [line] = tollgate.accessLog();
  assert.equal(line?.client, '203.0.113.5');
  assert.ok(values.includes(`\x05\0\x20${String(line?.requestId)}`));
  // Passed through: the hello is behind the header, and of the TLS there is nothing to tell but the name.
  const past = new Plain(tollgate.port).send(v2([203, 0, 113, 6], 7_778));
  past.socket.removeAllListeners('data');
  const through = new Client(tollgate.port, { socket: past.socket, servername: 'far.example' });
  await until(() => (origin.heard[1]?.length ?? 0) > 200);
  through.close();
  const second = Buffer.from(origin.heard[1]!, 'latin1');
  const end = 16 + second.readUInt16BE(14);
  assert.equal(second.subarray(16, 20).toString('hex'), 'cb007106');
  assert.equal(second[end], 22);
  assert.ok(!second.subarray(28, end).includes(Buffer.from('TLS')));
});
