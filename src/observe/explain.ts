/**
 * What a client would get from a configuration: for each listener the certificate, version, suite, group, protocol and route, or why nothing,
 * and which setting would change that. Asks hello/negotiate.ts, which is held against the engines; follows the worker's order of events.
 */
import type { EngineName } from '../base/engine-name.ts';
import {
  FAULT_HELLO_BELOW_VERSION,
  FAULT_HELLO_NO_SHARED_PROTOCOL,
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_HELLO_NOT_POST_QUANTUM,
  FAULT_HELLO_UNKNOWN_NAME,
  FAULT_TLS_FALLBACK,
  FAULT_TLS_NO_SHARED_GROUP,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
  faultOf,
} from '../base/faults.ts';
import type { KeyType } from '../base/key-type.ts';
import type { ClientHello } from '../hello/client-hello.ts';
import { groupName, schemeName, suiteName, versionName } from '../hello/names.ts';
import { Agreement, refusalByFloor, refusalUnder } from '../hello/negotiate.ts';
import { allPolicies, findPolicy, policyOf } from '../hello/policies.ts';
import { type Policy, underFloor, weaknessOf } from '../hello/policy.ts';
import { choiceFor } from '../plan/certificate-choice.ts';
import { addressText, type ListenerPlan, type Plan, type TcpRoutePlan, type TlsPlan, type TlsRulePlan } from '../plan/plan.ts';
import { NameTable } from '../route/name-table.ts';
import { NO_ROUTE, RouteTable } from '../route/route-table.ts';

/** What one listener would do. */
export interface ListenerExplanation {
  readonly listener: string;
  readonly address: string;
  /** Null: the listener terminates nothing. */
  readonly policy: string | null;
  readonly engine: EngineName | null;
  readonly ok: boolean;
  /** The client's TLS goes to a server as it is: what is said of TLS below is that server's affair, and null. */
  readonly passedThrough: boolean;
  /** The certificate that is shown, or would be. */
  readonly certificate: { readonly source: string; readonly keyType: KeyType; readonly names: readonly string[] } | null;
  readonly version: string | null;
  readonly suite: string | null;
  readonly group: string | null;
  /** A round trip more: the client's key shares are for other groups. */
  readonly retried: boolean;
  readonly signatureScheme: string | null;
  readonly alpn: string | null;
  readonly route: string | null;
  /** What the route does: `forward`, `redirect`, `respond`; `carry`, what is inside of TLS or TLS as it is. */
  readonly action: string | null;
  /** Where it leads to. */
  readonly upstream: string | null;
  /** As in the log of handshakes; null: served. */
  readonly reason: string | null;
  /** One sentence for a person. */
  readonly why: string | null;
  /** Settings that would change it. */
  readonly remedies: readonly string[];
  /** What a client may not like about an answer that it gets. */
  readonly notes: readonly string[];
}

/** Our presets from the strictest to the most generous, as something to advise. */
const ADVISED = ['modern', 'intermediate', 'legacy', 'CloudFront-TLS-1-0-2016'];

/** `host` in lower case, without a final dot; `path` as in a request. */
export function explain(plan: Plan, hello: ClientHello, host: string, path: string, nowMs: number): ListenerExplanation[] {
  return plan.listeners.flatMap((listener) => {
    const passed = passage(plan, listener, hello);
    if (passed !== null) return [passed];
    return listener.tls === null ? [] : [explainListener(plan, listener, listener.tls, hello, host, path, nowMs)];
  });
}

/** What is said of a client that is passed through, or that a listener which only does that has no entry for; null: it is terminated, or speaks no TLS. */
function passage(plan: Plan, listener: ListenerPlan, hello: ClientHello): ListenerExplanation | null {
  const { tls, passthrough } = listener;
  if (passthrough.length === 0) return null;
  const at = {
    ...NOTHING,
    listener: listener.name,
    address: addressText(listener.address),
    policy: tls === null ? null : policyOf(tls.rules[0]!.policy).name,
    engine: tls?.engine ?? null,
    remedies: [],
  };
  const entry = passthrough[new NameTable(passthrough.map(({ match }) => match)).find(hello.serverName(), hello)];
  if (entry !== undefined) {
    const notes = [`its TLS goes to ${plan.upstreams[entry.upstream]!.name} as it is: version, certificate and all else are that server's`];
    return { ...at, ok: true, passedThrough: true, reason: null, why: null, ...carried(plan, entry), notes };
  }
  if (tls !== null) return null;
  const why = `it asks for ${hello.serverName() ?? 'no name'}${offeredBy(hello)}, which no entry of passthrough is for, and the listener terminates nothing`;
  const remedies = ['passthrough: an entry for this name', 'tls: certificates, to terminate it'];
  return { ...at, reason: faultOf(FAULT_HELLO_UNKNOWN_NAME).reason, why, remedies };
}

function offeredBy(hello: ClientHello): string {
  return hello.alpnCount === 0 ? '' : ` and by ALPN for ${hello.alpnNames().join(', ')}`;
}

function carried(plan: Plan, { name, upstream }: TcpRoutePlan): Routed {
  return { route: name, action: 'carry', upstream: plan.upstreams[upstream]!.name };
}

function explainListener(
  plan: Plan,
  listener: ListenerPlan,
  tls: TlsPlan,
  hello: ClientHello,
  host: string,
  path: string,
  nowMs: number,
): ListenerExplanation {
  const choice = choiceFor(plan, tls, hello.serverName(), nowMs);
  const at = { listener: listener.name, address: addressText(listener.address), engine: tls.engine };
  if (choice === null) {
    const why = `it asks for ${hello.serverName() ?? 'no name'}, which no certificate is for, and the listener is strict`;
    const remedies = ['tls.strict: false', 'tls.certificates: one for this name'];
    return {
      ...at,
      policy: policyOf(tls.rules[0]!.policy).name,
      ...NOTHING,
      reason: faultOf(FAULT_HELLO_UNKNOWN_NAME).reason,
      why,
      remedies,
    };
  }
  const { rule } = choice;
  const policy = policyOf(rule.policy);
  const certificates = choice.group.map((index) => plan.certificates[index]!);
  const keys = certificates.map(({ keyType }) => keyType);
  const agreement = new Agreement();
  const fault = refusal(tls, rule, policy, hello, keys, agreement);
  const shown = certificates[agreement.certificate];
  const base = { ...at, policy: policy.name };
  if (fault !== 0) {
    const remedies = remediesFor(fault, tls, rule, policy, hello, keys);
    const why = whyNot(fault, tls, rule, policy, hello, keys);
    return { ...base, ...NOTHING, reason: faultOf(fault).reason, why, remedies };
  }
  const protocol = sharedProtocol(tls, hello);
  const route = listener.tcpRoutes === null ? routeFor(plan, listener, host, path) : tcpRouteFor(plan, listener.tcpRoutes, hello, protocol);
  const notes: string[] = [];
  if (shown!.notAfterMs < nowMs) notes.push('the certificate has expired: clients refuse it');
  if (shown!.notBeforeMs > nowMs) notes.push('the certificate is not valid yet: clients refuse it');
  // A recorded hello may name nobody.
  if (host !== '' && !covers(shown!.names, host)) notes.push(`the certificate is not for ${host}: clients refuse it`);
  if (agreement.retried) notes.push('one round trip more: the client sends no key for this group at first');
  if (route === null && listener.tcpRoutes !== null) notes.push('no route is for it: the connection is closed behind the handshake');
  return {
    ...base,
    ok: true,
    passedThrough: false,
    certificate: { source: shown!.source, keyType: shown!.keyType, names: shown!.names },
    version: versionName(agreement.version),
    suite: suiteName(agreement.suite),
    group: agreement.group === 0 ? null : groupName(agreement.group),
    retried: agreement.retried,
    signatureScheme: agreement.scheme === 0 ? null : schemeName(agreement.scheme),
    alpn: protocol,
    ...(route ?? { route: null, action: null, upstream: null }),
    reason: null,
    why: null,
    remedies: [],
    notes,
  };
}

const NOTHING = Object.freeze({
  ok: false,
  passedThrough: false,
  certificate: null,
  version: null,
  suite: null,
  group: null,
  retried: false,
  signatureScheme: null,
  alpn: null,
  route: null,
  action: null,
  upstream: null,
  notes: [],
});

/** In the worker's order: the peek's own refusals, then the engine's. */
function refusal(tls: TlsPlan, rule: TlsRulePlan, policy: Policy, hello: ClientHello, keys: readonly KeyType[], out: Agreement): number {
  const refused = refusalByFloor(hello, policy, rule.minVersion, rule.requirePostQuantum);
  if (refused < 0) return refused;
  if (hello.alpnCount > 0 && tls.alpn.length > 0 && sharedProtocol(tls, hello) === null) return FAULT_HELLO_NO_SHARED_PROTOCOL;
  return refusalUnder(hello, underFloor(policy, rule.minVersion, rule.requirePostQuantum), keys, tls.engine, out);
}

function sharedProtocol(tls: TlsPlan, hello: ClientHello): string | null {
  return tls.alpn.find((name) => hello.offersAlpn(Buffer.from(name, 'latin1'))) ?? null;
}

type Routed = Pick<ListenerExplanation, 'route' | 'action' | 'upstream'>;

function routeFor(plan: Plan, listener: ListenerPlan, host: string, path: string): Routed | null {
  const bytes = Buffer.from(`${host}${path}`, 'latin1');
  const index = new RouteTable(listener.routes).find(bytes, 0, host.length, host.length, bytes.length);
  if (index === NO_ROUTE) return null;
  const { name, action } = listener.routes[index]!;
  return { route: name, action: action.kind, upstream: action.kind === 'forward' ? plan.upstreams[action.upstream]!.name : null };
}

/** By the name that was asked for and the protocol that was agreed. */
function tcpRouteFor(plan: Plan, routes: readonly TcpRoutePlan[], hello: ClientHello, protocol: string | null): Routed | null {
  const agreed = { offersAlpn: (each: Uint8Array): boolean => Buffer.from(each).toString('latin1') === protocol };
  const route = routes[new NameTable(routes.map(({ match }) => match)).find(hello.serverName(), agreed)];
  return route === undefined ? null : carried(plan, route);
}

function covers(names: readonly string[], host: string): boolean {
  const dot = host.indexOf('.');
  return names.includes(host) || (dot > 0 && names.includes(`*${host.slice(dot)}`));
}

function whyNot(fault: number, tls: TlsPlan, rule: TlsRulePlan, policy: Policy, hello: ClientHello, keys: readonly KeyType[]): string {
  const highest = hello.maxVersion() === 0 ? 'no version of TLS' : `${versionName(hello.maxVersion())} at most`;
  const named = (list: readonly number[], nameOf: (value: number) => string): string => {
    const names = list.map(nameOf);
    return names.length <= 4 ? names.join(', ') : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;
  };
  switch (fault) {
    case FAULT_HELLO_BELOW_VERSION:
      return `it speaks ${highest}; the listener wants ${versionName(rule.minVersion)} (minimumVersion)`;
    case FAULT_HELLO_NO_SHARED_VERSION:
      return hello.maxVersion() < policy.minVersion
        ? `it speaks ${highest}; ${policy.name} begins at ${versionName(policy.minVersion)}`
        : `it offers none of the versions of ${policy.name}, ${versionName(policy.minVersion)} to ${versionName(policy.maxVersion)}`;
    case FAULT_HELLO_NOT_POST_QUANTUM:
      return 'it offers no group with ML-KEM for TLS 1.3, and the listener wants one (requirePostQuantum)';
    case FAULT_HELLO_NO_SHARED_PROTOCOL:
      return `it asks by ALPN for ${hello.alpnNames().join(', ')}; the listener has ${tls.alpn.join(', ')}`;
    case FAULT_TLS_NO_SHARED_SUITE: {
      const shared = policy.suites.filter((suite) => hello.offersSuite(suite));
      if (shared.length > 0)
        return `${named(shared, suiteName)} would be shared, but not with this version and a ${keys.join(' or ')} certificate`;
      return `it offers no cipher suite of ${policy.name}`;
    }
    case FAULT_TLS_NO_SHARED_GROUP:
      return hello.groupCount === 0 ? 'it names no groups' : `it offers none of ${named(policy.groups, groupName)}`;
    case FAULT_TLS_NO_SHARED_SIGNATURE:
      return `it knows no signature scheme that a ${keys.join(' or ')} certificate can sign by under ${policy.name}`;
    case FAULT_TLS_FALLBACK:
      return 'it says by TLS_FALLBACK_SCSV that it could speak a newer version than it offers';
    default:
      return faultOf(fault).reason;
  }
}

/** Each setting by itself that would let the client in; the ones that give up least first. */
function remediesFor(
  fault: number,
  tls: TlsPlan,
  rule: TlsRulePlan,
  policy: Policy,
  hello: ClientHello,
  keys: readonly KeyType[],
): string[] {
  const scratch = new Agreement();
  const remedies: string[] = [];
  const serves = (other: Partial<TlsRulePlan>, by: Policy, with_: readonly KeyType[]): boolean =>
    refusal(tls, { ...rule, ...other }, by, hello, with_, scratch) === 0;
  if (fault === FAULT_HELLO_NO_SHARED_PROTOCOL) return ['nothing here: the client insists on a protocol that is not served'];
  if (fault === FAULT_HELLO_BELOW_VERSION && serves({ minVersion: policy.minVersion }, policy, keys)) {
    remedies.push(`tls.minimumVersion: ${versionNumber(policy.minVersion)}`);
  }
  if (fault === FAULT_HELLO_NOT_POST_QUANTUM && serves({ requirePostQuantum: false }, policy, keys)) {
    remedies.push('tls.requirePostQuantum: false');
  }
  for (const [key, words] of [
    ['rsa', 'an RSA certificate'],
    ['p256', 'an ECDSA certificate (P-256)'],
  ] as const) {
    if (!keys.includes(key) && serves({}, policy, [...keys, key])) remedies.push(`tls.certificates: ${words} beside this one`);
  }
  for (const name of ADVISED) {
    const other = findPolicy(name)!;
    if (other.name === policy.name) continue;
    if (!serves({ minVersion: other.minVersion, requirePostQuantum: other.requirePostQuantum }, other, keys)) continue;
    remedies.push(`tls.policy: ${name}`);
    break;
  }
  if (remedies.length > 0) return remedies;
  for (const more of [[], ['rsa'], ['p256']] as const) {
    const other = [...ADVISED.map((name) => findPolicy(name)!), ...allPolicies()].find((each) =>
      serves({ minVersion: each.minVersion, requirePostQuantum: each.requirePostQuantum }, each, [...keys, ...more]),
    );
    if (other === undefined) continue;
    const weak = weaknessOf(other);
    const beside = more.length === 0 ? '' : `, and ${more[0] === 'rsa' ? 'an RSA' : 'an ECDSA'} certificate`;
    return [`tls.policy: ${other.name}${beside}${weak === null ? '' : ` (which allows ${weak})`}`];
  }
  return ['nothing here: no policy has what it offers'];
}

function versionNumber(version: number): string {
  return version === 0x0304 ? '1.3' : '1.2';
}
