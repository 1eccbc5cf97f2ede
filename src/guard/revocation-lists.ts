/**
 * What this worker knows of revoked certificates: lists in memory that all workers share, and answers about single certificates, for as long
 * as they hold. Lists outlive plans: the supervisor hands one over when it has it, and tells which still count.
 */
import { REVOCATION_LISTS_MAX, VERDICTS_MAX } from '../base/limits.ts';
import { SealedMemory } from '../native/sealed-memory.ts';
import type { RevocationListView, RevocationVerdict } from '../plan/client-certificates.ts';
import { RevocationSet } from '../plan/revocation-set.ts';
import type { Certificate } from '../x509/certificate.ts';

interface HeldList {
  readonly view: RevocationListView;
  readonly set: RevocationSet;
  readonly memory: SealedMemory;
}

interface HeldVerdict {
  readonly verdict: RevocationVerdict;
  /** Monotonic, milliseconds. */
  readonly untilMs: number;
}

export class RevocationLists {
  readonly #byIssuer = new Map<string, HeldList[]>();
  /** By issuer and serial number, oldest first. */
  readonly #verdicts = new Map<string, HeldVerdict>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes a list in place of the one of the same id. The descriptor stays the caller's. Throws an Error when there is no list in it. */
  take(view: RevocationListView, fd: number): void {
    const memory = new SealedMemory(fd);
    let set: RevocationSet;
    try {
      set = new RevocationSet(memory.memory);
    } catch (error) {
      memory.release();
      throw error;
    }
    this.#drop((held) => held.view.id === view.id);
    if (this.#size >= REVOCATION_LISTS_MAX) {
      memory.release();
      throw new Error('more revocation lists than foreseen');
    }
    const others = this.#byIssuer.get(view.issuer);
    if (others === undefined) this.#byIssuer.set(view.issuer, [{ view, set, memory }]);
    else others.push({ view, set, memory });
    this.#size++;
  }

  /** Gives back the lists that are not among `ids`. */
  keep(ids: readonly string[]): void {
    const kept = new Set(ids);
    this.#drop((held) => !kept.has(held.view.id));
  }

  /** What the lists, and answers that still hold, say about a certificate of `issuer` (x509/issuer-key.ts). */
  verdict(certificate: Certificate, issuer: string, unixMs: number, nowMs: number): RevocationVerdict {
    const listed = this.#listed(certificate, issuer, unixMs);
    if (listed !== 'unknown') return listed;
    const held = this.#verdicts.get(`${issuer} ${certificate.serial}`);
    return held === undefined || held.untilMs <= nowMs ? 'unknown' : held.verdict;
  }

  remember(certificate: Certificate, issuer: string, verdict: RevocationVerdict, untilMs: number): void {
    const key = `${issuer} ${certificate.serial}`;
    this.#verdicts.delete(key);
    if (this.#verdicts.size >= VERDICTS_MAX) {
      for (const oldest of this.#verdicts.keys()) {
        this.#verdicts.delete(oldest);
        break;
      }
    }
    this.#verdicts.set(key, { verdict, untilMs });
  }

  /** RFC 5280, section 6.3.3: in a list of its issuer it is revoked; not in one that speaks for it and still holds, it is good. */
  #listed(certificate: Certificate, issuer: string, unixMs: number): RevocationVerdict {
    const lists = this.#byIssuer.get(issuer);
    if (lists === undefined) return 'unknown';
    let found: RevocationVerdict = 'unknown';
    for (const { view, set } of lists) {
      if (set.has(certificate.serialBytes)) return 'revoked';
      if (unixMs <= view.nextUpdateMs && speaksFor(view, certificate)) found = 'good';
    }
    return found;
  }

  #drop(goes: (held: HeldList) => boolean): void {
    for (const [issuer, lists] of this.#byIssuer) {
      const kept = lists.filter((held) => {
        if (!goes(held)) return true;
        held.memory.release();
        this.#size--;
        return false;
      });
      if (kept.length === 0) this.#byIssuer.delete(issuer);
      else this.#byIssuer.set(issuer, kept);
    }
  }
}

/** Whether a certificate that is not in the list is not revoked. */
function speaksFor({ scope, distributionPoints }: RevocationListView, { isAuthority, crlUris }: Certificate): boolean {
  if (scope === 'users' ? isAuthority : scope === 'authorities' && !isAuthority) return false;
  return distributionPoints.length === 0 || distributionPoints.some((point) => crlUris.includes(point));
}
