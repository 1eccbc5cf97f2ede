/**
 * What nginx decides before it looks for a location or for content: return, rewrite, if. A block's directives in their order, up to the
 * first that answers whoever comes.
 */

import { PAGE_BYTES_MAX } from '../../base/limits.ts';
import { parseHostPattern, parsePathPattern } from '../patterns.ts';
import type { DraftRoute } from './draft.ts';
import type { ListenerContext, NginxContext, ServerContext } from './nginx-context.ts';
import type { Scope } from './nginx-scope.ts';
import type { Directive } from './nginx-syntax.ts';
import { literalOf, nginxTemplate, type TextContext } from './nginx-values.ts';

const REDIRECTS = ['301', '302', '303', '307', '308'];
const ONE_LINE = /^[\t\x20-\x7e\xa0-\xff]*$/;
/** Regular expressions that every path matches, and what stands for their capture. */
const ANY_PATH = [
  '^',
  '/',
  '^/',
  '.*',
  '^.*$',
  '^.*',
  '^/.*$',
  '^/.*',
  '(.*)',
  '^(.*)$',
  '^(.*)',
  '^/(.*)$',
  '^/(.*)',
  '^/?(.*)$',
  '^(/.*)$',
  '^(/.*)',
];

/** An answer for some of the requests that come to a block. */
export interface Exception {
  readonly host: string | null;
  readonly path: string | null;
  readonly route: DraftRoute;
}

export interface Rewrites {
  readonly exceptions: readonly Exception[];
  /** What everybody else gets; null: the block's content. */
  readonly all: DraftRoute | null;
  /** The path is changed on its way, which Tollgate cannot. */
  readonly rewrites: boolean;
}

/** Answers "not translated": what would have come to a wrong place is told so. */
export function notTranslated(): DraftRoute {
  return { respond: { status: 501, body: 'not translated' } };
}

export function closed(): DraftRoute {
  return { respond: { status: 403 } };
}

export function textContext(server: ServerContext, listener: ListenerContext, inResponse: boolean, proxyHost = ''): TextContext {
  return { serverName: server.serverName, port: listener.port, tls: listener.tls, proxyHost, inResponse };
}

export class RewriteReader {
  readonly #context: NginxContext;
  readonly #server: ServerContext;
  readonly #listener: ListenerContext;

  constructor(context: NginxContext, server: ServerContext, listener: ListenerContext) {
    this.#context = context;
    this.#server = server;
    this.#listener = listener;
  }

  read(scope: Scope): Rewrites {
    const exceptions: Exception[] = [];
    let rewrites = false;
    for (const directive of scope.directives) {
      if (directive.name === 'return') {
        scope.see(directive);
        return { exceptions, all: this.#return(directive, scope), rewrites };
      }
      if (directive.name === 'rewrite') {
        scope.see(directive);
        const found = this.#rewrite(directive);
        if (found === 'path') rewrites = true;
        else if (found !== null && found.path === null) return { exceptions, all: found.route, rewrites };
        else if (found !== null) exceptions.push(found);
      } else if (directive.name === 'if') {
        const found = this.#if(directive, scope);
        if (found?.host === null) return { exceptions, all: found.route, rewrites };
        if (found !== null) exceptions.push(found);
      }
    }
    return { exceptions, all: null, rewrites };
  }

  /** With `host`: for requests to that alone. */
  #if(directive: Directive, scope: Scope): Exception | null {
    scope.see(directive);
    const inner = scope.inner(directive.block ?? []);
    const condition = directive.args
      .join(' ')
      .replace(/^\(\s*/, '')
      .replace(/\s*\)$/, '');
    const [, name = '', operator = '', value = ''] = /^\$\{?(\w+)\}?\s*(?:(!?=|!?~\*?)\s*(.*))?$/s.exec(condition) ?? [];
    const known = this.#known(name);
    if (known !== undefined && (operator === '' || operator === '=' || operator === '!=')) {
      const holds = operator === '' ? known !== '' && known !== '0' : (known === value) === (operator === '=');
      if (!holds) {
        // It never happens on this listener; what stands in it is understood.
        for (const each of directive.block ?? []) scope.see(each);
        return null;
      }
      const route = this.read(inner).all;
      return route === null ? null : { host: null, path: null, route };
    }
    const host = (name === 'host' || name === 'http_host') && operator === '=' ? parseHostPattern(value) : null;
    if (host !== null && 'host' in host && host.host !== null && !value.includes('*')) {
      const route = this.read(inner).all;
      if (route !== null) return { host: host.host, path: null, route };
    }
    const refuses = (directive.block ?? []).some(
      ({ name: each, args }) => each === 'deny' || (each === 'return' && /^(?:4\d\d|5\d\d)$/.test(args[0] ?? '')),
    );
    this.#context.notes.add(
      refuses ? 'unguarded' : 'untranslated',
      directive,
      'conditions other than on scheme, port and host are not evaluated',
      'write a route with its own match, where host and path are enough',
    );
    for (const each of directive.block ?? []) scope.see(each);
    return null;
  }

  /** Values that are the same for every request of the listener. */
  #known(name: string): string | undefined {
    const { tls, port } = this.#listener;
    switch (name) {
      case 'scheme':
        return tls ? 'https' : 'http';
      case 'https':
        return tls ? 'on' : '';
      case 'ssl_protocol':
        return tls ? undefined : '';
      case 'server_port':
        return port === '' ? undefined : port;
      default:
        return undefined;
    }
  }

  #return(directive: Directive, scope: Scope): DraftRoute {
    const [first = '', second] = directive.args;
    const isCode = /^\d{3}$/.test(first);
    if (!isCode || REDIRECTS.includes(first)) {
      const url = isCode ? second : first;
      if (url !== undefined) return this.#redirect(directive, isCode ? Number(first) : 302, url);
    }
    const status = Number(first);
    const part: DraftRoute = {};
    if (status === 444) {
      this.#context.notes.add('differs', directive, 'the client is answered 403 before the connection is closed', null, part);
      return Object.assign(part, closed());
    }
    if (status < 200 || status > 599) {
      this.#context.notes.add('untranslated', directive, `an answer ${first} cannot be given`, null, part);
      return Object.assign(part, notTranslated());
    }
    const body = second ?? '';
    if (/\$\w|\$\{/.test(body) || Buffer.byteLength(body) > PAGE_BYTES_MAX) {
      const why = /\$/.test(body) ? 'a fixed answer has no variables in it' : `a fixed answer has ${PAGE_BYTES_MAX} bytes at most`;
      this.#context.notes.add('untranslated', directive, why, null, part);
      return Object.assign(part, notTranslated());
    }
    const hasBody = body !== '' && status !== 204 && status !== 304;
    return Object.assign(part, { respond: { status, ...(hasBody ? { type: mediaType(scope), body } : {}) } });
  }

  #redirect(directive: Directive, status: number, url: string): DraftRoute {
    const part: DraftRoute = {};
    const result = nginxTemplate(url, textContext(this.#server, this.#listener, false));
    const fail = (why: string): DraftRoute => {
      this.#context.notes.add('untranslated', directive, why, 'write the redirect with the variables of docs/http.md', part);
      return Object.assign(part, notTranslated());
    };
    if ('unknown' in result) return fail(`there is no variable like $${result.unknown}`);
    if (
      !/^(?:https?:\/\/|\/|\{request\.scheme\}:\/\/)/.test(result.template) ||
      !ONE_LINE.test(result.template) ||
      result.template.length > 4_096
    )
      return fail("a redirect goes to 'http(s)://...' or to a path");
    if (result.asItCame) this.#context.notes.add('differs', directive, '$uri is the path as it came, not decoded', null, part);
    return Object.assign(part, { redirect: { to: result.template, status } });
  }

  /** `path`: the path is changed inside; null: noted, and passed over. */
  #rewrite(directive: Directive): Exception | 'path' | null {
    const [expression = '', written = '', flag] = directive.args;
    const leaves = flag === 'permanent' || flag === 'redirect' || /^(?:https?:|\$scheme)/.test(written);
    const isAny = ANY_PATH.includes(expression);
    if (!leaves) {
      this.#context.notes.add(
        'untranslated',
        directive,
        'paths are not rewritten',
        'let the server answer under the path that clients use',
      );
      return isAny || expression.includes('(') || literalOf(expression, false) !== undefined ? 'path' : null;
    }
    const literal = isAny ? undefined : literalOf(expression, false);
    const path = literal === undefined ? null : `${literal.path}${literal.isPrefix ? '*' : ''}`;
    if (!isAny && (path === null || 'error' in parsePathPattern(path))) {
      this.#context.notes.add(
        'untranslated',
        directive,
        'regular expressions choose no route',
        'write a route with the path, or with its beginning',
      );
      return null;
    }
    let target = written;
    if (isAny) {
      // The query is put behind by itself, unless the replacement ends with '?'.
      const whole = target.endsWith('?') ? '$uri' : '$request_uri';
      target = target.replace(expression.startsWith('^/(') || expression.startsWith('^/?(') ? /\/\$1\??$/ : /\$1\??$/, whole);
    }
    if (!/\?$|\$request_uri$|\$uri$/.test(target)) {
      this.#context.notes.add('differs', directive, 'the query does not go along to the new place');
    }
    const route = this.#redirect(directive, flag === 'permanent' ? 301 : 302, target.replace(/\?$/, ''));
    return { host: null, path, route };
  }
}

/** Of a fixed answer. */
function mediaType(scope: Scope): string {
  const added = scope.ownAll('add_header').find(({ args }) => args[0]?.toLowerCase() === 'content-type');
  const type = added?.args[1] ?? scope.last('default_type')?.args[0] ?? 'text/plain';
  return ONE_LINE.test(type) && type.length <= 256 && type !== '' ? type : 'text/plain';
}
