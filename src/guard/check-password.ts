/**
 * One password against one hash, on a thread of libuv's pool. Owns the choice of the function that computes a scheme.
 * Knows no users, remembers nothing, and bounds nothing: that is passwords.ts.
 */
import { type Argon2Parameters, argon2, scrypt, timingSafeEqual } from 'node:crypto';
import { PASSWORD_BYTES_MAX, type PasswordHash } from '../base/password-hash.ts';
import { crypt, loadCrypt } from '../native/crypt.ts';

/** True, false, or null when it could not be found out: a library is missing, or memory. */
export type PasswordOutcome = (ok: boolean | null) => void;

/** Loads what `hash` needs. One sentence about what this machine lacks, or null. For the check of a configuration. */
export function passwordSupport(hash: PasswordHash): string | null {
  if (hash.scheme === 'scrypt') return null;
  // A node with another OpenSSL than its own may have no Argon2 (OpenSSL 3.2 and later have it).
  if (hash.scheme === 'argon2id') return typeof argon2 === 'function' ? null : 'this node has no argon2; use bcrypt or scrypt';
  try {
    loadCrypt();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Compares `password` (bytes; copied or kept as the scheme needs, so it must not change until `done`) with `hash`, in constant time.
 * `done` comes later, from the loop, never from within this call. bcrypt looks at the first 72 bytes, as in every htpasswd.
 */
export function checkPassword(hash: PasswordHash, password: Uint8Array, done: PasswordOutcome): void {
  try {
    start(hash, password, done);
  } catch {
    // Refused parameters, no memory, no library. The error's text could quote a setting: only that it failed is told.
    setImmediate(done, null);
  }
}

function start(hash: PasswordHash, password: Uint8Array, done: PasswordOutcome): void {
  // Nothing was ever hashed from such a password; libcrypt would stop at the NUL and accept what stands before it.
  if (password.length > PASSWORD_BYTES_MAX || password.includes(0)) {
    setImmediate(done, false);
    return;
  }
  switch (hash.scheme) {
    case 'scrypt': {
      const { n, r, p } = hash;
      const maxmem = 128 * r * (n + p + 2) + 1_024;
      scrypt(password, hash.salt, hash.tag.length, { N: n, r, p, maxmem }, (error, tag) => {
        done(error === null ? timingSafeEqual(tag, hash.tag) : null);
      });
      return;
    }
    case 'argon2id': {
      const { salt: nonce, lanes: parallelism, memoryKiB: memory, passes } = hash;
      const parameters: Argon2Parameters = { message: password, nonce, parallelism, tagLength: hash.tag.length, memory, passes };
      argon2('argon2id', parameters, (error, tag) => done(error === null ? timingSafeEqual(tag, hash.tag) : null));
      return;
    }
    default: {
      const expected = Buffer.from(hash.text, 'latin1');
      crypt(password, hash.text, (text) => {
        if (text === null) {
          done(null);
          return;
        }
        const found = Buffer.from(text, 'latin1');
        // The length is the scheme's, and no secret.
        done(found.length === expected.length && timingSafeEqual(found, expected));
      });
    }
  }
}
