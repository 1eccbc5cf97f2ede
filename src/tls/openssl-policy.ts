/** What a policy allows, in OpenSSL's words: its names for suites, groups and signature schemes. What the library at hand lacks is left out. */
import { assert } from '../base/assert.ts';
import type { TlsRules } from '../base/tls-rules.ts';
import { groupName, schemeName } from '../hello/names.ts';
import { knownNames, suiteNames } from '../native/openssl-context.ts';

export interface OpensslPolicy {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly suites12: string;
  readonly suites13: string;
  readonly groups: string;
  readonly schemes: string;
  readonly securityLevel: number;
}

const TLS_1_2 = 0x0303;
/** Suites of TLS 1.3 have numbers of their own. RFC 8446, appendix B.4. */
const isSuite13 = (suite: number): boolean => suite >>> 8 === 0x13;
/** SHA-1 and MD5, as TLS 1.2 and older sign by. */
const isWeakScheme = (scheme: number): boolean => scheme >>> 8 < 3;

/** Asked of the library once each. */
let suites: ReadonlyMap<number, string> | null = null;
const groups = new Map<string, boolean>();
const schemes = new Map<string, boolean>();

/** Throws an Error when nothing is left of a list. */
export function opensslPolicy(rules: TlsRules): OpensslPolicy {
  assert(rules.versions.length > 0, 'a policy allows a version');
  suites ??= suiteNames();
  const own = suites;
  const names = (list: readonly number[]): string => list.flatMap((suite) => own.get(suite) ?? []).join(':');
  const policy = {
    versionMin: Math.min(...rules.versions),
    versionMax: Math.max(...rules.versions),
    suites12: names(rules.suites.filter((suite) => !isSuite13(suite))),
    suites13: names(rules.suites.filter(isSuite13)),
    groups: known('groups', groups, rules.groups.map(groupName)),
    schemes: known('schemes', schemes, rules.signatureSchemes.map(schemeName)),
  };
  if (policy.versionMin <= TLS_1_2 && policy.suites12 === '') throw new Error('the TLS library has none of the cipher suites for TLS 1.2');
  if (policy.versionMax > TLS_1_2 && policy.suites13 === '') throw new Error('the TLS library has none of the cipher suites for TLS 1.3');
  if (policy.groups === '') throw new Error('the TLS library has none of the groups');
  if (policy.schemes === '') throw new Error('the TLS library has none of the signature schemes');
  // OpenSSL's own floor: 112 bits of everything. Old versions and SHA-1 lie below it.
  const weak = policy.versionMin < TLS_1_2 || rules.signatureSchemes.some(isWeakScheme);
  return { ...policy, securityLevel: weak ? 0 : 2 };
}

function known(list: 'groups' | 'schemes', asked: Map<string, boolean>, names: readonly string[]): string {
  const unasked = names.filter((name) => !asked.has(name));
  const found = new Set(unasked.length === 0 ? [] : knownNames(list, unasked));
  for (const name of unasked) asked.set(name, found.has(name));
  return names.filter((name) => asked.get(name) === true).join(':');
}
