/**
 * Makes the certificates of the local CA: the authority itself, and leaves for this machine. ECDSA P-256, SHA-256.
 * Bytes and key objects only: which files they become is local-ca.ts's affair.
 *
 * The X.509 library takes 0.1 s to load, so it is loaded when a certificate has to be made and not before.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, type webcrypto } from 'node:crypto';
import { keyPem } from './key-pem.ts';

const DAY_MS = 86_400_000;
/** Clocks of one's own virtual machines run behind by this much at times. Milliseconds. */
const BACKDATED_MS = 3_600_000;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface Issued {
  readonly certificatePem: string;
  /** PKCS #8 PEM; the owner zeroes it. */
  readonly keyPem: Buffer;
}

/** A fresh P-256 key, as PEM bytes; the owner zeroes them. */
export function makeKey(): Buffer {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const pem = keyPem(privateKey);
  privateKey.fill(0);
  return pem;
}

/** A self-signed authority that may sign leaves only, valid for `days`. `name` is what a person sees in a list of authorities. */
export async function makeAuthority(name: string, days: number, nowMs: number): Promise<Issued> {
  const x509 = await library();
  const pem = makeKey();
  const { privateKey, publicKey } = keyPair(createPrivateKey(pem));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['Tollgate'] }, { CN: [name] }],
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    signingAlgorithm: ECDSA,
    keys: { privateKey, publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: pem };
}

export interface LeafNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** A server certificate for `names` and `key`, signed by the authority, valid for `days`. PEM. */
export async function makeLeaf(
  authority: { readonly certificatePem: Uint8Array; readonly key: KeyObject },
  key: KeyObject,
  names: LeafNames,
  days: number,
  nowMs: number,
): Promise<string> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(Buffer.from(authority.certificatePem).toString('latin1'));
  const { publicKey } = keyPair(key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: ['Tollgate'] }, { CN: [names.dns[0]!] }],
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - BACKDATED_MS),
    // Not longer than its issuer: clients refuse that.
    notAfter: new Date(Math.min(nowMs + days * DAY_MS, issuer.notAfter.getTime())),
    signingAlgorithm: ECDSA,
    publicKey,
    signingKey: keyPair(authority.key).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.dns.map((value) => ({ type: 'dns', value }) as const),
        ...names.ips.map((value) => ({ type: 'ip', value }) as const),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

async function library(): Promise<typeof import('@peculiar/x509')> {
  // The library's dependency injection asks for this polyfill, and must find it first.
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

function keyPair(key: KeyObject): { privateKey: webcrypto.CryptoKey; publicKey: webcrypto.CryptoKey } {
  return {
    privateKey: key.toCryptoKey(ECDSA, false, ['sign']),
    // Public keys are public: the library exports this one to write it into the certificate.
    publicKey: createPublicKey(key).toCryptoKey(ECDSA, true, ['verify']),
  };
}

/** 127 random bits, positive and never short: RFC 5280, section 4.1.2.2. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}
