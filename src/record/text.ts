/** Writing text into bytes without making strings: numbers, JSON strings, hexadecimal. Callers see to the room. */

/** Writes `value` (an integer of 0 or more) in decimal at `at`; returns the position behind it. */
export function writeDecimal(bytes: Buffer, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = 0x30 + value;
    return at + 1;
  }
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const quotient = Math.floor(rest / 10);
    bytes[i] = 0x30 + (rest - quotient * 10);
    rest = quotient;
  }
  return at + digits;
}

/** Writes `value` with exactly `digits` digits, zeros in front. */
export function writePadded(bytes: Buffer, at: number, value: number, digits: number): number {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const quotient = Math.floor(rest / 10);
    bytes[i] = 0x30 + (rest - quotient * 10);
    rest = quotient;
  }
  return at + digits;
}

/** 1 where a byte must be escaped in a JSON string. Bytes from 0x80 are written as U+0080..U+00FF: a request's bytes need not be UTF-8. */
const ESCAPED = new Uint8Array(256).fill(1, 0, 0x20).fill(1, 0x7f);
ESCAPED[0x22] = 1;
ESCAPED[0x5c] = 1;

/** Writes source[start, end) as the inside of a JSON string, at most `max` source bytes. Takes up to six bytes for each. */
export function writeJsonBytes(bytes: Buffer, at: number, source: Uint8Array, start: number, end: number, max: number): number {
  const stop = end - start > max ? start + max : end;
  let to = at;
  for (let i = start; i < stop; i++) {
    const byte = source[i]!;
    if (ESCAPED[byte] === 0) bytes[to++] = byte;
    else to = writeEscaped(bytes, to, byte);
  }
  return to;
}

function writeEscaped(bytes: Buffer, at: number, byte: number): number {
  bytes[at] = 0x5c;
  if (byte === 0x22 || byte === 0x5c) {
    bytes[at + 1] = byte;
    return at + 2;
  }
  bytes[at + 1] = 0x75;
  bytes[at + 2] = 0x30;
  bytes[at + 3] = 0x30;
  bytes[at + 4] = hexDigit(byte >> 4);
  bytes[at + 5] = hexDigit(byte & 15);
  return at + 6;
}

/** ASCII of a hexadecimal digit, lower-case. */
export function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Writes `value` as eight hexadecimal digits. */
export function writeHex32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 7, rest = value; i >= 0; i--, rest >>>= 4) bytes[at + i] = hexDigit(rest & 15);
}
