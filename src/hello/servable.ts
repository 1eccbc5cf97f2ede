/**
 * What own lists may name: versions, suites, groups and signature schemes that OpenSSL 3.5 serves and that a server should, whatever the preset.
 * Left out is what protects nobody (NULL, export, RC4, DES, anonymous) and what no server here does (pre-shared keys, finite-field
 * Diffie-Hellman). Why something is left out is said by its name. Data; src/tls/openssl-policy.test.ts holds it against the library.
 */
import { SCHEME_NAMES } from './names.ts';
import { isPostQuantum } from './policy.ts';
import { keyOfScheme } from './scheme-traits.ts';
import { SUITE_NAMES } from './suite-names.ts';
import { needsTls12, SUITE_DHE_RSA, SUITE_OTHER, SUITE_TLS13, suiteKind } from './suite-traits.ts';

const TLS12 = 0x0303;
const TLS13 = 0x0304;

/** Why a suite is not to be had, by what is in its name; the first that fits. */
const REFUSED: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/_NULL_/, 'it encrypts nothing'],
  [/_EXPORT_/, 'it is of export strength'],
  [/_anon_/, 'it proves nobody to be who they say'],
  [/_RC4_/, 'RC4 is broken (RFC 7465)'],
  [/_3?DES_|_IDEA_|_RC2_/, 'ciphers of 64-bit blocks are broken (SWEET32)'],
  [/_PSK_|_SRP_/, 'keys shared beforehand are not served'],
  [/_CCM_8/, 'a tag of 8 bytes is too short for TLS of the web'],
  [/^TLS_DHE?_/, 'finite-field Diffie-Hellman is not served; take ECDHE'],
  [/^TLS_ECDH_/, 'keys that are the same for every connection are not served; take ECDHE'],
];

/** One sentence's end for a suite that own lists may not have; null: they may. */
export function refusedSuite(suite: number): string | null {
  const name = SUITE_NAMES.get(suite) ?? '';
  const why = REFUSED.find(([pattern]) => pattern.test(name))?.[1];
  if (why !== undefined) return why;
  const kind = suiteKind(suite);
  const isServed = kind !== SUITE_OTHER && kind !== SUITE_DHE_RSA && /_(?:AES|CHACHA20|CAMELLIA|ARIA)_/.test(name);
  return isServed ? null : 'it is not served';
}

export const SERVABLE_VERSIONS: readonly number[] = Object.freeze([TLS13, TLS12, 0x0302, 0x0301]);
export const SERVABLE_SUITES: readonly number[] = Object.freeze([...SUITE_NAMES.keys()].filter((suite) => refusedSuite(suite) === null));
export const SERVABLE_GROUPS: readonly number[] = Object.freeze([
  0x11ec, 0x11eb, 0x11ed, 0x0200, 0x0201, 0x0202, 0x001d, 0x0017, 0x0018, 0x0019, 0x001e,
]);
export const SERVABLE_SCHEMES: readonly number[] = Object.freeze(
  [...SCHEME_NAMES.keys()].filter((scheme) => keyOfScheme(scheme, TLS12) !== null || keyOfScheme(scheme, TLS13) !== null),
);

/** Whether `suite` can be agreed on in `version`. */
export function suiteIsOf(suite: number, version: number): boolean {
  if (suiteKind(suite) === SUITE_TLS13) return version >= TLS13;
  return version <= TLS12 && (version === TLS12 || !needsTls12(suite));
}

/** Whether `group` can: those with ML-KEM are of TLS 1.3 alone. */
export function groupIsOf(group: number, version: number): boolean {
  return version >= TLS13 || !isPostQuantum(group);
}

/** Whether something can be signed by `scheme`: below TLS 1.2 there are none. */
export function schemeIsOf(scheme: number, version: number): boolean {
  return version >= TLS12 && keyOfScheme(scheme, version) !== null;
}
