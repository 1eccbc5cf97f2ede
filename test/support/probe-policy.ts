/**
 * What a server's policy allows, found by asking: every version, suite, group and signature scheme that has a name is offered alone, and the
 * server's answer says whether it took it. A scheme counts as taken when the server signed by it: s2n signs by one of its own when it has
 * nothing in common with the client, so that not being refused says nothing.
 */

import type { HelloDescription } from '../../src/hello/hello-writer.ts';
import { GROUP_NAMES, SCHEME_NAMES } from '../../src/hello/names.ts';
import { keyOfScheme } from '../../src/hello/scheme-traits.ts';
import { SERVABLE_SUITES } from '../../src/hello/servable.ts';
import { SUITE_NAMES } from '../../src/hello/suite-names.ts';
import type { KeyKind, SelfSigned } from './test-certificate.ts';
import { selfSigned } from './test-certificate.ts';
import { type Answer, PROBE_SHARES, probe } from './tls-probe.ts';

export interface Allowed {
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  readonly groups: readonly number[];
  readonly signatureSchemes: readonly number[];
}

/** Gives the port of a server with this certificate. */
export type Serve = (certificate: SelfSigned) => Promise<number>;

const TLS12 = 0x0303;
const TLS13 = 0x0304;
/** All that some server here could do, and of every other class the ones that a server would have first. */
const OUTSIDE = [
  'NULL',
  'EXPORT',
  '_anon_',
  'TLS_DHE_DSS',
  'TLS_DH_',
  'TLS_ECDH_',
  'PSK',
  'SRP',
  'CAMELLIA',
  'ARIA',
  'CCM',
  '_DES_',
  'IDEA',
  'SEED',
  'GOST',
];
const CLASSES = [...SUITE_NAMES.entries()]
  .filter(([suite, name]) => suite !== 0x00ff && suite !== 0x5600 && firstOfItsClass(name))
  .map(([suite]) => suite);
const SUITES = [...new Set([...CLASSES, ...SERVABLE_SUITES])];
const NEW_SUITES = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305];
const OLD_SUITES = SUITES.filter((suite) => !NEW_SUITES.includes(suite));
/** Forward-secret ones, by the key they want. */
const ECDHE_ECDSA = OLD_SUITES.filter((suite) => SUITE_NAMES.get(suite)!.startsWith('TLS_ECDHE_ECDSA'));
const ECDHE_RSA = OLD_SUITES.filter((suite) => SUITE_NAMES.get(suite)!.startsWith('TLS_ECDHE_RSA'));
const GROUPS = [...GROUP_NAMES.keys()];
const SHARED = [...PROBE_SHARES.keys()];
const SCHEMES = [...SCHEME_NAMES.keys()];
const USUAL_SCHEMES = [
  0x403, 0x503, 0x603, 0x804, 0x805, 0x806, 0x401, 0x501, 0x601, 0x809, 0x80a, 0x80b, 0x904, 0x905, 0x906, 0x201, 0x203,
];

function firstOfItsClass(name: string): boolean {
  const outside = OUTSIDE.filter((part) => name.includes(part));
  return outside.every((part) => [...SUITE_NAMES.values()].find((other) => other.includes(part)) === name);
}

/** Keys that could sign so; any, for schemes that nobody here has. */
function kindsFor(scheme: number, kinds: readonly KeyKind[]): readonly KeyKind[] {
  const wanted = [keyOfScheme(scheme, TLS13), keyOfScheme(scheme, TLS12)];
  const fitting = kinds.filter((kind) => wanted.includes(kind) || (wanted.includes('ecdsa') && kind === 'p256'));
  return fitting.length > 0 ? fitting : kinds.slice(0, 2);
}

/** Everything old clients had, at most up to `version`. */
export function oldHello(version: number, change: Partial<HelloDescription> = {}): HelloDescription {
  return {
    legacyVersion: version,
    versions: [],
    suites: OLD_SUITES,
    groups: [0x17, 0x18, 0x19, 0x1d],
    keyShares: [],
    signatureSchemes: version < TLS12 ? [] : USUAL_SCHEMES,
    alpn: [],
    ...change,
  };
}

export function newHello(change: Partial<HelloDescription> = {}): HelloDescription {
  return {
    legacyVersion: TLS12,
    versions: [TLS13],
    suites: NEW_SUITES,
    groups: SHARED,
    keyShares: [],
    signatureSchemes: USUAL_SCHEMES,
    alpn: [],
    ...change,
  };
}

/**
 * Asks `serve`'s server. `kinds`: keys that it can have a certificate of. `every`: every suite that own lists may have, and not only the first of
 * each class that no preset has.
 */
export async function probePolicy(serve: Serve, kinds: readonly KeyKind[], every: boolean): Promise<Allowed> {
  const ask = async (kind: KeyKind, hello: HelloDescription): Promise<Answer> => await probe(await serve(selfSigned(kind)), hello);
  const versions: number[] = [];
  // An RSA key serves the oldest suites, and so the oldest versions.
  for (const version of [0x0300, 0x0301, 0x0302, TLS12]) {
    const answer = await ask('rsa', oldHello(version));
    if (answer.served && answer.version === version) versions.push(version);
  }
  const first = await firstServed(kinds, (kind) => ask(kind, newHello()));
  if (first !== null) versions.push(TLS13);

  const suites: number[] = [];
  for (const suite of every ? SUITES : CLASSES) {
    const isNew = NEW_SUITES.includes(suite);
    if (isNew ? first === null : !versions.some((version) => version <= TLS12)) continue;
    const kind = isNew ? first! : SUITE_NAMES.get(suite)!.includes('ECDSA') ? 'p256' : 'rsa';
    const highest = Math.max(...versions.filter((version) => version <= TLS12));
    const answer = await ask(kind, isNew ? newHello({ suites: [suite] }) : oldHello(highest, { suites: [suite] }));
    if (answer.served && answer.suite === suite) suites.push(suite);
  }

  const groups: number[] = [];
  for (const group of GROUPS) {
    const keyShares = PROBE_SHARES.has(group) ? [group] : [];
    const answers = [
      ...(first === null ? [] : [await ask(first, newHello({ groups: [group], keyShares }))]),
      ...(versions.includes(TLS12) ? [await ask('rsa', oldHello(TLS12, { groups: [group], suites: ECDHE_RSA }))] : []),
    ];
    if (answers.some((answer) => answer.served && answer.group === group)) groups.push(group);
  }

  const signatureSchemes: number[] = [];
  for (const scheme of SCHEMES) {
    for (const kind of kindsFor(scheme, kinds)) {
      const suites = kind.startsWith('rsa') ? ECDHE_RSA : ECDHE_ECDSA;
      const answers = [
        ...(first === null ? [] : [await ask(kind, newHello({ signatureSchemes: [scheme] }))]),
        ...(versions.includes(TLS12) ? [await ask(kind, oldHello(TLS12, { signatureSchemes: [scheme], suites }))] : []),
      ];
      if (!answers.some((answer) => answer.served && answer.scheme === scheme)) continue;
      signatureSchemes.push(scheme);
      break;
    }
  }
  return { versions, suites, groups, signatureSchemes };
}

async function firstServed(kinds: readonly KeyKind[], ask: (kind: KeyKind) => Promise<Answer>): Promise<KeyKind | null> {
  for (const kind of kinds) if ((await ask(kind)).served) return kind;
  return null;
}
