import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { asciiBytes, copyBytes, writeBytes, writeDecimal, writeText } from './write-bytes.ts';

test('writeDecimal() writes what String() would', () => {
  const buf = Buffer.alloc(32);
  fc.assert(
    fc.property(
      fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 9, 10, 99, 100, 2 ** 32, 999_999_999_999_999, 1_000_000_000_000_000, 2 ** 53 - 1)),
      (value) => {
        const end = writeDecimal(buf, 3, value);
        assert.equal(buf.toString('latin1', 3, end), String(value));
      },
    ),
  );
});

test('copyBytes() moves short and long runs alike, backwards over themselves too', () => {
  for (const length of [0, 1, 5, 28, 29, 200]) {
    const bytes = Array.from({ length }, (_, i) => i + 1);
    const buf = Uint8Array.from([0, 0, ...bytes, 99]);
    assert.equal(copyBytes(buf, 1, 2, 2 + length), 1 + length);
    assert.deepEqual(Array.from(buf.subarray(1, 1 + length)), bytes);
    assert.equal(buf[2 + length], 99);
  }
});

test('writeBytes() and writeText() write all of it and tell where it ends', () => {
  for (const text of ['', 'short', 'x'.repeat(29)]) {
    const buf = Buffer.alloc(40, '.');
    assert.equal(writeBytes(buf, 2, asciiBytes(text)), 2 + text.length);
    assert.equal(buf.toString('latin1', 0, 3 + text.length), `..${text}.`);
    buf.fill('.');
    assert.equal(writeText(buf, 2, text), 2 + text.length);
    assert.equal(buf.toString('latin1', 0, 3 + text.length), `..${text}.`);
  }
});
