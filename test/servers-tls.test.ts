/** TLS towards servers: whom Tollgate believes, what it shows them, and what it says of those it does not. Servers are nginx and openssl. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startProgram } from './support/program.ts';
import { authority, client, expired, type Files, otherAuthority, pinOf, server, stranger } from './support/server-certificates.ts';
import { Plain } from './support/tcp.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, until } from './support/tollgate.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-servers-tls-'));
const ports = { good: 0, expired: 0, stranger: 0, asks: 0, old: 0, plain: 0, silent: 0 };
let silent: Server;
// A hook's own `after` would end it with the hook.
const ends: (() => Promise<void>)[] = [];

/** Answers with what it knows of the connection. */
const SAYS = 'return 200 "reused=$ssl_session_reused sni=$ssl_server_name client=$ssl_client_s_dn protocol=$ssl_protocol";';

before(async () => {
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) {
    ports[name] = await testPort();
  }
  const block = (port: number, { certificate, key }: Files, more = ''): string =>
    `server { listen 127.0.0.1:${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; ${more} location / { ${SAYS} } }`;
  await startProgram({ after: (end) => ends.push(end) }, ports.plain, (home) => {
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${home}/${each};`).join(' ');
    const path = join(home, 'nginx.conf');
    writeFileSync(
      path,
      `daemon off; worker_processes 1; pid ${home}/pid; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 512; }
http {
  ${temp} access_log off; keepalive_requests 2; ssl_session_cache shared:all:1m; ssl_protocols TLSv1.2 TLSv1.3;
  ${block(ports.good, server)}
  ${block(ports.expired, expired)}
  ${block(ports.stranger, stranger)}
  ${block(ports.asks, server, `ssl_verify_client on; ssl_client_certificate ${authority.certificate};`)}
  ${block(ports.old, server, 'ssl_protocols TLSv1.2;')}
  server { listen 127.0.0.1:${ports.plain}; location / { return 200 plain; } }
}
`,
    );
    return ['nginx', '-p', home, '-e', 'stderr', '-c', path];
  });
  silent = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => silent.listen(ports.silent, '127.0.0.1', resolve));
});

after(async () => {
  silent.close();
  for (const end of ends) await end();
  rmSync(directory, { recursive: true, force: true });
});

/** A plain listener: each of `upstreams` (its name, and the rest of its mapping) under the path of its name. */
function config(upstreams: Readonly<Record<string, string>>): string {
  const names = Object.keys(upstreams);
  return `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    routes:
${names.map((name) => `      - { match: { path: /${name} }, to: ${name} }`).join('\n')}
upstreams:
${names.map((name) => `  - { name: ${name}, ${upstreams[name]} }`).join('\n')}
`;
}

const to = (port: number): string => `targets: ["127.0.0.1:${port}"]`;
const ca = `authorities: ${authority.certificate}`;

async function ask(tollgate: Tollgate, name: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${tollgate.port}/${name}`);
  return { status: response.status, text: await response.text() };
}

/** Lines about servers so far. */
function failures(tollgate: Tollgate): Record<string, unknown>[] {
  return tollgate.errors
    .split('\n')
    .filter((line) => line.includes('"event":"server-handshake"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** By name: servers that are right, by what is asked of them. */
const RIGHT = (): Readonly<Record<string, string>> => ({
  name: `${to(ports.good)}, tls: { ${ca}, serverName: api.test, alpn: http/1.1 }`,
  address: `${to(ports.good)}, tls: { ${ca} }`,
  pinned: `${to(ports.good)}, tls: { ${ca}, pins: ["${pinOf(server)}"] }`,
  'pinned-authority': `${to(ports.good)}, tls: { ${ca}, pins: ["${pinOf(stranger)}", "${pinOf(authority)}"] }`,
  'by-key-alone': `${to(ports.stranger)}, tls: { insecureSkipVerification: true, pins: ["${pinOf(stranger)}"] }`,
  'not-verified': `${to(ports.expired)}, tls: { insecureSkipVerification: true, serverName: whatever.test }`,
  shown: `${to(ports.asks)}, tls: { ${ca}, certificate: ${client.certificate}, key: ${client.key} }`,
  older: `${to(ports.old)}, tls: { ${ca} }`,
});
/** And those that are not. */
const WRONG = (): Readonly<Record<string, string>> => ({
  issuer: `${to(ports.stranger)}, tls: { ${ca} }`,
  'wrong-name': `${to(ports.good)}, tls: { ${ca}, serverName: bank.test }`,
  expired: `${to(ports.expired)}, tls: { ${ca}, serverName: api.test }`,
  pin: `${to(ports.good)}, tls: { ${ca}, pins: ["${pinOf(stranger)}"] }`,
  'leaf-pin': `${to(ports.good)}, tls: { insecureSkipVerification: true, pins: ["${pinOf(authority)}"] }`,
  version: `${to(ports.old)}, tls: { ${ca}, policy: modern }`,
  plain: `${to(ports.plain)}, tls: { ${ca} }`,
  silent: `${to(ports.silent)}, tls: { ${ca} }, timeouts: { handshake: 100ms }`,
});
const REASONS: Readonly<Record<string, string>> = {
  issuer: 'server_certificate_unknown_issuer',
  'wrong-name': 'server_certificate_name',
  expired: 'server_certificate_expired',
  pin: 'server_certificate_pin',
  'leaf-pin': 'server_certificate_pin',
  version: 'server_tls_alert',
  plain: 'server_not_tls',
  silent: 'server_tls_timeout',
};

test('servers of every kind, behind one program', async (t) => {
  // Rules of their own: with those of others they would have their sessions.
  const kept = { new: `${to(ports.good)}, tls: { ${ca}, depth: 1 }`, old: `${to(ports.old)}, tls: { ${ca}, depth: 1 }` };
  const whole = config({ ...RIGHT(), ...kept, ...WRONG() });
  const asked = '      - { match: { path: /asked }, to: name, forwardAuth: { to: address } }';
  const tollgate = await Tollgate.start(t, { config: whole.replace('    routes:\n', `    routes:\n${asked}\n`) });

  await t.test('they are believed by chain, name, address or key, and are told who is wanted and who asks', async () => {
    assert.deepEqual(await ask(tollgate, 'name'), { status: 200, text: 'reused=. sni=api.test client= protocol=TLSv1.3' });
    for (const name of ['address', 'pinned', 'pinned-authority', 'by-key-alone']) {
      assert.deepEqual(await ask(tollgate, name), { status: 200, text: 'reused=. sni= client= protocol=TLSv1.3' }, name);
    }
    assert.match((await ask(tollgate, 'not-verified')).text, /sni=whatever\.test/);
    assert.match((await ask(tollgate, 'shown')).text, /client=CN=client /);
    assert.match((await ask(tollgate, 'older')).text, /protocol=TLSv1\.2/);
    assert.match((await ask(tollgate, 'asked')).text, /sni=api\.test/);
    assert.deepEqual(failures(tollgate), []);
    assert.match(tollgate.errors, /upstreams\[\d\]\.tls\.insecureSkipVerification: whoever answers is believed/);
    const status = await tollgate.status();
    assert.deepEqual(
      status.upstreams.slice(0, 8).map(({ tls }) => [tls?.verified, tls?.pinned].join()),
      ['true,false', 'true,false', 'true,true', 'true,true', 'false,true', 'false,false', 'true,false', 'true,false'],
    );
    assert.ok(status.certificates.some(({ source }) => source === client.certificate));
  });

  await t.test('connections are kept and sessions resumed, in TLS 1.3 and 1.2', async () => {
    for (const name of ['new', 'old']) {
      // nginx ends a connection behind its second request.
      const seen: string[] = [];
      for (let i = 0; i < 6; i++) seen.push(/reused=(.)/.exec((await ask(tollgate, name)).text)![1]!);
      assert.deepEqual(seen, ['.', '.', 'r', 'r', 'r', 'r'], name);
      const target = `upstream="${name}",target="127.0.0.1:${name === 'new' ? ports.good : ports.old}"`;
      const metrics = await tollgate.metrics();
      assert.equal(metrics.get(`tollgate_target_handshakes_total{${target},resumed="false"}`), 1);
      assert.equal(metrics.get(`tollgate_target_handshakes_total{${target},resumed="true"}`), 2);
      assert.equal(metrics.get(`tollgate_target_handshake_failures_total{${target}}`), 0);
    }
  });

  await t.test('of one that is not believed, or does not believe us, everything is told that is wrong with it', async () => {
    const names = Object.keys(REASONS);
    const before = tollgate.accessLog().length;
    for (const name of names) assert.equal((await ask(tollgate, name)).status, name === 'silent' ? 504 : 502, name);
    await until(() => failures(tollgate).length === names.length && tollgate.accessLog().length >= before + names.length);
    assert.deepEqual(
      tollgate
        .accessLog()
        .slice(-names.length)
        .map(({ reason }) => reason),
      names.map((name) => REASONS[name]),
    );
    const told = new Map(failures(tollgate).map((line) => [line.upstream, line]));
    for (const name of names) {
      const line = told.get(name)!;
      assert.deepEqual([line.reason, line.ok, line.side], [REASONS[name], false, 'upstream'], name);
      assert.match(String(line.target), /^127\.0\.0\.1:\d+$/);
    }
    const shown = (name: string): Record<string, unknown> => told.get(name)!.certificate as Record<string, unknown>;
    assert.deepEqual([shown('issuer').subject, shown('issuer').issuer], ['CN=stranger', 'CN=other-authority']);
    assert.deepEqual([told.get('issuer')!.alert, told.get('issuer')!.alertFrom], [48, 'us']);
    assert.deepEqual([told.get('wrong-name')!.wanted, shown('wrong-name').names], ['bank.test', ['api.test', '127.0.0.1']]);
    assert.ok(Date.parse(String(shown('expired').notAfter)) < Date.now());
    assert.equal(shown('pin').pin, pinOf(server));
    assert.deepEqual([told.get('version')!.alert, told.get('version')!.alertFrom], [70, 'server']);
    const metrics = await tollgate.metrics();
    assert.equal(metrics.get('tollgate_server_tls_failures_total{reason="server_certificate_pin"}'), 2);
    assert.equal(metrics.get(`tollgate_target_handshake_failures_total{upstream="wrong-name",target="127.0.0.1:${ports.good}"}`), 1);
    // A target that fails each request is told of at a bounded rate; the next line says how much was left out.
    await until(async () => {
      await ask(tollgate, 'wrong-name');
      return failures(tollgate).some(({ omittedOfTarget }) => Number(omittedOfTarget) > 0);
    });
  });
});

test('openssl s_server that wants a certificate refuses us behind the handshake, which is told as what it is', async (t) => {
  const port = await testPort();
  const child = spawn(
    'openssl',
    [
      's_server',
      '-accept',
      `127.0.0.1:${port}`,
      '-cert',
      server.certificate,
      '-key',
      server.key,
      '-Verify',
      '1',
      '-verify_return_error',
      '-CAfile',
      authority.certificate,
      '-www',
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  t.after(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += String(data);
    });
  }
  await until(() => output.includes('ACCEPT'));
  const mine = `certificate: ${client.certificate}, key: ${client.key}`;
  const upstreams = { nobody: `${to(port)}, tls: { ${ca} }`, shown: `${to(port)}, tls: { ${ca}, ${mine} }` };
  const tollgate = await Tollgate.start(t, { config: config(upstreams) });
  assert.equal((await ask(tollgate, 'nobody')).status, 502);
  await until(() => failures(tollgate).length === 1 && tollgate.accessLog().length === 1);
  const [line] = failures(tollgate);
  // certificate_required
  assert.deepEqual([line!.reason, line!.alert, line!.alertFrom], ['server_tls_alert', 116, 'server']);
  assert.equal(tollgate.accessLog()[0]!.reason, 'server_tls_alert');
  const answer = await ask(tollgate, 'shown');
  assert.equal(answer.status, 200);
  assert.match(answer.text, /TLSv1\.3[\s\S]*Verify return code: 0|Client certificate/);
});

test('TLS is begun for plain clients of protocol tcp, whoever speaks first, and an unbelieved server is passed over', async (t) => {
  const tollgate = await Tollgate.start(t, {
    config: `
listeners:
  - { name: raw, address: "127.0.0.1:PORT", protocol: tcp, routes: [{ to: servers }] }
upstreams:
  - name: servers
    targets: ["127.0.0.1:${ports.stranger}", "127.0.0.1:${ports.good}"]
    tls: { ${ca} }
`,
  });
  for (let i = 0; i < 3; i++) {
    const plain = new Plain(tollgate.port).send('GET / HTTP/1.0\r\n\r\n');
    await until(() => plain.ended);
    assert.match(plain.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*protocol=TLSv1\.3$/);
    plain.close();
  }
  const metrics = await tollgate.metrics();
  assert.ok(metrics.get('tollgate_server_tls_failures_total{reason="server_certificate_unknown_issuer"}')! >= 1);
});

test('a reload that changes the authorities holds from the next request on, for kept connections too', async (t) => {
  const list = join(directory, 'authorities.pem');
  copyFileSync(otherAuthority.certificate, list);
  const upstreams = { api: `${to(ports.stranger)}, tls: { authorities: ${list} }` };
  const tollgate = await Tollgate.start(t, { config: config(upstreams) });
  const runtime = join(tollgate.directory, 'run');
  assert.equal((await ask(tollgate, 'api')).status, 200);
  copyFileSync(authority.certificate, list);
  assert.match(tollgate.command('reload', '--runtime', runtime), /upstreams\.api: what its files or names say/);
  assert.equal((await ask(tollgate, 'api')).status, 502);
  await until(() => failures(tollgate).length > 0);
  assert.equal(failures(tollgate)[0]?.reason, 'server_certificate_unknown_issuer');
  copyFileSync(otherAuthority.certificate, list);
  tollgate.command('reload', '--runtime', runtime);
  assert.equal((await ask(tollgate, 'api')).status, 200);
});
