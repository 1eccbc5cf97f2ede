import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C_CONNECTIONS_OPEN, C_FAULTS, C_REQUESTS, COUNTER_PLACES, COUNTERS, T_IN_FLIGHT, T_REQUESTS, TARGET_PLACES } from './counters.ts';
import { S_GENERATION, S_PID, S_STATE, SharedTable, STATE_EMPTY, STATE_SERVING, tableBytes } from './table.ts';

test('SharedTable.open() sees what SharedTable.create() laid out', () => {
  const memory = new ArrayBuffer(tableBytes(3));
  const made = SharedTable.create(memory, 3);
  const opened = SharedTable.open(memory);
  assert.equal(opened.workers, 3);
  made.worker(2).counters[C_REQUESTS] = 7;
  made.worker(0).counters[C_REQUESTS] = 5;
  made.worker(1).targets[4 * TARGET_PLACES + T_REQUESTS] = 2;
  assert.equal(opened.counter(C_REQUESTS), 12);
  assert.equal(opened.target(4, T_REQUESTS), 2);
});

test('SharedTable rows do not overlap', () => {
  const memory = new ArrayBuffer(tableBytes(2));
  const table = SharedTable.create(memory, 2);
  table.worker(0).counters.fill(1);
  table.worker(0).targets.fill(2);
  table.worker(0).state.fill(3);
  assert.ok(table.worker(1).counters.every((value) => value === 0));
  assert.ok(table.worker(1).state.every((value) => value === 0));
  assert.ok(table.rows[0]!.targets.every((value) => value === 0));
  assert.ok(table.worker(0).counters.every((value) => value === 1));
});

test('SharedTable.open() refuses memory that is no table, or another version of one', () => {
  assert.throws(() => SharedTable.open(new ArrayBuffer(tableBytes(1))), /no table/);
  const memory = new ArrayBuffer(tableBytes(1));
  SharedTable.create(memory, 1);
  new Int32Array(memory)[1] = 99;
  assert.throws(() => SharedTable.open(memory), /another layout/);
});

test('SharedTable.fold() keeps a dead worker’s counts, and drops what only described it', () => {
  const table = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1);
  const row = table.worker(0);
  row.counters[C_REQUESTS] = 9;
  row.counters[C_CONNECTIONS_OPEN] = 4;
  row.counters[C_FAULTS + 20] = 2;
  row.targets[T_REQUESTS] = 9;
  row.targets[T_IN_FLIGHT] = 3;
  row.state[S_STATE] = STATE_SERVING;
  row.state[S_PID] = 123;
  row.state[S_GENERATION] = 5;
  table.fold(0);
  table.fold(0);
  assert.equal(table.counter(C_REQUESTS), 9);
  assert.equal(table.counter(C_FAULTS + 20), 2);
  assert.equal(table.counter(C_CONNECTIONS_OPEN), 0);
  assert.equal(table.target(0, T_REQUESTS), 9);
  assert.equal(table.target(0, T_IN_FLIGHT), 0);
  assert.equal(row.state[S_STATE], STATE_EMPTY);
  assert.equal(row.state[S_PID], 0);
  assert.equal(row.state[S_GENERATION], 5);
});

test('tableBytes() refuses impossible numbers of workers', () => {
  for (const workers of [0, -1, 1.5, 10_000]) assert.throws(() => tableBytes(workers), /bounds/);
});

test('COUNTERS have help, and one kind for each name', () => {
  assert.ok(COUNTERS.length < COUNTER_PLACES);
  const kinds = new Map<string, string>();
  for (const row of COUNTERS) {
    assert.match(row.name, /^tollgate_[a-z_]+$/);
    assert.ok(row.help.endsWith('.'));
    assert.equal(kinds.get(row.name) ?? row.kind, row.kind);
    kinds.set(row.name, row.kind);
    if (row.name.endsWith('_total')) assert.equal(row.kind, 'counter');
  }
});
