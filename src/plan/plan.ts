/**
 * The compiled configuration that workers run: plain data, resolved, checked and frozen. No defaults are left to fill in,
 * no name is left to look up, no file is left to read. `config/` makes it, the control socket carries it, a worker adopts it.
 *
 * Everything here survives JSON, but for certificates and keys: those are bytes, and travel beside it as blobs (see frame.ts).
 */

import type { EngineName } from '../base/engine-name.ts';
import type { FieldEditsPlan, TemplatePlan } from '../base/field-edits-plan.ts';
import type { KeyType } from '../base/key-type.ts';
import type { OwnPolicy } from '../base/tls-rules.ts';
import type { ClientCertificatesPlan } from './client-certificates.ts';
import type { AccessLogPlan, ErrorLogPlan } from './log-plan.ts';

export interface Plan {
  /** Rises with every configuration applied in one run of the supervisor, from 1. */
  readonly id: number;
  readonly listeners: readonly ListenerPlan[];
  readonly upstreams: readonly UpstreamPlan[];
  readonly certificates: readonly CertificatePlan[];
  /** The libssl of the complete TLS engine; null: node's own. */
  readonly opensslLibrary: string | null;
  /** Why the fast TLS engine cannot be had, as far as its file tells; null: it can. */
  readonly fastEngineProblem: string | null;
  readonly timeouts: TimeoutsPlan;
  readonly limits: LimitsPlan;
  readonly clients: ClientsPlan;
  /** Null: off. */
  readonly accessLog: AccessLogPlan | null;
  readonly errorLog: ErrorLogPlan;
  /** Which requests are told of in spans; null: none. Where to, is the supervisor's affair. */
  readonly tracing: TracingPlan | null;
}

export interface TracingPlan {
  /** Share of the traces that begin here. 0..=1. */
  readonly rate: number;
  /** Where a listener continues traces, the caller's decision is ours. */
  readonly parentBased: boolean;
}

export interface ListenerPlan {
  readonly name: string;
  /** What identifies the socket over reloads: `ip:port`, `[ip6]:port` or `unix:/path`. */
  readonly address: ListenAddress;
  readonly tls: TlsPlan | null;
  /** What is done with requests; none where the listener speaks no HTTP. */
  readonly routes: readonly RoutePlan[];
  /** Null: HTTP. Else whatever clients speak is carried as it is. */
  readonly tcpRoutes: readonly TcpRoutePlan[] | null;
  /** TLS that is carried as it is, told apart by the ClientHello, before anything of ours is involved. */
  readonly passthrough: readonly TcpRoutePlan[];
  /** Null: nobody speaks for others below TLS. */
  readonly proxyProtocol: ProxyProtocolPlan | null;
  readonly socket: SocketPlan;
  readonly forwarding: ForwardingPlan;
  /** Pages in place of our own few words. */
  readonly errorPages: readonly ErrorPagePlan[];
  /** Null: everybody may come in. */
  readonly access: AccessPlan | null;
  /** Value of Strict-Transport-Security in every answer, or null. RFC 6797. */
  readonly hsts: string | null;
}

/** Where connections of a kind are carried to. */
export interface TcpRoutePlan {
  /** What logs say. */
  readonly name: string;
  readonly match: NameMatch;
  /** Index into `Plan.upstreams`. */
  readonly upstream: number;
  /** Null: everybody may. */
  readonly access: AccessPlan | null;
}

export interface NameMatch {
  /** Lower-case server name, `*.suffix`, or null for any and for none. */
  readonly sni: string | null;
  /** Protocols of ALPN, of which one must be there; empty: any. One character a byte. */
  readonly alpn: readonly string[];
}

/** Who begins a connection with a PROXY header. */
export interface ProxyProtocolPlan {
  /** Networks, canonical. */
  readonly from: readonly string[];
  /** Nobody else may come in. */
  readonly required: boolean;
}

/** What servers are told of the client, and who is believed about it. */
export interface ForwardingPlan {
  /** X-Forwarded-For, -Proto, -Host, -Port and X-Real-IP. */
  readonly xForwarded: boolean;
  /** Forwarded, RFC 7239. */
  readonly forwarded: boolean;
  /** A `traceparent` is continued, or begun. */
  readonly traceparent: boolean;
  /** Networks of proxies in front of us, canonical: what they say of the client is extended instead of dropped. */
  readonly trustedProxies: readonly string[];
}

/** Who may come in. The longest prefix decides, a tie is a denial. */
export interface AccessPlan {
  /** The list (network-list.ts), its verdicts ACCESS_ALLOWED and ACCESS_DENIED: an index into the frame's blobs. */
  readonly networksBlob: number;
  /** SHA-256 of the list, hex: what makes two lists the same. */
  readonly fingerprint: string;
  /** Whether somebody in no network may come in: unless only friends are listed. */
  readonly openToOthers: boolean;
}

export const ACCESS_ALLOWED = 1;
export const ACCESS_DENIED = 2;

export interface ErrorPagePlan {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export type ListenAddress =
  | { readonly family: 4 | 6; readonly ip: string; readonly port: number }
  | { readonly family: 0; readonly path: string };

export interface SocketPlan {
  /** Length of the kernel's queue of connections not yet accepted. */
  readonly backlog: number;
  readonly fastOpen: boolean;
  /** Wait for the client's first bytes before waking us. Never where the server speaks first. */
  readonly deferAccept: boolean;
  /** TCP_USER_TIMEOUT, milliseconds; 0: the kernel's default. */
  readonly userTimeoutMs: number;
  /** Seconds of quiet before TCP keep-alive probes; 0: off. */
  readonly keepAliveS: number;
}

export interface TlsPlan {
  /** Which TLS library serves it, and why, for people. */
  readonly engine: EngineName;
  readonly engineReason: string;
  /** Indices into `Plan.certificates`; the first is the default for clients that name no server, or an unknown one. */
  readonly certificates: readonly number[];
  /** Clients that name no server, or an unknown one, are refused. */
  readonly strict: boolean;
  /** Protocols offered by ALPN, in our order. */
  readonly alpn: readonly string[];
  /** Certificates are sent compressed to clients that read that. */
  readonly compressCertificates: boolean;
  /** The first is the listener's; the others are for the names that they list. */
  readonly rules: readonly TlsRulePlan[];
}

/** What may differ by the name a client asks for. Everything but `names` is part of what tells one rule set from another (tls/certificate-table.ts). */
export interface TlsRulePlan {
  /** Exact, or `*.example.com`; empty for the listener's own. */
  readonly names: readonly string[];
  /** A name, with its version where there is one, of which hello/policies.ts knows what it allows; or lists that the configuration has. */
  readonly policy: string | OwnPolicy;
  /** What a client must speak at least, as on the wire: no lower than the policy's. */
  readonly minVersion: number;
  /** Clients that offer no group with ML-KEM are refused. */
  readonly requirePostQuantum: boolean;
  /** A policy whose refusals are only counted and logged; null: none. */
  readonly report: string | OwnPolicy | null;
  /** Session tickets (TLS 1.2 and 1.3). */
  readonly tickets: boolean;
  /** How long a ticket resumes, at most. Seconds. */
  readonly ticketLifetimeS: number;
  /** Null: clients are not asked for a certificate. */
  readonly clients: ClientCertificatesPlan | null;
}

export interface CertificatePlan {
  /** SHA-256 of the leaf certificate's DER, lower-case hex: what makes two entries the same certificate. */
  readonly fingerprint: string;
  /** SHA-256 of the whole chain as PEM, hex: what makes two contexts the same. */
  readonly chainFingerprint: string;
  readonly keyType: KeyType;
  /** What a TLS library may not take them for, as a short digest: of each certificate of the chain its kind of key, and of signature. */
  readonly algorithms: string;
  /** DNS names of the leaf, lower-case, A-labels, wildcards as `*.example.com`. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Where it came from, for people. */
  readonly source: string;
  /** PEM of the chain, leaf first, and PEM of its key: indices into the frame's blobs. */
  readonly chainBlob: number;
  readonly keyBlob: number;
}

export interface RoutePlan {
  /** What logs, metrics and the variable {route} say. */
  readonly name: string;
  /** Row in the shared table: its listener's and its own name have it, over all addresses of the listener. */
  readonly slot: number;
  readonly match: RouteMatch;
  readonly action: ActionPlan;
  /** Null: everybody may. */
  readonly access: AccessPlan | null;
  /** Who must say who they are; null: nobody. */
  readonly basicAuth: BasicAuthPlan | null;
  readonly forwardAuth: ForwardAuthPlan | null;
  /** Changes of the request's fields on their way to the server, and of the answer's on their way back. Null: none. */
  readonly requestFields: FieldEditsPlan | null;
  readonly responseFields: FieldEditsPlan | null;
}

export type ActionPlan = ForwardPlan | RedirectPlan | RespondPlan;

export interface ForwardPlan {
  readonly kind: 'forward';
  /** Index into `Plan.upstreams`. */
  readonly upstream: number;
  /** Host the server is told; null: the client's. */
  readonly host: string | null;
  /** Location and cookies of servers that answer for http are mended. Listeners with TLS only. */
  readonly mend: boolean;
  /** Largest request body, and largest response body. Bytes; null: any. */
  readonly requestBodyMax: number | null;
  readonly responseBodyMax: number | null;
  /** Request bodies up to this size are whole before the server sees the request. Bytes; 0: none. */
  readonly requestBuffer: number;
  /** Bytes of a response that may wait for a slow client, so that the server is done with sooner; 0: one read's. */
  readonly responseBuffer: number;
  readonly compress: CompressPlan | null;
}

/** RFC 7617. */
export interface BasicAuthPlan {
  readonly realm: string;
  /** Names and hashes (base/password-hash.ts). */
  readonly users: readonly (readonly [name: string, hash: string])[];
}

/** A server that is asked about each request first. */
export interface ForwardAuthPlan {
  /** Index into `Plan.upstreams`. */
  readonly upstream: number;
  /** Request target at that server. */
  readonly path: string;
  /** Names, lower case, of fields of its answer that the request gets, and that the response gets. */
  readonly toRequest: readonly string[];
  readonly toResponse: readonly string[];
}

/** See http/compression-rules.ts. */
export interface CompressPlan {
  /** CODING_*, best first. */
  readonly codings: readonly number[];
  readonly leastBytes: number;
  readonly types: readonly string[];
  readonly withSecrets: boolean;
}

export interface RedirectPlan {
  readonly kind: 'redirect';
  readonly status: number;
  readonly location: TemplatePlan;
}

export interface RespondPlan {
  readonly kind: 'respond';
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface RouteMatch {
  /** Lower-case host, `*.suffix`, or null for any. */
  readonly host: string | null;
  /** Exact path, or a prefix when `pathIsPrefix`, as route/normal-path.ts makes it, bytes as Latin-1; null for any. `/api/*` is compiled to the prefix `/api/`. */
  readonly path: string | null;
  readonly pathIsPrefix: boolean;
}

export interface UpstreamPlan {
  readonly name: string;
  readonly balance: 'round-robin';
  readonly targets: readonly TargetPlan[];
  /** Kept-alive idle connections per target and worker. */
  readonly idleMax: number;
  /** Quiet time after which an idle connection is closed. Milliseconds. */
  readonly idleMs: number;
  readonly connectMs: number;
  /** From the last byte of the request to the first of the response. Milliseconds. */
  readonly responseHeadMs: number;
  /** Longest silence within a response body, or while the server takes no bytes. Milliseconds. */
  readonly bodyMs: number;
  /** Version of the PROXY header that connections begin with; they are then never shared. Null: none. */
  readonly proxyProtocol: 1 | 2 | null;
  /** Our own address on connections to IPv4 and IPv6 targets; null: the kernel's choice. */
  readonly source4: string | null;
  readonly source6: string | null;
  /** Null: targets are spoken to as they are. */
  readonly tls: ServerTlsPlan | null;
}

/** TLS towards the targets of an upstream. */
export interface ServerTlsPlan {
  /** What tells these rules from every other: those that have the same share a context, and the sessions in it. */
  readonly id: string;
  /** With its version where it has a name, or own lists: hello/policies.ts knows what it allows. */
  readonly policy: string | OwnPolicy;
  /** Whether a server's chain and name count; without, all that counts is whether it has one of the keys of `pins`, if there are any. */
  readonly verifies: boolean;
  /** PEM of the authorities that are trusted: an index into the frame's blobs; null where nothing is verified. */
  readonly authoritiesBlob: number | null;
  /** Certificates between a server's and an authority, at most. */
  readonly depth: number;
  /** What is shown to servers that ask: an index into `Plan.certificates`; null: nothing. */
  readonly certificate: number | null;
  /** SHA-256 of keys (SubjectPublicKeyInfo), base64: one must be in the chain. Empty: any may. */
  readonly pins: readonly string[];
  /** Offered by ALPN; empty: nothing is. */
  readonly alpn: readonly string[];
  readonly handshakeMs: number;
  /** By target. */
  readonly peers: readonly ServerPeerPlan[];
}

export interface ServerPeerPlan {
  /** Told to the server (SNI); null: none is. */
  readonly serverName: string | null;
  /** What its certificate must be for, a name or an address; null where nothing is verified. */
  readonly identity: string | null;
}

export interface TargetPlan {
  /** As written in the configuration: what logs, metrics and status show. */
  readonly label: string;
  /** Where it is, in the order to try; one at least, ADDRESSES_MAX at most. */
  readonly addresses: readonly TargetAddress[];
  /** The name and port it was written with, to be looked up again; null: an address. */
  readonly host: { readonly name: string; readonly port: number } | null;
  readonly weight: number;
  /** Row in the shared table, unique over all upstreams. */
  readonly slot: number;
}

export type TargetAddress =
  | { readonly family: 4 | 6; readonly ip: string; readonly port: number }
  | { readonly family: 0; readonly path: string };

/** Deadlines of a client connection. Milliseconds. */
export interface TimeoutsPlan {
  /** From accept to the end of the handshake. */
  readonly handshakeMs: number;
  /** From the first byte of a request head to its last. */
  readonly requestHeadMs: number;
  /** Longest silence within a request body, or while the client takes no bytes. */
  readonly bodyMs: number;
  /** Quiet time on a kept-alive connection. */
  readonly idleMs: number;
  /** Quiet time in a tunnel: an upgraded connection, or one whose protocol is not ours to know. */
  readonly tunnelMs: number;
  /** How long a closing connection may wait for the client to take its last bytes. */
  readonly closeMs: number;
  /** How long open exchanges may go on after SIGTERM. */
  readonly drainMs: number;
}

export interface LimitsPlan {
  /** Open client connections, over all workers. */
  readonly connectionsMax: number;
  /** Resident memory over all workers past which no new connection is taken. Bytes; null: nine tenths of what this machine, or container, has. */
  readonly memoryBytesMax: number | null;
  /** Requests on one connection; null: any. */
  readonly requestsMax: number | null;
  /** Bytes a second that a client must send or take while it is waited for, from `minimumRateAfterMs` on; 0: any. */
  readonly minimumRate: number;
  readonly minimumRateAfterMs: number;
  readonly headBytesMax: number;
  readonly fieldsMax: number;
  readonly targetBytesMax: number;
}

/** Limits of one client, over all workers; null: none. */
export interface ClientsPlan {
  readonly connections: number | null;
  readonly handshakes: RatePlan | null;
  readonly requests: RatePlan | null;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  /** Networks without limits, canonical. */
  readonly exempt: readonly string[];
}

export interface RatePlan {
  readonly perSecond: number;
  /** Events that may come at once after a quiet time. */
  readonly burst: number;
}

/** What listeners, and names on them, ask of clients' certificates. */
export function clientRulesOf(plan: Plan): readonly ClientCertificatesPlan[] {
  return plan.listeners.flatMap(({ tls }) => tls?.rules.flatMap(({ clients }) => clients ?? []) ?? []);
}

/** Every list of `plan`, as often as it is named. */
export function accessPlansOf(plan: Plan): readonly AccessPlan[] {
  const all = plan.listeners.flatMap(({ access, routes, tcpRoutes, passthrough }) => [
    access,
    ...[...routes, ...(tcpRoutes ?? []), ...passthrough].map((route) => route.access),
  ]);
  return all.filter((access) => access !== null);
}

/** One text form for an address, the same everywhere it is shown or compared. */
export function addressText(address: ListenAddress | TargetAddress): string {
  if (address.family === 0) return `unix:${address.path}`;
  return address.family === 6 ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}
