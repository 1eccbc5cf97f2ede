import assert from 'node:assert/strict';
import { test } from 'node:test';
import { screen } from './watch-status.ts';

test('screen() cuts what has no room, and says so', () => {
  const lines = (text: string): string[] => text.replace('\x1b[H', '').replace('\x1b[J', '').replaceAll('\x1b[K', '').split('\r\n');
  assert.deepEqual(lines(screen('one\ntwo\n', 80, 24)), ['one', 'two', 'q ends']);
  assert.deepEqual(lines(screen('a\nb\nc\nd\ne\n', 80, 4)), ['a', 'b', 'and 3 lines more', 'q ends']);
  assert.deepEqual(lines(screen('abcdef\n', 3, 4)), ['abc', 'q e']);
  assert.equal(lines(screen('a\nb\n', 80, 1)).length, 1);
});
