/** Authorities and what they sign, for tests of this room: made by the openssl command. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  readonly pem: Buffer;
  readonly keyPem: Buffer;
}

const directory = mkdtempSync(join(tmpdir(), 'tollgate-tls-authority-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
let serial = 1_000;

function openssl(...values: readonly string[]): void {
  execFileSync('openssl', values, { stdio: 'pipe' });
}

export interface Wishes {
  /** Null: it signs itself. */
  readonly issuer: Pair | null;
  readonly authority?: boolean;
  /** From now; below 0: it is over. */
  readonly days?: number;
  readonly usage?: 'clientAuth' | 'serverAuth';
  readonly names?: readonly string[];
}

export function certify(name: string, { issuer, authority = false, days = 2, usage, names = [] }: Wishes): Pair {
  const at = (end: string): string => join(directory, `${++serial}.${end}`);
  const [key, request, extensions, certificate] = [at('key'), at('csr'), at('ext'), at('pem')];
  openssl(
    'req',
    '-new',
    '-nodes',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    key,
    '-out',
    request,
  );
  writeFileSync(
    extensions,
    [
      `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`,
      ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
      ...(names.length === 0
        ? []
        : [`subjectAltName=${names.map((each) => (/^[\d.]+$/.test(each) ? `IP:${each}` : `DNS:${each}`)).join(',')}`]),
    ].join('\n'),
  );
  const common = [
    '-req',
    '-in',
    request,
    '-days',
    String(days),
    '-extfile',
    extensions,
    '-out',
    certificate,
    '-set_serial',
    String(++serial),
  ];
  if (issuer === null) openssl('x509', ...common, '-signkey', key);
  else {
    const [ca, caKey] = [at('pem'), at('key')];
    writeFileSync(ca, issuer.pem);
    writeFileSync(caKey, issuer.keyPem);
    openssl('x509', ...common, '-CA', ca, '-CAkey', caKey);
  }
  return { pem: readFileSync(certificate), keyPem: readFileSync(key) };
}
