import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequest } from './test-heads.ts';
import { TRACEPARENT_LINE_BYTES, takeTraceparent, writeTraceparent } from './trace-context.ts';

const SOUND = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ID = Buffer.from('00112233445566778899aabbccddeeff');

function carry(fields: string): { line: string; dropped: string } {
  const { buf: bytes, head } = readRequest(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  const buf = Buffer.alloc(4_096);
  bytes.copy(buf);
  const from = takeTraceparent(buf, head);
  const end = writeTraceparent(buf, 2_048, from, ID);
  assert.equal(end - 2_048, TRACEPARENT_LINE_BYTES);
  return { line: buf.latin1Slice(2_048, end), dropped: [...head.dropped.subarray(1, head.fieldCount)].join('') };
}

test('a sound traceparent is continued, and its tracestate kept', () => {
  assert.deepEqual(carry(`traceparent: ${SOUND}\r\ntracestate: a=b\r\n`), {
    line: 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-8899aabbccddeeff-01\r\n',
    dropped: '10',
  });
  assert.match(carry(`TraceParent: ${SOUND.slice(0, -2)}0b\r\n`).line, /-01\r\n$/, 'only "sampled" goes on');
  assert.match(carry(`traceparent: ${SOUND.slice(0, -2)}0a\r\n`).line, /-00\r\n$/);
  assert.match(carry(`traceparent: cc${SOUND.slice(2)}-what-comes-later\r\n`).line, /0af7651916cd43dd/, 'a later version');
});

test('without a sound one a trace begins, and the tracestate goes', () => {
  const begun = 'traceparent: 00-00112233445566778899aabbccddeeff-8899aabbccddeeff-00\r\n';
  for (const value of [
    `ff${SOUND.slice(2)}`,
    `${SOUND}-more`,
    SOUND.toUpperCase(),
    SOUND.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
    SOUND.replace('b7ad6b7169203331', '0'.repeat(16)),
    SOUND.slice(0, -1),
    '',
  ]) {
    assert.deepEqual(carry(`traceparent: ${value}\r\ntracestate: a=b\r\n`), { line: begun, dropped: '11' }, value);
  }
  assert.equal(carry('tracestate: a=b\r\n').line, begun);
  assert.deepEqual(carry(`traceparent: ${SOUND}\r\ntraceparent: ${SOUND}\r\n`), { line: begun, dropped: '11' });
});
