import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestartDelay, WELL_MS } from './restart-delay.ts';
import { TICKET_KEYS_MAX, TicketKeys } from './ticket-keys.ts';

test('TicketKeys begins with a key in use, hands new ones out ahead of time, and forgets the oldest', () => {
  const ring = new TicketKeys(1_000_000);
  const first = ring.all;
  assert.equal(first.keys.length, 1);
  assert.ok(first.keys[0]!.fromS < 1_000_000);
  assert.equal(first.secrets[0]!.length, 32);
  const firstSecret = first.secrets[0]!;
  ring.rotate(1_003_600);
  assert.equal(ring.all.keys.length, 2);
  assert.ok(ring.all.keys[0]!.fromS > 1_003_600, 'newest first, and not in use before every worker has it');
  for (let i = 0; i < 40; i++) ring.rotate(1_010_000 + i * 3_600);
  const { keys, secrets } = ring.all;
  assert.equal(keys.length, TICKET_KEYS_MAX);
  assert.equal(new Set(keys.map((key) => key.name)).size, TICKET_KEYS_MAX);
  assert.equal(new Set(secrets.map((secret) => Buffer.from(secret).toString('hex'))).size, TICKET_KEYS_MAX);
  for (const key of keys) assert.match(key.name, /^[0-9a-f]{32}$/);
  assert.ok(
    firstSecret.every((byte) => byte === 0),
    'a key that goes is zeroed',
  );
});

test('RestartDelay does not wait at first, then longer up to a bound, and forgets behind a long life', () => {
  const delay = new RestartDelay();
  const waits = Array.from({ length: 10 }, () => delay.afterDeath(10));
  assert.deepEqual(waits.slice(0, 5), [0, 200, 400, 800, 1_600]);
  assert.equal(waits.at(-1), 10_000);
  assert.equal(delay.afterDeath(WELL_MS), 0);
  assert.equal(delay.afterDeath(10), 200);
});
