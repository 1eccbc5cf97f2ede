import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldEdits } from './field-edits.ts';
import { V_ROUTE } from './template.ts';
import { requestWith } from './test-heads.ts';

const values = {
  writeVariable: (_variable: number, buf: Uint8Array, at: number): number => {
    buf.set(Buffer.from('R1'), at);
    return at + 2;
  },
};
const edits = new FieldEdits({
  remove: ['server'],
  set: [{ name: 'X-Route', value: ['<', V_ROUTE, '>'] }],
  add: [{ name: 'Via', value: ['1.1 tollgate'] }],
});

test('fields that are removed or set go, whatever their case; others stay', () => {
  const { head, buf } = requestWith(['SERVER: a', 'x-route: forged', 'X-Route: forged', 'X-Routes: b', 'Via: 1.0 x']);
  edits.mark(buf, head);
  assert.equal([...head.dropped.subarray(1, head.fieldCount)].join(''), '11100');
});

test('new lines are written whole, or not at all', () => {
  const buf = Buffer.alloc(200);
  const text = 'X-Route: <R1>\r\nVia: 1.1 tollgate\r\n';
  assert.equal(buf.latin1Slice(0, edits.write(buf, 0, 200, values)), text);
  for (let end = 0; end < text.length; end++) assert.equal(edits.write(buf, 0, end, values), -1, String(end));
});
