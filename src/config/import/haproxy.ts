/**
 * HAProxy's configuration as a draft of ours. Owns the sections and what they inherit; a frontend's rules are haproxy-rules.ts's affair, how
 * they become routes haproxy-grid.ts's.
 */
import { dirname, resolve } from 'node:path';
import { isTypePattern } from '../../http/compression-rules.ts';
import { addressText } from '../../plan/plan.ts';
import { parseListenAddress } from '../addresses.ts';
import { type Draft, type DraftCompress, type DraftListener, type DraftRoute, type DraftTimeouts, Names, Upstreams } from './draft.ts';
import { type Bind, readBind } from './haproxy-bind.ts';
import { type Acls, type Condition, readAcls, readCondition } from './haproxy-conditions.ts';
import { translateHaproxyGlobals } from './haproxy-global.ts';
import { routesByCell } from './haproxy-grid.ts';
import { adviceOnDefault, adviceOnLine, isGuardLine } from './haproxy-known.ts';
import { type Backend, type Frontend, type Rule, RuleRunner, type RuleSet } from './haproxy-rules.ts';
import { ProxySection } from './haproxy-section.ts';
import { type HaproxyBases, readServers } from './haproxy-server.ts';
import { type Line, parseHaproxy, type Section } from './haproxy-syntax.ts';
import { haproxyTime } from './haproxy-values.ts';
import { boundedDuration } from './nginx-values.ts';
import type { Notes } from './notes.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const LISTENERS_MAX = 200;
const ROUTES_MAX = 10_000;

export async function translateHaproxy(file: string, text: string, notes: Notes): Promise<Draft> {
  const sections = parseHaproxy(text, file, process.env, notes);
  const globals = sections.filter(({ kind }) => kind === 'global').flatMap(({ lines }) => lines);
  const directory = dirname(resolve(file));
  const base = (name: string): string => resolve(directory, globals.findLast(({ words }) => words[0] === name)?.words[1] ?? '');
  const translator = new Translator(
    notes,
    { authorities: base('ca-base'), certificates: base('crt-base') },
    globals.filter(({ words }) => words[0] === 'ssl-default-bind-options').flatMap(({ words }) => words.slice(1)),
  );
  const proxies = translator.proxies(sections);
  const draft = await translator.translate(proxies);
  translateHaproxyGlobals(globals, proxies, notes, draft);
  tellLines(sections, notes);
  return draft;
}

class Translator {
  readonly #notes: Notes;
  readonly #bases: HaproxyBases;
  readonly #bindDefaults: readonly string[];
  readonly #upstreams = new Upstreams();
  readonly #backends = new Map<string, ProxySection>();
  readonly #made = new Map<string, Backend>();
  readonly #runner: RuleRunner;

  constructor(notes: Notes, bases: HaproxyBases, bindDefaults: readonly string[]) {
    this.#notes = notes;
    this.#bases = bases;
    this.#bindDefaults = bindDefaults;
    this.#runner = new RuleRunner(notes, (name, line) => this.#backend(name, line));
  }

  /** Frontends, backends and listen sections with the defaults that hold for them: the last before them, or those they name. */
  proxies(sections: readonly Section[]): readonly ProxySection[] {
    const chains = new Map<Section, readonly Section[]>();
    const byName = new Map<string, Section>();
    const proxies: ProxySection[] = [];
    let last: readonly Section[] = [];
    for (const section of sections) {
      const { kind, words } = section;
      const at = words.indexOf('from');
      const named = at > 0 ? byName.get(words[at + 1] ?? '') : undefined;
      if (at > 0 && named === undefined) this.#notes.add('untranslated', section, `there are no defaults ${words[at + 1] ?? ''} before it`);
      const inherited = named === undefined ? [] : [named, ...(chains.get(named) ?? [])];
      if (kind === 'defaults') {
        chains.set(section, inherited);
        if (section.name !== '' && section.name !== 'from') byName.set(section.name, section);
        last = [section, ...inherited];
      } else if (kind === 'frontend' || kind === 'backend' || kind === 'listen') {
        const proxy = new ProxySection(section, named === undefined ? last : inherited);
        proxies.push(proxy);
        if (kind !== 'frontend' && !this.#backends.has(section.name)) this.#backends.set(section.name, proxy);
      }
    }
    return proxies;
  }

  async translate(proxies: readonly ProxySection[]): Promise<Draft> {
    const draft: Draft = { listeners: [], upstreams: [] };
    const names = new Names();
    const taken = new Set<string>();
    for (const proxy of proxies) {
      const { section } = proxy;
      if (section.kind === 'backend') continue;
      const leads =
        proxy.setting('default_backend') !== undefined ||
        ['server', 'use_backend', 'redirect', 'http-request', 'monitor-uri'].some((word) => proxy.lines(word).length > 0);
      if (!leads && proxy.lines('stats').length > 0) {
        this.#notes.add('untranslated', section, 'figures are at the admin address: /metrics, /status', 'see tollgate status --watch');
        continue;
      }
      if (proxy.setting('disabled') !== undefined && proxy.lines('disabled').length > 0) {
        this.#notes.add('untranslated', section, 'it is disabled, and so it was left out');
        continue;
      }
      if (!proxy.isHttp) {
        this.#notes.add('untranslated', section, 'it is of mode tcp, which is not translated', 'see protocol: tcp of a listener');
        continue;
      }
      for (const listener of await this.#listeners(proxy, names)) {
        const all = socketsOf(listener.address);
        const sockets = all.filter((each) => !taken.has(each));
        // What another took of `:8080` is left to it.
        if (sockets.length === 1 && all.length === 2) listener.address = sockets[0]!;
        if (sockets.length === 0) {
          this.#notes.add('untranslated', section, `another listens at ${listener.address} already`);
          continue;
        }
        if (draft.listeners.length >= LISTENERS_MAX) {
          this.#notes.add('untranslated', section, `more than ${LISTENERS_MAX} addresses`);
          break;
        }
        for (const each of sockets) taken.add(each);
        draft.listeners.push(listener);
      }
    }
    draft.upstreams = this.#upstreams.list;
    for (const proxy of proxies) {
      if (proxy.section.kind === 'backend' && !this.#made.has(proxy.section.name))
        this.#notes.add('untranslated', proxy.section, 'no frontend leads to it, and so it was left out');
    }
    return draft;
  }

  async #listeners(proxy: ProxySection, names: Names): Promise<readonly DraftListener[]> {
    const binds: Bind[] = [];
    for (const line of [...proxy.lines('bind'), ...oldAddress(proxy.section)]) {
      binds.push(
        ...(await readBind(line, { notes: this.#notes, certificateBase: this.#bases.certificates, defaults: this.#bindDefaults })),
      );
    }
    if (binds.length === 0) this.#notes.add('untranslated', proxy.section, 'it listens nowhere that could be taken over');
    const acls = readAcls(proxy.section.lines, this.#notes);
    const rules = this.#rules(proxy, acls);
    const own = proxy.section.kind === 'listen' && proxy.lines('server').length > 0;
    const fallback =
      proxy.setting('default_backend') ?? (own ? { ...proxy.section, words: ['default_backend', proxy.section.name] } : null);
    const frontend: Frontend = {
      ...rules,
      choices: proxy.lines('use_backend').map((line) => this.#rule(line, line.words.slice(1), acls)),
      fallback,
      monitor: monitorOf(proxy),
    };
    const conditions = this.#conditions(frontend);
    const listeners: DraftListener[] = [];
    for (const bind of binds) {
      const { address, tls, backlog, fastOpen, closed } = bind;
      const port = address.startsWith('unix:') ? '' : address.slice(address.lastIndexOf(':') + 1);
      const listener: DraftListener = { name: '', address };
      if (tls !== null) listener.tls = structuredClone(tls);
      if (backlog !== null || (fastOpen && port !== ''))
        listener.socket = { ...(backlog === null ? {} : { backlog }), ...(fastOpen && port !== '' ? { fastOpen } : {}) };
      const routes = closed ? [{ respond: { status: 403 } }] : this.#routes(frontend, conditions, tls !== null, port, proxy.section);
      const [only] = routes;
      if (routes.length === 1 && only?.redirect !== undefined && only.match === undefined) listener.redirect = only.redirect;
      else listener.routes = routes;
      listeners.push(listener);
    }
    return joined(listeners).map((listener) => ({ ...listener, name: names.give(proxy.section.name) }));
  }

  #routes(frontend: Frontend, conditions: readonly Condition[], tls: boolean, port: string, section: Section): DraftRoute[] {
    const routes = routesByCell(conditions, (match) => this.#runner.route(frontend, { match, tls, port }));
    if (routes === null || routes.length > ROUTES_MAX) {
      this.#notes.add('untranslated', section, `its hosts and paths make more routes than ${ROUTES_MAX}: everybody is answered 501`);
      return [{ respond: { status: 501, body: 'not translated' } }];
    }
    return routes;
  }

  /** Every condition that a request may meet: those of backends it may come to as well. */
  #conditions(frontend: Frontend): readonly Condition[] {
    const of = ({ request, redirects, response }: RuleSet): Condition[] =>
      [...request, ...redirects, ...response].flatMap(({ condition }) => (condition === null ? [] : [condition]));
    const own = [...of(frontend), ...frontend.choices.flatMap(({ condition }) => (condition === null ? [] : [condition]))];
    const reached = [
      ...frontend.choices.map(({ words, line }) => this.#backend(words[0] ?? '', line)),
      frontend.fallback === null ? null : this.#backend(frontend.fallback.words[1] ?? '', frontend.fallback),
    ];
    const monitor: Condition[] =
      frontend.monitor === null
        ? []
        : [[[{ test: { kind: 'path', patterns: [{ path: frontend.monitor, isPrefix: false }] }, negated: false }]]];
    return [...own, ...monitor, ...reached.flatMap((backend) => (backend === null ? [] : of(backend)))];
  }

  /** Null: there is none of that name, which is noted. */
  #backend(name: string, line: Line): Backend | null {
    if (name.includes('%[')) return null;
    const proxy = this.#backends.get(name);
    // The rules of a listen section are run as its frontend's; another that leads to it runs them no more.
    if (proxy?.section.kind === 'listen' && line.line !== proxy.section.line && proxy.lines('http-request').length > 0) {
      this.#notes.add('unguarded', line, `the rules of ${name} are not run for it`, 'make it a backend, and import again');
    }
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    if (proxy === undefined) {
      this.#notes.add('untranslated', line, `there is no backend ${name}: these requests are answered 503`);
      return null;
    }
    const empty: RuleSet = { request: [], redirects: [], response: [], compress: this.#compress(proxy) };
    const rules = proxy.section.kind === 'listen' ? empty : this.#rules(proxy, readAcls(proxy.section.lines, this.#notes));
    const backend: Backend = { ...rules, upstream: this.#upstream(proxy) };
    this.#made.set(name, backend);
    return backend;
  }

  #upstream(proxy: ProxySection): string | null {
    const { section } = proxy;
    if (!proxy.isHttp) {
      this.#notes.add('untranslated', section, 'it is of mode tcp: requests to it are answered 501');
      return null;
    }
    const { targets, tls } = readServers(proxy.lines('server'), proxy.serverDefaults, this.#bases, this.#notes);
    if (targets.length === 0) {
      this.#notes.add('untranslated', section, 'it has no server that could be taken over: requests to it are answered 501');
      return null;
    }
    const balance = proxy.setting('balance');
    if (balance !== undefined && !['roundrobin', 'static-rr'].includes(balance.words[1] ?? ''))
      this.#notes.add('untranslated', balance, 'requests are shared by turns (round robin)');
    const timeouts: DraftTimeouts = {};
    const time = (name: string): number | undefined => haproxyTime(proxy.setting('timeout', name)?.words[2] ?? '');
    const connect = time('connect');
    const server = time('server');
    if (connect !== undefined) timeouts.connect = boundedDuration(connect, 10, HOUR_MS);
    if (server !== undefined)
      Object.assign(timeouts, { responseHead: boundedDuration(server, 10, DAY_MS), body: boundedDuration(server, 10, DAY_MS) });
    return this.#upstreams.use(section.name, section.name, timeouts, tls, () => ({
      targets: targets.map((target) => (target.weight === undefined ? target.address : target)),
    }));
  }

  // Rules.

  #rules(proxy: ProxySection, acls: Acls): RuleSet {
    const of = (word: string): Rule[] => proxy.lines(word).map((line) => this.#rule(line, line.words.slice(1), acls));
    return { request: of('http-request'), redirects: of('redirect'), response: of('http-response'), compress: this.#compress(proxy) };
  }

  #rule(line: Line, words: readonly string[], acls: Acls): Rule {
    const at = words.findIndex((word) => word === 'if' || word === 'unless');
    if (at < 0) return { line, words, condition: null };
    return { line, words: words.slice(0, at), condition: readCondition(words.slice(at), acls, line, this.#notes) };
  }

  #compress(proxy: ProxySection): DraftCompress | null {
    const algorithms =
      proxy.setting('compression', 'algo')?.words.slice(2) ?? proxy.setting('compression', 'algo-res')?.words.slice(2) ?? [];
    if (!algorithms.includes('gzip')) return null;
    const written = proxy.setting('compression', 'type')?.words.slice(2) ?? proxy.setting('compression', 'type-res')?.words.slice(2) ?? [];
    const types = [...new Set(written.map((type) => type.toLowerCase()))].filter((type) => isTypePattern(type)).slice(0, 64);
    const line = proxy.setting('compression', 'algo') ?? proxy.setting('compression', 'algo-res')!;
    this.#notes.add(
      'differs',
      line,
      'answers to requests with cookies or authorization stay as they are',
      'docs/http.md says why (withSecrets)',
    );
    return { codings: ['gzip'], ...(types.length === 0 ? {} : { types }) };
  }
}

/** What an address stands for, one by one. */
function socketsOf(address: string): readonly string[] {
  const spec = parseListenAddress(address);
  return typeof spec === 'string' ? [address] : spec.addresses.map(addressText);
}

/** `listen web :80`, as it was written before there was bind. */
function oldAddress(section: Section): readonly Line[] {
  const [, , address] = section.words;
  return address === undefined || address === 'from' ? [] : [{ ...section, words: ['bind', address] }];
}

function monitorOf(proxy: ProxySection): string | null {
  const [, path = ''] = proxy.setting('monitor-uri')?.words ?? [];
  return /^\/[!-~]*$/.test(path) && !/[*?#%]/.test(path) ? path : null;
}

/** The same for IPv4 and IPv6 is one listener for all addresses. */
function joined(listeners: readonly DraftListener[]): readonly DraftListener[] {
  const v4 = new Set(listeners.flatMap(({ address }) => (address.startsWith('0.0.0.0:') ? [address.slice(7)] : [])));
  // `:8080` takes both; beside one for IPv4 it is for IPv6 alone.
  const apart = listeners.map((listener) => (v4.has(listener.address) ? { ...listener, address: `[::]${listener.address}` } : listener));
  const text = ({ address: _, ...rest }: DraftListener): string => JSON.stringify(rest);
  return apart.flatMap((listener, index) => {
    const [, family, port] = /^(0\.0\.0\.0|\[::\]):(\d+)$/.exec(listener.address) ?? [];
    const other = `${family === '[::]' ? '0.0.0.0' : '[::]'}:${port}`;
    const twin = family === undefined ? -1 : apart.findIndex((each) => each.address === other && text(each) === text(listener));
    if (twin < 0) return [listener];
    return twin > index ? [{ ...listener, address: `:${port}` }] : [];
  });
}

/** Lines that say something of which nothing came along. */
function tellLines(sections: readonly Section[], notes: Notes): void {
  for (const section of sections) {
    const { kind, lines } = section;
    if (!['global', 'defaults', 'frontend', 'backend', 'listen'].includes(kind)) {
      // Users of a userlist are told of where a rule asks for them; names are looked up by Tollgate's own resolver.
      if (!['userlist', 'resolvers', 'peers'].includes(kind)) notes.add('untranslated', section, 'there is nothing like it');
      continue;
    }
    for (const line of lines) {
      const advice = kind === 'defaults' ? adviceOnDefault(line.words) : adviceOnLine(line.words);
      if (advice !== null) notes.add(isGuardLine(line.words) ? 'unguarded' : 'untranslated', line, advice[0], advice[1]);
    }
  }
}
