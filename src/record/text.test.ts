import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClockText, TIME_BYTES } from './clock-text.ts';
import { RequestIds } from './request-ids.ts';
import { writeDecimal, writeHex32, writeHexEscaped, writeJsonBytes, writePadded } from './text.ts';

const bytes = Buffer.alloc(8_192);

test('writeDecimal() writes what String() does', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(bytes.latin1Slice(5, writeDecimal(bytes, 5, value)), String(value));
    }),
  );
});

test('writePadded() and writeHex32() keep their width', () => {
  assert.equal(bytes.latin1Slice(0, writePadded(bytes, 0, 7, 3)), '007');
  writeHex32(bytes, 0, 0xdead_beef);
  assert.equal(bytes.latin1Slice(0, 8), 'deadbeef');
});

test('writeJsonBytes() writes any bytes so that JSON reads them back, as far as there is room', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(2_000), (source, room) => {
      bytes[0] = 0x22;
      const end = writeJsonBytes(bytes, 1, source, 0, source.length, room);
      assert.ok(end <= 1 + room);
      bytes[end] = 0x22;
      const text = Buffer.from(source).toString('latin1');
      const read = JSON.parse(bytes.toString('utf8', 0, end + 1)) as string;
      assert.ok(text.startsWith(read));
      if (room >= 6 * source.length) assert.equal(read, text);
    }),
  );
});

test('writeHexEscaped() writes any bytes as ASCII without quotes, as far as there is room', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(1_500), (source, room) => {
      const end = writeHexEscaped(bytes, 7, source, 0, source.length, room);
      assert.ok(end <= 7 + room);
      const written = bytes.latin1Slice(7, end);
      assert.match(written, /^[ -~]*$/);
      const read = written.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      assert.ok(Buffer.from(source).toString('latin1').startsWith(read));
      if (room >= 4 * source.length) assert.equal(read.length, source.length);
    }),
  );
});

test('ClockText writes RFC 3339 for any order of times', () => {
  const clock = new ClockText();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4_102_444_799_999 }), { minLength: 1, maxLength: 5 }), (times) => {
      for (const time of times) {
        assert.equal(clock.write(bytes, 3, time + 0.25), 3 + TIME_BYTES);
        assert.equal(bytes.latin1Slice(3, 3 + TIME_BYTES), new Date(time).toISOString());
      }
    }),
  );
});

test('RequestIds are 32 hexadecimal digits, each once', () => {
  const ids = new RequestIds();
  const seen = new Set<string>();
  const out = new Uint8Array(32);
  for (let i = 0; i < 10_000; i++) {
    ids.next(out);
    seen.add(Buffer.from(out).toString('latin1'));
  }
  assert.equal(seen.size, 10_000);
  for (const id of seen) assert.match(id, /^[0-9a-f]{32}$/);
});
