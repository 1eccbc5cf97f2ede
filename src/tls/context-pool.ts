/**
 * The contexts of one worker, by what they are made of: listeners and plans that want the same share one. Counted by user; a context that
 * nobody wants any more takes no new sessions, and is freed with its last one.
 */
import { assert } from '../base/assert.ts';
import type { TlsContext } from './engine.ts';
import type { TicketKeyRing } from './ticket-keys.ts';

/** A context, and whose it is. */
export class SharedContext {
  readonly #context: TlsContext;
  readonly #keys: TicketKeyRing;
  users = 0;
  #keysSeen = -1;

  constructor(context: TlsContext, keys: TicketKeyRing) {
    this.#context = context;
    this.#keys = keys;
  }

  /** For a session that begins now. New ticket keys reach a context when it is used: ten thousand at once would hold the loop up. */
  get ready(): TlsContext {
    if (this.#keysSeen !== this.#keys.generation) {
      this.#keysSeen = this.#keys.generation;
      this.#keys.addTo(this.#context);
    }
    return this.#context;
  }

  staple(fingerprint: string, response: Uint8Array): void {
    this.#context.staple(fingerprint, response);
  }

  retire(): void {
    this.#context.retire();
  }
}

export class ContextPool {
  readonly #byId = new Map<string, SharedContext>();
  readonly #keys: TicketKeyRing;

  /** `keys` are those of all contexts. */
  constructor(keys: TicketKeyRing) {
    this.#keys = keys;
  }

  /** Contexts in use. */
  get size(): number {
    return this.#byId.size;
  }

  /** The context `id`, made by `make` unless there is one: give it back once. What `make` throws is thrown, and nothing is kept. */
  take(id: string, make: () => TlsContext): SharedContext {
    let shared = this.#byId.get(id);
    if (shared === undefined) {
      shared = new SharedContext(make(), this.#keys);
      this.#byId.set(id, shared);
    }
    shared.users++;
    return shared;
  }

  /** Shows an OCSP response with a certificate of the context `id`; see TlsContext. */
  staple(id: string, fingerprint: string, response: Uint8Array): void {
    this.#byId.get(id)?.staple(fingerprint, response);
  }

  giveBack(id: string): void {
    const shared = this.#byId.get(id);
    assert(shared !== undefined, 'only what was taken is given back');
    if (--shared.users > 0) return;
    this.#byId.delete(id);
    shared.retire();
  }
}
