/**
 * What src/hello says a server would agree on, held against the servers themselves: known clients and clients at random, replayed as bytes
 * under many policies and certificates. Every answer is compared in full: version, suite, group, retry, scheme, certificate.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { EngineName } from '../src/base/engine-name.ts';
import { faultOf } from '../src/base/faults.ts';
import { TestRandom } from '../src/base/test-random.ts';
import { ClientHello, readClientHello } from '../src/hello/client-hello.ts';
import { type HelloDescription, writeClientHello } from '../src/hello/hello-writer.ts';
import { KNOWN_CLIENTS } from '../src/hello/known-clients.ts';
import { groupName, schemeName, suiteName, versionName } from '../src/hello/names.ts';
import { Agreement, negotiate } from '../src/hello/negotiate.ts';
import { allPolicies, policyOf } from '../src/hello/policies.ts';
import type { Policy } from '../src/hello/policy.ts';
import { SERVABLE_SUITES } from '../src/hello/servable.ts';
import { OWN_POLICIES } from './support/own-policies.ts';
import { ProbeServer } from './support/probe-server.ts';
import { type KeyKind, selfSigned } from './support/test-certificate.ts';
import { type Answer, PROBE_SHARES, probe } from './support/tls-probe.ts';

const server = new ProbeServer();
after(() => server.close());

const hello = new ClientHello();
const agreement = new Agreement();

const KEY_SETS: readonly (readonly KeyKind[])[] = [['p256'], ['rsa'], ['p256', 'rsa'], ['p384'], ['rsa-pss'], ['p521', 'rsa', 'mldsa87']];
const AWS_SAMPLE = [
  'ELBSecurityPolicy-2016-08',
  'ELBSecurityPolicy-FS-1-2-Res-2019-08',
  'ELBSecurityPolicy-TLS13-1-2-CNSA2-INTEROP3-FIPS-PQ-2026-07',
  'CloudFront-SSL-v-3',
  'CloudFront-TLS-1-0-2016',
  'CloudFront-TLS-1-2-2021-Chacha20-Boosted',
  'CloudFront-TLS-1-2-2021-PQ',
];
/** What is refused before s2n sees it is not s2n's to show. */
const SERVABLE = allPolicies().filter(({ requirePostQuantum }) => !requirePostQuantum);
const PRESETS = allPolicies().filter(({ name }) => name.includes('@'));
const SAMPLE = SERVABLE.filter(({ name }) => name.includes('@') || AWS_SAMPLE.includes(name));

/** Lists as a configuration may have them, in orders of their own. */
const OWN = OWN_POLICIES.map(policyOf);

/** The two in the same words, so that a difference is read at a glance. */
function predicted(client: HelloDescription, policy: Policy, keys: readonly KeyKind[], engine: EngineName): string {
  const bytes = writeClientHello(client, { name: 'localhost', keys: PROBE_SHARES });
  assert.equal(readClientHello(bytes, 0, bytes.length, hello), bytes.length);
  const result = negotiate(hello, policy, keys, engine, agreement);
  if (result < 0) return 'refused';
  const { version, suite, group, retried, scheme, certificate } = agreement;
  return told(version, suite, group, retried, scheme, keys[certificate]!);
}

function seen(answer: Answer, keys: readonly KeyKind[]): string {
  if (!answer.served) return 'refused';
  const { version, suite, group, retried, scheme, certificate } = answer;
  const kind = keys.find((key) => certificate !== null && selfSigned(key).der.equals(certificate));
  return told(version, suite, group, retried, scheme, kind ?? 'an unknown one');
}

function told(version: number, suite: number, group: number, retried: boolean, scheme: number, kind: string): string {
  const parts = [
    versionName(version),
    suiteName(suite),
    group === 0 ? 'no group' : groupName(group),
    scheme === 0 ? 'unsigned' : schemeName(scheme),
  ];
  return `${parts.join(', ')}, ${kind}${retried ? ', retried' : ''}`;
}

interface Case {
  readonly client: HelloDescription & { readonly id?: string };
  readonly policy: Policy;
  readonly keys: readonly KeyKind[];
}

async function compare(engine: EngineName, cases: Iterable<Case>, repeat: string): Promise<number> {
  const wrong: string[] = [];
  let compared = 0;
  // By what they are: own lists all have one name.
  let used: readonly [Policy?, (readonly KeyKind[])?] = [];
  for (const { client, policy, keys } of cases) {
    if (used[0] !== policy || used[1] !== keys) {
      server.use(
        engine,
        policy,
        keys.map((key) => selfSigned(key)),
      );
    }
    used = [policy, keys];
    const expected = predicted(client, policy, keys, engine);
    const answer = seen(await probe(server.port, client), keys);
    compared++;
    if (answer === expected) continue;
    wrong.push(`${client.id ?? JSON.stringify(client)} on ${policy.name} with ${keys}: expected ${expected}; seen ${answer}`);
  }
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} of ${compared} differ; ${repeat}`);
  return compared;
}

function* known(policies: readonly Policy[]): Generator<Case> {
  for (const [at, policy] of policies.entries()) {
    // Two kinds of keys for each policy in turn: each client meets each of both.
    for (const keys of [KEY_SETS[at % 3]!, KEY_SETS[3 + (at % 3)]!]) for (const client of KNOWN_CLIENTS) yield { client, policy, keys };
  }
}

function* random(seed: number, policies: readonly Policy[]): Generator<Case> {
  const source = new TestRandom(seed);
  for (let i = 0; i < 60; i++) {
    const policy = source.of(policies);
    const keys = source.of(KEY_SETS);
    for (let j = 0; j < 30; j++) yield { client: randomClient(source), policy, keys };
  }
}

const seed = Number(process.env.TOLLGATE_SEED ?? Date.now() % 2 ** 31);
const repeat = `TOLLGATE_SEED=${seed} repeats it`;

test('negotiate() says what s2n does with every known client, under every preset and a choice of AWS policies', async (t) => {
  const compared = await compare('s2n', known(SAMPLE), 'all of them, always');
  t.diagnostic(`${compared} negotiations compared`);
  assert.ok(compared >= 100);
});

test('negotiate() says what s2n does with clients at random', async (t) => {
  t.diagnostic(`seed ${seed}`);
  await compare('s2n', random(seed, SERVABLE), repeat);
});

test('negotiate() says what OpenSSL does with every known client, under every preset and own lists', async (t) => {
  const compared = await compare('openssl', known([...PRESETS, ...OWN]), 'all of them, always');
  t.diagnostic(`${compared} negotiations compared`);
  assert.ok(compared >= 100);
});

test('negotiate() says what OpenSSL does with clients at random', async (t) => {
  t.diagnostic(`seed ${seed}`);
  await compare('openssl', random(seed, [...PRESETS, ...OWN]), repeat);
});

/** Suites, groups and schemes that policies know, and some that none does. */
const SUITES = [...new Set([...allPolicies().flatMap(({ suites }) => suites), ...SERVABLE_SUITES, 0x0033, 0x009e, 0x1304, 0xcca8, 0x0a0a])];
const GROUPS = [...PROBE_SHARES.keys()];
const OTHER_GROUPS = [0x0016, 0x0100, 0x2a2a];
const SCHEMES = [...new Set([...allPolicies().flatMap(({ signatureSchemes }) => signatureSchemes), 0x0807, 0x0808, 0x0202])];

function randomClient(random: TestRandom): HelloDescription {
  const some = (list: readonly number[], most: number): number[] => {
    const wanted = 1 + random.below(most);
    const picked = new Set<number>();
    while (picked.size < Math.min(wanted, list.length)) picked.add(random.of(list));
    return [...picked];
  };
  const is13 = random.below(3) > 0;
  const groups = random.once(12) ? [] : [...some(GROUPS, 5), ...(random.once(4) ? [random.of(OTHER_GROUPS)] : [])];
  return {
    legacyVersion: is13 ? 0x0303 : random.of([0x0300, 0x0301, 0x0302, 0x0303, 0x0303, 0x0303]),
    versions: is13
      ? random.of([[0x0304], [0x0304, 0x0303], [0x3a3a, 0x0304, 0x0303, 0x0302, 0x0301], [0x0303, 0x0302], [0x0304, 0x0301]])
      : [],
    suites: [...some(SUITES, random.once(2) ? 40 : 8), ...(random.once(12) ? [0x5600] : []), ...(random.once(2) ? [0x00ff] : [])],
    groups,
    // RFC 8446, section 4.2.8: keys for groups of the list, in its order.
    keyShares: groups.filter((group) => PROBE_SHARES.has(group) && random.once(2)),
    signatureSchemes: random.once(12) ? [] : some(SCHEMES, 12),
    alpn: random.once(2) ? ['h2', 'http/1.1'] : [],
  };
}

test('negotiate() has a fault with a row in the table for every refusal', () => {
  const client = KNOWN_CLIENTS.find(({ id }) => id === 'ie-8-xp')!;
  const bytes = writeClientHello(client, { name: 'localhost' });
  assert.ok(readClientHello(bytes, 0, bytes.length, hello) > 0);
  for (const policy of SAMPLE) {
    const result = negotiate(hello, policy, ['rsa'], 's2n', agreement);
    assert.ok(result === 1 || faultOf(result).reason.length > 0);
  }
});
