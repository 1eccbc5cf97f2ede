/**
 * A certificate and those behind it in its file: whether clients can follow them to an authority. Pure; the order of a file is what a server
 * sends, and only the leaf's key was looked at before (certificate-file.ts).
 */
import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { listed, shown } from './wording.ts';

export interface ChainFinding {
  readonly severity: 'warning' | 'note';
  readonly message: string;
}

/**
 * What is wrong with the chain in the file `path`, leaf first. Each certificate should be issued by the next (RFC 5246, section 7.4.2; RFC
 * 8446 allows more, old clients do not); the root need not be there.
 */
export function checkChain(certificates: readonly X509Certificate[], path: string, nowMs: number): readonly ChainFinding[] {
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
    const { fingerprint256 } = certificates[index]!;
    const same = certificates.findIndex((other) => other.fingerprint256 === fingerprint256);
    const what = `certificate ${index + 1} of ${path}`;
    if (same < index) say('warning', `${what} is certificate ${same + 1} again`);
    else say('warning', `${what} (${nameOf(certificates[index]!.subject)}) issued none of those before it: it is of no use to clients`);
  }
  for (const index of chain.slice(1)) {
    const { validFromDate, validToDate } = certificates[index]!;
    const issuer = `certificate ${index + 1} of ${path}, an issuer,`;
    if (nowMs > validToDate.getTime()) say('warning', `${issuer} expired on ${validToDate.toISOString().slice(0, 10)}`);
    else if (nowMs < validFromDate.getTime()) say('warning', `${issuer} is not valid before ${validFromDate.toISOString()}`);
  }
  const end = certificates[chain.at(-1)!]!;
  const place = chain.at(-1)! + 1;
  if (isSelfIssued(end)) {
    if (chain.length === 1) say('note', `the certificate in ${path} is its own issuer: only clients that were given it trust it`);
    else say('note', `certificate ${place} of ${path} is a root, which clients have or do not trust: it is sent for nothing`);
  } else if (!isKnownRoot(end.issuer)) {
    const missing = `the issuer of certificate ${place} of ${path}, ${nameOf(end.issuer)}, is not in the file`;
    // Authorities for everybody say in their certificates where to get the issuer's (RFC 5280, section 4.2.2.1).
    if (/^CA Issuers - URI:/m.test(end.infoAccess ?? '')) {
      say('warning', `${missing}, and no root that clients have: the chain is incomplete, and many will not find their way`);
    } else say('note', `${missing}: clients must have it`);
  }
  return found;
}

/** Indices from the leaf to the last issuer that is there. */
function followed(certificates: readonly X509Certificate[]): readonly number[] {
  const chain = [0];
  for (;;) {
    const last = certificates[chain.at(-1)!]!;
    if (isSelfIssued(last)) return chain;
    const issuer = certificates.findIndex((other, index) => !chain.includes(index) && last.checkIssued(other));
    if (issuer < 0) return chain;
    chain.push(issuer);
  }
}

function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer;
}

let rootNames: ReadonlySet<string> | null = null;

/** By Mozilla's list, as Node has it: what browsers have is much the same. */
function isKnownRoot(name: string): boolean {
  rootNames ??= new Set(rootCertificates.map((pem) => new X509Certificate(pem).subject));
  return rootNames.has(name);
}

/** The common name, or what there is. */
function nameOf(distinguished: string): string {
  return shown(/^CN=(.*)$/m.exec(distinguished)?.[1] ?? distinguished.split('\n').at(-1));
}
