/**
 * Clients that people have against the real program: both engines, the presets, TLS 1.2 and 1.3, resumption, certificates of their own. What
 * they say of it and what the access log says must agree.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestAuthority } from '../src/x509/test-authority.ts';
import { type ClientFiles, chromium, type Job, realClients } from './real-clients/clients.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, until } from './support/tollgate.ts';

const ENGINES = ['s2n', 'openssl'] as const;
const POLICIES = ['modern', 'intermediate', 'pci-dss-4', 'post-quantum'] as const;
const VERSIONS = ['1.2', '1.3'] as const;

interface Listener {
  readonly name: string;
  readonly engine: (typeof ENGINES)[number];
  readonly policy: (typeof POLICIES)[number];
  readonly port: number;
}

const directory = mkdtempSync(join(tmpdir(), 'tollgate-real-clients-'));
const at = (name: string): string => join(directory, name);
const files: ClientFiles = { authority: at('ca.pem'), certificate: at('client.pem'), key: at('client.key'), pkcs12: at('client.p12') };
const listeners: Listener[] = [];
let mutualPort = 0;
after(() => rmSync(directory, { recursive: true }));

before(async () => {
  const authority = new TestAuthority('/O=Test/CN=Real clients');
  writeFileSync(files.authority, authority.pem);
  const server = authority.issue('/CN=localhost', ['subjectAltName=DNS:localhost', 'extendedKeyUsage=serverAuth']);
  writeFileSync(at('server.pem'), server.certificatePem);
  writeFileSync(at('server.key'), server.keyPem, { mode: 0o600 });
  const client = authority.issue('/O=Test/CN=teller');
  writeFileSync(files.certificate, client.certificatePem);
  writeFileSync(files.key, client.keyPem, { mode: 0o600 });
  const bundle = ['pkcs12', '-export', '-in', files.certificate, '-inkey', files.key, '-passout', 'pass:test', '-out', files.pkcs12];
  execFileSync('openssl', bundle, { stdio: 'pipe' });
  for (const engine of ENGINES) {
    for (const policy of POLICIES) {
      const port = await testPort();
      listeners.push({ name: `${engine}-${policy}`, engine, policy, port });
    }
  }
  mutualPort = await testPort();
});

/** A page that shows the page of every listener in a frame. */
function page(): string {
  return listeners.map(({ port }) => `<iframe src='https://localhost:${port}/chromium'></iframe>`).join('');
}

function config(): string {
  const certificates = `certificates: [{ certificate: "${at('server.pem')}", key: "${at('server.key')}" }]`;
  const routes = `[{ match: { path: /frames }, respond: { type: text/html, body: "${page()}" } }, { respond: { body: hi } }]`;
  const mutual = `clientCertificates: { authorities: "${files.authority}" }`;
  const all = [
    ...listeners.map(({ name, engine, policy, port }) => ({ name, port, tls: `engine: ${engine}, policy: ${policy}` })),
    { name: 'mutual', port: mutualPort, tls: mutual },
  ];
  return `listeners:\n${all
    .map(
      ({ name, port, tls }) => `  - { name: ${name}, address: "127.0.0.1:${port}", tls: { ${tls}, ${certificates} }, routes: ${routes} }\n`,
    )
    .join('')}`;
}

/** Requests in the access log for `path`, as `port version`. */
function seen(tollgate: Tollgate, path: string): string[] {
  return tollgate
    .accessLog()
    .filter((line) => line.path === path)
    .map(({ host, tls }) => `${String(host).replace(/^.*:/, '')} ${String(tls)}`);
}

async function resumed(tollgate: Tollgate): Promise<number[]> {
  const metrics = await tollgate.metrics();
  return VERSIONS.map((version) => metrics.get(`tollgate_handshakes_total{version="TLSv${version}",resumed="true"}`) ?? 0);
}

test('curl, OpenSSL, GnuTLS, Python, Java and Node: versions, policies, resumption and client certificates on both engines', async (t) => {
  const tollgate = await Tollgate.start(t, { config: config() });
  for (const client of realClients(files)) {
    await t.test(client.name, async () => {
      const before = await resumed(tollgate);
      const path = `/${client.name}`;
      const wanted: { readonly job: Job; readonly served: boolean }[] = [];
      for (const { port, policy } of listeners) {
        for (const version of VERSIONS) {
          const served = policy === 'modern' ? version === '1.3' : policy !== 'post-quantum' || (client.postQuantum && version === '1.3');
          const times = policy === 'intermediate' && client.resumes.includes(version) ? 2 : 1;
          wanted.push({ job: { port, path, version, times, certificate: false }, served });
        }
      }
      for (const version of VERSIONS) {
        for (const certificate of [true, false])
          wanted.push({ job: { port: mutualPort, path, version, times: 1, certificate }, served: certificate });
      }
      const answers = await client.run(wanted.map(({ job }) => job));
      const told = (answer: boolean, { port, version, certificate }: Job): string => `${port} ${version} ${certificate}: ${answer}`;
      assert.deepEqual(
        answers.map((answer, i) => told(answer, wanted[i]!.job)),
        wanted.map(({ job, served }) => told(served, job)),
      );
      // GnuTLS says nothing on the first of two connections.
      const requests = wanted.flatMap(({ job, served }) =>
        Array.from({ length: served ? (client.name === 'gnutls' ? 1 : job.times) : 0 }, () => `${job.port} TLSv${job.version}`),
      );
      await until(() => seen(tollgate, path).length >= requests.length);
      assert.deepEqual(seen(tollgate, path).sort(), requests.sort());
      const expected = VERSIONS.map((version) => (client.resumes.includes(version) ? ENGINES.length : 0));
      const now = await resumed(tollgate);
      assert.deepEqual(
        now.map((count, i) => count - before[i]!),
        expected,
      );
    });
  }
});

test('Chromium trusts the authority, and has the page of every policy on both engines', async (t) => {
  const tollgate = await Tollgate.start(t, { config: config() });
  const first = listeners.find(({ name }) => name === 's2n-intermediate')!;
  const dom = await chromium(files.authority, `https://localhost:${first.port}/frames`);
  assert.equal(dom.match(/<iframe/g)?.length, listeners.length);
  await until(() => seen(tollgate, '/chromium').length >= listeners.length);
  assert.deepEqual(seen(tollgate, '/chromium').sort(), listeners.map(({ port }) => `${port} TLSv1.3`).sort());
});
