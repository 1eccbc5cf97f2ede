import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Frame, FrameReader, writeFrame } from './frame.ts';

interface Message {
  readonly type: string;
}

/** What a reader gives for `bytes` cut at `cuts`. Blobs are copied: they are zeroed when the callback returns. */
function read(bytes: Buffer, cuts: readonly number[], reader = new FrameReader<Message>()): { message: Message; blobs: Buffer[] }[] {
  const frames: { message: Message; blobs: Buffer[] }[] = [];
  const keep = ({ message, blobs }: Frame<Message>): void => void frames.push({ message, blobs: blobs.map((blob) => Buffer.from(blob)) });
  let at = 0;
  for (const cut of [...cuts, bytes.length].map((each) => Math.min(each, bytes.length)).sort((a, b) => a - b)) {
    reader.push(bytes.subarray(at, cut), keep);
    at = cut;
  }
  return frames;
}

test('FrameReader gives back what writeFrame() wrote, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ type: fc.string(), blobs: fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 4 }) }), { maxLength: 5 }),
      fc.array(fc.nat(2_000), { maxLength: 20 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(({ type, blobs }) => writeFrame({ type }, blobs)));
        const got = read(bytes, cuts);
        assert.deepEqual(
          got,
          sent.map(({ type, blobs }) => ({ message: { type }, blobs: blobs.map((blob) => Buffer.from(blob)) })),
        );
      },
    ),
  );
});

test('FrameReader zeroes blobs when the receiver is done', () => {
  const reader = new FrameReader<Message>();
  let kept: readonly Buffer[] = [];
  reader.push(writeFrame({ type: 'plan' }, [Buffer.from('key bytes')]), ({ blobs }) => {
    assert.equal(String(blobs[0]), 'key bytes');
    kept = blobs;
  });
  assert.ok(kept[0]?.every((byte) => byte === 0));
});

test('FrameReader refuses frames that lie about themselves, and never takes more than its bound', () => {
  const valid = writeFrame({ type: 'x' }, [Buffer.from('abc')]);
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(valid);
    copy.writeUInt32LE(value, at);
    return copy;
  };
  assert.throws(() => read(changed(0, 0xffff_ffff), []), /impossible size/);
  assert.throws(() => read(changed(0, 3), []), /impossible size/);
  assert.throws(() => read(changed(4, 0x7fff_ffff), []), /longer than itself/);
  assert.throws(() => read(changed(4, 1), []), SyntaxError);
  assert.throws(() => read(changed(0, valid.length - 5), []));
  assert.throws(() => read(valid, [], new FrameReader<Message>(16)), /impossible size/);
  const noMessage = Buffer.from('{"blobs":[]}');
  const frame = Buffer.alloc(8 + noMessage.length);
  frame.writeUInt32LE(4 + noMessage.length, 0);
  frame.writeUInt32LE(noMessage.length, 4);
  noMessage.copy(frame, 8);
  assert.throws(() => read(frame, []), /without a message/);
});

test('FrameReader answers any bytes with frames or one error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 5 }), (bytes, cuts) => {
      try {
        read(Buffer.from(bytes), cuts, new FrameReader<Message>(1_000));
      } catch (error) {
        assert.ok(error instanceof RangeError || error instanceof SyntaxError || error instanceof TypeError);
      }
    }),
  );
});
