/**
 * nginx's configuration as a draft of ours. Owns the listeners: which server answers at which address, in which order its hosts are looked
 * for, with which certificates. What a server does is nginx-server.ts's affair, and what holds for the whole program nginx-global.ts's.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { parseListenAddress } from '../addresses.ts';
import { parseHostPattern } from '../patterns.ts';
import { ruleNetwork } from './access-rules.ts';
import { type Draft, type DraftListener, type DraftRoute, type DraftTls, Names } from './draft.ts';
import { type NginxContext, NginxUpstreams, namesFile, nginxPath, type ServerContext } from './nginx-context.ts';
import type { NginxFiles } from './nginx-files.ts';
import { translateGlobals } from './nginx-global.ts';
import { adviceOn, isGuard, isQuiet } from './nginx-known.ts';
import { Scope } from './nginx-scope.ts';
import { serverRoutes } from './nginx-server.ts';
import type { Directive } from './nginx-syntax.ts';
import type { Notes } from './notes.ts';

/** Routes of one listener. */
const ROUTES_MAX = 10_000;
const LISTENERS_MAX = 200;

const PROXY_PROTOCOL = "name them in the listener's proxyProtocol";

interface Server extends ServerContext {
  /** Patterns of Tollgate's, those of one name together; none: it answers only who names no other. */
  readonly hosts: readonly (readonly string[])[];
}

interface Listen {
  readonly at: Directive;
  readonly server: Server;
  readonly isDefault: boolean;
}

/** One address, and the servers that answer there. */
interface Socket {
  readonly address: string;
  readonly listens: Listen[];
  tls: boolean;
  /** `[::]` that takes IPv4 as well. */
  dual: boolean;
  backlog: number | null;
  fastOpen: boolean;
}

export function translateNginx(files: NginxFiles, notes: Notes): Draft {
  const seen = new Set<Directive>();
  const main = new Scope(files.directives, null, seen);
  const context: NginxContext = { notes, upstreams: new NginxUpstreams(notes), prefix: files.prefix };
  const http = main.own('http');
  // A file of one site has no http block around it.
  const https = http === undefined ? [main] : main.ownAll('http').map(({ block }) => main.inner(block ?? []));
  const servers: Server[] = [];
  for (const scope of https) {
    for (const at of scope.ownAll('upstream')) context.upstreams.define(at, scope.inner(at.block ?? []));
    for (const at of scope.ownAll('server')) if (at.block !== null) servers.push(readServer(context, scope, at));
  }
  const draft: Draft = { listeners: [], upstreams: [] };
  const names = new Names();
  for (const socket of sockets(context, servers)) {
    const listener = translateSocket(context, socket, names);
    if (listener !== null) draft.listeners.push(listener);
  }
  draft.upstreams = context.upstreams.drafts.list;
  translateGlobals(
    context,
    main,
    https,
    servers.map(({ scope }) => scope),
    draft,
  );
  tellUnseen(files.directives, seen, notes);
  return draft;
}

function readServer({ notes }: NginxContext, http: Scope, at: Directive): Server {
  const scope = http.inner(at.block ?? []);
  const hosts: (readonly string[])[] = [];
  let serverName = '';
  for (const directive of scope.ownAll('server_name')) {
    for (const written of directive.args) {
      if (written === '_' || written === '' || written === '""') continue;
      // ".example.com" is the name and all below it.
      const forms = written.startsWith('.') ? [written.slice(1), `*${written}`] : [written];
      const patterns = written.startsWith('~') ? [] : forms.map((form) => parseHostPattern(form));
      const found = patterns.flatMap((pattern) => ('host' in pattern && pattern.host !== null ? [pattern.host] : []));
      if (found.length === forms.length) {
        hosts.push(found);
        if (serverName === '' && !found[0]!.startsWith('*')) serverName = found[0]!;
        continue;
      }
      const what = written.startsWith('~') ? 'a regular expression' : written.endsWith('*') ? 'an ending left open' : 'this';
      const at = { ...directive, text: `server_name ${written}` };
      notes.add('untranslated', at, `a route's host cannot be ${what}`, 'write the names one by one');
    }
  }
  const named = new Map(
    scope.ownAll('location').flatMap((each) => (each.args[0]?.startsWith('@') === true ? [[each.args[0], each] as const] : [])),
  );
  return { at, scope, hosts, serverName, named };
}

// Sockets.

function sockets(context: NginxContext, servers: readonly Server[]): readonly Socket[] {
  const byAddress = new Map<string, Socket>();
  for (const server of servers) {
    const listens = server.scope.ownAll('listen');
    for (const at of listens.length > 0 ? listens : [{ ...server.at, text: 'listen 80', name: 'listen', args: ['80'], block: null }]) {
      addListen(context, server, at, byAddress);
    }
  }
  const all = [...byAddress.values()];
  return all.flatMap((socket) => {
    const port = /^0\.0\.0\.0:(\d+)$/.exec(socket.address)?.[1];
    const twin = port === undefined ? undefined : byAddress.get(`[::]:${port}`);
    // The same servers for IPv4 and IPv6 are one listener for all addresses.
    if (twin !== undefined && isTwin(socket, twin)) return [{ ...socket, address: `:${port}` }];
    const other = /^\[::\]:(\d+)$/.exec(socket.address)?.[1];
    const first = other === undefined ? undefined : byAddress.get(`0.0.0.0:${other}`);
    if (first !== undefined && isTwin(first, socket)) return [];
    return [socket.dual && other !== undefined && first === undefined ? { ...socket, address: `:${other}` } : socket];
  });
}

function isTwin(v4: Socket, v6: Socket): boolean {
  const key = ({ tls, listens }: Socket): string =>
    JSON.stringify([tls, listens.map(({ server, isDefault }) => [server.at.file, server.at.line, isDefault])]);
  return key(v4) === key(v6);
}

function addListen({ notes }: NginxContext, server: Server, at: Directive, sockets: Map<string, Socket>): void {
  const [written = '', ...options] = at.args;
  const address = listenAddress(written);
  if (address === null) {
    notes.add('untranslated', at, 'it is no address to listen at', 'a listener needs an IP address, not a name');
    return;
  }
  const has = (...wanted: string[]): boolean => options.some((option) => wanted.includes(option));
  if (has('quic')) {
    notes.add('untranslated', at, 'HTTP/3 is not spoken');
    return;
  }
  let socket = sockets.get(address);
  if (socket === undefined) {
    if (sockets.size >= LISTENERS_MAX) {
      notes.add('untranslated', at, `more than ${LISTENERS_MAX} addresses`);
      return;
    }
    socket = { address, listens: [], tls: false, dual: false, backlog: null, fastOpen: false };
    sockets.set(address, socket);
  }
  socket.listens.push({ at, server, isDefault: has('default_server', 'default') });
  if (has('ssl') || server.scope.last('ssl')?.args[0] === 'on') socket.tls = true;
  if (has('ipv6only=off')) socket.dual = true;
  for (const option of options) {
    const [key = '', value = ''] = option.split('=');
    if (key === 'backlog' && /^\d{1,5}$/.test(value)) socket.backlog = Math.min(Math.max(Number(value), 1), 65_535);
    else if (key === 'fastopen') socket.fastOpen = true;
    else if (key === 'http2' || key === 'spdy') notes.add('untranslated', at, 'HTTP/2 is not spoken');
    else if (key === 'proxy_protocol')
      notes.add('untranslated', at, 'PROXY headers are read from named networks alone: others that send one are refused', PROXY_PROTOCOL);
    else if (
      ![
        'ssl',
        'default_server',
        'default',
        'reuseport',
        'deferred',
        'bind',
        'ipv6only',
        'so_keepalive',
        'rcvbuf',
        'sndbuf',
        'setfib',
        'accept_filter',
      ].includes(key)
    )
      notes.add('untranslated', at, `${option} has no counterpart`);
  }
}

/** As Tollgate writes it, or null. */
function listenAddress(text: string): string | null {
  let address = text;
  if (/^\d+$/.test(text)) address = `0.0.0.0:${text}`;
  else if (text.startsWith('*:')) address = `0.0.0.0${text.slice(1)}`;
  else if (text === '*') address = '0.0.0.0:80';
  else if (text === 'localhost' || isIPv4(text)) address = `${text}:80`;
  else if (/^\[.*\]$/.test(text) && isIPv6(text.slice(1, -1))) address = `${text}:80`;
  // nginx takes the first address of a name, which is IPv4.
  address = address.replace(/^localhost:/, '127.0.0.1:');
  const spec = parseListenAddress(address);
  if (typeof spec === 'string') return null;
  const [first] = spec.addresses;
  if (first === undefined) return null;
  if (first.family === 0) return `unix:${first.path}`;
  return first.family === 6 ? `[${first.ip}]:${first.port}` : `${first.ip}:${first.port}`;
}

// One listener.

function translateSocket(context: NginxContext, socket: Socket, names: Names): DraftListener | null {
  const { listens, tls, address } = socket;
  const port = address.startsWith('unix:') ? '' : address.slice(address.lastIndexOf(':') + 1);
  const main = listens.find(({ isDefault }) => isDefault) ?? listens[0]!;
  const scheme = tls ? 'https' : 'http';
  const listener: DraftListener = {
    name: names.give(port === '' ? `${scheme}-unix` : port === (tls ? '443' : '80') ? scheme : `${scheme}-${port}`),
    address,
  };
  if (tls) {
    const settings = tlsOf(context, main.server, listens, listener);
    if (settings === null) {
      context.notes.add('untranslated', main.at, 'no server there has a certificate that could be taken over: there is no listener for it');
      return null;
    }
    listener.tls = settings;
  }
  const trusted = trustedProxies(context, listens);
  if (trusted.length > 0) listener.trustedProxies = trusted;
  const { backlog, fastOpen } = socket;
  if (backlog !== null || fastOpen)
    listener.socket = { ...(backlog === null ? {} : { backlog }), ...(fastOpen && port !== '' ? { fastOpen } : {}) };
  const routes = routesOf(context, listens, main.server, { tls, port });
  if (routes.length > ROUTES_MAX) {
    context.notes.add(
      'untranslated',
      main.at,
      `${routes.length} routes at one address; ${ROUTES_MAX} at most: those beyond were left out`,
      null,
      listener,
    );
    routes.splice(ROUTES_MAX - 1, routes.length - ROUTES_MAX);
  }
  const [only] = routes;
  if (routes.length === 1 && only?.redirect !== undefined && only.match === undefined) listener.redirect = only.redirect;
  else listener.routes = routes;
  return listener;
}

/** The first that matches a request is the one nginx would choose: exact names, then the longest wildcard, then the default server. */
function routesOf(context: NginxContext, listens: readonly Listen[], main: Server, listener: { tls: boolean; port: string }): DraftRoute[] {
  const owners = new Map<string, Server>();
  for (const { server, at } of listens) {
    for (const forms of server.hosts) {
      // As nginx does: a name that is taken is ignored, and with ".example.com" all below it as well.
      const [name = ''] = forms;
      const owner = owners.get(name);
      if (owner === undefined) for (const host of forms) owners.set(host, owners.get(host) ?? server);
      else if (owner !== server || forms.length > 1) {
        const why = `${name} is taken by a name before it: nginx ignores this one${forms.length > 1 ? ', and the names below it' : ''}`;
        context.notes.add('untranslated', { ...at, text: `server_name ${forms.length > 1 ? '.' : ''}${name}` }, why);
      }
    }
  }
  const wildcards = [...owners.keys()].filter((host) => host.startsWith('*')).sort((a, b) => b.length - a.length);
  const exact = [...owners.keys()].filter((host) => !host.startsWith('*'));
  const made = new Map<Server, ReturnType<typeof serverRoutes>>();
  for (const { server } of listens) if (!made.has(server)) made.set(server, serverRoutes(context, server, listener));
  const used = new Set<DraftRoute>();
  const routes: DraftRoute[] = [];
  const emit = (route: DraftRoute, host: string | null): void => {
    const { match, ...rest } = route;
    const wanted = { ...(host === null ? {} : { host }), ...match };
    // Notes stand beside the first one.
    const place = used.has(route) ? {} : route;
    used.add(route);
    for (const key of Object.keys(place)) delete place[key as keyof DraftRoute];
    routes.push(Object.assign(place, Object.keys(wanted).length === 0 ? {} : { match: wanted }, rest));
  };
  const copies = new Map<DraftRoute, DraftRoute>();
  const copy = (route: DraftRoute): DraftRoute => {
    // What was made is changed when it is put in place: further places get what it was.
    const kept = copies.get(route);
    if (kept !== undefined) return { ...kept };
    copies.set(route, { ...route });
    return route;
  };
  const emitServer = (server: Server, host: string | null): void => {
    const { exceptions, routes: inner } = made.get(server)!;
    const mine = exceptions.find((each) => each.host === host);
    if (mine !== undefined) {
      emit(copy(mine.route), host);
      return;
    }
    if (host === null || host.startsWith('*')) {
      for (const { host: other, route } of exceptions) {
        if (other !== null && !owners.has(other) && (host === null || other.endsWith(host.slice(1)))) emit(copy(route), other);
      }
    }
    for (const route of inner) emit(copy(route), host);
  };
  for (const host of exact) {
    const server = owners.get(host)!;
    // The default server takes what is left; its names need routes only where another's wildcard is in between, or where it says so.
    const isShadowed = wildcards.some((wildcard) => owners.get(wildcard) !== main && host.endsWith(wildcard.slice(1)));
    if (server !== main || isShadowed || made.get(main)!.exceptions.some((each) => each.host === host)) emitServer(server, host);
  }
  for (const host of wildcards)
    if (owners.get(host) !== main || wildcards.some((other) => owners.get(other) !== main)) emitServer(owners.get(host)!, host);
  emitServer(main, null);
  for (const { server, at } of listens) {
    if (server !== main && ![...owners.values()].includes(server)) {
      context.notes.add(
        'untranslated',
        at,
        'no request reaches this server: it has no name that could be taken over, and is not the default',
      );
    }
  }
  return routes;
}

/** Null: there is no certificate at all. */
function tlsOf(context: NginxContext, main: Server, listens: readonly Listen[], beside: object): DraftTls | null {
  const { notes } = context;
  const certificates: DraftTls['certificates'] = [];
  for (const server of new Set([main, ...listens.map(({ server }) => server)])) {
    const files = server.scope.all('ssl_certificate');
    const keys = server.scope.all('ssl_certificate_key');
    for (const [index, file] of files.entries()) {
      const [path = ''] = file.args;
      const [key = ''] = keys[index]?.args ?? [];
      if ([path, key].some((each) => !namesFile(each) || /^(?:data|engine|store):/.test(each))) {
        notes.add('untranslated', file, 'certificates and keys are files with a name that is known beforehand', null, beside);
        continue;
      }
      const pair = { certificate: nginxPath(context, path), key: nginxPath(context, key) };
      if (!certificates.some((each) => each.certificate === pair.certificate && each.key === pair.key)) certificates.push(pair);
    }
  }
  if (certificates.length === 0) return null;
  const tls: DraftTls = { certificates };
  const protocols = main.scope.last('ssl_protocols');
  const versions = protocols?.args ?? [];
  if (versions.length > 0 && versions.every((version) => version === 'TLSv1.3')) tls.policy = 'modern';
  else if (versions.some((version) => /^(?:SSLv|TLSv1$|TLSv1\.1)/.test(version)))
    notes.add('differs', protocols!, 'TLS 1.0 and 1.1 are not spoken: the policy is intermediate, TLS 1.2 and 1.3', null, beside);
  else if (versions.length > 0 && !versions.includes('TLSv1.3'))
    notes.add('differs', protocols!, 'the policy intermediate has TLS 1.3 as well', null, beside);
  for (const { server } of listens) {
    const own = server.scope.last('ssl_protocols');
    if (own !== undefined && own.args.join(' ') !== versions.join(' '))
      notes.add('differs', own, "one policy holds for the listener: its default server's", 'see tls.names', beside);
  }
  if (main.scope.last('ssl_session_tickets')?.args[0] === 'off') tls.tickets = false;
  // The default server turns strangers away.
  if (main.scope.last('ssl_reject_handshake')?.args[0] === 'on') tls.strict = true;
  return tls;
}

/** Those whose word about the client is believed: real_ip_header names the field that Tollgate reads. */
function trustedProxies({ notes }: NginxContext, listens: readonly Listen[]): string[] {
  const trusted = new Set<string>();
  for (const { server } of listens) {
    const header = server.scope.last('real_ip_header');
    const sources = server.scope.all('set_real_ip_from');
    if (header === undefined || sources.length === 0) continue;
    if (!/^X-Forwarded-For$/i.test(header.args[0] ?? '')) {
      notes.add('untranslated', header, 'of proxies in front, X-Forwarded-For is read', "see the listener's trustedProxies");
      continue;
    }
    for (const source of sources) {
      const network = ruleNetwork(source.args[0] ?? '');
      if (network === undefined || network === 'all') notes.add('untranslated', source, 'it is no network');
      else trusted.add(network);
    }
  }
  return [...trusted].slice(0, 1_000);
}

/** What nobody looked at is told, unless nothing is lost with it. */
function tellUnseen(directives: readonly Directive[], seen: ReadonlySet<Directive>, notes: Notes): void {
  for (const directive of directives) {
    const { name, block } = directive;
    if (seen.has(directive)) {
      if (block !== null) tellUnseen(block, seen, notes);
    } else if (name === 'map' && directive.args[0] === '$http_upgrade') {
      // Upgrades go through by themselves.
    } else if (!isQuiet(name)) {
      const [why, instead] = adviceOn(name);
      notes.add(isGuard(name) ? 'unguarded' : 'untranslated', directive, why, instead);
    }
  }
}
