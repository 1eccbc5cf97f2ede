/**
 * Mends what a server says of itself when it answers for http, behind a front that speaks https: a Location that leads back to plain HTTP or
 * to the server's own name, and cookies that would travel in the clear or are bound to a name the client never uses. RFC 9110, section
 * 10.2.2; RFC 6265. What points elsewhere is left alone.
 */
import { hostEndAt } from './authority.ts';
import { TOKEN } from './characters.ts';
import { isNamed } from './field-edits.ts';
import { FIELD_LOCATION, FIELD_SET_COOKIE } from './field-names.ts';
import { FIELD_NAME_ID, FIELD_STRIDE, FIELD_VALUE_END, FIELD_VALUE_START, type MessageHead } from './message-head.ts';
import { asciiBytes, copyBytes, writeBytes, writeLineEnd } from './write-bytes.ts';

const HTTP = asciiBytes('http://');
const HTTPS = asciiBytes('https://');
const LOCATION = asciiBytes('Location: https://');
const SET_COOKIE = asciiBytes('Set-Cookie: ');
const SECURE = asciiBytes('; Secure');
const SECURE_NAME = asciiBytes('secure');
const DOMAIN_NAME = asciiBytes('domain');
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const COLON = 0x3a;
const DOT = 0x2e;
const SP = 0x20;
const HTAB = 0x09;

/** Who the client and the server think they talk to. Filled for each request that is mended; one per worker. */
export class Mending {
  /** Host and port the client asked for, as in its Host field. */
  readonly authority = new Uint8Array(512);
  authorityBytes = 0;
  /** Host the server was told instead, lower case without port; '' when it was told the client's. */
  sentHost = '';
}

/** Whether `head` (of a response, bytes in `buf`) has a field that needs mending. Marks those as dropped: `writeMended` writes them anew. */
export function markMended(buf: Uint8Array, head: MessageHead, mending: Mending): boolean {
  const { fields, dropped, fieldCount } = head;
  let any = false;
  let cookies = false;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    const id = fields[at + FIELD_NAME_ID]!;
    if ((id !== FIELD_LOCATION && id !== FIELD_SET_COOKIE) || dropped[i] !== 0) continue;
    const start = fields[at + FIELD_VALUE_START]!;
    const end = fields[at + FIELD_VALUE_END]!;
    if (id === FIELD_LOCATION) {
      if (pathOfOwn(buf, start, end, mending) < 0) continue;
    } else if (!cookies && !needsMending(buf, start, end, mending)) continue;
    // From the first mended cookie on all are written anew, so that their order stays.
    else cookies = true;
    dropped[i] = MENDED;
    any = true;
  }
  return any;
}

/** What `markMended` writes into `dropped`. */
export const MENDED = 2;

/** Writes the fields that `markMended` marked into `buf[at, end)`. The position behind them, or -1 when there is no room. */
export function writeMended(buf: Uint8Array, at: number, end: number, head: MessageHead, mending: Mending): number {
  const { fields, dropped, fieldCount } = head;
  let to = at;
  for (let i = 0, field = 0; i < fieldCount; i++, field += FIELD_STRIDE) {
    if (dropped[i] !== MENDED) continue;
    const valueStart = fields[field + FIELD_VALUE_START]!;
    const valueEnd = fields[field + FIELD_VALUE_END]!;
    if (to + LOCATION.length + mending.authorityBytes + (valueEnd - valueStart) + SECURE.length + 2 > end) return -1;
    if (fields[field + FIELD_NAME_ID] === FIELD_LOCATION) {
      to = writeBytes(buf, to, LOCATION);
      for (let k = 0; k < mending.authorityBytes; k++) buf[to++] = mending.authority[k]!;
      to = copyBytes(buf, to, pathOfOwn(buf, valueStart, valueEnd, mending), valueEnd);
    } else to = writeCookie(buf, writeBytes(buf, to, SET_COOKIE), valueStart, valueEnd, mending);
    to = writeLineEnd(buf, to);
  }
  return to;
}

/** Where the path begins in a Location that leads to ourselves under a wrong scheme or name, or -1. */
function pathOfOwn(buf: Uint8Array, start: number, end: number, mending: Mending): number {
  const isHttp = startsFolded(buf, start, end, HTTP);
  if (!isHttp && !startsFolded(buf, start, end, HTTPS)) return -1;
  const from = start + (isHttp ? HTTP.length : HTTPS.length);
  let to = from;
  while (to < end && buf[to] !== 0x2f && buf[to] !== 0x3f && buf[to] !== 0x23) to++;
  const hostEnd = hostEndAt(buf, from, to);
  if (hostEnd < 0) return -1;
  if (mending.sentHost !== '' && isText(buf, from, hostEnd, mending.sentHost)) return to;
  if (!isHttp) return -1;
  const { authority, authorityBytes } = mending;
  let hostBytes = 0;
  // A port is behind the last colon, unless that is inside the brackets of an IPv6 address.
  for (let k = authorityBytes - 1; k >= 0 && hostBytes === 0; k--) {
    if (authority[k] === COLON) hostBytes = k;
    else if (authority[k]! < 0x30 || authority[k]! > 0x39) break;
  }
  if (hostBytes === 0) hostBytes = authorityBytes;
  if (hostEnd - from !== hostBytes) return -1;
  for (let k = 0; k < hostBytes; k++) if (!isSameLetter(buf[from + k]!, authority[k]!)) return -1;
  // Another port than the one the client came to, or http's own, is another service.
  if (hostEnd === to || (to - hostEnd === 3 && buf[hostEnd + 1] === 0x38 && buf[hostEnd + 2] === 0x30)) return to;
  if (to - hostEnd !== authorityBytes - hostBytes) return -1;
  for (let k = 0; k < to - hostEnd; k++) if (buf[hostEnd + k] !== authority[hostBytes + k]) return -1;
  return to;
}

/** The start and end of the next attribute of a cookie at or behind `at` go to `cursor`; false at the end. */
const cursor = { start: 0, nameEnd: 0, valueStart: 0, end: 0 };

function nextAttribute(buf: Uint8Array, at: number, end: number): boolean {
  let p = at;
  while (p < end && buf[p] !== SEMICOLON) p++;
  if (p >= end) return false;
  p++;
  while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
  cursor.start = p;
  while (p < end && buf[p] !== SEMICOLON && buf[p] !== EQUALS) p++;
  cursor.nameEnd = p;
  cursor.valueStart = p < end && buf[p] === EQUALS ? p + 1 : p;
  while (p < end && buf[p] !== SEMICOLON) p++;
  cursor.end = p;
  while (cursor.nameEnd > cursor.start && (buf[cursor.nameEnd - 1] === SP || buf[cursor.nameEnd - 1] === HTAB)) cursor.nameEnd--;
  return true;
}

function needsMending(buf: Uint8Array, start: number, end: number, mending: Mending): boolean {
  let secure = false;
  for (let at = start; nextAttribute(buf, at, end); at = cursor.end) {
    if (isNamed(buf, cursor.start, cursor.nameEnd, SECURE_NAME)) secure = true;
    else if (isForeignDomain(buf, mending)) return true;
  }
  return !secure;
}

/** Whether the attribute at the cursor binds the cookie to the name that only the server was told. */
function isForeignDomain(buf: Uint8Array, mending: Mending): boolean {
  if (mending.sentHost === '' || !isNamed(buf, cursor.start, cursor.nameEnd, DOMAIN_NAME)) return false;
  let from = cursor.valueStart;
  let to = cursor.end;
  while (from < to && (buf[from] === SP || buf[from] === HTAB)) from++;
  while (to > from && (buf[to - 1] === SP || buf[to - 1] === HTAB)) to--;
  if (buf[from] === DOT) from++;
  return isText(buf, from, to, mending.sentHost);
}

/** The cookie, `Secure`, and without a Domain that the client would refuse. */
function writeCookie(buf: Uint8Array, at: number, start: number, end: number, mending: Mending): number {
  let to = at;
  let from = start;
  let secure = false;
  for (let p = start; nextAttribute(buf, p, end); p = cursor.end) {
    if (isNamed(buf, cursor.start, cursor.nameEnd, SECURE_NAME)) secure = true;
    if (!isForeignDomain(buf, mending)) continue;
    let before = cursor.start;
    while (buf[before - 1] !== SEMICOLON) before--;
    to = copyBytes(buf, to, from, before - 1);
    from = cursor.end;
  }
  to = copyBytes(buf, to, from, end);
  return secure ? to : writeBytes(buf, to, SECURE);
}

/** Whether `buf[start, end)` is `text` (lower case), in any case. */
function isText(buf: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (!isSameLetter(buf[start + i]!, text.charCodeAt(i))) return false;
  return true;
}

function isSameLetter(one: number, other: number): boolean {
  return one === other || (TOKEN[one] !== 0 && TOKEN[one] === TOKEN[other]);
}

function startsFolded(buf: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (!isSameLetter(buf[start + i]!, text[i]!)) return false;
  return true;
}
