/** Whether a policy serves anybody: what becomes of a client that offers all it allows. For checks of a configuration; cold. */
import { assert } from '../base/assert.ts';
import type { EngineName } from '../base/engine-name.ts';
import { FAULT_TLS_NO_SHARED_SUITE } from '../base/faults.ts';
import type { KeyType } from '../base/key-type.ts';
import { ClientHello, readClientHello } from './client-hello.ts';
import { writeClientHello } from './hello-writer.ts';
import { Agreement, refusalUnder } from './negotiate.ts';
import type { Policy } from './policy.ts';
import { groupIsOf, SERVABLE_GROUPS, suiteIsOf } from './servable.ts';

const TLS12 = 0x0303;
const TLS13 = 0x0304;

/**
 * Why a client of `version` alone that offers all of `policy` would have no connection with a server whose certificates have `keys`: a fault
 * of `negotiate`, or 0: it would have one.
 */
export function refusedAtBest(policy: Policy, version: number, keys: readonly KeyType[], engine: EngineName): number {
  const is13 = version >= TLS13;
  // A suite that the version has not is no suite of such a client: s2n would answer with it all the same.
  const suites = policy.suites.filter((suite) => suiteIsOf(suite, version));
  if (suites.length === 0) return FAULT_TLS_NO_SHARED_SUITE;
  // An ECDSA certificate's curve must be among a client's groups, whatever the server's are.
  const groups = [...new Set([...policy.groups, ...SERVABLE_GROUPS])].filter((group) => groupIsOf(group, version));
  const bytes = writeClientHello(
    {
      legacyVersion: Math.min(version, TLS12),
      versions: is13 ? [version] : [],
      suites,
      groups,
      keyShares: [],
      signatureSchemes: version < TLS12 ? [] : policy.signatureSchemes,
      alpn: [],
    },
    { name: null },
  );
  const hello = new ClientHello();
  assert(readClientHello(bytes, 0, bytes.length, hello) > 0, 'a hello of ours can be read');
  // What a listener wants beside its policy is no affair of one version.
  return refusalUnder(hello, { ...policy, requirePostQuantum: false }, keys, engine, new Agreement());
}
