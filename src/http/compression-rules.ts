/**
 * Whether a response body is compressed, and how: RFC 9110, sections 8.4 and 12.5.3. Owns the decision and the lists it rests on; compresses
 * nothing, and writes no head. Pure: heads and bytes in, numbers out.
 *
 * Two halves, since a request's head is gone when its response comes: `chooseCoding` and `carriesSecret` read the request,
 * `compressionVerdict` the response.
 */
import { TOKEN } from './characters.ts';
import {
  FIELD_AUTHORIZATION,
  FIELD_CACHE_CONTROL,
  FIELD_CONTENT_ENCODING,
  FIELD_CONTENT_RANGE,
  FIELD_CONTENT_TYPE,
  FIELD_COOKIE,
  FIELD_SET_COOKIE,
  FIELD_VARY,
} from './field-names.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_ID,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_TUNNEL,
  METHOD_HEAD,
  type MessageHead,
} from './message-head.ts';
import { asciiBytes } from './write-bytes.ts';

// Content codings, IANA's registry.
export const CODING_IDENTITY = 0;
/** RFC 1952. */
export const CODING_GZIP = 1;
/** "br", RFC 7932. */
export const CODING_BROTLI = 2;
/** RFC 8878; RFC 9659 bounds the window at 8 MiB. */
export const CODING_ZSTD = 3;

/** What stands in Content-Encoding, by coding. */
export const CODING_NAMES: readonly string[] = Object.freeze(['identity', 'gzip', 'br', 'zstd']);
/** Ours, best first, for clients that like several equally. Brotli's fast levels are smaller than gzip's best, and zstd is the cheapest. */
export const CODINGS_DEFAULT: readonly number[] = Object.freeze([CODING_ZSTD, CODING_BROTLI, CODING_GZIP]);

// Verdicts on a response.
/** Compress. */
export const COMPRESS = 0;
/** Could be, but this client takes no coding of ours: the answer still varies by Accept-Encoding. */
export const COMPRESS_NOT_ASKED = 1;
/** A status without content, of part of it, or that speaks of what is cached: 1xx, 204, 205, 206, 304; and the answer to HEAD. */
export const COMPRESS_NO_CONTENT = 2;
/** It has a content coding already. */
export const COMPRESS_ENCODED = 3;
/** `Cache-Control: no-transform`, RFC 9110, section 7.7. */
export const COMPRESS_FORBIDDEN = 4;
/** A type that is compressed by nature, unknown, or left out. */
export const COMPRESS_TYPE = 5;
/** Shorter than is worth it. */
export const COMPRESS_SHORT = 6;
/** A secret could be guessed from the length (BREACH). */
export const COMPRESS_SECRET = 7;
/** A digest or signature of the content as it is. */
export const COMPRESS_DIGEST = 8;

/** What a route says about compression. */
export interface CompressionPolicy {
  /** CODING_* in our order of preference. */
  readonly codings: readonly number[];
  /** Shorter bodies of known length go as they are. Bytes. */
  readonly leastBytes: number;
  readonly types: TypeSet;
  /**
   * Compress although the request or the response carries a secret. BREACH (2013): when a page holds a secret (a CSRF token) and echoes
   * something the attacker chose, the length of its compressed form says whether the two have text in common, and TLS hides no lengths.
   * An attacker's page can make a victim's browser ask thousands of times, with the victim's cookies. Whether pages mix both is known to
   * the application alone, so without its word such answers are not compressed.
   */
  readonly withSecrets: boolean;
}

/** Media types, as `compileTypes` makes them. */
export interface TypeSet {
  /** Whole types, `text/` for a whole tree, and `+json` for a structured suffix (RFC 6838, section 4.2.8); lower case. */
  readonly whole: readonly Uint8Array[];
  readonly trees: readonly Uint8Array[];
  readonly suffixes: readonly Uint8Array[];
  readonly except: readonly Uint8Array[];
}

/**
 * Types whose content is text at heart. Pictures, sound, video, WOFF2 and archives are compressed by nature. text/event-stream is left out:
 * compression holds events back, or costs a flush for each.
 */
export const TYPES_DEFAULT: readonly string[] = Object.freeze([
  'text/*',
  '!text/event-stream',
  '*/*+json',
  '*/*+xml',
  '*/*+text',
  'application/json',
  'application/x-ndjson',
  'application/javascript',
  'application/x-javascript',
  'application/ecmascript',
  'application/xml',
  'application/wasm',
  'application/graphql',
  'application/sql',
  'application/rtf',
  'application/yaml',
  'application/toml',
  'application/x-sh',
  'application/x-protobuf',
  'application/vnd.ms-fontobject',
  'font/ttf',
  'font/otf',
  'font/collection',
  'image/bmp',
  'image/x-icon',
  'image/vnd.microsoft.icon',
  'image/x-ms-bmp',
]);

const TYPE_FORM = /^!?[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,95})$|^\*\/\*\+[a-z0-9-]{1,32}$/;

/** Whether `text` can stand in a list of types: `a/b`, `a/*`, `*` + `/*+suffix`, each in lower case; the first two also with `!` in front. */
export function isTypePattern(text: string): boolean {
  return TYPE_FORM.test(text) && !/^!.*\*$/.test(text);
}

/** Compiles a list of patterns by `isTypePattern`. Cold. */
export function compileTypes(patterns: readonly string[] = TYPES_DEFAULT): TypeSet {
  const pick = (test: RegExp, from: number, cut = 0): Uint8Array[] =>
    patterns.filter((text) => test.test(text)).map((text) => asciiBytes(text.slice(from, text.length - cut)));
  return { whole: pick(/^[^!*][^*]*$/, 0), trees: pick(/^[^!*]+\*$/, 0, 1), suffixes: pick(/^\*/, 3), except: pick(/^!/, 1) };
}

const ACCEPT_ENCODING = asciiBytes('accept-encoding');
const ETAG = asciiBytes('etag');
const DIGESTS = ['content-md5', 'digest', 'content-digest', 'repr-digest', 'signature-input'].map(asciiBytes);
const NO_TRANSFORM = asciiBytes('no-transform');
const CODING_BYTES = CODING_NAMES.map(asciiBytes);
const X_GZIP = asciiBytes('x-gzip');
const ANY_FIELD = asciiBytes('*');

const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const SP = 0x20;
const HTAB = 0x09;
const STAR = 0x2a;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const DOT = 0x2e;
/** Weight of a coding that is not named. */
const UNNAMED = -1;
/** Codings and, behind them, "*". */
const ANY = CODING_NAMES.length;
const weights = new Int16Array(ANY + 1);

/**
 * The coding of `codings` (ours, best first) that the request prefers, RFC 9110, section 12.5.3; CODING_IDENTITY when it takes none, names
 * none, or likes its content better as it is. One that forbids identity as well gets it nevertheless: the alternative would be a 406.
 * HTTP/1.0 gets identity: the length of what is compressed is not known beforehand, and those clients know no chunks.
 */
export function chooseCoding(buf: Uint8Array, head: MessageHead, codings: readonly number[]): number {
  if (head.versionMinor === 0) return CODING_IDENTITY;
  weights.fill(UNNAMED);
  const { fields } = head;
  let found = false;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_STRIDE) {
    if (!isText(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!, ACCEPT_ENCODING)) continue;
    found = true;
    readWeights(buf, fields[at + FIELD_VALUE_START]!, fields[at + FIELD_VALUE_END]!);
  }
  if (!found) return CODING_IDENTITY;
  const others = weights[ANY]!;
  let best = CODING_IDENTITY;
  // Identity is acceptable when not named, but no reason to leave out a coding that was asked for.
  let bestWeight = Math.max(weights[CODING_IDENTITY]!, 0);
  for (let i = 0; i < codings.length; i++) {
    const coding = codings[i]!;
    const weight = weights[coding] === UNNAMED ? others : weights[coding]!;
    if (weight <= 0) continue;
    // Equally liked: ours goes before identity, and the earlier of ours before the later.
    if (weight > bestWeight || (weight === bestWeight && best === CODING_IDENTITY)) {
      best = coding;
      bestWeight = weight;
    }
  }
  return best;
}

/** Reads one Accept-Encoding value into `weights`: thousandths. A member that cannot be read counts as not there. */
function readWeights(buf: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    let stop = at;
    while (stop < end && buf[stop] !== COMMA) stop++;
    readMember(buf, at, stop);
    at = stop + 1;
  }
}

function readMember(buf: Uint8Array, start: number, end: number): void {
  let at = skipSpace(buf, start, end);
  const from = at;
  while (at < end && TOKEN[buf[at]!] !== 0) at++;
  const coding = codingOf(buf, from, at);
  if (coding < 0) return;
  at = skipSpace(buf, at, end);
  const weight = at === end ? 1_000 : readWeight(buf, at, end);
  if (weight < 0) return;
  // Named twice: the better one. A refusal elsewhere in the list was then not meant.
  if (weight > weights[coding]!) weights[coding] = weight;
}

function codingOf(buf: Uint8Array, start: number, end: number): number {
  if (end - start === 1 && buf[start] === STAR) return ANY;
  for (let coding = 0; coding < CODING_BYTES.length; coding++) if (isText(buf, start, end, CODING_BYTES[coding]!)) return coding;
  // RFC 9110, section 8.4.1.3.
  return isText(buf, start, end, X_GZIP) ? CODING_GZIP : -1;
}

/** `;q=0.5` at `at`, with spaces where they may stand: thousandths, or -1. RFC 9110, section 12.4.2. */
function readWeight(buf: Uint8Array, start: number, end: number): number {
  if (buf[start] !== SEMICOLON) return -1;
  let at = skipSpace(buf, start + 1, end);
  if (at + 2 >= end || (buf[at]! | 0x20) !== 0x71 || buf[at + 1] !== EQUALS) return -1;
  at += 2;
  const whole = buf[at]! - 0x30;
  if (whole !== 0 && whole !== 1) return -1;
  let weight = whole * 1_000;
  at++;
  if (at < end && buf[at] === DOT) {
    at++;
    for (let unit = 100; at < end && buf[at]! >= 0x30 && buf[at]! <= 0x39; at++, unit = Math.floor(unit / 10)) {
      if (unit === 0) return -1;
      weight += (buf[at]! - 0x30) * unit;
    }
  }
  return weight <= 1_000 && skipSpace(buf, at, end) === end ? weight : -1;
}

/** Whether the request was made with something that is the client's alone, so that its answer may hold a secret (see `withSecrets`). */
export function carriesSecret(head: MessageHead): boolean {
  const { fields } = head;
  for (let i = 0, at = FIELD_NAME_ID; i < head.fieldCount; i++, at += FIELD_STRIDE) {
    const id = fields[at]!;
    if (id === FIELD_COOKIE || id === FIELD_AUTHORIZATION) return true;
  }
  return false;
}

/**
 * What to do with the body behind a final response head, as judged. `method`, `coding` and `secret` are the request's. COMPRESS, or the
 * reason why not. COMPRESS, COMPRESS_NOT_ASKED and COMPRESS_SECRET ask for `Vary: Accept-Encoding` (see `variesByEncoding`): to another
 * request, the same resource may go out compressed.
 *
 * With COMPRESS the head goes out without Content-Length and Accept-Ranges, with Content-Encoding, chunked, and with a weak ETag
 * (see `strongEtag`): its bytes are others than those the origin named.
 */
export function compressionVerdict(
  buf: Uint8Array,
  head: MessageHead,
  method: number,
  coding: number,
  secret: boolean,
  policy: CompressionPolicy,
): number {
  const { status, framing, fields } = head;
  if (method === METHOD_HEAD || framing === FRAMING_NONE || framing === FRAMING_TUNNEL) return COMPRESS_NO_CONTENT;
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return COMPRESS_NO_CONTENT;
  if (framing === FRAMING_LENGTH && head.contentLength === 0) return COMPRESS_NO_CONTENT;
  let typed = false;
  let hidden = secret;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_STRIDE) {
    const start = fields[at + FIELD_VALUE_START]!;
    const end = fields[at + FIELD_VALUE_END]!;
    switch (fields[at + FIELD_NAME_ID]!) {
      case FIELD_CONTENT_ENCODING:
        return COMPRESS_ENCODED;
      case FIELD_CONTENT_RANGE:
        return COMPRESS_NO_CONTENT;
      case FIELD_CACHE_CONTROL:
        if (hasMember(buf, start, end, NO_TRANSFORM)) return COMPRESS_FORBIDDEN;
        break;
      case FIELD_CONTENT_TYPE:
        if (!isCompressibleType(buf, start, end, policy.types)) return COMPRESS_TYPE;
        typed = true;
        break;
      case FIELD_SET_COOKIE:
        hidden = true;
        break;
      default:
        if (isDigest(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!)) return COMPRESS_DIGEST;
    }
  }
  if (!typed) return COMPRESS_TYPE;
  if (framing === FRAMING_LENGTH && head.contentLength < policy.leastBytes) return COMPRESS_SHORT;
  if (coding === CODING_IDENTITY) return COMPRESS_NOT_ASKED;
  return hidden && !policy.withSecrets ? COMPRESS_SECRET : COMPRESS;
}

/** Whether the type at `buf[start, end)`, parameters and all, is in the set. */
export function isCompressibleType(buf: Uint8Array, start: number, end: number, types: TypeSet): boolean {
  let stop = start;
  while (stop < end && (TOKEN[buf[stop]!] !== 0 || buf[stop] === 0x2f)) stop++;
  const { whole, trees, suffixes, except } = types;
  for (let i = 0; i < except.length; i++) if (isText(buf, start, stop, except[i]!)) return false;
  for (let i = 0; i < whole.length; i++) if (isText(buf, start, stop, whole[i]!)) return true;
  for (let i = 0; i < trees.length; i++) {
    const tree = trees[i]!;
    if (stop - start > tree.length && isText(buf, start, start + tree.length, tree)) return true;
  }
  for (let i = 0; i < suffixes.length; i++) {
    const suffix = suffixes[i]!;
    if (stop - start > suffix.length && isText(buf, stop - suffix.length, stop, suffix)) return true;
  }
  return false;
}

/**
 * Where the value of a strong ETag begins, or -1 when there is none: "W/" belongs in front of it when the body is compressed (RFC 9110,
 * section 8.8.1). The origin compares weakly when a client asks with it again (section 13.1.2), so its 304 still works.
 */
export function strongEtag(buf: Uint8Array, head: MessageHead): number {
  const { fields } = head;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_STRIDE) {
    if (!isText(buf, fields[at + FIELD_NAME_START]!, fields[at + FIELD_NAME_END]!, ETAG)) continue;
    const start = fields[at + FIELD_VALUE_START]!;
    return fields[at + FIELD_VALUE_END]! > start && buf[start] === QUOTE ? start : -1;
  }
  return -1;
}

/** Whether Vary names Accept-Encoding already, or "*". If not, a line `Vary: Accept-Encoding` is to be added; more than one is allowed. */
export function variesByEncoding(buf: Uint8Array, head: MessageHead): boolean {
  const { fields } = head;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_STRIDE) {
    if (fields[at + FIELD_NAME_ID] !== FIELD_VARY) continue;
    const start = fields[at + FIELD_VALUE_START]!;
    const end = fields[at + FIELD_VALUE_END]!;
    if (hasMember(buf, start, end, ACCEPT_ENCODING) || hasMember(buf, start, end, ANY_FIELD)) return true;
  }
  return false;
}

function isDigest(buf: Uint8Array, start: number, end: number): boolean {
  for (let i = 0; i < DIGESTS.length; i++) if (isText(buf, start, end, DIGESTS[i]!)) return true;
  return false;
}

/** Whether a comma-separated list has `token` (lower case), in any case. A comma in a quoted string counts too: at worst we change less. */
function hasMember(buf: Uint8Array, start: number, end: number, token: Uint8Array): boolean {
  let at = start;
  while (at < end) {
    at = skipSpace(buf, at, end);
    const from = at;
    while (at < end && TOKEN[buf[at]!] !== 0) at++;
    if (isText(buf, from, at, token)) return true;
    while (at < end && buf[at] !== COMMA) at++;
    at++;
  }
  return false;
}

function skipSpace(buf: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (buf[at] === SP || buf[at] === HTAB)) at++;
  return at;
}

/** Whether `buf[start, end)` is `text` (lower case), in any case. */
function isText(buf: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  const { length } = text;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = buf[start + i]!;
    if ((TOKEN[byte] === 0 ? byte : TOKEN[byte]!) !== text[i]) return false;
  }
  return true;
}
