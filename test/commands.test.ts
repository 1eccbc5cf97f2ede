/** The command line and the demo, as a person meets them. */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { caPath, leaf } from './support/certificates.ts';
import { exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { testPort } from './support/test-port.ts';
import { PROGRAM, ROOT, Tollgate, until } from './support/tollgate.ts';

const start = promisify(execFile);

async function output(command: string, ...args: readonly string[]): Promise<string> {
  return (await start(command, [...args])).stdout;
}

function tollgate(...args: readonly string[]) {
  return spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', timeout: 30_000 });
}

async function demo(t: TestContext, data: string, ...args: readonly string[]) {
  const runtime = mkdtempSync(join(tmpdir(), 'tollgate-test-run-'));
  const child = spawn(process.execPath, [PROGRAM, 'run', '--runtime', runtime, ...args], {
    env: { ...process.env, TOLLGATE_DATA: data },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (text) => {
    output += String(text);
  });
  child.stderr.on('data', (text) => {
    output += String(text);
  });
  const end = async (): Promise<number | null> => {
    if (child.exitCode === null) {
      child.kill('SIGINT');
      await new Promise((resolve) => child.once('exit', resolve));
    }
    rmSync(runtime, { recursive: true, force: true });
    return child.exitCode;
  };
  t.after(end);
  await until(() => output.includes('access log below') || child.exitCode !== null, 30_000);
  return { text: () => output, end };
}

test('the demo needs nothing: it makes a CA once, says what to do next, and curl trusts it with the line it prints', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'tollgate-test-data-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const first = await demo(t, data);
  assert.match(first.text(), /Tollgate serves https:\/\/localhost:\d+\/ and forwards to a small demo server/);
  assert.match(first.text(), /Made the local certificate authority/);
  const line = /(curl --cacert \S+ \S+)/.exec(first.text())?.[1];
  assert.ok(line !== undefined, first.text());
  const page = await output('sh', '-c', `${line} -sS`);
  assert.match(page, /your connection was encrypted/);
  assert.match(page, /X-Forwarded-Proto: https/);
  for (const name of readdirSync(data)) {
    if (name.endsWith('.key')) assert.equal(statSync(join(data, name)).mode & 0o777, 0o600, name);
  }
  assert.equal(statSync(data).mode & 0o077, 0);
  const authority = readFileSync(join(data, 'local-ca.pem'), 'utf8');
  // A second one beside it takes another port, and the same CA.
  const second = await demo(t, data);
  assert.match(second.text(), /Using the local certificate authority/);
  assert.notEqual(/localhost:(\d+)/.exec(second.text())?.[1], /localhost:(\d+)/.exec(first.text())?.[1]);
  assert.equal(readFileSync(join(data, 'local-ca.pem'), 'utf8'), authority);
  assert.equal(await second.end(), 0);
  assert.equal(await first.end(), 0);
});

test('run --from --to fronts a real server', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'tollgate-test-data-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const origin = await httpOrigin(t, (_request, response) => response.end('mine'));
  const port = await testPort();
  const running = await demo(t, data, '--from', `:${port}`, '--to', `127.0.0.1:${origin.port}`);
  assert.match(running.text(), new RegExp(`forwards to 127\\.0\\.0\\.1:${origin.port}`));
  const page = await output('curl', '-sS', '--cacert', join(data, 'local-ca.pem'), `https://localhost:${port}/`);
  assert.equal(page, 'mine');
});

test('check tells every error of a file at once, with its place, and exits 1; a good one exits 0', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-check-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'tollgate.yaml');
  writeFileSync(path, 'listeners:\n  - name: web\n    addres: ":8443"\n    routes: [{ to: nowhere }]\nupstreams: []\nworkers: many\n');
  const bad = tollgate('check', path);
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /tollgate\.yaml:3:\d+: .*addres.*address/);
  assert.match(bad.stderr, /tollgate\.yaml:6:\d+: workers/);
  const asJson = JSON.parse(tollgate('check', path, '--json').stdout) as { ok: boolean; errors: unknown[] };
  assert.equal(asJson.ok, false);
  assert.ok(asJson.errors.length >= 2);
  const { certificate, key } = leaf(['localhost']);
  writeFileSync(
    path,
    `listeners:\n  - { name: web, address: "127.0.0.1:8443", tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }, routes: [{ to: a }] }\nupstreams:\n  - { name: a, targets: ["127.0.0.1:3000"] }\n`,
  );
  const good = tollgate('check', path);
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /is fine: 1 listeners, 1 upstreams, 1 certificates/);
});

test('what is not built yet is refused by name', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-check-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'tollgate.yaml');
  writeFileSync(
    path,
    'listeners:\n  - { name: plain, address: "127.0.0.1:8080", redirect: https, rateLimit: 1 }\nupstreams:\n  - { name: a, targets: ["127.0.0.1:1"], balance: least-connections }\n',
  );
  const { stderr, status } = tollgate('check', path);
  assert.equal(status, 1);
  assert.match(stderr, /rateLimit.*not available yet/);
  assert.match(stderr, /least-connections.*not available yet/);
});

test('password makes a line that a route takes, and says what will not do', () => {
  const make = (password: string, ...args: readonly string[]) =>
    spawnSync(process.execPath, [PROGRAM, 'password', ...args], { input: password, encoding: 'utf8', timeout: 30_000 });
  assert.match(make('secret\n', 'anna').stdout, /^anna:\$2y\$12\$[./A-Za-z0-9]{53}\n$/);
  // Apache's tool computes bcrypt with code of its own.
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-password-'));
  writeFileSync(join(directory, 'users'), make('secret\n', 'anna').stdout);
  const verify = (password: string) =>
    spawnSync('htpasswd', ['-vb', join(directory, 'users'), 'anna', password], { timeout: 30_000 }).status;
  assert.equal(verify('secret'), 0);
  assert.equal(verify('Secret'), 3);
  rmSync(directory, { recursive: true });
  assert.match(make('secret', 'anna', '--scheme', 'scrypt').stdout, /^anna:\$scrypt\$ln=17,r=8,p=1\$/);
  for (const [password, user, expected] of [
    ['', 'anna', /the password is empty/],
    ['a\tb', 'anna', /control characters/],
    ['x'.repeat(73), 'anna', /longer than 72 bytes/],
    ['secret', 'an:na', /a user name has/],
  ] as const) {
    const { stderr, status } = make(password, user);
    assert.equal(status, 1);
    assert.match(stderr, expected);
  }
});

test('version names the TLS libraries, and a wrong call exits 2 with help at hand', () => {
  const versions = JSON.parse(tollgate('version', '--json').stdout) as Record<string, string>;
  assert.match(versions.s2n ?? '', /^\d+\.\d+\.\d+$/);
  assert.match(versions.awsLc ?? '', /^\d+\.\d+\.\d+$/);
  assert.equal(versions.tollgate, (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version);
  const wrong = tollgate('frobnicate');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /unknown command/);
  assert.match(tollgate('run', '--help').stdout, /Examples:/);
});

test('listeners on IPv6, a Unix socket, and without TLS', async (t) => {
  const origin = await httpOrigin(t, (request, response) =>
    response.end(`${request.headers['x-forwarded-proto']} ${request.headers['x-forwarded-for']}`),
  );
  const { certificate, key } = leaf(['localhost']);
  const running = await Tollgate.start(t, {
    config: `
listeners:
  - { name: six, address: "[::1]:PORT", tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }, routes: [{ to: origin }] }
  - { name: plain, address: "127.0.0.1:PORT", routes: [{ to: origin }] }
  - { name: unix, address: "unix:web.sock", routes: [{ to: origin }] }
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
    workers: 2,
  });
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  assert.match(await exchange(running.port, request, { host: '::1' }), /https ::1$/);
  const plain = await output('curl', '-sS', `http://127.0.0.1:${running.port}/`);
  assert.equal(plain, 'http 127.0.0.1');
  const unix = await output('curl', '-sS', '--unix-socket', join(running.directory, 'web.sock'), 'http://localhost/');
  assert.equal(unix, 'http unix');
});

test('every example is run as it stands, but for ports and certificates, and serves', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('served'));
  const { certificate, key } = leaf(['shop.example.com', 'www.example.com', 'localhost']);
  // Those of Prometheus are for Prometheus.
  const examples = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.yaml') && !name.startsWith('prometheus'));
  assert.ok(examples.length >= 2);
  for (const name of examples) {
    let text = readFileSync(join(ROOT, 'examples', name), 'utf8');
    // The harness names admin, workers, runtime directory and log itself.
    text = text.replace(/^(admin|workers|log|runtime):[^\n]*\n(?: +[^\n]*\n)*/gm, '');
    text = text.replace(/certificate: [^\s,}]+/g, `certificate: ${certificate}`).replace(/key: [^\s,}]+/g, `key: ${key}`);
    text = text.replace(/authorities: [^\s,}]+/g, `authorities: ${caPath}`);
    // Listeners' own addresses stand at this depth; targets are written in one line.
    let listeners = 0;
    text = text.replace(/^ {4}address: (\S+)/gm, (_line, address: string) => {
      listeners++;
      if (address.includes('[')) return '    address: "[::1]:PORT"';
      return `    address: 127.0.0.1:${listeners === 1 ? 'PORT' : '0'}`;
    });
    text = text.replace(/\b(?:10|127|192)\.\d+\.\d+\.\d+:[1-9]\d*/g, `127.0.0.1:${origin.port}`);
    text = text.replace(/\blocalhost:\d+/g, `127.0.0.1:${origin.port}`);
    const running = await Tollgate.start(t, { config: text });
    const hosts = [...text.matchAll(/host: ["']?([\w.*-]+)/g)].map((match) => match[1]!.replace('*', 'any'));
    const host = hosts[0] ?? 'localhost';
    assert.match(await exchange(running.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`), /served$/, name);
    await running.end();
  }
});
