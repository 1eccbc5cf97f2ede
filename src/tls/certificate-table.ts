/**
 * Which context serves a name: the exact name before a wildcard of one label (RFC 6125, section 6.4.3), before the listener's default.
 * Certificates that answer for the same names with keys of different types share a context, and the engine takes what the client can
 * verify. Immutable: a new plan makes a new table.
 */
import { assert } from '../base/assert.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import type { ListenerPlan, Plan, TlsPlan } from '../plan/plan.ts';
import type { ClientCertificateRules, ContextOptions, PeerJudge, TlsContext, TlsEngine } from './engine.ts';
import type { TicketKeyRing } from './ticket-keys.ts';

export class CertificateTable {
  readonly #exact = new Map<string, TlsContext>();
  /** By the part behind `*.`. */
  readonly #wildcards = new Map<string, TlsContext>();
  readonly #all: TlsContext[] = [];
  /** Names of each context's certificates, in the order of `#all`. */
  readonly #names: ReadonlySet<string>[] = [];
  readonly #fallback: TlsContext;

  /** Makes every context. On an error those already made are retired, and the error names the certificate. */
  constructor(
    engine: TlsEngine,
    plan: Plan,
    listener: ListenerPlan,
    tls: TlsPlan,
    blobs: readonly Uint8Array[],
    keys: TicketKeyRing,
    judge: PeerJudge | null,
  ) {
    assert(tls.certificates.length > 0, 'a TLS listener has a certificate');
    const byGroup = new Map<string, TlsContext>();
    try {
      const contextOf = (group: readonly number[]): TlsContext => {
        const id = group.join(',');
        let context = byGroup.get(id);
        if (context === undefined) {
          context = engine.context(contextOptions(plan, listener, tls, group, blobs, judge));
          byGroup.set(id, context);
          this.#all.push(context);
          this.#names.push(new Set(group.flatMap((index) => plan.certificates[index]?.names ?? [])));
          keys.addTo(context);
        }
        return context;
      };
      this.#fallback = contextOf([tls.certificates[0]!]);
      for (const [name, group] of groupsByName(plan, tls)) {
        if (name.startsWith('*.')) this.#wildcards.set(name.slice(2), contextOf(group));
        else this.#exact.set(name, contextOf(group));
      }
    } catch (error) {
      this.retire();
      throw error;
    }
  }

  /** The context for `name` (lower-case, no trailing dot), or the default; null: the client named no server. */
  find(name: string | null): TlsContext {
    return (name === null ? undefined : this.#owner(name)) ?? this.#fallback;
  }

  /** The context that has a certificate for `name`. */
  #owner(name: string): TlsContext | undefined {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    if (this.#wildcards.size === 0) return undefined;
    const dot = name.indexOf('.');
    return dot > 0 ? this.#wildcards.get(name.slice(dot + 1)) : undefined;
  }

  /** Whether every request on a connection may name any host: there is one context alone. */
  get isOne(): boolean {
    return this.#all.length === 1;
  }

  /**
   * Whether a request for `host` (lower-case, no trailing dot, no port) does not belong on a connection made for `name`: a certificate here
   * is for that host, and it is not the one this connection was shown. RFC 9110, section 15.5.20.
   */
  isMisdirected(name: string, host: string): boolean {
    const owner = this.#owner(host);
    const shown = this.find(name);
    if (owner === undefined || owner === shown) return false;
    const names = this.#names[this.#all.indexOf(shown)];
    const dot = host.indexOf('.');
    return names !== undefined && !names.has(host) && !(dot > 0 && names.has(`*${host.slice(dot)}`));
  }

  addKeys(keys: TicketKeyRing): void {
    for (const context of this.#all) keys.addTo(context);
  }

  /** Shows `response` with the certificate of that fingerprint; empty: none. */
  staple(fingerprint: string, response: Uint8Array): void {
    for (const context of this.#all) context.staple(fingerprint, response);
  }

  retire(): void {
    for (const context of this.#all) context.retire();
  }
}

/** For each name the certificates that answer for it, in the listener's order, one of each kind of key: the engine knows no more. */
function groupsByName(plan: Plan, tls: TlsPlan): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const index of tls.certificates) {
    for (const name of plan.certificates[index]?.names ?? []) {
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [index]);
      else if (!group.includes(index)) group.push(index);
    }
  }
  return groups;
}

function contextOptions(
  plan: Plan,
  listener: ListenerPlan,
  tls: TlsPlan,
  group: readonly number[],
  blobs: readonly Uint8Array[],
  judge: PeerJudge | null,
): ContextOptions {
  const certificates = group.map((index) => {
    const certificate = plan.certificates[index];
    const chainPem = blobs[certificate?.chainBlob ?? -1];
    const keyPem = blobs[certificate?.keyBlob ?? -1];
    assert(certificate !== undefined && chainPem !== undefined && keyPem !== undefined, 'a plan carries its certificates');
    return { chainPem, keyPem, plan: certificate };
  });
  const { policy, rules, alpn, tickets, compressCertificates, clients } = tls;
  const allowed = [rules.versions, rules.suites, rules.groups, rules.signatureSchemes].map((list) => list.join(',')).join('/');
  const ruleSet = `${listener.name} ${policy} ${allowed} ${clients?.id ?? '-'} ${certificates.map((each) => each.plan.fingerprint).join(' ')}`;
  return { ruleSet, policy, rules, certificates, alpn, tickets, clients: clientRules(clients, blobs, judge), compressCertificates };
}

function clientRules(
  clients: ClientCertificatesPlan | null,
  blobs: readonly Uint8Array[],
  judge: PeerJudge | null,
): ClientCertificateRules | null {
  if (clients === null) return null;
  const caPem = blobs[clients.authoritiesBlob];
  assert(caPem !== undefined && judge !== null, 'a plan carries its authorities');
  return { required: clients.mode === 'required', caPem, depth: clients.depth, judge };
}
