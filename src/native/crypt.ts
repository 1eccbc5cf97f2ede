/**
 * crypt_r of libcrypt, on a thread of libuv's pool: a password hash takes from a millisecond to a second, and the loop goes on meanwhile.
 * Owns the library and the memory of each call. Knows no scheme: what a setting means is libcrypt's affair.
 *
 * musl has no libcrypt: its libc has crypt_r itself, for bcrypt and sha-crypt.
 */
import koffi from 'koffi';
import { NativeMemory } from './ffi/native-memory.ts';

/** Debian, Ubuntu, RHEL 8; then Fedora, Arch, RHEL 9 and later. */
const LIBRARIES: readonly string[] = ['libcrypt.so.1', 'libcrypt.so.2'];
/** `sizeof(struct crypt_data)`: 32,768 in libxcrypt, 131,232 in glibc before 2.38 (the largest), 260 in musl. Bytes. */
const DATA_BYTES = 131_328;

interface Binding {
  (phrase: number, setting: string, data: number): number;
  async(phrase: number, setting: string, data: number, done: (error: unknown, result: number | bigint) => void): void;
}

let binding: Binding | null = null;

/**
 * Loads the library, once; the first call of `crypt` does it too. Throws one error that says what to install. Done beforehand, the error
 * comes while a configuration is checked and not with the first password.
 */
export function loadCrypt(): void {
  if (binding !== null) return;
  for (const name of [...LIBRARIES, null]) {
    try {
      binding = koffi.load(name).func('intptr_t crypt_r(intptr_t, const char*, intptr_t)') as unknown as Binding;
      return;
    } catch {
      // The next one.
    }
  }
  throw new Error(`no library with crypt_r was found (${LIBRARIES.join(', ')}): install libcrypt1 (Debian, Ubuntu) or libxcrypt`);
}

/**
 * Hashes `password` (bytes without NUL, copied) as `setting` says, and calls `done` later, from the loop, with the whole hash text, or
 * with null when libcrypt does not take the setting. Throws as `loadCrypt` does. Nobody bounds the calls here: the caller does.
 */
export function crypt(password: Uint8Array, setting: string, done: (hash: string | null) => void): void {
  loadCrypt();
  if (password.includes(0) || setting.includes('\0')) throw new RangeError('neither password nor setting may hold a NUL');
  const phrase = new NativeMemory(password.length + 1);
  phrase.bytes.set(password);
  const data = new NativeMemory(DATA_BYTES);
  binding!.async(phrase.address, setting, data.address, (error, result) => {
    // Both blocks live until here through this closure; they held a password and what became of it.
    const hash = error === null || error === undefined ? textAt(data, Number(result) - data.address) : null;
    phrase.bytes.fill(0);
    data.bytes.fill(0);
    done(hash);
  });
}

/** The result lies inside crypt_data; "*0" and "*1" are libcrypt's way to say that it could not. */
function textAt(data: NativeMemory, at: number): string | null {
  if (at < 0 || at >= data.length) return null;
  const end = data.bytes.indexOf(0, at);
  const text = data.bytes.toString('latin1', at, end);
  return text === '' || text.startsWith('*') ? null : text;
}
