/**
 * testssl.sh against the presets on both engines: no finding above LOW. A run takes minutes of processor time, nearly all of it testssl.sh's own:
 * here are the protocols of one preset on the fast engine, and everything of every preset on both in the long run.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TestAuthority } from '../src/x509/test-authority.ts';
import { httpOrigin } from './support/origin.ts';
import { testPort } from './support/test-port.ts';
import { LONG, Tollgate } from './support/tollgate.ts';

const POLICIES = LONG ? ['modern', 'intermediate', 'pci-dss-4'] : ['intermediate'];
const ENGINES = LONG ? ['s2n', 'openssl'] : ['s2n'];
/** Everything, or which versions there are. */
const SECTIONS = LONG ? [] : ['--protocols'];
const RUN_MS_MAX = 3_600_000;

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** Starts the program; gives the listeners of each policy, one for each engine, with their ports. */
async function start(t: TestContext, directory: string): Promise<readonly (readonly (readonly [name: string, port: number])[])[]> {
  // As a certificate of the web is: not about to expire, and with a list that could tell of its revocation.
  const authority = new TestAuthority('/O=Test/CN=testssl');
  const extensions = [
    'subjectAltName=DNS:localhost',
    'extendedKeyUsage=serverAuth',
    'keyUsage=digitalSignature',
    'crlDistributionPoints=URI:http://127.0.0.1:9/ca.crl',
  ];
  const server = authority.issue('/CN=localhost', extensions, 200);
  writeFileSync(join(directory, 'ca.pem'), authority.pem);
  writeFileSync(join(directory, 'server.pem'), server.certificatePem);
  writeFileSync(join(directory, 'server.key'), server.keyPem, { mode: 0o600 });
  const certificates = `[{ certificate: ${directory}/server.pem, key: ${directory}/server.key }]`;
  // What it looks for in an answer is the application's affair, and this is one with all of it.
  const origin = await httpOrigin(t, (_request, response) => response.writeHead(200, APPLICATION).end('hello'));
  const places: [string, number][][] = [];
  let config = 'listeners:\n';
  for (const policy of POLICIES) {
    const own: [string, number][] = [];
    places.push(own);
    for (const engine of ENGINES) {
      const port = await testPort();
      own.push([`${policy}-${engine}`, port]);
      config += `  - { name: ${policy}-${engine}, address: "127.0.0.1:${port}", hsts: { maxAge: 365d }, tls: { engine: ${engine}, policy: ${policy}, certificates: ${certificates} }, routes: [{ to: origin }] }\n`;
    }
  }
  await Tollgate.start(t, { config: `${config}upstreams: [{ name: origin, targets: ["127.0.0.1:${origin.port}"] }]\n` });
  return places;
}

async function findings(directory: string, name: string, port: number): Promise<readonly Finding[]> {
  const file = join(directory, `${name}.json`);
  const usual = ['-n', 'none', '--warnings', 'off', '--color', '0', '--quiet', '--add-ca', join(directory, 'ca.pem'), '--jsonfile', file];
  await new Promise<void>((resolve) => {
    // Its exit code counts what it did not like: the file says more.
    const child = execFile('testssl', [...SECTIONS, ...usual, `https://localhost:${port}`], { timeout: RUN_MS_MAX }, () => resolve());
    child.stdin?.end();
  });
  return JSON.parse(readFileSync(file, 'utf8')) as Finding[];
}

const APPLICATION = {
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'self'",
  'Referrer-Policy': 'no-referrer',
};

/**
 * Warnings that are not of the server: what it says of the openssl command of this machine; and that it got no ticket of TLS 1.3, since it leaves
 * without a request, and tickets come with the first answer. That sessions are resumed is shown by real clients.
 */
const OF_ITS_OWN = ['engine_problem', 'sessionresumption_ticket'];

test(`testssl.sh finds nothing above LOW in ${POLICIES.join(', ')} on ${ENGINES.join(' and ')}: ${LONG ? 'everything' : 'versions'}`, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-testssl-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const wrong: string[] = [];
  for (const own of await start(t, directory)) {
    // Two at a time: each has a processor for itself.
    const runs = await Promise.all(own.map(async ([name, port]) => ({ name, found: await findings(directory, name, port) })));
    for (const { name, found } of runs) {
      for (const { id, severity, finding } of found) {
        if (['OK', 'INFO', 'LOW', 'DEBUG'].includes(severity) || (severity === 'WARN' && OF_ITS_OWN.includes(id))) continue;
        wrong.push(`${name}: ${severity} ${id}: ${finding}`);
      }
      const said = (id: string): string => found.find((each) => each.id === id)?.finding ?? 'nothing';
      const versions = ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2', 'TLS1_3'].map((id) => said(id).startsWith('offered'));
      assert.deepEqual(versions, [false, false, false, false, !name.startsWith('modern'), true], name);
      t.diagnostic(`${name}: ${found.length} findings`);
    }
  }
  assert.deepEqual(wrong, []);
});
