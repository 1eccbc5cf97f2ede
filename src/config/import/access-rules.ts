/** "The first rule that matches decides", as nginx and HAProxy have it, in Tollgate's terms: the longest prefix decides. */
import { maskedNetwork, networkCovers } from '../networks.ts';

export interface DraftAccess {
  allow?: string[];
  deny?: string[];
}

export interface AccessRule {
  readonly verdict: 'allow' | 'deny';
  /** As maskedNetwork gives it, or `all`. */
  readonly network: string;
}

const EVERYBODY = ['0.0.0.0/0', '::/0'];
/** What one list of Tollgate holds is 1,000. */
const RULES_MAX = 900;

/** A network as nginx and HAProxy take it, for a rule; undefined when it is none. */
export function ruleNetwork(text: string): string | undefined {
  return text === 'all' ? 'all' : maskedNetwork(text);
}

/**
 * Access that lets in whom `rules` lets in; who matches none is let in. Networks are nested or apart: what an earlier rule covers is dead, and
 * without the dead an earlier rule is the more specific, so that the longest prefix says the same. Undefined: everybody may. Null: too many
 * rules.
 */
export function accessOf(rules: readonly AccessRule[]): DraftAccess | undefined | null {
  if (rules.length > RULES_MAX) return null;
  const living: AccessRule[] = [];
  for (const { verdict, network } of [...rules, { verdict: 'allow', network: 'all' } as const]) {
    for (const each of network === 'all' ? EVERYBODY : [network]) {
      if (!living.some((earlier) => networkCovers(earlier.network, each))) living.push({ verdict, network: each });
    }
  }
  const of = (wanted: 'allow' | 'deny'): string[] => living.filter(({ verdict }) => verdict === wanted).map(({ network }) => network);
  const allow = of('allow');
  const deny = of('deny');
  const named = (networks: readonly string[]): string[] => networks.filter((each) => !EVERYBODY.includes(each)).map(withoutWholePrefix);
  if (deny.length === 0) return undefined;
  // Tollgate lets nobody else in when there is an allow list alone, and everybody else when there is a deny list.
  if (named(deny).length === 0 && deny.length === 2 && allow.length > 0) return { allow: named(allow) };
  if (named(allow).length + 2 === allow.length)
    return allow.length === 2 ? { deny: named(deny) } : { allow: named(allow), deny: named(deny) };
  return allow.length === 0 ? { deny } : { allow: allow.map(withoutWholePrefix), deny: deny.map(withoutWholePrefix) };
}

/** `192.0.2.7` of `192.0.2.7/32`. */
function withoutWholePrefix(network: string): string {
  return network.replace(network.includes(':') ? /\/128$/ : /\/32$/, '');
}
