/** What nginx does with the requests of one location, or of a server that has none for them: one route, without its match. */

import { isTypePattern } from '../../http/compression-rules.ts';
import { fieldNameProblem } from '../fields.ts';
import { type AccessRule, accessOf, ruleNetwork } from './access-rules.ts';
import type { DraftFieldEdits, DraftRoute, DraftServerTls, DraftTimeouts } from './draft.ts';
import { type ListenerContext, type NginxContext, namesFile, nginxPath, type ServerContext, sentHost } from './nginx-context.ts';
import { closed, notTranslated, RewriteReader, textContext } from './nginx-rewrite.ts';
import type { Scope } from './nginx-scope.ts';
import { nginxServerTls } from './nginx-server-tls.ts';
import type { Directive } from './nginx-syntax.ts';
import { boundedDuration, nginxSize, nginxTemplate, nginxTime, sizeText } from './nginx-values.ts';
import type { Origin } from './notes.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** What nginx allows when nothing is said. Bytes. */
const BODY_BYTES_DEFAULT = 1_048_576;
const GZIP_LENGTH_DEFAULT = 20;
const ONE_LINE = /^[\t\x20-\x7e\xa0-\xff]*$/;
const EDITS_MAX = 64;
/** Servers that speak something other than HTTP, or none at all. */
const OTHER_CONTENT: Readonly<Record<string, string>> = {
  fastcgi_pass: 'FastCGI is not spoken',
  uwsgi_pass: 'uwsgi is not spoken',
  scgi_pass: 'SCGI is not spoken',
  grpc_pass: 'gRPC needs HTTP/2, which is not spoken',
  memcached_pass: 'memcached is not spoken',
  stub_status: 'figures are at the admin address: /metrics, /status',
  empty_gif: 'Tollgate serves no files',
  content_by_lua_block: 'programs are not run',
  content_by_lua_file: 'programs are not run',
  js_content: 'programs are not run',
};
/** Fields that Tollgate writes for every request, and what nginx's configurations set them to. */
const OWN_FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['x-real-ip', ['$remote_addr', '$realip_remote_addr', '$http_x_real_ip']],
  ['x-forwarded-for', ['$proxy_add_x_forwarded_for', '$remote_addr']],
  ['x-forwarded-proto', ['$scheme', 'https', 'http', '$http_x_forwarded_proto']],
  ['x-forwarded-host', ['$host', '$http_host', '$host:$server_port', '$server_name']],
  ['x-forwarded-port', ['$server_port', '443', '80']],
  ['x-request-id', ['$request_id']],
]);
/** Fields about one connection: an upgrade goes through by itself. */
const HOP_FIELDS = ['connection', 'upgrade', 'proxy-connection', 'keep-alive', 'te'];

/** Where a location begins, for what proxy_pass puts in its place. */
export interface LocationPlace {
  readonly at: Origin;
  /** Null: of a regular expression, or a named one. */
  readonly path: string | null;
}

interface ProxyPass {
  /** What stands between the scheme and the path. */
  readonly authority: string;
  /** '' when it says none. */
  readonly uri: string;
  /** Undefined: by http. */
  readonly tls?: DraftServerTls;
}

/** Answers that nginx adds fields to without being told "always". */
const ADDED_TO: readonly number[] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];
const CLIENT_CERTIFICATES = "see the listener's tls.clientCertificates";

export class LocationTranslator {
  readonly #context: NginxContext;
  readonly #server: ServerContext;
  readonly #listener: ListenerContext;
  readonly #rewrites: RewriteReader;

  constructor(context: NginxContext, server: ServerContext, listener: ListenerContext) {
    this.#context = context;
    this.#server = server;
    this.#listener = listener;
    this.#rewrites = new RewriteReader(context, server, listener);
  }

  get rewriteReader(): RewriteReader {
    return this.#rewrites;
  }

  route(scope: Scope, place: LocationPlace): DraftRoute {
    if (scope.own('internal') !== undefined) return { respond: { status: 404 } };
    const rewrites = this.#rewrites.read(scope);
    for (const { host, path, route } of rewrites.exceptions) {
      this.#context.notes.add(
        (route.respond?.status ?? 0) >= 400 ? 'unguarded' : 'untranslated',
        place.at,
        `what it does for ${host ?? path} alone`,
        'write a route of its own for it, in front',
      );
    }
    if (rewrites.all !== null) {
      this.ownFields(scope, rewrites.all);
      return rewrites.all;
    }
    const guards = this.#guards(scope, place);
    if (guards === null) return closed();
    const content = rewrites.rewrites ? notTranslated() : this.#content(scope, place);
    return { ...content, ...guards };
  }

  // Who may come in.

  /** Null: something keeps clients out that Tollgate cannot, so that nobody comes in. */
  #guards(scope: Scope, place: LocationPlace): Partial<DraftRoute> | null {
    const { notes } = this.#context;
    const verify = scope.last('ssl_verify_client');
    if (verify !== undefined && verify.args[0] === 'on' && this.#listener.tls) {
      notes.add('untranslated', verify, 'client certificates are not translated: these requests are answered 403', CLIENT_CERTIFICATES);
      return null;
    }
    if (verify !== undefined && verify.args[0] !== 'off' && this.#listener.tls)
      notes.add('untranslated', verify, 'client certificates are not translated', CLIENT_CERTIFICATES);
    const access = this.#access(scope);
    const basicAuth = this.#basicAuth(scope);
    const forwardAuth = this.#forwardAuth(scope, place);
    if (access === null || basicAuth === null || forwardAuth === null) return null;
    const satisfy = scope.last('satisfy');
    if (
      satisfy?.args[0] === 'any' &&
      (access !== undefined ? 1 : 0) + (basicAuth !== undefined ? 1 : 0) + (forwardAuth !== undefined ? 1 : 0) > 1
    ) {
      notes.add('differs', satisfy, 'every one of them must let a client in, not any');
    }
    return {
      ...(access === undefined ? {} : { access }),
      ...(basicAuth === undefined ? {} : { basicAuth }),
      ...(forwardAuth === undefined ? {} : { forwardAuth }),
    };
  }

  #access(scope: Scope): DraftRoute['access'] | null {
    let level: Scope | null = scope;
    while (level !== null && level.ownAll('allow').length + level.ownAll('deny').length === 0) level = level.outer;
    const rules: AccessRule[] = [];
    for (const directive of level?.directives ?? []) {
      if (directive.name !== 'allow' && directive.name !== 'deny') continue;
      const network = ruleNetwork(directive.args[0] ?? '');
      if (network !== undefined) rules.push({ verdict: directive.name, network });
      else this.#context.notes.add(directive.name === 'deny' ? 'unguarded' : 'untranslated', directive, 'it is no network');
    }
    const access = accessOf(rules);
    if (access === null)
      this.#context.notes.add(
        'untranslated',
        level!.directives[0]!,
        'too many networks: nobody may',
        'put them into files: allowFile, denyFile',
      );
    return access;
  }

  #basicAuth(scope: Scope): DraftRoute['basicAuth'] | null {
    const basic = scope.last('auth_basic');
    const file = scope.last('auth_basic_user_file');
    const [realm = 'off'] = basic?.args ?? [];
    if (basic === undefined || realm === 'off') return undefined;
    const users = file?.args[0];
    if (users === undefined || !namesFile(users)) {
      this.#context.notes.add('untranslated', file ?? basic, 'there is no file of users: these requests are answered 403');
      return null;
    }
    return {
      realm: ONE_LINE.test(realm) && realm.length <= 128 && !realm.includes('$') ? realm : 'restricted',
      users: nginxPath(this.#context, users),
    };
  }

  #forwardAuth(scope: Scope, place: LocationPlace): DraftRoute['forwardAuth'] | null {
    const asked = scope.last('auth_request');
    const [uri = 'off'] = asked?.args ?? [];
    if (asked === undefined || uri === 'off' || uri === place.path) return undefined;
    const location = this.#server.scope.ownAll('location').find(({ args }) => {
      const path = args.at(-1) ?? '';
      return args[0] === '=' ? path === uri : args.length === 1 && (path === uri || `${path}`.replace(/^=/, '') === uri);
    });
    const inner = location === undefined ? undefined : this.#server.scope.inner(location.block ?? []);
    const pass = inner === undefined ? undefined : this.#proxyPass(inner);
    const to = pass === undefined || pass === null ? null : this.#context.upstreams.use(pass.authority, asked, {}, pass.tls);
    const path = pass?.uri === '' || pass === undefined ? uri : (pass?.uri ?? uri);
    if (to === null || path.includes('$') || !/^\/[!-~]*$/.test(path)) {
      this.#context.notes.add('untranslated', asked, 'its location does not forward to a server by HTTP: these requests are answered 403');
      return null;
    }
    for (const field of inner!.ownAll('proxy_set_header')) {
      const name = field.args[0]?.toLowerCase() ?? '';
      if (['content-length', 'host', 'x-original-uri', 'x-original-url', ...HOP_FIELDS, ...OWN_FIELDS.keys()].includes(name)) continue;
      this.#context.notes.add('untranslated', field, 'the question to the authorisation server has the fields of the request');
    }
    if (inner!.ownAll('proxy_set_header').some(({ args }) => /^x-original-ur[il]$/i.test(args[0] ?? ''))) {
      this.#context.notes.add(
        'differs',
        asked,
        'the authorisation server is told method and path as X-Forwarded-Method and X-Forwarded-Uri',
      );
    }
    inner!.ownAll('proxy_pass_request_body');
    this.#context.notes.add('differs', asked, "who is refused gets the authorisation server's own answer");
    const copied = this.#copiedFields(scope);
    return { to, path, ...(copied.length === 0 ? {} : { copyToRequest: copied }) };
  }

  /** Fields of the authorisation server's answer that go on under their own name. */
  #copiedFields(scope: Scope): string[] {
    const byVariable = authVariables(scope);
    const fields: string[] = [];
    for (const directive of scope.all('proxy_set_header')) {
      const field = byVariable.get(directive.args[1] ?? '');
      const name = directive.args[0]?.toLowerCase() ?? '';
      if (field === name && fieldNameProblem(name) === undefined && !fields.includes(name)) fields.push(name);
    }
    return fields;
  }

  // What is answered.

  #content(scope: Scope, place: LocationPlace): DraftRoute {
    const { notes } = this.#context;
    const pass = this.#proxyPass(scope);
    if (pass !== undefined) return pass === null ? notTranslated() : this.#forward(scope, place, pass);
    const files = scope.own('try_files');
    const named = /^@/.test(files?.args.at(-1) ?? '') ? this.#server.named.get(files!.args.at(-1)!) : undefined;
    if (files !== undefined && named !== undefined) {
      notes.add('differs', files, 'no file is looked for: every request goes to the server');
      // A named location stands beside this one: what is said here is not in force there.
      return this.#content(this.#server.scope.inner(named.block ?? []), { at: named, path: null });
    }
    const part: DraftRoute = {};
    for (const [name, why] of Object.entries(OTHER_CONTENT)) {
      const found = scope.own(name);
      if (found === undefined) continue;
      notes.add('untranslated', found, why, null, part);
      return Object.assign(part, notTranslated());
    }
    const root = scope.last('alias') ?? scope.last('root') ?? files;
    if (root === undefined) return { respond: { status: 404 } };
    notes.add('untranslated', place.at, 'it serves files, which Tollgate does not', 'put a web server behind it', part);
    return Object.assign(part, notTranslated());
  }

  /** Null: there is one, and Tollgate cannot do it, which is noted. */
  #proxyPass(scope: Scope): ProxyPass | undefined | null {
    const directive = scope.own('proxy_pass');
    if (directive === undefined) return undefined;
    const [url = ''] = directive.args;
    const fail = (why: string, instead: string | null = null): null => {
      this.#context.notes.add('untranslated', directive, `${why}: these requests are answered 501`, instead);
      return null;
    };
    const [, s, socket, host, uri = ''] = /^http(s?):\/\/(?:(unix:[^:$]+):?|([^/?$]+))((?:[/?].*)?)$/i.exec(url) ?? [];
    const authority = socket ?? host;
    if (authority === undefined || uri.includes('$'))
      return fail('where it leads is computed for each request', 'write a route for each server');
    const tls =
      s === '' ? {} : { tls: nginxServerTls(scope, this.#context, directive, authority, this.#context.upstreams.isDefined(authority)) };
    return { authority, uri, ...tls };
  }

  #forward(scope: Scope, place: LocationPlace, pass: ProxyPass): DraftRoute {
    const { notes, upstreams } = this.#context;
    const directive = scope.own('proxy_pass')!;
    if (pass.uri !== '' && pass.uri !== place.path) {
      const part: DraftRoute = {};
      const why = `paths are not rewritten (${place.path ?? 'here'} to ${pass.uri}): these requests are answered 501`;
      notes.add('untranslated', directive, why, 'let the server answer under the path that clients use', part);
      return Object.assign(part, notTranslated());
    }
    const to = upstreams.use(pass.authority, directive, this.#timeouts(scope), pass.tls);
    if (to === null) return notTranslated();
    const route: DraftRoute = { to };
    const proxyHost = pass.authority.startsWith('unix:') ? 'localhost' : pass.authority;
    this.#requestFields(scope, route, proxyHost);
    this.#responseFields(scope, route);
    const redirect = scope.last('proxy_redirect');
    if (redirect?.args[0] === 'off') {
      if (this.#listener.tls) route.mend = false;
    } else if (redirect !== undefined && redirect.args[0] !== 'default') {
      notes.add('untranslated', redirect, 'a Location is mended where it leads back to this host, and else left alone', null, route);
    }
    const max = bodyMax(scope);
    if (max > 0) route.requestBody = { max: sizeText(max) };
    this.#compress(scope, route);
    return route;
  }

  #timeouts(scope: Scope): DraftTimeouts {
    const timeouts: DraftTimeouts = {};
    const time = (name: string): number | undefined => nginxTime(scope.last(name)?.args.join(' ') ?? '');
    const connect = time('proxy_connect_timeout');
    const read = time('proxy_read_timeout');
    const send = time('proxy_send_timeout');
    if (connect !== undefined) timeouts.connect = boundedDuration(connect, 10, HOUR_MS);
    if (read !== undefined) timeouts.responseHead = boundedDuration(read, 10, DAY_MS);
    const body = Math.max(read ?? 0, send ?? 0);
    if (body > 0) timeouts.body = boundedDuration(body, 10, DAY_MS);
    return timeouts;
  }

  #requestFields(scope: Scope, route: DraftRoute, proxyHost: string): void {
    const { notes } = this.#context;
    const edits: DraftFieldEdits = {};
    const byVariable = authVariables(scope);
    let host: string | null = sentHost(proxyHost);
    if (scope.last('proxy_pass_request_headers')?.args[0] === 'off')
      notes.add('untranslated', scope.last('proxy_pass_request_headers')!, 'fields of requests go on');
    for (const directive of scope.all('proxy_set_header')) {
      const [name = '', value = ''] = directive.args;
      const lower = name.toLowerCase();
      if (lower === 'host') {
        host = this.#sentHost(directive, value, proxyHost, route);
        continue;
      }
      if (HOP_FIELDS.includes(lower) || (OWN_FIELDS.get(lower)?.includes(value) ?? false)) {
        if (lower === 'x-forwarded-for' && value === '$proxy_add_x_forwarded_for') {
          notes.add(
            'differs',
            directive,
            'what clients say of themselves is dropped, not extended',
            'name the proxies in front in trustedProxies',
          );
        }
        continue;
      }
      // The gate's answer gives it.
      if (byVariable.get(value) === lower) continue;
      const problem = fieldNameProblem(name);
      if (problem !== undefined) notes.add('untranslated', directive, problem, null, route);
      else if (value === '') this.#remove(edits, directive, name, route);
      else {
        const text = this.#value(directive, value, false, proxyHost, route);
        if (text !== null) this.#put(edits, 'set', directive, name, text, route);
      }
    }
    if (host !== null) route.host = host;
    if (Object.keys(edits).length > 0) route.headers = { ...route.headers, request: edits };
  }

  /** Host for the server; null: the client's. */
  #sentHost(directive: Directive, value: string, proxyHost: string, route: DraftRoute): string | null {
    if (['$host', '$http_host', '$host:$server_port', '$http_host:$server_port', '$host:$proxy_port'].includes(value)) return null;
    const written = value === '$proxy_host' ? proxyHost : value === '$server_name' ? this.#server.serverName : value;
    const host = sentHost(written);
    if (host === null)
      this.#context.notes.add(
        'untranslated',
        directive,
        "the server is told the client's Host",
        "a route's host is 'keep' or a name",
        route,
      );
    return host;
  }

  #responseFields(scope: Scope, route: DraftRoute): void {
    const { notes } = this.#context;
    const edits: DraftFieldEdits = {};
    for (const directive of scope.all('proxy_hide_header')) {
      const [name = ''] = directive.args;
      const problem = fieldNameProblem(name);
      if (problem !== undefined) notes.add('untranslated', directive, problem, null, route);
      else this.#remove(edits, directive, name, route);
    }
    for (const directive of scope.all('add_header')) {
      if (this.#addHeader(edits, directive, route) && directive.args[2] !== 'always')
        notes.add('differs', directive, 'it goes with answers of every status, as with "always"');
    }
    // Fields are taken out before others are added, as nginx does.
    if (Object.keys(edits).length > 0) route.headers = { ...route.headers, response: edits };
  }

  #value(directive: Directive, value: string, inResponse: boolean, proxyHost: string, route: DraftRoute): string | null {
    const result = nginxTemplate(value, textContext(this.#server, this.#listener, inResponse, proxyHost));
    if ('template' in result && ONE_LINE.test(result.template) && result.template.length <= 4_096) {
      if (result.asItCame) this.#context.notes.add('differs', directive, '$uri is the path as it came, not decoded', null, route);
      return result.template;
    }
    const why =
      'unknown' in result
        ? `there is no variable like $${result.unknown}${inResponse ? ' in an answer' : ''}`
        : 'a field is one line of Latin-1 text';
    this.#context.notes.add('untranslated', directive, why, null, route);
    return null;
  }

  #put(edits: DraftFieldEdits, kind: 'set' | 'add', directive: Directive, name: string, value: string, route: DraftRoute): void {
    const fields = edits[kind] ?? {};
    const same = Object.keys(fields).find((each) => each.toLowerCase() === name.toLowerCase());
    if (same === undefined && Object.keys(fields).length >= EDITS_MAX) this.#tooMany(directive, route);
    else edits[kind] = { ...fields, [same ?? name]: value };
  }

  #remove(edits: DraftFieldEdits, directive: Directive, name: string, route: DraftRoute): void {
    const names = edits.remove ?? [];
    if (names.length >= EDITS_MAX) this.#tooMany(directive, route);
    else if (!names.includes(name)) edits.remove = [...names, name];
  }

  #tooMany(directive: Directive, route: DraftRoute): void {
    this.#context.notes.add('untranslated', directive, `a route changes ${EDITS_MAX} fields of a kind at most`, null, route);
  }

  /** Of an answer that Tollgate gives by itself. Its status is known, and so is whether nginx adds a field. Its media type it has already. */
  ownFields(scope: Scope, route: DraftRoute): void {
    const status = route.redirect?.status ?? route.respond?.status ?? 200;
    const edits: DraftFieldEdits = {};
    for (const directive of scope.all('add_header')) {
      const [name = '', , always] = directive.args;
      const lower = name.toLowerCase();
      if (lower === 'content-type' || (always !== 'always' && !ADDED_TO.includes(status))) continue;
      if (lower === 'date' || lower === 'location') {
        this.#context.notes.add('untranslated', directive, `Tollgate writes ${name} itself in answers of its own`, null, route);
      } else this.#addHeader(edits, directive, route);
    }
    if (Object.keys(edits).length > 0) route.headers = { response: edits };
  }

  /** Whether it adds a field. */
  #addHeader(edits: DraftFieldEdits, directive: Directive, route: DraftRoute): boolean {
    const { notes } = this.#context;
    const [name = '', value = ''] = directive.args;
    const problem = fieldNameProblem(name);
    if (problem !== undefined) {
      notes.add('untranslated', directive, problem, null, route);
      return false;
    }
    if (value === '') return false;
    const text = this.#value(directive, value, true, '', route);
    if (text === null) return false;
    if (Object.keys(edits.add ?? {}).some((each) => each.toLowerCase() === name.toLowerCase())) {
      notes.add('untranslated', directive, `a second ${name} cannot be added`, null, route);
      return false;
    }
    this.#put(edits, 'add', directive, name, text, route);
    return true;
  }

  #compress(scope: Scope, route: DraftRoute): void {
    const gzip = scope.last('gzip');
    const brotli = scope.last('brotli');
    const codings = [...(brotli?.args[0] === 'on' ? ['br'] : []), ...(gzip?.args[0] === 'on' ? ['gzip'] : [])];
    if (codings.length === 0) return;
    const asked = [...scope.all('gzip_types'), ...scope.all('brotli_types')].flatMap(({ args }) => args.map((type) => type.toLowerCase()));
    const types = [...new Set(['text/html', ...asked])].filter((type) => isTypePattern(type)).slice(0, 64);
    const least = nginxSize(scope.last('gzip_min_length')?.args[0] ?? '') ?? GZIP_LENGTH_DEFAULT;
    route.compress = { codings, ...(asked.includes('*') ? {} : { types }), minimum: sizeText(Math.min(least, 1_048_576)) };
    this.#context.notes.add(
      'differs',
      (gzip?.args[0] === 'on' ? gzip : brotli)!,
      'answers to requests with cookies or authorization stay as they are',
      'docs/http.md says why (withSecrets)',
    );
  }
}

function bodyMax(scope: Scope): number {
  return nginxSize(scope.last('client_max_body_size')?.args[0] ?? '') ?? BODY_BYTES_DEFAULT;
}

/** `$user` of `auth_request_set $user $upstream_http_x_user`, by variable: the field's name. */
function authVariables(scope: Scope): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { args } of scope.all('auth_request_set')) {
    const field = /^\$upstream_http_(\w+)$/.exec(args[1] ?? '')?.[1];
    if (field !== undefined) found.set(args[0] ?? '', field.replaceAll('_', '-').toLowerCase());
  }
  return found;
}
