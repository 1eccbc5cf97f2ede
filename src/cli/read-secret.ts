/** Reads a secret from standard input: typed without an echo where a person sits there, else as it comes, one line end at its end aside. */
import type { ReadStream } from 'node:tty';
import { TollgateError } from '../base/tollgate-error.ts';

const SECRET_BYTES_MAX = 4_096;
const ENTER = [0x0d, 0x0a];
const CTRL_C = 0x03;
const CTRL_D = 0x04;
const CTRL_U = 0x15;
const BACKSPACE = [0x08, 0x7f];

/** The bytes; the caller zeroes them. Throws TollgateError when there are too many, or the person gives up. */
export async function readSecret(prompt: string): Promise<Buffer> {
  return process.stdin.isTTY ? await typed(prompt, process.stdin) : await piped();
}

async function piped(): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length > SECRET_BYTES_MAX) throw new TollgateError('secret_too_long', `more than ${SECRET_BYTES_MAX} bytes on standard input`);
  }
  const all = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  const end = all.at(-1) === 0x0a ? all.length - (all.at(-2) === 0x0d ? 2 : 1) : all.length;
  return all.subarray(0, end);
}

async function typed(prompt: string, input: ReadStream): Promise<Buffer> {
  process.stderr.write(prompt);
  const secret = Buffer.alloc(SECRET_BYTES_MAX);
  let length = 0;
  input.setRawMode(true);
  try {
    for await (const part of input as AsyncIterable<Buffer>) {
      for (const byte of part) {
        if (ENTER.includes(byte) || (byte === CTRL_D && length > 0)) return secret.subarray(0, length);
        if (byte === CTRL_C || byte === CTRL_D) throw new TollgateError('given_up', 'given up');
        if (byte === CTRL_U) length = 0;
        else if (BACKSPACE.includes(byte)) {
          // A character of UTF-8 goes whole.
          do length = Math.max(0, length - 1);
          while (length > 0 && (secret[length]! & 0xc0) === 0x80);
        } else if (length < SECRET_BYTES_MAX) secret[length++] = byte;
      }
      part.fill(0);
    }
    throw new TollgateError('given_up', 'standard input ended');
  } finally {
    input.setRawMode(false);
    process.stderr.write('\n');
  }
}
