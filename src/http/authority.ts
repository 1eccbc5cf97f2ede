/**
 * Hosts and ports as they stand in a Host field or an absolute target. Owns their syntax, RFC 3986, section 3.2; knows nothing of
 * messages, and resolves nothing.
 */
import { FAULT_HOST } from '../base/faults.ts';
import { HOST_BYTES_MAX } from '../base/limits.ts';
import { HEX, HOST_DOT, HOST_NAME, TOKEN } from './characters.ts';

const COLON = 0x3a;
const DOT = 0x2e;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const PORT_MAX = 65_535;

/**
 * Checks `buf[start, end)` as `host` or `host:port` and returns the end of the host, or FAULT_HOST.
 *
 * A host is a name of letters, digits, "-", "_", "~" and single dots (which covers IPv4), or an IPv6 address in brackets, at most
 * HOST_BYTES_MAX bytes. Narrower than RFC 3986 on purpose: no user information, no percent-encoding, no sub-delims, no zone, no
 * IPvFuture, no empty host, no empty port. None of them is in honest use, each has been read differently by two programs in a row.
 */
export function hostEndAt(buf: Uint8Array, start: number, end: number): number {
  let p = start;
  if (p < end && buf[p] === BRACKET_OPEN) {
    while (p < end && buf[p] !== BRACKET_CLOSE) p++;
    if (p === end || !isIpv6(buf, start + 1, p)) return FAULT_HOST;
    p++;
  } else {
    // Begins as if behind a dot, so that a host neither begins with one nor has two in a row.
    let before = HOST_DOT;
    while (p < end) {
      const kind = HOST_NAME[buf[p]!]!;
      if (kind === 0) break;
      if (kind === HOST_DOT && before === HOST_DOT) return FAULT_HOST;
      before = kind;
      p++;
    }
    if (p === start) return FAULT_HOST;
  }
  if (p - start > HOST_BYTES_MAX) return FAULT_HOST;
  if (p < end && (buf[p] !== COLON || portAt(buf, p + 1, end) === 0)) return FAULT_HOST;
  return p;
}

/** The port in `buf[start, end)`, 1..=65535, or 0 when that is no port. */
export function portAt(buf: Uint8Array, start: number, end: number): number {
  if (end - start < 1 || end - start > 5) return 0;
  let port = 0;
  for (let p = start; p < end; p++) {
    const digit = buf[p]! - 0x30;
    if (digit < 0 || digit > 9) return 0;
    port = port * 10 + digit;
  }
  return port <= PORT_MAX ? port : 0;
}

/** Whether two runs of bytes are equal but for the case of letters. Bytes that are no tchar (colons, brackets) compare as they are. */
export function equalsFolded(buf: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let p = start, q = otherStart; p < end; p++, q++) {
    const one = buf[p]!;
    const other = buf[q]!;
    if (one !== other && (TOKEN[one] === 0 || TOKEN[one] !== TOKEN[other])) return false;
  }
  return true;
}

/** IPv6address of RFC 3986: eight groups, or fewer around one "::", the last two possibly as IPv4. */
function isIpv6(buf: Uint8Array, start: number, end: number): boolean {
  let groups = 0;
  let compressed = false;
  let p = start;
  if (p < end && buf[p] === COLON) {
    if (p + 1 >= end || buf[p + 1] !== COLON) return false;
    compressed = true;
    p += 2;
  }
  while (p < end) {
    const groupStart = p;
    while (p < end && p - groupStart < 4 && HEX[buf[p]!] !== 255) p++;
    if (p === groupStart) return false;
    if (p < end && buf[p] === DOT) {
      if (!isIpv4(buf, groupStart, end)) return false;
      groups += 2;
      p = end;
      break;
    }
    groups++;
    if (p === end) break;
    if (buf[p] !== COLON) return false;
    p++;
    if (p === end) return false;
    if (buf[p] === COLON) {
      if (compressed) return false;
      compressed = true;
      p++;
    }
  }
  return compressed ? groups <= 7 : groups === 8;
}

function isIpv4(buf: Uint8Array, start: number, end: number): boolean {
  let parts = 0;
  let p = start;
  for (;;) {
    const partStart = p;
    let value = 0;
    while (p < end && buf[p]! >= 0x30 && buf[p]! <= 0x39 && p - partStart < 3) {
      value = value * 10 + buf[p]! - 0x30;
      p++;
    }
    // A leading zero reads as octal in some resolvers.
    if (p === partStart || value > 255 || (buf[partStart] === 0x30 && p - partStart > 1)) return false;
    parts++;
    if (p === end) return parts === 4;
    if (buf[p] !== DOT) return false;
    p++;
  }
}
