/** What nginx says for the whole program or for every site, in Tollgate's sections: workers, user, logs, deadlines, limits of one client. */
import { parseTargetAddress } from '../addresses.ts';
import { FACILITIES, SEVERITIES } from '../logging.ts';
import { parseRate } from '../units.ts';
import type { Draft, DraftLog } from './draft.ts';
import { type NginxContext, namesFile, nginxPath } from './nginx-context.ts';
import type { Scope } from './nginx-scope.ts';
import type { Directive } from './nginx-syntax.ts';
import { boundedDuration, nginxTime } from './nginx-values.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const ITEM_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;
const LEVELS: Readonly<Record<string, string>> = {
  debug: 'debug',
  info: 'info',
  notice: 'info',
  warn: 'warn',
  error: 'error',
  crit: 'error',
  alert: 'error',
  emerg: 'error',
};

export function translateGlobals(
  context: NginxContext,
  main: Scope,
  https: readonly Scope[],
  servers: readonly Scope[],
  draft: Draft,
): void {
  const workers = main.own('worker_processes');
  if (workers?.args[0] === 'auto') draft.workers = 'auto';
  else if (/^\d{1,3}$/.test(workers?.args[0] ?? '')) draft.workers = Math.min(Math.max(Number(workers!.args[0]), 1), 256);
  const user = main.own('user');
  const [name = '', group = ''] = user?.args ?? [];
  if (user !== undefined && ITEM_NAME.test(name)) draft.user = name;
  if (ITEM_NAME.test(group)) draft.group = group;

  const log = logs(context, main, https, servers);
  if (log !== undefined) draft.log = log;

  const one = new Everywhere(context, https, servers);
  const timeouts: NonNullable<Draft['timeouts']> = {};
  const head = one.longest('client_header_timeout');
  const body = one.longest('client_body_timeout');
  const send = one.longest('send_timeout');
  const idle = one.longest('keepalive_timeout');
  if (head !== undefined) timeouts.requestHead = boundedDuration(head, 10, HOUR_MS);
  const silence = Math.max(body ?? 0, send ?? 0);
  if (silence > 0) timeouts.body = boundedDuration(silence, 10, DAY_MS);
  if (idle !== undefined && idle > 0) timeouts.idle = boundedDuration(idle, 10, DAY_MS);
  if (Object.keys(timeouts).length > 0) draft.timeouts = timeouts;

  const requests = one
    .directives('keepalive_requests')
    .map(({ args }) => Number(args[0]))
    .filter((count) => Number.isInteger(count) && count > 0);
  if (idle === 0) draft.limits = { requestsPerConnection: 1 };
  else if (requests.length > 0) draft.limits = { requestsPerConnection: Math.min(Math.max(...requests), 1_000_000_000) };

  const clients: NonNullable<Draft['clients']> = {};
  requestLimit(context, https, servers, clients);
  connectionLimit(context, https, servers, clients);
  if (Object.keys(clients).length > 0) draft.clients = clients;
}

/** Settings that nginx has for each site, and Tollgate for all. */
class Everywhere {
  readonly #context: NginxContext;
  readonly #scopes: readonly Scope[];

  constructor(context: NginxContext, https: readonly Scope[], servers: readonly Scope[]) {
    this.#context = context;
    this.#scopes = [...new Set([...https, ...servers])];
  }

  directives(name: string): readonly Directive[] {
    const found = this.#scopes.flatMap((scope) => scope.ownAll(name));
    const values = new Set(found.map(({ args }) => args.join(' ')));
    if (values.size > 1) {
      for (const each of found)
        this.#context.notes.add(
          'differs',
          each,
          'one value holds for all sites: the largest',
          'see docs/configuration.md: timeouts, limits',
        );
    }
    return found;
  }

  /** Milliseconds. */
  longest(name: string): number | undefined {
    const times = this.directives(name)
      .map(({ args }) => nginxTime(args[0] ?? ''))
      .filter((ms) => ms !== undefined);
    return times.length === 0 ? undefined : Math.max(...times);
  }
}

// Logs.

function logs(context: NginxContext, main: Scope, https: readonly Scope[], servers: readonly Scope[]): DraftLog | undefined {
  const { notes } = context;
  const log: DraftLog = {};
  const errors = main.own('error_log') ?? https.map((scope) => scope.own('error_log')).find((each) => each !== undefined);
  if (errors !== undefined) {
    const [path = '', level] = errors.args;
    if (!namesFile(path) || path.startsWith('syslog:') || path.startsWith('memory:'))
      notes.add('untranslated', errors, 'the log for people goes to standard error or a file', 'see log.error');
    else log.error = path === 'stderr' ? '-' : nginxPath(context, path);
    if (level !== undefined && Object.hasOwn(LEVELS, level)) log.level = LEVELS[level]!;
  }
  for (const scope of servers) {
    for (const each of scope.ownAll('error_log')) {
      if (each !== errors) notes.add('untranslated', each, 'there is one log for people', 'see log.error');
    }
  }
  const common = https.flatMap((scope) => scope.ownAll('access_log'));
  const own = servers.filter((scope) => !https.includes(scope)).flatMap((scope) => scope.ownAll('access_log'));
  const chosen = common[0] ?? own[0];
  if (chosen === undefined) return Object.keys(log).length === 0 ? undefined : log;
  for (const each of [...common, ...own]) {
    if (each.args.join(' ') !== chosen.args.join(' '))
      notes.add('untranslated', each, 'there is one access log for all', 'its lines name listener, route and host');
  }
  const access = accessLog(context, chosen);
  if (access !== undefined) log.access = access;
  return Object.keys(log).length === 0 ? undefined : log;
}

function accessLog(context: NginxContext, directive: Directive): DraftLog['access'] {
  const { notes } = context;
  const [path = '', format = 'combined', ...options] = directive.args;
  if (path === 'off') return 'off';
  if (!namesFile(path)) {
    notes.add('untranslated', directive, 'the name of a log is known beforehand', 'see log.access');
    return undefined;
  }
  const isCombined = format === 'combined' || format.includes('=');
  if (!isCombined)
    notes.add('differs', directive, `lines are JSON, not of the format ${format}`, 'log.access.fields chooses what is in them');
  if ([format, ...options].some((option) => option.startsWith('if=')))
    notes.add('untranslated', directive, 'every request is logged', 'see log.access.sample');
  const form = isCombined ? { format: 'combined' } : {};
  if (!path.startsWith('syslog:')) {
    const file = path === '/dev/stdout' ? '-' : nginxPath(context, path);
    return isCombined ? { path: file, ...form } : file;
  }
  const parts = new Map(
    path
      .slice(7)
      .split(',')
      .map((part) => part.split('=', 2) as [string, string]),
  );
  const server = parts.get('server') ?? '';
  const to = server.startsWith('unix:') || /:\d+$/.test(server) ? server : `${server}:514`;
  if (typeof parseTargetAddress(to) === 'string') {
    notes.add('untranslated', directive, 'it is no address', 'see log.access.syslog');
    return undefined;
  }
  notes.add('differs', directive, 'datagrams have the form of RFC 5424');
  const severities: readonly string[] = SEVERITIES;
  const facilities: readonly string[] = FACILITIES;
  const severity = (parts.get('severity') ?? 'info').replace('error', 'err').replace(/^warn$/, 'warning');
  const tag = parts.get('tag') ?? 'nginx';
  return {
    syslog: {
      to,
      facility: facilities.includes(parts.get('facility') ?? '') ? parts.get('facility')! : 'local7',
      ...(severities.includes(severity) ? { severity } : {}),
      ...(/^[!-~]{1,48}$/.test(tag) ? { name: tag } : {}),
    },
    ...form,
  };
}

// Limits of one client.

/** The limit that holds everywhere, if one does; those that hold in places alone are told. */
function everywhere(
  name: string,
  context: NginxContext,
  https: readonly Scope[],
  servers: readonly Scope[],
  instead: string,
): Directive | undefined {
  const common = https.flatMap((scope) => scope.ownAll(name))[0];
  // A server that only sends clients elsewhere needs none.
  const own = servers.filter((scope) => !https.includes(scope) && forwards(scope.directives)).map((scope) => scope.ownAll(name));
  const isCommon = own.length > 0 && own.every((list) => list.length > 0 && list[0]!.args.join(' ') === own[0]![0]!.args.join(' '));
  const chosen = common ?? (isCommon ? own[0]![0] : undefined);
  for (const each of own.flat()) {
    if (each !== chosen && !isCommon) context.notes.add('untranslated', each, 'limits of one client hold for all sites together', instead);
  }
  return chosen;
}

function forwards(directives: readonly Directive[]): boolean {
  return directives.some(({ name, block }) => name === 'proxy_pass' || (block !== null && forwards(block)));
}

/** The zone's declaration, when it counts by the client's address. */
function zone(kind: string, directive: Directive, name: string, { notes }: NginxContext, https: readonly Scope[]): Directive | undefined {
  const declared = https.flatMap((scope) => scope.ownAll(kind)).find(({ args }) => args.some((arg) => arg.startsWith(`zone=${name}:`)));
  if (declared === undefined) notes.add('untranslated', directive, `there is no ${kind} with that name`);
  else if (!/^\$(?:binary_)?remote_addr$/.test(declared.args[0] ?? ''))
    notes.add('untranslated', directive, `it counts by ${declared.args[0]}, not by the client's address`);
  else return declared;
  return undefined;
}

function requestLimit(
  context: NginxContext,
  https: readonly Scope[],
  servers: readonly Scope[],
  clients: NonNullable<Draft['clients']>,
): void {
  const limit = everywhere('limit_req', context, https, servers, 'see clients.requests');
  if (limit === undefined) return;
  const option = (name: string): string | undefined => limit.args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1);
  const rate = zone('limit_req_zone', limit, option('zone') ?? '', context, https)?.args.find((arg) => arg.startsWith('rate='));
  if (rate === undefined) return;
  const written = rate.slice(5).replace(/^(\d+)r\/([sm])$/, '$1/$2');
  if (parseRate(written) === undefined) {
    context.notes.add('untranslated', limit, 'its rate is none that Tollgate can count', 'see clients.requests');
    return;
  }
  const burst = Number(option('burst') ?? 0);
  // nginx counts the excess: one request is always let through.
  clients.requests = { rate: written, burst: Math.min(Math.max(Number.isInteger(burst) ? burst + 1 : 1, 1), 1_000_000) };
  const waits = limit.args.includes('nodelay') ? '' : ', not delayed';
  context.notes.add('differs', limit, `it holds for all requests of a client together; one too many is answered 429${waits}`);
}

function connectionLimit(
  context: NginxContext,
  https: readonly Scope[],
  servers: readonly Scope[],
  clients: NonNullable<Draft['clients']>,
): void {
  const limit = everywhere('limit_conn', context, https, servers, 'see clients.connections');
  if (limit === undefined) return;
  const [name = '', count = ''] = limit.args;
  if (zone('limit_conn_zone', limit, name, context, https) === undefined) return;
  if (!/^[1-9]\d{0,5}$/.test(count)) {
    context.notes.add('untranslated', limit, 'its number is none', 'see clients.connections');
    return;
  }
  clients.connections = Number(count);
  context.notes.add('differs', limit, 'it counts open connections of a client, idle ones as well; one too many is closed');
}
