import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockWatch } from './clock-watch.ts';
import { TicketKeys } from './ticket-keys.ts';

test('ClockWatch tells a jump from the passing of time, and from slow correction', () => {
  const watch = new ClockWatch(1_000_000, 0);
  assert.equal(watch.jumped(1_001_000, 1_000), 0);
  assert.equal(watch.jumped(1_060_500, 60_000), 0, 'half a second in a minute');
  assert.equal(watch.jumped(1_120_500 - 86_400_000, 120_000), -86_400_000);
  assert.equal(watch.jumped(1_121_500 - 86_400_000, 121_000), 0);
  assert.equal(watch.jumped(1_122_500, 122_000), 86_400_000);
});

test('TicketKeys.clockSet() begins with a key that is in use at once, wherever the clock went; the old ones stay for when it comes back', () => {
  const now = 1_000_000;
  const ring = new TicketKeys(now);
  const before = ring.all.keys.length;
  ring.clockSet(now - 365 * 86_400);
  ring.clockSet(now + 365 * 86_400);
  const { keys } = ring.all;
  assert.equal(keys.length, before + 2);
  assert.ok(keys[0]!.fromS < now + 365 * 86_400);
  assert.ok(keys[1]!.fromS < now - 365 * 86_400);
});
