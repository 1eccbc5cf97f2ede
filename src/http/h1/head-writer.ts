/**
 * Writes the head that goes on, beside the one that came: same bytes where they may stay, our own fields behind them. Owns what a forwarded
 * head looks like (RFC 9112, RFC 9110, section 7.6); what was decided about it is in MessageHead, Forwarding and Reply. Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { FAULT_HEAD_TOO_LARGE } from '../../base/faults.ts';
import { LISTENERS_MAX } from '../../base/limits.ts';
import { SP } from '../characters.ts';
import type { FieldEdits } from '../field-edits.ts';
import { FIELD_HOST } from '../field-names.ts';
import { type Mending, markMended, writeMended } from '../mending.ts';
import {
  FIELD_NAME_START,
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  findField,
  METHOD_OPTIONS,
  type MessageHead,
  TARGET_ABSOLUTE,
} from '../message-head.ts';
import { NO_VALUES, type TemplateValues } from '../template.ts';
import { CLIENT_SPAN, SAMPLED_AS_RECEIVED, writeTraceparent } from '../trace-context.ts';
import { asciiBytes, copyBytes, writeBytes, writeDecimal, writeLineEnd, writeText } from '../write-bytes.ts';

export const REQUEST_ID_BYTES = 32;

export const TRACE_OFF = -2;

/** What a forwarded request tells the server about the client. One, filled for each request; texts are Latin-1 without line ends. */
export class Forwarding {
  /** Who connected to us, without port or brackets: the client, or a proxy in front of us. */
  peerAddress = '';
  /** The client, which a trusted proxy may have named. */
  clientAddress = '';
  /** What the client spoke to us: http or https. */
  scheme = 'https';
  /** Port the client came to, in decimal. */
  port = '';
  /** Host when the client named none, which only HTTP/1.0 may. */
  fallbackHost = '';
  /** REQUEST_ID_BYTES of ASCII. */
  requestId: Uint8Array = new Uint8Array(REQUEST_ID_BYTES).fill(0x30);
  /** Whether X-Forwarded-* and X-Real-IP are written. */
  xForwarded = true;
  /** What a trusted proxy listed before us, to be extended; '' without. */
  forwardedFor = '';
  /** Host the client asked a trusted proxy for; '' when it is the request's. */
  forwardedHost = '';
  /** Value of Forwarded (RFC 7239); '' when none is written. */
  forwarded = '';
  /** What is told of the client's certificate (client-certificate.ts): lines, each with its end; '' when nothing is. */
  clientFields = '';
  /** Host for the server; '' when it is told the client's. */
  host = '';
  /** Where the traceparent to continue begins in the same buffer; -1: begin one with the request's id; TRACE_OFF. */
  traceparentAt = TRACE_OFF;
  /** What its flag says, and which of our spans it names (trace-context.ts). */
  traceSampled: number = SAMPLED_AS_RECEIVED;
  traceSpan: number = CLIENT_SPAN;
  edits: FieldEdits | null = null;
  /** For `edits`. */
  values: TemplateValues = NO_VALUES;
  /** Further field lines, each with its line end: Latin-1. */
  extra = '';
  /** In place of the client's: `GET /verify`. Such a request has no body, and switches nothing; '' without. */
  instead = '';
}

/** How a response goes on to the client. One, filled for each response. */
export class Reply {
  /** FRAMING_LENGTH, FRAMING_CHUNKED (not for HTTP/1.0), FRAMING_CLOSE; FRAMING_NONE where no body is possible, and for a switch. */
  framing = FRAMING_NONE;
  /** Bytes of the body, for FRAMING_LENGTH. */
  contentLength = 0;
  /** The client's connection ends behind this response. */
  close = false;
  /** Version the client speaks: HTTP/1.0 must be told of a connection that stays. */
  clientMinor = 1;
  /** A 101 that becomes a tunnel. */
  isSwitch = false;
  /** Null: nothing is mended. */
  mending: Mending | null = null;
  edits: FieldEdits | null = null;
  /** For `edits`. */
  values: TemplateValues = NO_VALUES;
  /** Further field lines, each with its line end: Latin-1. */
  extra = '';
  /** IMF-fixdate for a response that came without Date (RFC 9110, section 6.6.1); null: it has one. */
  date: Uint8Array | null = null;
}

/** Most that our own fields and a canonical start line add, texts of variable length aside. Bytes. */
const ADDED_BYTES_MAX = 640;
/** Length or coding, Connection, the opening of a switch, and the empty line. Bytes. */
const FRAMING_BYTES_MAX = 256;

const VERSION_END = asciiBytes(' HTTP/1.1\r\n');
const VERSION_START = asciiBytes('HTTP/1.1 ');
const HOST = asciiBytes('Host: ');
const REQUEST_ID = 'X-Request-ID: ';
const REAL_IP = asciiBytes('\r\nX-Real-IP: ');
const DATE = asciiBytes('Date: ');
const FORWARDED = asciiBytes('Forwarded: ');
const FORWARDED_HOST = asciiBytes('\r\nX-Forwarded-Host: ');
const CONTENT_LENGTH = asciiBytes('Content-Length: ');
const CHUNKED = asciiBytes('Transfer-Encoding: chunked\r\n');
const SWITCH = asciiBytes('Connection: upgrade\r\nUpgrade: ');
const CLOSE = asciiBytes('Connection: close\r\n');
const KEEP_ALIVE = asciiBytes('Connection: keep-alive\r\n');
const SLASH = 0x2f;
const ASTERISK = 0x2a;
/** Bytes from the start of a status line to its status, and to its end when no reason follows. */
const STATUS_AT = 9;
const STATUS_END_AT = 12;

/** Our fields up to the client's address, by scheme and port: they differ only between listeners. The request's id is poked in. */
const openings = new Map<string, Map<string, Uint8Array>>();

function openingOf(scheme: string, port: string): Uint8Array {
  return openings.get(scheme)?.get(port) ?? makeOpening(scheme, port);
}

function makeOpening(scheme: string, port: string): Uint8Array {
  assert(scheme === 'http' || scheme === 'https', 'a scheme of HTTP');
  const blank = '0'.repeat(REQUEST_ID_BYTES);
  const opening = asciiBytes(`${REQUEST_ID}${blank}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\nX-Forwarded-For: `);
  const byPort = openings.get(scheme) ?? new Map<string, Uint8Array>();
  // Ports come from listeners; the bound only keeps a mistake from growing for ever.
  if (byPort.size >= LISTENERS_MAX) byPort.clear();
  openings.set(scheme, byPort.set(port, opening));
  return opening;
}

/**
 * Writes the request in `head` as it is forwarded to `buf[at, end)`, which must not overlap the head's own bytes in the same `buf`.
 *
 * Origin form and HTTP/1.1 whatever was received; Host as received, or as `forward.host` says; fields as received but for those `dropped`;
 * then X-Request-ID, X-Forwarded-Proto, -Port, -For, X-Real-IP, X-Forwarded-Host, Forwarded, traceparent, those of the client's
 * certificate, the route's own fields, and framing in its one canonical form. Nothing of the client's own forwarding fields survives that
 * `forward` does not repeat. Returns the position behind the head, or FAULT_HEAD_TOO_LARGE.
 */
export function writeRequestHead(buf: Uint8Array, at: number, end: number, head: MessageHead, forward: Forwarding): number {
  const { fallbackHost, host, requestId } = forward;
  const hasHost = head.authorityEnd > head.authorityStart;
  const hostBytes = hasHost ? head.authorityEnd - head.authorityStart : fallbackHost.length;
  const textBytes =
    forward.peerAddress.length +
    forward.clientAddress.length +
    forward.forwardedFor.length +
    forward.forwarded.length +
    forward.clientFields.length +
    forward.extra.length +
    forward.instead.length;
  const bytesMax = head.headEnd - head.lineStart + 2 * hostBytes + host.length + forward.forwardedHost.length + textBytes + ADDED_BYTES_MAX;
  if (bytesMax > end - at) return FAULT_HEAD_TOO_LARGE;

  let to = at;
  let from = head.lineStart;
  if (head.versionMinor === 0 || head.versionIsNewer || head.targetForm === TARGET_ABSOLUTE || host !== '' || forward.instead !== '') {
    to = forward.instead === '' ? writeRequestLine(buf, to, head) : writeBytes(buf, writeText(buf, to, forward.instead), VERSION_END);
    if (host !== '') {
      dropHost(head);
      to = writeText(buf, writeBytes(buf, to, HOST), host);
      to = writeLineEnd(buf, to);
    } else if (!hasHost) {
      to = writeText(buf, writeBytes(buf, to, HOST), fallbackHost);
      to = writeLineEnd(buf, to);
    } else if (head.authorityStart === head.targetAuthorityStart) {
      to = copyBytes(buf, writeBytes(buf, to, HOST), head.authorityStart, head.authorityEnd);
      to = writeLineEnd(buf, to);
    }
    from = startOfFields(head);
  }
  if (forward.edits !== null) forward.edits.mark(buf, head);
  to = writeKeptFields(buf, to, head, from);

  if (forward.xForwarded) {
    const opening = openingOf(forward.scheme, forward.port);
    const openingAt = to;
    to = writeBytes(buf, to, opening);
    for (let i = 0, idAt = openingAt + REQUEST_ID.length; i < REQUEST_ID_BYTES; i++) buf[idAt + i] = requestId[i]!;
    if (forward.forwardedFor !== '') to = writeText(buf, writeText(buf, to, forward.forwardedFor), ', ');
    to = writeText(buf, to, forward.peerAddress);
    to = writeBytes(buf, to, REAL_IP);
    to = writeText(buf, to, forward.clientAddress);
    to = writeBytes(buf, to, FORWARDED_HOST);
    if (forward.forwardedHost !== '') to = writeText(buf, to, forward.forwardedHost);
    else to = hasHost ? copyBytes(buf, to, head.authorityStart, head.authorityEnd) : writeText(buf, to, fallbackHost);
    to = writeLineEnd(buf, to);
  } else {
    to = writeText(buf, to, REQUEST_ID);
    to = writeLineEnd(buf, writeBytes(buf, to, requestId));
  }
  if (forward.forwarded !== '') to = writeLineEnd(buf, writeText(buf, writeBytes(buf, to, FORWARDED), forward.forwarded));
  if (forward.traceparentAt !== TRACE_OFF) {
    to = writeTraceparent(buf, to, forward.traceparentAt, requestId, forward.traceSampled, forward.traceSpan);
  }
  to = writeText(buf, to, forward.clientFields);
  to = writeText(buf, to, forward.extra);
  if (forward.edits !== null) {
    to = forward.edits.write(buf, to, end - roomBehind(head), forward.values);
    if (to < 0) return FAULT_HEAD_TOO_LARGE;
  }

  if (forward.instead !== '') return writeLineEnd(buf, to);
  if (head.framing === FRAMING_LENGTH) to = writeLength(buf, to, head.contentLength);
  else if (head.framing === FRAMING_CHUNKED) to = writeBytes(buf, to, CHUNKED);
  if (head.upgradeEnd > head.upgradeStart) to = writeSwitch(buf, to, head);
  return writeLineEnd(buf, to);
}

/** Room that framing, a switch and the end of the head need behind fields of variable number. Bytes. */
function roomBehind(head: MessageHead): number {
  return FRAMING_BYTES_MAX + head.upgradeEnd - head.upgradeStart;
}

/** The client's Host goes no further. */
function dropHost(head: MessageHead): void {
  const i = findField(head, FIELD_HOST);
  if (i >= 0) head.dropped[i] = 1;
}

/**
 * Writes the response in `head` as it goes to the client to `buf[at, end)`, which must not overlap the head's own bytes in the same `buf`.
 *
 * HTTP/1.1 whatever the server spoke; fields as received but for those `dropped`; then framing and Connection as `reply` says. A response
 * to HEAD and a 304 keep the server's own Content-Length. Returns the position behind the head, or FAULT_HEAD_TOO_LARGE with nothing written.
 */
export function writeResponseHead(buf: Uint8Array, at: number, end: number, head: MessageHead, reply: Reply): number {
  assert(reply.framing !== FRAMING_CHUNKED || reply.clientMinor === 1, 'HTTP/1.0 knows no chunks');
  assert(reply.framing === FRAMING_NONE || head.framing !== FRAMING_NONE, 'a response without body gets none');
  if (head.headEnd - head.lineStart + reply.extra.length + ADDED_BYTES_MAX > end - at) return FAULT_HEAD_TOO_LARGE;
  let to = at;
  let from = head.lineStart;
  const lacksSpace = head.reasonStart === head.lineStart + STATUS_END_AT;
  if (head.versionMinor === 0 || head.versionIsNewer || lacksSpace) {
    to = writeBytes(buf, to, VERSION_START);
    to = copyBytes(buf, to, head.lineStart + STATUS_AT, head.lineStart + STATUS_END_AT);
    buf[to++] = SP;
    to = copyBytes(buf, to, head.reasonStart, head.reasonEnd);
    to = writeLineEnd(buf, to);
    from = startOfFields(head);
  }
  if (reply.edits !== null) reply.edits.mark(buf, head);
  const mended = reply.mending !== null && markMended(buf, head, reply.mending);
  to = writeKeptFields(buf, to, head, from);
  if (mended) {
    to = writeMended(buf, to, end - roomBehind(head), head, reply.mending!);
    if (to < 0) return FAULT_HEAD_TOO_LARGE;
  }
  if (reply.edits !== null) {
    to = reply.edits.write(buf, to, end - roomBehind(head), reply.values);
    if (to < 0) return FAULT_HEAD_TOO_LARGE;
  }

  to = writeText(buf, to, reply.extra);
  if (reply.date !== null) to = writeLineEnd(buf, writeBytes(buf, writeBytes(buf, to, DATE), reply.date));
  if (reply.framing === FRAMING_LENGTH) to = writeLength(buf, to, reply.contentLength);
  else if (reply.framing === FRAMING_CHUNKED) to = writeBytes(buf, to, CHUNKED);
  if (reply.isSwitch) return writeLineEnd(buf, writeSwitch(buf, to, head));
  // An interim response says nothing about the connection: the final one will.
  if (head.status >= 200) {
    if (reply.close || reply.framing === FRAMING_CLOSE) to = writeBytes(buf, to, CLOSE);
    else if (reply.clientMinor === 0) to = writeBytes(buf, to, KEEP_ALIVE);
  }
  return writeLineEnd(buf, to);
}

function startOfFields(head: MessageHead): number {
  return head.fieldCount > 0 ? head.fields[FIELD_NAME_START]! : head.headEnd - 2;
}

/** Copies from `from` to the end of the fields, but for dropped lines: adjacent lines in one go, together with a start line in front of them. */
function writeKeptFields(buf: Uint8Array, at: number, head: MessageHead, from: number): number {
  const { fields, dropped, fieldCount } = head;
  let to = at;
  let runStart = from;
  for (let i = 0; i < fieldCount; i++) {
    if (dropped[i] === 0) continue;
    const lineStart = fields[i * FIELD_STRIDE + FIELD_NAME_START]!;
    if (lineStart > runStart) to = copyBytes(buf, to, runStart, lineStart);
    runStart = i + 1 < fieldCount ? fields[(i + 1) * FIELD_STRIDE + FIELD_NAME_START]! : head.headEnd - 2;
  }
  const runEnd = head.headEnd - 2;
  return runEnd > runStart ? copyBytes(buf, to, runStart, runEnd) : to;
}

function writeRequestLine(buf: Uint8Array, at: number, head: MessageHead): number {
  let to = copyBytes(buf, at, head.methodStart, head.methodEnd);
  buf[to++] = SP;
  if (head.pathNeedsSlash) {
    // OPTIONS about a whole server, asked through a proxy, is "*" at the server itself. RFC 9112, section 3.2.4.
    buf[to++] = head.method === METHOD_OPTIONS && head.pathEnd === head.pathStart ? ASTERISK : SLASH;
  }
  to = copyBytes(buf, to, head.pathStart, head.pathEnd);
  return writeBytes(buf, to, VERSION_END);
}

function writeLength(buf: Uint8Array, at: number, bytes: number): number {
  return writeLineEnd(buf, writeDecimal(buf, writeBytes(buf, at, CONTENT_LENGTH), bytes));
}

function writeSwitch(buf: Uint8Array, at: number, head: MessageHead): number {
  const to = writeBytes(buf, at, SWITCH);
  return writeLineEnd(buf, copyBytes(buf, to, head.upgradeStart, head.upgradeEnd));
}
