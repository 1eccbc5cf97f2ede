/**
 * The order in which s2n-tls decides, as of the pinned version: version, group, suite, signature scheme, certificate. What is worth knowing:
 * groups with ML-KEM go before all others, even for the price of a round trip; its own order of suites decides; a client that shares no
 * signature scheme is not refused, but answered with one that it does not know.
 */
import {
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_TLS_FALLBACK,
  FAULT_TLS_NO_SHARED_GROUP,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
} from '../base/faults.ts';
import type { KeyType } from '../base/key-type.ts';
import type { ClientHello } from './client-hello.ts';
import type { Agreement } from './negotiate.ts';
import { isPostQuantum, type Policy } from './policy.ts';
import { keyOfScheme } from './scheme-traits.ts';
import {
  FALLBACK_SCSV,
  isChacha,
  needsTls12,
  SUITE_ECDHE_ECDSA,
  SUITE_ECDHE_RSA,
  SUITE_OTHER,
  SUITE_RSA,
  SUITE_TLS13,
  suiteKind,
} from './suite-traits.ts';

const AGREED = 1;
const TLS12 = 0x0303;
const TLS13 = 0x0304;
const SECP256R1 = 0x0017;
const RSA_PKCS1_SHA1 = 0x0201;
const ECDSA_SHA1 = 0x0203;

export function negotiateS2n(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  // A server that does not speak TLS 1.3 does not read supported_versions either.
  const listed = hello.versionsListed && policy.maxVersion >= TLS13;
  const client = listed ? hello.maxVersion() : Math.min(hello.legacyVersion, TLS12);
  const version = listed ? hello.highestVersionOf(policy.minVersion, policy.maxVersion) : Math.min(client, policy.maxVersion);
  if (version === 0 || client < policy.minVersion) return FAULT_HELLO_NO_SHARED_VERSION;
  out.version = version;

  const kem = policy.maxVersion >= TLS13 && (version >= TLS13 || !listed) ? firstShared(hello, policy, true) : 0;
  const curve = hello.groupCount === 0 ? defaultCurve(policy) : firstShared(hello, policy, false);
  if (version >= TLS13) {
    // RFC 8446, section 9.2, wants a list of groups. s2n asks a client without one for a key, and then takes none of it.
    if (hello.groupCount === 0 || (kem === 0 && curve === 0)) return FAULT_TLS_NO_SHARED_GROUP;
    chooseGroup(hello, policy, kem, curve, out);
  } else {
    // Whoever offers ML-KEM without TLS 1.3 gets no elliptic curve either: it is ML-KEM that was chosen, and cannot be used.
    out.group = kem === 0 ? curve : 0;
  }

  if (client < policy.maxVersion && hello.offersSuite(FALLBACK_SCSV)) return FAULT_TLS_FALLBACK;
  const suite = chooseSuite(hello, policy, keys, version, out.group);
  if (suite < 0) return suite;
  out.suite = suite;
  out.unasked = !hello.offersVersion(version) || (version < TLS12 && needsTls12(suite));
  return sign(hello, policy, keys, out);
}

function firstShared(hello: ClientHello, policy: Policy, postQuantum: boolean): number {
  for (const group of policy.groups) if (isPostQuantum(group) === postQuantum && hello.offersGroup(group)) return group;
  return 0;
}

/** For a client that names no groups. */
function defaultCurve(policy: Policy): number {
  if (policy.groups.includes(SECP256R1)) return SECP256R1;
  for (const group of policy.groups) if (!isPostQuantum(group)) return group;
  return 0;
}

/** TLS 1.3: `kem` and `curve` are the best that both could have; what the client has sent a key for goes before what it has not. */
function chooseGroup(hello: ClientHello, policy: Policy, kem: number, curve: number, out: Agreement): void {
  const sentKem = firstSent(hello, policy, true);
  const sentCurve = firstSent(hello, policy, false);
  if (sentKem !== 0) out.group = sentKem;
  else if (kem !== 0) retry(kem, out);
  else {
    for (const group of policy.insistsOn) {
      if (!policy.groups.includes(group) || !hello.offersGroup(group)) continue;
      if (sentCurve === group) out.group = group;
      else retry(group, out);
      return;
    }
    if (sentCurve !== 0) out.group = sentCurve;
    else retry(curve, out);
  }
}

function firstSent(hello: ClientHello, policy: Policy, postQuantum: boolean): number {
  for (const group of policy.groups) {
    if (isPostQuantum(group) !== postQuantum || !hello.offersGroup(group)) continue;
    for (let i = 0; i < hello.keyShareCount; i++) if (hello.keyShares[i] === group) return group;
  }
  return 0;
}

function retry(group: number, out: Agreement): void {
  out.group = group;
  out.retried = true;
}

/** The suite, or the fault that tells the most: a group or a key that is missing, where there is a suite in common. */
function chooseSuite(hello: ClientHello, policy: Policy, keys: readonly KeyType[], version: number, group: number): number {
  const chachaFirst = policy.chachaFirst && hello.suiteCount > 0 && isChacha(hello.suites[0]!);
  let other = 0;
  let tooNew = 0;
  let fault = FAULT_TLS_NO_SHARED_SUITE;
  for (const suite of policy.suites) {
    const kind = suiteKind(suite);
    if (kind === SUITE_OTHER || (kind === SUITE_TLS13) !== version >= TLS13 || !hello.offersSuite(suite)) continue;
    if (!hasKeyFor(kind, keys)) continue;
    if (group === 0 && (kind === SUITE_ECDHE_ECDSA || kind === SUITE_ECDHE_RSA)) {
      fault = FAULT_TLS_NO_SHARED_GROUP;
      continue;
    }
    if (version < TLS12 && needsTls12(suite)) {
      if (tooNew === 0) tooNew = suite;
      continue;
    }
    if (!chachaFirst || isChacha(suite)) return suite;
    if (other === 0) other = suite;
  }
  // s2n settles for a suite that the version does not have, rather than refuse. No client takes it.
  if (other === 0) other = tooNew;
  return other === 0 ? fault : other;
}

function hasKeyFor(kind: number, keys: readonly KeyType[]): boolean {
  switch (kind) {
    case SUITE_TLS13:
      return true;
    case SUITE_ECDHE_ECDSA:
      return indexOfKind(keys, 'ecdsa') >= 0;
    case SUITE_ECDHE_RSA:
      return keys.includes('rsa') || keys.includes('rsa-pss');
    case SUITE_RSA:
      return keys.includes('rsa');
    default:
      return false;
  }
}

/** The first certificate of each kind is the one that s2n has for it. */
function indexOfKind(keys: readonly KeyType[], kind: string): number {
  for (let i = 0; i < keys.length; i++) if (kindOf(keys[i]!) === kind) return i;
  return -1;
}

function kindOf(key: KeyType): string {
  switch (key) {
    case 'p256':
    case 'p384':
    case 'p521':
      return 'ecdsa';
    case 'mldsa44':
    case 'mldsa65':
    case 'mldsa87':
      return 'mldsa';
    default:
      return key;
  }
}

/** The signature scheme and the certificate that goes with it. */
function sign(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  const kind = suiteKind(out.suite);
  if (kind === SUITE_RSA) {
    out.group = 0;
    out.certificate = keys.indexOf('rsa');
    return AGREED;
  }
  if (out.version < TLS12) {
    out.certificate = kind === SUITE_ECDHE_ECDSA ? indexOfKind(keys, 'ecdsa') : keys.indexOf('rsa');
    return out.certificate < 0 ? FAULT_TLS_NO_SHARED_SIGNATURE : AGREED;
  }
  let fallback = 0;
  let fallbackIndex = -1;
  for (const scheme of policy.signatureSchemes) {
    const index = signer(scheme, kind, keys, out.version);
    if (index < 0) continue;
    if (hello.offersScheme(scheme)) {
      out.scheme = scheme;
      out.certificate = index;
      return AGREED;
    }
    if (fallback === 0 || isDefault(scheme)) {
      fallback = scheme;
      fallbackIndex = index;
    }
  }
  if (fallback === 0) return FAULT_TLS_NO_SHARED_SIGNATURE;
  out.scheme = fallback;
  out.certificate = fallbackIndex;
  if (out.version >= TLS13 || hello.schemeCount > 0 || !isDefault(fallback)) out.unasked = true;
  return AGREED;
}

/** What a client of TLS 1.2 that lists no schemes is taken to know. RFC 5246, section 7.4.1.4.1. */
function isDefault(scheme: number): boolean {
  return scheme === RSA_PKCS1_SHA1 || scheme === ECDSA_SHA1;
}

/** Index of the certificate that can sign by `scheme` on this connection, or -1. */
function signer(scheme: number, suite: number, keys: readonly KeyType[], version: number): number {
  const wanted = keyOfScheme(scheme, version);
  if (wanted === null) return -1;
  const ecdsa = wanted === 'ecdsa' || wanted.startsWith('p');
  if (suite === SUITE_ECDHE_ECDSA && !ecdsa) return -1;
  if (suite === SUITE_ECDHE_RSA && wanted !== 'rsa' && wanted !== 'rsa-pss') return -1;
  const index = ecdsa ? indexOfKind(keys, 'ecdsa') : indexOfKind(keys, wanted.startsWith('mldsa') ? 'mldsa' : wanted);
  // TLS 1.3 and ML-DSA: the scheme says which curve, and which set of parameters. RFC 8446, section 4.2.3.
  return index >= 0 && (wanted === 'ecdsa' || keys[index] === wanted) ? index : -1;
}
