import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, percentile, readH2loadLog, readWrk } from './statistics.ts';

test('median() takes the middle, or the mean of two', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test('percentile() takes the value that the share lies at or below', () => {
  const values = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.equal(percentile(values, 0.5), 50);
  assert.equal(percentile(values, 0.99), 99);
  assert.equal(percentile([7], 0.99), 7);
});

const REPORT = `Running 2s test @ https://127.0.0.1:8443/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  120.00us   9.00ms   90.00%
  105938 requests in 2.00s, 20.00MB read
Requests/sec:  52969.00
Transfer/sec:     10.00MB
`;

test('readWrk() reads a clean report, and refuses one with errors', () => {
  assert.deepEqual(readWrk(REPORT), { requests: 105_938, perSecond: 52_969 });
  assert.throws(() => readWrk(REPORT.replace('Requests/sec', '  Non-2xx or 3xx responses: 3\nRequests/sec')), /errors/);
  assert.throws(
    () => readWrk(REPORT.replace('Requests/sec', '  Socket errors: connect 0, read 5, write 0, timeout 0\nRequests/sec')),
    /errors/,
  );
  assert.throws(() => readWrk('nonsense'), /report/);
});

test('readH2loadLog() reads durations, and refuses a failed request', () => {
  assert.deepEqual(readH2loadLog('1700000000000000\t200\t150\n1700000000000200\t200\t90\n'), [150, 90]);
  assert.throws(() => readH2loadLog('1700000000000000\t502\t150\n'), /failed/);
});
