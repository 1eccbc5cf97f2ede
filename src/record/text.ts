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

/** Writes source[start, end) as the inside of a JSON string, in `room` bytes at most: what does not fit is left out. */
export function writeJsonBytes(bytes: Buffer, at: number, source: Uint8Array, start: number, end: number, room: number): number {
  const stop = at + room;
  let to = at;
  for (let i = start; i < end && to < stop; i++) {
    const byte = source[i]!;
    if (ESCAPED[byte] === 0) bytes[to++] = byte;
    else if (to + 6 <= stop) to = writeEscaped(bytes, to, byte);
    else break;
  }
  return to;
}

/** As `writeJsonBytes`, from text: characters above U+00FF become question marks. */
export function writeJsonText(bytes: Buffer, at: number, text: string, room: number): number {
  const stop = at + room;
  let to = at;
  for (let i = 0; i < text.length && to < stop; i++) {
    const code = text.charCodeAt(i);
    const byte = code > 0xff ? 0x3f : code;
    if (ESCAPED[byte] === 0) bytes[to++] = byte;
    else if (to + 6 <= stop) to = writeEscaped(bytes, to, byte);
    else break;
  }
  return to;
}

/** Writes source[start, end) as nginx and Apache do in their logs: `"`, `\`, controls and all above ASCII as `\xHH`. In `room` bytes at most. */
export function writeHexEscaped(bytes: Buffer, at: number, source: Uint8Array, start: number, end: number, room: number): number {
  const stop = at + room;
  let to = at;
  for (let i = start; i < end && to < stop; i++) {
    const byte = source[i]!;
    if (ESCAPED[byte] === 0) {
      bytes[to++] = byte;
      continue;
    }
    if (to + 4 > stop) break;
    bytes[to] = 0x5c;
    bytes[to + 1] = 0x78;
    bytes[to + 2] = upperHexDigit(byte >> 4);
    bytes[to + 3] = upperHexDigit(byte & 15);
    to += 4;
  }
  return to;
}

/** Writes ASCII text. A loop beats a call into C++ at the lengths that lines are made of. */
export function writeAscii(bytes: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
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

function upperHexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x37 + value;
}

/** ASCII of a hexadecimal digit, lower-case. */
export function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Writes `value` as eight hexadecimal digits. */
export function writeHex32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 7, rest = value; i >= 0; i--, rest >>>= 4) bytes[at + i] = hexDigit(rest & 15);
}
