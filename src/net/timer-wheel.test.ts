import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TICK_MS, TimerWheel } from './timer-wheel.ts';
import { Watched } from './watched.ts';

class Entry extends Watched {
  fired: number[] = [];
  now = 0;
  onFire: (() => void) | null = null;
  override onEvents(): void {}
  override onReady(): void {}
  override onDeadline(): void {
    this.fired.push(this.now);
    this.onFire?.();
  }
}

test('TimerWheel fires late by at most a tick, never early, in any order of set, move and clear', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ entry: fc.nat(7), at: fc.integer({ min: 1, max: 200_000 }), clear: fc.boolean() }), { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 60 }),
      (actions, steps) => {
        const wheel = new TimerWheel(0);
        const entries = Array.from({ length: 8 }, () => new Entry());
        const due = new Map<Entry, number>();
        let now = 0;
        let next = 0;
        for (const step of steps) {
          const action = actions[next++];
          if (action !== undefined) {
            const entry = entries[action.entry]!;
            if (action.clear) {
              wheel.clear(entry);
              due.delete(entry);
            } else {
              wheel.set(entry, now + action.at);
              due.set(entry, now + action.at);
            }
          }
          now += step;
          for (const entry of entries) {
            entry.now = now;
            entry.fired = [];
          }
          wheel.advance(now);
          for (const entry of entries) {
            const at = due.get(entry);
            const mustFire = at !== undefined && at + TICK_MS <= now;
            const mayFire = at !== undefined && at <= now;
            assert.ok(entry.fired.length <= 1);
            if (mustFire) assert.equal(entry.fired.length, 1, `due at ${at}, now ${now}`);
            if (!mayFire) assert.equal(entry.fired.length, 0, `due at ${at}, now ${now}`);
            if (entry.fired.length === 1) due.delete(entry);
          }
        }
      },
    ),
  );
});

test('TimerWheel lets a deadline clear, move or set others that wait in the same slot', () => {
  const wheel = new TimerWheel(0);
  const [a, b, c] = [new Entry(), new Entry(), new Entry()];
  for (const entry of [a, b, c]) wheel.set(entry, 50);
  // The list is last in, first out: c fires first.
  c.onFire = () => {
    wheel.clear(b);
    wheel.set(a, 10_000);
    wheel.set(c, 260);
  };
  wheel.advance(200);
  assert.deepEqual([a.fired.length, b.fired.length, c.fired.length], [0, 0, 1]);
  c.onFire = null;
  wheel.advance(400);
  assert.deepEqual([a.fired.length, b.fired.length, c.fired.length], [0, 0, 2]);
  wheel.advance(10_200);
  assert.deepEqual([a.fired.length, b.fired.length, c.fired.length], [1, 0, 2]);
});

test('TimerWheel catches up after a long halt without losing a deadline', () => {
  const wheel = new TimerWheel(0);
  const entries = Array.from({ length: 500 }, () => new Entry());
  entries.forEach((entry, i) => {
    wheel.set(entry, 1_000 * (i + 1));
  });
  wheel.advance(100_000_000);
  assert.ok(entries.every((entry) => entry.fired.length === 1));
});
