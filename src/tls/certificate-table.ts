/**
 * Which context serves a name: the exact name before a wildcard of one label (RFC 6125, section 6.4.3), before the listener's default; and of
 * two certificates for a name the one that is valid now. Certificates for the same name with keys of different types share a context, and
 * the engine takes what the client can verify. Rules may differ by name: they are chosen in the same way. Immutable; a new plan makes a new one.
 *
 * Contexts are made when their names are first asked for. With the table the first of each kind of certificate is made, under each of the rules:
 * what a library does not take is refused with the plan, since it is by their kind that certificates that were read and checked are not taken.
 *
 *   name -> owner: rule and spans;   span: until when, the context of the certificates that are valid until then, or of none that is
 */
import { assert } from '../base/assert.ts';
import type { EngineName } from '../base/engine-name.ts';
import type { KeyType } from '../base/key-type.ts';
import { policyOf } from '../hello/policies.ts';
import { type Policy, underFloor } from '../hello/policy.ts';
import { addCandidate, RuleNames, spansOf, wildcardOf } from '../plan/certificate-choice.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import type { ListenerPlan, Plan, TlsPlan, TlsRulePlan } from '../plan/plan.ts';
import type { ContextPool, ContextRecipe, SharedContext } from './context-pool.ts';
import type { ClientCertificateRules, ContextOptions, PeerJudge, TlsContext, TlsEngine } from './engine.ts';

/** What a table is made from. */
export interface TableParts {
  readonly engine: TlsEngine;
  readonly pool: ContextPool;
  readonly plan: Plan;
  readonly blobs: readonly Uint8Array[];
  /** Unix time, milliseconds. */
  readonly nowMs: number;
  /** Who may come in by a certificate, under these rules. */
  readonly judgeOf: (clients: ClientCertificatesPlan) => PeerJudge;
  /** OCSP responses to show, by the certificate's fingerprint: those of the time when a context is made. */
  readonly staples: ReadonlyMap<string, Uint8Array>;
}

interface Span {
  /** Unix time, milliseconds; the last one's is infinite. */
  readonly untilMs: number;
  readonly shared: SharedContext;
  /** Whether its certificates are valid, all this time. */
  readonly valid: boolean;
  /** Of its certificates: what hello/negotiate.ts wants to know. */
  readonly keys: readonly KeyType[];
}

/** What a name is served by. */
export interface NameOwner {
  readonly rule: TlsRulePlan;
  /** The rule's policy, and the one whose refusals are only counted and logged. */
  readonly policy: Policy;
  readonly report: Policy | null;
  readonly engine: EngineName;
  readonly spans: readonly Span[];
  /** Names of its certificates. */
  readonly names: ReadonlySet<string>;
}

export class CertificateTable {
  readonly #exact = new Map<string, NameOwner>();
  /** By the part behind `*.`. */
  readonly #wildcards = new Map<string, NameOwner>();
  readonly #pool: ContextPool;
  /** Ids of the contexts it has taken. */
  readonly #taken = new Set<string>();
  /** What the library was shown while the table was made: rules, and kinds of certificates. */
  readonly #tried = new Set<string>();
  readonly #strict: boolean;
  #fallback: NameOwner | undefined;

  private constructor(pool: ContextPool, strict: boolean) {
    this.#pool = pool;
    this.#strict = strict;
  }

  /** Yields behind each context, so that a worker may do other things meanwhile. What throws has given back what it took. */
  static *build(parts: TableParts, listener: ListenerPlan, tls: TlsPlan): Generator<undefined, CertificateTable, undefined> {
    assert(tls.certificates.length > 0, 'a TLS listener has a certificate');
    const table = new CertificateTable(parts.pool, tls.strict);
    let whole = false;
    try {
      const rules = new RuleNames(tls.rules);
      const candidates = new Map<string, number[]>();
      for (const index of tls.certificates) {
        addCandidate(candidates, parts.plan.certificates, index);
        yield;
      }
      const ruleSets = tls.rules.map((rule) => ruleSetOf(parts, listener, tls, rule));
      const owners = new Map<string, NameOwner>();
      const first = [tls.certificates[0]!];
      for (const name of namesOf(candidates, rules)) {
        const own = candidates.get(name) ?? candidates.get(wildcardOf(name)) ?? first;
        const rule = rules.find(name);
        const ruleIndex = tls.rules.indexOf(rule);
        const id = `${ruleIndex} ${own.join(',')}`;
        let owner = owners.get(id);
        if (owner === undefined) {
          owner = yield* table.#own(parts, ruleSets[ruleIndex]!, own);
          owners.set(id, owner);
        }
        if (name.startsWith('*.')) table.#wildcards.set(name.slice(2), owner);
        else table.#exact.set(name, owner);
      }
      table.#fallback = owners.get(`0 ${first.join(',')}`) ?? (yield* table.#own(parts, ruleSets[0]!, first));
      whole = true;
      return table;
    } finally {
      if (!whole) yield* table.retire();
    }
  }

  *#own(parts: TableParts, rules: RuleSet, candidates: readonly number[]): Generator<undefined, NameOwner, undefined> {
    const { certificates } = parts.plan;
    const spans: Span[] = [];
    for (const { untilMs, group, valid } of spansOf(certificates, candidates, parts.nowMs)) {
      // What tells it from every other: tickets of one are worth nothing to another, and those that have the same share a context.
      const id = `${rules.text} ${group.map((index) => certificates[index]!.chainFingerprint).join()}`;
      const shared = this.#pool.take(id, () => new Recipe(parts, rules, group, id));
      // Taken once, however many names it serves.
      if (this.#taken.has(id)) this.#pool.giveBack(id);
      this.#taken.add(id);
      const kind = `${rules.index} ${group.map((index) => certificates[index]!.algorithms).join()}`;
      if (!this.#tried.has(kind)) shared.open();
      this.#tried.add(kind);
      spans.push({ untilMs, shared, valid, keys: group.map((index) => certificates[index]!.keyType) });
      yield;
    }
    return {
      rule: rules.rule,
      policy: rules.policy,
      report: rules.report,
      engine: parts.engine.name,
      spans,
      names: new Set(candidates.flatMap((index) => certificates[index]!.names)),
    };
  }

  /** Who serves `name` (lower-case, no trailing dot; null: the client named no server); null: nobody, the listener is strict. */
  find(name: string | null, nowMs: number): NameOwner | null {
    return (name === null ? undefined : this.#owner(name, nowMs)) ?? (this.#strict ? null : this.#fallback!);
  }

  #owner(name: string, nowMs: number): NameOwner | undefined {
    const exact = this.#exact.get(name);
    if (this.#wildcards.size === 0 || (exact !== undefined && spanAt(exact, nowMs).valid)) return exact;
    const dot = name.indexOf('.');
    const wildcard = dot > 0 ? this.#wildcards.get(name.slice(dot + 1)) : undefined;
    if (exact === undefined || wildcard === undefined) return exact ?? wildcard;
    // A wildcard that is valid serves better than a certificate that is not, under the same rules.
    return spanAt(wildcard, nowMs).valid && wildcard.rule === exact.rule ? wildcard : exact;
  }

  /** Whether every request on a connection may name any host: there is one context alone. */
  get isOne(): boolean {
    return this.#taken.size === 1;
  }

  /**
   * Whether a request for `host` (lower-case, no trailing dot, no port) does not belong on a connection made for `name`: it has other rules, or
   * a certificate here is for that host, and it is not the one this connection was shown. RFC 9110, section 15.5.20.
   */
  isMisdirected(name: string | null, host: string, nowMs: number): boolean {
    const owner = this.#owner(host, nowMs);
    const shown = this.find(name, nowMs);
    if (owner === shown || shown === null) return false;
    if ((owner ?? this.#fallback!).rule !== shown.rule) return true;
    // Who named no server was shown the default, and knows it.
    if (owner === undefined || name === null) return false;
    return !shown.names.has(host) && !shown.names.has(wildcardOf(host));
  }

  /** Shows `response` with the certificate of that fingerprint; empty: none. */
  staple(fingerprint: string, response: Uint8Array): void {
    for (const id of this.#taken) this.#pool.staple(id, fingerprint, response);
  }

  /** Gives its contexts back, once; yields behind each, since those that nobody else has are freed. */
  *retire(): Generator<undefined, void, undefined> {
    for (const id of this.#taken) {
      this.#pool.giveBack(id);
      yield;
    }
  }
}

/** Those of certificates, and those with rules of their own: a wildcard certificate may be for one, or none. */
function* namesOf(candidates: ReadonlyMap<string, unknown>, rules: RuleNames): Generator<string, void, undefined> {
  yield* candidates.keys();
  for (const name of rules.names) if (!candidates.has(name)) yield name;
}

/** The context for a connection made now; null: it cannot be made, and `problemAt` says why. */
export function contextAt(owner: NameOwner, nowMs: number): TlsContext | null {
  return spanAt(owner, nowMs).shared.ready;
}

export function problemAt(owner: NameOwner, nowMs: number): string {
  return spanAt(owner, nowMs).shared.problem;
}

/** Types of the keys that a client which comes now could be shown a certificate of. */
export function keysAt(owner: NameOwner, nowMs: number): readonly KeyType[] {
  return spanAt(owner, nowMs).keys;
}

function spanAt({ spans }: NameOwner, nowMs: number): Span {
  let i = 0;
  while (nowMs >= spans[i]!.untilMs) i++;
  return spans[i]!;
}

/** One of a listener's rules, and what of it is the same for ten thousand certificates. */
interface RuleSet {
  readonly index: number;
  readonly rule: TlsRulePlan;
  readonly policy: Policy;
  readonly report: Policy | null;
  /** What tells it from the rules of others. */
  readonly text: string;
  readonly options: Omit<ContextOptions, 'ruleSet' | 'certificates'>;
}

function ruleSetOf(parts: TableParts, listener: ListenerPlan, tls: TlsPlan, rule: TlsRulePlan): RuleSet {
  const { alpn, compressCertificates } = tls;
  // What is only reported changes nothing for a client that returns.
  const { names: _names, report, clients, ...rest } = rule;
  const { minVersion, requirePostQuantum, tickets, ticketLifetimeS } = rule;
  const policy = policyOf(rule.policy);
  return {
    index: tls.rules.indexOf(rule),
    rule,
    policy,
    report: report === null ? null : policyOf(report),
    text: JSON.stringify([parts.engine.name, listener.name, rest, alpn, compressCertificates, clients?.id ?? null]),
    options: {
      policy: policy.name,
      rules: underFloor(policy, minVersion, requirePostQuantum),
      alpn,
      tickets,
      clients: clientRules(clients, parts),
      compressCertificates,
      ticketLifetimeS,
    },
  };
}

/** A context that is not made yet. It keeps what it needs, and no more of a plan. */
class Recipe implements ContextRecipe {
  readonly #engine: TlsEngine;
  readonly #staples: ReadonlyMap<string, Uint8Array>;
  readonly #options: RuleSet['options'];
  readonly #ruleSet: string;
  readonly #certificates: ContextOptions['certificates'];

  /** Of the certificates `group`. */
  constructor(parts: TableParts, rules: RuleSet, group: readonly number[], ruleSet: string) {
    this.#engine = parts.engine;
    this.#staples = parts.staples;
    this.#options = rules.options;
    this.#ruleSet = ruleSet;
    this.#certificates = group.map((index) => copyOf(parts, index));
  }

  make(): TlsContext {
    const certificates = this.#certificates;
    const context = this.#engine.context({ ...this.#options, ruleSet: this.#ruleSet, certificates });
    for (const { plan } of certificates) {
      const response = this.#staples.get(plan.fingerprint);
      if (response !== undefined) context.staple(plan.fingerprint, response);
    }
    return context;
  }

  forget(): void {
    for (const { keyPem } of this.#certificates) keyPem.fill(0);
  }
}

/** A certificate and its key, copied: a plan's blobs are zeroed once it is adopted. */
function copyOf({ plan, blobs }: TableParts, index: number): ContextOptions['certificates'][number] {
  const certificate = plan.certificates[index];
  const chainPem = blobs[certificate?.chainBlob ?? -1];
  const keyPem = blobs[certificate?.keyBlob ?? -1];
  assert(certificate !== undefined && chainPem !== undefined && keyPem !== undefined, 'a plan carries its certificates');
  // One piece of memory for both, and not from Node's pool: keys must not share a slab with strangers.
  const memory = new Uint8Array(chainPem.length + keyPem.length);
  memory.set(chainPem);
  memory.set(keyPem, chainPem.length);
  return { chainPem: memory.subarray(0, chainPem.length), keyPem: memory.subarray(chainPem.length), plan: certificate };
}

function clientRules(clients: ClientCertificatesPlan | null, { blobs, judgeOf }: TableParts): ClientCertificateRules | null {
  if (clients === null) return null;
  const caPem = blobs[clients.authoritiesBlob];
  assert(caPem !== undefined, 'a plan carries its authorities');
  return { required: clients.mode === 'required', caPem: Uint8Array.from(caPem), depth: clients.depth, judge: judgeOf(clients) };
}
