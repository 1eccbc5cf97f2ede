import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan } from '../plan/plan.ts';
import { difference } from './difference.ts';

const PLAN = { listeners: [], upstreams: [], certificates: [], clients: {} } as unknown as Plan;

function between(before: unknown, after: unknown, plans: readonly [object, object] = [{}, {}]): readonly string[] {
  return difference({ value: before, plan: { ...PLAN, ...plans[0] } }, { value: after, plan: { ...PLAN, ...plans[1] } });
}

test('difference() tells what was added, removed and changed, in the words of the file', () => {
  const before = {
    workers: 2,
    upstreams: [
      { name: 'web', targets: ['10.0.0.1:80', { address: '10.0.0.2:80', weight: 1 }] },
      { name: 'old', targets: ['10.0.0.9:80'] },
    ],
  };
  const after = {
    workers: 'auto',
    watch: true,
    upstreams: [{ name: 'web', targets: ['10.0.0.1:80', { address: '10.0.0.2:80', weight: 3 }, '10.0.0.3:80'] }],
  };
  assert.deepEqual(between(before, after), [
    '~ workers: 2 -> auto',
    '~ upstreams.web.targets[1].weight: 1 -> 3',
    '+ upstreams.web.targets[2]: 10.0.0.3:80',
    '- upstreams.old',
    '+ watch: true',
  ]);
  assert.deepEqual(between(after, after), []);
  assert.deepEqual(between({ a: [{ name: 'x' }, { name: 'y' }] }, { a: [{ name: 'y' }, { name: 'x' }] }), ['~ a: order x, y -> y, x']);
  assert.deepEqual(between({ a: 1 }, { a: { b: 1 } }), ['~ a: 1 -> {"b":1}']);
});

test('difference() tells what only the files behind the settings say', () => {
  const certificate = { source: 'shop.pem', fingerprint: 'a', notAfterMs: Date.UTC(2_030, 0, 2) };
  const renewed = [{ certificates: [certificate] }, { certificates: [{ ...certificate, fingerprint: 'b' }] }] as const;
  assert.deepEqual(between({}, {}, renewed), ['~ shop.pem: another certificate, valid until 2030-01-02']);
  const lists = [{ listeners: [{ name: 'web', access: 1 }] }, { listeners: [{ name: 'web', access: 2 }] }] as const;
  assert.deepEqual(between({}, {}, lists), ['~ listeners.web: what its files or names say']);
  const moved = [
    { listeners: [{ name: 'web', access: { networksBlob: 1 } }] },
    { listeners: [{ name: 'web', access: { networksBlob: 3 } }] },
  ];
  assert.deepEqual(between({}, {}, moved as unknown as typeof lists), []);
});

test('difference() has a bound', () => {
  const many = (value: number) => ({ list: Array.from({ length: 1_000 }, () => value), long: 'x'.repeat(value) });
  const lines = between(many(100), many(200));
  assert.equal(lines.length, 201);
  assert.equal(lines.at(-1), 'and 801 more');
  assert.ok(lines.every((line) => line.length < 300));
});
