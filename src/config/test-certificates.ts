/** Certificates for tests: real ones, of any kind that a configuration may meet, written as PEM files. No part of the program. */
import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

export interface MadeCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly certificate: x509.X509Certificate;
  readonly key: KeyObject;
}

export interface Wishes {
  /** DNS names; none: no subject alternative name at all. */
  readonly names?: readonly string[];
  readonly commonName?: string;
  readonly issuer?: MadeCertificate;
  readonly authority?: boolean;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** URL at which the issuer's own certificate is to be had. */
  readonly issuersAt?: string;
  /** URL of the OCSP responder. */
  readonly responderAt?: string;
  /** Clients are to refuse it without an OCSP response (RFC 7633). */
  readonly mustStaple?: boolean;
  readonly key?: 'ec' | 'rsa' | 'rsa-1024';
  /** It is for servers, and says so. */
  readonly forServers?: boolean;
}

const DAY_MS = 86_400_000;

export async function makeCertificate(wishes: Wishes): Promise<MadeCertificate> {
  const { privateKey, publicKey } = makeKeys(wishes.key ?? 'ec');
  const algorithm = algorithmOf(privateKey);
  const own = {
    privateKey: privateKey.toCryptoKey(algorithm, false, ['sign']),
    publicKey: publicKey.toCryptoKey(algorithm, true, ['verify']),
  };
  const signer = wishes.issuer === undefined ? privateKey : wishes.issuer.key;
  const name = [{ CN: [wishes.commonName ?? wishes.names?.[0] ?? 'nobody'] }];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: name,
    issuer: wishes.issuer === undefined ? name : wishes.issuer.certificate.subjectName,
    notBefore: wishes.notBefore ?? new Date(Date.now() - DAY_MS),
    notAfter: wishes.notAfter ?? new Date(Date.now() + 60 * DAY_MS),
    publicKey: own.publicKey,
    signingKey: signer.toCryptoKey(algorithmOf(signer), false, ['sign']),
    signingAlgorithm: algorithmOf(signer),
    extensions: [
      new x509.BasicConstraintsExtension(wishes.authority ?? false, undefined, true),
      ...(wishes.names === undefined
        ? []
        : [new x509.SubjectAlternativeNameExtension(wishes.names.map((value) => ({ type: 'dns', value })))]),
      ...(wishes.issuersAt === undefined ? [] : [new x509.AuthorityInfoAccessExtension({ caIssuers: wishes.issuersAt })]),
      ...(wishes.responderAt === undefined ? [] : [new x509.AuthorityInfoAccessExtension({ ocsp: wishes.responderAt })]),
      ...(wishes.forServers === true ? [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])] : []),
      ...(wishes.mustStaple === true ? [new x509.Extension('1.3.6.1.5.5.7.1.24', false, Uint8Array.of(0x30, 3, 2, 1, 5))] : []),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate,
    key: privateKey,
  };
}

/** A list of what `issuer` has revoked, PEM. `serials`: hexadecimal. */
export async function makeRevocationList(
  issuer: MadeCertificate,
  thisUpdate: Date,
  nextUpdate: Date,
  serials: readonly string[] = [],
): Promise<string> {
  const algorithm = algorithmOf(issuer.key);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subjectName,
    thisUpdate,
    nextUpdate,
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: thisUpdate })),
    signingAlgorithm: algorithm,
    signingKey: issuer.key.toCryptoKey(algorithm, false, ['sign']),
  });
  const lines = Buffer.from(list.rawData)
    .toString('base64')
    .match(/.{1,64}/g)!;
  return `-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`;
}

/** Writes `name.pem` and `name.key` under `directory`. */
export function writePair(directory: string, name: string, made: MadeCertificate, chain: readonly MadeCertificate[] = []): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  writeFileSync(join(directory, `${name}.pem`), [made, ...chain].map(({ certificatePem }) => certificatePem).join(''));
  writeFileSync(join(directory, `${name}.key`), made.keyPem, { mode: 0o600 });
}

function makeKeys(kind: NonNullable<Wishes['key']>): { privateKey: KeyObject; publicKey: KeyObject } {
  if (kind === 'rsa' || kind === 'rsa-1024') return generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2_048 : 1_024 });
  return generateKeyPairSync('ec', { namedCurve: kind === 'ec' ? 'prime256v1' : kind });
}

function algorithmOf(key: KeyObject): webcrypto.EcKeyImportParams & { hash: string } {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', namedCurve: '', hash: 'SHA-256' };
  return { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
}
