import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROUTES_COUNTED_MAX, TARGETS_MAX } from '../base/limits.ts';
import type { Plan } from '../plan/plan.ts';
import { ROUTE_OTHER } from '../plan/table.ts';
import { inPlaces, newPlaces, UNPLACED } from './places.ts';

function planOf(routes: readonly string[], targets: readonly string[], listeners: readonly string[] = ['web']): Plan {
  return {
    listeners: listeners.map((name) => ({ name, routes: routes.map((route) => ({ name: route, slot: UNPLACED })) })),
    upstreams: [{ name: 'app', targets: targets.map((label) => ({ label, slot: UNPLACED })) }],
  } as unknown as Plan;
}
const routeSlots = (plan: Plan): number[] => plan.listeners.flatMap(({ routes }) => routes.map(({ slot }) => slot));
const targetSlots = (plan: Plan): number[] => plan.upstreams.flatMap(({ targets }) => targets.map(({ slot }) => slot));
const named = (count: number, name = 'n'): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);

test('inPlaces() leaves what stays where it is, and puts what is new where nobody was', () => {
  const first = inPlaces(planOf(['a', 'b', 'c'], ['1', '2', '2']), null);
  assert.deepEqual(
    [routeSlots(first), targetSlots(first)],
    [
      [0, 1, 2],
      [0, 1, 2],
    ],
  );
  const second = inPlaces(planOf(['d', 'c', 'a'], ['2', '3', '2', '2']), first);
  assert.deepEqual(
    [routeSlots(second), targetSlots(second)],
    [
      [3, 2, 0],
      [1, 3, 2, 4],
    ],
  );
  assert.deepEqual(newPlaces(second, first), { targets: [3, 4], routes: [3] });
  const third = inPlaces(planOf(['e'], ['5']), second);
  assert.deepEqual([routeSlots(third), targetSlots(third)], [[1], [0]]);
  assert.deepEqual(newPlaces(third, null), { targets: [0], routes: [1] });
});

test('inPlaces() gives one place to routes of one name, on every address of their listener', () => {
  const plan = inPlaces(planOf(['a', 'b', 'a'], [], ['web', 'web', 'other']), null);
  assert.deepEqual(routeSlots(plan), [0, 1, 0, 0, 1, 0, 2, 3, 2]);
});

test('inPlaces() takes places of the plan before where there are no others, and counts routes beyond the bound together', () => {
  const first = inPlaces(planOf(named(ROUTES_COUNTED_MAX + 2), named(TARGETS_MAX)), null);
  assert.deepEqual(routeSlots(first).slice(-3), [ROUTES_COUNTED_MAX - 1, ROUTE_OTHER, ROUTE_OTHER]);
  const second = inPlaces(planOf(named(ROUTES_COUNTED_MAX, 'm'), named(TARGETS_MAX, 'm')), first);
  assert.deepEqual(targetSlots(second), [...Array(TARGETS_MAX).keys()]);
  assert.deepEqual(routeSlots(second), [...Array(ROUTES_COUNTED_MAX).keys()]);
  assert.equal(newPlaces(second, first).routes.length, ROUTES_COUNTED_MAX);
  assert.equal(newPlaces(inPlaces(planOf(named(ROUTES_COUNTED_MAX + 2), named(TARGETS_MAX)), first), first).routes.length, 0);
});
