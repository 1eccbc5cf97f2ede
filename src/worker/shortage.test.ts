import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_DESCRIPTORS, FAULT_MEMORY } from '../base/faults.ts';
import { C_CONNECTIONS_OPEN, C_DESCRIPTORS_MAX, C_RSS_BYTES } from '../plan/counters.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import { Shortage } from './shortage.ts';

function pair(): { readonly table: SharedTable; readonly shortage: Shortage } {
  const table = SharedTable.create(new ArrayBuffer(tableBytes(2)), 2);
  return { table, shortage: new Shortage(table, table.worker(0), 1_000) };
}

test('Shortage.refusal() goes by the memory of all workers, and lets in who comes to a worker without connections', () => {
  const { table, shortage } = pair();
  const { counters } = table.worker(0);
  counters[C_RSS_BYTES] = 500;
  table.worker(1).counters[C_RSS_BYTES] = 401;
  shortage.look();
  assert.equal(shortage.refusal(20), 0, 'nobody is here yet');
  counters[C_CONNECTIONS_OPEN] = 1;
  assert.equal(shortage.refusal(20), FAULT_MEMORY);
  shortage.allow(901);
  shortage.look();
  assert.equal(shortage.refusal(20), 0);
  shortage.allow(null);
  shortage.look();
  assert.equal(shortage.refusal(20), FAULT_MEMORY);
});

test('Shortage.refusal() keeps an eighth of the descriptors, and sixteen at least, for targets', () => {
  const { table, shortage } = pair();
  const { counters } = table.worker(0);
  assert.equal(shortage.refusal(1_000_000), 0, 'before the first look nothing is known');
  for (const [most, first] of [
    [64, 48],
    [1_024, 896],
  ] as const) {
    counters[C_DESCRIPTORS_MAX] = most;
    shortage.look();
    assert.equal(shortage.refusal(first - 1), 0);
    assert.equal(shortage.refusal(first), FAULT_DESCRIPTORS);
  }
});
