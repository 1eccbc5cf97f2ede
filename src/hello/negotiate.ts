/**
 * What a server would agree on with a client: given its hello, a policy, the keys of the server's certificates and the engine, the version,
 * suite, group, signature scheme and certificate, or the reason why there is none. Pure. It must say what the engines do, quirks included:
 * test/negotiate.test.ts holds it against them. negotiate-s2n.ts and negotiate-openssl.ts have the two orders of events.
 */
import { assert } from '../base/assert.ts';
import type { EngineName } from '../base/engine-name.ts';
import {
  FAULT_HELLO_BELOW_VERSION,
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_HELLO_NOT_POST_QUANTUM,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
} from '../base/faults.ts';
import type { KeyType } from '../base/key-type.ts';
import type { ClientHello } from './client-hello.ts';
import { negotiateOpenssl } from './negotiate-openssl.ts';
import { negotiateS2n } from './negotiate-s2n.ts';
import { isPostQuantum, type Policy } from './policy.ts';

/** What was agreed. Made once by who asks, and written by each success; a fault leaves in it what was settled by then. */
export class Agreement {
  version = 0;
  suite = 0;
  /** 0: the keys are exchanged without a group (RSA). */
  group = 0;
  /** The client's key shares have none of `group`: it is asked for one, and a round trip goes. */
  retried = false;
  /** 0: nothing is signed (RSA key exchange), or by what version 1.1 and below prescribe. */
  scheme = 0;
  /** Index into the certificates asked about; -1: none yet. */
  certificate = -1;
  /** The client cannot have what was chosen: s2n would sooner answer with its own (a scheme, a version that was not offered) than refuse. */
  unasked = false;

  clear(): void {
    this.version = 0;
    this.suite = 0;
    this.group = 0;
    this.retried = false;
    this.scheme = 0;
    this.certificate = -1;
    this.unasked = false;
  }
}

/**
 * Negotiates. `keys` are the types of the server's certificates' keys, in order. Returns 1, or a fault: FAULT_HELLO_NO_SHARED_VERSION, _SUITE,
 * _GROUP or _SIGNATURE, FAULT_TLS_FALLBACK. Allocates nothing.
 */
export function negotiate(hello: ClientHello, policy: Policy, keys: readonly KeyType[], engine: EngineName, out: Agreement): number {
  assert(keys.length > 0, 'a server has a certificate');
  out.clear();
  return engine === 's2n' ? negotiateS2n(hello, policy, keys, out) : negotiateOpenssl(hello, policy, keys, out);
}

/** Whether the client offers a group with ML-KEM that `policy` has, for TLS 1.3, where alone it is of use. */
export function offersPostQuantum(hello: ClientHello, policy: Policy): boolean {
  if (!hello.offersVersion(TLS13)) return false;
  for (const group of policy.groups) if (isPostQuantum(group) && hello.offersGroup(group)) return true;
  return false;
}

/** What a listener with this policy refuses by itself, whatever an engine would say: a fault, or 0. */
export function refusalByFloor(hello: ClientHello, policy: Policy, minVersion: number, requirePostQuantum: boolean): number {
  const version = hello.highestVersionOf(policy.minVersion, policy.maxVersion);
  if (version === 0) return FAULT_HELLO_NO_SHARED_VERSION;
  if (version < minVersion) return FAULT_HELLO_BELOW_VERSION;
  return requirePostQuantum && !offersPostQuantum(hello, policy) ? FAULT_HELLO_NOT_POST_QUANTUM : 0;
}

/**
 * Why a client would have no connection under `policy`: a fault, or 0. Beside what `negotiate` knows: what a listener refuses by itself, and
 * an answer that the client cannot take.
 */
export function refusalUnder(hello: ClientHello, policy: Policy, keys: readonly KeyType[], engine: EngineName, out: Agreement): number {
  const refused = refusalByFloor(hello, policy, policy.minVersion, policy.requirePostQuantum);
  if (refused < 0) return refused;
  const result = negotiate(hello, policy, keys, engine, out);
  return result < 0 ? result : refusalOfAnswer(hello, out);
}

/**
 * Why s2n must not be asked: the fault of a client that it would answer with what the client has not offered, and then wait for until the
 * deadline; or 0. Whoever may resume is left to the engine: nothing is signed for a ticket. Allocates nothing.
 */
export function refusalBeforeS2n(hello: ClientHello, policy: Policy, keys: readonly KeyType[], out: Agreement): number {
  // Of a list that is longer than its table, the rest is not known.
  if (hello.truncated || hello.mayResume()) return 0;
  return negotiate(hello, policy, keys, 's2n', out) < 0 ? 0 : refusalOfAnswer(hello, out);
}

function refusalOfAnswer(hello: ClientHello, { unasked, version, scheme }: Agreement): number {
  if (!unasked) return 0;
  if (!hello.offersVersion(version)) return FAULT_HELLO_NO_SHARED_VERSION;
  return scheme === 0 ? FAULT_TLS_NO_SHARED_SUITE : FAULT_TLS_NO_SHARED_SIGNATURE;
}

const TLS13 = 0x0304;
