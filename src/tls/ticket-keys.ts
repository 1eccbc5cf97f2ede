/**
 * Ticket keys as the supervisor hands them out, and the key a rule set makes of each. Every rule set (listener, policy, certificates)
 * derives its own by HKDF, so that a ticket from one name or listener opens no session under another's rules: s2n alone would let it.
 */
import { hkdfSync } from 'node:crypto';
import type { TicketKey } from '../plan/messages.ts';
import type { TlsContext } from './engine.ts';

/** How long a key encrypts new tickets at most: twice the time between two keys. Seconds. */
const TICKET_ENCRYPT_S = 2 * 3_600;
/** Bytes of a key's name on the wire, and of its secret. */
export const TICKET_NAME_BYTES = 16;
export const TICKET_SECRET_BYTES = 32;

/** How long a key encrypts new tickets, and how long it still opens old ones after that, so that none lives longer than `lifetimeS`. Seconds. */
export function ticketTimes(lifetimeS: number): { readonly encryptS: number; readonly decryptS: number } {
  const encryptS = Math.min(TICKET_ENCRYPT_S, lifetimeS / 2);
  return { encryptS, decryptS: lifetimeS - encryptS };
}

/** Name and secret, `bytes` in all, of `master` under `ruleSet`. The caller zeroes it. */
export function deriveTicketKey(master: Uint8Array, ruleSet: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', master, '', `tollgate ticket ${ruleSet}`, bytes));
}

/** The keys in use, so that a context made later gets them all. Masters are kept in memory of their own and zeroed when they go. */
export class TicketKeyRing {
  #keys: { readonly key: TicketKey; readonly secret: Uint8Array }[] = [];
  /** Rises with every change. */
  generation = 0;

  /** Replaces the ring. Copies the secrets. */
  replace(keys: readonly TicketKey[], secrets: readonly Uint8Array[]): void {
    this.generation++;
    for (const old of this.#keys) old.secret.fill(0);
    this.#keys = keys.map((key, i) => ({ key, secret: Uint8Array.from(secrets[i] ?? []) })).filter((each) => each.secret.length > 0);
  }

  addTo(context: TlsContext): void {
    // Oldest first: an engine may prefer the key it learnt last.
    for (let i = this.#keys.length - 1; i >= 0; i--) {
      const { key, secret } = this.#keys[i]!;
      context.addTicketKey(key.name, secret, key.fromS);
    }
  }
}
