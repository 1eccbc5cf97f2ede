/**
 * The contexts of one worker, by what they are made of: listeners and plans that want the same share one. Each is made when somebody first
 * asks for it: of ten thousand names most are asked for by nobody. Counted by user; a context that nobody wants any more takes no new
 * sessions, and is freed with its last one.
 */
import { assert } from '../base/assert.ts';
import type { TlsContext } from './engine.ts';
import type { TicketKeyRing } from './ticket-keys.ts';

/** How a context is made, in memory of its own. */
export interface ContextRecipe {
  /** Throws one Error. May be called again then. */
  make(): TlsContext;
  /** It is not needed any more: its keys are zeroed. */
  forget(): void;
}

/** A context, and whose it is. */
export class SharedContext {
  /** Null: the context is made. */
  #recipe: ContextRecipe | null;
  #context: TlsContext | null = null;
  readonly #keys: TicketKeyRing;
  users = 0;
  /** Why the context could not be made, when that was last tried. */
  problem = '';
  #keysSeen = -1;

  constructor(recipe: ContextRecipe, keys: TicketKeyRing) {
    this.#recipe = recipe;
    this.#keys = keys;
  }

  /** Makes the context, unless it is made. Throws one Error. */
  open(): TlsContext {
    if (this.#context !== null) return this.#context;
    const recipe = this.#recipe;
    assert(recipe !== null, 'a retired context is not made');
    this.#context = recipe.make();
    this.#recipe = null;
    recipe.forget();
    return this.#context;
  }

  /** For a session that begins now; null: the library does not take what the context is made of. */
  get ready(): TlsContext | null {
    const context = this.#context ?? this.#tryToOpen();
    // New ticket keys reach a context when it is used: ten thousand at once would hold the loop up.
    if (context !== null && this.#keysSeen !== this.#keys.generation) {
      this.#keysSeen = this.#keys.generation;
      this.#keys.addTo(context);
    }
    return context;
  }

  /** Cold. It may be for want of memory, so who comes next tries again. */
  #tryToOpen(): TlsContext | null {
    try {
      return this.open();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : 'unknown error';
      return null;
    }
  }

  staple(fingerprint: string, response: Uint8Array): void {
    this.#context?.staple(fingerprint, response);
  }

  retire(): void {
    this.#context?.retire();
    this.#recipe?.forget();
    this.#recipe = null;
  }
}

export class ContextPool {
  readonly #byId = new Map<string, SharedContext>();
  readonly #keys: TicketKeyRing;

  /** `keys` are those of all contexts. */
  constructor(keys: TicketKeyRing) {
    this.#keys = keys;
  }

  /** Contexts in use, made or not. */
  get size(): number {
    return this.#byId.size;
  }

  /** The context `id`, by `recipeOf` unless there is one: give it back once. */
  take(id: string, recipeOf: () => ContextRecipe): SharedContext {
    let shared = this.#byId.get(id);
    if (shared === undefined) {
      shared = new SharedContext(recipeOf(), this.#keys);
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
