/**
 * HAProxy's conditions: named and anonymous ACLs, `if`, `unless`, `!`, `or`. Owns what each test is in Tollgate's terms, and the truth of a
 * condition for requests of which host and path are known as far as routes can tell.
 */
import { type CompiledMatch, covers, type PathPattern, parseHostPattern, parsePathPattern } from '../patterns.ts';
import { ruleNetwork } from './access-rules.ts';
import type { Line } from './haproxy-syntax.ts';
import { literalOf } from './nginx-values.ts';
import type { Notes } from './notes.ts';

export type Test =
  | { readonly kind: 'host'; readonly patterns: readonly string[] }
  | { readonly kind: 'path'; readonly patterns: readonly PathPattern[] }
  | { readonly kind: 'port'; readonly ports: readonly string[] }
  | { readonly kind: 'source'; readonly networks: readonly string[] }
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'tls' | 'users' | 'unknown' };

export interface Literal {
  readonly test: Test;
  readonly negated: boolean;
}

/** Any of these, each all of its literals. */
export type Condition = readonly (readonly Literal[])[];

/** Requests as far as a route and its listener tell them apart. */
export interface Cell {
  readonly match: CompiledMatch;
  readonly tls: boolean;
  /** '' when it is a Unix socket. */
  readonly port: string;
}

/** ACLs by name; several lines with one name are any of them. */
export type Acls = ReadonlyMap<string, readonly Test[]>;

const PREDEFINED: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['TRUE', { kind: 'constant', value: true }],
  ['FALSE', { kind: 'constant', value: false }],
  ['HTTP', { kind: 'constant', value: true }],
  ['LOCALHOST', { kind: 'source', networks: ['127.0.0.0/8', '::1/128'] }],
]);
/** Alternatives that one condition may have once its ACLs are put in. */
const ALTERNATIVES_MAX = 256;

export function readAcls(lines: readonly Line[], notes: Notes): Acls {
  const acls = new Map<string, Test[]>();
  for (const line of lines) {
    if (line.words[0] !== 'acl') continue;
    const [, name = '', ...words] = line.words;
    acls.set(name, [...(acls.get(name) ?? []), readTest(words, line, notes)]);
  }
  return acls;
}

/** The words behind `if` or `unless`; `words` may have none of these: null. */
export function readCondition(words: readonly string[], acls: Acls, line: Line, notes: Notes): Condition | null {
  const [keyword, ...rest] = words;
  if (keyword !== 'if' && keyword !== 'unless') return null;
  const alternatives: (readonly (readonly Literal[])[])[][] = [[]];
  let negated = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    if (word === 'or' || word === '||') {
      alternatives.push([]);
      continue;
    }
    if (word === 'and' || word === '&&') continue;
    if (word === '!') {
      negated = !negated;
      continue;
    }
    const flips = word.startsWith('!') && word.length > 1;
    const name = flips ? word.slice(1) : word;
    const isNegated = flips ? !negated : negated;
    negated = false;
    let tests: readonly Test[];
    if (name === '{') {
      const end = rest.indexOf('}', at);
      tests = [readTest(rest.slice(at + 1, end < 0 ? undefined : end), line, notes)];
      at = end < 0 ? rest.length : end;
    } else tests = acls.get(name) ?? [PREDEFINED.get(name) ?? { kind: 'unknown' }];
    // Any of several tests, or, negated, none of them.
    alternatives
      .at(-1)!
      .push(isNegated ? [tests.map((test) => ({ test, negated: true }))] : tests.map((test) => [{ test, negated: false }]));
  }
  const condition = alternatives.flatMap((factors) => product(factors));
  return keyword === 'unless' ? negation(condition) : condition;
}

function product(factors: readonly Condition[]): Condition {
  return factors.reduce<Condition>(
    (all, factor) => {
      const result = all.flatMap((left) => factor.map((right) => [...left, ...right]));
      return result.length > ALTERNATIVES_MAX ? [[{ test: { kind: 'unknown' }, negated: false }]] : result;
    },
    [[]],
  );
}

function negation(condition: Condition): Condition {
  return product(condition.map((all) => all.map(({ test, negated }) => [{ test, negated: !negated }])));
}

/** True, false, or what is left of it when host, path, port and TLS are known. */
export function evaluate(condition: Condition | null, cell: Cell): boolean | Condition {
  if (condition === null) return true;
  const left: (readonly Literal[])[] = [];
  for (const literals of condition) {
    const open: Literal[] = [];
    let isFalse = false;
    for (const literal of literals) {
      const value = truth(literal.test, cell);
      if (value === undefined) open.push(literal);
      else if (value === literal.negated) isFalse = true;
    }
    if (isFalse) continue;
    if (open.length === 0) return true;
    left.push(open);
  }
  return left.length === 0 ? false : left;
}

function truth(test: Test, { match, tls, port }: Cell): boolean | undefined {
  switch (test.kind) {
    case 'host':
      return test.patterns.some((host) => covers({ host, path: null, pathIsPrefix: false }, { ...match, path: null, pathIsPrefix: false }));
    case 'path':
      return test.patterns.some(({ path, isPrefix }) =>
        covers({ host: null, path: path === '/' && isPrefix ? null : path, pathIsPrefix: isPrefix }, { ...match, host: null }),
      );
    case 'port':
      return port === '' ? false : test.ports.includes(port);
    case 'constant':
      return test.value;
    case 'tls':
      return tls;
    default:
      return undefined;
  }
}

// Tests.

const HOST_FETCHES = ['hdr(host)', 'req.hdr(host)', 'req.fhdr(host)', 'hdr(host,1)', 'req.hdr(host,1)', 'ssl_fc_sni'];

/** `hdr(host) -i a.example`, `path_beg /api`. */
function readTest(words: readonly string[], line: Line, notes: Notes): Test {
  const [written = '', ...rest] = words;
  const [fetched = '', ...converters] = written.split(/,(?![^(]*\))/);
  let foldsCase = converters.some((each) => each === 'lower' || each === 'upper');
  let method = '';
  const values: string[] = [];
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    if (values.length === 0 && word === '-i') foldsCase = true;
    else if (values.length === 0 && word === '-m') method = rest[++at] ?? '';
    else if (values.length === 0 && (word === '-f' || word === '-M')) {
      notes.add('untranslated', line, 'its values stand in a file', 'write them into the configuration, and import again');
      return { kind: 'unknown' };
    } else if (values.length === 0 && (word === '--' || word === '-n' || word === '-u')) {
      if (word === '-u') at++;
    } else values.push(word);
  }
  // `hdr_end(host)` is `hdr(host) -m end`.
  const [, base = '', suffix = '', argument = ''] = /^([\w.]+?)(?:_(beg|end|dom|dir|sub|reg|len|str))?(\(.*\))?$/.exec(fetched) ?? [];
  const fetch = `${base}${argument}`.toLowerCase().replaceAll(/\s/g, '');
  const how = method === '' ? suffix : method;
  if (HOST_FETCHES.includes(fetch) && converters.every((each) => /^(?:lower|host_only|field\(1,:\)|field\(1,'?:'?\))$/.test(each))) {
    if (fetch === 'ssl_fc_sni') notes.add('differs', line, 'routes are chosen by the Host of a request, not by the name of the handshake');
    return hostTest(how, values, line, notes);
  }
  if (
    ['path', 'url', 'capture.req.uri', 'pathq'].includes(fetch) &&
    (fetch === 'path' || how === 'beg') &&
    !converters.some((each) => !/^(?:lower|url_dec)$/.test(each))
  ) {
    return pathTest(how, values, foldsCase, line, notes);
  }
  const isTrue = values.every((value) => value === '1' || value === 'true');
  if ((fetch === 'ssl_fc' || fetch === 'is_ssl') && how === '' && isTrue) return { kind: 'tls' };
  if (fetch === 'dst_port' && values.every((value) => /^\d+$/.test(value)) && values.length > 0) return { kind: 'port', ports: values };
  if (fetch === 'always_true') return { kind: 'constant', value: true };
  if (fetch === 'always_false') return { kind: 'constant', value: false };
  if (fetch.startsWith('http_auth(')) return { kind: 'users' };
  if (fetch === 'src' && (how === '' || how === 'ip')) {
    const networks = values.map((value) => ruleNetwork(value));
    if (networks.length > 0 && networks.every((network) => network !== undefined && network !== 'all'))
      return { kind: 'source', networks: networks as string[] };
  }
  return { kind: 'unknown' };
}

function hostTest(how: string, values: readonly string[], line: Line, notes: Notes): Test {
  const patterns: string[] = [];
  for (const value of values) {
    const name = value.replace(/:\d+$/, '');
    const forms =
      how === '' || how === 'str'
        ? [name]
        : how === 'end' && name.startsWith('.')
          ? [`*${name}`]
          : how === 'end' || how === 'dom'
            ? [name, `*.${name}`]
            : [];
    if (how === 'dom' || (how === 'end' && !name.startsWith('.')))
      notes.add('differs', line, 'it is this name and the names below it, and no other that has it within');
    for (const form of forms) {
      const pattern = parseHostPattern(form);
      if ('host' in pattern && pattern.host !== null) patterns.push(pattern.host);
      else notes.add('untranslated', line, `a route's host cannot be ${form}`);
    }
    if (forms.length === 0) return { kind: 'unknown' };
  }
  return { kind: 'host', patterns };
}

function pathTest(how: string, values: readonly string[], foldsCase: boolean, line: Line, notes: Notes): Test {
  const patterns: PathPattern[] = [];
  for (const value of values) {
    const literal =
      how === 'beg'
        ? { path: value, isPrefix: true }
        : how === '' || how === 'str'
          ? { path: value, isPrefix: false }
          : how === 'reg'
            ? literalOf(value, false)
            : undefined;
    if (literal === undefined) return { kind: 'unknown' };
    const pattern = parsePathPattern(`${literal.path}${literal.isPrefix ? '*' : ''}`);
    if ('error' in pattern || literal.path.includes('*')) {
      // Such a path never comes: a request's begins with a slash.
      if (!literal.path.startsWith('/')) continue;
      return { kind: 'unknown' };
    }
    patterns.push(pattern);
    if (foldsCase && /[a-z]/i.test(literal.path)) notes.add('differs', line, 'upper and lower case of a path are not the same');
  }
  return { kind: 'path', patterns };
}
