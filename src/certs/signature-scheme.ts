/** Signatures of lists and answers about revocation: which algorithms are taken, and how node:crypto is told of them. RFC 5280, section 4.1.1.2. */
import { constants, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto';
import { contextTag, DER_INTEGER, DER_OID, DER_SEQUENCE, DerReader, oidText } from '../x509/der.ts';

export interface SignatureScheme {
  /** Digest by node's name. */
  readonly digest: string;
  readonly keyType: 'rsa' | 'ec';
  /** RSASSA-PSS: length of its salt. Bytes. */
  readonly saltLength: number | null;
}

const DIGESTS: Readonly<Record<string, string>> = Object.freeze({
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
});

const SCHEMES: Readonly<Record<string, SignatureScheme>> = Object.freeze({
  '1.2.840.113549.1.1.11': { digest: 'sha256', keyType: 'rsa', saltLength: null },
  '1.2.840.113549.1.1.12': { digest: 'sha384', keyType: 'rsa', saltLength: null },
  '1.2.840.113549.1.1.13': { digest: 'sha512', keyType: 'rsa', saltLength: null },
  '1.2.840.10045.4.3.2': { digest: 'sha256', keyType: 'ec', saltLength: null },
  '1.2.840.10045.4.3.3': { digest: 'sha384', keyType: 'ec', saltLength: null },
  '1.2.840.10045.4.3.4': { digest: 'sha512', keyType: 'ec', saltLength: null },
});
const RSA_PSS = '1.2.840.113549.1.1.10';

/** The scheme of an AlgorithmIdentifier's DER; null when it is not available: MD5 and SHA-1 are not. */
export function signatureScheme(der: Uint8Array): SignatureScheme | null {
  const outer = new DerReader(der);
  if (!outer.take(DER_SEQUENCE)) return null;
  const parts = outer.inside();
  if (!parts.take(DER_OID)) return null;
  const id = oidText(der, parts.start, parts.stop);
  if (id !== RSA_PSS) return SCHEMES[id] ?? null;
  if (!parts.take(DER_SEQUENCE)) return null;
  const parameters = parts.inside();
  // RFC 4055, section 3.1: the hash, its mask function (the same hash), the salt's length.
  if (!parameters.takeIf(contextTag(0, true))) return null;
  const hash = parameters.inside();
  if (!hash.take(DER_SEQUENCE)) return null;
  const hashId = hash.inside();
  if (!hashId.take(DER_OID)) return null;
  const digest = DIGESTS[oidText(der, hashId.start, hashId.stop)];
  parameters.takeIf(contextTag(1, true));
  if (digest === undefined || !parameters.takeIf(contextTag(2, true))) return null;
  const salt = parameters.inside();
  if (!salt.take(DER_INTEGER) || salt.stop - salt.start !== 1) return null;
  return { digest, keyType: 'rsa', saltLength: der[salt.start]! };
}

/** Whether a key of this kind makes signatures of that scheme. */
export function isKeyFor(key: KeyObject, { keyType, saltLength }: SignatureScheme): boolean {
  const type = key.asymmetricKeyType;
  return keyType === 'ec' ? type === 'ec' : type === 'rsa' || (type === 'rsa-pss' && saltLength !== null);
}

/** What node:crypto needs to verify a signature of that scheme. */
export function verifyOptions(key: KeyObject, { saltLength }: SignatureScheme): VerifyKeyObjectInput {
  return saltLength === null ? { key } : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}
