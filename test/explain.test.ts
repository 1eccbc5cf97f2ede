/**
 * `tollgate explain` and what the running program does, side by side: known clients, replayed as bytes against listeners of every kind.
 * And what belongs to a listener alone: floors in front of the engine, a policy that only reports, fingerprints in the log.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkFile } from '../src/config/check-report.ts';
import { ClientHello, readClientHello } from '../src/hello/client-hello.ts';
import { writeClientHello } from '../src/hello/hello-writer.ts';
import { KNOWN_CLIENTS } from '../src/hello/known-clients.ts';
import { groupName, schemeName, suiteName, versionName } from '../src/hello/names.ts';
import { isPostQuantum } from '../src/hello/policy.ts';
import { type Explanation, explainHello } from '../src/observe/explain-hello.ts';
import { type KeyKind, selfSigned } from './support/test-certificate.ts';
import { testPort } from './support/test-port.ts';
import { PROBE_SHARES, probe } from './support/tls-probe.ts';
import { PROGRAM, Tollgate, until } from './support/tollgate.ts';

interface Listener {
  readonly name: string;
  readonly tls: string;
  readonly keys: readonly KeyKind[];
  readonly port: number;
}

const WANTED: readonly Omit<Listener, 'port'>[] = [
  { name: 'intermediate', tls: 'policy: intermediate', keys: ['p256', 'rsa'] },
  { name: 'modern', tls: 'policy: modern', keys: ['p384'] },
  { name: 'legacy', tls: 'policy: legacy', keys: ['rsa'] },
  { name: 'floor', tls: 'policy: intermediate, minimumVersion: 1.3', keys: ['p256'] },
  { name: 'hybrid', tls: 'policy: intermediate, requirePostQuantum: true', keys: ['rsa'] },
  { name: 'by-name', tls: 'policy: legacy, names: [{ match: localhost, policy: intermediate, minimumVersion: 1.3 }]', keys: ['rsa'] },
  { name: 'pq', tls: 'policy: post-quantum', keys: ['p256'] },
  { name: 'cnsa2', tls: 'policy: cnsa2@1', keys: ['p384'] },
  { name: 'old', tls: 'policy: CloudFront-TLS-1-0-2016', keys: ['rsa', 'p256'] },
];

/** The same on the other engine. */
const ON_OPENSSL = WANTED.map((each) => ({ ...each, name: `${each.name}-openssl`, tls: `engine: openssl, ${each.tls}` }));

/** Lists of the configuration's own bring the other engine with them. */
const OWN: readonly Omit<Listener, 'port'>[] = [
  {
    name: 'own',
    tls: 'policy: { versions: [1.1, 1.2, 1.3], suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_AES_128_CBC_SHA], groups: [secp384r1, x25519, secp256r1], signatureSchemes: [rsa_pss_rsae_sha256, ecdsa_secp256r1_sha256, rsa_pkcs1_sha256] }',
    keys: ['p256', 'rsa'],
  },
  {
    name: 'own-by-name',
    tls: 'policy: modern, names: [{ match: localhost, policy: { base: legacy, groups: [secp384r1, X25519MLKEM768] } }]',
    keys: ['rsa'],
  },
];

async function startAll(t: TestContext, wanted: readonly Omit<Listener, 'port'>[]): Promise<{ tollgate: Tollgate; listeners: Listener[] }> {
  const listeners: Listener[] = [];
  for (const each of wanted) {
    const port = await testPort();
    listeners.push({ ...each, port });
  }
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-explain-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const kind of new Set(wanted.flatMap(({ keys }) => keys))) {
    writeFileSync(join(directory, `${kind}.pem`), selfSigned(kind).chainPem);
    writeFileSync(join(directory, `${kind}.key`), selfSigned(kind).keyPem, { mode: 0o600 });
  }
  const config = listeners.map(({ name, tls, keys, port }) => {
    const certificates = keys.map((key) => `{ certificate: ${directory}/${key}.pem, key: ${directory}/${key}.key }`).join(', ');
    const routes = '[{ name: api, match: { path: /api/* }, respond: { status: 204 } }, { name: all, respond: { status: 200 } }]';
    return `  - { name: ${name}, address: "127.0.0.1:${port}", tls: { ${tls}, certificates: [${certificates}] }, routes: ${routes} }\n`;
  });
  const tollgate = await Tollgate.start(t, { config: `listeners:\n${config.join('')}` });
  return { tollgate, listeners };
}

function told(values: readonly (string | null | boolean)[]): string {
  return values.join(', ');
}

function expected(explanation: Explanation, listener: string): string {
  const each = explanation.listeners.find(({ listener: name }) => name === listener)!;
  if (!each.ok) return 'refused';
  return told([each.version, each.suite, each.group, each.retried, each.signatureScheme, each.certificate!.keyType]);
}

test('explain says what the running program does with every known client, on listeners of every kind', async (t) => {
  const { tollgate, listeners } = await startAll(t, [...WANTED, ...ON_OPENSSL, ...OWN]);
  const { checked } = await checkFile(join(tollgate.directory, 'tollgate.yaml'));
  assert.ok(checked !== null);
  const { plan } = checked;
  const wrong: string[] = [];
  let compared = 0;
  for (const { id, about: _about, ...client } of KNOWN_CLIENTS) {
    // Most of them would end at "h2", which is not served yet: that has a test of its own.
    const asking = { ...client, alpn: client.alpn.length === 0 ? [] : ['h2', 'http/1.1'] };
    const explanation = explainHello(plan, writeClientHello(asking, { name: 'localhost', keys: PROBE_SHARES }), null, '/', Date.now());
    for (const { name, port, keys } of listeners) {
      const answer = await probe(port, asking);
      let seen = 'refused';
      if (answer.served) {
        const { version, suite, group, retried, scheme, certificate } = answer;
        const kind = keys.find((key) => certificate !== null && selfSigned(key).der.equals(certificate)) ?? 'an unknown one';
        const names = [versionName(version), suiteName(suite), group === 0 ? null : groupName(group), retried];
        seen = told([...names, scheme === 0 ? null : schemeName(scheme), kind]);
      }
      compared++;
      const said = expected(explanation, name);
      if (said !== seen) wrong.push(`${id} on ${name}: explained as ${said}; seen ${seen}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(compared >= 100);
  t.diagnostic(`${compared} answers compared`);
});

test('a floor refuses in front of the engine, with an alert and a reason of its own; the log has the fingerprint and the offer', async (t) => {
  const { tollgate, listeners } = await startAll(
    t,
    WANTED.filter(({ name }) => ['floor', 'hybrid', 'intermediate'].includes(name)),
  );
  const client = (id: string) => KNOWN_CLIENTS.find((each) => each.id === id)!;
  const port = (name: string) => listeners.find((each) => each.name === name)!.port;
  assert.deepEqual(await probe(port('floor'), client('openssl-1.0.2')), { served: false, alert: 70 });
  assert.deepEqual(await probe(port('hybrid'), client('openssl-3.0')), { served: false, alert: 40 });
  const best = await probe(port('hybrid'), client('openssl-3.5'));
  assert.ok(best.served && isPostQuantum(best.group));
  // Refused by the engine, not by the peek.
  assert.deepEqual(await probe(port('intermediate'), { ...client('openssl-1.0.2'), suites: [0x002f] }), { served: false, alert: 40 });
  // Probes that are served go away when they have seen enough: that is a line too.
  const refused = () => tollgate.handshakes().filter(({ reason }) => reason !== 'client_gone');
  await until(() => refused().length >= 3);
  const lines = refused();
  assert.deepEqual(
    lines.slice(0, 3).map(({ reason, alert, sni }) => [reason, alert ?? null, sni]),
    [
      ['below_minimum_version', 70, 'localhost'],
      ['not_post_quantum', 40, 'localhost'],
      ['no_shared_suite', 40, 'localhost'],
    ],
  );
  for (const line of lines.slice(0, 3)) {
    assert.match(String(line.ja4), /^t1[23]d\d{4}00_[0-9a-f]{12}_[0-9a-f]{12}$/);
    assert.match(String(line.ja3), /^[0-9a-f]{32}$/);
    assert.ok(line.offered !== null);
  }
});

test('a policy that only reports refuses nobody, counts, and logs whom it would refuse', async (t) => {
  const { tollgate, listeners } = await startAll(t, [{ name: 'web', tls: 'policy: intermediate, report: modern', keys: ['p256'] }]);
  const [{ port }] = listeners as [Listener];
  const client = (id: string) => KNOWN_CLIENTS.find((each) => each.id === id)!;
  assert.ok((await probe(port, client('openssl-1.0.2'))).served);
  assert.ok((await probe(port, client('openssl-3.5'))).served);
  const reports = () => tollgate.errors.split('\n').filter((line) => line.includes('"event":"policy-report"'));
  await until(() => reports().length >= 1);
  const line = JSON.parse(reports()[0]!) as Record<string, unknown>;
  assert.deepEqual(
    [line.reason, line.listener, line.sni, line.policy, line.report],
    ['no_shared_version', 'web', 'localhost', 'intermediate@1', 'modern@1'],
  );
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_policy_report_total{verdict="refused"}'), 1);
  assert.equal(metrics.get('tollgate_policy_report_total{verdict="served"}'), 1);
  assert.equal(reports().length, 1);
});

test('tollgate explain answers for a running instance, a file, a recorded hello in hexadecimal, and a capture', async (t) => {
  const { tollgate } = await startAll(
    t,
    WANTED.filter(({ name }) => ['modern', 'legacy'].includes(name)),
  );
  const config = ['--config', join(tollgate.directory, 'tollgate.yaml')];
  const run = (...args: readonly string[]) =>
    JSON.parse(tollgate.command('explain', '--json', ...args)) as (Explanation & { client: string })[];
  const [old] = run(...config, '--host', 'localhost', '--client', 'java-8-old', '--path', '/api/x');
  assert.deepEqual(
    old!.listeners.map(({ listener, ok, reason, route, remedies }) => [listener, ok, reason, route, remedies]),
    [
      ['modern', false, 'no_shared_version', null, ['tls.policy: intermediate']],
      ['legacy', true, null, 'api', []],
    ],
  );
  const hello = writeClientHello(KNOWN_CLIENTS.find(({ id }) => id === 'chrome-137')!, { name: 'localhost' });
  const hexPath = join(tollgate.directory, 'hello.hex');
  writeFileSync(hexPath, hello.toString('hex'));
  const pcapPath = join(tollgate.directory, 'hello.pcap');
  writeFileSync(pcapPath, capture(hello));
  const [fromHex] = run(...config, '--hello', hexPath);
  const [fromPcap] = run(...config, '--hello', pcapPath);
  assert.equal(fromHex!.host, 'localhost');
  assert.deepEqual({ ...fromPcap, client: '' }, { ...fromHex, client: '' });
  assert.equal(fromPcap!.client, '192.0.2.1:50000 > 192.0.2.2:443');
  assert.ok(fromHex!.listeners.every(({ ok }) => ok));
  assert.deepEqual(run('--runtime', `${tollgate.directory}/run`, '--hello', hexPath)[0], fromHex);
  writeFileSync(hexPath, writeClientHello(KNOWN_CLIENTS.find(({ id }) => id === 'openssl-3.5')!, { name: null }).toString('hex'));
  const [nameless] = run(...config, '--hello', hexPath);
  assert.equal(nameless!.host, '');
  assert.deepEqual(
    nameless!.listeners.map(({ ok, notes }) => [ok, notes]),
    [
      [true, []],
      [true, []],
    ],
    'whom it looked for nobody knows',
  );
  assert.throws(() => tollgate.command('explain', ...config, '--host', 'localhost', '--client', 'jav-8'), /did you mean 'java-8'/);
});

/** One TCP stream over IPv4 and Ethernet, in two segments that came in the wrong order, behind its SYN. */
function capture(hello: Buffer): Buffer {
  const packet = (sequence: number, flags: number, payload: Buffer): Buffer => {
    const tcp = Buffer.alloc(20);
    tcp.writeUInt16BE(50_000, 0);
    tcp.writeUInt16BE(443, 2);
    tcp.writeUInt32BE(sequence >>> 0, 4);
    tcp[12] = 0x50;
    tcp[13] = flags;
    const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    ip.writeUInt16BE(40 + payload.length, 2);
    const frame = Buffer.concat([Buffer.alloc(12), Buffer.of(8, 0), ip, tcp, payload]);
    const head = Buffer.alloc(16);
    head.writeUInt32LE(frame.length, 8);
    head.writeUInt32LE(frame.length, 12);
    return Buffer.concat([head, frame]);
  };
  const file = Buffer.alloc(24);
  file.writeUInt32LE(0xa1b2c3d4, 0);
  file.writeUInt32LE(1, 20);
  const start = 0xffff_ff00;
  const half = hello.length >> 1;
  return Buffer.concat([
    file,
    packet(start - 1, 2, Buffer.alloc(0)),
    packet(start + half, 0x18, hello.subarray(half)),
    packet(start, 0x18, hello.subarray(0, half)),
  ]);
}

const NODE_CLIENT = 'openssl-3.5';

test('recorded clients are what the programs of this machine send', async (t) => {
  const cases: readonly (readonly [ids: readonly string[], command: string, args: (port: number) => readonly string[]])[] = [
    [['curl-7.88'], 'curl', (port) => ['-s', '--max-time', '10', `https://localhost:${port}/`]],
    [['openssl-3.0'], 'openssl', (port) => ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost']],
    // Whichever Debian has: an update of the year 2026 took suites away.
    [['java-17', 'java-17-old'], 'java', (port) => [javaClient(t), `https://localhost:${port}/`]],
    // Node's OpenSSL is 3.5; its suites are Node's own.
    [
      [NODE_CLIENT],
      process.execPath,
      (port) => ['-e', `require('node:tls').connect({ port: ${port}, servername: 'localhost' }).on('error', () => {})`],
    ],
  ];
  for (const [ids, command, args] of cases) {
    const hello = await helloOf(t, command, args);
    const candidates = KNOWN_CLIENTS.filter((each) => ids.includes(each.id));
    const known = candidates.find(({ suites }) => suites.length === hello.suiteCount) ?? candidates[0]!;
    const { id } = known;
    if (id !== NODE_CLIENT) assert.deepEqual(Array.from(hello.suites.subarray(0, hello.suiteCount)), known.suites, id);
    assert.deepEqual(Array.from(hello.groups.subarray(0, hello.groupCount)), known.groups, id);
    assert.deepEqual(Array.from(hello.keyShares.subarray(0, hello.keyShareCount)), known.keyShares, id);
    assert.deepEqual(Array.from(hello.schemes.subarray(0, hello.schemeCount)), known.signatureSchemes, id);
    assert.deepEqual(Array.from(hello.versions.subarray(0, hello.versionCount)), known.versions, id);
  }
});

/** A program that the `java` command compiles and runs: Java's own HttpClient. */
function javaClient(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-java-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'Get.java');
  const request = 'java.net.http.HttpRequest.newBuilder(java.net.URI.create(a[0])).build()';
  const send = `java.net.http.HttpClient.newHttpClient().send(${request}, java.net.http.HttpResponse.BodyHandlers.discarding());`;
  writeFileSync(path, `class Get { public static void main(String[] a) throws Exception { ${send} } }\n`);
  return path;
}

/** What a program sends first. */
async function helloOf(t: TestContext, command: string, args: (port: number) => readonly string[]): Promise<ClientHello> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const child = spawn(command, args(port), { stdio: ['pipe', 'ignore', 'ignore'] });
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
  socket.on('error', () => {});
  const hello = new ClientHello();
  let bytes = Buffer.alloc(0);
  while (readClientHello(bytes, 0, bytes.length, hello) === 0)
    bytes = Buffer.concat([bytes, ...((await once(socket, 'data')) as [Buffer])]);
  socket.destroy();
  // It may well try again: what it sends first is all that is wanted.
  child.kill();
  return hello;
}

test('tollgate policies lists them all, and tells the nearest name', () => {
  const list = JSON.parse(execFileSync(process.execPath, [PROGRAM, 'policies', '--json'], { encoding: 'utf8' })) as { name: string }[];
  assert.ok(list.length > 60 && list.some(({ name }) => name === 'cnsa2@1'));
  const one = execFileSync(process.execPath, [PROGRAM, 'policies', 'intermediate'], { encoding: 'utf8' });
  assert.match(one, /^intermediate@1: [\s\S]*\n {2}TLS_AES_128_GCM_SHA256\n[\s\S]*\n {2}X25519MLKEM768\n/);
  assert.throws(
    () => execFileSync(process.execPath, [PROGRAM, 'policies', 'intermediat'], { encoding: 'utf8', stdio: 'pipe' }),
    /did you mean 'intermediate'/,
  );
});
