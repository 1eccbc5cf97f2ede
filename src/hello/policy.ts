/** What a TLS policy is: which versions, suites, groups and signature schemes a server takes, as numbers on the wire. Data, whatever engine. */
import { assert } from '../base/assert.ts';
import type { TlsRules } from '../base/tls-rules.ts';
import { suiteName } from './names.ts';

export interface Policy extends TlsRules {
  /** Ours with its version (`intermediate@1`), or AWS's. */
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** The ends of `versions`, which has no gaps. */
  readonly minVersion: number;
  readonly maxVersion: number;
  /** ChaCha20 is taken from clients that put it first: they have no hardware for AES. */
  readonly chachaFirst: boolean;
  /** Groups worth a second round trip to a client that could have them and guessed another. */
  readonly insistsOn: readonly number[];
  /** Clients that offer none of the policy's groups with ML-KEM are refused. */
  readonly requirePostQuantum: boolean;
  /**
   * The name by which s2n has exactly this (behind the refusal above, where there is one: it always takes a group with ML-KEM that is
   * offered); null: it has none, and OpenSSL must serve it.
   */
  readonly s2n: string | null;
}

interface PolicySource extends TlsRules {
  readonly name: string;
  readonly about: string;
  readonly chachaFirst?: boolean;
  readonly insistsOn?: readonly number[];
  readonly requirePostQuantum?: boolean;
  readonly s2n: string | null;
}

/** `versions`: newest first, none left out between the first and the last. */
export function makePolicy(source: PolicySource): Policy {
  const [maxVersion, minVersion] = [source.versions[0], source.versions.at(-1)];
  assert(maxVersion !== undefined && minVersion !== undefined, 'a policy allows a version');
  assert(maxVersion - minVersion === source.versions.length - 1, 'the versions of a policy have no gaps');
  return Object.freeze({ chachaFirst: false, insistsOn: NONE, requirePostQuantum: false, ...source, minVersion, maxVersion });
}

/**
 * What is left of a policy above a floor: from `minVersion` on, and with `requirePostQuantum` the groups with ML-KEM alone, since OpenSSL
 * would sooner take another that the client has sent a key for.
 */
export function underFloor(policy: Policy, minVersion: number, requirePostQuantum: boolean): Policy {
  const versions = policy.versions.filter((version) => version >= minVersion);
  return makePolicy({ ...policy, versions, groups: requirePostQuantum ? policy.groups.filter(isPostQuantum) : policy.groups });
}

const NONE: readonly number[] = Object.freeze([]);

/** `1301 c02b` as numbers. */
export function codes(text: string): readonly number[] {
  return Object.freeze(text.split(' ').map((code) => Number.parseInt(code, 16)));
}

const POST_QUANTUM: ReadonlySet<number> = new Set([0x0200, 0x0201, 0x0202, 0x11eb, 0x11ec, 0x11ed, 0x11ee]);

/** Whether a group's secret has a part by ML-KEM. The drafts with Kyber do not count: no server speaks them any more. */
export function isPostQuantum(group: number): boolean {
  return POST_QUANTUM.has(group);
}

/** What in a policy nobody should need any more, in words; null: nothing. RFC 8996 (versions), RFC 7465 (RC4), SP 800-131A (3DES). */
export function weaknessOf(policy: Policy): string | null {
  const weak: string[] = [];
  if (policy.minVersion < 0x0303) weak.push(policy.minVersion < 0x0301 ? 'SSL 3.0' : policy.minVersion < 0x0302 ? 'TLS 1.0' : 'TLS 1.1');
  const names = policy.suites.map(suiteName);
  if (names.some((name) => name.includes('_RC4_'))) weak.push('RC4');
  if (names.some((name) => name.includes('_3DES_'))) weak.push('3DES');
  return weak.length === 0 ? null : weak.join(', ');
}
