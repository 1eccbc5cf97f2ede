import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  C_CONNECTIONS_OPEN,
  C_CPU_S,
  C_FAULTS,
  C_REQUESTS,
  COUNTER_PLACES,
  COUNTERS,
  groupPlace,
  H_DURATION,
  HISTOGRAMS,
  observe,
  R_1XX,
  ROUTE_PLACES,
  suitePlace,
  T_IN_FLIGHT,
  T_REQUESTS,
  TARGET_BOUNDS_S,
  TARGET_HISTOGRAMS_PLACES,
  TARGET_PLACES,
  TH_CONNECT,
  TH_DURATION,
  TH_FIRST_BYTE,
} from './counters.ts';
import { ROUTE_NONE, S_GENERATION, S_PID, S_STATE, SharedTable, STATE_EMPTY, STATE_SERVING, tableBytes } from './table.ts';

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
  table.worker(0).routes.fill(4);
  table.worker(0).histograms.fill(5);
  assert.ok(table.worker(1).counters.every((value) => value === 0));
  assert.ok(table.worker(1).state.every((value) => value === 0));
  assert.ok(table.rows[0]!.targets.every((value) => value === 0));
  for (const places of [table.worker(1).routes, table.worker(1).histograms]) assert.ok(places.every((value) => value === 0));
  const { counters, targets, routes, histograms } = table.worker(0);
  [counters, targets, routes, histograms].forEach((places, i) => {
    assert.ok(places.every((value) => value === [1, 2, 4, 5][i]));
  });
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
  row.counters[C_CPU_S] = 8;
  observe(row.counters, H_DURATION.at, H_DURATION.bounds, 0.7);
  row.routes[ROUTE_NONE * ROUTE_PLACES + R_1XX + 3] = 6;
  row.targets[T_REQUESTS] = 9;
  observe(row.histograms, TH_DURATION, TARGET_BOUNDS_S, 0.003);
  row.targets[T_IN_FLIGHT] = 3;
  row.state[S_STATE] = STATE_SERVING;
  row.state[S_PID] = 123;
  row.state[S_GENERATION] = 5;
  table.fold(0);
  table.fold(0);
  assert.equal(table.counter(C_REQUESTS), 9);
  assert.equal(table.counter(C_FAULTS + 20), 2);
  assert.equal(table.counter(C_CONNECTIONS_OPEN), 0);
  assert.equal(table.counter(C_CPU_S), 0, 'of a process that is gone');
  assert.equal(table.counter(H_DURATION.at + 10), 1);
  assert.equal(table.counter(H_DURATION.at + 16), 0.7);
  assert.equal(table.route(ROUTE_NONE, R_1XX + 3), 6);
  assert.equal(table.targetHistogram(0, TH_DURATION + 2, 1)[0]!, 1);
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

test('SharedTable.restartTarget() and restartRoute() forget what others counted, and nothing that is counted later', () => {
  const table = SharedTable.create(new ArrayBuffer(tableBytes(2)), 2);
  const count = (worker: number): void => {
    const row = table.worker(worker);
    row.targets[3 * TARGET_PLACES + T_REQUESTS]!++;
    row.targets[3 * TARGET_PLACES + T_IN_FLIGHT]!++;
    observe(row.histograms, 3 * TARGET_HISTOGRAMS_PLACES + TH_CONNECT, TARGET_BOUNDS_S, 0.02);
    row.routes[7 * ROUTE_PLACES + R_1XX + 1]!++;
  };
  for (const worker of [0, 0, 1]) count(worker);
  table.fold(1);
  table.restartTarget(3);
  table.restartRoute(7);
  const seen = (): number[] => [
    table.target(3, T_REQUESTS),
    table.targetHistogram(3, TH_CONNECT + 4, 1)[0]!,
    table.targetHistogram(3, TH_FIRST_BYTE, 1)[0]!,
    table.route(7, R_1XX + 1),
  ];
  assert.deepEqual(seen(), [0, 0, 0, 0]);
  assert.equal(table.target(3, T_IN_FLIGHT), 2, 'what is under way is');
  count(0);
  count(1);
  assert.deepEqual(seen(), [2, 2, 0, 2]);
  table.fold(0);
  table.fold(1);
  assert.deepEqual(seen(), [2, 2, 0, 2]);
});

test('observe() counts a value in the first bucket whose bound it does not exceed, and adds it up', () => {
  const places = new Float64Array(6);
  for (const value of [0.1, 1, 1.5, 2, 99]) observe(places, 1, [1, 2], value);
  assert.deepEqual([...places], [0, 2, 2, 1, 103.6, 0]);
});

test('suitePlace() and groupPlace() have one place for what is not known', () => {
  assert.equal(COUNTERS[suitePlace(0x1301)]!.labels!.suite, 'TLS_AES_128_GCM_SHA256');
  assert.equal(COUNTERS[suitePlace(0xfafa)]!.labels!.suite, 'other');
  assert.equal(COUNTERS[groupPlace(0x11ec)]!.labels!.group, 'X25519MLKEM768');
  assert.equal(COUNTERS[groupPlace(0)]!.labels!.group, 'none');
  assert.equal(COUNTERS[groupPlace(0xfafa)]!.labels!.group, 'other');
});

test('HISTOGRAMS lie side by side, with rising bounds', () => {
  let { at } = HISTOGRAMS[0]!;
  for (const row of HISTOGRAMS) {
    assert.equal(row.at, at);
    at += row.bounds.length + 2;
    assert.ok(row.bounds.every((bound, i) => i === 0 || bound > row.bounds[i - 1]!));
  }
  assert.equal(at, COUNTER_PLACES);
});
