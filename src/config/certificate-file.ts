/**
 * One certificate with its chain and key, read from two PEM files (or one that has both) and checked against each other.
 * Key bytes stay bytes in memory of their own, never text; no message of this file quotes what it read.
 */
import { hash } from 'node:crypto';
import { type FileBytes, readBoundedFile } from '../base/bounded-file.ts';
import type { KeyType } from '../base/key-type.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { derOf, joinedBytes, joinPem, type PemBlock, pemBlocks } from '../certs/pem.ts';
import { type Certificate, EKU_ANY, EKU_CLIENT_AUTH, readCertificate } from '../x509/certificate.ts';
import { DER_SEQUENCE, DerReader } from '../x509/der.ts';
import { commonName } from '../x509/distinguished-name.ts';
import { hostName } from './addresses.ts';
import { checkChain } from './chain.ts';
import { type PrivateKey, readPrivateKey } from './private-key.ts';
import { listed } from './wording.ts';

/** Largest PEM file. Bytes. */
const PEM_BYTES_MAX = 1_048_576;
/** Certificates in one chain. */
const CHAIN_MAX = 16;
/** A warning is due when a certificate has less than this to live. Milliseconds. */
const EXPIRY_WARNING_MS = 14 * 86_400_000;
const DAY_MS = 86_400_000;
/** Hex digits of a digest that is only to tell some tens of things apart. */
const DIGEST_DIGITS = 16;

export interface CertificateFile {
  /** SHA-256 of the leaf's DER, lower-case hex. */
  readonly fingerprint: string;
  /** DNS names of the leaf, lower-case A-labels. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly keyType: KeyType;
  /** As CertificatePlan has it. */
  readonly algorithms: string;
  /** PEM of the chain, leaf first, and nothing else. */
  readonly chain: Buffer;
  /** PEM of the private key, and nothing else; the owner zeroes it. */
  readonly key: Buffer;
  readonly warnings: readonly CertificateProblem[];
  readonly notes: readonly CertificateProblem[];
}

/** A sentence, and the setting it belongs to. */
export interface CertificateProblem {
  readonly setting: 'certificate' | 'key';
  readonly message: string;
}

/** What is wrong with a pair of files. */
export class CertificateFileError extends TollgateError {
  override name = 'CertificateFileError';
  readonly problems: readonly CertificateProblem[];

  constructor(problems: readonly CertificateProblem[]) {
    super('certificate_invalid', problems.map((problem) => problem.message).join('; '));
    this.problems = problems;
  }
}

/**
 * Reads and checks the pair; a file that has both is read once. `use`: whom it is shown as. Throws CertificateFileError with what is wrong with
 * either.
 */
export async function readCertificateFile(
  certificatePath: string,
  keyPath: string,
  nowMs: number,
  use: 'server' | 'client' = 'server',
): Promise<CertificateFile> {
  const problems: CertificateProblem[] = [];
  const warnings: CertificateProblem[] = [];
  const first = await readPem(certificatePath, 'certificate', problems);
  const second = certificatePath === keyPath ? first : await readPem(keyPath, 'key', problems);
  try {
    const chain = attempt(problems, 'certificate', first, (file) => parseChain(file, certificatePath));
    const key = attempt(problems, 'key', second, (file) => parseKey(file, keyPath, warnings));
    if (chain !== undefined && key !== undefined) matchKey(chain, key, certificatePath, keyPath, problems);
    if (chain === undefined || key === undefined || problems.length > 0) throw new CertificateFileError(problems);
    return checked(chain, key, certificatePath, nowMs, use, warnings);
  } finally {
    first?.bytes.fill(0);
    second?.bytes.fill(0);
  }
}

interface PemFile extends FileBytes {
  readonly blocks: readonly (PemBlock | undefined)[];
}

async function readPem(path: string, setting: CertificateProblem['setting'], problems: CertificateProblem[]): Promise<PemFile | undefined> {
  try {
    const { bytes, mode } = await readBoundedFile(path, PEM_BYTES_MAX);
    return { bytes, mode, blocks: pemBlocks(bytes) };
  } catch (error) {
    return note(problems, setting, error);
  }
}

/** What `parse` makes of a file that could be read. */
function attempt<Result>(
  problems: CertificateProblem[],
  setting: CertificateProblem['setting'],
  file: PemFile | undefined,
  parse: (file: PemFile) => Result,
): Result | undefined {
  if (file === undefined) return undefined;
  try {
    return parse(file);
  } catch (error) {
    return note(problems, setting, error);
  }
}

/** A chain and its key, looked at more closely. */
function checked(
  chain: Chain,
  key: Key,
  path: string,
  nowMs: number,
  use: 'server' | 'client',
  warnings: CertificateProblem[],
): CertificateFile {
  const leaf = chain.certificates[0]!;
  checkDates(leaf, path, nowMs, warnings);
  const notes: CertificateProblem[] = [];
  // Servers go by authorities of their own: what the world's clients have is nothing to them.
  const findings = use === 'client' ? [] : checkChain(chain.certificates, path, nowMs);
  for (const { severity, message } of findings) (severity === 'note' ? notes : warnings).push({ setting: 'certificate', message });
  const names = dnsNames(leaf);
  if (use === 'client') checkForClients(leaf, path, warnings);
  else {
    checkStapling(leaf, chain.certificates.length, path, warnings);
    if (names.length === 0)
      warnings.push({ setting: 'certificate', message: `${path} has no DNS name; it is used only for clients that match no other` });
  }
  // One piece of memory for both: with ten thousand of them, making it is a good part of the work.
  const chainBytes = joinedBytes(chain.blocks);
  const memory = Buffer.alloc(chainBytes + joinedBytes([key.block]));
  return {
    fingerprint: hash('sha256', leaf.der),
    names,
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
    keyType: key.keyType,
    algorithms: algorithmsOf(chain.certificates),
    chain: joinPem(chain.blocks, memory),
    key: joinPem([key.block], memory, chainBytes),
    warnings,
    notes,
  };
}

/** A key's algorithm with its parameters and its size, and the algorithm of the signature: of each. */
function algorithmsOf(certificates: readonly Certificate[]): string {
  const parts = certificates.flatMap(({ publicKeyDer, signatureDer }) => {
    const outer = new DerReader(publicKeyDer);
    outer.take(DER_SEQUENCE);
    const key = outer.inside();
    key.take(DER_SEQUENCE);
    return [key.whole(), Buffer.of(publicKeyDer.length >> 8, publicKeyDer.length), signatureDer];
  });
  return hash('sha256', Buffer.concat(parts)).slice(0, DIGEST_DIGITS);
}

interface Chain {
  /** Views of the file. */
  readonly blocks: readonly PemBlock[];
  readonly certificates: readonly Certificate[];
}

function parseChain({ bytes, blocks: all }: PemFile, path: string): Chain {
  const blocks = all.filter((block) => block?.label === 'CERTIFICATE') as PemBlock[];
  if (all.includes(undefined)) throw invalid(`${path} is cut short: a PEM block has no end`);
  if (blocks.length === 0) throw invalid(`${path} ${insteadOf('certificate', bytes, all)}`);
  if (blocks.length > CHAIN_MAX)
    throw invalid(`${path} holds ${blocks.length} certificates, more than a chain of ${CHAIN_MAX}; is it a store of authorities?`);
  const certificates = blocks.map((block, index) => {
    const certificate = readCertificate(derOf(block), true);
    if (certificate === null) throw invalid(`certificate ${index + 1} of ${path} cannot be read`);
    return certificate;
  });
  return { blocks, certificates };
}

/** What a file has in place of what it should have. */
function insteadOf(wanted: string, bytes: Buffer, blocks: readonly (PemBlock | undefined)[]): string {
  if (bytes.length === 0) return 'is empty';
  if (blocks.length > 0) return `holds no PEM ${wanted}, only ${listed([...new Set(blocks.map((block) => block!.label))])}`;
  // A SEQUENCE whose length has bytes of its own: every certificate and key is one in DER (X.690, sections 8.1.3 and 8.9).
  if (bytes[0] === 0x30 && (bytes[1] === 0x81 || bytes[1] === 0x82))
    return `holds no PEM ${wanted}; it looks like DER or PKCS #12, which openssl makes PEM of`;
  return `holds no PEM ${wanted}`;
}

interface Key extends PrivateKey {
  /** A view of the file. */
  readonly block: PemBlock;
}

function parseKey({ bytes, mode, blocks: all }: PemFile, path: string, warnings: CertificateProblem[]): Key {
  const blocks = all.filter((block) => block?.label.endsWith('PRIVATE KEY')) as PemBlock[];
  if (blocks.length === 0) {
    if (all.includes(undefined)) throw invalid(`${path} is cut short: a PEM block has no end`);
    throw invalid(`${path} ${insteadOf('private key', bytes, all)}`);
  }
  if (blocks.length > 1) throw invalid(`${path} holds ${blocks.length} private keys; one is expected`);
  const block = blocks[0]!;
  if (block.label.startsWith('ENCRYPTED') || block.bytes.includes('Proc-Type: 4,ENCRYPTED')) {
    throw invalid(`the key in ${path} is encrypted, which is not available yet; decrypt it with 'openssl pkey -in OLD -out NEW'`);
  }
  const key = readPrivateKey(block, path);
  if ((mode & 0o004) !== 0)
    warnings.push({ setting: 'key', message: `every user of this machine may read ${path}; run 'chmod 600' on it` });
  return { ...key, block };
}

function matchKey(chain: Chain, key: Key, certificatePath: string, keyPath: string, problems: CertificateProblem[]): void {
  const owner = chain.certificates.findIndex((certificate) => key.isOf(certificate));
  if (owner === 0) return;
  if (owner > 0) {
    problems.push({
      setting: 'certificate',
      message: `the key belongs to certificate ${owner + 1} of ${certificatePath}; the leaf must come first, then its issuers`,
    });
  } else {
    problems.push({ setting: 'key', message: `${keyPath} is not the key of the certificate in ${certificatePath}` });
  }
}

function checkDates({ notBeforeMs: from, notAfterMs: to }: Certificate, path: string, nowMs: number, warnings: CertificateProblem[]): void {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  if (nowMs > to) warnings.push({ setting: 'certificate', message: `the certificate in ${path} expired on ${day(to)}` });
  else if (nowMs < from)
    warnings.push({ setting: 'certificate', message: `the certificate in ${path} is not valid before ${new Date(from).toISOString()}` });
  else if (to - nowMs < EXPIRY_WARNING_MS && to - from > 2 * EXPIRY_WARNING_MS) {
    warnings.push({
      setting: 'certificate',
      message: `the certificate in ${path} expires on ${day(to)}, in ${Math.floor((to - nowMs) / DAY_MS)} days`,
    });
  }
}

/** RFC 7633: a client that reads this refuses the certificate without an OCSP response. */
function checkStapling(leaf: Certificate, certificates: number, path: string, warnings: CertificateProblem[]): void {
  if (!leaf.mustStaple) return;
  const lacks = leaf.ocspUris.every((uri) => !uri.startsWith('http:'))
    ? 'names no responder that could be asked by http'
    : certificates < 2
      ? 'stands without its issuer, whose responder could be asked'
      : null;
  const message =
    lacks === null
      ? `the certificate in ${path} demands an OCSP response (must-staple): clients refuse it until its responder has answered`
      : `the certificate in ${path} demands an OCSP response (must-staple) and ${lacks}: clients will refuse it`;
  warnings.push({ setting: 'certificate', message });
}

/** Servers refuse a certificate that says what it is for, and does not say this. RFC 5280, section 4.2.1.12. */
function checkForClients({ extendedKeyUsage: usage }: Certificate, path: string, warnings: CertificateProblem[]): void {
  if (usage === null || usage.includes(EKU_CLIENT_AUTH) || usage.includes(EKU_ANY)) return;
  warnings.push({
    setting: 'certificate',
    message: `the certificate in ${path} is not for clients (extended key usage): servers may refuse it`,
  });
}

/** The leaf's DNS names; its common name only when it has no subject alternative name at all. RFC 9525, section 6.3. */
function dnsNames({ dnsNames: listedNames, hasAlternativeNames, subjectDer }: Certificate): readonly string[] {
  const names = new Set<string>();
  for (const text of hasAlternativeNames ? listedNames : [commonName(subjectDer) ?? '']) {
    const wildcard = text.startsWith('*.');
    const name = hostName(wildcard ? text.slice(2) : text);
    if (name !== undefined) names.add(wildcard ? `*.${name}` : name);
  }
  return [...names];
}

function invalid(message: string, cause?: unknown): TollgateError {
  return new TollgateError('certificate_invalid', message, cause);
}

function note(problems: CertificateProblem[], setting: 'certificate' | 'key', error: unknown): undefined {
  if (!(error instanceof TollgateError)) throw error;
  problems.push({ setting, message: error.message });
  return undefined;
}
