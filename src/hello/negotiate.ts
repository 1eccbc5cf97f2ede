/**
 * What a server would agree on with a client: given its hello, a policy, the keys of the server's certificates and the engine, the version,
 * suite, group, signature scheme and certificate, or the reason why there is none. Pure. It must say what the engines do, quirks included:
 * test/negotiate.test.ts holds it against them. negotiate-s2n.ts and negotiate-openssl.ts have the two orders of events.
 */
import { assert } from '../base/assert.ts';
import type { EngineName } from '../base/engine-name.ts';
import { FAULT_HELLO_NOT_POST_QUANTUM, FAULT_TLS_NO_SHARED_SIGNATURE, FAULT_TLS_NO_SHARED_SUITE } from '../base/faults.ts';
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
  /** The client cannot have what was chosen: s2n would sooner answer with its own (a scheme that was not offered) than refuse. */
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
 * Negotiates. `keys` are the types of the server's certificates' keys, in order. Returns 1, or a fault: FAULT_TLS_NO_SHARED_VERSION, _SUITE,
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

/**
 * Why a client would have no connection under `policy`: a fault, or 0. Beside what `negotiate` knows: what a listener refuses by itself, and
 * an answer that the client cannot take.
 */
export function refusalUnder(hello: ClientHello, policy: Policy, keys: readonly KeyType[], engine: EngineName, out: Agreement): number {
  if (policy.requirePostQuantum && !offersPostQuantum(hello, policy)) return FAULT_HELLO_NOT_POST_QUANTUM;
  const result = negotiate(hello, policy, keys, engine, out);
  if (result < 0) return result;
  if (!out.unasked) return 0;
  return out.scheme === 0 ? FAULT_TLS_NO_SHARED_SUITE : FAULT_TLS_NO_SHARED_SIGNATURE;
}

const TLS13 = 0x0304;
