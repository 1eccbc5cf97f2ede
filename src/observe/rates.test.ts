import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateMeter } from './rates.ts';

test('RateMeter gives what happened in a second, over the last ten', () => {
  const meter = new RateMeter();
  const counts = (requests: number) => ({ requests, handshakes: 0, handshakeFailures: 0, answers5xx: 0, bytesIn: 0, bytesOut: 0 });
  assert.equal(meter.rates().requests, 0);
  meter.add(counts(100), 1_000);
  assert.equal(meter.rates().requests, 0);
  meter.add(counts(150), 2_000);
  assert.equal(meter.rates().requests, 50);
  for (let s = 3; s <= 30; s++) meter.add(counts(150 + 10 * (s - 2)), s * 1_000);
  assert.equal(meter.rates().requests, 10);
  meter.add(counts(0), 31_000);
  assert.equal(meter.rates().requests, 0, 'counts that fell are those of another table');
});
