/**
 * Self-signed certificates for `localhost` with keys of every kind, ML-DSA among them, which Debian's openssl cannot make: DER written by
 * hand, signed by node.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export type KeyKind = 'rsa' | 'rsa-pss' | 'p256' | 'p384' | 'p521' | 'mldsa44' | 'mldsa65' | 'mldsa87' | 'ed25519';

export interface SelfSigned {
  readonly kind: KeyKind;
  readonly der: Buffer;
  readonly chainPem: Buffer;
  readonly keyPem: Buffer;
}

const made = new Map<string, SelfSigned>();

/** Made once per process for a kind and a name. */
export function selfSigned(kind: KeyKind, name = 'localhost'): SelfSigned {
  const known = made.get(`${kind} ${name}`);
  if (known !== undefined) return known;
  const { publicKey, privateKey } = keyPair(kind);
  const algorithm = SIGNATURES[kind];
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const subject = seq(set(seq(oid('550403'), tlv(0x0c, Buffer.from(name)))));
  const now = Date.now();
  const serial = createHash('sha256').update(spki).digest().subarray(0, 8);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const body = seq(
    tlv(0xa0, tlv(2, Buffer.of(2))),
    tlv(2, serial),
    algorithm,
    subject,
    seq(time(now - 86_400_000), time(now + 2 * 86_400_000)),
    subject,
    spki,
    tlv(0xa3, seq(seq(oid('551d11'), tlv(4, seq(tlv(0x82, Buffer.from(name))))))),
  );
  const signature = signBody(kind, body, privateKey);
  const der = seq(body, algorithm, tlv(3, Buffer.concat([Buffer.of(0), signature])));
  const certificate: SelfSigned = {
    kind,
    der,
    chainPem: pem('CERTIFICATE', der),
    keyPem: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
  made.set(`${kind} ${name}`, certificate);
  return certificate;
}

function keyPair(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (kind) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2_048 });
    case 'rsa-pss':
      return generateKeyPairSync('rsa-pss', { modulusLength: 2_048 });
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    case 'p521':
      return generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'mldsa44':
      return generateKeyPairSync('ml-dsa-44');
    case 'mldsa65':
      return generateKeyPairSync('ml-dsa-65');
    case 'mldsa87':
      return generateKeyPairSync('ml-dsa-87');
  }
}

function signBody(kind: KeyKind, body: Buffer, key: KeyObject): Buffer {
  if (kind === 'ed25519' || kind.startsWith('mldsa')) return sign(null, body, key);
  if (kind === 'rsa-pss') return sign('sha256', body, { key, saltLength: 32 });
  return sign(kind === 'p384' ? 'sha384' : kind === 'p521' ? 'sha512' : 'sha256', body, key);
}

const PSS_SHA256 = '0609608648016503040201';

/** AlgorithmIdentifier of the signature. */
const SIGNATURES: Readonly<Record<KeyKind, Buffer>> = {
  rsa: seq(oid('2a864886f70d01010b'), Buffer.of(5, 0)),
  'rsa-pss': seq(
    oid('2a864886f70d01010a'),
    seq(
      tlv(0xa0, seq(Buffer.from(PSS_SHA256, 'hex'), Buffer.of(5, 0))),
      tlv(0xa1, seq(oid('2a864886f70d010108'), seq(Buffer.from(PSS_SHA256, 'hex'), Buffer.of(5, 0)))),
      tlv(0xa2, tlv(2, Buffer.of(32))),
    ),
  ),
  p256: seq(oid('2a8648ce3d040302')),
  p384: seq(oid('2a8648ce3d040303')),
  p521: seq(oid('2a8648ce3d040304')),
  ed25519: seq(oid('2b6570')),
  mldsa44: seq(oid('608648016503040311')),
  mldsa65: seq(oid('608648016503040312')),
  mldsa87: seq(oid('608648016503040313')),
};

function tlv(tag: number, body: Buffer): Buffer {
  const { length } = body;
  const head = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

function seq(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function set(...parts: readonly Buffer[]): Buffer {
  return tlv(0x31, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return tlv(6, Buffer.from(hex, 'hex'));
}

function time(ms: number): Buffer {
  return tlv(0x17, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)}Z`));
}

function pem(label: string, der: Buffer): Buffer {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return Buffer.from(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`);
}
