/**
 * A configuration in the making: what both translators build, and what is written out as YAML. Owns the names that must be unique and the
 * upstreams that several routes share; knows nothing of the languages it comes from.
 */
import type { DraftAccess } from './access-rules.ts';

export interface DraftFieldEdits {
  set?: Record<string, string>;
  add?: Record<string, string>;
  remove?: string[];
}

export interface DraftRedirect {
  to: string;
  status: number;
}

export interface DraftRespond {
  status: number;
  type?: string;
  body?: string;
}

export interface DraftCompress {
  codings: string[];
  types?: string[];
  minimum?: string;
}

export interface DraftRoute {
  match?: { host?: string; path?: string };
  to?: string;
  redirect?: DraftRedirect;
  respond?: DraftRespond;
  host?: string;
  headers?: { request?: DraftFieldEdits; response?: DraftFieldEdits };
  mend?: boolean;
  requestBody?: { max: string };
  access?: DraftAccess;
  basicAuth?: { realm: string; users: string };
  forwardAuth?: { to: string; path: string; copyToRequest?: string[] };
  compress?: DraftCompress;
}

export interface DraftCertificate {
  certificate?: string;
  key?: string;
  directory?: string;
}

export interface DraftTls {
  policy?: 'modern' | 'intermediate';
  certificates: DraftCertificate[];
  tickets?: boolean;
  strict?: boolean;
}

export interface DraftListener {
  name: string;
  address: string;
  tls?: DraftTls;
  routes?: DraftRoute[];
  redirect?: DraftRedirect | string;
  trustedProxies?: string[];
  socket?: { backlog?: number; fastOpen?: boolean };
}

export interface DraftTarget {
  address: string;
  weight?: number;
}

export interface DraftTimeouts {
  connect?: string;
  responseHead?: string;
  body?: string;
  idle?: string;
}

export interface DraftServerTls {
  serverName?: string;
  authorities?: string | string[];
  depth?: number;
  certificate?: string;
  key?: string;
  policy?: 'modern';
  alpn?: string[];
  insecureSkipVerification?: true;
}

export interface DraftUpstream {
  name: string;
  targets: (DraftTarget | string)[];
  tls?: DraftServerTls;
  idleConnections?: number;
  timeouts?: DraftTimeouts;
}

export interface DraftLog {
  level?: string;
  access?: string | { path?: string; syslog?: { to: string; facility?: string; severity?: string; name?: string }; format?: string };
  error?: string;
}

export interface Draft {
  admin?: { listen: string };
  workers?: number | 'auto';
  user?: string;
  group?: string;
  log?: DraftLog;
  listeners: DraftListener[];
  upstreams: DraftUpstream[];
  timeouts?: { requestHead?: string; body?: string; idle?: string; tunnel?: string; close?: string };
  limits?: { connections?: number; requestsPerConnection?: number };
  clients?: { connections?: number; requests?: { rate: string; burst: number } };
}

/** Names as Tollgate allows them, each given once. */
export class Names {
  readonly #taken = new Set<string>();

  /** `wanted` with what cannot be in a name as dashes, and a number when it is taken. */
  give(wanted: string): string {
    const base =
      wanted
        .replaceAll(/[^\w.-]+/g, '-')
        .replace(/^[^A-Za-z0-9]+/, '')
        .slice(0, 56) || 'unnamed';
    let name = base;
    for (let number = 2; this.#taken.has(name); number++) name = `${base}-${number}`;
    this.#taken.add(name);
    return name;
  }
}

/** Groups of servers, each in as many variants as there are routes that want other deadlines of it. */
export class Upstreams {
  readonly list: DraftUpstream[] = [];
  readonly #names = new Names();
  readonly #variants = new Map<string, string>();

  /**
   * Name of the upstream that came from `source` (unique there), with these deadlines and this TLS. `make` gives its servers, the first time;
   * `beside` is the object that notes are about, and becomes the first variant.
   */
  use(
    source: string,
    wanted: string,
    timeouts: DraftTimeouts,
    tls: DraftServerTls | undefined,
    make: () => Omit<DraftUpstream, 'name' | 'timeouts' | 'tls'>,
    beside?: object,
  ): string {
    const key = JSON.stringify([source, timeouts, tls]);
    const known = this.#variants.get(key);
    if (known !== undefined) return known;
    const name = this.#names.give(wanted);
    this.#variants.set(key, name);
    const upstream: DraftUpstream = { name, ...make() };
    if (tls !== undefined) upstream.tls = tls;
    if (Object.keys(timeouts).length > 0) upstream.timeouts = timeouts;
    this.list.push(beside === undefined || this.list.some((each) => each === beside) ? upstream : Object.assign(beside, upstream));
    return name;
  }
}

/** The default address of the admin interface goes to a listener that wants it. */
export function keepAdminApart(draft: Draft): void {
  const taken = new Set(draft.listeners.map(({ address }) => address));
  if (!taken.has('127.0.0.1:9901') && !taken.has('localhost:9901')) return;
  let port = 9_902;
  while (taken.has(`127.0.0.1:${port}`) || taken.has(`localhost:${port}`)) port++;
  draft.admin = { listen: `127.0.0.1:${port}` };
}
