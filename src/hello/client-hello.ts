/**
 * The ClientHello: what it offers, and how its records are put together. Owns the record layer of the first flight, the decision that
 * bytes are no TLS at all, and the tables a hello is read into. hello-message.ts reads the message itself.
 * Knows no sockets, no TLS library, no policy: what to do about an offer is decided elsewhere.
 */
import {
  FAULT_HELLO_MALFORMED,
  FAULT_HELLO_NOT_TLS,
  FAULT_HELLO_PLAIN_HTTP,
  FAULT_HELLO_SSLV2,
  FAULT_HELLO_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { HELLO_BYTES_MAX, METHOD_BYTES_MAX } from '../base/limits.ts';
import { readHelloMessage } from './hello-message.ts';
import { groupName, isGrease, schemeName, suiteName, versionName } from './names.ts';

const RECORD_HEAD_BYTES = 5;
/** RFC 8446, section 5.1. */
const RECORD_BYTES_MAX = 16_384;
const CONTENT_HANDSHAKE = 22;
const VERSION_MAJOR = 3;
const TYPE_CLIENT_HELLO = 1;
const MESSAGE_HEAD_BYTES = 4;
/** Head, version, random, empty session id, one suite, one compression method. RFC 5246, section 7.4.1.2. */
const MESSAGE_BYTES_MIN = MESSAGE_HEAD_BYTES + 2 + 32 + 1 + 4 + 2;
/** Records one hello may come in. Clients that dodge filters split it in two to a dozen; one byte a record is nobody's need. */
export const HELLO_RECORDS_MAX = 64;
/** The most bytes a hello can take on the wire, record heads included: what a peek must be able to hold. Bytes. */
export const HELLO_WIRE_BYTES_MAX = HELLO_BYTES_MAX + HELLO_RECORDS_MAX * RECORD_HEAD_BYTES;

const LETTER_A = 0x41;
const LETTER_Z = 0x5a;
const HYPHEN = 0x2d;
const SPACE = 0x20;
/** First word of the PROXY protocol's text form: upper-case letters and a space, and yet no request. */
const PROXY = Uint8Array.from([0x50, 0x52, 0x4f, 0x58, 0x59]);

/**
 * One ClientHello, read by `readClientHello`. Made once for each worker and used again for every connection: what it says holds until the
 * next call, and of a list it holds the first `count` places only. Nothing refers to the bytes it was read from.
 */
export class ClientHello {
  /**
   * After NEED_MORE: the fewest bytes, counted from `start`, that are worth another look; with less, no hello is whole.
   * At most HELLO_WIRE_BYTES_MAX.
   */
  neededBytes = 0;
  /** The message itself, its 4-byte head included. */
  messageBytes = 0;
  /** Records it came in, 1..=HELLO_RECORDS_MAX. */
  recordCount = 0;
  /** The version field of the message; TLS 1.3 says 0x0303 here. */
  legacyVersion = 0;
  /** 0..=32. */
  sessionIdBytes = 0;
  suiteCount = 0;
  compressionCount = 0;
  extensionCount = 0;
  /** True: `versions` is what supported_versions lists. False: it is one value, the highest the client speaks. */
  versionsListed = false;
  versionCount = 0;
  groupCount = 0;
  /** Groups of key_share. -1: no such extension; 0: an empty one, which asks for a HelloRetryRequest. RFC 8446, section 4.2.8. */
  keyShareCount = -1;
  schemeCount = 0;
  /** Of signature_algorithms_cert. 0: the schemes above hold for certificates as well. */
  certSchemeCount = 0;
  /** Of ec_point_formats. */
  pointFormatCount = 0;
  /** Bytes of `name`; 0: the client named no server. */
  nameLength = 0;
  alpnCount = 0;
  /** The session_ticket extension, RFC 5077. With `ticketBytes` 0 the client has none, and would take one. */
  hasSessionTicket = false;
  ticketBytes = 0;
  /** pre_shared_key: the client hopes to resume in TLS 1.3. */
  hasPskOffer = false;
  hasEarlyData = false;
  /** A list was longer than its table: its first entries are here, the rest was checked and left out. */
  truncated = false;

  readonly suites = new Uint16Array(512);
  readonly compressions = new Uint8Array(255);
  /** Types in the order sent. More of them than fit are a fault. */
  readonly extensions = new Uint16Array(128);
  /** As many as supported_versions can hold. */
  readonly versions = new Uint16Array(127);
  readonly groups = new Uint16Array(64);
  readonly keyShares = new Uint16Array(64);
  readonly schemes = new Uint16Array(64);
  readonly certSchemes = new Uint16Array(64);
  readonly pointFormats = new Uint8Array(255);
  /** server_name in lower case, without a final dot: letters, digits, "-", "_", and single dots between them. */
  readonly name: Buffer = Buffer.alloc(255);
  /** Protocol n is `alpn[alpnStarts[n], alpnEnds[n])`, 1..=255 bytes of any value. */
  readonly alpn: Buffer = Buffer.alloc(32 * 255);
  readonly alpnStarts = new Uint16Array(32);
  readonly alpnEnds = new Uint16Array(32);
  /** A bit for each extension type seen, so that finding a second one costs a load. */
  readonly extensionBits = new Uint8Array(8_192);
  /** Where a message that comes in several records is joined. */
  readonly joined: Buffer = Buffer.alloc(HELLO_BYTES_MAX);

  /** Forgets the last hello, so that after a fault nothing of another connection is left. */
  clear(): void {
    for (let i = 0; i < this.extensionCount; i++) this.extensionBits[this.extensions[i]! >>> 3] = 0;
    this.neededBytes = 0;
    this.messageBytes = 0;
    this.recordCount = 0;
    this.legacyVersion = 0;
    this.sessionIdBytes = 0;
    this.suiteCount = 0;
    this.compressionCount = 0;
    this.extensionCount = 0;
    this.versionsListed = false;
    this.versionCount = 0;
    this.groupCount = 0;
    this.keyShareCount = -1;
    this.schemeCount = 0;
    this.certSchemeCount = 0;
    this.pointFormatCount = 0;
    this.nameLength = 0;
    this.alpnCount = 0;
    this.hasSessionTicket = false;
    this.ticketBytes = 0;
    this.hasPskOffer = false;
    this.hasEarlyData = false;
    this.truncated = false;
  }

  /** Without supported_versions a client takes every version up to its highest. RFC 8446, section 4.2.1 and appendix D. */
  offersVersion(version: number): boolean {
    if (this.versionsListed) return includes(this.versions, this.versionCount, version);
    return this.versionCount > 0 && version <= this.versions[0]! && version >= 0x0300;
  }

  /** The highest version offered, 0x0300 or above; 0 when there is none. GREASE, drafts and other protocols do not count. */
  maxVersion(): number {
    let max = 0;
    for (let i = 0; i < this.versionCount; i++) {
      const version = this.versions[i]!;
      if (version > max && version >>> 8 === VERSION_MAJOR) max = version;
    }
    return max;
  }

  /** The highest version offered of `min..=max`; 0: none of them is. */
  highestVersionOf(min: number, max: number): number {
    for (let version = max; version >= min; version--) if (this.offersVersion(version)) return version;
    return 0;
  }

  offersSuite(suite: number): boolean {
    return includes(this.suites, this.suiteCount, suite);
  }

  offersGroup(group: number): boolean {
    return includes(this.groups, this.groupCount, group);
  }

  offersScheme(scheme: number): boolean {
    return includes(this.schemes, this.schemeCount, scheme);
  }

  /** Whether it may resume a session: then nothing has to be signed for it. */
  mayResume(): boolean {
    return this.hasPskOffer || this.ticketBytes > 0;
  }

  /** Bytes are compared as they are: protocol names have case. RFC 7301, section 3.2. */
  offersAlpn(protocol: Uint8Array): boolean {
    for (let i = 0; i < this.alpnCount; i++) {
      const start = this.alpnStarts[i]!;
      const length = this.alpnEnds[i]! - start;
      if (length !== protocol.length) continue;
      let at = 0;
      while (at < length && this.alpn[start + at] === protocol[at]) at++;
      if (at === length) return true;
    }
    return false;
  }

  /** As the client named it, in lower case and without a final dot; null when it named none. Safe in JSON and in a log line. */
  serverName(): string | null {
    return this.nameLength === 0 ? null : this.name.latin1Slice(0, this.nameLength);
  }

  /** In the client's order, one character a byte. Values are the client's own: escape them. */
  alpnNames(): string[] {
    return Array.from({ length: this.alpnCount }, (_, i) => this.alpn.latin1Slice(this.alpnStarts[i]!, this.alpnEnds[i]!));
  }

  /** What the client offered, by its standard names (hexadecimal where there is none), without GREASE: for the event of a failure. */
  describe(): object {
    return {
      versions: namesOf(this.versions, this.versionCount, versionName),
      suites: namesOf(this.suites, this.suiteCount, suiteName),
      groups: namesOf(this.groups, this.groupCount, groupName),
      ...(this.keyShareCount < 0 ? {} : { keyShares: namesOf(this.keyShares, this.keyShareCount, groupName) }),
      signatureSchemes: namesOf(this.schemes, this.schemeCount, schemeName),
      ...(this.certSchemeCount === 0 ? {} : { certificateSchemes: namesOf(this.certSchemes, this.certSchemeCount, schemeName) }),
      ...(this.truncated ? { truncated: true } : {}),
    };
  }
}

/**
 * Reads the ClientHello at the front of `buf[start, end)`, in one record or several, into `out`.
 *
 * Returns the bytes up to the end of the last record used (what follows, early data say, is left alone); NEED_MORE, with
 * `out.neededBytes`; or a fault: PLAIN_HTTP, SSLV2 or NOT_TLS as soon as the first bytes are certain, TOO_LARGE for a message over
 * HELLO_BYTES_MAX or more than HELLO_RECORDS_MAX records, MALFORMED for all else. Never keeps `buf`.
 *
 * The result depends on the bytes alone, never on how many calls brought them. Work is linear in `end - start`, and a partial hello costs
 * a few loads for each record: nothing is joined and nothing of the message is read before all of it is there.
 * RFC 8446, sections 4.1.2 and 5.1; RFC 5246, section 7.4.1.2.
 */
export function readClientHello(buf: Uint8Array, start: number, end: number, out: ClientHello): number {
  out.clear();
  if (end <= start) return needMore(out, 1);
  if (buf[start] !== CONTENT_HANDSHAKE) return readOther(buf, start, end, out);
  if (end - start < RECORD_HEAD_BYTES) return needMore(out, RECORD_HEAD_BYTES);
  if (buf[start + 1] !== VERSION_MAJOR) return FAULT_HELLO_NOT_TLS;

  let at = start;
  let records = 0;
  let covered = 0;
  let head = 0;
  let headBytes = 0;
  // Until the head of the message is known: a lower bound.
  let messageBytes = MESSAGE_BYTES_MIN;
  for (;;) {
    if (end - at < RECORD_HEAD_BYTES) return needMore(out, at - start + RECORD_HEAD_BYTES + messageBytes - covered);
    if (buf[at] !== CONTENT_HANDSHAKE || buf[at + 1] !== VERSION_MAJOR) return FAULT_HELLO_MALFORMED;
    const recordBytes = (buf[at + 3]! << 8) | buf[at + 4]!;
    if (recordBytes === 0 || recordBytes > RECORD_BYTES_MAX) return FAULT_HELLO_MALFORMED;
    at += RECORD_HEAD_BYTES;
    records++;
    if (headBytes < MESSAGE_HEAD_BYTES) {
      const recordEnd = at + recordBytes;
      const limit = Math.min(end, recordEnd);
      for (let i = at; i < limit && headBytes < MESSAGE_HEAD_BYTES; i++, headBytes++) head = (head << 8) | buf[i]!;
      if (headBytes === MESSAGE_HEAD_BYTES) {
        if (head >>> 24 !== TYPE_CLIENT_HELLO) return FAULT_HELLO_MALFORMED;
        messageBytes = MESSAGE_HEAD_BYTES + (head & 0xffffff);
        if (messageBytes > HELLO_BYTES_MAX) return FAULT_HELLO_TOO_LARGE;
        if (messageBytes < MESSAGE_BYTES_MIN) return FAULT_HELLO_MALFORMED;
      }
    }
    covered += recordBytes;
    // A client has nothing to say behind its hello that could share a record with it.
    if (headBytes === MESSAGE_HEAD_BYTES && covered > messageBytes) return FAULT_HELLO_MALFORMED;
    if (records === HELLO_RECORDS_MAX && covered < messageBytes) return FAULT_HELLO_TOO_LARGE;
    at += recordBytes;
    if (end < at) return needMore(out, at - start + (covered < messageBytes ? RECORD_HEAD_BYTES + messageBytes - covered : 0));
    if (headBytes === MESSAGE_HEAD_BYTES && covered === messageBytes) break;
  }

  out.recordCount = records;
  out.messageBytes = messageBytes;
  const fault =
    records === 1
      ? readHelloMessage(buf, start + RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES, at, out)
      : readHelloMessage(out.joined, MESSAGE_HEAD_BYTES, joinRecords(buf, start, at, out.joined), out);
  return fault < 0 ? fault : at - start;
}

/** Copies the payloads of the whole, checked records in `buf[start, end)` behind each other; returns their bytes, at most HELLO_BYTES_MAX. */
function joinRecords(buf: Uint8Array, start: number, end: number, joined: Uint8Array): number {
  let length = 0;
  for (let at = start; at < end; ) {
    const recordBytes = (buf[at + 3]! << 8) | buf[at + 4]!;
    at += RECORD_HEAD_BYTES;
    for (const recordEnd = at + recordBytes; at < recordEnd; at++) joined[length++] = buf[at]!;
  }
  return length;
}

/** Says what bytes are that begin with no handshake record: a request in plain text, an SSLv2 hello, or neither. */
function readOther(buf: Uint8Array, start: number, end: number, out: ClientHello): number {
  const first = buf[start]!;
  if (first >= LETTER_A && first <= LETTER_Z) return readMethod(buf, start, end, out);
  if (first >= 0x80) return readSslv2(buf, start, end, out);
  return FAULT_HELLO_NOT_TLS;
}

/** RFC 9112, section 3: a request begins with its method and one space; "PRI " of HTTP/2 is no different. Lower-case methods do not exist. */
function readMethod(buf: Uint8Array, start: number, end: number, out: ClientHello): number {
  const bound = start + METHOD_BYTES_MAX + 1;
  const limit = Math.min(end, bound);
  for (let at = start + 1; at < limit; at++) {
    const byte = buf[at]!;
    if (byte === SPACE) return isProxy(buf, start, at) ? FAULT_HELLO_NOT_TLS : FAULT_HELLO_PLAIN_HTTP;
    if ((byte < LETTER_A || byte > LETTER_Z) && byte !== HYPHEN) return FAULT_HELLO_NOT_TLS;
  }
  return end < bound ? needMore(out, end - start + 1) : FAULT_HELLO_NOT_TLS;
}

/** A PROXY header where none is expected is a matter of configuration: "plain HTTP" would send its reader the wrong way. */
function isProxy(buf: Uint8Array, start: number, end: number): boolean {
  if (end - start !== PROXY.length) return false;
  for (let i = 0; i < PROXY.length; i++) if (buf[start + i] !== PROXY[i]) return false;
  return true;
}

/** Two bytes of length with the top bit set, client-hello (1), version 2 or 3.x. RFC 5246, appendix E.2. */
function readSslv2(buf: Uint8Array, start: number, end: number, out: ClientHello): number {
  const length = end - start;
  if (length > 2 && buf[start + 2] !== TYPE_CLIENT_HELLO) return FAULT_HELLO_NOT_TLS;
  if (length > 3 && buf[start + 3] !== 0 && buf[start + 3] !== VERSION_MAJOR) return FAULT_HELLO_NOT_TLS;
  if (length < 5) return needMore(out, 5);
  return buf[start + 3] === VERSION_MAJOR || buf[start + 4] === 2 ? FAULT_HELLO_SSLV2 : FAULT_HELLO_NOT_TLS;
}

function needMore(out: ClientHello, neededBytes: number): number {
  out.neededBytes = neededBytes;
  return NEED_MORE;
}

function includes(list: Uint16Array, count: number, value: number): boolean {
  for (let i = 0; i < count; i++) if (list[i] === value) return true;
  return false;
}

function namesOf(list: Uint16Array, count: number, nameOf: (value: number) => string): string[] {
  const names: string[] = [];
  for (let i = 0; i < count; i++) if (!isGrease(list[i]!)) names.push(nameOf(list[i]!));
  return names;
}
