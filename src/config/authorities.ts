/** Files of authorities, read and checked: those that settings name, and those that this machine has. */
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { joinPem, type PemBlock, pemBlocks } from '../certs/pem.ts';
import { type Certificate, readCertificate } from '../x509/certificate.ts';
import type { SettingPath } from './findings.ts';

/** Largest file of authorities, and certificates over all files of one setting. */
const AUTHORITIES_BYTES_MAX = 4_194_304;
const AUTHORITIES_MAX = 4_096;

export interface AuthorityFindings {
  error(path: SettingPath, message: string): void;
  warn(path: SettingPath, message: string): void;
}

export interface Authorities {
  /** All of them, and nothing else. */
  readonly pem: Buffer;
  readonly certificates: readonly Certificate[];
  /** A file could not be used, which has been told. */
  readonly broken: boolean;
}

/** What `files` hold together; `path` is where they are named. */
export async function readAuthorities(
  files: readonly string[],
  path: SettingPath,
  nowMs: number,
  findings: AuthorityFindings,
): Promise<Authorities> {
  const blocks: PemBlock[] = [];
  const certificates: Certificate[] = [];
  let broken = false;
  for (const [i, file] of files.entries()) {
    try {
      const found = await readFile(file);
      blocks.push(...found.blocks);
      certificates.push(...found.certificates);
      for (const { subject, notAfterMs } of found.certificates) {
        if (notAfterMs < nowMs) findings.warn([...path, i], `the authority ${subject} in ${file} expired on ${day(notAfterMs)}`);
      }
    } catch (error) {
      if (!(error instanceof TollgateError)) throw error;
      findings.error([...path, i], error.message);
      broken = true;
    }
  }
  if (certificates.length > AUTHORITIES_MAX) findings.error(path, `${certificates.length} authorities; ${AUTHORITIES_MAX} at most`);
  return { pem: joinPem(blocks), certificates, broken };
}

async function readFile(file: string): Promise<{ blocks: readonly PemBlock[]; certificates: readonly Certificate[] }> {
  const blocks = await certificateBlocks(file);
  const certificates = blocks.map((block, i) => {
    const certificate = parse(block);
    if (certificate === null) throw new TollgateError('certificate_invalid', `certificate ${i + 1} of ${file} cannot be read`);
    return certificate;
  });
  return { blocks, certificates };
}

async function certificateBlocks(file: string): Promise<readonly PemBlock[]> {
  const { bytes } = await readBoundedFile(file, AUTHORITIES_BYTES_MAX);
  const all = pemBlocks(bytes);
  if (all.includes(undefined)) throw new TollgateError('certificate_invalid', `${file} is cut short: a PEM block has no end`);
  const blocks = all.filter((block) => block !== undefined && /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(block.label)) as PemBlock[];
  if (blocks.length === 0) throw new TollgateError('certificate_invalid', `${file} holds no PEM certificate`);
  return blocks;
}

function parse(block: PemBlock): Certificate | null {
  try {
    return readCertificate(new X509Certificate(block.bytes).raw);
  } catch {
    return null;
  }
}

/** Where distributions keep the authorities that they trust: Debian and Alpine, Fedora and Red Hat, openSUSE, others. */
const MACHINE_FILES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The file with the authorities that this machine trusts: SSL_CERT_FILE, as OpenSSL reads it, or the usual one; null: there is none. */
export function machineAuthorities(): string | null {
  const named = process.env.SSL_CERT_FILE ?? '';
  return named === '' ? (MACHINE_FILES.find((file) => existsSync(file)) ?? null) : named;
}

/** What `file`, which somebody else looks after, holds: one that cannot be read is nobody's who is asked for. Throws TollgateError. */
export async function readMachineAuthorities(file: string): Promise<Buffer> {
  return joinPem((await certificateBlocks(file)).filter((block) => parse(block) !== null));
}

/** `2030-01-31`. */
export function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
