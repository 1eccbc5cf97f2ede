/** What a negotiation must know of a cipher suite beside its name: how keys are exchanged, what key signs, since which version it exists. */
import { SUITE_NAMES } from './suite-names.ts';

/** How a suite exchanges keys, and by what key the server proves itself. Everything else (anonymous, PSK, static DH) no server here does. */
export const SUITE_OTHER = 0;
export const SUITE_TLS13 = 1;
export const SUITE_ECDHE_ECDSA = 2;
export const SUITE_ECDHE_RSA = 3;
export const SUITE_RSA = 4;
export const SUITE_DHE_RSA = 5;

/** TLS_FALLBACK_SCSV, RFC 7507: this hello is a second try, with a lower version. */
export const FALLBACK_SCSV = 0x5600;

const KINDS = new Map<number, number>();
const TLS12_ONLY = new Set<number>();
const CHACHA = new Set<number>();

for (const [suite, name] of SUITE_NAMES) {
  if (suite >>> 8 === 0x13) KINDS.set(suite, SUITE_TLS13);
  else if (name.startsWith('TLS_ECDHE_ECDSA_')) KINDS.set(suite, SUITE_ECDHE_ECDSA);
  else if (name.startsWith('TLS_ECDHE_RSA_')) KINDS.set(suite, SUITE_ECDHE_RSA);
  else if (name.startsWith('TLS_RSA_WITH_')) KINDS.set(suite, SUITE_RSA);
  else if (name.startsWith('TLS_DHE_RSA_')) KINDS.set(suite, SUITE_DHE_RSA);
  if (/_(?:GCM|CCM|POLY1305|SHA256|SHA384)/.test(name)) TLS12_ONLY.add(suite);
  if (name.includes('CHACHA20_POLY1305')) CHACHA.add(suite);
}

export function suiteKind(suite: number): number {
  return KINDS.get(suite) ?? SUITE_OTHER;
}

/** Suites with AEAD or a SHA-2 MAC do not exist below TLS 1.2. RFC 5246, section 1.2; RFC 5288, section 4. */
export function needsTls12(suite: number): boolean {
  return TLS12_ONLY.has(suite);
}

export function isChacha(suite: number): boolean {
  return CHACHA.has(suite);
}
