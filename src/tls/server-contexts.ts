/**
 * A worker's contexts for connections to servers, by what they are made of: upstreams and plans with the same rules share one, and the
 * sessions in it. Counted by user; one that nobody wants any more takes no new connections, and is freed with its last one.
 */
import { assert } from '../base/assert.ts';
import { policyOf } from '../hello/policies.ts';
import { underFloor } from '../hello/policy.ts';
import type { Plan, ServerTlsPlan } from '../plan/plan.ts';
import type { TlsClientContext, TlsClientEngine } from './engine.ts';
import { serverJudge } from './server-judge.ts';

interface Shared {
  readonly context: TlsClientContext;
  users: number;
}

export class ServerContexts {
  readonly #byId = new Map<string, Shared>();

  get size(): number {
    return this.#byId.size;
  }

  /**
   * The context of `tls`, a rule set of `plan`: give it back once, by its id. Yields while it is made, since a machine trusts hundreds of
   * authorities; one at a time is made. Throws as the engine does; nothing is kept then.
   */
  *take(
    engine: () => TlsClientEngine,
    plan: Plan,
    tls: ServerTlsPlan,
    blobs: readonly Uint8Array[],
  ): Generator<undefined, TlsClientContext, undefined> {
    let shared = this.#byId.get(tls.id);
    if (shared === undefined) {
      const context = newContext(engine(), plan, tls, blobs);
      try {
        for (const piece of piecesOf(tls.authoritiesBlob === null ? NOTHING : blobs[tls.authoritiesBlob]!)) {
          context.trust(piece);
          yield;
        }
      } catch (error) {
        context.retire();
        throw error;
      }
      shared = { context, users: 0 };
      this.#byId.set(tls.id, shared);
    }
    shared.users++;
    return shared.context;
  }

  giveBack(id: string): void {
    const shared = this.#byId.get(id);
    assert(shared !== undefined, 'only what was taken is given back');
    if (--shared.users > 0) return;
    this.#byId.delete(id);
    shared.context.retire();
  }
}

function newContext(engine: TlsClientEngine, plan: Plan, tls: ServerTlsPlan, blobs: readonly Uint8Array[]): TlsClientContext {
  const policy = policyOf(tls.policy);
  const own = tls.certificate === null ? null : plan.certificates[tls.certificate]!;
  return engine.clientContext({
    rules: underFloor(policy, policy.minVersion, policy.requirePostQuantum),
    caPem: null,
    depth: tls.depth,
    certificate: own === null ? null : { chainPem: blobs[own.chainBlob]!, keyPem: blobs[own.keyBlob]! },
    alpn: tls.alpn,
    judge: serverJudge(tls.verifies, tls.pins),
  });
}

const NOTHING = new Uint8Array(0);
/** Certificates that are read at a time: less than a millisecond's. */
const PIECE_CERTIFICATES = 8;
const END = '-----END ';

/** `pem`, one certificate a block, in pieces of a few. */
function* piecesOf(pem: Uint8Array): Generator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(pem.buffer, pem.byteOffset, pem.length);
  let from = 0;
  let at = 0;
  for (let count = 1; from < bytes.length; count++) {
    const end = bytes.indexOf(END, at);
    const line = end < 0 ? -1 : bytes.indexOf('\n', end);
    at = line < 0 ? bytes.length : line + 1;
    if (count % PIECE_CERTIFICATES !== 0 && at < bytes.length) continue;
    yield bytes.subarray(from, at);
    from = at;
  }
}
