import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteMatch } from '../plan/plan.ts';
import { NO_ROUTE, RouteTable } from './route-table.ts';

function route(host: string | null, path: string | null): { match: RouteMatch } {
  const pathIsPrefix = path?.endsWith('*') ?? false;
  return { match: { host, path: pathIsPrefix ? path!.slice(0, -1) : path, pathIsPrefix } };
}

function find(table: RouteTable, host: string, path: string): number {
  const buf = Buffer.from(host + path, 'latin1');
  return table.find(buf, 0, host.length, host.length, buf.length);
}

test('RouteTable takes the first route that matches host and path', () => {
  const table = new RouteTable([
    route('shop.example', '/api/*'),
    route('shop.example', null),
    route(null, '/health'),
    route('*.example', null),
  ]);
  assert.equal(find(table, 'shop.example', '/api/x'), 0);
  assert.equal(find(table, 'shop.example', '/api'), 1);
  assert.equal(find(table, 'SHOP.example', '/'), 1);
  assert.equal(find(table, 'shop.example.', '/'), 1);
  assert.equal(find(table, 'other.org', '/health'), 2);
  assert.equal(find(table, 'other.org', '/health?deep=1'), 2);
  assert.equal(find(table, 'other.org', '/healthy'), NO_ROUTE);
  assert.equal(find(table, 'a.b.example', '/'), 3);
  assert.equal(find(table, 'a.b.example', '/health'), 2);
  assert.equal(find(table, 'example', '/'), NO_ROUTE);
});

test('RouteTable keeps the configuration order between exact, wildcard and any host', () => {
  const table = new RouteTable([route(null, '/a'), route('*.example', '/a'), route('x.example', null)]);
  assert.equal(find(table, 'x.example', '/a'), 0);
  assert.equal(find(table, 'x.example', '/b'), 2);
  assert.equal(find(table, 'y.example', '/b'), NO_ROUTE);
});

test('RouteTable answers the same whatever host was asked before', () => {
  const table = new RouteTable([route('a.test', null), route('b.test', null)]);
  for (const [host, expected] of [
    ['a.test', 0],
    ['b.test', 1],
    ['a.test', 0],
    ['c.test', NO_ROUTE],
    ['c.test', NO_ROUTE],
    ['A.test', 0],
  ] as const) {
    assert.equal(find(table, host, '/'), expected, host);
  }
});

test('RouteTable without routes refuses everything', () => {
  assert.equal(find(new RouteTable([]), 'a.test', '/'), NO_ROUTE);
});

test('RouteTable is not got past by another spelling of a path', () => {
  const table = new RouteTable([route(null, '/admin/*'), route(null, '/exact'), route(null, '/*')]);
  for (const path of [
    '/admin/x',
    '/%61dmin/x',
    '//admin/x',
    '/./admin/x',
    '/a/../admin/x',
    '/admin%2Fx',
    '/admin\\x',
    '/x/%2e%2e/admin/x?y',
  ]) {
    assert.equal(find(table, 'a.test', path), 0, path);
  }
  assert.equal(find(table, 'a.test', '/e%78act?q=/admin/'), 1);
  assert.equal(find(table, 'a.test', '/admin/../public'), 2);
  assert.equal(find(table, 'a.test', '/public?/admin/'), 2);
});

test('RouteTable takes an encoded question mark for a part of the path', () => {
  const table = new RouteTable([route(null, '/exact'), route(null, '/x/*'), route(null, '/*')]);
  assert.equal(find(table, 'a.test', '/exact%3Fb'), 2);
  assert.equal(find(table, 'a.test', '/%65xact?b'), 0);
  assert.equal(find(table, 'a.test', '/exact?%3F'), 0);
  assert.equal(find(table, 'a.test', '/x/%3Fb'), 1);
});
