import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { SealedMemory, UnsealedMemory } from './sealed-memory.ts';
import { createSharedMemory } from './shared-memory.ts';

/** Bytes of this process's mappings of sealed memory. */
function mapped(): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('tollgate-sealed'))
    .reduce((sum, line) => {
      const [from, to] = line
        .split(' ')[0]!
        .split('-')
        .map((text) => Number.parseInt(text, 16));
      return sum + to! - from!;
    }, 0);
}

test('SealedMemory shows what was written before the seal, and nobody can write to it or change its size', () => {
  const unsealed = new UnsealedMemory(1_048_576);
  new Uint32Array(unsealed.memory).set([1, 2, 3]);
  const fd = unsealed.seal(8_192);
  try {
    assert.equal(mapped(), 0, 'the mapping that could write is gone');
    assert.throws(() => writeSync(fd, 'x', 0), { code: 'EPERM' });
    assert.throws(() => ftruncateSync(fd, 16_384), { code: 'EPERM' });
    assert.throws(() => ftruncateSync(fd, 0), { code: 'EPERM' });
    const sealed = new SealedMemory(fd);
    assert.equal(sealed.bytes, 8_192);
    assert.deepEqual([...new Uint32Array(sealed.memory, 0, 4)], [1, 2, 3, 0]);
    sealed.release();
    sealed.release();
    assert.equal(mapped(), 0);
  } finally {
    closeSync(fd);
  }
});

test('SealedMemory refuses memory that is not sealed', () => {
  const { fd } = createSharedMemory(4_096);
  assert.throws(() => new SealedMemory(fd), /not sealed/);
  closeSync(fd);
});

test('UnsealedMemory that is not wanted after all leaves nothing behind', () => {
  const unsealed = new UnsealedMemory(4_096);
  unsealed.discard();
  unsealed.discard();
  assert.equal(mapped(), 0);
});

test('SealedMemory may be mapped and given back many times', () => {
  const unsealed = new UnsealedMemory(4_096);
  new Uint8Array(unsealed.memory).fill(7);
  const fd = unsealed.seal(4_096);
  for (let i = 0; i < 2_000; i++) {
    const sealed = new SealedMemory(fd);
    assert.equal(new Uint8Array(sealed.memory)[i % 4_096], 7);
    sealed.release();
  }
  closeSync(fd);
  assert.equal(mapped(), 0);
});
