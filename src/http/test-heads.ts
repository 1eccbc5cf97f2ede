/** Heads from text, for the tests of this room. Bytes lie away from the buffer's edges, between bytes that no head may contain. */
import { readRequestHead, readResponseHead } from './h1/head-reader.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  type HeadLimits,
  METHOD_GET,
  MessageHead,
} from './message-head.ts';

export const LIMITS: HeadLimits = { headBytesMax: 32_768, fieldsMax: 100, targetBytesMax: 8_192 };

/** Where the bytes of a head begin in its buffer. */
export const HEAD_AT = 7;

export interface Reading {
  /** What the reader returned. */
  readonly code: number;
  readonly head: MessageHead;
  readonly buf: Buffer;
}

export function bufferOf(text: string): Buffer {
  const buf = Buffer.alloc(HEAD_AT + text.length + HEAD_AT, 0);
  buf.write(text, HEAD_AT, 'latin1');
  return buf;
}

export function readRequest(text: string, limits = LIMITS): Reading {
  const buf = bufferOf(text);
  const head = new MessageHead();
  return { code: readRequestHead(buf, HEAD_AT, HEAD_AT + text.length, limits, head), head, buf };
}

export function readResponse(text: string, requestMethod = METHOD_GET, limits = LIMITS): Reading {
  const buf = bufferOf(text);
  const head = new MessageHead();
  return { code: readResponseHead(buf, HEAD_AT, HEAD_AT + text.length, limits, requestMethod, head), head, buf };
}

/** A GET with these field lines, Host in front unless they bring one. */
export function requestWith(lines: readonly string[], version = '1.1', method = 'GET'): Reading {
  const host = lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: a.example'];
  return readRequest([`${method} / HTTP/${version}`, ...host, ...lines, '', ''].join('\r\n'));
}

export function responseWith(status: number, lines: readonly string[], requestMethod = METHOD_GET, version = '1.1'): Reading {
  return readResponse([`HTTP/${version} ${status} x`, ...lines, '', ''].join('\r\n'), requestMethod);
}

export function textOf(reading: Reading, start: number, end: number): string {
  return reading.buf.toString('latin1', start, end);
}

/** Names and values as they were found. */
export function fieldsOf(reading: Reading): [string, string][] {
  const { head } = reading;
  return Array.from({ length: head.fieldCount }, (_, i) => {
    const at = i * FIELD_STRIDE;
    const name = textOf(reading, head.fields[at + FIELD_NAME_START]!, head.fields[at + FIELD_NAME_END]!);
    return [name, textOf(reading, head.fields[at + FIELD_VALUE_START]!, head.fields[at + FIELD_VALUE_END]!)];
  });
}

/** Names of the fields that are not to be forwarded as they stand. */
export function droppedOf(reading: Reading): string[] {
  return fieldsOf(reading).flatMap(([name], i) => (reading.head.dropped[i] === 1 ? [name] : []));
}

/** Everything a reading says, as plain data to compare. */
export function summaryOf(reading: Reading): unknown {
  const { code, head } = reading;
  if (code <= 0) return code;
  const { fields, dropped, ...numbers } = head;
  return {
    code,
    ...numbers,
    fields: Array.from(fields.subarray(0, head.fieldCount * FIELD_STRIDE)),
    dropped: Array.from(dropped.subarray(0, head.fieldCount)),
  };
}
