/** A listener's rules as one plan has them: certificates, routes, upstreams. Immutable; a new plan makes a new one. */
import type { AccessList, AccessLists } from '../guard/access-list.ts';
import type { ClientJudge } from '../guard/client-judge.ts';
import { LocalAnswers } from '../http/local-answers.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import { NetworkList } from '../plan/network-list.ts';
import { addressText, type ForwardingPlan, type ListenerPlan, type Plan } from '../plan/plan.ts';
import { RouteTable } from '../route/route-table.ts';
import type { CertificateTable } from '../tls/certificate-table.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Route } from './route.ts';
import { TcpRoutes } from './tcp-route.ts';

export class Site {
  readonly name: string;
  /** What identifies the listener's socket. */
  readonly address: string;
  /** Null: this listener speaks no TLS. */
  readonly certificates: CertificateTable | null;
  /** Who may come in by a certificate, by the rules' id. */
  readonly judges = new Map<string, ClientJudge>();
  readonly alpnBytes: readonly Uint8Array[];
  readonly routes: RouteTable;
  /** By the index that `routes` finds. */
  readonly routeList: readonly Route[];
  readonly answers: LocalAnswers;
  readonly forwarding: ForwardingPlan;
  /** Null: everybody may come in. */
  readonly access: AccessList | null;
  /** Null: HTTP. Else whatever clients speak is carried as it is. */
  readonly tcpRoutes: TcpRoutes | null;
  /** TLS that is carried as it is; null: none. */
  readonly passthrough: TcpRoutes | null;
  /** Nobody may come in without a PROXY header. */
  readonly requiresProxyHeader: boolean;
  /** Whose connections begin with one; null: nobody's. */
  readonly #proxies: NetworkList | null;
  /** Proxies whose word is believed; null: nobody. */
  readonly #trusted: NetworkList | null;
  /** What X-Forwarded-Proto and X-Forwarded-Port say. */
  readonly scheme: 'http' | 'https';
  readonly port: string;
  /** Its listener is no more: connections end with their next answer. */
  retired = false;
  /** Host for an HTTP/1.0 request that names none. */
  readonly fallbackHost: string;

  constructor(
    plan: Plan,
    listener: ListenerPlan,
    certificates: CertificateTable | null,
    upstreams: readonly Upstream[],
    lists: AccessLists,
    judgeOf: (clients: ClientCertificatesPlan) => ClientJudge,
  ) {
    const { address, tls } = listener;
    this.name = listener.name;
    this.address = addressText(address);
    this.certificates = certificates;
    for (const { clients } of tls?.rules ?? []) if (clients !== null) this.judges.set(clients.id, judgeOf(clients));
    this.alpnBytes = (tls?.alpn ?? []).map((name) => Uint8Array.from(Buffer.from(name, 'latin1')));
    this.routes = new RouteTable(listener.routes);
    this.answers = new LocalAnswers(listener.errorPages, listener.hsts === null ? '' : `Strict-Transport-Security: ${listener.hsts}\r\n`);
    this.routeList = listener.routes.map((route) => new Route(route, upstreams, lists, this.answers, listener.hsts));
    this.forwarding = listener.forwarding;
    this.access = lists.find(listener.access);
    const { trustedProxies } = listener.forwarding;
    this.#trusted = networkList(trustedProxies);
    this.tcpRoutes = listener.tcpRoutes === null ? null : new TcpRoutes(listener.tcpRoutes, upstreams, lists);
    this.passthrough = listener.passthrough.length === 0 ? null : new TcpRoutes(listener.passthrough, upstreams, lists);
    this.#proxies = networkList(listener.proxyProtocol?.from ?? []);
    this.requiresProxyHeader = listener.proxyProtocol?.required ?? false;
    this.scheme = tls === null ? 'http' : 'https';
    this.port = address.family === 0 ? (tls === null ? '80' : '443') : String(address.port);
    const first = tls === null ? undefined : plan.certificates[tls.certificates[0] ?? -1]?.names.find((name) => !name.startsWith('*'));
    this.fallbackHost = first ?? (address.family === 0 ? 'localhost' : addressText(address));
  }

  /** Whether a connection begins with a ClientHello. */
  get speaksTls(): boolean {
    return this.certificates !== null || this.passthrough !== null;
  }

  /** What a client that asks for `sni` must show, by id; '' when it is not asked. A connection made under other rules ends. */
  clientRules(sni: string | null, nowMs: number): string {
    return this.certificates?.find(sni, nowMs)?.rule.clients?.id ?? '';
  }

  /** Whether connections from `address` begin with a PROXY header. */
  expectsProxyHeader(address: string): boolean {
    return this.#proxies !== null && this.#proxies.lookUp(address) !== 0;
  }

  /** Whether what comes from `address` may speak for others. */
  trusts(address: string): boolean {
    return this.#trusted !== null && this.#trusted.lookUp(address) !== 0;
  }
}

/** Null when there are none. */
function networkList(networks: readonly string[]): NetworkList | null {
  return networks.length === 0 ? null : NetworkList.of(networks.map((network) => ({ network, verdict: 1 })));
}
