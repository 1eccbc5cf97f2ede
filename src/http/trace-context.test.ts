import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequest } from './test-heads.ts';
import {
  CLIENT_SPAN,
  isSampled,
  NOT_SAMPLED,
  parentIdText,
  SAMPLED,
  SERVER_SPAN,
  spanIdText,
  TRACEPARENT_LINE_BYTES,
  takeTraceparent,
  traceIdText,
  traceNumber,
  writeTraceparent,
} from './trace-context.ts';

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

test('writeTraceparent() says what was decided, and names the span it is told', () => {
  const buf = Buffer.alloc(256);
  const line = (from: number, sampled: number, span: number): string =>
    buf.latin1Slice(128, writeTraceparent(buf, 128, from, ID, sampled, span));
  buf.latin1Write(SOUND, 0);
  assert.equal(line(0, NOT_SAMPLED, CLIENT_SPAN), 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-8899aabbccddeeff-00\r\n');
  assert.equal(line(0, SAMPLED, SERVER_SPAN), 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-44556677ccddeeff-01\r\n');
  assert.equal(line(-1, SAMPLED, CLIENT_SPAN), 'traceparent: 00-00112233445566778899aabbccddeeff-8899aabbccddeeff-01\r\n');
  assert.deepEqual([spanIdText(ID, CLIENT_SPAN), spanIdText(ID, SERVER_SPAN)], ['8899aabbccddeeff', '44556677ccddeeff']);
  assert.deepEqual([traceIdText(buf, 0, ID), parentIdText(buf, 0)], ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']);
  assert.deepEqual([traceIdText(buf, -1, ID), parentIdText(buf, -1)], ['00112233445566778899aabbccddeeff', '']);
  assert.equal(isSampled(buf, 0), true);
  buf.latin1Write('0', 54);
  assert.equal(isSampled(buf, 0), false);
});

test('traceNumber() is one number for one trace, and spreads ids that only count up', () => {
  const buf = Buffer.from(`00-${ID.toString('latin1')}-b7ad6b7169203331-01`, 'latin1');
  const other = Buffer.from('f'.repeat(32));
  assert.equal(traceNumber(buf, 0, other), traceNumber(buf, -1, ID));
  const below = [0.01, 0.25, 0.5, 0.9];
  const counts = below.map(() => 0);
  const total = 20_000;
  for (let i = 0; i < total; i++) {
    const id = Buffer.from(`00112233445566778899aabb${i.toString(16).padStart(8, '0')}`);
    const part = traceNumber(buf, -1, id) / 2 ** 32;
    assert.ok(part >= 0 && part < 1);
    below.forEach((share, at) => {
      if (part < share) counts[at]!++;
    });
  }
  below.forEach((share, at) => {
    const deviation = Math.sqrt(total * share * (1 - share));
    assert.ok(Math.abs(counts[at]! - total * share) < 5 * deviation, `${share}: ${counts[at]}`);
  });
});
