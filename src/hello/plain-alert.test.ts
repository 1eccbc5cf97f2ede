import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULTS } from '../base/faults.ts';
import { plainAlert } from './plain-alert.ts';

test('plainAlert() is a fatal alert in one record, made once', () => {
  assert.deepEqual([...plainAlert(112)], [21, 3, 3, 0, 2, 2, 112]);
  assert.equal(plainAlert(112), plainAlert(112));
  assert.deepEqual([...plainAlert(70)], [21, 3, 3, 0, 2, 2, 70]);
});

test('plainAlert() has an alert for every fault that names one', () => {
  for (const row of FAULTS) if (row.alert !== 0) assert.equal(plainAlert(row.alert)[6], row.alert);
});

test('plainAlert() refuses what is no description of a fatal alert', () => {
  for (const description of [0, -1, 256, 1.5, Number.NaN]) assert.throws(() => plainAlert(description), { name: 'AssertionFault' });
});
