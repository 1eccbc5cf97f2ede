/** Own lists for tests: what a configuration may say of them, and what it means. Orders that no preset has, and elements that no preset has. */
import type { OwnPolicy } from '../../src/base/tls-rules.ts';
import { compilePolicy } from '../../src/config/own-policy.ts';
import { policy } from '../../src/config/policy-setting.ts';
import { schemeName, suiteName } from '../../src/hello/names.ts';
import { SERVABLE_SCHEMES, SERVABLE_SUITES } from '../../src/hello/servable.ts';

const AES256 = ['TLS_AES_256_GCM_SHA384', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'];

export const OWN_SETTINGS: readonly object[] = [
  // All that can be had at all.
  {
    versions: [1.3, 1.2, 1.1, 1.0],
    suites: SERVABLE_SUITES.map(suiteName),
    groups: [
      'x448',
      'MLKEM512',
      'secp521r1',
      'MLKEM1024',
      'x25519',
      'SecP256r1MLKEM768',
      'secp384r1',
      'SecP384r1MLKEM1024',
      'X25519MLKEM768',
      'MLKEM768',
      'secp256r1',
    ],
    signatureSchemes: SERVABLE_SCHEMES.map(schemeName),
  },
  // The strongest of two versions, in a strange order.
  {
    suites: AES256.toReversed(),
    groups: ['secp384r1', 'X25519MLKEM768'],
    signatureSchemes: ['rsa_pss_rsae_sha512', 'ecdsa_secp384r1_sha384', 'rsa_pkcs1_sha512'],
  },
  // One of each.
  { versions: [1.3], suites: ['TLS_CHACHA20_POLY1305_SHA256'], groups: ['x25519'], signatureSchemes: ['ecdsa_secp256r1_sha256'] },
  // RSA and nothing else, up to TLS 1.2.
  {
    base: 'legacy',
    versions: [1.1, 1.2],
    suites: ['TLS_RSA_WITH_AES_256_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'TLS_RSA_WITH_AES_128_CCM'],
    groups: ['secp521r1'],
    signatureSchemes: ['rsa_pkcs1_sha1', 'rsa_pss_rsae_sha384', 'rsa_pkcs1_sha256'],
  },
];

export const OWN_POLICIES: readonly OwnPolicy[] = OWN_SETTINGS.map((setting) => {
  const own = compilePolicy(policy().parse(setting), [], (_path, message) => {
    throw new Error(message);
  });
  if (own === null || typeof own === 'string') throw new Error('own lists are no name');
  return own;
});
