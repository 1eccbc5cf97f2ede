/**
 * Reads DER (X.690) as it must be written: definite lengths in their shortest form, tags of one byte. Anything else is malformed, whatever
 * BER would make of it. Owns the two ways of walking it: a reader for certificates, and a header at a time for lists of a million entries.
 * Knows nothing of what the elements mean.
 */

export const DER_BOOLEAN = 0x01;
export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_OID = 0x06;
export const DER_ENUMERATED = 0x0a;
export const DER_UTC_TIME = 0x17;
export const DER_GENERALIZED_TIME = 0x18;
export const DER_SEQUENCE = 0x30;
export const DER_SET = 0x31;

/** Context-specific tags: `[0]` primitive, and constructed. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

/** Longest length that is read: what fits into a signed 32-bit number, three bytes and a bit. Bytes of the length field. */
const LENGTH_BYTES_MAX = 4;
/** The header is not whole: more bytes are needed. */
export const DER_NEED_MORE = 0;
export const DER_MALFORMED = -1;

/** A header as `readDerHead` leaves it. */
export interface DerHead {
  tag: number;
  /** Length of the contents. Bytes. */
  length: number;
}

/** Reads the header at `at` of `buf[at, end)`. Bytes of the header, DER_NEED_MORE, or DER_MALFORMED. Says nothing of the contents. */
export function readDerHead(buf: Uint8Array, at: number, end: number, out: DerHead): number {
  if (end - at < 2) return DER_NEED_MORE;
  const tag = buf[at]!;
  if ((tag & 0x1f) === 0x1f || tag === 0) return DER_MALFORMED;
  const first = buf[at + 1]!;
  out.tag = tag;
  if (first < 0x80) {
    out.length = first;
    return 2;
  }
  const count = first & 0x7f;
  if (count === 0 || count > LENGTH_BYTES_MAX) return DER_MALFORMED;
  if (end - at < 2 + count) return DER_NEED_MORE;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + buf[at + 2 + i]!;
  if (buf[at + 2] === 0 || length < 0x80 || length > 0x7fffffff) return DER_MALFORMED;
  out.length = length;
  return 2 + count;
}

/** Walks the elements of `bytes[at, end)`. A mistake is final: nothing is read behind it, and `failed` stays true. */
export class DerReader implements DerHead {
  readonly bytes: Uint8Array;
  /** Where the next element begins, and where this reader ends. */
  at: number;
  readonly end: number;
  failed = false;
  /** The element read last: its tag, the length of its contents, its first byte, its contents `[start, stop)`. */
  tag = 0;
  length = 0;
  from = 0;
  start = 0;
  stop = 0;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end || this.failed;
  }

  /** Steps to the next element. False at the end, or when it is malformed. */
  next(): boolean {
    if (this.isAtEnd) return false;
    const n = readDerHead(this.bytes, this.at, this.end, this);
    if (n <= 0 || this.at + n + this.length > this.end) return this.fail();
    this.from = this.at;
    this.start = this.at + n;
    this.stop = this.start + this.length;
    this.at = this.stop;
    return true;
  }

  /** Steps to the next element, which must be a `tag`. */
  take(tag: number): boolean {
    if (!this.next() || this.tag !== tag) return this.fail();
    return true;
  }

  /** Steps to the next element if it is a `tag`. */
  takeIf(tag: number): boolean {
    return !this.isAtEnd && this.bytes[this.at] === tag && this.next();
  }

  /** A reader of the contents of the element read last. */
  inside(): DerReader {
    return new DerReader(this.bytes, this.start, this.stop);
  }

  /** The contents of the element read last, a view. */
  contents(): Uint8Array {
    return this.bytes.subarray(this.start, this.stop);
  }

  /** The element read last, header and all, a view. */
  whole(): Uint8Array {
    return this.bytes.subarray(this.from, this.stop);
  }

  fail(): false {
    this.failed = true;
    return false;
  }
}

/** Dotted text of an object identifier's contents; '' when it is malformed, or longer than anybody's. */
export function oidText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 64 || end <= start || (bytes[end - 1]! & 0x80) !== 0) return '';
  let text = '';
  let value = 0;
  for (let i = start, fresh = true; i < end; i++) {
    const byte = bytes[i]!;
    if (fresh && byte === 0x80) return '';
    fresh = byte < 0x80;
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER / 128) return '';
    if (!fresh) continue;
    if (text === '') {
      const top = Math.min(2, Math.floor(value / 40));
      text = `${top}.${value - 40 * top}`;
    } else text += `.${value}`;
    value = 0;
  }
  return text;
}

/** Hex of `bytes[start, end)`, lower case. */
export function hexText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex');
}

/** Whether an INTEGER's contents are in their shortest form. */
export function isInteger(bytes: Uint8Array, start: number, end: number): boolean {
  if (end <= start) return false;
  if (end - start === 1) return true;
  const first = bytes[start]!;
  const high = (bytes[start + 1]! & 0x80) !== 0;
  return !((first === 0 && !high) || (first === 0xff && high));
}

/**
 * UTCTime and GeneralizedTime as RFC 5280 has them (section 4.1.2.5: seconds, Z, no fraction; years from 2050 on are generalized).
 * Unix time in milliseconds, or NaN.
 */
export function derTime(bytes: Uint8Array, tag: number, start: number, end: number): number {
  const isLong = tag === DER_GENERALIZED_TIME;
  if (!isLong && tag !== DER_UTC_TIME) return Number.NaN;
  if (end - start !== (isLong ? 15 : 13) || bytes[end - 1] !== 0x5a) return Number.NaN;
  for (let i = start; i < end - 1; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return Number.NaN;
  const two = (at: number): number => (bytes[at]! - 0x30) * 10 + bytes[at + 1]! - 0x30;
  let at = start;
  let year = two(at);
  at += 2;
  if (isLong) {
    year = year * 100 + two(at);
    at += 2;
  } else year += year < 50 ? 2_000 : 1_900;
  const [month, day, hour, minute, second] = [two(at), two(at + 2), two(at + 4), two(at + 6), two(at + 8)];
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return Number.NaN;
  return date.setUTCHours(hour, minute, second, 0);
}
