/** TLS towards the servers of a worker's plans: whose context is made when, who uses it, and what becomes of it with the next plan. */
import type { Reactor } from '../net/reactor.ts';
import { TARGET_PLACES } from '../plan/counters.ts';
import type { Plan, UpstreamPlan } from '../plan/plan.ts';
import type { TableRow } from '../plan/table.ts';
import { ServerRules, ServerTls, type ServerTlsParts } from '../proxy/server-tls.ts';
import type { TlsClientContext, TlsClientEngine } from '../tls/engine.ts';
import { ServerContexts } from '../tls/server-contexts.ts';
import { Upstream } from '../upstream/upstream.ts';

export interface ServerTrustParts {
  /** The engine that begins connections, for a plan with this libssl. Throws when it cannot be had. */
  readonly engine: (library: string | null) => TlsClientEngine;
  readonly reactor: Reactor;
  readonly row: TableRow;
  readonly logs: ServerTlsParts['logs'];
  readonly unixMs: () => number;
}

/** What a plan was given: the contexts of its upstreams, by their names. */
export type Trusted = ReadonlyMap<string, TlsClientContext>;

export class ServerTrust {
  readonly #parts: ServerTrustParts;
  readonly #contexts = new ServerContexts();
  /** By the upstream's name, for as long as a plan that runs has it. */
  readonly #rules = new Map<string, ServerRules>();

  constructor(parts: ServerTrustParts) {
    this.#parts = parts;
  }

  /** Of a plan that is being made ready: connections can be made once it runs. */
  upstream(plan: UpstreamPlan): Upstream {
    const { reactor, row, logs, unixMs } = this.#parts;
    const { tls } = plan;
    if (tls === null) return new Upstream(plan, reactor, row);
    const rules = this.#rules.get(plan.name) ?? new ServerRules();
    this.#rules.set(plan.name, rules);
    const parts: ServerTlsParts = {
      rules,
      logs,
      nowMs: () => reactor.nowMs,
      unixMs,
      count: (slot, place) => {
        row.targets[slot * TARGET_PLACES + place]!++;
      },
    };
    return new Upstream(
      plan,
      reactor,
      row,
      (target) => new ServerTls(parts, plan, target, tls.peers[plan.targets.indexOf(target)]!, tls.handshakeMs),
    );
  }

  /** Makes what `plan` needs; yields behind each. What throws has given back what it took. */
  *build(plan: Plan, blobs: readonly Uint8Array[]): Generator<undefined, Trusted, undefined> {
    const taken = new Map<string, TlsClientContext>();
    try {
      for (const { name, tls } of plan.upstreams) {
        if (tls === null) continue;
        taken.set(name, yield* this.#contexts.take(() => this.#parts.engine(plan.opensslLibrary), plan, tls, blobs));
        yield;
      }
    } catch (error) {
      this.giveBack(plan, taken);
      throw error;
    }
    return taken;
  }

  /** `plan` does not need what was made for it any more. */
  giveBack(plan: Plan, trusted: Trusted): void {
    for (const { name, tls } of plan.upstreams) if (tls !== null && trusted.has(name)) this.#contexts.giveBack(tls.id);
  }

  /** From now on connections are made by these rules, whoever asks for them. */
  use(trusted: Trusted): void {
    for (const [name, rules] of this.#rules) {
      rules.context = trusted.get(name) ?? null;
      if (rules.context === null) this.#rules.delete(name);
    }
  }
}
