/**
 * What a listener does with requests, as a plan: routes with their actions and changes of fields, error pages, forwarding. Reads the files of
 * pages; looks no name up and knows no certificate.
 */

import { readBoundedFile } from '../base/bounded-file.ts';
import type { TemplatePlan } from '../base/field-edits-plan.ts';
import { PAGE_BYTES_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { CODING_NAMES, TYPES_DEFAULT } from '../http/compression-rules.ts';
import { parseTemplate } from '../http/template.ts';
import type {
  ActionPlan,
  BasicAuthPlan,
  CompressPlan,
  ErrorPagePlan,
  ForwardAuthPlan,
  ForwardingPlan,
  ListenerPlan,
  RoutePlan,
} from '../plan/plan.ts';
import type { LoadedConfig } from './check.ts';
import { type AccessReport, accessOf, type Report } from './compile-access.ts';
import { compileTcpRoutes } from './compile-tcp.ts';
import type { SettingPath } from './findings.ts';
import { PasswordFileError, readPasswordFile } from './password-file.ts';
import { covers } from './patterns.ts';
import { UNPLACED } from './places.ts';
import type { Config } from './schema.ts';
import { shown } from './wording.ts';

type ListenerConfig = Config['listeners'][number];
type RouteConfig = NonNullable<ListenerConfig['routes']>[number];
type RedirectConfig = NonNullable<RouteConfig['redirect']>;

export type ListenerRules = Pick<
  ListenerPlan,
  'routes' | 'tcpRoutes' | 'passthrough' | 'proxyProtocol' | 'forwarding' | 'errorPages' | 'hsts' | 'access'
>;

const ANYTHING = { host: null, path: null, pathIsPrefix: false } as const;
const HTTPS_HERE = 'https://{request.host}{request.target}';
const PAGE_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  htm: 'text/html; charset=utf-8',
  json: 'application/json',
  txt: 'text/plain; charset=utf-8',
};

/** Statuses that our own answers have; a class stands for those of it. */
const OWN_STATUSES = [400, 401, 403, 404, 405, 408, 411, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505];

/** The rules of listener number `index`. */
export async function compileListenerRules(
  loaded: LoadedConfig,
  index: number,
  upstreams: ReadonlyMap<string, number>,
  report: AccessReport,
): Promise<ListenerRules> {
  const listener = loaded.config.listeners[index]!;
  const routes: RoutePlan[] = [];
  if (listener.redirect !== undefined) {
    const action = redirectAction(listener.redirect, ['listeners', index, 'redirect'], report);
    routes.push({
      name: `${listener.name}/redirect`,
      slot: UNPLACED,
      match: ANYTHING,
      action,
      access: null,
      basicAuth: null,
      forwardAuth: null,
      requestFields: null,
      responseFields: null,
    });
  }
  const isTcp = listener.protocol === 'tcp';
  for (const [at, route] of (isTcp ? [] : (listener.routes ?? [])).entries()) {
    const path = ['listeners', index, 'routes', at];
    const plan: RoutePlan = {
      name: route.name ?? `${listener.name}/${at + 1}`,
      slot: UNPLACED,
      match: {
        host: route.match.host?.host ?? null,
        path: route.match.path?.path ?? null,
        pathIsPrefix: route.match.path?.isPrefix ?? false,
      },
      action: await actionOf(route, path, listener, upstreams, report),
      access: await accessOf(route.access, [...path, 'access'], report),
      basicAuth: await basicAuthOf(route, path, listener, report),
      forwardAuth: forwardAuthOf(route, upstreams),
      requestFields: route.headers.request ?? null,
      responseFields: route.headers.response ?? null,
    };
    if (plan.action.kind !== 'forward') checkOwnFields(route, [...path, 'headers'], report);
    const before = routes.findIndex((earlier) => covers(earlier.match, plan.match));
    if (before >= 0) {
      const { line } = loaded.where(['listeners', index, 'routes', before]);
      report.warn(path, `never taken: route ${before + 1}${line > 0 ? ` on line ${line}` : ''} matches all its requests before it`);
    }
    routes.push(plan);
  }
  const tcpRoutes = (entries: Parameters<typeof compileTcpRoutes>[0], key: string, prefix: string) =>
    compileTcpRoutes(entries, ['listeners', index, key], prefix, upstreams, report);
  return {
    routes,
    tcpRoutes: isTcp ? await tcpRoutes(listener.routes ?? [], 'routes', listener.name) : null,
    passthrough: await tcpRoutes(listener.passthrough ?? [], 'passthrough', `${listener.name}/passthrough`),
    proxyProtocol: listener.proxyProtocol ?? null,
    forwarding: forwardingOf(listener),
    errorPages: await errorPages(listener, index, report),
    hsts: hstsOf(listener, index, report),
    access: await accessOf(listener.access, ['listeners', index, 'access'], report),
  };
}

async function actionOf(
  route: RouteConfig,
  path: SettingPath,
  listener: ListenerConfig,
  upstreams: ReadonlyMap<string, number>,
  report: Report,
): Promise<ActionPlan> {
  if (route.redirect !== undefined) return redirectAction(route.redirect, [...path, 'redirect'], report);
  if (route.respond !== undefined) {
    const { status, body, file, type } = route.respond;
    if (body !== undefined && file !== undefined) report.error([...path, 'respond', 'file'], "one of 'body' and 'file' is enough");
    const text = file === undefined ? (body ?? '') : await page(file, [...path, 'respond', 'file'], report);
    if (text !== '' && (status === 204 || status === 304)) report.error([...path, 'respond', 'status'], `an answer ${status} has no body`);
    return { kind: 'respond', status, contentType: type, body: text };
  }
  return {
    kind: 'forward',
    upstream: upstreams.get(route.to ?? '') ?? 0,
    host: route.host?.host ?? null,
    mend: route.mend && listener.tls !== undefined,
    requestBodyMax: route.requestBody.max ?? null,
    responseBodyMax: route.responseBody.max ?? null,
    requestBuffer: route.requestBody.buffer,
    responseBuffer: route.responseBody.buffer,
    compress: compressOf(route),
  };
}

/** Fields of a route whose answers are ours: there is no server's request, and what Tollgate has to say itself is not to be said twice. */
function checkOwnFields({ headers, redirect }: RouteConfig, path: SettingPath, report: Report): void {
  if ((headers.request ?? null) !== null) report.warn([...path, 'request'], 'no server gets a request by this route: it changes nothing');
  const { set, add, remove } = headers.response ?? { set: [], add: [], remove: [] };
  const ours = redirect === undefined ? ['date'] : ['date', 'location'];
  const check = (name: string, at: SettingPath): void => {
    if (ours.includes(name.toLowerCase())) report.error(at, `Tollgate gives this answer by itself, and writes ${name} itself`);
  };
  for (const { name } of set) check(name, [...path, 'response', 'set', name]);
  for (const { name } of add) check(name, [...path, 'response', 'add', name]);
  for (const [at, name] of remove.entries()) check(name, [...path, 'response', 'remove', at]);
}

function compressOf({ compress }: RouteConfig): CompressPlan | null {
  if (compress === undefined || compress === null) return null;
  const { codings, types, minimum, withSecrets } = compress;
  return {
    codings: codings.map((name) => CODING_NAMES.indexOf(name)),
    leastBytes: minimum,
    types: types ?? TYPES_DEFAULT,
    withSecrets,
  };
}

async function basicAuthOf(
  { basicAuth }: RouteConfig,
  path: SettingPath,
  { tls }: ListenerConfig,
  report: Report,
): Promise<BasicAuthPlan | null> {
  if (basicAuth === undefined) return null;
  const { realm, users: file } = basicAuth;
  if (tls === undefined) report.warn([...path, 'basicAuth'], 'this listener has no TLS: passwords come in the clear');
  try {
    const { users, warnings } = await readPasswordFile(file);
    for (const warning of warnings) report.warn([...path, 'basicAuth', 'users'], warning);
    return { realm, users };
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    for (const problem of error instanceof PasswordFileError ? error.problems : [error.message])
      report.error([...path, 'basicAuth', 'users'], problem);
    return null;
  }
}

function forwardAuthOf({ forwardAuth }: RouteConfig, upstreams: ReadonlyMap<string, number>): ForwardAuthPlan | null {
  if (forwardAuth === undefined) return null;
  const { to, path, copyToRequest, copyToResponse } = forwardAuth;
  return { upstream: upstreams.get(to) ?? 0, path, toRequest: copyToRequest, toResponse: copyToResponse };
}

function redirectAction({ to, status }: RedirectConfig, path: SettingPath, report: Report): ActionPlan {
  const location: TemplatePlan = to.length === 1 && to[0] === 'https' ? (parseTemplate(HTTPS_HERE) as TemplatePlan) : to;
  const first = location[0];
  if (typeof first === 'string' && !/^(https?:\/\/|\/)/.test(first)) {
    report.error(path, `found ${shown(first)}: a redirect goes to 'https', to 'http(s)://...', or to a path that begins with '/'`);
  }
  return { kind: 'redirect', status, location };
}

function forwardingOf({ forwarded, trustedProxies, traceparent }: ListenerConfig): ForwardingPlan {
  return {
    xForwarded: forwarded === 'x-forwarded' || forwarded === 'both',
    forwarded: forwarded === 'rfc7239' || forwarded === 'both',
    traceparent,
    trustedProxies,
  };
}

/** RFC 6797, section 6.1. */
function hstsOf({ hsts, tls }: ListenerConfig, index: number, report: Report): string | null {
  if (hsts === undefined) return null;
  if (tls === undefined) {
    report.error(['listeners', index, 'hsts'], 'a listener without TLS cannot ask for TLS: browsers ignore it (RFC 6797, section 7.2)');
    return null;
  }
  const { maxAge, includeSubDomains, preload } = hsts;
  const year = 31_536_000_000;
  if (preload && (maxAge < year || !includeSubDomains)) {
    report.warn(['listeners', index, 'hsts', 'preload'], 'browsers preload only with a maxAge of 365d or more and includeSubDomains');
  }
  return `max-age=${Math.floor(maxAge / 1_000)}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
}

/** By status; a page for one status goes before that of its class. */
async function errorPages(listener: ListenerConfig, index: number, report: Report): Promise<readonly ErrorPagePlan[]> {
  const byStatus = new Map<number, ErrorPagePlan>();
  const entries = Object.entries(listener.errorPages).sort(([one], [other]) => Number(other.endsWith('xx')) - Number(one.endsWith('xx')));
  for (const [key, file] of entries) {
    const body = await page(file, ['listeners', index, 'errorPages', key], report);
    const contentType = PAGE_TYPES[file.slice(file.lastIndexOf('.') + 1).toLowerCase()] ?? PAGE_TYPES.html!;
    const statuses = key.endsWith('xx') ? OWN_STATUSES.filter((status) => String(status)[0] === key[0]) : [Number(key)];
    for (const status of statuses) byStatus.set(status, { status, contentType, body });
    if (!key.endsWith('xx') && !OWN_STATUSES.includes(Number(key)))
      report.warn(['listeners', index, 'errorPages', key], `never shown: tollgate answers ${key} nowhere by itself`);
  }
  return [...byStatus.values()];
}

async function page(file: string, path: SettingPath, report: Report): Promise<string> {
  try {
    const { bytes } = await readBoundedFile(file, PAGE_BYTES_MAX);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TollgateError) && !(error instanceof TypeError)) throw error;
    report.error(path, error instanceof TollgateError ? error.message : `${file} is not UTF-8 text`);
    return '';
  }
}
