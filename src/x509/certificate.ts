/**
 * What Tollgate wants to know of an X.509 certificate (RFC 5280), read strictly out of its DER in one pass. Whether it is signed by whom it
 * says, the TLS library has found out before; this never asks. Pure, bounded, and never throws: a certificate that is not read is null.
 */
import {
  contextTag,
  DER_BIT_STRING,
  DER_BOOLEAN,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  DerReader,
  derTime,
  hexText,
  isInteger,
  oidText,
} from './der.ts';
import { nameText } from './distinguished-name.ts';

/** Largest certificate that is read. Bytes. */
export const CERTIFICATE_BYTES_MAX = 65_536;
/** Longest serial number: RFC 5280, section 4.1.2.2. Bytes, without a leading zero. */
export const SERIAL_BYTES_MAX = 20;
/** Names of one certificate, and addresses it names. */
const NAMES_MAX = 1_024;
const EXTENSIONS_MAX = 64;

// Bits of keyUsage, the first bit highest.
export const KEY_USAGE_DIGITAL_SIGNATURE = 0x80;
export const KEY_USAGE_KEY_AGREEMENT = 0x08;
export const KEY_USAGE_CERT_SIGN = 0x04;
export const KEY_USAGE_CRL_SIGN = 0x02;
/** Extended key usages: TLS clients, OCSP responders, anything. */
export const EKU_CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const EKU_OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
export const EKU_ANY = '2.5.29.37.0';

export interface Certificate {
  readonly der: Uint8Array;
  /** Lower-case hex, two digits a byte, without a sign byte. */
  readonly serial: string;
  /** The serial number's bytes without leading zeros, a view. */
  readonly serialBytes: Uint8Array;
  /** RFC 4514. */
  readonly issuer: string;
  readonly subject: string;
  /** DER of the names and of the SubjectPublicKeyInfo, views. */
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  readonly publicKeyDer: Uint8Array;
  /** DER of the AlgorithmIdentifier that it is signed by, a view. */
  readonly signatureDer: Uint8Array;
  /** Unix time, milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Whether there are alternative names, of whatever kind. */
  readonly hasAlternativeNames: boolean;
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  /** In their usual text form. */
  readonly ips: readonly string[];
  /** First byte of keyUsage; -1: the certificate says nothing. */
  readonly keyUsage: number;
  /** Object identifiers; null: the certificate says nothing. */
  readonly extendedKeyUsage: readonly string[] | null;
  readonly isAuthority: boolean;
  /** Hex; '' without. */
  readonly subjectKeyId: string;
  readonly authorityKeyId: string;
  /** Where its issuer publishes lists of what it revoked, and answers for single certificates. */
  readonly crlUris: readonly string[];
  readonly ocspUris: readonly string[];
  /** Where the issuer's own certificate is to be had. */
  readonly issuerUris: readonly string[];
  /** RFC 7633: clients are to be shown an OCSP response with it. */
  readonly mustStaple: boolean;
}

interface Draft {
  hasAlternativeNames: boolean;
  dnsNames: string[];
  emails: string[];
  uris: string[];
  ips: string[];
  keyUsage: number;
  extendedKeyUsage: string[] | null;
  isAuthority: boolean;
  subjectKeyId: string;
  authorityKeyId: string;
  crlUris: string[];
  ocspUris: string[];
  issuerUris: string[];
  mustStaple: boolean;
}

/**
 * Reads `der`, which is kept. Null when it is malformed or larger than the bound. A name or an address with characters that no header could
 * carry is malformed, too; in a certificate of our own, which is nobody's word that is handed on, it is passed over (`isOurs`).
 */
export function readCertificate(der: Uint8Array, isOurs = false): Certificate | null {
  if (der.length > CERTIFICATE_BYTES_MAX) return null;
  const outer = new DerReader(der);
  if (!outer.take(DER_SEQUENCE) || !outer.isAtEnd) return null;
  const parts = outer.inside();
  if (!parts.take(DER_SEQUENCE)) return null;
  const tbs = parts.inside();
  if (!parts.take(DER_SEQUENCE) || !parts.take(DER_BIT_STRING) || !parts.isAtEnd) return null;

  tbs.takeIf(contextTag(0, true));
  if (!tbs.take(DER_INTEGER) || !isInteger(der, tbs.start, tbs.stop)) return null;
  const serialBytes = withoutZeros(tbs.contents());
  if (serialBytes.length > SERIAL_BYTES_MAX) return null;
  if (!tbs.take(DER_SEQUENCE)) return null;
  const signatureDer = tbs.whole();
  if (!tbs.take(DER_SEQUENCE)) return null;
  const issuerDer = tbs.whole();
  const issuer = nameText(der, tbs.from, tbs.stop);
  if (!tbs.take(DER_SEQUENCE)) return null;
  const validity = tbs.inside();
  const notBeforeMs = validity.next() ? derTime(der, validity.tag, validity.start, validity.stop) : Number.NaN;
  const notAfterMs = validity.next() ? derTime(der, validity.tag, validity.start, validity.stop) : Number.NaN;
  if (Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs) || !validity.isAtEnd) return null;
  if (!tbs.take(DER_SEQUENCE)) return null;
  const subjectDer = tbs.whole();
  const subject = nameText(der, tbs.from, tbs.stop);
  if (issuer === null || subject === null || !tbs.take(DER_SEQUENCE)) return null;
  const publicKeyDer = tbs.whole();
  tbs.takeIf(contextTag(1, false));
  tbs.takeIf(contextTag(2, false));
  const draft: Draft = {
    hasAlternativeNames: false,
    dnsNames: [],
    emails: [],
    uris: [],
    ips: [],
    keyUsage: -1,
    extendedKeyUsage: null,
    isAuthority: false,
    subjectKeyId: '',
    authorityKeyId: '',
    crlUris: [],
    ocspUris: [],
    issuerUris: [],
    mustStaple: false,
  };
  if (tbs.takeIf(contextTag(3, true))) {
    const wrapper = tbs.inside();
    if (!wrapper.take(DER_SEQUENCE) || !wrapper.isAtEnd || !readExtensions(wrapper.inside(), draft, isOurs)) return null;
  }
  if (tbs.failed || !tbs.isAtEnd) return null;
  return {
    der,
    serial: hexText(serialBytes),
    serialBytes,
    issuer,
    subject,
    issuerDer,
    subjectDer,
    publicKeyDer,
    signatureDer,
    notBeforeMs,
    notAfterMs,
    ...draft,
  };
}

/** An INTEGER's contents without sign byte: one byte at least. */
export function withoutZeros(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  return bytes.subarray(at);
}

function readExtensions(list: DerReader, draft: Draft, isOurs: boolean): boolean {
  const seen = new Set<string>();
  while (list.next()) {
    if (list.tag !== DER_SEQUENCE || seen.size >= EXTENSIONS_MAX) return false;
    const extension = list.inside();
    if (!extension.take(DER_OID)) return false;
    const id = oidText(extension.bytes, extension.start, extension.stop);
    // RFC 5280, section 4.2: one of each.
    if (id === '' || seen.has(id)) return false;
    seen.add(id);
    extension.takeIf(DER_BOOLEAN);
    if (!extension.take(DER_OCTET_STRING) || !extension.isAtEnd) return false;
    if (!readExtension(id, extension.inside(), draft, isOurs)) return false;
  }
  return !list.failed;
}

function readExtension(id: string, value: DerReader, draft: Draft, isOurs: boolean): boolean {
  switch (id) {
    case '2.5.29.14':
      if (!value.take(DER_OCTET_STRING)) return false;
      draft.subjectKeyId = hexText(value.contents());
      return value.isAtEnd;
    case '2.5.29.15': {
      if (!value.take(DER_BIT_STRING) || value.stop - value.start < 2) return false;
      draft.keyUsage = value.bytes[value.start + 1]!;
      return value.isAtEnd;
    }
    case '2.5.29.17':
      draft.hasAlternativeNames = true;
      return value.take(DER_SEQUENCE) && value.isAtEnd && readNames(value.inside(), draft, isOurs);
    case '2.5.29.19': {
      if (!value.take(DER_SEQUENCE) || !value.isAtEnd) return false;
      const inside = value.inside();
      if (inside.takeIf(DER_BOOLEAN)) draft.isAuthority = inside.bytes[inside.start] === 0xff;
      return !inside.failed;
    }
    case '2.5.29.31':
      return value.take(DER_SEQUENCE) && value.isAtEnd && readDistributionPoints(value.inside(), draft.crlUris, isOurs);
    case '2.5.29.35': {
      if (!value.take(DER_SEQUENCE) || !value.isAtEnd) return false;
      const inside = value.inside();
      if (inside.takeIf(contextTag(0, false))) draft.authorityKeyId = hexText(inside.contents());
      return !inside.failed;
    }
    case '2.5.29.37': {
      if (!value.take(DER_SEQUENCE) || !value.isAtEnd) return false;
      draft.extendedKeyUsage = [];
      const inside = value.inside();
      while (inside.next()) {
        if (inside.tag !== DER_OID || draft.extendedKeyUsage.length >= NAMES_MAX) return false;
        draft.extendedKeyUsage.push(oidText(inside.bytes, inside.start, inside.stop));
      }
      return !inside.failed;
    }
    case '1.3.6.1.5.5.7.1.1':
      return value.take(DER_SEQUENCE) && value.isAtEnd && readAccess(value.inside(), draft, isOurs);
    case '1.3.6.1.5.5.7.1.24': {
      if (!value.take(DER_SEQUENCE)) return false;
      const inside = value.inside();
      // status_request is extension 5.
      while (inside.next())
        if (inside.tag === DER_INTEGER && inside.stop - inside.start === 1 && inside.bytes[inside.start] === 5) draft.mustStaple = true;
      return !inside.failed;
    }
    default:
      return true;
  }
}

/** GeneralNames; those of kinds that are not asked for are passed over. */
function readNames(names: DerReader, draft: Draft, isOurs: boolean): boolean {
  let count = 0;
  while (names.next()) {
    if (++count > NAMES_MAX) return false;
    const list = listOf(names.tag, draft);
    if (list === null) continue;
    const text = list === draft.ips ? ipText(names.contents()) : asciiText(names);
    if (text !== null) list.push(list === draft.dnsNames ? text.toLowerCase() : text);
    else if (!isOurs) return false;
  }
  return !names.failed;
}

/** Where names of a kind go. */
function listOf(tag: number, draft: Draft): string[] | null {
  switch (tag) {
    case contextTag(1, false):
      return draft.emails;
    case contextTag(2, false):
      return draft.dnsNames;
    case contextTag(6, false):
      return draft.uris;
    case contextTag(7, false):
      return draft.ips;
    default:
      return null;
  }
}

/** An IA5String of visible characters: no control, no space, nothing that would end a line or a list. Null for any other. */
function asciiText({ bytes, start, stop }: DerReader): string | null {
  for (let i = start; i < stop; i++) if (bytes[i]! <= 0x20 || bytes[i]! > 0x7e) return null;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).latin1Slice();
}

function ipText(bytes: Uint8Array): string | null {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return null;
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  return new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
}

/** CRLDistributionPoints, RFC 5280, section 4.2.1.13: addresses of points that speak for all reasons and for the issuer itself. */
function readDistributionPoints(points: DerReader, uris: string[], isOurs: boolean): boolean {
  while (points.next()) {
    if (points.tag !== DER_SEQUENCE) return false;
    const point = points.inside();
    const found: string[] = [];
    if (point.takeIf(contextTag(0, true))) {
      const name = point.inside();
      if (name.takeIf(contextTag(0, true)) && !readUris(name.inside(), found, isOurs)) return false;
      if (name.failed) return false;
    }
    const partial = point.takeIf(contextTag(1, false));
    const indirect = point.takeIf(contextTag(2, true));
    if (point.failed || !point.isAtEnd) return false;
    if (!partial && !indirect && uris.length + found.length <= NAMES_MAX) uris.push(...found);
  }
  return !points.failed;
}

/** The addresses among GeneralNames. */
export function readUris(names: DerReader, uris: string[], isOurs = false): boolean {
  while (names.next()) if (names.tag === contextTag(6, false) && !addUri(names, uris, isOurs)) return false;
  return !names.failed;
}

function addUri(name: DerReader, uris: string[], isOurs: boolean): boolean {
  const text = asciiText(name);
  if (uris.length >= NAMES_MAX) return false;
  if (text !== null) uris.push(text);
  return text !== null || isOurs;
}

/** AuthorityInfoAccess, RFC 5280, section 4.2.2.1. */
function readAccess(list: DerReader, draft: Draft, isOurs: boolean): boolean {
  while (list.next()) {
    if (list.tag !== DER_SEQUENCE) return false;
    const access = list.inside();
    if (!access.take(DER_OID)) return false;
    const method = oidText(access.bytes, access.start, access.stop);
    if (!access.next() || !access.isAtEnd) return false;
    const uris = method === '1.3.6.1.5.5.7.48.1' ? draft.ocspUris : method === '1.3.6.1.5.5.7.48.2' ? draft.issuerUris : null;
    if (uris !== null && access.tag === contextTag(6, false) && !addUri(access, uris, isOurs)) return false;
  }
  return !list.failed;
}
