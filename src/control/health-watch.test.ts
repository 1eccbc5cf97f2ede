import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HealthSample, HealthWatch } from './health-watch.ts';

const NONE: HealthSample = { handshakes: 0, handshakeFailures: 0, answers: 0, answers5xx: 0 };

function after(from: HealthSample, more: Partial<HealthSample>): HealthSample {
  const sum = (name: keyof HealthSample): number => from[name] + (more[name] ?? 0);
  return {
    handshakes: sum('handshakes'),
    handshakeFailures: sum('handshakeFailures'),
    answers: sum('answers'),
    answers5xx: sum('answers5xx'),
  };
}

test('HealthWatch tells when 5xx or failed handshakes are clearly more than before, and not sooner', () => {
  const watch = new HealthWatch();
  assert.equal(watch.worse(NONE), null, 'no change was made');
  watch.add(NONE);
  // One in a hundred fails as usual.
  const usual = after(NONE, { handshakes: 990, handshakeFailures: 10, answers: 1_000, answers5xx: 10 });
  watch.begin(usual);
  assert.equal(watch.worse(usual), null);
  assert.equal(watch.worse(after(usual, { answers: 10, answers5xx: 10 })), null, 'too few to tell');
  assert.equal(watch.worse(after(usual, { answers: 100, answers5xx: 5 })), null, 'more, not clearly');
  assert.equal(watch.worse(after(usual, { answers: 100, answers5xx: 7 })), '7.0 % of answers are 5xx, 1.0 % were before');
  assert.equal(watch.worse(after(usual, { handshakes: 50, handshakeFailures: 50 })), '50.0 % of handshakes fail, 1.0 % did before');
  assert.equal(watch.worse(after(usual, { handshakes: 5, handshakeFailures: 5 })), null);
});

test('HealthWatch compares with the last minute, not with all there ever was', () => {
  const watch = new HealthWatch();
  let now = NONE;
  for (let i = 0; i < 100; i++) {
    watch.add(now);
    now = after(now, { answers: 10, answers5xx: i < 40 ? 0 : 5 });
  }
  watch.begin(now);
  assert.equal(watch.worse(after(now, { answers: 100, answers5xx: 60 })), null);
  assert.match(String(watch.worse(after(now, { answers: 100, answers5xx: 100 }))), /100\.0 % of answers are 5xx, 50\.0 %/);
});
