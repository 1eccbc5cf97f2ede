/**
 * What one setting demands of another: names that exist and are unique, addresses that do not collide, socket settings
 * that have a meaning. Works on the values as they were read, so that its errors come together with the schema's,
 * and passes over whatever the schema will refuse anyway.
 */
import type { ListenAddress } from '../plan/plan.ts';
import { addressText } from '../plan/plan.ts';
import { parseListenAddress } from './addresses.ts';
import type { SettingPath } from './findings.ts';
import { checkProtocol } from './protocol-references.ts';
import { isMapping, items, member } from './raw-values.ts';
import { ADMIN_ADDRESS } from './schema.ts';
import { didYouMean, listed, shown } from './wording.ts';

export interface ReferenceProblem {
  readonly path: SettingPath;
  readonly message: string;
}

/** Of a listener's `socket`: what a Unix socket does not have. */
export const TCP_SETTINGS: readonly string[] = ['fastOpen', 'deferAccept', 'userTimeout', 'keepAlive'];

/** `lineOf` gives the line of a setting, or 0, for sentences that point at another place. */
export function checkReferences(root: unknown, lineOf: (path: SettingPath) => number): readonly ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  const already = (path: SettingPath): string => (path.length > 0 && lineOf(path) > 0 ? ` on line ${lineOf(path)}` : '');
  const listeners = items(member(root, 'listeners'));
  const upstreams = items(member(root, 'upstreams'));

  /** Upstreams that are spoken to by TLS, and those that requests go to. */
  const secured = new Set(upstreams.flatMap((each) => (isOn(member(each, 'tls')) ? [member(each, 'name')] : [])));
  const askedByHttp = new Set<unknown>();

  const upstreamNames = uniqueNames('upstreams', upstreams, 'upstream');
  uniqueNames('listeners', listeners, 'listener');

  const taken = new Map<string, SettingPath>();
  const admin = member(member(root, 'admin'), 'listen');
  for (const address of addresses(admin === undefined ? ADMIN_ADDRESS : admin).slice(0, 1))
    taken.set(addressText(address), admin === undefined ? [] : ['admin', 'listen']);

  listeners.forEach((listener, index) => {
    const path = ['listeners', index, 'address'];
    for (const address of addresses(member(listener, 'address'))) {
      const text = addressText(address);
      const before = taken.get(text);
      if (before === undefined) taken.set(text, path);
      else if (address.family === 0 || address.port !== 0) {
        const user = before[0] !== 'listeners' ? 'the admin interface' : 'another listener';
        problems.push({ path, message: `${text} is the address of ${user} already${already(before)}` });
        break;
      }
    }
    unixSocket(listener, index);
    problems.push(...checkProtocol(listener, ['listeners', index]));
    items(member(listener, 'passthrough')).forEach((entry, at) => {
      upstreamNamed(entry, ['to'], ['listeners', index, 'passthrough', at]);
      if (!secured.has(member(entry, 'to'))) return;
      const message = `what is passed through is TLS already, and the upstream ${shown(member(entry, 'to'))} has 'tls' of its own`;
      problems.push({ path: ['listeners', index, 'passthrough', at, 'to'], message });
    });
    const routes = items(member(listener, 'routes'));
    const passesAll = member(listener, 'passthrough') !== undefined && member(listener, 'tls') === undefined;
    if (passesAll) {
      for (const key of ['routes', 'redirect']) {
        if (member(listener, key) === undefined) continue;
        const message = `without 'tls' a listener with 'passthrough' terminates nothing, and has no ${key}`;
        problems.push({ path: ['listeners', index, key], message });
      }
    } else if (member(listener, 'redirect') === undefined ? member(listener, 'routes') === undefined : routes.length > 0) {
      const message =
        routes.length > 0
          ? "a listener has 'redirect' for everything, or 'routes', not both"
          : member(listener, 'protocol') === 'tcp'
            ? "missing; a listener needs 'routes', as [{ to: an upstream }]"
            : "missing; a listener needs 'routes', or 'redirect: https'";
      problems.push({ path: ['listeners', index, 'routes'], message });
    }
    routes.forEach((route, at) => {
      if (member(listener, 'protocol') !== 'tcp') for (const to of destinationsOf(route)) askedByHttp.add(to);
      for (const keys of [['to'], ['forwardAuth', 'to']]) upstreamNamed(route, keys, ['listeners', index, 'routes', at]);
      const actions = ['to', 'redirect', 'respond'].filter((key) => member(route, key) !== undefined);
      if (isMapping(route) && actions.length !== 1) {
        const found = actions.length === 0 ? 'none' : listed(actions);
        problems.push({ path: ['listeners', index, 'routes', at], message: `a route does one of to, redirect, respond; found ${found}` });
      }
    });
  });
  upstreams.forEach((upstream, index) => {
    if (!askedByHttp.has(member(upstream, 'name'))) return;
    const alpn = member(member(upstream, 'tls'), 'alpn');
    const other = (typeof alpn === 'string' ? [alpn] : items(alpn)).find(
      (name) => name !== '' && name !== 'http/1.1' && name !== 'http/1.0',
    );
    if (other === undefined) return;
    const message = `requests go to it by HTTP/1.1, and a server that takes ${shown(other)} would not understand them`;
    problems.push({ path: ['upstreams', index, 'tls', 'alpn'], message });
  });
  return problems;

  function upstreamNamed(route: unknown, keys: readonly string[], path: SettingPath): void {
    const to = keys.reduce<unknown>(member, route);
    if (typeof to !== 'string' || upstreams.length === 0 || upstreamNames.has(to)) return;
    const names = [...upstreamNames].filter((name) => name !== '');
    const near = didYouMean(to, names);
    problems.push({
      path: [...path, ...keys],
      message: `there is no upstream ${shown(to)}${near === '' && names.length > 0 ? `; there are: ${listed(names)}` : near}`,
    });
  }

  function uniqueNames(key: string, list: readonly unknown[], what: string): Set<string> {
    const names = new Map<string, number>();
    list.forEach((item, index) => {
      const name = member(item, 'name');
      if (typeof name !== 'string') return;
      const before = names.get(name);
      if (before === undefined) names.set(name, index);
      else
        problems.push({
          path: [key, index, 'name'],
          message: `another ${what} is named ${shown(name)} already${already([key, before, 'name'])}`,
        });
    });
    return new Set(names.keys());
  }

  function unixSocket(listener: unknown, index: number): void {
    const address = member(listener, 'address');
    if (typeof address !== 'string' || !address.startsWith('unix:')) return;
    if (member(listener, 'proxyProtocol') !== undefined) {
      const message = 'whoever connects to a Unix socket has no address that a network could name';
      problems.push({ path: ['listeners', index, 'proxyProtocol'], message });
    }
    for (const key of TCP_SETTINGS) {
      if (member(member(listener, 'socket'), key) === undefined) continue;
      problems.push({
        path: ['listeners', index, 'socket', key],
        message: `'${key}' is a setting of TCP, and the listener is a Unix socket`,
      });
    }
  }
}

/** Upstreams that a route's requests go to. */
function destinationsOf(route: unknown): readonly unknown[] {
  return [member(route, 'to'), member(member(route, 'forwardAuth'), 'to')];
}

function isOn(section: unknown): boolean {
  return section !== undefined && section !== null && section !== false;
}

function addresses(text: unknown): readonly ListenAddress[] {
  const spec = typeof text === 'string' && text !== 'off' ? parseListenAddress(text) : '';
  return typeof spec === 'string' ? [] : spec.addresses;
}
