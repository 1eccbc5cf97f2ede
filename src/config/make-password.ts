/**
 * Makes the hash of a password, and the line of a password file it goes into: what `tollgate password` does once it has the password.
 * Owns the cost of new hashes; asks nobody, prints nothing, and leaves the password to its owner, who zeroes it.
 */
import { randomBytes, scrypt } from 'node:crypto';
import {
  BCRYPT_BYTES_MAX,
  type NewPasswordScheme,
  PASSWORD_BYTES_MAX,
  parsePasswordHash,
  USER_BYTES_MAX,
  unpadded,
} from '../base/password-hash.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { crypt } from '../native/crypt.ts';

/** 2^12 rounds: about 200 ms. OWASP asks for 10 at least. */
const BCRYPT_COST = 12;
/** libxcrypt's default: N = 4,096, r = 32, 16 MiB. */
const YESCRYPT_PARAMETERS = 'j9T';
/** OWASP's first choice: N = 2^17, r = 8, p = 1, 128 MiB. */
const SCRYPT_LN = 17;
const SALT_BYTES = 16;
const SCRYPT_TAG_BYTES = 32;

const BCRYPT_ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const CRYPT_ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** One sentence about why `password` (bytes of UTF-8) will not do, or null. */
export function passwordProblem(password: Buffer, scheme: NewPasswordScheme): string | null {
  if (password.length === 0) return 'the password is empty';
  if (password.length > PASSWORD_BYTES_MAX) return `the password is longer than ${PASSWORD_BYTES_MAX} bytes`;
  if (scheme === 'bcrypt' && password.length > BCRYPT_BYTES_MAX)
    return `the password is longer than ${BCRYPT_BYTES_MAX} bytes, and bcrypt would not look at the rest; use yescrypt or scrypt`;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(password);
  } catch {
    return 'the password is not UTF-8';
  }
  // RFC 7617, section 2: it could never be sent.
  return /\p{Cc}/u.test(text) ? 'the password has control characters, which no browser sends' : null;
}

/** A new hash of `password`, with a new salt. Throws TollgateError `password_unusable` or `password_scheme_unavailable`. */
export async function makePasswordHash(password: Buffer, scheme: NewPasswordScheme = 'bcrypt'): Promise<string> {
  const problem = passwordProblem(password, scheme);
  if (problem !== null) throw new TollgateError('password_unusable', problem);
  const salt = randomBytes(SALT_BYTES);
  switch (scheme) {
    case 'bcrypt':
      return await throughCrypt(password, `$2y$${BCRYPT_COST}$${bcryptBase64(salt)}`, scheme);
    case 'yescrypt':
      return await throughCrypt(password, `$y$${YESCRYPT_PARAMETERS}$${cryptBase64(salt)}`, scheme);
    case 'scrypt':
      return await throughScrypt(password, salt);
  }
}

/** The line `user:hash` with its end. Throws TollgateError `user_name_unusable`. `user` as it is typed; `hash` by `makePasswordHash`. */
export function passwordLine(user: string, hash: string): string {
  if (user === '' || /[:\p{Cc}]/u.test(user) || user !== user.trim() || user.startsWith('#') || Buffer.byteLength(user) > USER_BYTES_MAX)
    throw new TollgateError(
      'user_name_unusable',
      `a user name has 1 to ${USER_BYTES_MAX} bytes, no ':' and no control characters, no space at either end, and no '#' in front`,
    );
  return `${user}:${hash}\n`;
}

function throughCrypt(password: Buffer, setting: string, scheme: NewPasswordScheme): Promise<string> {
  return new Promise((resolve, reject) => {
    const unavailable = (cause?: unknown): void => {
      const reason = cause instanceof Error ? cause.message : 'the C library of this machine does not have it; use bcrypt or scrypt';
      reject(new TollgateError('password_scheme_unavailable', `a ${scheme} hash cannot be made: ${reason}`, cause));
    };
    try {
      crypt(password, setting, (hash) => {
        // What we make, we must take.
        if (hash === null || !hash.startsWith(setting.slice(0, -1)) || typeof parsePasswordHash(hash) === 'string') unavailable();
        else resolve(hash);
      });
    } catch (error) {
      unavailable(error);
    }
  });
}

function throughScrypt(password: Buffer, salt: Buffer): Promise<string> {
  const cost = { N: 2 ** SCRYPT_LN, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, SCRYPT_TAG_BYTES, cost, (error, tag) => {
      if (error !== null) reject(new TollgateError('password_scheme_unavailable', 'a scrypt hash cannot be made: out of memory', error));
      else resolve(`$scrypt$ln=${SCRYPT_LN},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(tag)}`);
    });
  });
}

/** bcrypt's own base64: first bits first, its own alphabet. 16 bytes give 22 characters. */
function bcryptBase64(bytes: Buffer): string {
  let text = '';
  for (let bit = 0; bit < bytes.length * 8; bit += 6) {
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    text += BCRYPT_ALPHABET[(pair >> (10 - (bit & 7))) & 63];
  }
  return text;
}

/** crypt's base64: last bits first. 16 bytes give 22 characters. */
function cryptBase64(bytes: Buffer): string {
  let text = '';
  for (let bit = 0; bit < bytes.length * 8; bit += 6) {
    const pair = (bytes[bit >> 3] ?? 0) | ((bytes[(bit >> 3) + 1] ?? 0) << 8);
    text += CRYPT_ALPHABET[(pair >> (bit & 7)) & 63];
  }
  return text;
}
