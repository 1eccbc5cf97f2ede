/**
 * A certificate and those behind it in its file: whether clients can follow them to an authority. Pure; the order of a file is what a server
 * sends, and only the leaf's key was looked at before (certificate-file.ts).
 */
import { rootCertificates } from 'node:tls';
import { derOf, pemBlocks } from '../certs/pem.ts';
import { type Certificate, KEY_USAGE_CERT_SIGN, readCertificate } from '../x509/certificate.ts';
import { commonName } from '../x509/distinguished-name.ts';
import { listed, shown } from './wording.ts';

export interface ChainFinding {
  readonly severity: 'warning' | 'note';
  readonly message: string;
}

/**
 * What is wrong with the chain in the file `path`, leaf first. Each certificate should be issued by the next (RFC 5246, section 7.4.2; RFC
 * 8446 allows more, old clients do not); the root need not be there.
 */
export function checkChain(certificates: readonly Certificate[], path: string, nowMs: number): readonly ChainFinding[] {
  const found: ChainFinding[] = [];
  const say = (severity: ChainFinding['severity'], message: string): void => {
    found.push({ severity, message });
  };
  const chain = followed(certificates);
  const rest = certificates.map((_, index) => index).filter((index) => !chain.includes(index));
  if (chain.some((index, place) => place > 0 && index < chain[place - 1]!)) {
    const order = listed(chain.map((index) => String(index + 1)));
    say('warning', `the certificates of ${path} are in the wrong order: each is issued by the next when they stand as ${order}`);
  }
  for (const index of rest) {
    const certificate = certificates[index]!;
    const same = certificates.findIndex(({ der }) => Buffer.compare(der, certificate.der) === 0);
    const what = `certificate ${index + 1} of ${path}`;
    if (same < index) say('warning', `${what} is certificate ${same + 1} again`);
    else
      say(
        'warning',
        `${what} (${nameOf(certificate.subjectDer, certificate.subject)}) issued none of those before it: it is of no use to clients`,
      );
  }
  for (const index of chain.slice(1)) {
    const { notBeforeMs, notAfterMs } = certificates[index]!;
    const issuer = `certificate ${index + 1} of ${path}, an issuer,`;
    if (nowMs > notAfterMs) say('warning', `${issuer} expired on ${new Date(notAfterMs).toISOString().slice(0, 10)}`);
    else if (nowMs < notBeforeMs) say('warning', `${issuer} is not valid before ${new Date(notBeforeMs).toISOString()}`);
  }
  const end = certificates[chain.at(-1)!]!;
  const place = chain.at(-1)! + 1;
  if (isSelfIssued(end)) {
    if (chain.length === 1) say('note', `the certificate in ${path} is its own issuer: only clients that were given it trust it`);
    else say('note', `certificate ${place} of ${path} is a root, which clients have or do not trust: it is sent for nothing`);
  } else if (!isKnownRoot(end.issuer)) {
    const missing = `the issuer of certificate ${place} of ${path}, ${nameOf(end.issuerDer, end.issuer)}, is not in the file`;
    // Authorities for everybody say in their certificates where to get the issuer's (RFC 5280, section 4.2.2.1).
    if (end.issuerUris.length > 0) {
      say('warning', `${missing}, and no root that clients have: the chain is incomplete, and many will not find their way`);
    } else say('note', `${missing}: clients must have it`);
  }
  return found;
}

/** Indices from the leaf to the last issuer that is there. */
function followed(certificates: readonly Certificate[]): readonly number[] {
  const chain = [0];
  for (;;) {
    const last = certificates[chain.at(-1)!]!;
    if (isSelfIssued(last)) return chain;
    const issuer = certificates.findIndex((other, index) => !chain.includes(index) && isIssuedBy(last, other));
    if (issuer < 0) return chain;
    chain.push(issuer);
  }
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return isSameName(subject, issuer);
}

/** By what both say of themselves: names, keys' identifiers, usage. RFC 5280, section 6.1.3, and OpenSSL's X509_check_issued. */
function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!isSameName(certificate.issuer, issuer.subject)) return false;
  const { authorityKeyId } = certificate;
  if (authorityKeyId !== '' && issuer.subjectKeyId !== '' && authorityKeyId !== issuer.subjectKeyId) return false;
  return issuer.keyUsage < 0 || (issuer.keyUsage & KEY_USAGE_CERT_SIGN) !== 0;
}

/** By their text: how a name is encoded makes no other, nor does its case. RFC 5280, section 7.1. */
function isSameName(one: string, other: string): boolean {
  return one === other || one.toLowerCase() === other.toLowerCase();
}

let rootNames: ReadonlySet<string> | null = null;

/** By Mozilla's list, as Node has it: what browsers have is much the same. */
function isKnownRoot(name: string): boolean {
  rootNames ??= new Set(
    rootCertificates.flatMap((pem) => readCertificate(derOf(pemBlocks(Buffer.from(pem))[0]!))?.subject.toLowerCase() ?? []),
  );
  return rootNames.has(name.toLowerCase());
}

/** The common name, or the whole of it. */
function nameOf(der: Uint8Array, text: string): string {
  return shown(commonName(der) ?? text);
}
