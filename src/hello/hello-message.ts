/**
 * Reads the ClientHello message, once all of it lies in one piece: RFC 8446, section 4.1.2, RFC 5246, section 7.4.1.2, and the
 * extensions that decide a negotiation. Every length is checked against the one around it, and must fill it exactly.
 * Owns the message's syntax; knows nothing of records, and keeps no bytes but those it copies into `out`.
 */
import { FAULT_HELLO_MALFORMED } from '../base/faults.ts';
import type { ClientHello } from './client-hello.ts';

const OK = 0;
const RANDOM_BYTES = 32;
const SESSION_ID_BYTES_MAX = 32;
const COMPRESSION_NULL = 0;
const TLS12 = 0x0303;
const TLS13 = 0x0304;

const EXTENSION_SERVER_NAME = 0;
const EXTENSION_SUPPORTED_GROUPS = 10;
const EXTENSION_POINT_FORMATS = 11;
const EXTENSION_SIGNATURE_ALGORITHMS = 13;
const EXTENSION_ALPN = 16;
const EXTENSION_SESSION_TICKET = 35;
const EXTENSION_PRE_SHARED_KEY = 41;
const EXTENSION_EARLY_DATA = 42;
const EXTENSION_SUPPORTED_VERSIONS = 43;
const EXTENSION_SIGNATURE_ALGORITHMS_CERT = 50;
const EXTENSION_KEY_SHARE = 51;

const NAME_TYPE_HOST = 0;
const NAME_BYTES_MAX = 255;
const DOT = 0x2e;

/** Bytes of a server name: letters (mapped to lower case), digits, "-", "_", "."; every other byte is 0. */
const NAME = new Uint8Array(256);
for (let byte = 0x30; byte <= 0x39; byte++) NAME[byte] = byte;
for (let byte = 0x61; byte <= 0x7a; byte++) {
  NAME[byte] = byte;
  NAME[byte - 0x20] = byte;
}
NAME[0x2d] = 0x2d;
NAME[0x5f] = 0x5f;
NAME[DOT] = DOT;

/**
 * Reads `bytes[start, end)`, a ClientHello without its 4-byte head, into `out`, which is clear.
 *
 * Returns 0, or FAULT_HELLO_MALFORMED; then `out` holds what was read before the fault. `bytes` holds at least version and random.
 */
export function readHelloMessage(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  const legacyVersion = readU16(bytes, start);
  out.legacyVersion = legacyVersion;
  let at = start + 2 + RANDOM_BYTES;

  if (end - at < 1) return FAULT_HELLO_MALFORMED;
  const sessionIdBytes = bytes[at]!;
  at += 1 + sessionIdBytes;
  if (sessionIdBytes > SESSION_ID_BYTES_MAX || end - at < 2) return FAULT_HELLO_MALFORMED;
  out.sessionIdBytes = sessionIdBytes;

  const suitesEnd = at + 2 + readU16(bytes, at);
  if (suitesEnd > end) return FAULT_HELLO_MALFORMED;
  const suiteCount = readU16List(bytes, at + 2, suitesEnd, out.suites, out);
  if (suiteCount < 0) return suiteCount;
  out.suiteCount = suiteCount;
  at = suitesEnd;

  if (end - at < 1) return FAULT_HELLO_MALFORMED;
  const compressionCount = bytes[at++]!;
  if (compressionCount === 0 || end - at < compressionCount) return FAULT_HELLO_MALFORMED;
  let compressesNot = false;
  for (let i = 0; i < compressionCount; i++) {
    const method = bytes[at++]!;
    out.compressions[i] = method;
    if (method === COMPRESSION_NULL) compressesNot = true;
  }
  out.compressionCount = compressionCount;
  if (!compressesNot) return FAULT_HELLO_MALFORMED;

  if (at < end) {
    const fault = readExtensions(bytes, at, end, out);
    if (fault < 0) return fault;
  }

  if (!out.versionsListed) {
    // RFC 8446, section 4.2.1: without the extension TLS 1.3 is not meant, whatever the field says.
    out.versions[0] = Math.min(legacyVersion, TLS12);
    out.versionCount = 1;
  } else if (compressionCount !== 1 && out.offersVersion(TLS13)) {
    return FAULT_HELLO_MALFORMED;
  }
  return OK;
}

/** The extension block, its length first, up to `end`. RFC 8446, section 4.2. */
function readExtensions(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  if (end - start < 2 || readU16(bytes, start) !== end - start - 2) return FAULT_HELLO_MALFORMED;
  const { extensions, extensionBits } = out;
  let at = start + 2;
  while (at < end) {
    // pre_shared_key is the last one: its binders cover all that stands before it. RFC 8446, section 4.2.11.
    if (end - at < 4 || out.hasPskOffer) return FAULT_HELLO_MALFORMED;
    const type = readU16(bytes, at);
    const bodyEnd = at + 4 + readU16(bytes, at + 2);
    if (bodyEnd > end) return FAULT_HELLO_MALFORMED;
    const bits = extensionBits[type >>> 3]!;
    const bit = 1 << (type & 7);
    if ((bits & bit) !== 0 || out.extensionCount === extensions.length) return FAULT_HELLO_MALFORMED;
    extensionBits[type >>> 3] = bits | bit;
    extensions[out.extensionCount++] = type;
    const fault = readExtension(bytes, at + 4, bodyEnd, type, out);
    if (fault < 0) return fault;
    at = bodyEnd;
  }
  return OK;
}

function readExtension(bytes: Uint8Array, at: number, end: number, type: number, out: ClientHello): number {
  switch (type) {
    case EXTENSION_SERVER_NAME:
      return readServerName(bytes, at, end, out);
    case EXTENSION_SUPPORTED_GROUPS: {
      const count = readU16Vector(bytes, at, end, out.groups, out);
      if (count > 0) out.groupCount = count;
      return count;
    }
    case EXTENSION_POINT_FORMATS:
      return readPointFormats(bytes, at, end, out);
    case EXTENSION_SIGNATURE_ALGORITHMS: {
      const count = readU16Vector(bytes, at, end, out.schemes, out);
      if (count > 0) out.schemeCount = count;
      return count;
    }
    case EXTENSION_SIGNATURE_ALGORITHMS_CERT: {
      const count = readU16Vector(bytes, at, end, out.certSchemes, out);
      if (count > 0) out.certSchemeCount = count;
      return count;
    }
    case EXTENSION_SUPPORTED_VERSIONS: {
      if (end - at < 1 || bytes[at] !== end - at - 1) return FAULT_HELLO_MALFORMED;
      const count = readU16List(bytes, at + 1, end, out.versions, out);
      if (count < 0) return count;
      out.versionCount = count;
      out.versionsListed = true;
      return OK;
    }
    case EXTENSION_ALPN:
      return readAlpn(bytes, at, end, out);
    case EXTENSION_KEY_SHARE:
      return readKeyShares(bytes, at, end, out);
    case EXTENSION_SESSION_TICKET:
      out.hasSessionTicket = true;
      out.ticketBytes = end - at;
      return OK;
    case EXTENSION_EARLY_DATA:
      out.hasEarlyData = true;
      return at === end ? OK : FAULT_HELLO_MALFORMED;
    case EXTENSION_PRE_SHARED_KEY:
      return readPreSharedKey(bytes, at, end, out);
    default:
      return OK;
  }
}

/**
 * server_name, RFC 6066, section 3: one name, of type host_name. Other types have no syntax by which they could be passed over, and a second
 * name would let two readers of one hello see two different servers.
 */
function readServerName(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  if (end - start < 5 || readU16(bytes, start) !== end - start - 2) return FAULT_HELLO_MALFORMED;
  const nameBytes = readU16(bytes, start + 3);
  if (bytes[start + 2] !== NAME_TYPE_HOST || nameBytes !== end - start - 5) return FAULT_HELLO_MALFORMED;
  if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) return FAULT_HELLO_MALFORMED;
  const { name } = out;
  let length = 0;
  let previous = DOT;
  for (let at = start + 5; at < end; at++) {
    const byte = NAME[bytes[at]!]!;
    // Neither a byte that no host name has, nor an empty label.
    if (byte === 0 || (byte === DOT && previous === DOT)) return FAULT_HELLO_MALFORMED;
    name[length++] = byte;
    previous = byte;
  }
  out.nameLength = previous === DOT ? length - 1 : length;
  return OK;
}

/** ec_point_formats, RFC 8422, section 5.1.2: one byte each, at least one. */
function readPointFormats(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  const count = end - start - 1;
  if (count < 1 || bytes[start] !== count) return FAULT_HELLO_MALFORMED;
  for (let i = 0; i < count; i++) out.pointFormats[i] = bytes[start + 1 + i]!;
  out.pointFormatCount = count;
  return OK;
}

/** application_layer_protocol_negotiation, RFC 7301, section 3.1: at least one name, none of them empty. */
function readAlpn(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  if (end - start < 4 || readU16(bytes, start) !== end - start - 2) return FAULT_HELLO_MALFORMED;
  const { alpn, alpnStarts, alpnEnds } = out;
  let length = 0;
  let count = 0;
  let at = start + 2;
  while (at < end) {
    const nameEnd = at + 1 + bytes[at]!;
    if (nameEnd === at + 1 || nameEnd > end) return FAULT_HELLO_MALFORMED;
    if (count === alpnStarts.length) {
      out.truncated = true;
      at = nameEnd;
      continue;
    }
    alpnStarts[count] = length;
    for (at++; at < nameEnd; at++) alpn[length++] = bytes[at]!;
    alpnEnds[count++] = length;
  }
  out.alpnCount = count;
  return OK;
}

/** key_share, RFC 8446, section 4.2.8: the groups; the keys are the engine's affair. The list may be empty, a key may not. */
function readKeyShares(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  if (end - start < 2 || readU16(bytes, start) !== end - start - 2) return FAULT_HELLO_MALFORMED;
  const { keyShares } = out;
  let count = 0;
  let at = start + 2;
  while (at < end) {
    if (end - at < 4) return FAULT_HELLO_MALFORMED;
    const keyBytes = readU16(bytes, at + 2);
    if (keyBytes === 0 || end - at - 4 < keyBytes) return FAULT_HELLO_MALFORMED;
    if (count < keyShares.length) keyShares[count++] = readU16(bytes, at);
    else out.truncated = true;
    at += 4 + keyBytes;
  }
  out.keyShareCount = count;
  return OK;
}

/** pre_shared_key, RFC 8446, section 4.2.11: identities (7 bytes at least) and binders (33 at least), which fill it. */
function readPreSharedKey(bytes: Uint8Array, start: number, end: number, out: ClientHello): number {
  out.hasPskOffer = true;
  if (end - start < 2) return FAULT_HELLO_MALFORMED;
  const identityBytes = readU16(bytes, start);
  const binders = start + 2 + identityBytes;
  if (identityBytes < 7 || end - binders < 2) return FAULT_HELLO_MALFORMED;
  const binderBytes = readU16(bytes, binders);
  return binderBytes >= 33 && binderBytes === end - binders - 2 ? OK : FAULT_HELLO_MALFORMED;
}

/** A list of 16-bit values behind its 16-bit length, which fills `[start, end)`. Returns how many were kept, or the fault. */
function readU16Vector(bytes: Uint8Array, start: number, end: number, list: Uint16Array, out: ClientHello): number {
  if (end - start < 2 || readU16(bytes, start) !== end - start - 2) return FAULT_HELLO_MALFORMED;
  return readU16List(bytes, start + 2, end, list, out);
}

/** Keeps the first `list.length` of the values in `[start, end)`. Returns how many, or the fault for none, or for half a value. */
function readU16List(bytes: Uint8Array, start: number, end: number, list: Uint16Array, out: ClientHello): number {
  const count = (end - start) >>> 1;
  if (count === 0 || ((end - start) & 1) !== 0) return FAULT_HELLO_MALFORMED;
  let kept = count;
  if (count > list.length) {
    kept = list.length;
    out.truncated = true;
  }
  for (let i = 0, at = start; i < kept; i++, at += 2) list[i] = (bytes[at]! << 8) | bytes[at + 1]!;
  return kept;
}

function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
