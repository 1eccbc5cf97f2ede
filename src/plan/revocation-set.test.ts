import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { TestRandom } from '../base/test-random.ts';
import { RevocationSet, RevocationSetBuilder, revocationSetBytesMax } from './revocation-set.ts';

function setOf(serials: readonly Uint8Array[]): RevocationSet {
  const memory = new ArrayBuffer(revocationSetBytesMax(serials.length));
  const builder = new RevocationSetBuilder(memory, serials.length);
  for (const serial of serials) builder.add(serial, 0, serial.length);
  return new RevocationSet(memory.slice(0, builder.finish()));
}

test('RevocationSet knows serials of every length, and no others', (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = new TestRandom(seed);
  for (const most of [1, 3, 4, 5, 8, 16, 20]) {
    const known = new Map<string, Buffer>();
    for (let i = 0; i < 3_000; i++) {
      const serial = Buffer.from(Array.from({ length: 1 + random.below(most) }, () => random.below(256)));
      serial[0] = 1 + random.below(255);
      known.set(serial.toString('hex'), serial);
    }
    const list = [...known.values()];
    const [inside, outside] = [list.slice(0, list.length >> 1), list.slice(list.length >> 1)];
    const set = setOf(inside);
    assert.equal(set.entries, inside.length);
    for (const serial of inside) assert.ok(set.has(serial), serial.toString('hex'));
    for (const serial of outside) assert.ok(!set.has(serial), serial.toString('hex'));
  }
});

test('RevocationSet of nothing has nothing', () => {
  const set = setOf([]);
  assert.equal(set.entries, 0);
  assert.ok(!set.has(Buffer.from([1])));
  assert.ok(!set.has(Buffer.alloc(20, 1)));
});

test('RevocationSet keeps a serial that is listed twice, and passes over one that no certificate can have', () => {
  const twice = Buffer.from('0102030405', 'hex');
  const set = setOf([twice, twice, Buffer.alloc(21, 1), Buffer.alloc(20, 2)]);
  assert.equal(set.entries, 3);
  assert.ok(set.has(twice) && set.has(Buffer.alloc(20, 2)));
  assert.ok(!set.has(Buffer.alloc(21, 1)));
});

test('RevocationSet refuses memory that holds no set, or half of one', () => {
  assert.throws(() => new RevocationSet(new ArrayBuffer(4_096)), /not a revocation set/);
  const memory = new ArrayBuffer(revocationSetBytesMax(100));
  const builder = new RevocationSetBuilder(memory, 100);
  for (let i = 1; i <= 100; i++) builder.add(Uint8Array.of(i), 0, 1);
  const bytes = builder.finish();
  assert.throws(() => new RevocationSet(memory.slice(0, bytes - 8)), /cut short/);
});

test('RevocationSet of a million serials stays within 40 MB, in the making too', () => {
  const entries = 1_000_000;
  assert.ok(revocationSetBytesMax(entries) < 40e6);
  const memory = new ArrayBuffer(revocationSetBytesMax(entries));
  const builder = new RevocationSetBuilder(memory, entries);
  const random = new TestRandom(7);
  const serial = Buffer.alloc(20);
  const some: Buffer[] = [];
  for (let i = 0; i < entries; i++) {
    for (let k = 0; k < 20; k += 4) serial.writeUInt32BE(random.below(2 ** 32) >>> 0, k);
    serial[0] = 0x5a;
    builder.add(serial, 0, 20);
    if (i % 1_000 === 0) some.push(Buffer.from(serial));
  }
  const set = new RevocationSet(memory.slice(0, builder.finish()));
  assert.equal(set.entries, entries);
  for (const each of some) assert.ok(set.has(each));
  for (const each of some) assert.ok(!set.has(Buffer.from(each).fill(0x77, 0, 1)));
});
