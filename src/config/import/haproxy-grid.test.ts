import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RouteTable } from '../../route/route-table.ts';
import { parseHostPattern, parsePathPattern } from '../patterns.ts';
import type { DraftRoute } from './draft.ts';
import { type Condition, evaluate, readAcls, readCondition } from './haproxy-conditions.ts';
import { routesByCell } from './haproxy-grid.ts';
import type { Line } from './haproxy-syntax.ts';
import { Notes } from './notes.ts';

function line(text: string): Line {
  return { file: 'x', line: 1, text, words: text.split(' ') };
}

function condition(text: string, acls: readonly string[] = []): Condition | null {
  const notes = new Notes();
  return readCondition(text.split(' '), readAcls(acls.map(line), notes), line(text), notes);
}

/** The names of `routes` that requests take, as a running Tollgate chooses. */
function chooser(routes: readonly DraftRoute[]): (host: string, path: string) => string {
  const table = new RouteTable(
    routes.map(({ match }) => {
      const host = match?.host === undefined ? { host: null } : parseHostPattern(match.host);
      const path = match?.path === undefined ? { path: null, isPrefix: false } : parsePathPattern(match.path);
      assert.ok('host' in host && 'path' in path);
      return { match: { host: host.host, path: path.path, pathIsPrefix: path.isPrefix } };
    }),
  );
  return (host, path) => {
    const buffer = Buffer.from(host + path, 'latin1');
    return routes[table.find(buffer, 0, host.length, host.length, buffer.length)]?.to ?? 'none';
  };
}

const HOSTS = ['a.test', 'b.test', 'x.a.test', 'y.x.a.test'];
const PATHS = ['/', '/a', '/a/', '/ab', '/a/b', '/b', '/b/c'];

/** Of HAProxy itself, on one request. */
function holds(tests: readonly string[], host: string, path: string): boolean {
  return tests.every((text) => {
    const negated = text.startsWith('!');
    const [kind, value = ''] = text.replace('!', '').split(' ');
    const isTrue =
      kind === 'host' ? host === value : kind === 'end' ? host.endsWith(value) : kind === 'beg' ? path.startsWith(value) : path === value;
    return isTrue !== negated;
  });
}

function written(tests: readonly string[]): string {
  const forms: Readonly<Record<string, string>> = { host: 'hdr(host) -i', end: 'hdr(host) -m end', beg: 'path_beg', path: 'path' };
  return tests
    .map((text) => {
      const [kind = '', value] = text.replace('!', '').split(' ');
      return `${text.startsWith('!') ? '!' : ''}{ ${forms[kind]} ${value} }`;
    })
    .join(' ');
}

const oneTest = fc
  .tuple(
    fc.boolean(),
    fc.oneof(
      fc.constantFrom(...HOSTS).map((host) => `host ${host}`),
      fc.constantFrom('end .a.test', 'end .x.a.test', 'end .test'),
      fc.constantFrom(...PATHS).map((path) => `path ${path}`),
      fc.constantFrom(...PATHS).map((path) => `beg ${path}`),
    ),
  )
  .map(([negated, text]) => `${negated ? '!' : ''}${text}`);
const rule = fc.array(fc.array(oneTest, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 });

test('routesByCell() gives routes that choose as the rules do, the first that holds', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 5 }), (rules) => {
      const conditions = rules.map((alternatives) => condition(`if ${alternatives.map(written).join(' or ')}`)!);
      const routes = routesByCell(conditions, (match) => {
        const first = conditions.findIndex((each) => evaluate(each, { match, tls: true, port: '443' }) === true);
        return { to: first < 0 ? 'default' : `rule${first}` };
      });
      assert.ok(routes !== null);
      const choose = chooser(routes);
      for (const host of [...HOSTS, 'z.test', 'other.example']) {
        for (const path of [...PATHS, '/abc', '/a/b/c', '/c']) {
          const first = rules.findIndex((alternatives) => alternatives.some((tests) => holds(tests, host, path)));
          assert.equal(choose(host, path), first < 0 ? 'default' : `rule${first}`, `${host}${path} ${JSON.stringify(rules)}`);
        }
      }
    }),
  );
});

test('routesByCell() leaves out what a wider route does as well', () => {
  const conditions = [condition('if { path_beg /a } or { hdr(host) a.test b.test }')!];
  assert.deepEqual(
    routesByCell(conditions, () => ({ to: 'x' })),
    [{ to: 'x' }],
  );
  const many = [
    condition(
      `if { path_beg ${Array.from({ length: 300 }, (_, i) => `/p${i}`).join(' ')} } { hdr(host) ${Array.from({ length: 300 }, (_, i) => `h${i}.test`).join(' ')} }`,
    )!,
  ];
  assert.equal(
    routesByCell(many, () => ({ to: 'x' })),
    null,
  );
});

test('evaluate() is sure of what the listener knows, and leaves what nobody knows', () => {
  const cell = { match: { host: null, path: null, pathIsPrefix: false }, tls: true, port: '443' };
  const value = (text: string, acls: readonly string[] = []) => {
    const result = evaluate(condition(text, acls), cell);
    return typeof result === 'boolean' ? result : 'open';
  };
  assert.equal(value('if { ssl_fc }'), true);
  assert.equal(value('unless { ssl_fc }'), false);
  assert.equal(value('if { dst_port 80 443 } { ssl_fc }'), true);
  assert.equal(value('if !{ dst_port 443 }'), false);
  assert.equal(value('if TRUE !FALSE'), true);
  assert.equal(value('if { hdr(x) y }'), 'open');
  assert.equal(value('if { hdr(x) y } !{ ssl_fc }'), false);
  assert.equal(value('if { hdr(x) y } or { ssl_fc }'), true);
  assert.equal(value('unless { hdr(x) y } or { ssl_fc }'), false);
  assert.equal(value('if two', ['acl two ssl_fc 0', 'acl two dst_port 443']), true);
  assert.equal(value('if !two', ['acl two ssl_fc', 'acl two dst_port 443']), false);
  assert.equal(value('if ! { ssl_fc }'), false);
  assert.equal(value('if unknown'), 'open');
  assert.equal(value('if { ssl_fc'), true);
});
