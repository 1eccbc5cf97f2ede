/**
 * The judge: decides from a head what follows it (nothing, so many bytes, chunks, everything, a tunnel), whether the connection lives on,
 * where the request is addressed and which fields end here. Every protocol version is judged here, so that none can disagree with another.
 *
 * Two readings of one message are how requests are smuggled; whatever has two is refused, even where RFC 9112 permits a repair.
 * Must not know how bytes are split into lines, nor write any. Allocates nothing.
 */
import {
  FAULT_CODING_UNKNOWN,
  FAULT_CONNECT_METHOD,
  FAULT_CONTENT_LENGTH,
  FAULT_EXPECT,
  FAULT_FIELD_NAME,
  FAULT_FIELD_VALUE,
  FAULT_HOST,
  FAULT_HOST_DISAGREES,
  FAULT_LENGTH_AND_CODING,
  FAULT_LENGTH_REQUIRED,
  FAULT_REQUEST_TARGET,
  FAULT_RESPONSE_FRAMING,
  FAULT_RESPONSE_HEAD,
  FAULT_TRANSFER_ENCODING,
  FAULT_UPGRADE,
} from '../base/faults.ts';
import { CONNECTION_OPTIONS_MAX } from '../base/limits.ts';
import { equalsFolded, hostEndAt, portAt } from './authority.ts';
import { HTAB, SP, TOKEN } from './characters.ts';
import {
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_DISGUISED,
  FIELD_EXPECT,
  FIELD_HOST,
  FIELD_TRAILER,
  FIELD_TRANSFER_ENCODING,
  FIELD_UNKNOWN,
  FIELD_UPGRADE,
  nameIdAt,
  nameRules,
  RULE_END_TO_END,
  RULE_HOP,
  RULE_JUDGED,
  RULE_OURS,
} from './field-names.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_TUNNEL,
  METHOD_CONNECT,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  type MessageHead,
  TARGET_ABSOLUTE,
  TARGET_ASTERISK,
} from './message-head.ts';
import { asciiBytes } from './write-bytes.ts';

const COMMA = 0x2c;
const SLASH = 0x2f;
const PORT_HTTP = 80;
const PORT_HTTPS = 443;

// What the Connection fields of one message hold together.
const OPTION_CLOSE = 1;
const OPTION_KEEP_ALIVE = 2;
const OPTION_UPGRADE = 4;
/** A name other than the usual ones: that field is dropped. */
const OPTION_NAMED = 8;

const CHUNKED = asciiBytes('chunked');
const CONTINUE = asciiBytes('100-continue');
const CLOSE = asciiBytes('close');
const KEEP_ALIVE = asciiBytes('keep-alive');
const UPGRADE = asciiBytes('upgrade');
const H2C = asciiBytes('h2c');

/** What the fields of one message say, before it is known what the message is. One, filled again and again. */
class Findings {
  options = 0;
  /** -1: no Content-Length. */
  contentLength = -1;
  /** Index of the Content-Length field, or -1. */
  lengthField = -1;
  /** FAULT_ or 0; only when `hasCoding`. */
  codingFault = 0;
  hasCoding = false;
  /** Index of the field, or -1. */
  hostField = -1;
  expectField = -1;
  upgradeField = -1;
  upgradeRepeats = false;
}

const found = new Findings();

/**
 * Judges a request whose start line and fields have been read into `head`; sets what MessageHead lists as the judge's.
 * Returns 0, or a fault below 0 with culprit client. RFC 9112, sections 3.2, 6 and 9; RFC 9110, sections 7.2, 7.6.1, 7.8 and 10.1.1.
 */
export function judgeRequest(buf: Uint8Array, head: MessageHead): number {
  if (head.method === METHOD_CONNECT) return FAULT_CONNECT_METHOD;
  if (head.targetForm === TARGET_ASTERISK && head.method !== METHOD_OPTIONS) return FAULT_REQUEST_TARGET;
  const fault = weighFields(buf, head, true);
  if (fault < 0) return fault;
  const addressFault = judgeAddress(buf, head);
  if (addressFault < 0) return addressFault;

  if (found.hasCoding) {
    if (found.contentLength >= 0) return FAULT_LENGTH_AND_CODING;
    if (found.codingFault < 0) return found.codingFault;
    // A 1.0 program in between would have read the chunks as data, RFC 9112, section 6.1.
    if (head.versionMinor === 0) return FAULT_TRANSFER_ENCODING;
    head.framing = FRAMING_CHUNKED;
  } else if (found.contentLength >= 0) {
    head.framing = FRAMING_LENGTH;
    head.contentLength = found.contentLength;
  } else if (head.versionMinor === 0 && (head.method === METHOD_POST || head.method === METHOD_PUT || head.method === METHOD_PATCH)) {
    // In HTTP/1.0 a body without length ended with the connection, and what comes behind this head might be one. RFC 9110, section 15.5.12.
    return FAULT_LENGTH_REQUIRED;
  }
  const hasBody = head.framing === FRAMING_CHUNKED || head.contentLength > 0;

  if (found.expectField >= 0) {
    // To be ignored from HTTP/1.0; and who sends no body has nothing to wait with. RFC 9110, section 10.1.1.
    head.expectContinue = hasBody && head.versionMinor === 1;
    if (!head.expectContinue) head.dropped[found.expectField] = 1;
  }
  if (found.upgradeField >= 0) {
    if (found.upgradeRepeats) return FAULT_UPGRADE;
    const at = found.upgradeField * FIELD_STRIDE;
    const start = head.fields[at + FIELD_VALUE_START]!;
    const end = head.fields[at + FIELD_VALUE_END]!;
    const protocols = weighUpgrade(buf, start, end);
    if (protocols < 0) return FAULT_UPGRADE;
    // A server is free to ignore Upgrade, and we do where a body would have to be read before the switch. RFC 9110, section 7.8.
    if ((found.options & OPTION_UPGRADE) !== 0 && head.versionMinor === 1 && protocols > 0 && !hasBody) {
      head.upgradeStart = start;
      head.upgradeEnd = end;
    }
  }
  return 0;
}

/**
 * Judges a response to a request of method `requestMethod` (METHOD_...); sets what MessageHead lists as the judge's.
 * Returns 0, FAULT_RESPONSE_HEAD, or FAULT_RESPONSE_FRAMING. RFC 9112, section 6.3; RFC 9110, sections 7.6.1 and 15.
 */
export function judgeResponse(buf: Uint8Array, head: MessageHead, requestMethod: number): number {
  const fault = weighFields(buf, head, false);
  if (fault < 0) return fault === FAULT_CONTENT_LENGTH || fault === FAULT_TRANSFER_ENCODING ? FAULT_RESPONSE_FRAMING : FAULT_RESPONSE_HEAD;
  if (found.hasCoding && (found.contentLength >= 0 || found.codingFault < 0 || head.versionMinor === 0)) return FAULT_RESPONSE_FRAMING;

  const { status } = head;
  if (status < 200 || status === 204) {
    // These never have a body; one that is announced may well be sent, and would be read as the next response.
    if (found.hasCoding || found.contentLength > 0) return FAULT_RESPONSE_FRAMING;
    if (status === 101) return judgeSwitch(buf, head);
  } else if (status === 304 || requestMethod === METHOD_HEAD) {
    // Says what a GET would have brought, so it is kept as it stands. RFC 9110, section 8.6.
    if (found.lengthField >= 0) head.dropped[found.lengthField] = 0;
  } else if (found.hasCoding) {
    head.framing = FRAMING_CHUNKED;
  } else if (found.contentLength >= 0) {
    head.framing = FRAMING_LENGTH;
    head.contentLength = found.contentLength;
  } else {
    head.framing = FRAMING_CLOSE;
    head.keepAlive = false;
  }
  return 0;
}

/** A 101 names the protocol it switches to, RFC 9110, section 15.2.2. Whether anybody asked for it is the exchange's question. */
function judgeSwitch(buf: Uint8Array, head: MessageHead): number {
  if ((found.options & OPTION_UPGRADE) === 0 || found.upgradeField < 0 || found.upgradeRepeats) return FAULT_RESPONSE_HEAD;
  const at = found.upgradeField * FIELD_STRIDE;
  head.upgradeStart = head.fields[at + FIELD_VALUE_START]!;
  head.upgradeEnd = head.fields[at + FIELD_VALUE_END]!;
  if (weighUpgrade(buf, head.upgradeStart, head.upgradeEnd) <= 0) return FAULT_RESPONSE_HEAD;
  head.framing = FRAMING_TUNNEL;
  head.keepAlive = false;
  return 0;
}

/** One pass over the fields: fills `found`, `dropped` and `keepAlive`, clears the rest of the judge's places. 0, or a request's fault. */
function weighFields(buf: Uint8Array, head: MessageHead, isRequest: boolean): number {
  const { fields, dropped, fieldCount } = head;
  head.framing = FRAMING_NONE;
  head.contentLength = 0;
  head.hostStart = 0;
  head.hostEnd = 0;
  head.authorityStart = 0;
  head.authorityEnd = 0;
  head.upgradeStart = 0;
  head.upgradeEnd = 0;
  head.expectContinue = false;
  found.options = 0;
  found.contentLength = -1;
  found.lengthField = -1;
  found.codingFault = 0;
  found.hasCoding = false;
  found.hostField = -1;
  found.expectField = -1;
  found.upgradeField = -1;
  found.upgradeRepeats = false;
  let trailerFields = false;

  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    const id = fields[at]!;
    if (id === FIELD_UNKNOWN) {
      dropped[i] = 0;
      continue;
    }
    if (id === FIELD_DISGUISED) {
      // From a client it is an attempt on the application behind us; what a server calls its own fields is its affair.
      if (isRequest) return FAULT_FIELD_NAME;
      fields[at] = FIELD_UNKNOWN;
      dropped[i] = 0;
      continue;
    }
    const rules = nameRules(id);
    dropped[i] = (rules & (isRequest ? RULE_HOP | RULE_OURS : RULE_HOP)) !== 0 ? 1 : 0;
    if ((rules & RULE_JUDGED) === 0) continue;
    const start = fields[at + FIELD_VALUE_START]!;
    const end = fields[at + FIELD_VALUE_END]!;
    switch (id) {
      case FIELD_HOST:
        if (!isRequest) break;
        if (found.hostField >= 0) return FAULT_HOST;
        found.hostField = i;
        break;
      case FIELD_CONTENT_LENGTH:
        // Two equal ones could be merged, RFC 9110, section 8.6. Nobody honest sends them.
        if (found.lengthField >= 0) return FAULT_CONTENT_LENGTH;
        found.lengthField = i;
        found.contentLength = lengthAt(buf, start, end);
        if (found.contentLength < 0) return FAULT_CONTENT_LENGTH;
        dropped[i] = 1;
        break;
      case FIELD_TRANSFER_ENCODING:
        if (found.hasCoding) return FAULT_TRANSFER_ENCODING;
        found.hasCoding = true;
        found.codingFault = weighCoding(buf, start, end);
        dropped[i] = 1;
        break;
      case FIELD_CONNECTION: {
        const options = optionsAt(buf, start, end);
        if (options < 0) return options;
        found.options |= options;
        break;
      }
      case FIELD_UPGRADE:
        found.upgradeRepeats = found.upgradeField >= 0;
        found.upgradeField = i;
        break;
      case FIELD_EXPECT:
        if (!isRequest) break;
        if (found.expectField >= 0 || !isWord(buf, start, end, CONTINUE)) return FAULT_EXPECT;
        found.expectField = i;
        break;
      case FIELD_TRAILER:
        trailerFields = true;
        break;
    }
  }

  const { options } = found;
  // "close" wins over everything, RFC 9112, section 9.3.
  head.keepAlive = (options & OPTION_CLOSE) === 0 && (head.versionMinor === 1 || (options & OPTION_KEEP_ALIVE) !== 0);
  if ((options & OPTION_NAMED) !== 0) {
    const fault = dropNamed(buf, head);
    if (fault < 0) return fault;
  }
  if (trailerFields && !found.hasCoding) dropTrailerFields(head);
  return 0;
}

/** Without chunks there is no trailer section to announce. */
function dropTrailerFields(head: MessageHead): void {
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.fields[i * FIELD_STRIDE] === FIELD_TRAILER) head.dropped[i] = 1;
  }
}

/** Where the request is addressed: exactly one good Host in HTTP/1.1, at most one in 1.0, and no second opinion in the target. */
function judgeAddress(buf: Uint8Array, head: MessageHead): number {
  const isAbsolute = head.targetForm === TARGET_ABSOLUTE;
  let targetHostEnd = 0;
  if (isAbsolute) {
    targetHostEnd = hostEndAt(buf, head.targetAuthorityStart, head.targetAuthorityEnd);
    if (targetHostEnd < 0) return FAULT_REQUEST_TARGET;
  }
  if (found.hostField < 0) {
    if (head.versionMinor === 1) return FAULT_HOST;
    if (!isAbsolute) return 0;
    head.authorityStart = head.hostStart = head.targetAuthorityStart;
    head.authorityEnd = head.targetAuthorityEnd;
    head.hostEnd = targetHostEnd;
    return 0;
  }
  const at = found.hostField * FIELD_STRIDE;
  const start = head.fields[at + FIELD_VALUE_START]!;
  const end = head.fields[at + FIELD_VALUE_END]!;
  const hostEnd = hostEndAt(buf, start, end);
  if (hostEnd < 0) return FAULT_HOST;
  head.authorityStart = head.hostStart = start;
  head.authorityEnd = end;
  head.hostEnd = hostEnd;
  if (!isAbsolute) return 0;
  // RFC 9112, section 3.2.2 lets the target win; a router that reads the other one would then decide differently.
  if (!equalsFolded(buf, start, hostEnd, head.targetAuthorityStart, targetHostEnd)) return FAULT_HOST_DISAGREES;
  const port = hostEnd === end ? 0 : portAt(buf, hostEnd + 1, end);
  const targetPort = targetHostEnd === head.targetAuthorityEnd ? 0 : portAt(buf, targetHostEnd + 1, head.targetAuthorityEnd);
  const usual = head.targetIsHttps ? PORT_HTTPS : PORT_HTTP;
  return (port === 0 ? usual : port) === (targetPort === 0 ? usual : targetPort) ? 0 : FAULT_HOST_DISAGREES;
}

/** The digits in buf[start, end) as a number of at most 2^53 - 1, or -1: empty, signed, a list, hexadecimal, too large. */
function lengthAt(buf: Uint8Array, start: number, end: number): number {
  if (start === end) return -1;
  let length = 0;
  for (let p = start; p < end; p++) {
    const digit = buf[p]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return -1;
  }
  return length;
}

/** 0 for exactly "chunked"; else what is wrong with buf[start, end) as a request's Transfer-Encoding. */
function weighCoding(buf: Uint8Array, start: number, end: number): number {
  if (isWord(buf, start, end, CHUNKED)) return 0;
  let p = start;
  while (p < end && TOKEN[buf[p]!] !== 0) p++;
  // Chunked twice, or with something on top of it, cannot be framed at all (400); another coding we just do not know (501). RFC 9112, section 6.1.
  if (p === start || isWord(buf, start, p, CHUNKED)) return FAULT_TRANSFER_ENCODING;
  while (p < end && (TOKEN[buf[p]!] !== 0 || buf[p] === COMMA || buf[p] === SP || buf[p] === HTAB)) p++;
  return p === end ? FAULT_CODING_UNKNOWN : FAULT_TRANSFER_ENCODING;
}

/** The options in one Connection value as OPTION_ bits, or FAULT_FIELD_VALUE. */
function optionsAt(buf: Uint8Array, start: number, end: number): number {
  let options = 0;
  let p = skipToElement(buf, start, end);
  while (p < end) {
    const from = p;
    while (p < end && TOKEN[buf[p]!] !== 0) p++;
    if (p === from) return FAULT_FIELD_VALUE;
    if (isWord(buf, from, p, KEEP_ALIVE)) options |= OPTION_KEEP_ALIVE;
    else if (isWord(buf, from, p, CLOSE)) options |= OPTION_CLOSE;
    else if (isWord(buf, from, p, UPGRADE)) options |= OPTION_UPGRADE;
    else options |= OPTION_NAMED;
    const next = endOfElement(buf, p, end);
    if (next < 0) return FAULT_FIELD_VALUE;
    p = skipToElement(buf, next, end);
  }
  return options;
}

/** Drops the fields that Connection names, RFC 9110, section 7.6.1. The values were found well formed. 0, or FAULT_FIELD_VALUE. */
function dropNamed(buf: Uint8Array, head: MessageHead): number {
  const { fields, fieldCount } = head;
  let named = 0;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    if (fields[at] !== FIELD_CONNECTION) continue;
    const end = fields[at + FIELD_VALUE_END]!;
    let p = skipToElement(buf, fields[at + FIELD_VALUE_START]!, end);
    while (p < end) {
      const from = p;
      while (p < end && TOKEN[buf[p]!] !== 0) p++;
      const id = nameIdAt(buf, from, p);
      if (id === FIELD_DISGUISED || (nameRules(id) & RULE_END_TO_END) !== 0) return FAULT_FIELD_VALUE;
      // Each costs a walk over all fields: a bound keeps one hostile value from costing thousands of them.
      if (++named > CONNECTION_OPTIONS_MAX) return FAULT_FIELD_VALUE;
      dropByName(buf, head, from, p);
      p = skipToElement(buf, p, end);
    }
  }
  return 0;
}

function dropByName(buf: Uint8Array, head: MessageHead, start: number, end: number): void {
  const { fields, dropped, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    if (equalsFolded(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!, start, end)) dropped[i] = 1;
  }
}

/** Checks an Upgrade value: 1 fine, 0 it asks for h2c (which we do not forward, since it would hide requests from us), -1 malformed. */
function weighUpgrade(buf: Uint8Array, start: number, end: number): number {
  let verdict = 1;
  let elements = 0;
  let p = skipToElement(buf, start, end);
  while (p < end) {
    const from = p;
    while (p < end && TOKEN[buf[p]!] !== 0) p++;
    if (p === from) return -1;
    if (isWord(buf, from, p, H2C)) verdict = 0;
    if (p < end && buf[p] === SLASH) {
      const version = ++p;
      while (p < end && TOKEN[buf[p]!] !== 0) p++;
      if (p === version) return -1;
    }
    elements++;
    const next = endOfElement(buf, p, end);
    if (next < 0) return -1;
    p = skipToElement(buf, next, end);
  }
  return elements === 0 ? -1 : verdict;
}

/** Behind the whitespace and commas at `p`: empty list elements are to be accepted, RFC 9110, section 5.6.1.2. */
function skipToElement(buf: Uint8Array, p: number, end: number): number {
  let at = p;
  while (at < end && (buf[at] === COMMA || buf[at] === SP || buf[at] === HTAB)) at++;
  return at;
}

/** Behind the whitespace that ends a list element, or -1 when neither a comma nor the end follows. */
function endOfElement(buf: Uint8Array, p: number, end: number): number {
  let at = p;
  while (at < end && (buf[at] === SP || buf[at] === HTAB)) at++;
  return at === end || buf[at] === COMMA ? at : -1;
}

/** Whether buf[start, end) is `word` (in lower case), in any case. */
function isWord(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let p = start, i = 0; p < end; p++, i++) {
    if (TOKEN[buf[p]!] !== word[i]) return false;
  }
  return true;
}
