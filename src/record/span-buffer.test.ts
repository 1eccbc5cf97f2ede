import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SPANS_PENDING_MAX } from '../base/limits.ts';
import { C_SPANS, C_SPANS_DROPPED_WORKER, COUNTER_PLACES } from '../plan/counters.ts';
import { writeFrame } from '../plan/frame.ts';
import {
  SPAN_AUTHORITY_MAX,
  SPAN_NAME_MAX,
  SPAN_PATH_MAX,
  SPAN_TARGET_MAX,
  SPANS_PER_FRAME,
  type SpanRecord,
  spanCount,
} from '../plan/span-record.ts';
import { SpanBuffer } from './span-buffer.ts';

/** What a worker may say in one frame (control/control-server.ts). */
const CONTROL_FRAME_BYTES_MAX = 65_536;

function record(path: string, forwarded = true): SpanRecord {
  const time = 1_799_999_999_999.1235;
  return {
    trace: 'a'.repeat(32),
    span: 'b'.repeat(16),
    parent: 'c'.repeat(16),
    startMs: time,
    endMs: time,
    listener: 'l',
    route: 'r',
    method: 'GET',
    scheme: 'https',
    authority: 'a',
    path,
    minor: 1,
    status: 200,
    client: '::1',
    peer: '::1',
    tls: '1.3',
    bytes: 1,
    fault: 0,
    upstream: forwarded
      ? {
          span: 'd'.repeat(16),
          target: 't',
          reused: false,
          resends: 0,
          startMs: time,
          connectedMs: time,
          firstByteMs: time,
          endMs: time,
          status: 200,
        }
      : null,
  };
}

test('SpanBuffer hands on every record once and in order, and keeps what is not taken', () => {
  const buffer = new SpanBuffer(new Float64Array(COUNTER_PLACES));
  const paths = Array.from({ length: 3 * SPANS_PER_FRAME + 5 }, (_, i) => `/${i}`);
  for (const path of paths) buffer.add(record(path));
  const got: string[] = [];
  let room = 2;
  const take = (records: readonly SpanRecord[]): boolean => {
    if (room-- <= 0) return false;
    assert.ok(records.length <= SPANS_PER_FRAME);
    got.push(...records.map(({ path }) => path));
    return true;
  };
  buffer.flush(take);
  assert.equal(buffer.length, paths.length - 2 * SPANS_PER_FRAME);
  room = 100;
  buffer.flush(take);
  assert.deepEqual(got, paths);
  assert.equal(buffer.length, 0);
  buffer.flush(() => assert.fail('there is nothing to take'));
});

test('SpanBuffer is bounded, and counts what it drops in spans', () => {
  const counters = new Float64Array(COUNTER_PLACES);
  const buffer = new SpanBuffer(counters);
  for (let i = 0; i < SPANS_PENDING_MAX; i++) buffer.add(record('/'));
  buffer.add(record('/'));
  buffer.add(record('/', false));
  assert.equal(buffer.length, SPANS_PENDING_MAX);
  assert.equal(counters[C_SPANS], 2 * SPANS_PENDING_MAX + 3);
  assert.equal(counters[C_SPANS_DROPPED_WORKER], 3);
  buffer.drop();
  assert.equal(counters[C_SPANS_DROPPED_WORKER], counters[C_SPANS]);
  assert.equal(buffer.length, 0);
  assert.equal(spanCount([record('/'), record('/', false)]), 3);
});

test('the largest records of a frame stay below what the supervisor takes', () => {
  const quotes = (length: number): string => '"'.repeat(length);
  const { upstream, ...rest } = record(quotes(SPAN_PATH_MAX));
  const largest: SpanRecord = {
    ...rest,
    authority: quotes(SPAN_AUTHORITY_MAX),
    route: quotes(SPAN_NAME_MAX),
    listener: quotes(SPAN_NAME_MAX),
    method: quotes(32),
    client: quotes(45),
    peer: quotes(45),
    bytes: Number.MAX_SAFE_INTEGER,
    fault: -179,
    upstream: { ...upstream!, target: quotes(SPAN_TARGET_MAX), resends: 2 },
  };
  const frame = writeFrame({ type: 'spans', spans: new Array(SPANS_PER_FRAME).fill(largest) });
  assert.ok(frame.length < CONTROL_FRAME_BYTES_MAX, `${frame.length} bytes`);
});
