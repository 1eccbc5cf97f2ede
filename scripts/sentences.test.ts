import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentencesOf } from './sentences.ts';

test('sentencesOf() finds what has words, between any quotes, and its line', () => {
  const source = [
    "const a = 'two words'; // not 'this one'",
    '/* nor "that one" */ const b = "don\'t stop";',
    "const c = `begins ${x ? `is within ${y} of it` : { z: 'in braces too' }.z} and ends here`;",
    "const d = /it's a 'pattern [/'] of sorts'/.test('more than one') / 2;",
    "about('what it is', choice(['one word', 'one']));",
    "const e = 'word', f = 'a/b', g = 'it\\'s here';",
  ].join('\n');
  assert.deepEqual(
    sentencesOf(source, ['about']).map(({ line, text }) => `${line} ${text}`),
    [
      '1 two words',
      "2 don't stop",
      '3 is within ',
      '3  of it',
      '3 in braces too',
      '3  and ends here',
      '4 more than one',
      '5 one word',
      "6 it's here",
    ],
  );
});
