/** What a certificate's key is, as far as a negotiation cares. */
export const KEY_TYPES = ['rsa', 'rsa-pss', 'p256', 'p384', 'p521', 'ed25519', 'ed448', 'mldsa44', 'mldsa65', 'mldsa87', 'other'] as const;

export type KeyType = (typeof KEY_TYPES)[number];
