/** What each of our TLS policies allows. Data: for the engine that takes lists instead of names, and for whoever explains a handshake. */
import type { TlsRules } from '../base/tls-rules.ts';

const SUITES_13 = [0x1301, 0x1302, 0x1303];
/** ECDHE with ECDSA or RSA, AES-GCM and ChaCha20. */
const SUITES_12 = [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8];
/** X25519MLKEM768, x25519, P-256, P-384, P-521. */
const GROUPS = [0x11ec, 0x001d, 0x0017, 0x0018, 0x0019];
/** ECDSA and RSA-PSS; PKCS #1 for TLS 1.2 and for what signs certificates. */
const SCHEMES = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601];

export const POLICY_RULES: Readonly<Record<'intermediate' | 'modern', TlsRules>> = Object.freeze({
  intermediate: { versions: [0x0304, 0x0303], suites: [...SUITES_13, ...SUITES_12], groups: GROUPS, signatureSchemes: SCHEMES },
  modern: { versions: [0x0304], suites: SUITES_13, groups: GROUPS, signatureSchemes: SCHEMES },
});
