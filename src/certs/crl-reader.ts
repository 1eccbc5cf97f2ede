/**
 * Reads a certificate revocation list (RFC 5280, section 5) as its bytes arrive: a list of a million entries is never in memory as a whole,
 * its serials go straight into a revocation set, and what is signed is hashed on the way. Strict: what a list says that is not understood
 * and may not be passed over makes it of no use, and it says so in one sentence. Delta and indirect lists, and lists of some reasons only,
 * are refused.
 */
import { createPublicKey, createVerify, type KeyObject, type Verify } from 'node:crypto';
import { TollgateError } from '../base/tollgate-error.ts';
import { REVOKED_ENTRIES_MAX, type RevocationSetBuilder } from '../plan/revocation-set.ts';
import { type Certificate, KEY_USAGE_CRL_SIGN, readUris, SERIAL_BYTES_MAX } from '../x509/certificate.ts';
import {
  contextTag,
  DER_BIT_STRING,
  DER_BOOLEAN,
  DER_ENUMERATED,
  DER_GENERALIZED_TIME,
  DER_INTEGER,
  DER_NEED_MORE,
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  DER_UTC_TIME,
  type DerHead,
  DerReader,
  derTime,
  hexText,
  isInteger,
  oidText,
  readDerHead,
} from '../x509/der.ts';
import { nameText } from '../x509/distinguished-name.ts';
import { isKeyFor, type SignatureScheme, signatureScheme, verifyOptions } from './signature-scheme.ts';

/** Largest list. Bytes. */
export const CRL_BYTES_MAX = 512 * 1024 * 1024;
/** What stands before the entries, and behind them. Bytes. */
const HEAD_BYTES_MAX = 65_536;
const TAIL_BYTES_MAX = 262_144;
/** Largest entry. Bytes. */
const ENTRY_BYTES_MAX = 65_536;
/** SEQUENCE, INTEGER of one byte, UTCTime. */
const ENTRY_BYTES_MIN = 20;

const EXTENSION_AKI = '2.5.29.35';
const EXTENSION_NUMBER = '2.5.29.20';
const EXTENSION_DELTA = '2.5.29.27';
const EXTENSION_SCOPE = '2.5.29.28';
const ENTRY_REASON = '2.5.29.21';
const ENTRY_ISSUER = '2.5.29.29';
const REASON_REMOVE = 8;

/** Which certificates of its issuer a list speaks for. */
export type CrlScope = 'all' | 'users' | 'authorities';

export interface CrlFacts {
  /** Which of the given issuers signed it. */
  readonly issuer: Certificate;
  /** Unix time, milliseconds. */
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly scope: CrlScope;
  /** Where it says it is published; empty: it speaks for every certificate of its scope, wherever they look. */
  readonly distributionPoints: readonly string[];
  /** cRLNumber, hex; '' without. */
  readonly number: string;
  /** Certificates it revokes. */
  readonly entries: number;
}

interface Head {
  readonly algorithm: Buffer;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Issuers by that name, each with what hashes for its key. */
  readonly candidates: readonly { readonly issuer: Certificate; readonly key: KeyObject; readonly verify: Verify }[];
  readonly scheme: SignatureScheme;
}

export class CrlReader {
  readonly #issuers: readonly Certificate[];
  readonly #reserve: (entriesMax: number) => RevocationSetBuilder;
  /** Bytes that are not used up yet. */
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes used up, from the list's beginning. */
  #used = 0;
  #total = -1;
  #tbsEnd = 0;
  #head: Head | null = null;
  #builder: RevocationSetBuilder | null = null;
  /** Where the entries end. */
  #entriesEnd = 0;
  readonly #derHead: DerHead = { tag: 0, length: 0 };

  /** `reserve` is called once, before the first entry, with the most there can be. */
  constructor(issuers: readonly Certificate[], reserve: (entriesMax: number) => RevocationSetBuilder) {
    this.#issuers = issuers;
    this.#reserve = reserve;
  }

  /** Takes the next bytes, which are not kept. Throws TollgateError `crl_invalid`. */
  push(bytes: Buffer): void {
    const all = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    let at = 0;
    if (this.#head === null) {
      at = this.#readHead(all);
      if (at === 0) {
        if (all.length > HEAD_BYTES_MAX) throw invalid('what stands before its entries is larger than anybody makes it');
        this.#pending = Buffer.from(all);
        return;
      }
      this.#used = at;
    }
    if (this.#used < this.#entriesEnd) {
      const n = this.#readEntries(all, at);
      this.#hash(all.subarray(at, at + n));
      this.#used += n;
      at += n;
    }
    const left = all.length - at;
    if (this.#used + left > this.#total) throw invalid('something stands behind its end');
    if (left > (this.#used < this.#entriesEnd ? ENTRY_BYTES_MAX : TAIL_BYTES_MAX))
      throw invalid('a part of it is larger than anybody makes it');
    this.#pending = Buffer.from(all.subarray(at));
  }

  /** All bytes have been given. Checks the signature and finishes the set; returns the facts and the set's length in bytes. */
  end(): { readonly facts: CrlFacts; readonly setBytes: number } {
    const head = this.#head;
    if (head === null || this.#used + this.#pending.length !== this.#total || this.#used < this.#entriesEnd)
      throw invalid('it is cut short');
    const tbsLeft = this.#tbsEnd - this.#used;
    const tail = this.#pending;
    if (tbsLeft < 0 || tbsLeft > tail.length) throw invalid('its lengths contradict each other');
    this.#hash(tail.subarray(0, tbsLeft));
    const rest = new DerReader(tail, tbsLeft);
    if (!rest.take(DER_SEQUENCE) || !head.algorithm.equals(rest.whole())) throw invalid('its two signature algorithms differ');
    if (!rest.take(DER_BIT_STRING) || !rest.isAtEnd || rest.bytes[rest.start] !== 0) throw invalid('its signature is malformed');
    const signature = Buffer.from(tail.subarray(rest.start + 1, rest.stop));
    const extensions = readListExtensions(new DerReader(tail, 0, tbsLeft));
    const { scheme, candidates } = head;
    const signer = candidates.find(
      ({ issuer, key, verify }) =>
        (extensions.keyId === '' || issuer.subjectKeyId === '' || extensions.keyId === issuer.subjectKeyId) &&
        verify.verify(verifyOptions(key, scheme), signature),
    );
    if (signer === undefined) throw invalid(`its signature is not by the authority that it names (${candidates[0]!.issuer.subject})`);
    if (signer.issuer.keyUsage >= 0 && (signer.issuer.keyUsage & KEY_USAGE_CRL_SIGN) === 0) {
      throw invalid(`${signer.issuer.subject} may not sign lists (keyUsage)`);
    }
    const builder = this.#builder ?? this.#reserve(0);
    const { scope, distributionPoints, number } = extensions;
    const { thisUpdateMs, nextUpdateMs } = head;
    const setBytes = builder.finish();
    const facts = { issuer: signer.issuer, thisUpdateMs, nextUpdateMs, scope, distributionPoints, number, entries: builder.entries };
    return { facts, setBytes };
  }

  #hash(bytes: Uint8Array): void {
    for (const { verify } of this.#head!.candidates) verify.update(bytes);
  }

  /** Reads up to the first entry, or to where entries would be. Bytes used, or 0 when more are needed. */
  #readHead(all: Buffer): number {
    const head = this.#derHead;
    let at = 0;
    const enter = (tag: number): number => {
      const n = readDerHead(all, at, all.length, head);
      if (n === DER_NEED_MORE) return -1;
      if (n < 0 || head.tag !== tag) throw invalid('it is no list of revoked certificates');
      at += n;
      return at + head.length;
    };
    const total = enter(DER_SEQUENCE);
    if (total < 0) return 0;
    if (total > CRL_BYTES_MAX) throw invalid(`it has ${total} bytes; ${CRL_BYTES_MAX} at most`);
    const tbsAt = at;
    const tbsEnd = enter(DER_SEQUENCE);
    if (tbsEnd < 0) return 0;
    if (tbsEnd > total) throw invalid('its lengths contradict each other');
    // Everything up to the entries must be here whole.
    const reader = new DerReader(all, at, Math.min(tbsEnd, all.length));
    const whole = all.length >= tbsEnd;
    const step = (): boolean => reader.next() || (whole && this.#malformed());
    if (!step()) return 0;
    if (reader.tag === DER_INTEGER) {
      if (reader.stop - reader.start !== 1 || all[reader.start] !== 1) throw invalid('its version is unknown');
      if (!step()) return 0;
    }
    if (reader.tag !== DER_SEQUENCE) this.#malformed();
    const algorithm = Buffer.from(reader.whole());
    if (!step()) return 0;
    const issuerDer = Buffer.from(reader.whole());
    if (reader.tag !== DER_SEQUENCE) this.#malformed();
    if (!step()) return 0;
    const thisUpdateMs = derTime(all, reader.tag, reader.start, reader.stop);
    if (Number.isNaN(thisUpdateMs)) this.#malformed();
    let nextUpdateMs = Number.NaN;
    let mark = reader.at;
    // Look at what follows without needing all of it.
    const follows = (): number => {
      const n = mark >= tbsEnd ? DER_NEED_MORE : readDerHead(all, mark, all.length, head);
      if (n < 0) this.#malformed();
      return n;
    };
    let n = follows();
    if (n === DER_NEED_MORE && mark < tbsEnd) return 0;
    if (n > 0 && (head.tag === DER_UTC_TIME || head.tag === DER_GENERALIZED_TIME)) {
      if (all.length < mark + n + head.length) return 0;
      nextUpdateMs = derTime(all, head.tag, mark + n, mark + n + head.length);
      mark += n + head.length;
      n = follows();
      if (n === DER_NEED_MORE && mark < tbsEnd) return 0;
    }
    if (Number.isNaN(nextUpdateMs)) throw invalid('it does not say when the next one comes (nextUpdate)');
    const scheme = signatureScheme(algorithm);
    if (scheme === null) throw invalid('its signature algorithm is not available: RSA or ECDSA with SHA-256 or longer');
    const candidates = this.#issuers
      .filter((issuer) => issuerDer.equals(issuer.subjectDer))
      .flatMap((issuer) => {
        const key = createPublicKey({ key: Buffer.from(issuer.publicKeyDer), format: 'der', type: 'spki' });
        return isKeyFor(key, scheme) ? [{ issuer, key, verify: createVerify(scheme.digest) }] : [];
      });
    if (candidates.length === 0) {
      throw invalid(`it is of ${nameText(issuerDer, 0, issuerDer.length) ?? 'somebody'}, who is not among the authorities`);
    }
    this.#total = total;
    this.#tbsEnd = tbsEnd;
    this.#entriesEnd = mark;
    if (n > 0 && head.tag === DER_SEQUENCE) {
      this.#entriesEnd = mark + n + head.length;
      if (this.#entriesEnd > tbsEnd) this.#malformed();
      const entriesMax = Math.floor(head.length / ENTRY_BYTES_MIN);
      if (entriesMax > REVOKED_ENTRIES_MAX) throw invalid(`it may have ${entriesMax} entries; ${REVOKED_ENTRIES_MAX} at most`);
      this.#builder = this.#reserve(entriesMax);
      mark += n;
    }
    this.#head = { algorithm, thisUpdateMs, nextUpdateMs, candidates, scheme };
    this.#hash(all.subarray(tbsAt, mark));
    return mark;
  }

  /** Reads whole entries from `at` on. Bytes used. */
  #readEntries(all: Buffer, at: number): number {
    const head = this.#derHead;
    const builder = this.#builder!;
    const end = Math.min(all.length, at + this.#entriesEnd - this.#used);
    const isLast = end - at === this.#entriesEnd - this.#used;
    let from = at;
    for (;;) {
      let n = readDerHead(all, from, end, head);
      if (n === DER_NEED_MORE || (n > 0 && from + n + head.length > end)) {
        if (isLast && from < end) this.#malformed();
        return from - at;
      }
      if (n < 0 || head.tag !== DER_SEQUENCE) this.#malformed();
      const entryEnd = from + n + head.length;
      let serial = from + n + this.#enterInteger(all, from + n, entryEnd);
      const serialEnd = serial + head.length;
      if (serialEnd > entryEnd || !isInteger(all, serial, serialEnd)) this.#malformed();
      n = readDerHead(all, serialEnd, entryEnd, head);
      const timeEnd = serialEnd + n + head.length;
      if (n <= 0 || timeEnd > entryEnd || !isTime(all, head.tag, serialEnd + n, timeEnd)) this.#malformed();
      if (timeEnd < entryEnd) checkEntryExtensions(new DerReader(all, timeEnd, entryEnd));
      while (serial < serialEnd - 1 && all[serial] === 0) serial++;
      if (serialEnd - serial <= SERIAL_BYTES_MAX) builder.add(all, serial, serialEnd);
      from = entryEnd;
    }
  }

  /** Bytes of an INTEGER's header. */
  #enterInteger(all: Buffer, at: number, end: number): number {
    const n = readDerHead(all, at, end, this.#derHead);
    return n > 0 && this.#derHead.tag === DER_INTEGER ? n : this.#malformed();
  }

  #malformed(): never {
    throw invalid('it is malformed');
  }
}

function isTime(bytes: Uint8Array, tag: number, start: number, end: number): boolean {
  const length = end - start;
  if ((tag !== DER_UTC_TIME || length !== 13) && (tag !== DER_GENERALIZED_TIME || length !== 15)) return false;
  for (let i = start; i < end - 1; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return false;
  return bytes[end - 1] === 0x5a;
}

function checkEntryExtensions(reader: DerReader): void {
  if (!reader.take(DER_SEQUENCE) || !reader.isAtEnd) throw invalid('an entry is malformed');
  eachExtension(reader.inside(), (id, critical, value) => {
    if (id === ENTRY_ISSUER) throw invalid('it is an indirect list: entries name other issuers');
    if (id === ENTRY_REASON) {
      if (!value.take(DER_ENUMERATED) || value.stop - value.start !== 1) throw invalid('an entry is malformed');
      // RFC 5280, section 5.3.1: only a delta list may take something back.
      if (value.bytes[value.start] === REASON_REMOVE) throw invalid('an entry takes a revocation back, which only a delta list may');
    } else if (critical) throw invalid(`an entry has the critical extension ${id}, which is not understood`);
  });
}

interface ListExtensions {
  readonly keyId: string;
  readonly number: string;
  readonly scope: CrlScope;
  readonly distributionPoints: readonly string[];
}

/** `[0]` of the list, if it is there: the rest of what is signed. */
function readListExtensions(reader: DerReader): ListExtensions {
  const found = { keyId: '', number: '', scope: 'all' as CrlScope, distributionPoints: [] as string[] };
  if (reader.isAtEnd) return found;
  if (!reader.take(contextTag(0, true)) || !reader.isAtEnd) throw invalid('its extensions are malformed');
  const wrapper = reader.inside();
  if (!wrapper.take(DER_SEQUENCE) || !wrapper.isAtEnd) throw invalid('its extensions are malformed');
  eachExtension(wrapper.inside(), (id, critical, value) => {
    if (id === EXTENSION_DELTA) throw invalid('it is a delta list; give the whole one');
    else if (id === EXTENSION_NUMBER) {
      if (!value.take(DER_INTEGER)) throw invalid('its number is malformed');
      found.number = hexText(value.contents());
    } else if (id === EXTENSION_AKI) {
      if (!value.take(DER_SEQUENCE)) throw invalid('its extensions are malformed');
      const inside = value.inside();
      if (inside.takeIf(contextTag(0, false))) found.keyId = hexText(inside.contents());
    } else if (id === EXTENSION_SCOPE) readScope(value, found);
    else if (critical) throw invalid(`it has the critical extension ${id}, which is not understood`);
  });
  return found;
}

/** issuingDistributionPoint, RFC 5280, section 5.2.5. */
function readScope(value: DerReader, found: { scope: CrlScope; distributionPoints: string[] }): void {
  if (!value.take(DER_SEQUENCE) || !value.isAtEnd) throw invalid('its scope is malformed');
  const parts = value.inside();
  while (parts.next()) {
    const isTrue = parts.bytes[parts.start] === 0xff;
    if (parts.tag === contextTag(0, true)) {
      const name = parts.inside();
      if (
        !name.takeIf(contextTag(0, true)) ||
        !readUris(name.inside(), found.distributionPoints) ||
        found.distributionPoints.length === 0
      ) {
        throw invalid('it does not name its place by an address');
      }
    } else if (parts.tag === contextTag(1, false) && isTrue) found.scope = 'users';
    else if (parts.tag === contextTag(2, false) && isTrue) found.scope = 'authorities';
    else if (parts.tag === contextTag(3, false)) throw invalid('it is of some reasons only');
    else if (parts.tag === contextTag(4, false) && isTrue) throw invalid('it is an indirect list: entries name other issuers');
    else if (parts.tag === contextTag(5, false) && isTrue) throw invalid('it is of attribute certificates');
    else if (isTrue) throw invalid('its scope is malformed');
  }
  if (parts.failed) throw invalid('its scope is malformed');
}

function eachExtension(list: DerReader, each: (id: string, critical: boolean, value: DerReader) => void): void {
  const seen = new Set<string>();
  while (list.next()) {
    const extension = list.inside();
    if (list.tag !== DER_SEQUENCE || !extension.take(DER_OID)) throw invalid('its extensions are malformed');
    const id = oidText(extension.bytes, extension.start, extension.stop);
    if (id === '' || seen.has(id)) throw invalid('its extensions are malformed');
    seen.add(id);
    const critical = extension.takeIf(DER_BOOLEAN) && extension.bytes[extension.start] !== 0;
    if (!extension.take(DER_OCTET_STRING) || !extension.isAtEnd) throw invalid('its extensions are malformed');
    each(id, critical, extension.inside());
  }
  if (list.failed) throw invalid('its extensions are malformed');
}

function invalid(message: string): TollgateError {
  return new TollgateError('crl_invalid', message);
}
