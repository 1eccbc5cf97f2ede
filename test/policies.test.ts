/**
 * The policies as data, proven for the pinned libraries: names by s2n's file, contents by asking both engines. Every element alone is accepted,
 * everything else (one of each class of suites, every other group and scheme that has a name) is not.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { EngineName } from '../src/base/engine-name.ts';
import { groupName, schemeName, suiteName, versionName } from '../src/hello/names.ts';
import { allPolicies, findPolicy, policyNames, policyOf } from '../src/hello/policies.ts';
import { isPostQuantum, type Policy } from '../src/hello/policy.ts';
import { refusedSuite } from '../src/hello/servable.ts';
import { s2nLibraryPath } from '../src/native/library-path.ts';
import { OWN_POLICIES } from './support/own-policies.ts';
import { type Allowed, probePolicy } from './support/probe-policy.ts';
import { ProbeServer } from './support/probe-server.ts';
import type { KeyKind, SelfSigned } from './support/test-certificate.ts';

const server = new ProbeServer();
after(() => server.close());

const AWS_SAMPLE = ['CloudFront-SSL-v-3', 'CloudFront-TLS-1-1-2016', 'ELBSecurityPolicy-TLS13-1-2-CNSA2-INTEROP3-FIPS-PQ-2026-07'];
const ED: readonly number[] = [0x0807, 0x0808];
const KINDS: readonly KeyKind[] = ['p256', 'rsa', 'p384', 'p521', 'rsa-pss', 'mldsa44', 'mldsa65', 'mldsa87'];

test('policyNames() has exactly the names of load balancers and CloudFront that the library knows', () => {
  const file = readFileSync(s2nLibraryPath(), 'latin1');
  const written = new Set(file.match(/(?<=\0)(?:ELBSecurityPolicy|CloudFront)-[\w.-]+(?=\0)/g));
  const known = [...written].filter((name) => server.knowsPolicy(name)).sort();
  assert.ok(known.length > 0);
  assert.deepEqual(
    policyNames()
      .filter((name) => /^(?:ELB|Cloud)/.test(name))
      .sort(),
    known,
  );
});

test('every policy has a name that s2n knows', () => {
  for (const { name, s2n } of allPolicies()) if (s2n !== null) assert.ok(server.knowsPolicy(s2n), `${name}: ${s2n}`);
});

async function ask(engine: EngineName, policy: Policy, every = false): Promise<Allowed> {
  let using: SelfSigned | null = null;
  return await probePolicy(
    async (certificate) => {
      if (certificate !== using) server.use(engine, policy, [certificate]);
      using = certificate;
      return server.port;
    },
    KINDS,
    every,
  );
}

function told({ versions, suites, groups, signatureSchemes }: Pick<Policy, keyof Allowed> | Allowed): Record<string, string[]> {
  return {
    versions: versions.map(versionName).sort(),
    suites: suites.map(suiteName).sort(),
    groups: groups.map(groupName).sort(),
    signatureSchemes: signatureSchemes.map(schemeName).sort(),
  };
}

/** What s2n's policy of this name allows. Several of ours share one. */
const asked = new Map<string, Promise<Allowed>>();

for (const policy of allPolicies()) {
  const { name, s2n } = policy;
  if (s2n === null) continue;
  test(`${name} allows what it says on s2n, and nothing else`, async () => {
    if (!asked.has(s2n)) asked.set(s2n, ask('s2n', policy));
    const allowed = await asked.get(s2n)!;
    // What a listener refuses in front of s2n, s2n would take.
    const groups = policy.requirePostQuantum ? allowed.groups.filter(isPostQuantum) : allowed.groups;
    assert.deepEqual(told({ ...allowed, groups }), told(policy));
  });
}

for (const policy of allPolicies().filter(({ name }) => name.includes('@') || AWS_SAMPLE.includes(name))) {
  test(`${policy.name} allows what it says on OpenSSL, as far as the library has it, and nothing else`, async () => {
    // Node builds its OpenSSL without SSL 3.0, RC4 and 3DES.
    const versions = policy.versions.filter((version) => version > 0x0300);
    const suites = policy.suites.filter((suite) => refusedSuite(suite) === null);
    assert.deepEqual(told(await ask('openssl', policy)), told({ ...policy, versions, suites }));
  });
}

for (const policy of OWN_POLICIES.map(policyOf)) {
  test(`own lists (${policy.suites.length} suites, ${policy.groups.length} groups) allow what they say, and nothing else`, async () => {
    // By Ed25519 and Ed448 sign clients alone: no certificate of a listener has such a key.
    const signatureSchemes = policy.signatureSchemes.filter((scheme) => !ED.includes(scheme));
    assert.deepEqual(told(await ask('openssl', policy, true)), told({ ...policy, signatureSchemes }));
  });
}

test('findPolicy() takes the newest version for a name without one', () => {
  for (const name of ['modern', 'intermediate', 'legacy', 'pci-dss-4', 'fips-algorithms', 'cnsa2', 'post-quantum']) {
    assert.equal(findPolicy(name), findPolicy(`${name}@1`));
    assert.ok(findPolicy(name) !== undefined, name);
  }
  assert.equal(findPolicy('intermediate@0'), undefined);
  assert.equal(findPolicy('Intermediate'), undefined);
});
