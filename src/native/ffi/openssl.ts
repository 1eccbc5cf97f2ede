/**
 * OpenSSL's functions, bound: those of the running node, or of another libssl. Only `native` may import this. Knows what calls and errors
 * are, and nothing of contexts or connections.
 */
import koffi from 'koffi';
import { assert } from '../../base/assert.ts';
import { OPENSSL_LATER_SYMBOLS, OPENSSL_SYMBOLS } from '../openssl-symbols.ts';
import { NativeMemory } from './native-memory.ts';

type Native = (...values: (number | string)[]) => number;
type Bindings = Record<keyof typeof OPENSSL_SYMBOLS, Native> & Record<keyof typeof OPENSSL_LATER_SYMBOLS, Native | null>;

/** Set by `bindOpenssl`. */
export let ssl: Bindings;

/** The library of an error code: `ERR_LIB_SSL`. The bits above the reason (`ERR_LIB_OFFSET`). */
const LIBRARY_SHIFT = 23;
const LIBRARY_MASK = 0xff;
const LIBRARY_SSL = 20;
const REASON_MASK = 0x7f_ffff;
/** `ERR_SYSTEM_FLAG`: the reason is an errno. */
const SYSTEM_FLAG = 0x8000_0000;
/** `ERR_RFLAG_FATAL` and its kin: reasons that every library shares, such as "out of memory". */
const REASON_COMMON_MIN = 0x4_0000;

/** Another library is loaded once, and never exchanged: its code runs in this process already. */
let loaded: string | null | undefined;

/**
 * Binds every function, out of the running node (null) or out of the libssl at `path`. Throws one error that names the file, and the first
 * function it lacks. Called again with the same library it does nothing.
 */
export function bindOpenssl(path: string | null): void {
  if (loaded === path) return;
  if (loaded !== undefined) throw new Error('another OpenSSL is loaded already: a new library needs a restart');
  const what = path === null ? 'the running node' : `the TLS library ${path}`;
  let library: ReturnType<typeof koffi.load>;
  try {
    // RTLD_DEEPBIND: without it a libssl of the system would find node's libcrypto before its own.
    library = path === null ? koffi.load(null) : koffi.load(path, { deep: true });
  } catch (cause) {
    throw new Error(`${what} cannot be loaded`, { cause });
  }
  const bound: Partial<Bindings> = {};
  for (const [name, signature] of Object.entries(OPENSSL_SYMBOLS)) {
    try {
      bound[name as keyof typeof OPENSSL_SYMBOLS] = library.func(signature) as Native;
    } catch {
      throw new Error(`${what} does not export ${name}: it is no OpenSSL 3`);
    }
  }
  for (const [name, signature] of Object.entries(OPENSSL_LATER_SYMBOLS)) {
    try {
      bound[name as keyof typeof OPENSSL_LATER_SYMBOLS] = library.func(signature) as Native;
    } catch {
      bound[name as keyof typeof OPENSSL_LATER_SYMBOLS] = null;
    }
  }
  const all = bound as Bindings;
  if (all.OPENSSL_version_major() < 3 || all.OPENSSL_init_ssl(0, 0) !== 1) throw new Error(`${what} does not start as OpenSSL 3`);
  ssl = all;
  loaded = path;
}

/** `OpenSSL 3.5.8 25 Aug 2026`. */
export function opensslVersion(): string {
  return String(ssl.OpenSSL_version(0));
}

/**
 * Empties the error queue and gives the first error in it, the cause of those behind it: the first of libssl's own, else the first of any.
 * 0: the queue was empty.
 */
export function takeError(): number {
  let found = 0;
  for (let code = ssl.ERR_get_error(); code !== 0; code = ssl.ERR_get_error()) {
    if (found === 0 || (!isOwn(found) && isOwn(code))) found = code;
  }
  return found;
}

function isOwn(code: number): boolean {
  return (code & SYSTEM_FLAG) === 0 && ((code >>> LIBRARY_SHIFT) & LIBRARY_MASK) === LIBRARY_SSL;
}

/** libssl's reason (`SSL_R_*`) in an error code; 0 for errors of other libraries, of the system, and those that are everybody's. */
export function errorReason(code: number): number {
  const reason = code & REASON_MASK;
  return isOwn(code) && reason < REASON_COMMON_MIN ? reason : 0;
}

/** OpenSSL's words for an error code, such as `no shared cipher`. Cold. */
export function errorText(code: number): string {
  if ((code & SYSTEM_FLAG) !== 0) return `errno ${(code & ~SYSTEM_FLAG) >>> 0}`;
  const text: unknown = ssl.ERR_reason_error_string(code);
  return typeof text === 'string' ? text : `error ${code.toString(16)}`;
}

/** Throws what OpenSSL says about a call that failed: `what: its words`. */
export function must(what: string, ok: boolean): void {
  if (ok) return;
  const code = takeError();
  throw new Error(code === 0 ? what : `${what}: ${errorText(code)}`);
}

/** A copy of `bytes` that has an address. */
export function nativeCopy(bytes: Uint8Array): NativeMemory {
  const memory = new NativeMemory(bytes.length);
  memory.bytes.set(bytes);
  return memory;
}

const pointer = new NativeMemory(8);

/** DER of an X509. A copy. Cold. */
export function derOf(x509: number): Uint8Array {
  const length = ssl.i2d_X509(x509, 0);
  assert(length > 0, 'a certificate has an encoding');
  const memory = new NativeMemory(length);
  pointer.bytes.writeBigUInt64LE(BigInt(memory.address), 0);
  ssl.i2d_X509(x509, pointer.address);
  return Uint8Array.from(memory.bytes);
}

/** The certificates in PEM `text`: pointers, each the caller's to free. Throws when there is none, or one that is none. */
export function readCertificates(what: string, text: Uint8Array): number[] {
  const memory = nativeCopy(text);
  const bio = ssl.BIO_new_mem_buf(memory.address, memory.length);
  must(what, bio !== 0);
  const found: number[] = [];
  try {
    for (let next = ssl.PEM_read_bio_X509(bio, 0, 0, 0); next !== 0; next = ssl.PEM_read_bio_X509(bio, 0, 0, 0)) found.push(next);
    // The end of the text is an error too, PEM_R_NO_START_LINE: it is one when nothing came before it.
    const code = takeError();
    if (found.length === 0 || (code & REASON_MASK) !== PEM_R_NO_START_LINE) throw new Error(`${what}: ${errorText(code)}`);
  } catch (error) {
    for (const each of found) ssl.X509_free(each);
    throw error;
  } finally {
    ssl.BIO_free(bio);
  }
  return found;
}

const PEM_R_NO_START_LINE = 108;

/** The private key in PEM `text`: a pointer, the caller's to free. The copy that is made here is zeroed; the caller zeroes `text`. */
export function readKey(what: string, text: Uint8Array): number {
  const memory = nativeCopy(text);
  const bio = ssl.BIO_new_mem_buf(memory.address, memory.length);
  must(what, bio !== 0);
  try {
    // A user pointer instead of a callback: an encrypted key fails, instead of asking a terminal.
    const key = ssl.PEM_read_bio_PrivateKey(bio, 0, 0, EMPTY.address);
    must(what, key !== 0);
    return key;
  } finally {
    ssl.BIO_free(bio);
    memory.bytes.fill(0);
  }
}

const EMPTY = new NativeMemory(1);
