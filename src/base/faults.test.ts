import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as faults from './faults.ts';

test('FAULTS has exactly one row for every FAULT_ constant', () => {
  const constants = Object.entries(faults).filter(([name]) => name.startsWith('FAULT_') && name !== 'FAULT_CODES');
  assert.ok(constants.length > 50);
  for (const [name, code] of constants) {
    assert.equal(faults.FAULTS.filter((row) => row.code === code).length, 1, name);
    assert.equal(faults.faultOf(code as number).code, code);
  }
  assert.equal(faults.FAULTS.length, constants.length);
});

test('FAULTS names every reason once, in snake_case', () => {
  const reasons = faults.FAULTS.map((row) => row.reason);
  assert.equal(new Set(reasons).size, reasons.length);
  for (const reason of reasons) assert.match(reason, /^[a-z0-9]+(_[a-z0-9]+)*$/);
});

test('FAULTS stays inside FAULT_CODES', () => {
  for (const row of faults.FAULTS) assert.ok(row.code < 0 && -row.code < faults.FAULT_CODES);
});

test('faultOf() refuses a number that is no fault', () => {
  assert.throws(() => faults.faultOf(0), RangeError);
  assert.throws(() => faults.faultOf(-179), RangeError);
});
