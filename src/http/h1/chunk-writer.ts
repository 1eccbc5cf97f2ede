/**
 * Writes the chunked coding around data that stays where it is, RFC 9112, section 7.1. The head of a chunk is written backwards from its
 * data, so that neither moves. Callers see to the room: CHUNK_HEAD_BYTES_MAX in front, and behind what each function says.
 */
import { assert } from '../../base/assert.ts';
import { writeLineEnd } from '../write-bytes.ts';
import type { ChunkedDecoder } from './chunked-decoder.ts';

/** Longest line in front of a chunk: 14 digits hold 2^53 - 1. Bytes. */
export const CHUNK_HEAD_BYTES_MAX = 16;
export const CHUNK_TAIL_BYTES = 2;
/** The last chunk without trailers. Bytes. */
export const LAST_CHUNK_BYTES = 5;

const ZERO = 0x30;

/** Writes the size line of a chunk of `bytes` (1 or more: a chunk of none would end the body) so that it ends at `endAt`; returns its start. */
export function chunkHead(buf: Uint8Array, endAt: number, bytes: number): number {
  assert(bytes > 0, 'a chunk holds something');
  let at = endAt - 2;
  writeLineEnd(buf, at);
  let rest = bytes;
  while (rest > 0) {
    const quotient = Math.floor(rest / 16);
    const digit = rest - quotient * 16;
    buf[--at] = digit < 10 ? ZERO + digit : 0x57 + digit;
    rest = quotient;
  }
  return at;
}

/** Writes the line end behind a chunk's data; returns the position behind it. */
export function chunkTail(buf: Uint8Array, at: number): number {
  return writeLineEnd(buf, at);
}

/**
 * Writes the last chunk, the first `trailerBytes` of `trailers` (whole lines, as a ChunkedDecoder keeps them) and the empty line: LAST_CHUNK_BYTES
 * and `trailerBytes` in all. Returns the position behind them.
 */
export function lastChunk(buf: Uint8Array, at: number, trailers: Uint8Array, trailerBytes: number): number {
  buf[at] = ZERO;
  let to = writeLineEnd(buf, at + 1);
  for (let i = 0; i < trailerBytes; i++) buf[to++] = trailers[i]!;
  return writeLineEnd(buf, to);
}

/**
 * Writes what follows the data that `decoder` has just decoded to `at`: the end of its chunk, and the last chunk when the body is done. Returns
 * the position behind it. Its head is `decodedHead`'s.
 */
export function decodedTail(buf: Uint8Array, at: number, decoder: ChunkedDecoder): number {
  const { dataBytes } = decoder;
  const end = dataBytes > 0 ? chunkTail(buf, at + dataBytes) : at;
  return decoder.done ? lastChunk(buf, end, decoder.trailers, decoder.trailerBytes) : end;
}

/** Writes the head of one chunk in front of the data that `decoder` has just decoded to `at`, if there is any; returns where it begins. */
export function decodedHead(buf: Uint8Array, at: number, decoder: ChunkedDecoder): number {
  return decoder.dataBytes > 0 ? chunkHead(buf, at, decoder.dataBytes) : at;
}
