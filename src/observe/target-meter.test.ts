import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observe, T_REQUESTS, TARGET_BOUNDS_S, TARGET_HISTOGRAMS_PLACES, TARGET_PLACES, TH_FIRST_BYTE } from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import { quantile, TargetMeter } from './target-meter.ts';

const PLAN = { upstreams: [{ targets: [{ slot: 0 }, { slot: 3 }] }] } as unknown as Plan;

function bench(): { table: SharedTable; meter: TargetMeter; answer: (slot: number, seconds: number) => void } {
  const table = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1);
  const answer = (slot: number, seconds: number): void => {
    table.worker(0).targets[slot * TARGET_PLACES + T_REQUESTS]!++;
    observe(table.worker(0).histograms, slot * TARGET_HISTOGRAMS_PLACES + TH_FIRST_BYTE, TARGET_BOUNDS_S, seconds);
  };
  return { table, meter: new TargetMeter(), answer };
}

test('TargetMeter.firstByte() is that of the last minute, up to now', () => {
  const { table, meter, answer } = bench();
  assert.equal(meter.firstByte(table, 0), null);
  for (let i = 0; i < 100; i++) answer(0, 2);
  assert.equal(meter.firstByte(table, 0)!.meanMs, 2_000, 'before the first look everything is of now');
  for (let atMs = 0; atMs <= 120_000; atMs += 1_000) meter.look(PLAN, table, atMs);
  assert.equal(meter.firstByte(table, 0), null, 'what was a minute ago is not of now');
  answer(0, 0.004);
  answer(3, 4);
  const { answers, meanMs, p99Ms } = meter.firstByte(table, 0)!;
  assert.deepEqual([answers, meanMs.toFixed(6), p99Ms.toFixed(3)], [1, '4.000000', '4.975']);
  assert.equal(meter.firstByte(table, 3)!.meanMs, 4_000);
});

test('TargetMeter.firstByte() begins anew where somebody new sits in a place', () => {
  const { table, meter, answer } = bench();
  for (let i = 0; i < 10; i++) answer(3, 8);
  meter.look(PLAN, table, 0);
  table.restartTarget(3);
  assert.equal(meter.firstByte(table, 3), null);
  answer(3, 0.5);
  const { answers, meanMs } = meter.firstByte(table, 3)!;
  assert.equal(answers, 1);
  assert.ok(Math.abs(meanMs - 500) < 1e-6);
});

test('quantile() is even within a bucket, and no more than the last bound', () => {
  assert.equal(quantile([1, 2], [0, 0, 0], 0.5), 2);
  assert.equal(quantile([1, 2], [10, 0, 0], 0.5), 0.5);
  assert.equal(quantile([1, 2], [10, 10, 0], 0.75), 1.5);
  assert.equal(quantile([1, 2], [1, 0, 99], 0.99), 2);
});
