/** A listener's rules as one plan has them: certificates, routes, upstreams. Immutable; a new plan makes a new one. */
import { addressText, type ListenerPlan, type Plan } from '../plan/plan.ts';
import { RouteTable } from '../route/route-table.ts';
import type { CertificateTable } from '../tls/certificate-table.ts';
import { POLICY_VERSION_MIN } from '../tls/policies.ts';
import type { Upstream } from '../upstream/upstream.ts';

export class Site {
  readonly name: string;
  /** Null: this listener speaks no TLS. */
  readonly certificates: CertificateTable | null;
  /** Lowest TLS version, as on the wire. */
  readonly versionMin: number;
  readonly alpnBytes: readonly Uint8Array[];
  readonly routes: RouteTable;
  /** By index of the route. */
  readonly upstreams: readonly Upstream[];
  /** What X-Forwarded-Proto and X-Forwarded-Port say. */
  readonly scheme: 'http' | 'https';
  readonly port: string;
  /** Host for an HTTP/1.0 request that names none. */
  readonly fallbackHost: string;

  constructor(plan: Plan, listener: ListenerPlan, certificates: CertificateTable | null, upstreams: readonly Upstream[]) {
    const { address, tls } = listener;
    this.name = listener.name;
    this.certificates = certificates;
    this.versionMin = tls === null ? 0 : POLICY_VERSION_MIN[tls.policy];
    this.alpnBytes = (tls?.alpn ?? []).map((name) => Uint8Array.from(Buffer.from(name, 'latin1')));
    this.routes = new RouteTable(listener.routes);
    this.upstreams = listener.routes.map((route) => upstreams[route.upstream]!);
    this.scheme = tls === null ? 'http' : 'https';
    this.port = address.family === 0 ? (tls === null ? '80' : '443') : String(address.port);
    const first = tls === null ? undefined : plan.certificates[tls.certificates[0] ?? -1]?.names.find((name) => !name.startsWith('*'));
    this.fallbackHost = first ?? (address.family === 0 ? 'localhost' : addressText(address));
  }
}
