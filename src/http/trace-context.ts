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

// What the written flag says.
/** As the client's did; a trace that begins here is not sampled. */
export const SAMPLED_AS_RECEIVED = -1;
export const NOT_SAMPLED = 0;
export const SAMPLED = 1;

// Span ids of a request: two of the four quarters of its id, of which the last differs from request to request. By where their first half lies.
/** What we do for a client. */
export const SERVER_SPAN = 8;
/** What we ask of the server that answers. */
export const CLIENT_SPAN = 16;
const LAST_QUARTER = 24;

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
 * Writes the field line: trace of the client's value at `from`, or (-1) the trace `requestId` (32 hex digits), with that id's SERVER_SPAN or
 * CLIENT_SPAN as the parent of what the server does. Needs TRACEPARENT_LINE_BYTES.
 */
export function writeTraceparent(
  buf: Uint8Array,
  at: number,
  from: number,
  requestId: Uint8Array,
  sampled: number = SAMPLED_AS_RECEIVED,
  span: number = CLIENT_SPAN,
): number {
  let to = writeBytes(buf, at, OPENING);
  for (let i = 0; i < 32; i++) buf[to++] = from < 0 ? requestId[i]! : buf[from + TRACE_ID_AT + i]!;
  buf[to++] = 0x2d;
  for (let i = 0; i < 8; i++) buf[to++] = requestId[span + i]!;
  for (let i = 0; i < 8; i++) buf[to++] = requestId[LAST_QUARTER + i]!;
  buf[to++] = 0x2d;
  buf[to++] = 0x30;
  // Of the flags only "sampled" is defined: the others are not ours to pass on.
  buf[to++] = (sampled === SAMPLED_AS_RECEIVED ? from >= 0 && isSampled(buf, from) : sampled === SAMPLED) ? 0x31 : 0x30;
  return writeLineEnd(buf, to);
}

/** Whether the sound value at `from` says that its sender sampled the trace. */
export function isSampled(buf: Uint8Array, from: number): boolean {
  return (HEX[buf[from + FLAGS_AT + 1]!]! & 1) === 1;
}

/** Trace id of the sound value at `from`, or (-1) of the trace that begins with `requestId`. 32 hex digits. */
export function traceIdText(buf: Buffer, from: number, requestId: Uint8Array): string {
  return from < 0 ? hexText(requestId, 0, 32) : buf.latin1Slice(from + TRACE_ID_AT, from + TRACE_ID_AT + 32);
}

/** Id of the span that the sound value at `from` names; '' for -1. */
export function parentIdText(buf: Buffer, from: number): string {
  return from < 0 ? '' : buf.latin1Slice(from + PARENT_ID_AT, from + PARENT_ID_AT + 16);
}

/** The id of a request's SERVER_SPAN or CLIENT_SPAN. 16 hex digits. */
export function spanIdText(requestId: Uint8Array, span: number): string {
  return hexText(requestId, span, 8) + hexText(requestId, LAST_QUARTER, 8);
}

/** The same number from 0 to 2^32 - 1 for the same trace, whoever asks: of the sound value at `from`, or (-1) of `requestId`. */
export function traceNumber(buf: Uint8Array, from: number, requestId: Uint8Array): number {
  // FNV-1a, with MurmurHash3's finish behind it: our own ids differ in their last digits alone.
  let hash = 0x811c9dc5;
  for (let i = 0; i < 32; i++) hash = Math.imul(hash ^ (from < 0 ? requestId[i]! : buf[from + TRACE_ID_AT + i]!), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function hexText(id: Uint8Array, start: number, length: number): string {
  let text = '';
  for (let i = start; i < start + length; i++) text += String.fromCharCode(id[i]!);
  return text;
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
