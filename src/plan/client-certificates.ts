/**
 * What a listener asks of its clients' certificates, as plain data, and what travels between supervisor and workers about revocation:
 * lists (as descriptors of sealed memory, with these words beside them) and answers about single certificates.
 */

export type ClientCertificateMode = 'optional' | 'required';

export interface ClientCertificatesPlan {
  /** What tells these rules from every other: tickets and connections of one are worth nothing to another. */
  readonly id: string;
  readonly mode: ClientCertificateMode;
  /** PEM of the authorities: an index into the frame's blobs. */
  readonly authoritiesBlob: number;
  /** Certificates in a chain, leaf and authority included. */
  readonly depth: number;
  /** Null: every client that an authority vouches for. */
  readonly allow: ClientAllowPlan | null;
  /** Null: revocation is not looked at. */
  readonly revocation: RevocationPlan | null;
  readonly forward: ClientForwardPlan;
}

/** One match is enough. */
export interface ClientAllowPlan {
  /** RFC 4514 text; `*` stands for any characters within one value. */
  readonly subjects: readonly string[];
  /** DNS names, e-mail addresses, IP addresses; `*.example.com` is one label, `*@example.com` any mailbox. */
  readonly names: readonly string[];
  /** `spiffe://domain/path`; `*` as a segment is one segment, as the last one any number. */
  readonly spiffe: readonly string[];
}

export interface RevocationPlan {
  /** Where lists are: absolute paths, and http:// addresses. */
  readonly lists: readonly string[];
  /** Lists are fetched from where certificates say they are. */
  readonly fetch: boolean;
  /** Responders that certificates name are asked. */
  readonly ocsp: boolean;
  readonly whenUnknown: 'allow' | 'refuse';
  /** How long an answer or a list is believed before a newer one is asked for, sooner where it says so itself. Milliseconds. */
  readonly refreshMs: number;
}

export interface ClientForwardPlan {
  /** Client-Cert, and Client-Cert-Chain (RFC 9440). */
  readonly certificate: boolean;
  readonly chain: boolean;
  /** X-Client-Cert-*. */
  readonly details: boolean;
}

/** A list of revoked certificates, without its entries. */
export interface RevocationListView {
  /** By where it came from: the next one from there takes its place. */
  readonly id: string;
  /** x509/issuer-key.ts. */
  readonly issuer: string;
  /** Unix time, milliseconds. Past `nextUpdateMs` what is not in it may be revoked all the same. */
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly scope: 'all' | 'users' | 'authorities';
  /** Empty: it speaks for all of its scope. Else for certificates that name one of these. */
  readonly distributionPoints: readonly string[];
}

/** A place that lists come from, for people. */
export interface RevocationView {
  /** A path, or an address. */
  readonly source: string;
  /** RFC 4514. Null, as what follows: there has been no list yet. */
  readonly issuer: string | null;
  readonly entries: number | null;
  readonly nextUpdateMs: number | null;
  /** There is none, or it has ended: whom it does not name may be revoked all the same. */
  readonly stale: boolean;
  /** Why the next one cannot be had; null: nothing is wrong. */
  readonly problem: string | null;
}

/** What is known about one certificate. */
export type RevocationVerdict = 'good' | 'revoked' | 'unknown';
