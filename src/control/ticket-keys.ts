/**
 * Session ticket keys, for all workers: 32 random bytes each, a new one every hour, kept until no ticket under it can be valid. A worker
 * derives what it uses from them (tls/ticket-keys.ts).
 */
import { randomBytes } from 'node:crypto';
import type { TicketKey } from '../plan/messages.ts';

/** How often a new key begins. Milliseconds. */
export const TICKET_ROTATE_MS = 3_600_000;
/** Keys kept: a key encrypts for 2 hours and opens tickets for 22 more. */
export const TICKET_KEYS_MAX = 24;
/** A new key is handed out this long before it is used, so that no worker meets a ticket under a key it does not know. Seconds. */
const AHEAD_S = 60;
const SECRET_BYTES = 32;

export class TicketKeys {
  readonly #keys: { readonly key: TicketKey; readonly secret: Buffer }[] = [];

  /** Begins with the keys of a predecessor (copied), or with one that is in use at once. `nowS`: Unix time in seconds. */
  constructor(nowS: number, inherited: { readonly keys: readonly TicketKey[]; readonly secrets: readonly Uint8Array[] } | null = null) {
    inherited?.keys.forEach((key, i) => {
      const secret = Buffer.alloc(SECRET_BYTES);
      secret.set(inherited.secrets[i]!);
      this.#keys.push({ key, secret });
    });
    if (this.#keys.length === 0) this.#add(nowS - 1);
  }

  #add(fromS: number): void {
    // Not from Node's pool: a secret shares no slab with strangers.
    const secret = Buffer.alloc(SECRET_BYTES);
    randomBytes(SECRET_BYTES).copy(secret);
    this.#keys.unshift({ key: { name: randomBytes(16).toString('hex'), fromS }, secret });
  }

  /** A new key, used from a minute on; the oldest goes when there are too many. */
  rotate(nowS: number): void {
    this.#add(nowS + AHEAD_S);
    this.#forget();
  }

  /** The wall clock was set: keys from its future are not used, and those of its past have ended. One begins now. */
  clockSet(nowS: number): void {
    this.#add(nowS - 1);
    this.#forget();
  }

  #forget(): void {
    while (this.#keys.length > TICKET_KEYS_MAX) this.#keys.pop()?.secret.fill(0);
  }

  /** Newest first. The secrets are the ring's own bytes: copy, never keep. */
  get all(): { readonly keys: readonly TicketKey[]; readonly secrets: readonly Uint8Array[] } {
    return { keys: this.#keys.map((each) => each.key), secrets: this.#keys.map((each) => each.secret) };
  }
}
