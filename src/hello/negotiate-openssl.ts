/**
 * The order in which OpenSSL 3.5 decides, as our engine sets it up: the server's order of everything, one list of groups. What is
 * worth knowing: a key share at hand goes before a better group that costs a round trip; signature schemes are settled first, and a client that
 * shares none is refused; in TLS 1.2 an ECDSA certificate is for clients that list its curve.
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
import { FALLBACK_SCSV, needsTls12, SUITE_ECDHE_ECDSA, SUITE_ECDHE_RSA, SUITE_RSA, SUITE_TLS13, suiteKind } from './suite-traits.ts';

const AGREED = 1;
const TLS12 = 0x0303;
const TLS13 = 0x0304;
const CURVES: Readonly<Partial<Record<KeyType, number>>> = Object.freeze({ p256: 0x0017, p384: 0x0018, p521: 0x0019 });

export function negotiateOpenssl(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  const version = hello.highestVersionOf(policy.minVersion, policy.maxVersion);
  if (version === 0) return FAULT_HELLO_NO_SHARED_VERSION;
  out.version = version;
  if (version < policy.maxVersion && hello.offersSuite(FALLBACK_SCSV)) return FAULT_TLS_FALLBACK;
  if (version >= TLS12 && hello.schemeCount > 0 && !sharesScheme(hello, policy)) return FAULT_TLS_NO_SHARED_SIGNATURE;
  if (version >= TLS13) return negotiate13(hello, policy, keys, out);
  return negotiate12(hello, policy, keys, out);
}

function sharesScheme(hello: ClientHello, policy: Policy): boolean {
  for (const scheme of policy.signatureSchemes) if (hello.offersScheme(scheme)) return true;
  return false;
}

function negotiate13(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  const suite = chooseSuite13(hello, policy);
  if (suite < 0) return suite;
  out.suite = suite;
  for (const group of policy.groups) {
    if (hello.offersGroup(group) && sendsShare(hello, group)) return sign13(hello, policy, keys, group, false, out);
  }
  for (const group of policy.groups) if (hello.offersGroup(group)) return sign13(hello, policy, keys, group, true, out);
  return FAULT_TLS_NO_SHARED_GROUP;
}

function chooseSuite13(hello: ClientHello, policy: Policy): number {
  for (const suite of policy.suites) if (suiteKind(suite) === SUITE_TLS13 && hello.offersSuite(suite)) return suite;
  return FAULT_TLS_NO_SHARED_SUITE;
}

function sign13(hello: ClientHello, policy: Policy, keys: readonly KeyType[], group: number, retried: boolean, out: Agreement): number {
  out.group = group;
  out.retried = retried;
  for (const scheme of policy.signatureSchemes) {
    if (!hello.offersScheme(scheme)) continue;
    const wanted = keyOfScheme(scheme, TLS13);
    const index = wanted === null ? -1 : indexOfKey(keys, wanted);
    if (index < 0) continue;
    out.scheme = scheme;
    out.certificate = index;
    return AGREED;
  }
  return FAULT_TLS_NO_SHARED_SIGNATURE;
}

function negotiate12(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  const group = chooseGroup12(hello, policy);
  let fault = FAULT_TLS_NO_SHARED_SUITE;
  for (const suite of policy.suites) {
    const kind = suiteKind(suite);
    if (kind === SUITE_TLS13 || !hello.offersSuite(suite) || (out.version < TLS12 && needsTls12(suite))) continue;
    if (group === 0 && (kind === SUITE_ECDHE_ECDSA || kind === SUITE_ECDHE_RSA)) {
      fault = FAULT_TLS_NO_SHARED_GROUP;
      continue;
    }
    if (!canSign(hello, policy, keys, kind, out.version)) continue;
    out.suite = suite;
    out.group = kind === SUITE_RSA ? 0 : group;
    return sign12(hello, policy, keys, kind, out);
  }
  return fault;
}

/** ML-KEM is for TLS 1.3 alone. A client that names no groups could take any (RFC 8422, section 4), and is given none. */
function chooseGroup12(hello: ClientHello, policy: Policy): number {
  for (const group of policy.groups) if (!isPostQuantum(group) && hello.offersGroup(group)) return group;
  return 0;
}

/** Whether there is a certificate for suites of this kind: RSA always will do, ECDSA only when it can sign something that the client knows. */
function canSign(hello: ClientHello, policy: Policy, keys: readonly KeyType[], kind: number, version: number): boolean {
  switch (kind) {
    case SUITE_RSA:
      return keys.includes('rsa');
    case SUITE_ECDHE_RSA:
      return keys.includes('rsa') || (version >= TLS12 && keys.includes('rsa-pss') && scheme12(hello, policy, 'rsa-pss') !== 0);
    case SUITE_ECDHE_ECDSA: {
      const index = ecdsaIndex(keys);
      if (index < 0) return false;
      const curve = CURVES[keys[index]!];
      if (curve !== undefined && !hello.offersGroup(curve)) return false;
      return version < TLS12 || scheme12(hello, policy, 'ecdsa') !== 0;
    }
    default:
      return false;
  }
}

function sign12(hello: ClientHello, policy: Policy, keys: readonly KeyType[], kind: number, out: Agreement): number {
  // Nothing is signed in an exchange by RSA, and yet a scheme for the key must be shared.
  if (kind === SUITE_RSA && out.version >= TLS12 && hello.schemeCount > 0 && scheme12(hello, policy, 'rsa') === 0) {
    return FAULT_TLS_NO_SHARED_SIGNATURE;
  }
  if (kind === SUITE_RSA || out.version < TLS12) {
    out.certificate = kind === SUITE_ECDHE_ECDSA ? ecdsaIndex(keys) : keys.indexOf('rsa');
    return AGREED;
  }
  for (const scheme of policy.signatureSchemes) {
    const wanted = keyOfScheme(scheme, TLS12);
    if (wanted === null || (kind === SUITE_ECDHE_ECDSA) !== (wanted === 'ecdsa')) continue;
    if (hello.schemeCount > 0 ? !hello.offersScheme(scheme) : scheme !== defaultScheme(wanted)) continue;
    const index = indexOfKey(keys, wanted);
    if (index < 0) continue;
    out.scheme = scheme;
    out.certificate = index;
    return AGREED;
  }
  return FAULT_TLS_NO_SHARED_SIGNATURE;
}

/** A scheme for this key that both know, in TLS 1.2; 0: none. */
function scheme12(hello: ClientHello, policy: Policy, key: string): number {
  for (const scheme of policy.signatureSchemes) {
    if (keyOfScheme(scheme, TLS12) !== key) continue;
    if (hello.schemeCount > 0 ? hello.offersScheme(scheme) : scheme === defaultScheme(key)) return scheme;
  }
  return 0;
}

/** RFC 5246, section 7.4.1.4.1: what a client that lists none is taken to know. */
function defaultScheme(key: string): number {
  return key === 'ecdsa' ? 0x0203 : 0x0201;
}

/** OpenSSL has one certificate of a kind: the last one given. Ours gives each kind once. */
function indexOfKey(keys: readonly KeyType[], wanted: string): number {
  if (wanted === 'ecdsa') return ecdsaIndex(keys);
  for (let i = 0; i < keys.length; i++) if (keys[i] === wanted) return i;
  return -1;
}

function ecdsaIndex(keys: readonly KeyType[]): number {
  for (let i = 0; i < keys.length; i++) if (CURVES[keys[i]!] !== undefined) return i;
  return -1;
}

function sendsShare(hello: ClientHello, group: number): boolean {
  for (let i = 0; i < hello.keyShareCount; i++) if (hello.keyShares[i] === group) return true;
  return false;
}
