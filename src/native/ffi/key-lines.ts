/**
 * Secrets of handshakes, as the two TLS libraries tell them in lines of NSS (SSLKEYLOGFILE): two callbacks, registered when they are first
 * asked for. They go as bytes to whoever listens, and are zeroed when that returns.
 */
import koffi from 'koffi';
import { abortOn } from '../loop.ts';
import { memcpy, strlen } from './libc.ts';
import { NativeMemory } from './native-memory.ts';

/** A line with its end: a label, 32 bytes of random and 64 of a secret, in hexadecimal. Bytes. */
const LINE_BYTES_MAX = 512;
const LINE_END = 0x0a;

let listener: ((line: Uint8Array) => void) | null = null;
let line: NativeMemory | null = null;

/** Where lines go from now on; null: nowhere. Lines are not kept. */
export function listenToKeys(to: ((line: Uint8Array) => void) | null): void {
  listener = to;
}

function take(address: number, length: number): void {
  if (listener === null || length >= LINE_BYTES_MAX) return;
  line ??= new NativeMemory(LINE_BYTES_MAX);
  memcpy(line.address, address, length);
  line.bytes[length] = LINE_END;
  listener(line.bytes.subarray(0, length + 1));
  line.bytes.fill(0, 0, length);
}

/** A callback's address. What it throws would vanish in C. */
function callback(prototype: string, run: (...values: number[]) => void): number {
  const guarded = (...values: number[]): number => {
    try {
      run(...values);
      return 0;
    } catch (error) {
      return abortOn(error);
    }
  };
  return Number(koffi.register(guarded, koffi.pointer(koffi.proto(prototype))));
}

let s2nAddress = 0;
let opensslAddress = 0;

/** For `s2n_config_set_key_log_cb`. */
export function s2nKeyLines(): number {
  // void *, struct s2n_connection *, uint8_t *line, size_t
  s2nAddress ||= callback('int S2nKeyLine(intptr_t, intptr_t, intptr_t, intptr_t)', (_context, _connection, at, length) =>
    take(at!, length!),
  );
  return s2nAddress;
}

/** For `SSL_CTX_set_keylog_callback`. */
export function opensslKeyLines(): number {
  // const SSL *, const char *line
  opensslAddress ||= callback('int OpensslKeyLine(intptr_t, intptr_t)', (_ssl, at) => take(at!, strlen(at!)));
  return opensslAddress;
}
