import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { durationText, parseDuration, parseShare, parseSize, sizeText } from './units.ts';

test('parseDuration() reads numbers with their units', () => {
  const right: readonly (readonly [string, number])[] = [
    ['500ms', 500],
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['0.1s', 100],
    ['1h', 3_600_000],
    ['1d12h', 129_600_000],
    ['0s', 0],
  ];
  for (const [text, ms] of right) assert.equal(parseDuration(text), ms, text);
});

test('parseDuration() refuses everything else', () => {
  for (const text of [
    '',
    '30',
    's',
    '30 s',
    '30S',
    '30sec',
    '-1s',
    '1s1m',
    '1s1s',
    '0.5ms',
    '1e3s',
    '.5s',
    '1m30',
    `${'9'.repeat(30)}d`,
    ' 1s',
  ]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test('parseSize() reads numbers with their units, and nothing else', () => {
  assert.equal(parseSize('512B'), 512);
  assert.equal(parseSize('64KiB'), 65_536);
  assert.equal(parseSize('1.5MiB'), 1_572_864);
  for (const text of ['', '64', '64K', '64KB', '64 KiB', '-1B', '0.5B', '64kib', `${'9'.repeat(30)}B`])
    assert.equal(parseSize(text), undefined, text);
});

test('durationText() and sizeText() are read back as they were', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 86_400_000_000 }), (ms) => parseDuration(durationText(ms)) === ms));
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (bytes) => parseSize(sizeText(bytes)) === bytes));
});

test('parseShare() reads percentages and fractions above nothing and up to all', () => {
  assert.equal(parseShare('12.5%'), 0.125);
  assert.equal(parseShare('1/100'), 0.01);
  assert.equal(parseShare('100%'), 1);
  for (const text of ['', '10', '0%', '0/1', '101%', '2/1', '1/0', '-1%', '1 %', '1/-1', '.5%'])
    assert.equal(parseShare(text), undefined, text);
});
