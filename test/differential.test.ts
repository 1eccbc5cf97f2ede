/** The codec beside llhttp: the same bytes to both, and every difference explained. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TestRandom } from '../src/base/test-random.ts';
import { difference, EXPLAINED, page } from './differential/compare.ts';
import { makeInput } from './differential/generator.ts';
import { llhttp } from './differential/llhttp.ts';
import { ours } from './differential/ours.ts';
import { LONG } from './support/tollgate.ts';

const INPUTS = LONG ? 2_000_000 : 40_000;

test(`${INPUTS} inputs mean the same to Tollgate and to llhttp, or the difference is explained`, () => {
  const first = LONG ? Math.floor(Math.random() * 2 ** 31) : 1;
  const found = new Map<string, number>();
  let accepted = 0;
  for (let seed = first; seed < first + INPUTS; seed++) {
    const isRequest = seed % 2 === 0;
    const bytes = makeInput(new TestRandom(seed), isRequest);
    const own = ours(bytes, isRequest);
    accepted += own.messages.length;
    const name = difference(own, llhttp(bytes, isRequest), bytes.toString('latin1'));
    if (name === null) continue;
    assert.ok(!name.startsWith('unexplained'), `seed ${seed}: ${JSON.stringify(bytes.toString('latin1'))}\n${name}`);
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  // A generator that makes nothing but rubbish would find no difference.
  assert.ok(accepted > INPUTS / 5, `${accepted} messages were accepted`);
  assert.ok(found.size >= 12, `differences of ${found.size} kinds`);
});

test('a difference that nobody has explained would be seen', () => {
  const bytes = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const own = ours(bytes, true);
  const [message] = own.messages;
  assert.match(difference({ ...own, messages: [{ ...message!, target: '/other' }] }, llhttp(bytes, true), '') ?? '', /^unexplained/);
  assert.match(difference({ ...own, messages: [], end: 'whole' }, llhttp(bytes, true), '') ?? '', /^unexplained/);
  assert.equal(difference(own, llhttp(bytes, true), ''), null);
});

test('the page of differences is the one of this code', () => {
  assert.equal(readFileSync(new URL('../docs/http-differences.md', import.meta.url), 'utf8'), page());
  assert.equal(new Set(EXPLAINED.map(({ name }) => name)).size, EXPLAINED.length);
});
