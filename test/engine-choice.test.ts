/** Which TLS library serves: by settings, by a library of the system, and when the fast one cannot be loaded. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { PROGRAM, ROOT, Tollgate, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const own = leaf(['localhost']);

function listeners(...settings: readonly string[]): string {
  return settings
    .map(
      (each, i) => `  - name: l${i}
    address: 127.0.0.1:${21_900 + i}
    tls: { ${each}certificates: [{ certificate: ${own.certificate}, key: ${own.key} }] }
    routes: [{ respond: { body: hi } }]
`,
    )
    .join('');
}

function checked(...settings: readonly string[]): { ok: boolean; text: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-'));
  try {
    const file = join(directory, 'tollgate.yaml');
    writeFileSync(file, `admin: { listen: off }\nlisteners:\n${listeners(...settings)}`);
    try {
      return { ok: true, text: execFileSync(process.execPath, [PROGRAM, 'check', file], { encoding: 'utf8', stdio: 'pipe' }) };
    } catch (error) {
      return { ok: false, text: String((error as { stderr?: unknown }).stderr) };
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('tollgate check says which engine serves a listener, and why', () => {
  const { ok, text } = checked('', 'engine: openssl, ', 'compressCertificates: true, ');
  assert.ok(ok);
  assert.match(text, /l0: TLS by s2n \(the fast one has all that is asked for\)/);
  assert.match(text, /l1: TLS by openssl \(tls\.engine asks for it\)/);
  assert.match(text, /l2: TLS by openssl \(needed for certificate compression \(tls\.compressCertificates\)\)/);
});

test('tollgate check refuses an engine that cannot do what is asked for, and a library that is none', () => {
  assert.match(checked('engine: s2n, compressCertificates: true, ').text, /this listener needs openssl, for certificate compression/);
  assert.match(checked('library: /etc/hostname, ').text, /tls\.library: \/etc\/hostname cannot be used: not an ELF file/);
  assert.match(checked('library: /bin/sh, ').text, /cannot be used: it does not export SSL_/);
});

test("a listener on a libssl of the system: it serves, and is another OpenSSL than node's", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
  const library = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((line) => line.includes('libssl.so.3 '))
    ?.split('=> ')[1];
  assert.ok(library !== undefined, 'openssl brings it');
  const tollgate = await Tollgate.start(t, { to: origin.port, tls: `library: ${library}` });
  assert.match(await exchange(tollgate.port, CLOSE), /hello$/);
  // OpenSSL 3.0 has no ML-KEM: what is agreed is what this client offers next.
  const client = await new Client(tollgate.port).open();
  const key: unknown = client.socket.getEphemeralKeyInfo();
  client.close();
  assert.deepEqual(key, { type: 'ECDH', name: 'X25519', size: 253 });
  const [listener] = (await tollgate.status()).listeners;
  assert.deepEqual([listener?.engine, listener?.engineReason], ['openssl', 'needed for another library (tls.library)']);
});

/** The program as it stands here, in a place of its own, with another file for the fast engine. */
function copyWith(library: Buffer): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-copy-'));
  for (const each of ['src', 'bin', 'package.json']) cpSync(join(ROOT, each), join(directory, each), { recursive: true });
  mkdirSync(join(directory, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (name !== 'aws-crt') symlinkSync(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name));
  for (const libc of ['glibc', 'musl']) {
    const place = join(directory, 'node_modules/aws-crt/dist/bin', `linux-${process.arch}-${libc}`);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'aws-crt-nodejs.node'), library);
  }
  cpSync(join(ROOT, 'node_modules/aws-crt/package.json'), join(directory, 'node_modules/aws-crt/package.json'));
  return directory;
}

test('a fast engine that cannot be loaded: Tollgate serves on the other, and says so in log, status and metrics', async (t) => {
  const directory = copyWith(Buffer.from('this is no library'));
  t.after(() => rmSync(directory, { recursive: true }));
  const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
  const tollgate = await Tollgate.start(t, { to: origin.port, program: join(directory, 'bin/tollgate.js') });
  assert.match(await exchange(tollgate.port, CLOSE), /hello$/);
  await until(() => tollgate.errors.includes('the fast TLS engine cannot be had, openssl serves in its place'));
  const [listener] = (await tollgate.status()).listeners;
  assert.deepEqual([listener?.engine, listener?.engineReason], ['openssl', 'the fast engine cannot be had']);
  assert.ok(Number((await tollgate.metrics()).get('tollgate_tls_fallback_workers')) > 0);
});

test('a fast engine whose file looks right and does not load: the workers find out, and serve on the other', async (t) => {
  const glibc = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header?.glibcVersionRuntime !== undefined;
  const wrong = join(ROOT, 'node_modules/aws-crt/dist/bin', `linux-${process.arch}-${glibc ? 'musl' : 'glibc'}`, 'aws-crt-nodejs.node');
  const directory = copyWith(readFileSync(wrong));
  t.after(() => rmSync(directory, { recursive: true }));
  const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2, program: join(directory, 'bin/tollgate.js') });
  assert.match(await exchange(tollgate.port, CLOSE), /hello$/);
  await until(() => tollgate.errors.includes('the fast TLS engine cannot be loaded: openssl serves in its place'));
  const [listener] = (await tollgate.status()).listeners;
  assert.deepEqual([listener?.engine, listener?.engineReason], ['openssl', 'the fast engine cannot be loaded']);
  // One that serves is enough to begin with: the other may still be on its way.
  await until(async () => (await tollgate.metrics()).get('tollgate_tls_fallback_workers') === 2);
});
