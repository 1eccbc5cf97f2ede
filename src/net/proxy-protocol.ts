/**
 * The PROXY protocol, versions 1 and 2: who a proxy in front of us speaks for, and whom we speak for to a server. HAProxy's
 * doc/proxy-protocol.txt is the specification; its sections are named below. Bytes in, values out, and back: no sockets, no trust.
 */

import { crc32c } from '../base/crc32c.ts';
import {
  FAULT_PROXY_HEADER_CHECKSUM,
  FAULT_PROXY_HEADER_MALFORMED,
  FAULT_PROXY_HEADER_MISSING,
  FAULT_PROXY_HEADER_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { ipv4Text, ipv6Text, readAddress, writeAddress } from '../base/ip-address.ts';
import { PROXY_HEADER_BYTES_MAX } from '../base/limits.ts';

/** Longest line of version 1, its end included. Section 2.1. Bytes. */
const LINE_BYTES_MAX = 107;
/** `PROXY UNKNOWN` and its end: no line is shorter. */
const LINE_BYTES_MIN = 15;
const LINE_START = Buffer.from('PROXY ');
const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Signature, version and command, family and protocol, length. */
const FIXED_BYTES = 16;
const TLV_HEAD_BYTES = 3;

const COMMAND_LOCAL = 0;
const FAMILY_INET = 1;
const FAMILY_INET6 = 2;
const FAMILY_UNIX = 3;
const PROTOCOL_STREAM = 1;
const PROTOCOL_DATAGRAM = 2;
/** Bytes of both addresses with their ports, by family. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;

const TYPE_ALPN = 0x01;
const TYPE_AUTHORITY = 0x02;
const TYPE_CRC32C = 0x03;
const TYPE_UNIQUE_ID = 0x05;
const TYPE_SSL = 0x20;
const TYPE_SSL_VERSION = 0x21;
const TYPE_SSL_CN = 0x22;
const TYPE_SSL_CIPHER = 0x23;
const CLIENT_SSL = 1;
const CLIENT_CERT_CONN = 2;
const CLIENT_CERT_SESS = 4;
/** Text of one value that we send: longer ones are cut. Bytes. */
const VALUE_BYTES_MAX = 255;
/** The largest header that we write, everything in it. Bytes. */
export const PROXY_HEADER_SENT_BYTES_MAX = 1_536;

/** What a header says. Made once, filled by every `readProxyHeader`. */
export class ProxyHeader {
  /** After NEED_MORE: the fewest bytes, counted from `start`, that are worth another look. */
  neededBytes = 0;
  version: 1 | 2 = 1;
  /** False: the proxy speaks for itself (a health check), or cannot say for whom. The connection's own addresses hold. */
  isRelayed = false;
  /** As everywhere: `192.0.2.1`, `2001:db8::1`, or `unix`. Empty unless relayed, like all below. */
  clientAddress = '';
  clientPort = 0;
  /** Where the client had connected to. */
  serverAddress = '';
  serverPort = 0;

  clear(): void {
    this.neededBytes = 0;
    this.isRelayed = false;
    this.clientAddress = '';
    this.clientPort = 0;
    this.serverAddress = '';
    this.serverPort = 0;
  }
}

/**
 * Reads the header at the front of `buf[start, end)` into `out`.
 *
 * Returns its bytes; NEED_MORE, with `out.neededBytes`; or a fault: MISSING as soon as the first bytes are no header's, MALFORMED, TOO_LARGE
 * above PROXY_HEADER_BYTES_MAX, CHECKSUM. What it returns depends on the bytes alone, never on how many calls brought them. Never keeps `buf`.
 */
export function readProxyHeader(buf: Uint8Array, start: number, end: number, out: ProxyHeader): number {
  out.clear();
  if (end <= start) return needMore(out, LINE_BYTES_MIN);
  if (buf[start] === LINE_START[0]) return readLine(buf, start, end, out);
  return buf[start] === SIGNATURE[0] ? readBinary(buf, start, end, out) : FAULT_PROXY_HEADER_MISSING;
}

function needMore(out: ProxyHeader, bytes: number): number {
  out.neededBytes = bytes;
  return NEED_MORE;
}

function beginsWith(buf: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  const length = Math.min(end - start, wanted.length);
  for (let i = 0; i < length; i++) if (buf[start + i] !== wanted[i]) return false;
  return true;
}

// --- version 1: a line of text, section 2.1 ---------------------------------------------------------------------------

function readLine(buf: Uint8Array, start: number, end: number, out: ProxyHeader): number {
  if (!beginsWith(buf, start, end, LINE_START)) return FAULT_PROXY_HEADER_MISSING;
  const limit = Math.min(end, start + LINE_BYTES_MAX);
  let at = start;
  while (at < limit && buf[at] !== 0x0d && buf[at] !== 0x0a) at++;
  const have = end - start;
  if (at === limit) return have >= LINE_BYTES_MAX ? FAULT_PROXY_HEADER_MALFORMED : needMore(out, Math.max(LINE_BYTES_MIN, have + 1));
  if (buf[at] === 0x0a || at - start > LINE_BYTES_MAX - 2) return FAULT_PROXY_HEADER_MALFORMED;
  if (at + 1 === end) return needMore(out, have + 1);
  if (buf[at + 1] !== 0x0a) return FAULT_PROXY_HEADER_MALFORMED;
  let line = '';
  for (let i = start; i < at; i++) line += String.fromCharCode(buf[i]!);
  return takeLine(line, out) ? at + 2 - start : FAULT_PROXY_HEADER_MALFORMED;
}

function takeLine(line: string, out: ProxyHeader): boolean {
  out.version = 1;
  // What stands behind it is nobody's business.
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return true;
  const parts = line.split(' ');
  const [, family, client = '', server = '', clientPort = '', serverPort = ''] = parts;
  if (parts.length !== 6 || (family !== 'TCP4' && family !== 'TCP6') || !isPort(clientPort) || !isPort(serverPort)) return false;
  const from = canonical(client, family);
  const to = canonical(server, family);
  if (from === '' || to === '') return false;
  out.isRelayed = true;
  out.clientAddress = from;
  out.serverAddress = to;
  out.clientPort = Number(clientPort);
  out.serverPort = Number(serverPort);
  return true;
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const words = new Uint32Array(4);
const scratch = new Uint8Array(16);

/** The address as we write it; empty when it is none of that family, or has a number with a leading zero: that might be octal. */
function canonical(text: string, family: 'TCP4' | 'TCP6'): string {
  if (text.includes(':') !== (family === 'TCP6') || readAddress(text, words) === 0) return '';
  if (family === 'TCP4') return /(?:^|\.)0\d/.test(text) ? '' : text;
  const bytes = writeAddress(text, scratch, 0);
  return bytes === 4 ? ipv4Text(scratch, 0) : ipv6Text(scratch, 0);
}

// --- version 2: binary, section 2.2 -----------------------------------------------------------------------------------

function readBinary(buf: Uint8Array, start: number, end: number, out: ProxyHeader): number {
  if (!beginsWith(buf, start, end, SIGNATURE)) return FAULT_PROXY_HEADER_MISSING;
  if (end - start < FIXED_BYTES) return needMore(out, FIXED_BYTES);
  const version = buf[start + 12]! >>> 4;
  const command = buf[start + 12]! & 15;
  const family = buf[start + 13]! >>> 4;
  const protocol = buf[start + 13]! & 15;
  if (version !== 2 || command > 1 || family > FAMILY_UNIX || protocol > PROTOCOL_DATAGRAM) return FAULT_PROXY_HEADER_MALFORMED;
  const total = FIXED_BYTES + ((buf[start + 14]! << 8) | buf[start + 15]!);
  if (total > PROXY_HEADER_BYTES_MAX) return FAULT_PROXY_HEADER_TOO_LARGE;
  if (end - start < total) return needMore(out, total);
  out.version = 2;
  // What a datagram's address would say of a stream is not known either.
  if (command === COMMAND_LOCAL || family === 0 || protocol !== PROTOCOL_STREAM) return total;
  const at = start + FIXED_BYTES;
  const tlvs = at + ADDRESS_BYTES[family]!;
  if (tlvs > start + total) return FAULT_PROXY_HEADER_MALFORMED;
  const fault = checkTlvs(buf, start, tlvs, start + total);
  if (fault < 0) return fault;
  out.isRelayed = true;
  switch (family) {
    case FAMILY_INET:
      out.clientAddress = ipv4Text(buf, at);
      out.serverAddress = ipv4Text(buf, at + 4);
      break;
    case FAMILY_INET6:
      out.clientAddress = ipv6Text(buf, at);
      out.serverAddress = ipv6Text(buf, at + 16);
      break;
    default:
      out.clientAddress = 'unix';
      out.serverAddress = 'unix';
      return total;
  }
  out.clientPort = (buf[tlvs - 4]! << 8) | buf[tlvs - 3]!;
  out.serverPort = (buf[tlvs - 2]! << 8) | buf[tlvs - 1]!;
  return total;
}

/** The values behind the addresses fill the header exactly; its sum, if it has one, is right. 0 or a fault. */
function checkTlvs(buf: Uint8Array, start: number, from: number, end: number): number {
  let sumAt = -1;
  for (let at = from; at < end; ) {
    if (end - at < TLV_HEAD_BYTES) return FAULT_PROXY_HEADER_MALFORMED;
    const bytes = (buf[at + 1]! << 8) | buf[at + 2]!;
    const value = at + TLV_HEAD_BYTES;
    if (bytes > end - value) return FAULT_PROXY_HEADER_MALFORMED;
    if (buf[at] === TYPE_CRC32C) {
      if (bytes !== 4 || sumAt >= 0) return FAULT_PROXY_HEADER_MALFORMED;
      sumAt = value;
    }
    at = value + bytes;
  }
  if (sumAt < 0) return 0;
  // Section 2.2.3: the sum is made with zeros in its own place.
  const sum = crc32c(buf, sumAt + 4, end, crc32c(ZEROS, 0, 4, crc32c(buf, start, sumAt)));
  const said = ((buf[sumAt]! << 24) | (buf[sumAt + 1]! << 16) | (buf[sumAt + 2]! << 8) | buf[sumAt + 3]!) >>> 0;
  return sum === said ? 0 : FAULT_PROXY_HEADER_CHECKSUM;
}

const ZEROS = new Uint8Array(4);

// --- what we send -----------------------------------------------------------------------------------------------------

/** What a server is told. */
export interface ProxyHeaderContent {
  /** Addresses as text; what is no IP address (`unix`) makes the family unknown. */
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
  /** Null: the client speaks no TLS to us. Version 2 only, as all that follows. */
  readonly tls: ProxyHeaderTls | null;
  /** Protocol agreed by ALPN; empty: none. */
  readonly protocol: string;
  /** The server name the client asked for. */
  readonly authority: string | null;
  /** What our log calls the connection, or the request; 128 bytes at most. */
  readonly uniqueId: Uint8Array | null;
}

export interface ProxyHeaderTls {
  readonly version: string;
  readonly cipher: string;
  /** Common name of the client's certificate, empty when it has none; null: it showed no certificate. */
  readonly clientName: string | null;
  /** The certificate was verified. */
  readonly isVerified: boolean;
}

/** A header of `version`, PROXY_HEADER_SENT_BYTES_MAX at most. */
export function writeProxyHeader(version: 1 | 2, content: ProxyHeaderContent): Buffer {
  return version === 1 ? Buffer.from(lineOf(content), 'latin1') : binaryOf(content);
}

function lineOf({ clientAddress, clientPort, serverAddress, serverPort }: ProxyHeaderContent): string {
  const [from, to] = [readAddress(clientAddress, words), readAddress(serverAddress, words)];
  if (from === 0 || to === 0) return 'PROXY UNKNOWN\r\n';
  // Of two families the older goes into the newer.
  const v6 = from === 6 || to === 6;
  const text = (address: string): string => {
    const own = writeAddress(address, scratch, 0) === 4 ? ipv4Text(scratch, 0) : ipv6Text(scratch, 0);
    return v6 && !own.includes(':') ? `::ffff:${own}` : own;
  };
  return `PROXY ${v6 ? 'TCP6' : 'TCP4'} ${text(clientAddress)} ${text(serverAddress)} ${clientPort} ${serverPort}\r\n`;
}

function binaryOf(content: ProxyHeaderContent): Buffer {
  const header = Buffer.alloc(PROXY_HEADER_SENT_BYTES_MAX);
  header.set(SIGNATURE, 0);
  header[12] = 0x21;
  let at = writeAddresses(header, content);
  const { tls, protocol, authority, uniqueId } = content;
  if (protocol !== '') at = writeTlv(header, at, TYPE_ALPN, Buffer.from(protocol, 'latin1'));
  if (authority !== null) at = writeTlv(header, at, TYPE_AUTHORITY, Buffer.from(authority, 'latin1'));
  if (uniqueId !== null) at = writeTlv(header, at, TYPE_UNIQUE_ID, uniqueId);
  if (tls !== null) at = writeTls(header, at, tls);
  header.writeUInt16BE(at - FIXED_BYTES, 14);
  return header.subarray(0, at);
}

function writeAddresses(header: Buffer, { clientAddress, clientPort, serverAddress, serverPort }: ProxyHeaderContent): number {
  const [from, to] = [readAddress(clientAddress, words), readAddress(serverAddress, words)];
  // Family and protocol stay unspecified.
  if (from === 0 || to === 0) return FIXED_BYTES;
  const bytes = from === 6 || to === 6 ? 16 : 4;
  header[13] = (bytes === 4 ? FAMILY_INET << 4 : FAMILY_INET6 << 4) | PROTOCOL_STREAM;
  writeAs(header, FIXED_BYTES, clientAddress, bytes);
  writeAs(header, FIXED_BYTES + bytes, serverAddress, bytes);
  const ports = FIXED_BYTES + 2 * bytes;
  header.writeUInt16BE(clientPort, ports);
  header.writeUInt16BE(serverPort, ports + 2);
  return ports + 4;
}

/** An IPv4 address in 16 bytes is mapped (RFC 4291, section 2.5.5.2). */
function writeAs(header: Buffer, at: number, address: string, bytes: number): void {
  const written = writeAddress(address, header, at);
  if (written === bytes) return;
  header.copyWithin(at + 12, at, at + 4);
  header.fill(0, at, at + 10);
  header.fill(0xff, at + 10, at + 12);
}

/** Section 2.2.6. */
function writeTls(header: Buffer, start: number, { version, cipher, clientName, isVerified }: ProxyHeaderTls): number {
  let at = start + TLV_HEAD_BYTES;
  header[at] = CLIENT_SSL | (clientName === null ? 0 : CLIENT_CERT_CONN | CLIENT_CERT_SESS);
  header.writeUInt32BE(clientName !== null && isVerified ? 0 : 1, at + 1);
  at = writeTlv(header, at + 5, TYPE_SSL_VERSION, Buffer.from(version, 'latin1'));
  at = writeTlv(header, at, TYPE_SSL_CIPHER, Buffer.from(cipher, 'latin1'));
  if (clientName !== null && clientName !== '') at = writeTlv(header, at, TYPE_SSL_CN, Buffer.from(clientName, 'utf8'));
  header[start] = TYPE_SSL;
  header.writeUInt16BE(at - start - TLV_HEAD_BYTES, start + 1);
  return at;
}

function writeTlv(header: Buffer, at: number, type: number, value: Uint8Array): number {
  const bytes = Math.min(value.length, VALUE_BYTES_MAX);
  header[at] = type;
  header.writeUInt16BE(bytes, at + 1);
  header.set(value.subarray(0, bytes), at + TLV_HEAD_BYTES);
  return at + TLV_HEAD_BYTES + bytes;
}
