/**
 * One server block of nginx as routes in the order in which the first that matches is the one that nginx would choose: exact locations, then
 * the longest prefix, with a regular expression that is no more than a text put where it wins.
 */
import { covers, parsePathPattern } from '../patterns.ts';
import type { DraftRoute } from './draft.ts';
import type { ListenerContext, NginxContext, ServerContext } from './nginx-context.ts';
import { isGuard } from './nginx-known.ts';
import { LocationTranslator } from './nginx-location.ts';
import type { Exception } from './nginx-rewrite.ts';
import type { Scope } from './nginx-scope.ts';
import type { Directive } from './nginx-syntax.ts';
import { literalOf } from './nginx-values.ts';

/** Locations of one server. */
const LOCATIONS_MAX = 2_000;

export interface ServerRoutes {
  /** For requests to these hosts alone; null: to all of the server. In order. */
  readonly exceptions: readonly Exception[];
  /** Without hosts; the last takes whatever is left. */
  readonly routes: readonly DraftRoute[];
}

interface Location {
  readonly at: Directive;
  readonly scope: Scope;
  readonly path: string;
  readonly kind: 'exact' | 'prefix' | 'regex';
  /** Of a regular expression: everything that begins with `path`. */
  readonly isPrefix: boolean;
  /** `^~`: no regular expression is tried. */
  readonly settles: boolean;
}

/** Translates `server` for requests that come by `listener`. */
export function serverRoutes(context: NginxContext, server: ServerContext, listener: ListenerContext): ServerRoutes {
  const translator = new LocationTranslator(context, server, listener);
  const { exceptions, all } = translator.rewriteReader.read(server.scope);
  const hostless = exceptions.filter(({ host }) => host === null);
  const hosted = exceptions.filter(({ host }) => host !== null);
  const before: Route[] = hostless.map(({ path, route }) => ({ path: path ?? '*', route }));
  if (all !== null) {
    // It answers before any location is looked for, and before anybody is asked for a password.
    server.scope.ownAll('location');
    translator.ownFields(server.scope, all);
    return { exceptions: hosted, routes: [...withoutDead(before), all] };
  }
  const locations: Location[] = [];
  collect(context, server.scope, null, locations);
  const routes = [...before, ...ordered(translator, locations)];
  const rest = !routes.some(({ path }) => path === '*') ? translator.route(server.scope.inner([]), { at: server.at, path: null }) : null;
  if (rest !== null) routes.push({ path: '*', route: rest });
  return { exceptions: hosted, routes: withoutDead(routes) };
}

/** `path` as a route's match has it; `*` for any. */
interface Route {
  readonly path: string;
  readonly route: DraftRoute;
}

function withoutDead(routes: readonly Route[]): DraftRoute[] {
  const living: { readonly pattern: { readonly host: null; readonly path: string | null; readonly pathIsPrefix: boolean } }[] = [];
  return routes.flatMap(({ path, route }) => {
    const parsed = path === '*' ? { path: null, isPrefix: false } : parsePathPattern(path);
    if ('error' in parsed) return [];
    const pattern = { host: null, path: parsed.path, pathIsPrefix: parsed.isPrefix };
    if (living.some((earlier) => covers(earlier.pattern, pattern))) return [];
    living.push({ pattern });
    // Notes stand beside the route: its object stays the same.
    if (path === '*') return [route];
    const { to, redirect, respond, ...rest } = route;
    for (const key of Object.keys(route)) delete route[key as keyof DraftRoute];
    const action = to !== undefined ? { to } : redirect !== undefined ? { redirect } : respond !== undefined ? { respond } : {};
    return [Object.assign(route, { match: { path } }, action, rest)];
  });
}

/** The locations of a block and of those in it. */
function collect(context: NginxContext, scope: Scope, within: string | null, found: Location[]): void {
  for (const at of scope.ownAll('location')) {
    if (found.length >= LOCATIONS_MAX) {
      context.notes.add('untranslated', at, `more than ${LOCATIONS_MAX} locations in one server`);
      return;
    }
    const location = readLocation(context, scope, at, within);
    if (location === null) continue;
    found.push(location);
    if (location.kind === 'prefix') collect(context, location.scope, location.path, found);
    else if (location.scope.ownAll('location').length > 0) {
      context.notes.add('untranslated', location.scope.ownAll('location')[0]!, 'locations stand in locations with a prefix alone');
    }
  }
}

function readLocation(context: NginxContext, outer: Scope, at: Directive, within: string | null): Location | null {
  const [, modifier = '', path = ''] = /^(=|\^~|~\*|~|)\s*(.*)$/s.exec(at.args.join(' ')) ?? [];
  if (path.startsWith('@') && modifier === '') return null;
  const scope = outer.inner(at.block ?? []);
  const refuse = (why: string): null => {
    const guards = (at.block ?? []).some(
      ({ name, args }) =>
        isGuard(name) ||
        /^(?:deny|auth_basic|auth_request|internal)$/.test(name) ||
        (name === 'return' && /^[45]\d\d$/.test(args[0] ?? '')),
    );
    const instead = 'write a route with the path, or with its beginning';
    context.notes.add(guards ? 'unguarded' : 'untranslated', at, `${why}; such requests go where their path leads without it`, instead);
    return null;
  };
  const isRegex = modifier.startsWith('~');
  const literal = isRegex ? literalOf(path, modifier === '~*') : { path, isPrefix: modifier !== '=' };
  if (literal === undefined) return refuse('regular expressions choose no route');
  const pattern = parsePathPattern(`${literal.path}${literal.isPrefix ? '*' : ''}`);
  if ('error' in pattern || literal.path.includes('*')) return refuse('it cannot be the path of a route');
  if (within !== null && !literal.path.startsWith(within)) return refuse('it lies outside the location that it stands in');
  const kind = isRegex ? 'regex' : modifier === '=' ? 'exact' : 'prefix';
  return { at, scope, path: literal.path, kind, isPrefix: literal.isPrefix, settles: modifier === '^~' };
}

function ordered(translator: LocationTranslator, locations: readonly Location[]): Route[] {
  const made = new Map<Location, DraftRoute>();
  const routeOf = (location: Location): DraftRoute => {
    let route = made.get(location);
    if (route === undefined) {
      route = translator.route(location.scope, { at: location.at, path: location.kind === 'regex' ? null : location.path });
      made.set(location, route);
      return route;
    }
    // Once more in another place: an object of its own, without the notes of the first.
    return { ...route };
  };
  const routes: Route[] = [];
  const named = new Set(locations.filter(({ kind }) => kind !== 'regex').map(({ path }) => path));
  for (const location of locations) if (location.kind === 'exact') routes.push({ path: location.path, route: routeOf(location) });
  const prefixes = locations.filter(({ kind }) => kind === 'prefix').sort((a, b) => b.path.length - a.path.length);
  for (const { path, scope } of prefixes) {
    // nginx sends `/api` to `/api/` when that is where requests are forwarded from.
    const bare = path.slice(0, -1);
    if (bare !== '' && path.endsWith('/') && !named.has(bare) && scope.own('proxy_pass') !== undefined) {
      routes.push({ path: bare, route: { redirect: { to: path.replaceAll(/[{}]/g, '$&$&'), status: 301 } } });
    }
  }
  const expressions = locations.filter(({ kind }) => kind === 'regex');
  // Whoever comes to no prefix comes to the server itself, where regular expressions are tried as well.
  const places = [
    ...prefixes.map((location) => ({ location, path: location.path, settles: location.settles })),
    { location: null, path: '/', settles: false },
  ];
  for (const { location, path, settles } of places) {
    for (const expression of settles ? [] : expressions) {
      if (expression.path.startsWith(path))
        routes.push({ path: `${expression.path}${expression.isPrefix ? '*' : ''}`, route: routeOf(expression) });
      else if (expression.isPrefix && path.startsWith(expression.path)) routes.push({ path: `${path}*`, route: routeOf(expression) });
    }
    if (location !== null) routes.push({ path: path === '/' ? '*' : `${path}*`, route: routeOf(location) });
  }
  return routes;
}
