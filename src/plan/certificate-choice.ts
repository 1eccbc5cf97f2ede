/**
 * Which rules and which certificates a name has, as a listener's plan says: the one place for it, for the worker that shows certificates
 * (tls/certificate-table.ts) and for whoever explains what it would show (observe/explain.ts). Pure; the clock is the caller's.
 */
import { assert } from '../base/assert.ts';
import type { CertificatePlan, Plan, TlsPlan, TlsRulePlan } from './plan.ts';

/** `*.example.com` of `shop.example.com`. */
export function wildcardOf(name: string): string {
  return `*${name.slice(name.indexOf('.'))}`;
}

/** Whose rules a name has: those that list it, those that list its wildcard, the listener's. */
export class RuleNames {
  readonly #byName = new Map<string, TlsRulePlan>();
  readonly #first: TlsRulePlan;

  constructor(rules: readonly TlsRulePlan[]) {
    this.#first = rules[0]!;
    for (const rule of rules) for (const name of rule.names) if (!this.#byName.has(name)) this.#byName.set(name, rule);
  }

  get names(): Iterable<string> {
    return this.#byName.keys();
  }

  find(name: string): TlsRulePlan {
    return this.#byName.get(name) ?? this.#byName.get(wildcardOf(name)) ?? this.#first;
  }
}

/** For each name the certificates that are for it, in the listener's order. */
export function candidatesByName(plan: Plan, tls: TlsPlan): Map<string, number[]> {
  const byName = new Map<string, number[]>();
  for (const index of tls.certificates) addCandidate(byName, plan.certificates, index);
  return byName;
}

/** One certificate more: for who does it in slices. */
export function addCandidate(byName: Map<string, number[]>, certificates: readonly CertificatePlan[], index: number): void {
  for (const name of certificates[index]?.names ?? []) {
    const candidates = byName.get(name);
    if (candidates === undefined) byName.set(name, [index]);
    else if (!candidates.includes(index)) candidates.push(index);
  }
}

export interface GroupSpan {
  readonly untilMs: number;
  readonly group: readonly number[];
  readonly valid: boolean;
}

/**
 * The certificates that serve from `nowMs` on, span by span: of each kind of key the first that is valid, all this time; where none of any kind
 * is, the first of each kind. The engine knows one certificate of each kind.
 */
export function spansOf(certificates: readonly CertificatePlan[], candidates: readonly number[], nowMs: number): readonly GroupSpan[] {
  const isValid = (index: number, atMs: number): boolean => {
    const { notBeforeMs, notAfterMs } = certificates[index]!;
    return notBeforeMs <= atMs && atMs < notAfterMs;
  };
  const edges = candidates
    .flatMap((index) => [certificates[index]!.notBeforeMs, certificates[index]!.notAfterMs])
    .filter((ms) => ms > nowMs);
  const starts = [nowMs, ...new Set(edges.sort((a, b) => a - b))];
  const spans: GroupSpan[] = [];
  starts.forEach((fromMs, i) => {
    const fit = candidates.filter((index) => isValid(index, fromMs));
    const group = onePerKind(certificates, fit.length > 0 ? fit : candidates);
    const span = { untilMs: starts[i + 1] ?? Number.POSITIVE_INFINITY, group, valid: fit.length > 0 };
    const last = spans.at(-1);
    if (last !== undefined && last.valid === span.valid && last.group.join() === group.join()) spans.pop();
    spans.push(span);
  });
  return spans;
}

function onePerKind(certificates: readonly CertificatePlan[], candidates: readonly number[]): readonly number[] {
  return candidates.filter(
    (index, i) => candidates.findIndex((other) => kindOfKey(certificates[other]!) === kindOfKey(certificates[index]!)) === i,
  );
}

/** The curve of an ECDSA key, and the parameters of an ML-DSA key, make no other kind. */
export function kindOfKey({ keyType }: Pick<CertificatePlan, 'keyType'>): string {
  if (keyType === 'p256' || keyType === 'p384' || keyType === 'p521') return 'ecdsa';
  return keyType.startsWith('mldsa') ? 'mldsa' : keyType;
}

/**
 * The rules and certificates for `name` (lower-case, no trailing dot; null: none was asked for) at `nowMs`: as a table finds them; null:
 * nobody serves it, the listener is strict.
 */
export function choiceFor(
  plan: Plan,
  tls: TlsPlan,
  name: string | null,
  nowMs: number,
): { readonly rule: TlsRulePlan; readonly group: readonly number[] } | null {
  const first = tls.certificates[0];
  assert(first !== undefined, 'a TLS listener has a certificate');
  const rules = new RuleNames(tls.rules);
  const candidates = candidatesByName(plan, tls);
  const listed = new Set([...candidates.keys(), ...rules.names]);
  const own = (wanted: string): { rule: TlsRulePlan; span: GroupSpan } | null => {
    if (!listed.has(wanted)) return null;
    const indices = candidates.get(wanted) ?? candidates.get(wildcardOf(wanted)) ?? [first];
    return { rule: rules.find(wanted), span: spansOf(plan.certificates, indices, nowMs)[0]! };
  };
  const exact = name === null ? null : own(name);
  const wildcard = name === null || !name.includes('.') || exact?.span.valid === true ? null : own(wildcardOf(name));
  const better = exact === null || (wildcard?.span.valid === true && wildcard.rule === exact.rule) ? wildcard : exact;
  const owner = better ?? exact;
  if (owner !== null) return { rule: owner.rule, group: owner.span.group };
  return tls.strict ? null : { rule: tls.rules[0]!, group: spansOf(plan.certificates, [first], nowMs)[0]!.group };
}
