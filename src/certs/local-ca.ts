/**
 * The local CA: an authority of this user's own, made on the first run, and a certificate for localhost from it, renewed
 * when its end nears. Owns five files in the data directory and touches no other:
 *
 *   local-ca.pem  local-ca.key     the authority, ten years; its key never leaves this directory
 *   localhost.pem localhost.key    the certificate, 90 days; a renewal keeps the key, so that the two always match
 *   local-ca.lock                  empty; one process at a time writes
 *
 * Keys are 0600 in a directory of 0700. Whatever is found that this file cannot have made is left alone, and is an error.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { access, chmod, constants, mkdir, stat } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { writeAtomic } from './atomic-file.ts';
import { type LeafNames, makeAuthority, makeKey, makeLeaf } from './issue.ts';
import { withProcessLock } from './process-lock.ts';

export { trustHint } from './trust-hint.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const LEAF_DAYS = 90;
/** A leaf with less than this left is renewed. */
const RENEW_DAYS = 30;
/** Another process needs a second at most for what it does under the lock. Milliseconds. */
const LOCK_WAIT_MS = 10_000;
const FILE_BYTES_MAX = 65_536;
/** How the authority is known again: nobody else uses this name. */
const AUTHORITY_NAME = 'Tollgate local CA';

export interface LocalCertificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly caPath: string;
  /** Whether anything was made or renewed just now. */
  readonly made: boolean;
}

/** What the machine and the moment decide; tests decide otherwise. */
export interface Circumstances {
  readonly nowMs: number;
  readonly hostname: string;
}

/**
 * A certificate for localhost from the local CA in `directory`; both are made when missing. Safe in several processes at once.
 * Throws TollgateError: `local_ca_directory`, `local_ca_foreign`, `local_ca_key_missing`, `file_unreadable`, `locked`.
 */
export async function localCertificate(
  directory: string,
  { nowMs, hostname: host }: Circumstances = { nowMs: Date.now(), hostname: hostname() },
): Promise<LocalCertificate> {
  const files = new LocalFiles(directory, nowMs, namesOf(host));
  await prepare(directory);
  // Most starts find everything in place, and need neither the lock nor a directory that may be written.
  if (await files.areFresh()) return files.answer(false);
  await requireWritable(directory);
  return await withProcessLock(join(directory, 'local-ca.lock'), LOCK_WAIT_MS, async () => {
    if (await files.areFresh()) return files.answer(false);
    await files.make();
    return files.answer(true);
  });
}

class LocalFiles {
  readonly #caPath: string;
  readonly #caKeyPath: string;
  readonly #certificatePath: string;
  readonly #keyPath: string;
  readonly #nowMs: number;
  readonly #names: LeafNames;

  constructor(directory: string, nowMs: number, names: LeafNames) {
    this.#caPath = join(directory, 'local-ca.pem');
    this.#caKeyPath = join(directory, 'local-ca.key');
    this.#certificatePath = join(directory, 'localhost.pem');
    this.#keyPath = join(directory, 'localhost.key');
    this.#nowMs = nowMs;
    this.#names = names;
  }

  answer(made: boolean): LocalCertificate {
    return { certificatePath: this.#certificatePath, keyPath: this.#keyPath, caPath: this.#caPath, made };
  }

  /** Whether the leaf can be served as it is. The authority's key is not needed for that. */
  async areFresh(): Promise<boolean> {
    const status = await stat(this.#caKeyPath).catch(() => undefined);
    if (status !== undefined) await tighten(this.#caKeyPath, status.mode);
    const authority = await this.#authority();
    const leaf = await this.#leaf(authority);
    const key = leaf === undefined ? undefined : await readKey(this.#keyPath);
    return leaf !== undefined && key !== undefined && leaf.checkPrivateKey(key);
  }

  /** Makes what is missing, worn out or broken. Under the lock. */
  async make(): Promise<void> {
    const authority = (await this.#signingAuthority()) ?? (await this.#makeAuthority());
    let key = await readKey(this.#keyPath);
    if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
      const pem = makeKey();
      key = createPrivateKey(pem);
      await writeAtomic(this.#keyPath, pem, 0o600);
      pem.fill(0);
    }
    const leaf = await makeLeaf(
      { certificatePem: Buffer.from(authority.certificate.toString()), key: authority.key },
      key,
      this.#names,
      LEAF_DAYS,
      this.#nowMs,
    );
    await writeAtomic(this.#certificatePath, Buffer.from(leaf), 0o644);
  }

  /** The authority's certificate; undefined when there is none, or it is over. */
  async #authority(): Promise<X509Certificate | undefined> {
    const bytes = await readIfThere(this.#caPath);
    // An empty file is what a full disk leaves behind.
    if (bytes === undefined || bytes.length === 0) return undefined;
    const certificate = parseCertificate(bytes);
    if (certificate === undefined || !certificate.ca || !isOurs(certificate.subject)) throw foreign(this.#caPath);
    return certificate.validToDate.getTime() - this.#nowMs < RENEW_DAYS * DAY_MS ? undefined : certificate;
  }

  async #signingAuthority(): Promise<{ certificate: X509Certificate; key: KeyObject } | undefined> {
    const certificate = await this.#authority();
    if (certificate === undefined) {
      // The key is written first: one without a certificate has signed nothing that anybody could have trusted.
      return undefined;
    }
    const key = await readKey(this.#caKeyPath);
    if (key !== undefined && certificate.checkPrivateKey(key)) return { certificate, key };
    throw new TollgateError(
      'local_ca_key_missing',
      `${this.#caKeyPath} is ${key === undefined ? 'missing or broken' : 'not the key of local-ca.pem'}, so no certificate can be made; remove ${this.#caPath} to start a new local CA (and trust that one instead)`,
    );
  }

  async #makeAuthority(): Promise<{ certificate: X509Certificate; key: KeyObject }> {
    const name = `${AUTHORITY_NAME} (${owner(this.#names.dns[2] ?? hostname())}, ${new Date(this.#nowMs).toISOString().slice(0, 10)})`;
    const made = await makeAuthority(name.slice(0, 64), AUTHORITY_DAYS, this.#nowMs);
    const key = createPrivateKey(made.keyPem);
    await writeAtomic(this.#caKeyPath, made.keyPem, 0o600);
    made.keyPem.fill(0);
    await writeAtomic(this.#caPath, Buffer.from(made.certificatePem), 0o644);
    return { certificate: new X509Certificate(made.certificatePem), key };
  }

  /** The leaf, if `authority` signed it, its names are the wanted ones, and its end is far. A broken file counts as none. */
  async #leaf(authority: X509Certificate | undefined): Promise<X509Certificate | undefined> {
    const bytes = await readIfThere(this.#certificatePath);
    const leaf = bytes === undefined ? undefined : parseCertificate(bytes);
    if (leaf === undefined) {
      if (bytes !== undefined && bytes.length > 0 && !bytes.includes('-----BEGIN CERTIFICATE-----')) throw foreign(this.#certificatePath);
      return undefined;
    }
    if (!isOurs(leaf.issuer)) throw foreign(this.#certificatePath);
    if (authority === undefined || !leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return undefined;
    const wanted = [
      ...this.#names.dns.map((name) => `DNS:${name}`),
      ...this.#names.ips.map((ip) => `IP Address:${ip === '::1' ? '0:0:0:0:0:0:0:1' : ip}`),
    ];
    if (leaf.subjectAltName !== wanted.join(', ')) return undefined;
    const left = leaf.validToDate.getTime() - this.#nowMs;
    return left < RENEW_DAYS * DAY_MS || leaf.validFromDate.getTime() > this.#nowMs ? undefined : leaf;
  }
}

/** The names by which this machine calls itself. */
function namesOf(host: string): LeafNames {
  const name = host.toLowerCase();
  const usable =
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(name) &&
    name.length <= 253 &&
    !/^[\d.]+$/.test(name);
  const dns = ['localhost', '*.localhost'];
  if (usable && !dns.includes(name)) dns.push(name);
  return { dns, ips: ['127.0.0.1', '::1'] };
}

/** Makes the directory, and refuses one in which others could put an authority of theirs. */
async function prepare(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new TollgateError(
      'local_ca_directory',
      `the data directory ${directory} cannot be made (${(error as NodeJS.ErrnoException).code}); set TOLLGATE_DATA to another`,
      error,
    );
  }
  const status = await stat(directory);
  const user = process.geteuid?.() ?? 0;
  if (user !== 0 && status.uid !== user)
    throw new TollgateError(
      'local_ca_directory',
      `the data directory ${directory} belongs to another user (uid ${status.uid}); set TOLLGATE_DATA to another`,
    );
  if ((status.mode & 0o022) !== 0)
    throw new TollgateError('local_ca_directory', `other users may write to the data directory ${directory}; run 'chmod 700' on it`);
}

async function requireWritable(directory: string): Promise<void> {
  try {
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TollgateError(
      'local_ca_directory',
      `the data directory ${directory} cannot be written to (${code}); set TOLLGATE_DATA to another`,
      error,
    );
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return (await readBoundedFile(path, FILE_BYTES_MAX)).bytes;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The private key at `path`; undefined when the file is missing or holds none. */
async function readKey(path: string): Promise<KeyObject | undefined> {
  let bytes: Buffer | undefined;
  try {
    const file = await readBoundedFile(path, FILE_BYTES_MAX);
    bytes = file.bytes;
    await tighten(path, file.mode);
    return createPrivateKey(bytes);
  } catch (error) {
    if (isMissing(error) || (bytes !== undefined && isUndecodable(error))) return undefined;
    throw error;
  } finally {
    bytes?.fill(0);
  }
}

/** Keys are for their owner alone, whatever a copy or a backup made of them. */
async function tighten(path: string, mode: number): Promise<void> {
  if ((mode & 0o077) === 0) return;
  try {
    await chmod(path, 0o600);
  } catch (error) {
    throw new TollgateError(
      'local_ca_directory',
      `other users may read ${path}, and that cannot be changed (${(error as NodeJS.ErrnoException).code})`,
      error,
    );
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof TollgateError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

function isUndecodable(error: unknown): boolean {
  return !(error instanceof TollgateError) && (error as NodeJS.ErrnoException).syscall === undefined;
}

function parseCertificate(bytes: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

function isOurs(name: string): boolean {
  return name.split('\n').some((line) => line.startsWith(`CN=${AUTHORITY_NAME} (`));
}

function foreign(path: string): TollgateError {
  return new TollgateError(
    'local_ca_foreign',
    `${path} is not what Tollgate made; move it away, or set TOLLGATE_DATA to another directory`,
  );
}

/** Who made the authority, for the people who find it in a list years later. */
function owner(host: string): string {
  const plain = (text: string): string => text.replaceAll(/[^\w.-]/g, '').slice(0, 16);
  let user = '';
  try {
    user = plain(userInfo().username);
  } catch {
    // A container's user need not have a name.
  }
  return user === '' ? plain(host) : `${user}@${plain(host)}`;
}
