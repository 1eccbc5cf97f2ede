import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TollgateError } from '../base/tollgate-error.ts';
import { dataDirectory } from './data-directory.ts';
import { keyPem } from './key-pem.ts';
import { type Circumstances, type LocalCertificate, localCertificate, trustHint } from './local-ca.ts';
import { withProcessLock } from './process-lock.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.now();

function emptyDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-ca-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'data', 'tollgate');
}

function make(directory: string, circumstances: Partial<Circumstances> = {}): Promise<LocalCertificate> {
  return localCertificate(directory, { nowMs: NOW_MS, hostname: 'Box.example', ...circumstances });
}

async function refusal(promise: Promise<unknown>, code: string): Promise<string> {
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TollgateError, String(error));
  assert.equal(error.code, code);
  return error.message;
}

const contents = (path: string): string => readFileSync(path, 'latin1');
const mode = (path: string): number => statSync(path).mode & 0o777;

test("localCertificate() makes a chain that holds, in files that are nobody else's", async (t) => {
  const directory = emptyDirectory(t);
  const local = await make(directory);
  assert.equal(local.made, true);
  const authority = new X509Certificate(contents(local.caPath));
  const leaf = new X509Certificate(contents(local.certificatePath));
  assert.ok(authority.ca && authority.verify(authority.publicKey));
  assert.ok(!leaf.ca && leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  assert.ok(leaf.checkPrivateKey(createPrivateKey(contents(local.keyPath))));
  assert.match(leaf.subjectAltName ?? '', /^DNS:localhost, DNS:\*\.localhost, DNS:box\.example, /);
  for (const name of ['localhost', 'box.example']) assert.notEqual(leaf.checkHost(name), undefined, name);
  for (const ip of ['127.0.0.1', '::1']) assert.notEqual(leaf.checkIP(ip), undefined, ip);
  assert.equal(Math.round((leaf.validToDate.getTime() - NOW_MS) / DAY_MS), 90);
  assert.equal(Math.round((authority.validToDate.getTime() - NOW_MS) / DAY_MS), 3_650);
  assert.equal(mode(directory), 0o700);
  assert.equal(mode(local.keyPath), 0o600);
  assert.equal(mode(join(directory, 'local-ca.key')), 0o600);
  assert.deepEqual(readdirSync(directory).sort(), ['local-ca.key', 'local-ca.lock', 'local-ca.pem', 'localhost.key', 'localhost.pem']);
});

test('localCertificate() makes what openssl verifies by the letter', async (t) => {
  if (spawnSync('openssl', ['version']).status !== 0) return t.skip('openssl is not installed');
  const local = await make(emptyDirectory(t));
  const verify = spawnSync(
    'openssl',
    ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'localhost', '-CAfile', local.caPath, local.certificatePath],
    { encoding: 'utf8' },
  );
  assert.equal(verify.status, 0, verify.stderr);
  for (const name of ['localhost.key', 'local-ca.key']) {
    const key = spawnSync('openssl', ['pkey', '-check', '-noout', '-in', join(local.caPath, '..', name)], { encoding: 'utf8' });
    assert.equal(key.status, 0, key.stderr);
  }
});

test('localCertificate() leaves alone what is in order', async (t) => {
  const directory = emptyDirectory(t);
  const first = await make(directory);
  const before = contents(first.certificatePath);
  const again = await make(directory, { nowMs: NOW_MS + 59 * DAY_MS });
  assert.deepEqual(again, { ...first, made: false });
  assert.equal(contents(first.certificatePath), before);
});

test('localCertificate() renews the leaf near its end, and keeps its key and the authority', async (t) => {
  const directory = emptyDirectory(t);
  const first = await make(directory);
  const [key, authority] = [contents(first.keyPath), contents(first.caPath)];
  const later = NOW_MS + 61 * DAY_MS;
  assert.equal((await make(directory, { nowMs: later })).made, true);
  assert.equal(contents(first.keyPath), key);
  assert.equal(contents(first.caPath), authority);
  const leaf = new X509Certificate(contents(first.certificatePath));
  assert.equal(Math.round((leaf.validToDate.getTime() - later) / DAY_MS), 90);
});

test('localCertificate() makes a new leaf when the machine has another name', async (t) => {
  const directory = emptyDirectory(t);
  const first = await make(directory);
  assert.equal((await make(directory, { hostname: 'other' })).made, true);
  assert.notEqual(new X509Certificate(contents(first.certificatePath)).checkHost('other'), undefined);
  assert.equal((await make(directory, { hostname: 'no name at all!' })).made, true);
  assert.equal((await make(directory, { hostname: 'no name at all!' })).made, false);
});

test('localCertificate() makes a new authority when the old one is over', async (t) => {
  const directory = emptyDirectory(t);
  const first = await make(directory);
  const before = contents(first.caPath);
  assert.equal((await make(directory, { nowMs: NOW_MS + 3_640 * DAY_MS })).made, true);
  assert.notEqual(contents(first.caPath), before);
});

test('localCertificate() makes good what a crash or a full disk left half done', async (t) => {
  const directory = emptyDirectory(t);
  const local = await make(directory);
  const healed = async (): Promise<void> => {
    assert.equal((await make(directory)).made, true);
    const leaf = new X509Certificate(contents(local.certificatePath));
    assert.ok(leaf.checkIssued(new X509Certificate(contents(local.caPath))));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(contents(local.keyPath))));
  };
  truncateSync(local.certificatePath, 100);
  await healed();
  truncateSync(local.certificatePath, 0);
  await healed();
  truncateSync(local.keyPath, 50);
  await healed();
  rmSync(local.keyPath);
  await healed();
  // The authority's key is written before its certificate.
  rmSync(local.caPath);
  await healed();
  rmSync(join(directory, 'local-ca.key'));
  assert.equal((await make(directory)).made, false, 'the key of the authority is not needed to serve');
});

test('localCertificate() does not touch what it cannot have made', async (t) => {
  const directory = emptyDirectory(t);
  const local = await make(directory);
  const authorityKey = contents(join(directory, 'local-ca.key'));
  rmSync(join(directory, 'local-ca.key'));
  rmSync(local.certificatePath);
  assert.match(
    await refusal(make(directory), 'local_ca_key_missing'),
    /local-ca\.key is missing or broken, so no certificate can be made; remove .*local-ca\.pem to start a new local CA/,
  );
  writeFileSync(join(directory, 'local-ca.key'), contents(local.keyPath));
  assert.match(await refusal(make(directory), 'local_ca_key_missing'), /is not the key of local-ca\.pem/);
  writeFileSync(join(directory, 'local-ca.key'), authorityKey);
  for (const foreign of ['something else', contents(local.caPath).slice(0, 300)]) {
    const kept = contents(local.caPath);
    writeFileSync(local.caPath, foreign);
    assert.match(await refusal(make(directory), 'local_ca_foreign'), /local-ca\.pem is not what Tollgate made; move it away/);
    assert.equal(contents(local.caPath), foreign);
    writeFileSync(local.caPath, kept);
  }
  writeFileSync(local.certificatePath, 'my notes');
  await refusal(make(directory), 'local_ca_foreign');
  assert.equal(contents(local.certificatePath), 'my notes');
});

test('localCertificate() closes keys that others could read, and refuses a directory that others write to', async (t) => {
  const directory = emptyDirectory(t);
  const local = await make(directory);
  chmodSync(local.keyPath, 0o644);
  chmodSync(join(directory, 'local-ca.key'), 0o640);
  await make(directory);
  assert.equal(mode(local.keyPath), 0o600);
  assert.equal(mode(join(directory, 'local-ca.key')), 0o600);
  chmodSync(directory, 0o777);
  assert.match(
    await refusal(make(directory), 'local_ca_directory'),
    /other users may write to the data directory .*; run 'chmod 700' on it/,
  );
  chmodSync(directory, 0o700);
  assert.match(await refusal(make(local.caPath), 'local_ca_directory'), /cannot be made \(EEXIST\); set TOLLGATE_DATA to another/);
});

test('localCertificate() makes one authority however many ask at once', async (t) => {
  const directory = emptyDirectory(t);
  const program = `import { localCertificate } from ${JSON.stringify(join(import.meta.dirname, 'local-ca.ts'))};
    const { made, caPath } = await localCertificate(${JSON.stringify(directory)}, { nowMs: ${NOW_MS}, hostname: 'box.example' });
    const { readFileSync } = await import('node:fs');
    console.log(JSON.stringify([made, readFileSync(caPath, 'latin1')]));`;
  const others = Array.from({ length: 3 }, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    return JSON.parse(text) as [made: boolean, authority: string];
  });
  const own = Array.from({ length: 3 }, async () => {
    const { made, caPath } = await make(directory);
    return [made, contents(caPath)] as const;
  });
  const answers = await Promise.all([...others, ...own]);
  assert.equal(answers.filter(([made]) => made).length, 1);
  assert.equal(new Set(answers.map(([, authority]) => authority)).size, 1);
  assert.ok(readdirSync(directory).every((name) => !name.endsWith('.tmp')));
});

test('withProcessLock() gives up after its time, and frees the lock when the work fails', async (t) => {
  const path = join(mkdtempSync(join(tmpdir(), 'tollgate-lock-')), 'lock');
  t.after(() => rmSync(join(path, '..'), { recursive: true }));
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const holder = withProcessLock(path, 0, () => held);
  assert.match(
    await refusal(
      withProcessLock(path, 0, async () => undefined),
      'locked',
    ),
    /another process has been holding/,
  );
  release();
  await holder;
  await assert.rejects(
    withProcessLock(path, 0, () => Promise.reject(new Error('work'))),
    /work/,
  );
  assert.equal(await withProcessLock(path, 0, async () => 7), 7);
});

test('keyPem() writes what is read back, for every length', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length) & 255));
    const lines = keyPem(bytes).toString('latin1').split('\n');
    assert.equal(lines.at(0), '-----BEGIN PRIVATE KEY-----');
    assert.equal(lines.at(-2), '-----END PRIVATE KEY-----');
    assert.ok(lines.slice(1, -3).every((line) => line.length === 64));
    assert.ok(lines.slice(1, -2).every((line) => line.length > 0 && line.length <= 64));
    assert.deepEqual(Buffer.from(lines.slice(1, -2).join(''), 'base64'), bytes);
  }
});

test('dataDirectory() follows the environment', () => {
  assert.equal(dataDirectory({ TOLLGATE_DATA: '/data', XDG_DATA_HOME: '/xdg', HOME: '/home/me' }), '/data');
  assert.equal(dataDirectory({ XDG_DATA_HOME: '/xdg', HOME: '/home/me' }), '/xdg/tollgate');
  assert.equal(dataDirectory({ XDG_DATA_HOME: 'relative', HOME: '/home/me' }), '/home/me/.local/share/tollgate');
  assert.equal(dataDirectory({ TOLLGATE_DATA: '', HOME: '/root' }), '/root/.local/share/tollgate');
});

test('trustHint() quotes what a shell would take apart', () => {
  assert.equal(trustHint('/data/local-ca.pem').curl, 'curl --cacert /data/local-ca.pem https://localhost:8443/');
  assert.equal(trustHint("/my data/it's.pem", 443).curl, "curl --cacert '/my data/it'\\''s.pem' https://localhost/");
  assert.match(
    trustHint('/data/local-ca.pem').system,
    /^sudo install -m 644 \/data\/local-ca\.pem \/usr\/local\/share\/ca-certificates\/.*\.crt && sudo update-ca-certificates$/,
  );
});
