/** An authority for tests: certificates by the openssl command, lists of revoked certificates byte by byte. No part of the program. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificate, readCertificate } from './certificate.ts';

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from(head), ...parts]);
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes: number[] = [];
  for (const value of [first * 40 + second, ...rest]) {
    const digits = [value % 128];
    for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

/** A positive INTEGER. */
export function integer(bytes: Uint8Array): Buffer {
  return der(0x02, (bytes[0]! & 0x80) !== 0 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function extension(id: string, value: Buffer, critical = false): Buffer {
  return der(0x30, oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
}

const ALGORITHMS = {
  ec: der(0x30, oid('1.2.840.10045.4.3.2')),
  rsa: der(0x30, oid('1.2.840.113549.1.1.11'), der(0x05)),
};

export interface ListWishes {
  readonly serials?: Iterable<Uint8Array>;
  readonly thisUpdateMs?: number;
  /** Null: left out. */
  readonly nextUpdateMs?: number | null;
  /** DER of extensions of the list, and of each entry. */
  readonly extensions?: readonly Buffer[];
  readonly entryExtensions?: readonly Buffer[];
  readonly signer?: TestAuthority;
  /** In place of what the authority would say. */
  readonly algorithm?: Buffer;
}

export interface MadeClient {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly certificate: Certificate;
}

export class TestAuthority {
  readonly pem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
  readonly certificate: Certificate;
  readonly #kind: 'ec' | 'rsa';
  #serial = 0x1000;

  /** `extensions`: more lines of an openssl extension section. */
  constructor(name = '/O=Test/CN=Authority', kind: 'ec' | 'rsa' = 'ec', issuer?: TestAuthority, extensions: readonly string[] = []) {
    this.#kind = kind;
    const made = certified(
      name,
      kind,
      ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign', 'subjectKeyIdentifier=hash', ...extensions],
      {
        issuer,
        serial: undefined,
        days: 30,
      },
    );
    this.pem = made.pem;
    this.keyPem = made.keyPem;
    this.key = createPrivateKey(made.keyPem);
    this.certificate = parse(made.pem);
  }

  /** A leaf. `extensions`: lines of an openssl extension section. */
  issue(subject: string, extensions: readonly string[] = ['extendedKeyUsage=clientAuth'], days = 30): MadeClient {
    const { pem, keyPem } = certified(subject, 'ec', ['basicConstraints=CA:false', ...extensions], {
      issuer: this,
      serial: this.#serial++,
      days,
    });
    return { certificatePem: pem, keyPem, certificate: parse(pem) };
  }

  /** A certificate out of what is to be signed, DER. */
  sign(tbs: Buffer): Buffer {
    return der(0x30, tbs, ALGORITHMS[this.#kind], der(0x03, Buffer.from([0]), sign('sha256', tbs, this.key)));
  }

  /** A list, DER. */
  list(wishes: ListWishes = {}): Buffer {
    const signer = wishes.signer ?? this;
    const algorithm = wishes.algorithm ?? ALGORITHMS[signer.#kind];
    const date = time(Date.UTC(2024, 0, 1));
    const extra = wishes.entryExtensions === undefined ? [] : [der(0x30, ...wishes.entryExtensions)];
    const entries = Buffer.concat([...(wishes.serials ?? [])].map((serial) => der(0x30, integer(serial), date, ...extra)));
    const nextUpdateMs = wishes.nextUpdateMs === undefined ? Date.now() + 3_600_000 : wishes.nextUpdateMs;
    const tbs = der(
      0x30,
      integer(Buffer.from([1])),
      algorithm,
      this.certificate.subjectDer,
      time(wishes.thisUpdateMs ?? Date.now() - 60_000),
      ...(nextUpdateMs === null ? [] : [time(nextUpdateMs)]),
      ...(entries.length === 0 ? [] : [der(0x30, entries)]),
      ...(wishes.extensions === undefined ? [] : [der(0xa0, der(0x30, ...wishes.extensions))]),
    );
    return der(0x30, tbs, algorithm, der(0x03, Buffer.from([0]), sign('sha256', tbs, signer.key)));
  }
}

interface SignOptions {
  /** Undefined: it signs itself. */
  readonly issuer: { readonly pem: string | Buffer; readonly keyPem: string | Buffer } | undefined;
  readonly serial: number | undefined;
  /** From now; below 0: it is over. */
  readonly days: number;
}

/** A key, and a certificate for it with these lines of an openssl extension section. */
export function certified(
  subject: string,
  kind: 'ec' | 'rsa',
  extensions: readonly string[],
  options: SignOptions,
): { pem: string; keyPem: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-authority-'));
  const at = (name: string): string => join(directory, name);
  try {
    writeFileSync(at('c.cnf'), `[req]\ndistinguished_name=dn\n[dn]\n[ext]\n${extensions.join('\n')}\n`);
    const key = kind === 'ec' ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['-newkey', 'rsa:2048'];
    const common = ['-config', at('c.cnf'), '-nodes', '-subj', subject, '-keyout', at('key')];
    const { issuer, serial, days } = options;
    if (issuer === undefined) {
      openssl('req', '-x509', ...common, ...key, '-extensions', 'ext', '-days', String(days), '-out', at('pem'));
    } else {
      writeFileSync(at('ca'), issuer.pem);
      writeFileSync(at('ca.key'), issuer.keyPem);
      openssl('req', ...common, ...key, '-out', at('csr'));
      const chosen = serial === undefined ? ['-CAcreateserial'] : ['-set_serial', String(serial)];
      const signed = ['-CA', at('ca'), '-CAkey', at('ca.key'), '-extfile', at('c.cnf'), '-extensions', 'ext', '-days', String(days)];
      openssl('x509', '-req', '-in', at('csr'), ...signed, ...chosen, '-out', at('pem'));
    }
    return { pem: readFileSync(at('pem'), 'utf8'), keyPem: readFileSync(at('key'), 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

function parse(pem: string): Certificate {
  const certificate = readCertificate(new X509Certificate(pem).raw);
  if (certificate === null) throw new Error('a certificate that cannot be read');
  return certificate;
}
