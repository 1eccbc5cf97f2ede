import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandleTable } from './ffi/handle-table.ts';

test('HandleTable gives pointers back, and refuses a handle whose life is over', () => {
  const table = new HandleTable();
  const first = table.add(0x7f00_0000_1000);
  assert.equal(table.pointer(first), 0x7f00_0000_1000);
  assert.equal(table.remove(first), 0x7f00_0000_1000);
  const second = table.add(0x7f00_0000_2000);
  assert.notEqual(second, first);
  assert.throws(() => table.pointer(first), /alive/);
  assert.throws(() => table.remove(first), /alive/);
  assert.throws(() => table.pointer(0), /alive/);
  assert.equal(table.size, 1);
});

test('HandleTable grows, and stays in small integers', () => {
  const table = new HandleTable();
  const handles = Array.from({ length: 5_000 }, (_, i) => table.add(i + 1));
  handles.forEach((handle, i) => {
    assert.equal(table.pointer(handle), i + 1);
    assert.ok(handle > 0 && handle < 2 ** 30);
  });
  for (let i = 0; i < 3_000; i++) {
    const handle = table.add(9);
    table.remove(handle);
    assert.throws(() => table.pointer(handle));
  }
});
