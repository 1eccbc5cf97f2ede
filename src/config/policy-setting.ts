/**
 * The setting that is a TLS policy: the name of one, or lists of its own. Its shape alone; whether the lists go together, own-policy.ts finds
 * out.
 */
import { z } from 'zod';
import { GROUP_NAMES, groupName, SCHEME_NAMES, schemeName, suiteName } from '../hello/names.ts';
import { policyNames } from '../hello/policies.ts';
import { refusedSuite, SERVABLE_GROUPS, SERVABLE_SCHEMES, SERVABLE_SUITES } from '../hello/servable.ts';
import { SUITE_NAMES } from '../hello/suite-names.ts';
import { about, choice, list, section } from './settings.ts';
import { didYouMean, listed, shown, wrong } from './wording.ts';

/** As a list that has a first: so zod wants its choices. */
const [FIRST_POLICY = '', ...OTHER_POLICIES] = policyNames();
const POLICY_NAMES: readonly [string, ...string[]] = [FIRST_POLICY, ...OTHER_POLICIES];
const PRESETS = POLICY_NAMES.filter((name) => /^[a-z\d-]+$/.test(name)).join(', ');
const policyName = choice(POLICY_NAMES, ['old', 'fips', 'custom'], `${PRESETS}, and what 'tollgate policies' lists`);

const VERSION_FORMS = '1.3, 1.2, 1.1 or 1.0';

/** A version as people write it: `1.2`, with quotes or without. */
const version = z
  .union(
    [1.3, 1.2, 1.1, 1, '1.3', '1.2', '1.1', '1.0'].map((form) => z.literal(form)),
    { error: ({ input }) => wrong(input, VERSION_FORMS) },
  )
  .transform((written): number => 0x0301 + Math.round((Number(written) - 1) * 10));

/** What others call some elements, without separators and in lower case: the groups of NIST, and suites as OpenSSL has them. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['p256', 'secp256r1'],
  ['prime256v1', 'secp256r1'],
  ['p384', 'secp384r1'],
  ['p521', 'secp521r1'],
  ...SERVABLE_SUITES.map(suiteName).map((name): [string, string] => [
    plain(name.replace(/^TLS_(?:RSA_(?=WITH))?/, '').replace(/_WITH|_CBC|(?<=POLY1305)_SHA256/g, '')),
    name,
  ]),
]);

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

/** One of `allowed`, by its name in IANA's registry; `refused` says why another one that has a name is not to be had. */
function element(
  what: string,
  allowed: readonly number[],
  names: ReadonlyMap<number, string>,
  nameOf: (value: number) => string,
  refused: (value: number) => string,
) {
  const numbers = new Map(allowed.map((value) => [nameOf(value), value]));
  const others = new Map([...names].map(([value, name]) => [name, value]));
  const problem = (written: unknown): string => {
    if (typeof written !== 'string') return wrong(written, `the name of ${what} in IANA's registry`);
    const other = others.get(written);
    if (other !== undefined) return `${written} is not to be had: ${refused(other)}`;
    const meant = OTHER_NAMES.get(plain(written));
    const near = meant === undefined || !numbers.has(meant) ? didYouMean(written, numbers.keys()) : `; did you mean '${meant}'?`;
    return `${shown(written)} is no name of ${what} in IANA's registry${near === '' ? `; there are ${listed([...numbers.keys()])}` : near}`;
  };
  const [first = '', ...more] = numbers.keys();
  return z.enum([first, ...more], { error: ({ input }) => problem(input) }).transform((name) => numbers.get(name)!);
}

/** Longer lists than any library has names. */
const ELEMENTS_MAX = 128;
const UNSERVED = 'it is not served';

const ownLists = section({
  base: about('The policy whose lists are taken where none is given here.', policyName.prefault('intermediate')),
  versions: about(
    "Versions of TLS, without gaps. Default: the base's.",
    list(version, `a list of versions (${VERSION_FORMS})`, 1, 4).optional(),
  ),
  suites: about(
    "Cipher suites by their names in IANA's registry, best first. Default: the base's, as far as the versions have them.",
    list(
      element('a cipher suite', SERVABLE_SUITES, SUITE_NAMES, suiteName, (suite) => refusedSuite(suite) ?? UNSERVED),
      'a list of cipher suites, best first',
      1,
      ELEMENTS_MAX,
    ).optional(),
  ),
  groups: about(
    "Groups for the exchange of keys, best first. Default: the base's.",
    list(
      element('a group', SERVABLE_GROUPS, GROUP_NAMES, groupName, () => UNSERVED),
      'a list of groups, best first',
      1,
      ELEMENTS_MAX,
    ).optional(),
  ),
  signatureSchemes: about(
    "Signature schemes, best first. Default: the base's.",
    list(
      element('a signature scheme', SERVABLE_SCHEMES, SCHEME_NAMES, schemeName, () => UNSERVED),
      'a list of signature schemes, best first',
      1,
      ELEMENTS_MAX,
    ).optional(),
  ),
});

export type OwnLists = z.output<typeof ownLists>;

const POLICY_FORMS = `a policy's name (${PRESETS}, and what 'tollgate policies' lists), or a mapping of base, versions, suites, groups, signatureSchemes`;

/** A name, or own lists. */
export function policy() {
  return z.union([policyName, ownLists], {
    // Of a mapping, the sentence is its member's (check.ts).
    error: ({ input }) => (typeof input === 'string' ? policyName.safeParse(input).error!.issues[0]!.message : wrong(input, POLICY_FORMS)),
  });
}
