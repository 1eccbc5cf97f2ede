import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { descriptorLimit, isClockKept, ResidentMemory } from './limits.ts';

test('descriptorLimit() is what the kernel says of this process', () => {
  const told = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  assert.equal(String(descriptorLimit()), told === 'unlimited' ? 'Infinity' : told);
});

test('ResidentMemory.bytes() is near what Node says, each time it is asked', () => {
  const resident = new ResidentMemory();
  for (let i = 0; i < 3; i++) {
    const ratio = resident.bytes() / process.memoryUsage.rss();
    assert.ok(ratio > 0.8 && ratio < 1.25, String(ratio));
  }
});

test('isClockKept() answers, or says that it may not ask', () => {
  assert.ok([true, false, null].includes(isClockKept()));
});
