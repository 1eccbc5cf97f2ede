/**
 * Reads HTTP/1 heads, RFC 9112, sections 2 to 5, in one pass, and has them judged. Owns the syntax of start lines and the bounds of a head;
 * fields are read by field-lines.ts and weighed by ../framing.ts. Holds no state: a partial head is read again from its first byte.
 */
import {
  FAULT_BARE_CR,
  FAULT_BARE_LF,
  FAULT_CONNECT_METHOD,
  FAULT_H2_PREFACE,
  FAULT_HEAD_TOO_LARGE,
  FAULT_METHOD,
  FAULT_METHOD_UNKNOWN,
  FAULT_REQUEST_LINE,
  FAULT_REQUEST_TARGET,
  FAULT_REQUEST_VERSION,
  FAULT_RESPONSE_HEAD,
  FAULT_STATUS_LINE,
  FAULT_TARGET_TOO_LONG,
  NEED_MORE,
} from '../../base/faults.ts';
import { METHOD_BYTES_MAX } from '../../base/limits.ts';
import { CR, FIELD_TEXT, HEX, LF, SP, TARGET, TARGET_PLAIN, TARGET_QUESTION, TOKEN } from '../characters.ts';
import { judgeRequest, judgeResponse } from '../framing.ts';
import {
  type HeadLimits,
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
  type MessageHead,
  TARGET_ABSOLUTE,
  TARGET_ASTERISK,
  TARGET_ORIGIN,
} from '../message-head.ts';
import { readFieldLines } from './field-lines.ts';

export type { HeadLimits } from '../message-head.ts';

const SLASH = 0x2f;
const ASTERISK = 0x2a;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
/** "HTTP/1.", all that a version shares. */
const VERSION = Uint8Array.from([0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e]);
const VERSION_MAJOR_AT = 5;
/** Bytes from the version to the end of the request line: "HTTP/1.1" and CRLF. */
const VERSION_LINE_BYTES = 10;
const HTTP_SCHEME = Uint8Array.from([0x68, 0x74, 0x74, 0x70, 0x3a, 0x2f, 0x2f]);
const HTTPS_SCHEME = Uint8Array.from([0x68, 0x74, 0x74, 0x70, 0x73, 0x3a, 0x2f, 0x2f]);
/** Bytes from the start of a status line to its status: "HTTP/1.1 ". */
const STATUS_AT = 9;

const METHODS: readonly (readonly [string, number])[] = [
  ['GET', METHOD_GET],
  ['HEAD', METHOD_HEAD],
  ['POST', METHOD_POST],
  ['PUT', METHOD_PUT],
  ['DELETE', METHOD_DELETE],
  ['OPTIONS', METHOD_OPTIONS],
  ['PATCH', METHOD_PATCH],
  ['TRACE', METHOD_TRACE],
  ['CONNECT', METHOD_CONNECT],
];

/** Known methods by length; their bytes. At most two share a length. */
const methodsByLength: { readonly bytes: Uint8Array; readonly method: number }[][] = Array.from({ length: METHOD_BYTES_MAX + 1 }, () => []);
for (const [name, method] of METHODS) {
  methodsByLength[name.length]!.push({ bytes: Uint8Array.from(name, (character) => character.charCodeAt(0)), method });
}

/**
 * Reads one request head from `buf[start, end)` into `head`, judged.
 *
 * Returns the bytes consumed, NEED_MORE, or a fault with culprit client. The result depends on the bytes alone, never on how many calls
 * brought them: a fault in the lines is reported as soon as its byte is there, one in what they mean when the head is whole. `head` may be
 * used only after progress (its `method` and offsets of the start line are right after a fault in the fields, too).
 * One empty line in front is passed over, RFC 9112, section 2.2. Never keeps `buf`.
 *
 * A partial head is read again from `start`, which costs its length: callers that have tried ask `headMayBeComplete()` first.
 */
export function readRequestHead(buf: Uint8Array, start: number, end: number, limits: HeadLimits, head: MessageHead): number {
  const bound = start + limits.headBytesMax;
  const limit = Math.min(end, bound);
  const shortage = end < bound ? NEED_MORE : FAULT_HEAD_TOO_LARGE;
  let p = start;
  if (p < limit && buf[p] === CR) {
    if (p + 1 >= limit) return shortage;
    if (buf[p + 1] !== LF) return FAULT_BARE_CR;
    p += 2;
  }
  head.lineStart = p;
  head.status = 0;
  head.reasonStart = 0;
  head.reasonEnd = 0;

  const methodEnd = endOfMethod(buf, p, limit);
  if (methodEnd <= 0) return methodEnd < 0 ? methodEnd : shortage;
  head.methodStart = p;
  head.methodEnd = methodEnd;
  head.method = methodAt(buf, p, methodEnd);
  if (head.method === METHOD_CONNECT) return FAULT_CONNECT_METHOD;

  const targetEnd = readTarget(buf, methodEnd + 1, limit, limits.targetBytesMax, head);
  if (targetEnd <= 0) return targetEnd < 0 ? targetEnd : shortage;
  const lineEnd = readVersion(buf, targetEnd + 1, limit, head);
  if (lineEnd <= 0) return lineEnd < 0 ? lineEnd : shortage;
  const headEnd = readFieldLines(buf, lineEnd, limit, limits.fieldsMax, head);
  if (headEnd <= 0) return headEnd < 0 ? headEnd : shortage;
  const fault = judgeRequest(buf, head);
  return fault < 0 ? fault : headEnd - start;
}

/**
 * Reads one response head (an interim one, too) from `buf[start, end)` into `head`, judged as the answer to a request of `requestMethod`.
 *
 * Returns the bytes consumed, NEED_MORE, or FAULT_STATUS_LINE, FAULT_RESPONSE_HEAD (lines or bounds), FAULT_RESPONSE_FRAMING. As for
 * requests, the result does not depend on the cut. A missing space behind the status is accepted: many servers that send no reason send
 * none, and nothing else can be meant. RFC 9112, section 4.
 */
export function readResponseHead(
  buf: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits,
  requestMethod: number,
  head: MessageHead,
): number {
  const bound = start + limits.headBytesMax;
  const limit = Math.min(end, bound);
  const shortage = end < bound ? NEED_MORE : FAULT_RESPONSE_HEAD;
  const lineEnd = readStatusLine(buf, start, limit, head);
  if (lineEnd <= 0) return lineEnd < 0 ? FAULT_STATUS_LINE : shortage;
  head.method = METHOD_OTHER;
  head.methodStart = head.methodEnd = 0;
  head.targetForm = TARGET_ORIGIN;
  head.targetStart = head.targetEnd = 0;
  head.pathStart = head.pathEnd = head.queryStart = 0;
  head.pathNeedsSlash = false;
  head.targetIsHttps = false;
  head.targetAuthorityStart = head.targetAuthorityEnd = 0;
  const headEnd = readFieldLines(buf, lineEnd, limit, limits.fieldsMax, head);
  if (headEnd <= 0) return headEnd < 0 ? FAULT_RESPONSE_HEAD : shortage;
  const fault = judgeResponse(buf, head, requestMethod);
  return fault < 0 ? fault : headEnd - start;
}

/**
 * Whether reading again can bring anything, now that `buf[from, end)` has come: only the end of a line moves a head on. A sender of single
 * bytes so costs one look at each byte and a reading per line, FIELDS_MAX + 3 of them at most. Callers must read nevertheless once
 * `headBytesMax` bytes are there, since a head without a line end is refused only then.
 */
export function headMayBeComplete(buf: Uint8Array, from: number, end: number): boolean {
  for (let p = from; p < end; p++) {
    if (buf[p] === LF) return true;
  }
  return false;
}

/** End of the method at `start` (its space is there), NEED_MORE, or a fault. RFC 9112, section 3.1. */
function endOfMethod(buf: Uint8Array, start: number, limit: number): number {
  let p = start;
  for (; p < limit; p++) {
    const byte = buf[p]!;
    // A lower-case method is another method than the one it looks like; a server that folds case would frame its answer differently.
    if (TOKEN[byte] === 0 || (byte >= 0x61 && byte <= 0x7a)) break;
    if (p - start === METHOD_BYTES_MAX) return FAULT_METHOD_UNKNOWN;
  }
  if (p >= limit) return NEED_MORE;
  if (buf[p] === SP && p > start) return p;
  if (buf[p] === LF) return FAULT_BARE_LF;
  return buf[p] === CR ? FAULT_REQUEST_LINE : FAULT_METHOD;
}

function methodAt(buf: Uint8Array, start: number, end: number): number {
  if (end - start === 3 && buf[start] === 0x47 && buf[start + 1] === 0x45 && buf[start + 2] === 0x54) return METHOD_GET;
  const known = methodsByLength[end - start]!;
  for (let i = 0; i < known.length; i++) {
    const { bytes, method } = known[i]!;
    if (equalsAt(buf, start, end, bytes)) return method;
  }
  return METHOD_OTHER;
}

/** Reads the request target, RFC 9112, section 3.2. Returns its end (its space is there), NEED_MORE, or a fault. */
function readTarget(buf: Uint8Array, start: number, limit: number, bytesMax: number, head: MessageHead): number {
  const stop = limit - start < bytesMax ? limit : start + bytesMax;
  // An escape may be looked at one byte past the bound: that byte decides the fault there, however much has come.
  const escapeStop = stop < limit ? stop + 1 : limit;
  let p = start;
  let query = 0;
  while (p < stop) {
    const kind = TARGET[buf[p]!]!;
    if (kind === TARGET_PLAIN) {
      p++;
      continue;
    }
    if (kind === 0) break;
    if (kind === TARGET_QUESTION) {
      if (query === 0) query = p;
    } else if (query === 0) {
      // "%" in the path is decoded by whatever routes on it, so it must be decodable. Queries are the application's own.
      const fault = faultInEscape(buf, p + 1, escapeStop);
      if (fault < 0) return fault;
    }
    p++;
  }
  if (p >= limit) return NEED_MORE;
  if (buf[p] !== SP) return p === stop && TARGET[buf[p]!] !== 0 ? FAULT_TARGET_TOO_LONG : faultInTarget(buf[p]!);
  if (p === start) return FAULT_REQUEST_LINE;
  head.targetStart = start;
  head.targetEnd = p;
  head.pathEnd = p;
  head.queryStart = query === 0 ? p : query;
  if (buf[start] === SLASH) {
    head.targetForm = TARGET_ORIGIN;
    head.pathStart = start;
    head.pathNeedsSlash = false;
    head.targetIsHttps = false;
    head.targetAuthorityStart = head.targetAuthorityEnd = 0;
    return p;
  }
  return readOtherForm(buf, start, p, head);
}

/** Asterisk and absolute form. The authority form belongs to CONNECT, which never comes here. */
function readOtherForm(buf: Uint8Array, start: number, end: number, head: MessageHead): number {
  head.pathNeedsSlash = false;
  head.targetIsHttps = false;
  head.targetAuthorityStart = head.targetAuthorityEnd = 0;
  if (buf[start] === ASTERISK) {
    if (end - start !== 1) return FAULT_REQUEST_TARGET;
    head.targetForm = TARGET_ASTERISK;
    head.pathStart = start;
    return end;
  }
  head.targetForm = TARGET_ABSOLUTE;
  let p = start;
  if (beginsFolded(buf, start, end, HTTP_SCHEME)) p += HTTP_SCHEME.length;
  else if (beginsFolded(buf, start, end, HTTPS_SCHEME)) {
    p += HTTPS_SCHEME.length;
    head.targetIsHttps = true;
  } else return FAULT_REQUEST_TARGET;
  head.targetAuthorityStart = p;
  while (p < end && buf[p] !== SLASH && p !== head.queryStart) p++;
  head.targetAuthorityEnd = p;
  head.pathStart = p;
  head.pathNeedsSlash = p === end || buf[p] !== SLASH;
  return end;
}

/** Digits behind "%": a fault as soon as one is wrong, 0 while they may still come. %00 ends a string in too many programs. */
function faultInEscape(buf: Uint8Array, at: number, limit: number): number {
  if (at >= limit) return 0;
  const high = HEX[buf[at]!]!;
  if (high === 255) return FAULT_REQUEST_TARGET;
  if (at + 1 >= limit) return 0;
  const low = HEX[buf[at + 1]!]!;
  return low === 255 || high + low === 0 ? FAULT_REQUEST_TARGET : 0;
}

function faultInTarget(byte: number): number {
  if (byte === LF) return FAULT_BARE_LF;
  // "GET /" and the end of the line: HTTP/0.9.
  return byte === CR ? FAULT_REQUEST_LINE : FAULT_REQUEST_TARGET;
}

/** Reads the version and the end of the request line. Returns where the fields begin, NEED_MORE, or a fault. RFC 9112, section 2.3. */
function readVersion(buf: Uint8Array, start: number, limit: number, head: MessageHead): number {
  let i = 0;
  while (i < VERSION.length && start + i < limit && buf[start + i] === VERSION[i]) i++;
  const p = start + i;
  if (p >= limit) return NEED_MORE;
  const digit = buf[p]! - ZERO;
  const isDigit = digit >= 0 && digit <= 9;
  if (i < VERSION.length) {
    if (buf[p] === LF) return FAULT_BARE_LF;
    if (i !== VERSION_MAJOR_AT || !isDigit) return FAULT_REQUEST_LINE;
    if (digit === 2 && isPreface(buf, head)) return FAULT_H2_PREFACE;
    // One digit, and a dot behind it: "HTTP/01.1" is no version that we do not support, but none at all.
    if (p + 1 >= limit) return NEED_MORE;
    if (buf[p + 1] === LF) return FAULT_BARE_LF;
    return buf[p + 1] === DOT ? FAULT_REQUEST_VERSION : FAULT_REQUEST_LINE;
  }
  // 1.2 and above do not exist. Whoever says so is to be served as 1.1, for a higher minor version may not change how a message is read
  // (RFC 9110, section 2.5), and 505 is about major versions (section 15.6.6). It goes on as 1.1, so no two programs can differ over it.
  if (!isDigit) return FAULT_REQUEST_LINE;
  if (p + 1 >= limit) return NEED_MORE;
  if (buf[p + 1] !== CR) return buf[p + 1] === LF ? FAULT_BARE_LF : FAULT_REQUEST_LINE;
  if (p + 2 >= limit) return NEED_MORE;
  if (buf[p + 2] !== LF) return FAULT_BARE_CR;
  head.versionMinor = digit === 0 ? 0 : 1;
  head.versionIsNewer = digit > 1;
  return start + VERSION_LINE_BYTES;
}

/** "PRI * HTTP/2": a client that speaks HTTP/2 without having agreed on it, RFC 9113, section 3.4. */
function isPreface(buf: Uint8Array, head: MessageHead): boolean {
  const { methodStart } = head;
  if (head.methodEnd - methodStart !== 3 || head.targetForm !== TARGET_ASTERISK) return false;
  return buf[methodStart] === 0x50 && buf[methodStart + 1] === 0x52 && buf[methodStart + 2] === 0x49;
}

/** Reads a status line. Returns where the fields begin, NEED_MORE, or FAULT_STATUS_LINE. RFC 9112, section 4. */
function readStatusLine(buf: Uint8Array, start: number, limit: number, head: MessageHead): number {
  let i = 0;
  while (i < VERSION.length && start + i < limit && buf[start + i] === VERSION[i]) i++;
  let p = start + i;
  if (p >= limit) return NEED_MORE;
  if (i < VERSION.length || buf[p]! < ZERO || buf[p]! > NINE) return FAULT_STATUS_LINE;
  head.versionMinor = buf[p] === ZERO ? 0 : 1;
  head.versionIsNewer = buf[p]! > ZERO + 1;
  p++;
  if (p >= limit) return NEED_MORE;
  if (buf[p] !== SP) return FAULT_STATUS_LINE;
  p++;
  let status = 0;
  for (const stop = start + STATUS_AT + 3; p < stop; p++) {
    if (p >= limit) return NEED_MORE;
    const byte = buf[p]!;
    if (byte < ZERO || byte > NINE) return FAULT_STATUS_LINE;
    status = status * 10 + byte - ZERO;
  }
  // RFC 9110, section 15: nothing outside 100 to 599 is valid.
  if (status < 100 || status > 599) return FAULT_STATUS_LINE;
  if (p >= limit) return NEED_MORE;
  head.status = status;
  head.lineStart = start;
  head.reasonStart = p;
  if (buf[p] === SP) {
    head.reasonStart = ++p;
    while (p < limit && FIELD_TEXT[buf[p]!] !== 0) p++;
    if (p >= limit) return NEED_MORE;
  }
  head.reasonEnd = p;
  if (buf[p] !== CR) return FAULT_STATUS_LINE;
  if (p + 1 >= limit) return NEED_MORE;
  return buf[p + 1] === LF ? p + 2 : FAULT_STATUS_LINE;
}

function equalsAt(buf: Uint8Array, start: number, end: number, bytes: Uint8Array): boolean {
  for (let p = start, i = 0; p < end; p++, i++) {
    if (buf[p] !== bytes[i]) return false;
  }
  return true;
}

/** Whether buf[start, end) begins with `prefix` (in lower case), in any case. */
function beginsFolded(buf: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    const byte = buf[start + i]!;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== prefix[i]) return false;
  }
  return true;
}
