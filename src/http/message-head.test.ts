import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_COOKIE, FIELD_HOST, FIELD_REFERER, FIELD_UNKNOWN } from './field-names.ts';
import { FIELD_STRIDE, findField, MessageHead } from './message-head.ts';
import { requestWith } from './test-heads.ts';

test('findField() gives the first field of a name, or -1', () => {
  const { head } = requestWith(['Host: a', 'x: 1', 'Cookie: 1', 'cookie: 2']);
  assert.equal(findField(head, FIELD_HOST), 0);
  assert.equal(findField(head, FIELD_COOKIE), 2);
  assert.equal(findField(head, FIELD_REFERER), -1);
  assert.equal(findField(head, FIELD_UNKNOWN), -1);
});

test('MessageHead holds as many fields as it is made for', () => {
  const head = new MessageHead(3);
  assert.equal(head.fields.length, 3 * FIELD_STRIDE);
  assert.equal(head.dropped.length, 3);
});
