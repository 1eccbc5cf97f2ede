/**
 * A private key in PEM: of which kind it is, and whose. Its bytes stay bytes in memory that is zeroed, never text; no message quotes them.
 *
 * A key on a curve is read here (RFC 5915, RFC 5958) and its public half computed: that is what a TLS library asks of it before it signs,
 * and costs a third of what OpenSSL's decoders need to find out which kind of key they have. All others are OpenSSL's to read.
 */
import { createECDH, createPrivateKey, type ECDH, type KeyObject, X509Certificate } from 'node:crypto';
import type { KeyType } from '../base/key-type.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { derOf, type PemBlock } from '../certs/pem.ts';
import type { Certificate } from '../x509/certificate.ts';
import { contextTag, DER_BIT_STRING, DER_INTEGER, DER_OCTET_STRING, DER_OID, DER_SEQUENCE, DerReader, oidText } from '../x509/der.ts';

const RSA_BITS_MIN = 2_048;
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
/** By their object identifiers. */
const CURVES: Readonly<Record<string, { readonly name: string; readonly keyType: KeyType }>> = {
  '1.2.840.10045.3.1.7': { name: 'prime256v1', keyType: 'p256' },
  '1.3.132.0.34': { name: 'secp384r1', keyType: 'p384' },
  '1.3.132.0.35': { name: 'secp521r1', keyType: 'p521' },
};
/** The first byte of a point that is written with one coordinate. SEC 1, section 2.3.3. */
const COMPRESSED: readonly number[] = [2, 3];

export interface PrivateKey {
  readonly keyType: KeyType;
  isOf(certificate: Certificate): boolean;
}

/** The key in `block` of the file `path`. Throws TollgateError when it is none that a listener could have. */
export function readPrivateKey(block: PemBlock, path: string): PrivateKey {
  return keyOnCurve(block, path) ?? otherKey(block, path);
}

function unreadable(path: string): TollgateError {
  // OpenSSL's own words say nothing of use to a person, and are not passed on.
  return invalid(`the private key in ${path} cannot be read`);
}

function invalid(message: string): TollgateError {
  return new TollgateError('certificate_invalid', message);
}

// --- on curves ----------------------------------------------------------------------------------------------------------

/** Null: it is no such key, or on no curve of ours. */
function keyOnCurve(block: PemBlock, path: string): PrivateKey | null {
  const der = derOf(block);
  try {
    const key = readKeyOnCurve(der);
    const curve = key === null ? undefined : CURVES[key.curve];
    if (key === null || curve === undefined) return null;
    const point = pointOf(curve.name, key.secret);
    if (point === null || (key.point !== null && !isSamePoint(point, key.point))) throw unreadable(path);
    return { keyType: curve.keyType, isOf: ({ publicKeyDer }) => isPublicKey(publicKeyDer, key.curve, point) };
  } finally {
    der.fill(0);
  }
}

/** Views of the key. */
interface KeyOnCurve {
  /** Object identifier. */
  readonly curve: string;
  readonly secret: Uint8Array;
  readonly point: Uint8Array | null;
}

/** Either of its two forms: by itself, or in one that any key may have. */
function readKeyOnCurve(der: Uint8Array): KeyOnCurve | null {
  const outer = new DerReader(der);
  if (!outer.take(DER_SEQUENCE)) return null;
  const parts = outer.inside();
  if (!parts.take(DER_INTEGER)) return null;
  if (!parts.takeIf(DER_SEQUENCE)) return readBare(outer, '');
  const curve = curveIn(parts.inside());
  if (!parts.take(DER_OCTET_STRING)) return null;
  const wrapped = parts.inside();
  return wrapped.take(DER_SEQUENCE) ? readBare(wrapped, curve) : null;
}

/** ECPrivateKey. `curve`: as the form around it says. */
function readBare(key: DerReader, curve: string): KeyOnCurve | null {
  const parts = key.inside();
  if (!parts.take(DER_INTEGER) || !parts.take(DER_OCTET_STRING)) return null;
  const secret = parts.contents();
  const own = parts.takeIf(contextTag(0, true)) ? oidIn(parts.inside()) : curve;
  let point: Uint8Array | null = null;
  if (parts.takeIf(contextTag(1, true))) {
    const bits = parts.inside();
    if (!bits.take(DER_BIT_STRING)) return null;
    point = bits.contents().subarray(1);
  }
  return parts.failed || !parts.isAtEnd || (curve !== '' && own !== curve) ? null : { curve: own, secret, point };
}

/** The curve that an AlgorithmIdentifier names; '': it is no key's on a curve, or names none. */
function curveIn(algorithm: DerReader): string {
  return oidIn(algorithm) === EC_PUBLIC_KEY ? oidIn(algorithm) : '';
}

function oidIn(reader: DerReader): string {
  return reader.take(DER_OID) ? oidText(reader.bytes, reader.start, reader.stop) : '';
}

/** By curve. Each keeps the secret that it was given last: this process keeps them all, for its workers. */
const exchanges = new Map<string, ECDH>();

/** The public key of `secret`; null: it is none on that curve. */
function pointOf(curve: string, secret: Uint8Array): Buffer | null {
  const exchange = exchanges.get(curve) ?? createECDH(curve);
  exchanges.set(curve, exchange);
  try {
    exchange.setPrivateKey(secret);
    return exchange.getPublicKey();
  } catch {
    return null;
  }
}

function isPublicKey(der: Uint8Array, curve: string, point: Uint8Array): boolean {
  const outer = new DerReader(der);
  if (!outer.take(DER_SEQUENCE)) return false;
  const parts = outer.inside();
  if (!parts.take(DER_SEQUENCE) || curveIn(parts.inside()) !== curve || !parts.take(DER_BIT_STRING)) return false;
  return isSamePoint(point, parts.contents().subarray(1));
}

/** `point` has both coordinates; `other` may have one, and which of two it is. */
function isSamePoint(point: Uint8Array, other: Uint8Array): boolean {
  if (!COMPRESSED.includes(other[0] ?? 0)) return Buffer.compare(point, other) === 0;
  const half = (point.length - 1) / 2;
  return other[0] === 2 + (point.at(-1)! & 1) && Buffer.compare(point.subarray(1, 1 + half), other.subarray(1)) === 0;
}

// --- all others ---------------------------------------------------------------------------------------------------------

function otherKey(block: PemBlock, path: string): PrivateKey {
  const object = keyObject(block, path);
  return {
    keyType: kindOf(object, path),
    isOf: ({ der }) => {
      try {
        return new X509Certificate(der).checkPrivateKey(object);
      } catch {
        // OpenSSL has no name for the certificate's.
        return false;
      }
    },
  };
}

function keyObject(block: PemBlock, path: string): KeyObject {
  try {
    return createPrivateKey(block.bytes);
  } catch {
    throw unreadable(path);
  }
}

/** What the TLS engine can sign with, and what browsers accept. */
function kindOf(key: KeyObject, path: string): KeyType {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if ((modulusLength ?? 0) < RSA_BITS_MIN) throw invalid(`the RSA key in ${path} has ${modulusLength} bits; ${RSA_BITS_MIN} at least`);
      return 'rsa';
    case 'ec': {
      const curve = Object.values(CURVES).find(({ name }) => name === namedCurve);
      if (curve === undefined) throw invalid(`the key in ${path} is on the curve ${namedCurve}; available: P-256, P-384, P-521`);
      return curve.keyType;
    }
    default:
      throw invalid(`keys of the type ${key.asymmetricKeyType} are not available (${path}); use ECDSA (P-256) or RSA`);
  }
}
