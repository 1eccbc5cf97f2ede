/**
 * Whether a client may come in by the certificate it shows, and what servers are told of it. Runs inside the handshake: bytes in, a fault out,
 * no waiting. That the chain leads to an authority of ours, is in its time and for clients, the TLS library has found out before; this is
 * about who the client is, and whether what it shows has been revoked.
 *
 *   known good -> in | revoked, or not allowed -> refused | not known -> let in, and held behind the handshake (`openQuestions`)
 *                                                            until the supervisor has asked, then judged again (`settle`)
 */
import { hash } from 'node:crypto';
import {
  FAULT_TLS_CERTIFICATE_INVALID,
  FAULT_TLS_CERTIFICATE_NOT_ALLOWED,
  FAULT_TLS_CERTIFICATE_REVOKED,
  FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN,
  FAULT_TLS_CERTIFICATE_UNSUITABLE,
} from '../base/faults.ts';
import { IDENTITIES_MAX } from '../base/limits.ts';
import { clientFields, noClientFields } from '../http/client-certificate.ts';
import type { ClientCertificatesPlan, RevocationPlan } from '../plan/client-certificates.ts';
import {
  type Certificate,
  EKU_ANY,
  EKU_CLIENT_AUTH,
  KEY_USAGE_DIGITAL_SIGNATURE,
  KEY_USAGE_KEY_AGREEMENT,
  readCertificate,
} from '../x509/certificate.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { ClientAllow } from './client-allow.ts';
import type { RevocationLists } from './revocation-lists.ts';

/** A client's certificate that was read. Shared by its connections. */
export interface ClientIdentity {
  /** SHA-256 of the leaf's DER, lower-case hex. */
  readonly fingerprint: string;
  readonly leaf: Certificate;
  /** Each certificate that may have been revoked with whom it is of: all but the authority that is trusted. */
  readonly links: readonly { readonly certificate: Certificate; readonly issuer: Certificate; readonly issuerKey: string }[];
  /** Field lines for servers: revocation known to be good, and not known. */
  readonly fields: string;
  readonly fieldsUnknown: string;
}

/** The clocks, as the worker has them. */
export interface JudgeClock {
  /** Unix time, and the loop's own. Milliseconds. */
  unixMs(): number;
  nowMs(): number;
}

export class ClientJudge {
  readonly revocation: RevocationPlan | null;
  /** For a client that shows none. */
  readonly noFields: string;
  readonly #plan: ClientCertificatesPlan;
  readonly #allow: ClientAllow | null;
  readonly #lists: RevocationLists;
  readonly #clock: JudgeClock;
  /** By fingerprint, oldest first. */
  readonly #identities = new Map<string, ClientIdentity>();

  constructor(plan: ClientCertificatesPlan, lists: RevocationLists, clock: JudgeClock) {
    this.revocation = plan.revocation;
    this.noFields = noClientFields(plan.forward);
    this.#plan = plan;
    this.#allow = plan.allow === null ? null : new ClientAllow(plan.allow);
    this.#lists = lists;
    this.#clock = clock;
  }

  /**
   * Judges `chain` (DER, leaf first, the trusted authority last; the leaf alone when a ticket would be resumed). `fault`: what the library
   * thinks of it; 0: nothing is wrong. Returns 0 or a fault.
   */
  readonly judge = (chain: readonly Uint8Array[], fault: number, resumes: boolean): number => {
    if (fault !== 0) return fault;
    const identity = this.identityOf(chain, resumes);
    // What this worker has not seen whole is shown anew, in a whole handshake.
    if (identity === null) return resumes ? FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN : FAULT_TLS_CERTIFICATE_INVALID;
    if (resumes && this.#clock.unixMs() > identity.leaf.notAfterMs) return FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN;
    if (!isForClients(identity.leaf)) return FAULT_TLS_CERTIFICATE_UNSUITABLE;
    if (this.#allow !== null && !this.#allow.allows(identity.leaf)) return FAULT_TLS_CERTIFICATE_NOT_ALLOWED;
    switch (this.#standing(identity)) {
      case 'revoked':
        return FAULT_TLS_CERTIFICATE_REVOKED;
      case 'unknown':
        if (this.#canAsk) return resumes ? FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN : 0;
        return this.revocation?.whenUnknown === 'refuse' ? FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN : 0;
      default:
        return 0;
    }
  };

  /** The links of a client that is in whose standing is not known and can be asked for: none when there is nothing to wait for. */
  openQuestions(identity: ClientIdentity): ClientIdentity['links'] {
    if (!this.#canAsk) return [];
    const [unixMs, nowMs] = [this.#clock.unixMs(), this.#clock.nowMs()];
    return identity.links.filter((link) => this.#lists.verdict(link.certificate, link.issuerKey, unixMs, nowMs) === 'unknown');
  }

  /** Judges a client that was held: everybody who could be asked has been, or it took too long. Returns 0 or a fault. */
  settle(identity: ClientIdentity): number {
    switch (this.#standing(identity)) {
      case 'revoked':
        return FAULT_TLS_CERTIFICATE_REVOKED;
      case 'unknown':
        return this.revocation?.whenUnknown === 'refuse' ? FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN : 0;
      default:
        return 0;
    }
  }

  /** What servers are told of a client that is in. */
  fieldsOf(identity: ClientIdentity): string {
    return this.#standing(identity) === 'unknown' ? identity.fieldsUnknown : identity.fields;
  }

  /** The certificate read, from memory when it was seen before; null when it cannot be read, or when the chain behind a `lone` leaf is not known. */
  identityOf(chain: readonly Uint8Array[], lone = false): ClientIdentity | null {
    const leafDer = chain[0];
    if (leafDer === undefined) return null;
    const fingerprint = hash('sha256', leafDer, 'hex');
    const known = this.#identities.get(fingerprint);
    if (known !== undefined) return known;
    if (lone && (this.revocation !== null || this.#plan.forward.chain)) return null;
    const certificates = chain.map((der) => readCertificate(Uint8Array.from(der)));
    const leaf = certificates[0];
    if (leaf === undefined || leaf === null || certificates.includes(null)) return null;
    const links = certificates.slice(0, -1).flatMap((certificate, i) => {
      const issuer = certificates[i + 1];
      return certificate === null || issuer === null || issuer === undefined
        ? []
        : [{ certificate, issuer, issuerKey: issuerKeyOf(issuer) }];
    });
    const between = certificates.slice(1, -1).flatMap((certificate) => (certificate === null ? [] : [certificate.der]));
    const { forward } = this.#plan;
    const identity: ClientIdentity = {
      fingerprint,
      leaf,
      links,
      fields: clientFields(leaf, fingerprint, between, 'SUCCESS', forward),
      fieldsUnknown: clientFields(leaf, fingerprint, between, 'SUCCESS:revocation_unknown', forward),
    };
    if (this.#identities.size >= IDENTITIES_MAX) {
      for (const oldest of this.#identities.keys()) {
        this.#identities.delete(oldest);
        break;
      }
    }
    this.#identities.set(fingerprint, identity);
    return identity;
  }

  get #canAsk(): boolean {
    return this.revocation !== null && (this.revocation.fetch || this.revocation.ocsp || this.revocation.lists.length > 0);
  }

  /** The worst that is known of any of its certificates. */
  #standing(identity: ClientIdentity): 'good' | 'revoked' | 'unknown' {
    if (this.revocation === null) return 'good';
    const [unixMs, nowMs] = [this.#clock.unixMs(), this.#clock.nowMs()];
    let standing: 'good' | 'unknown' = 'good';
    for (const { certificate, issuerKey } of identity.links) {
      const verdict = this.#lists.verdict(certificate, issuerKey, unixMs, nowMs);
      if (verdict === 'revoked') return 'revoked';
      if (verdict === 'unknown') standing = 'unknown';
    }
    return standing;
  }
}

/** RFC 5280, sections 4.2.1.3 and 4.2.1.12: what a certificate does not say does not bind it. */
function isForClients({ keyUsage, extendedKeyUsage }: Certificate): boolean {
  if (keyUsage >= 0 && (keyUsage & (KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT)) === 0) return false;
  return extendedKeyUsage === null || extendedKeyUsage.includes(EKU_CLIENT_AUTH) || extendedKeyUsage.includes(EKU_ANY);
}
