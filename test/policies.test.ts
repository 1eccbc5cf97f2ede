/**
 * The policies as data, proven for the pinned s2n: names by its file, contents by asking. Every element alone is accepted, everything else
 * (one of each class of suites, every other group and scheme that has a name) is not.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { groupName, schemeName, suiteName, versionName } from '../src/hello/names.ts';
import { allPolicies, findPolicy, policyNames } from '../src/hello/policies.ts';
import { isPostQuantum, type Policy } from '../src/hello/policy.ts';
import { s2nLibraryPath } from '../src/native/library-path.ts';
import { type Allowed, probePolicy } from './support/probe-policy.ts';
import { knowsPolicy, ProbeServer } from './support/probe-server.ts';
import type { KeyKind, SelfSigned } from './support/test-certificate.ts';

const server = new ProbeServer();
after(() => server.close());

const KINDS: readonly KeyKind[] = ['p256', 'rsa', 'p384', 'p521', 'rsa-pss', 'mldsa44', 'mldsa65', 'mldsa87'];

test('policyNames() has exactly the names of load balancers and CloudFront that the library knows', () => {
  const file = readFileSync(s2nLibraryPath(), 'latin1');
  const written = new Set(file.match(/(?<=\0)(?:ELBSecurityPolicy|CloudFront)-[\w.-]+(?=\0)/g));
  const known = [...written].filter(knowsPolicy).sort();
  assert.ok(known.length > 0);
  assert.deepEqual(
    policyNames()
      .filter((name) => /^(?:ELB|Cloud)/.test(name))
      .sort(),
    known,
  );
});

test('every policy has a name that s2n knows', () => {
  for (const { name, s2n } of allPolicies()) if (s2n !== null) assert.ok(knowsPolicy(s2n), `${name}: ${s2n}`);
});

/** What s2n's policy of this name allows. Several of ours share one. */
const asked = new Map<string, Promise<Allowed>>();

async function ask(s2n: string): Promise<Allowed> {
  let using: SelfSigned | null = null;
  return await probePolicy(async (certificate) => {
    if (certificate !== using) server.use(s2n, [certificate]);
    using = certificate;
    return server.port;
  }, KINDS);
}

function told({ versions, suites, groups, signatureSchemes }: Pick<Policy, keyof Allowed> | Allowed): Record<string, string[]> {
  return {
    versions: versions.map(versionName).sort(),
    suites: suites.map(suiteName).sort(),
    groups: groups.map(groupName).sort(),
    signatureSchemes: signatureSchemes.map(schemeName).sort(),
  };
}

for (const policy of allPolicies()) {
  const { name, s2n } = policy;
  if (s2n === null) continue;
  test(`${name} allows what it says, and nothing else`, async () => {
    if (!asked.has(s2n)) asked.set(s2n, ask(s2n));
    const allowed = await asked.get(s2n)!;
    // What a listener refuses in front of s2n, s2n would take.
    const groups = policy.requirePostQuantum ? allowed.groups.filter(isPostQuantum) : allowed.groups;
    assert.deepEqual(told({ ...allowed, groups }), told(policy));
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
