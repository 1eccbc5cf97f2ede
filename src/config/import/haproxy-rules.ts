/**
 * What HAProxy does with the requests of one cell: a frontend's rules in their order, the backend they lead to, its rules, as one route
 * without match. Says once what a rule asks that Tollgate cannot know.
 */

import { PAGE_BYTES_MAX } from '../../base/limits.ts';
import { fieldNameProblem } from '../fields.ts';
import { networkCovers } from '../networks.ts';
import { type AccessRule, accessOf } from './access-rules.ts';
import type { DraftCompress, DraftFieldEdits, DraftRoute } from './draft.ts';
import { type Cell, type Condition, evaluate } from './haproxy-conditions.ts';
import type { Line } from './haproxy-syntax.ts';
import { haproxyTemplate } from './haproxy-values.ts';
import { sentHost } from './nginx-context.ts';
import type { NoteKind, Notes } from './notes.ts';

const ONE_LINE = /^[\t\x20-\x7e\xa0-\xff]*$/;
const EDITS_MAX = 64;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Fields that Tollgate writes for every request. */
const OWN_FIELDS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'x-request-id',
  'forwarded',
];
/** What they may be set to without a loss. */
const OWN_VALUES = /^(?:https?|\d+|%\[(?:src|dst_port|req\.hdr\(host\)|hdr\(host\)|unique-id|uuid(?:\(\))?|ssl_fc)\]|%ci|%ID)$/i;
/** These change nothing that a client or server could see. */
const QUIET_ACTIONS =
  /^(?:set-log-level|set-nice|set-mark|set-tos|set-fc-|set-bc-|capture|wait-for-handshake|disable-l7-retry|strict-mode|sc-|track-sc|set-var|unset-var|cache-use|wait-for-body)/;
const PATH_ACTIONS = ['set-path', 'replace-path', 'set-pathq', 'replace-pathq', 'set-uri', 'replace-uri'];

/** One rule of a section, its condition read. */
export interface Rule {
  readonly line: Line;
  readonly condition: Condition | null;
  /** Words between the keyword and the condition. */
  readonly words: readonly string[];
}

/** The rules of a frontend or a backend. */
export interface RuleSet {
  /** `http-request`. */
  readonly request: readonly Rule[];
  /** `redirect`, which come after those. */
  readonly redirects: readonly Rule[];
  /** `http-response`. */
  readonly response: readonly Rule[];
  readonly compress: DraftCompress | null;
}

/** A backend that requests lead to. */
export interface Backend extends RuleSet {
  /** Name of the upstream; null: it has no server that could be taken over. */
  readonly upstream: string | null;
}

export interface Frontend extends RuleSet {
  /** `use_backend`; words: the backend's name. */
  readonly choices: readonly Rule[];
  /** `default_backend`; null: it leads nowhere. */
  readonly fallback: Line | null;
  /** `monitor-uri`. */
  readonly monitor: string | null;
}

export class RuleRunner {
  readonly #notes: Notes;
  readonly #backends: (name: string, line: Line) => Backend | null;

  constructor(notes: Notes, backends: (name: string, line: Line) => Backend | null) {
    this.#notes = notes;
    this.#backends = backends;
  }

  route(frontend: Frontend, cell: Cell): DraftRoute {
    if (frontend.monitor !== null && cell.match.path === frontend.monitor && !cell.match.pathIsPrefix) {
      return { respond: { status: 200, type: 'text/html', body: '<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n' } };
    }
    const run = new Run(this.#notes, cell);
    const early = run.requests(frontend.request) ?? run.redirects(frontend.redirects);
    if (early !== null) return run.finished(early);
    const name = this.#choose(frontend, run);
    const backend = name === null ? null : this.#backends(name.text, name.line);
    if (backend === null) return run.finished({ respond: { status: 503 } });
    const late = run.requests(backend.request) ?? run.redirects(backend.redirects);
    if (late !== null) return run.finished(late);
    if (backend.upstream === null) return run.finished({ respond: { status: 501, body: 'not translated' } });
    run.responses(backend.response);
    run.responses(frontend.response);
    const compress = backend.compress ?? frontend.compress;
    return run.finished({ to: backend.upstream, ...run.edits(), ...(compress === null ? {} : { compress }) });
  }

  #choose({ choices, fallback }: Frontend, run: Run): { text: string; line: Line } | null {
    for (const rule of choices) {
      const [name = ''] = rule.words;
      if (run.holds(rule, 'untranslated') !== true) continue;
      if (!name.includes('%[')) return { text: name, line: rule.line };
      this.#notes.add('untranslated', rule.line, 'the backend is computed for each request', 'write a route for each of them');
    }
    return fallback === null ? null : { text: fallback.words[1] ?? '', line: fallback };
  }
}

/** What has been done so far with the requests of a cell. */
class Run {
  readonly #notes: Notes;
  readonly #cell: Cell;
  readonly #request: DraftFieldEdits = {};
  readonly #response: DraftFieldEdits = {};
  readonly #access: AccessRule[] = [];
  /** Nobody else may; null: no such rule yet. */
  #only: readonly string[] | null = null;
  /** A section before this one let some in and kept others out, in a way that no further rules can be added to. */
  #isSettled = false;
  #host: string | null = null;

  constructor(notes: Notes, cell: Cell) {
    this.#notes = notes;
    this.#cell = cell;
  }

  /** Whether the rule is for this cell; null: that depends on what routes do not know, which is noted. */
  holds(rule: Rule, kind: NoteKind): boolean | null {
    const value = evaluate(rule.condition, this.#cell);
    if (typeof value === 'boolean') return value;
    this.#notes.add(
      kind,
      rule.line,
      'its condition asks for more than host, path and port',
      'write a route with its own match, where host and path are enough',
    );
    return null;
  }

  /** The route with what was gathered on the way. */
  finished(action: DraftRoute): DraftRoute {
    const access = this.#accessOf();
    return access === undefined ? action : { ...action, access };
  }

  edits(): Partial<DraftRoute> {
    const headers: NonNullable<DraftRoute['headers']> = {};
    for (const [name, { set = {}, add = {}, remove = [] }] of [
      ['request', this.#request],
      ['response', this.#response],
    ] as const) {
      const edits: DraftFieldEdits = {
        ...(Object.keys(set).length === 0 ? {} : { set }),
        ...(Object.keys(add).length === 0 ? {} : { add }),
        ...(remove.length === 0 ? {} : { remove }),
      };
      if (Object.keys(edits).length > 0) headers[name] = edits;
    }
    return { ...(this.#host === null ? {} : { host: this.#host }), ...(Object.keys(headers).length === 0 ? {} : { headers }) };
  }

  // Requests.

  /** The rules of one section. An answer that ends it; null: they go on. */
  requests(rules: readonly Rule[]): DraftRoute | null {
    this.#settle();
    for (const rule of rules) {
      const [action = ''] = rule.words;
      if (action === 'allow' || action === 'deny' || action === 'reject' || action === 'tarpit' || action === 'silent-drop') {
        const found = this.#verdict(rule, action === 'allow' ? 'allow' : 'deny');
        if (found === 'stop') return null;
        if (found !== null) return found;
        continue;
      }
      if (action === 'auth') {
        if (evaluate(rule.condition, this.#cell) === false) continue;
        this.#notes.add(
          'untranslated',
          rule.line,
          'users of a userlist stand in no file: these requests are answered 403',
          'write them into a file, a line each as NAME:HASH, and give the route basicAuth',
        );
        return { respond: { status: 403 } };
      }
      if (QUIET_ACTIONS.test(action.replace(/\(.*/, ''))) {
        // Variables and counters matter where a condition asks for them, which is said there.
        continue;
      }
      const holds = this.holds(rule, 'untranslated');
      if (holds !== true) continue;
      if (action === 'redirect') return this.#redirect(rule, rule.words.slice(1));
      if (action === 'return') return this.#return(rule);
      if (PATH_ACTIONS.includes(action)) {
        this.#notes.add(
          'untranslated',
          rule.line,
          'paths are not rewritten: these requests are answered 501',
          'let the server answer under the path that clients use',
        );
        return { respond: { status: 501, body: 'not translated' } };
      }
      this.#edit(rule, this.#request, false);
    }
    return null;
  }

  redirects(rules: readonly Rule[]): DraftRoute | null {
    for (const rule of rules) if (this.holds(rule, 'untranslated') === true) return this.#redirect(rule, rule.words);
    return null;
  }

  responses(rules: readonly Rule[]): void {
    for (const rule of rules) {
      if (QUIET_ACTIONS.test((rule.words[0] ?? '').replace(/\(.*/, ''))) continue;
      if (this.holds(rule, 'untranslated') === true) this.#edit(rule, this.#response, true);
    }
  }

  /** `stop`: no more of these rules; null: on to the next. */
  #verdict(rule: Rule, verdict: 'allow' | 'deny'): DraftRoute | 'stop' | null {
    const value = evaluate(rule.condition, this.#cell);
    if (value === false) return null;
    if (value === true) {
      if (verdict === 'allow') return 'stop';
      // Whom a rule before it let in comes through; it is for all others.
      if (!this.#isSettled && this.#access.some((each) => each.verdict === 'allow')) {
        this.#access.push({ verdict: 'deny', network: 'all' });
        return null;
      }
      const at = rule.words.findIndex((word) => word === 'deny_status' || word === 'status');
      const status = at < 0 ? 403 : Number(rule.words[at + 1]);
      return { respond: { status: Number.isInteger(status) && status >= 200 && status <= 599 ? status : 403 } };
    }
    const networks = sourcesOf(value);
    if (networks !== null && this.#isSettled) {
      this.#notes.add('untranslated', rule.line, 'frontend and backend both say who may come: these requests are answered 403');
      return { respond: { status: 403 } };
    }
    if (networks !== null && networks.negated === false) {
      if (verdict === 'allow' && this.#only !== null) {
        this.#notes.add('untranslated', rule.line, 'it lets in whom a rule before it keeps out only in part');
        return null;
      }
      this.#access.push(...networks.list.map((network) => ({ verdict, network })));
      return null;
    }
    if (networks !== null && verdict === 'deny') {
      this.#only = this.#only === null ? networks.list : inBoth(this.#only, networks.list);
      return null;
    }
    if (value.every((all) => all.some(({ test }) => test.kind === 'users'))) {
      this.#notes.add(
        'untranslated',
        rule.line,
        'users of a userlist stand in no file: these requests are answered 403',
        'write them into a file, a line each as NAME:HASH, and give the route basicAuth',
      );
      return verdict === 'deny' ? { respond: { status: 403 } } : null;
    }
    this.holds(rule, verdict === 'deny' ? 'unguarded' : 'untranslated');
    return null;
  }

  /** What is allowed in one section is asked about again in the next: "these, and nobody else" goes on as that. */
  #settle(): void {
    const allowed = this.#access.filter(({ verdict }) => verdict === 'allow').map(({ network }) => network);
    if (allowed.length === 0) return;
    const last = this.#access.at(-1)!;
    const isList = last.network === 'all' && last.verdict === 'deny' && allowed.length === this.#access.length - 1;
    if (!isList || this.#only !== null) {
      this.#isSettled = true;
      return;
    }
    this.#only = allowed;
    this.#access.length = 0;
  }

  #accessOf(): DraftRoute['access'] {
    const rules: AccessRule[] = [...this.#access];
    if (this.#only !== null) {
      rules.push(...this.#only.map((network) => ({ verdict: 'allow' as const, network })), { verdict: 'deny', network: 'all' });
    }
    // Too many for a route: nobody may.
    return accessOf(rules) ?? (rules.length > 900 ? { deny: ['0.0.0.0/0', '::/0'] } : undefined);
  }

  #return(rule: Rule): DraftRoute {
    const { words } = rule;
    const option = (name: string): string | undefined => {
      const at = words.indexOf(name);
      return at < 0 ? undefined : words[at + 1];
    };
    const fail = (why: string): DraftRoute => {
      this.#notes.add('untranslated', rule.line, `${why}: these requests are answered 501`);
      return { respond: { status: 501, body: 'not translated' } };
    };
    const status = Number(option('status') ?? 200);
    if (!Number.isInteger(status) || status < 200 || status > 599) return fail('it is no status');
    const body = option('string');
    const format = option('lf-string');
    for (const name of ['file', 'lf-file', 'errorfile', 'errorfiles', 'default-errorfiles'])
      if (words.includes(name)) return fail('the answer stands in a file');
    if (format !== undefined && /%/.test(format)) return fail('a fixed answer has no variables in it');
    if (words.includes('hdr')) this.#notes.add('untranslated', rule.line, 'a fixed answer has no fields of its own');
    const text = body ?? format ?? '';
    if (Buffer.byteLength(text) > PAGE_BYTES_MAX) return fail(`a fixed answer has ${PAGE_BYTES_MAX} bytes at most`);
    const type = option('content-type') ?? 'text/plain';
    if (text === '' || status === 204 || status === 304) return { respond: { status } };
    return { respond: { status, type: ONE_LINE.test(type) && type.length <= 256 ? type : 'text/plain', body: text } };
  }

  /** `scheme https code 301`. */
  #redirect(rule: Rule, words: readonly string[]): DraftRoute {
    const fail = (why: string): DraftRoute => {
      this.#notes.add(
        'untranslated',
        rule.line,
        `${why}: these requests are answered 501`,
        'write the redirect with the variables of docs/http.md',
      );
      return { respond: { status: 501, body: 'not translated' } };
    };
    const [kind = '', target = ''] = words;
    const code = Number(words[words.indexOf('code') + 1]);
    const status = words.includes('code') ? code : 302;
    if (!REDIRECTS.includes(status)) return fail('it is no status of a redirect');
    for (const option of ['set-cookie', 'clear-cookie', 'append-slash', 'ignore-empty']) {
      if (words.includes(option)) this.#notes.add('untranslated', rule.line, `${option} of a redirect`);
    }
    const result = haproxyTemplate(target, { ...this.#cell, inResponse: false });
    if ('unknown' in result) return fail(`there is no variable like ${result.unknown}`);
    const rest = words.includes('drop-query') && !words.includes('keep-query') ? '{request.path}' : '{request.target}';
    let to: string;
    if (kind === 'scheme') to = `${result.template}://{request.host}${rest}`;
    else if (kind === 'prefix') to = result.template === '/' ? rest : `${result.template}${rest}`;
    else if (kind === 'location') to = result.template;
    else return fail('it is no kind of redirect');
    if (!/^(?:https?:\/\/|\/|\{request\.(?:target|path)\})/.test(to) || !ONE_LINE.test(to) || to.length > 4_096)
      return fail("a redirect goes to 'http(s)://...' or to a path");
    return { redirect: { to, status } };
  }

  #edit(rule: Rule, edits: DraftFieldEdits, inResponse: boolean): void {
    const [action = '', name = '', value = ''] = rule.words;
    const lower = name.toLowerCase();
    const note = (why: string, instead: string | null = null): void => this.#notes.add('untranslated', rule.line, why, instead);
    if (!['set-header', 'add-header', 'del-header'].includes(action)) {
      note('there is nothing like it');
      return;
    }
    if (!inResponse && lower === 'host' && action === 'set-header') {
      if (/^%\[(?:req\.)?hdr\(host\)(?:,lower)?\]$/i.test(value)) return;
      this.#host = sentHost(value);
      if (this.#host === null) note("the server is told the client's Host", "a route's host is 'keep' or a name");
      return;
    }
    // The port of an address of ours, and the scheme, are told by themselves.
    if (!inResponse && OWN_FIELDS.includes(lower) && (action === 'del-header' || OWN_VALUES.test(value))) return;
    const problem = fieldNameProblem(name);
    if (problem !== undefined) {
      note(problem);
      return;
    }
    const count = Object.keys(edits.set ?? {}).length + Object.keys(edits.add ?? {}).length + (edits.remove ?? []).length;
    if (count >= EDITS_MAX) {
      note(`a route changes ${EDITS_MAX} fields at most`);
      return;
    }
    if (action === 'del-header') {
      if (rule.words.length > 2) note('fields are taken out by their whole name');
      else {
        // Rules run in their order; here fields are taken out before any is set.
        forget(edits.set, lower);
        forget(edits.add, lower);
        edits.remove = [...(edits.remove ?? []).filter((each) => each.toLowerCase() !== lower), name];
      }
      return;
    }
    const result = haproxyTemplate(value, { ...this.#cell, inResponse });
    if ('unknown' in result) {
      note(`there is no variable like ${result.unknown}${inResponse ? ' in an answer' : ''}`);
      return;
    }
    if (!ONE_LINE.test(result.template) || result.template.length > 4_096) {
      note('a field is one line of Latin-1 text');
      return;
    }
    const list = action === 'set-header' ? 'set' : 'add';
    if (list === 'add' && Object.keys(edits.add ?? {}).some((each) => each.toLowerCase() === lower)) {
      note(`a second ${name} cannot be added`);
      return;
    }
    if (list === 'set') {
      forget(edits.set, lower);
      forget(edits.add, lower);
    }
    edits[list] = { ...edits[list], [name]: result.template };
  }
}

function forget(fields: Record<string, string> | undefined, lower: string): void {
  for (const name of Object.keys(fields ?? {})) if (name.toLowerCase() === lower) delete fields![name];
}

/** Networks, when that is all a condition is about: any of these, or none of them. */
function sourcesOf(condition: Condition): { readonly negated: boolean; readonly list: readonly string[] } | null {
  const literals = condition.flat();
  const list = literals.flatMap(({ test }) => (test.kind === 'source' ? test.networks : []));
  if (!literals.every(({ test }) => test.kind === 'source')) return null;
  if (condition.every((all) => all.length === 1) && literals.every(({ negated }) => !negated)) return { negated: false, list };
  if (condition.length === 1 && literals.every(({ negated }) => negated)) return { negated: true, list };
  return null;
}

function inBoth(one: readonly string[], other: readonly string[]): string[] {
  return one.flatMap((a) => other.flatMap((b) => (networkCovers(a, b) ? [b] : networkCovers(b, a) ? [a] : [])));
}
