import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nearest, shown } from './wording.ts';

const NAMES = ['certificate', 'key', 'policy', 'fastOpen', 'least-connections'];

test('nearest() finds what was meant', () => {
  const meant: readonly (readonly [string, string | undefined])[] = [
    ['polcy', 'policy'],
    ['ploicy', 'policy'],
    ['fast_open', 'fastOpen'],
    ['FASTOPEN', 'fastOpen'],
    ['cert', 'certificate'],
    ['least_conections', 'least-connections'],
    ['kee', 'key'],
    ['x', undefined],
    ['colour', undefined],
    ['', undefined],
    ['x'.repeat(10_000), undefined],
  ];
  for (const [found, name] of meant) assert.equal(nearest(found, NAMES), name, found);
});

test('shown() stays on one short line, whatever it is given', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const text = shown(value);
      return text.length <= 80 && !/[\r\n]/.test(text);
    }),
  );
  assert.equal(shown('-----BEGIN PRIVATE KEY-----'), 'the text of a PEM file');
});
