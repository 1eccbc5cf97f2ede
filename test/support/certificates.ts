/** Certificates for the tests, made by openssl: a CA, and leaves under it. Once per test process, in a directory that goes with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  readonly certificate: string;
  readonly key: string;
}

const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-certificates-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** PEM file of the CA that signed every leaf. */
export const caPath = join(directory, 'ca.pem');
const caKey = join(directory, 'ca.key');
openssl(
  ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2', '-subj', '/CN=Tollgate test CA'],
  ...['-keyout', caKey, '-out', caPath],
);
export const ca: Buffer = readFileSync(caPath);

const made = new Map<string, TestCertificate>();

/** A leaf for DNS `names`; 127.0.0.1 is always in it. */
export function leaf(names: readonly string[], kind: 'ec' | 'rsa' = 'ec'): TestCertificate {
  const id = `${kind}-${names.join('_').replaceAll('*', 'any')}`;
  const known = made.get(id);
  if (known !== undefined) return known;
  const [certificate, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) => join(directory, `${id}.${end}`)) as [
    string,
    string,
    string,
    string,
  ];
  const newKey = kind === 'ec' ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['-newkey', 'rsa:2048'];
  openssl('req', '-nodes', ...newKey, '-subj', `/CN=${names[0]}`, '-keyout', key, '-out', request);
  writeFileSync(extensions, `subjectAltName=${[...names.map((name) => `DNS:${name}`), 'IP:127.0.0.1', 'IP:::1'].join(',')}\n`);
  openssl(
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    caPath,
    '-CAkey',
    caKey,
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    extensions,
    '-out',
    certificate,
  );
  const leafMade = { certificate, key };
  made.set(id, leafMade);
  return leafMade;
}
