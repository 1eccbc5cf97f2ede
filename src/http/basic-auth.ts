/**
 * Basic authentication, RFC 7617: the credentials out of an Authorization value, and the challenge. Bytes in, bytes out; knows no users,
 * and never makes text of a password.
 */
import { PASSWORD_BYTES_MAX, USER_BYTES_MAX } from '../base/password-hash.ts';
import { SP, TOKEN } from './characters.ts';
import { asciiBytes } from './write-bytes.ts';

/** The credentials are in the given object. */
export const BASIC_READ = 1;
/** Another scheme (Bearer, ...), or none. */
export const BASIC_OTHER = 0;
/** Scheme Basic, and what follows is none of its credentials. */
export const BASIC_MALFORMED = -1;

/** User and password as bytes, in memory that is used again for each request. */
export class BasicCredentials {
  readonly bytes = Buffer.alloc(USER_BYTES_MAX + 1 + PASSWORD_BYTES_MAX);
  /** The name lies in [0, userEnd); never empty. */
  userEnd = 0;
  /** The password lies in [passwordStart, passwordEnd); it may be empty. */
  passwordStart = 0;
  passwordEnd = 0;

  /** Overwrites them: for when they have been asked about. */
  clear(): void {
    this.bytes.fill(0, 0, this.passwordEnd);
    this.userEnd = 0;
    this.passwordStart = 0;
    this.passwordEnd = 0;
  }
}

const COLON = 0x3a;
const EQUALS = 0x3d;
const SCHEME = asciiBytes('basic');
const NONE = 255;

/** Value of a base64 character (RFC 4648, section 4, no URL variant), NONE for every other byte. */
const SEXTET = new Uint8Array(256).fill(NONE);
for (const [value, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  SEXTET[character.charCodeAt(0)] = value;

/**
 * Reads the value of one Authorization field, `buf[start, end)`, into `credentials`. BASIC_READ, BASIC_OTHER or BASIC_MALFORMED; only after
 * the first do the credentials mean anything.
 *
 * Strict, so that nobody behind us reads it otherwise: canonical base64 with its padding (RFC 4648, sections 3.2 and 3.5), well-formed
 * UTF-8 without control characters, a name that is not empty, both parts within their bounds. The first colon ends the name (section 2).
 */
export function readBasicCredentials(buf: Uint8Array, start: number, end: number, credentials: BasicCredentials): number {
  let at = start;
  for (let i = 0; i < SCHEME.length; i++, at++) if (at >= end || TOKEN[buf[at]!] !== SCHEME[i]) return BASIC_OTHER;
  if (at < end && TOKEN[buf[at]!] !== 0) return BASIC_OTHER;
  if (at >= end || buf[at] !== SP) return BASIC_MALFORMED;
  while (at < end && buf[at] === SP) at++;
  const { bytes } = credentials;
  const length = decode(buf, at, end, bytes);
  if (length < 0 || !isText(bytes, length)) return refuse(credentials, bytes.length);
  const colon = bytes.indexOf(COLON);
  if (colon < 1 || colon >= length || colon > USER_BYTES_MAX || length - colon - 1 > PASSWORD_BYTES_MAX) return refuse(credentials, length);
  credentials.userEnd = colon;
  credentials.passwordStart = colon + 1;
  credentials.passwordEnd = length;
  return BASIC_READ;
}

function refuse(credentials: BasicCredentials, length: number): number {
  credentials.passwordEnd = Math.max(length, 0);
  credentials.clear();
  return BASIC_MALFORMED;
}

/** Decodes base64 `buf[start, end)` into `to`; the number of bytes, or -1. */
function decode(buf: Uint8Array, start: number, end: number, to: Uint8Array): number {
  const characters = end - start;
  if (characters === 0 || characters % 4 !== 0) return -1;
  let padding = 0;
  if (buf[end - 1] === EQUALS) padding = buf[end - 2] === EQUALS ? 2 : 1;
  if ((characters / 4) * 3 - padding > to.length) return -1;
  const stop = end - padding;
  let length = 0;
  let bits = 0;
  let held = 0;
  for (let at = start; at < stop; at++) {
    const value = SEXTET[buf[at]!]!;
    if (value === NONE) return -1;
    bits = (bits << 6) | value;
    held += 6;
    if (held >= 8) {
      held -= 8;
      to[length++] = (bits >>> held) & 0xff;
      bits &= (1 << held) - 1;
    }
  }
  // Bits behind the last byte: zero in canonical base64, or two texts would say the same.
  return bits === 0 ? length : -1;
}

/** Well-formed UTF-8 (RFC 3629, section 4) without control characters, neither C0 and DEL nor C1. */
function isText(bytes: Uint8Array, length: number): boolean {
  let at = 0;
  while (at < length) {
    const lead = bytes[at]!;
    if (lead < 0x80) {
      if (lead < 0x20 || lead === 0x7f) return false;
      at++;
      continue;
    }
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || at + more >= length) return false;
    const second = bytes[at + 1]!;
    // Overlong forms, surrogates and what lies beyond U+10FFFF all show in the second byte. U+0080 to U+009F are controls.
    const least = lead === 0xe0 || lead === 0xc2 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let i = 2; i <= more; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return false;
    at += more + 1;
  }
  return true;
}

/** Whether `realm` can stand in a challenge: visible ASCII and spaces, 128 characters at most. */
export function isRealm(realm: string): boolean {
  return /^[ -~]{1,128}$/.test(realm);
}

/**
 * The line `WWW-Authenticate: Basic realm="...", charset="UTF-8"` with its end, RFC 7617, sections 2 and 2.1. Allocates: one per route, made
 * when a plan is adopted. `realm` is one by `isRealm`.
 */
export function basicChallenge(realm: string): Uint8Array {
  const quoted = realm.replaceAll(/["\\]/g, '\\$&');
  return asciiBytes(`WWW-Authenticate: Basic realm="${quoted}", charset="UTF-8"\r\n`);
}
