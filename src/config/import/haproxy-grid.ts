/**
 * From "what happens to these requests" to a list of routes. Every host and path that a frontend asks about cuts the requests into cells; each is
 * one route, the most specific first; what a less specific one does as well is left out.
 */
import { type CompiledMatch, covers, type PathPattern } from '../patterns.ts';
import type { DraftRoute } from './draft.ts';
import type { Condition } from './haproxy-conditions.ts';

const CELLS_MAX = 50_000;

/** Null: more cells than are looked at. `outcome` gives what is done, as a route without match. */
export function routesByCell(conditions: readonly Condition[], outcome: (match: CompiledMatch) => DraftRoute): DraftRoute[] | null {
  const hosts = hostsOf(conditions);
  const paths = pathsOf(conditions);
  if (hosts.length * paths.length > CELLS_MAX) return null;
  const rows = new Map<string | null, readonly string[]>();
  const routes: { readonly host: string | null; readonly routes: readonly DraftRoute[] }[] = [];
  // Beginning with any host, so that a row can be compared with the one it would fall through to.
  for (const host of hosts.toReversed()) {
    const row = paths.map(({ path, isPrefix }) => outcome({ host, path, pathIsPrefix: isPrefix }));
    const texts = row.map((route) => JSON.stringify(route));
    rows.set(host, texts);
    const parent = host === null ? undefined : rows.get(parentHost(host, hosts));
    if (parent?.every((text, i) => text === texts[i]) === true) continue;
    const kept = row.flatMap((route, i) => (isNeeded(i, paths, texts) ? [withMatch(route, host, paths[i]!)] : []));
    routes.unshift({ host, routes: kept });
  }
  return routes.flatMap((each) => each.routes);
}

interface CellPath {
  readonly path: string | null;
  readonly isPrefix: boolean;
}

/** A path whose requests would be treated the same by the next one that matches them. */
function isNeeded(index: number, paths: readonly CellPath[], texts: readonly string[]): boolean {
  const { path, isPrefix } = paths[index]!;
  if (path === null) return true;
  for (let i = index + 1; i < paths.length; i++) {
    const other = paths[i]!;
    if (covers({ host: null, path: other.path, pathIsPrefix: other.isPrefix }, { host: null, path, pathIsPrefix: isPrefix }))
      return texts[i] !== texts[index];
  }
  return true;
}

function parentHost(host: string, hosts: readonly (string | null)[]): string | null {
  const wider = hosts.filter((other) => other !== null && other !== host && other.startsWith('*.') && host.endsWith(other.slice(1)));
  return wider.reduce<string | null>(
    (longest, other) => (other !== null && (longest === null || other.length > longest.length) ? other : longest),
    null,
  );
}

/** Exact names, then wildcards from long to short, then any. */
function hostsOf(conditions: readonly Condition[]): readonly (string | null)[] {
  const hosts = new Set<string>();
  for (const { test } of conditions.flat(2)) if (test.kind === 'host') for (const host of test.patterns) hosts.add(host);
  const wildcards = [...hosts].filter((host) => host.startsWith('*')).sort((a, b) => b.length - a.length);
  return [...[...hosts].filter((host) => !host.startsWith('*')), ...wildcards, null];
}

/** Exact paths, then prefixes from long to short, then any. */
function pathsOf(conditions: readonly Condition[]): readonly CellPath[] {
  const found = new Map<string, PathPattern>();
  for (const { test } of conditions.flat(2)) {
    if (test.kind !== 'path') continue;
    for (const pattern of test.patterns)
      if (!(pattern.path === '/' && pattern.isPrefix)) found.set(`${pattern.path}${pattern.isPrefix ? '*' : ''}`, pattern);
  }
  const all = [...found.values()];
  const prefixes = all.filter(({ isPrefix }) => isPrefix).sort((a, b) => b.path.length - a.path.length);
  return [...all.filter(({ isPrefix }) => !isPrefix), ...prefixes, { path: null, isPrefix: false }];
}

function withMatch(route: DraftRoute, host: string | null, { path, isPrefix }: CellPath): DraftRoute {
  const match = { ...(host === null ? {} : { host }), ...(path === null ? {} : { path: `${path}${isPrefix ? '*' : ''}` }) };
  return Object.keys(match).length === 0 ? route : { match, ...route };
}
