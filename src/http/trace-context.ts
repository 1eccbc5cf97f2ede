/**
 * The `traceparent` of W3C Trace Context, level 1: continued when the client's is sound, begun when there is none. Pure: identifiers come
 * from the caller.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 */

import { HEX } from './characters.ts';
import { isNamed } from './field-edits.ts';
import { FIELD_NAME_END, FIELD_NAME_START, FIELD_STRIDE, FIELD_VALUE_END, FIELD_VALUE_START, type MessageHead } from './message-head.ts';
import { asciiBytes, writeBytes, writeLineEnd } from './write-bytes.ts';

const TRACEPARENT = asciiBytes('traceparent');
const TRACESTATE = asciiBytes('tracestate');
const OPENING = asciiBytes('traceparent: 00-');
const TRACE_ID_AT = 3;
const PARENT_ID_AT = 36;
const FLAGS_AT = 53;
/** Bytes of a version 00 value. */
export const TRACEPARENT_BYTES = 55;
/** Bytes of a written line, its end included. */
export const TRACEPARENT_LINE_BYTES = 13 + TRACEPARENT_BYTES + 2;

/**
 * Marks the client's traceparent as dropped, and its tracestate too unless the traceparent is sound and alone. Returns where the sound one
 * begins in `buf`, or -1: a new trace begins.
 */
export function takeTraceparent(buf: Uint8Array, head: MessageHead): number {
  const { fields, dropped, fieldCount } = head;
  let found = -1;
  let count = 0;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    if (!isNamed(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!, TRACEPARENT)) continue;
    dropped[i] = 1;
    count++;
    found = isSound(buf, fields[at + FIELD_VALUE_START]!, fields[at + FIELD_VALUE_END]!) ? fields[at + FIELD_VALUE_START]! : -1;
  }
  if (count === 1 && found >= 0) return found;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    if (isNamed(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!, TRACESTATE)) dropped[i] = 1;
  }
  return -1;
}

/**
 * Writes the field line: trace and flags of the client's value at `from`, or (-1) the trace `requestId` (32 hex digits), not sampled; with
 * that id's second half as the parent of what the server does. Needs TRACEPARENT_LINE_BYTES.
 */
export function writeTraceparent(buf: Uint8Array, at: number, from: number, requestId: Uint8Array): number {
  let to = writeBytes(buf, at, OPENING);
  for (let i = 0; i < 32; i++) buf[to++] = from < 0 ? requestId[i]! : buf[from + TRACE_ID_AT + i]!;
  buf[to++] = 0x2d;
  for (let i = 0; i < 16; i++) buf[to++] = requestId[16 + i]!;
  buf[to++] = 0x2d;
  buf[to++] = 0x30;
  // Of the flags only "sampled" is defined: the others are not ours to pass on.
  buf[to++] = from >= 0 && (HEX[buf[from + FLAGS_AT + 1]!]! & 1) === 1 ? 0x31 : 0x30;
  return writeLineEnd(buf, to);
}

function isSound(buf: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  // A later version may have more behind a dash; what it has in front is read as version 00.
  if (length < TRACEPARENT_BYTES || (length > TRACEPARENT_BYTES && buf[start + TRACEPARENT_BYTES] !== 0x2d)) return false;
  if (buf[start + 2] !== 0x2d || buf[start + PARENT_ID_AT - 1] !== 0x2d || buf[start + FLAGS_AT - 1] !== 0x2d) return false;
  if (!isHex(buf, start, 2) || !isHex(buf, start + FLAGS_AT, 2)) return false;
  if (buf[start] === 0x66 && buf[start + 1] === 0x66) return false;
  if (length > TRACEPARENT_BYTES && buf[start] === 0x30 && buf[start + 1] === 0x30) return false;
  return isIdentifier(buf, start + TRACE_ID_AT, 32) && isIdentifier(buf, start + PARENT_ID_AT, 16);
}

/** Lower-case hexadecimal, and not all zero. */
function isIdentifier(buf: Uint8Array, start: number, length: number): boolean {
  if (!isHex(buf, start, length)) return false;
  for (let i = 0; i < length; i++) if (buf[start + i] !== 0x30) return true;
  return false;
}

function isHex(buf: Uint8Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) {
    const byte = buf[i]!;
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false;
  }
  return true;
}
