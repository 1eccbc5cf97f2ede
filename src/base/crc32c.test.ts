import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

// RFC 3720, appendix B.4, and the check value of every catalogue of sums.
test('crc32c() gives the sums of RFC 3720', () => {
  const of = (bytes: Uint8Array): number => crc32c(bytes, 0, bytes.length);
  assert.equal(of(Buffer.from('123456789')), 0xe3069283);
  assert.equal(of(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(of(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(of(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(of(new Uint8Array(0)), 0);
});

test('crc32c() goes on with a sum', () => {
  const bytes = Buffer.from('123456789');
  assert.equal(crc32c(bytes, 4, 9, crc32c(bytes, 0, 4)), 0xe3069283);
});
