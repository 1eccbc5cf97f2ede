/**
 * The engines of this process, each loaded when a plan first needs it. The fast one is loaded last, and no native addon after it; where it
 * cannot be loaded, the complete one takes its place.
 */
import type { EngineName } from '../base/engine-name.ts';
import { tlsCounts } from '../native/s2n.ts';
import type { TlsClientEngine, TlsEngine } from './engine.ts';
import { OpensslEngine } from './openssl-engine.ts';
import { S2nEngine } from './s2n-engine.ts';

export interface EngineMakers {
  readonly s2n: () => TlsEngine;
  readonly openssl: (libraryPath: string | null) => TlsClientEngine;
}

const MAKERS: EngineMakers = { s2n: () => new S2nEngine(), openssl: (path) => new OpensslEngine(path) };

export class TlsEngines {
  readonly #makers: EngineMakers;
  #s2n: TlsEngine | null = null;
  #openssl: TlsClientEngine | null = null;
  #opensslPath: string | null = null;
  #fastProblem: string | null = null;

  constructor(makers: EngineMakers = MAKERS) {
    this.#makers = makers;
  }

  /** Why the fast engine could not be loaded; null: it was, or nobody asked for it. */
  get fastProblem(): string | null {
    return this.#fastProblem;
  }

  /** Sessions whose memory was not kept for another because enough was. */
  get sparesRefused(): number {
    return tlsCounts().sparesRefused;
  }

  /**
   * `library`: the libssl that the plan names, or null. Throws an Error when the complete engine cannot be loaded, or is loaded with another
   * library already.
   */
  engine(name: EngineName, library: string | null): TlsEngine {
    if (name === 's2n' && this.#fastProblem === null) {
      try {
        this.#s2n ??= this.#makers.s2n();
        return this.#s2n;
      } catch (error) {
        this.#fastProblem = error instanceof Error ? error.message : String(error);
      }
    }
    return this.client(library);
  }

  /** The complete engine, which begins connections too. Throws as `engine` does. */
  client(library: string | null): TlsClientEngine {
    if (this.#openssl === null) {
      this.#openssl = this.#makers.openssl(library);
      this.#opensslPath = library;
    } else if (this.#opensslPath !== library) {
      throw new Error(`the TLS library of a running worker cannot be exchanged for ${library ?? "node's own"}: it needs a restart`);
    }
    return this.#openssl;
  }
}
