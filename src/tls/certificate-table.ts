/**
 * Which context serves a name: the exact name before a wildcard of one label (RFC 6125, section 6.4.3), before the listener's default; and of
 * two certificates for a name the one that is valid now. Certificates for the same name with keys of different types share a context, and
 * the engine takes what the client can verify. Rules may differ by name: they are chosen in the same way. Immutable; a new plan makes a new one.
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
import type { CertificatePlan, ListenerPlan, Plan, TlsPlan, TlsRulePlan } from '../plan/plan.ts';
import type { ContextPool, SharedContext } from './context-pool.ts';
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
  /** OCSP responses to show, by the certificate's fingerprint. */
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
  readonly #strict: boolean;
  #fallback: NameOwner | undefined;

  private constructor(pool: ContextPool, strict: boolean) {
    this.#pool = pool;
    this.#strict = strict;
  }

  /** Makes every context; yields behind each, so that a worker may do other things meanwhile. What throws has given back what it took. */
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
      const texts = tls.rules.map((rule) => rulesText(parts.engine, listener, tls, rule));
      const owners = new Map<string, NameOwner>();
      const first = [tls.certificates[0]!];
      // A name with rules of its own may be one that a wildcard certificate is for, or none.
      for (const name of new Set([...candidates.keys(), ...rules.names])) {
        const own = candidates.get(name) ?? candidates.get(wildcardOf(name)) ?? first;
        const rule = rules.find(name);
        const ruleIndex = tls.rules.indexOf(rule);
        const id = `${ruleIndex} ${own.join(',')}`;
        let owner = owners.get(id);
        if (owner === undefined) {
          owner = yield* table.#own(parts, tls, rule, texts[ruleIndex]!, own);
          owners.set(id, owner);
        }
        if (name.startsWith('*.')) table.#wildcards.set(name.slice(2), owner);
        else table.#exact.set(name, owner);
      }
      table.#fallback = owners.get(`0 ${first.join(',')}`) ?? (yield* table.#own(parts, tls, tls.rules[0]!, texts[0]!, first));
      whole = true;
      return table;
    } finally {
      if (!whole) yield* table.retire();
    }
  }

  *#own(
    parts: TableParts,
    tls: TlsPlan,
    rule: TlsRulePlan,
    text: string,
    candidates: readonly number[],
  ): Generator<undefined, NameOwner, undefined> {
    const { certificates } = parts.plan;
    const spans: Span[] = [];
    for (const { untilMs, group, valid } of spansOf(certificates, candidates, parts.nowMs)) {
      const ruleSet = ruleSetOf(text, group, certificates);
      const shared = this.#pool.take(ruleSet, () => newContext(parts, contextOptions(parts, tls, rule, group, ruleSet)));
      // Taken once, however many names it serves.
      if (this.#taken.has(ruleSet)) this.#pool.giveBack(ruleSet);
      this.#taken.add(ruleSet);
      spans.push({ untilMs, shared, valid, keys: group.map((index) => certificates[index]!.keyType) });
      yield;
    }
    return {
      rule,
      policy: policyOf(rule.policy),
      report: rule.report === null ? null : policyOf(rule.report),
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

/** The context for a connection made now. */
export function contextAt(owner: NameOwner, nowMs: number): TlsContext {
  return spanAt(owner, nowMs).shared.ready;
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

/** What tells this rule set from every other: tickets of one are worth nothing to another, and those that have the same share a context. */
function ruleSetOf(text: string, group: readonly number[], certificates: readonly CertificatePlan[]): string {
  return `${text} ${group.map((index) => certificates[index]!.chainFingerprint).join()}`;
}

/** All of that but the certificates: the same for ten thousand of them. */
function rulesText(engine: TlsEngine, listener: ListenerPlan, tls: TlsPlan, rule: TlsRulePlan): string {
  // What is only reported changes nothing for a client that returns.
  const { names: _names, report: _report, clients, ...rest } = rule;
  const { alpn, compressCertificates, ticketLifetimeS } = tls;
  return JSON.stringify([engine.name, listener.name, rest, alpn, compressCertificates, ticketLifetimeS, clients?.id ?? null]);
}

function contextOptions(parts: TableParts, tls: TlsPlan, rule: TlsRulePlan, group: readonly number[], ruleSet: string): ContextOptions {
  const { plan, blobs } = parts;
  const certificates = group.map((index) => {
    const certificate = plan.certificates[index];
    const chainPem = blobs[certificate?.chainBlob ?? -1];
    const keyPem = blobs[certificate?.keyBlob ?? -1];
    assert(certificate !== undefined && chainPem !== undefined && keyPem !== undefined, 'a plan carries its certificates');
    return { chainPem, keyPem, plan: certificate };
  });
  const { minVersion, requirePostQuantum, tickets } = rule;
  const policy = policyOf(rule.policy);
  const rules = underFloor(policy, minVersion, requirePostQuantum);
  const { alpn, compressCertificates, ticketLifetimeS } = tls;
  return {
    ruleSet,
    policy: policy.name,
    rules,
    certificates,
    alpn,
    tickets,
    clients: clientRules(rule.clients, parts),
    compressCertificates,
    ticketLifetimeS,
  };
}

function newContext({ engine, staples }: TableParts, options: ContextOptions): TlsContext {
  const context = engine.context(options);
  for (const { plan } of options.certificates) {
    const response = staples.get(plan.fingerprint);
    if (response !== undefined) context.staple(plan.fingerprint, response);
  }
  return context;
}

function clientRules(clients: ClientCertificatesPlan | null, { blobs, judgeOf }: TableParts): ClientCertificateRules | null {
  if (clients === null) return null;
  const caPem = blobs[clients.authoritiesBlob];
  assert(caPem !== undefined, 'a plan carries its authorities');
  return { required: clients.mode === 'required', caPem, depth: clients.depth, judge: judgeOf(clients) };
}
