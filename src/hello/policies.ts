/**
 * Policies by name: our presets, each in versions that never change, and AWS's. Why each preset is what it is: docs/decisions, 0007.
 * A name without a version is the newest one.
 */
import { assert } from '../base/assert.ts';
import type { OwnPolicy } from '../base/tls-rules.ts';
import { AWS_POLICIES } from './aws-policies.ts';
import { codes, makePolicy, type Policy } from './policy.ts';

const ONLY_13 = codes('0304');
const FROM_12 = codes('0304 0303');
const AEAD_SUITES = codes('1301 1302 1303 c02b c02c c02f c030');
const GROUPS = codes('11ec 11eb 11ed 0017 001d 0018 0019');
const SCHEMES = codes('0403 0503 0603 0809 080a 080b 0804 0805 0806 0401 0501 0601');
const SUITES_13 = codes('1301 1302 1303');
const SCHEMES_13 = codes('0809 080a 080b 0804 0805 0806 0403 0503 0603');

/** Newest first for each name. */
const PRESETS: readonly Policy[] = Object.freeze(
  [
    {
      name: 'modern@1',
      about: 'TLS 1.3 alone',
      versions: ONLY_13,
      suites: SUITES_13,
      groups: codes('11ec 11eb 001d 0017 0018'),
      signatureSchemes: SCHEMES_13,
      s2n: 'CloudFront-TLS-1-3-2025',
    },
    {
      name: 'intermediate@1',
      about: 'TLS 1.2 and 1.3, forward-secret and AEAD only: every client of the last ten years',
      versions: FROM_12,
      suites: AEAD_SUITES,
      groups: GROUPS,
      signatureSchemes: SCHEMES,
      s2n: '20251014',
    },
    {
      name: 'legacy@1',
      about: 'TLS 1.2 and 1.3, with CBC suites, RSA key exchange and SHA-1 signatures for old clients; still nothing below TLS 1.2',
      versions: FROM_12,
      suites: codes('1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c023 c027 c024 c028 c009 c013 c00a c014 009c 009d 003c 003d 002f 0035'),
      groups: codes('11ec 11eb 11ed 0202 0017 001d 0018'),
      signatureSchemes: codes('0809 080a 080b 0804 0805 0806 0401 0501 0601 0301 0403 0503 0603 0303 0201 0203'),
      s2n: 'AWS-CRT-SDK-TLSv1.2-2025-PQ',
    },
    {
      name: 'pci-dss-4@1',
      about: 'what PCI DSS 4 calls strong cryptography: TLS 1.2 and 1.3, forward-secret and AEAD only',
      versions: FROM_12,
      suites: AEAD_SUITES,
      groups: GROUPS,
      signatureSchemes: SCHEMES,
      s2n: '20251014',
    },
    {
      name: 'fips-algorithms@1',
      about: 'algorithms approved by FIPS 140-3 only; says nothing of a validated module, and there is none here',
      versions: FROM_12,
      suites: codes('1301 1302 c02b c02c c02f c030'),
      groups: codes('11ec 11eb 11ed 0017 0018 0019'),
      signatureSchemes: SCHEMES,
      s2n: '20251015',
    },
    {
      name: 'cnsa2@1',
      about: 'towards CNSA 2.0: TLS 1.3, AES-256, ML-KEM-1024, and P-384 for clients without; ML-DSA-87 or SHA-384 signatures',
      versions: ONLY_13,
      suites: codes('1302'),
      groups: codes('0202 0018'),
      signatureSchemes: codes('0906 0503 080a 0805'),
      s2n: 'ELBSecurityPolicy-TLS13-1-3-CNSA2-INTEROP1-FIPS-PQ-2026-07',
    },
    {
      name: 'post-quantum@1',
      about: 'TLS 1.3 alone, and only with clients that offer ML-KEM (X25519MLKEM768)',
      versions: ONLY_13,
      suites: SUITES_13,
      groups: codes('11ec 11eb'),
      signatureSchemes: SCHEMES_13,
      requirePostQuantum: true,
      s2n: 'CloudFront-TLS-1-3-2025',
    },
  ].map(makePolicy),
);

const BY_NAME = new Map<string, Policy>();
for (const policy of PRESETS) {
  const name = policy.name.slice(0, policy.name.indexOf('@'));
  if (!BY_NAME.has(name)) BY_NAME.set(name, policy);
}
for (const policy of [...PRESETS, ...AWS_POLICIES]) BY_NAME.set(policy.name, policy);

/** The policy that a setting names, or undefined. Names have case. */
export function findPolicy(name: string): Policy | undefined {
  return BY_NAME.get(name);
}

/** What a plan means: a name that there is, or lists of the configuration's own, which OpenSSL serves. */
export function policyOf(policy: string | OwnPolicy): Policy {
  if (typeof policy !== 'string') return makePolicy({ ...policy, about: 'own lists', s2n: null });
  const found = BY_NAME.get(policy);
  assert(found !== undefined, 'a plan names policies that there are');
  return found;
}

/** Every name that a setting may have: presets without their version, presets with it, AWS's. */
export function policyNames(): string[] {
  return [...BY_NAME.keys()];
}

/** Every policy once. */
export function allPolicies(): readonly Policy[] {
  return [...PRESETS, ...AWS_POLICIES];
}
