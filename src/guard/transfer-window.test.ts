import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransferWindow } from './transfer-window.ts';

const SILENCE = 60_000;
const WINDOW = 30_000;

test('a side that moves enough in each window goes on for ever; one that does not is slow', () => {
  const enough = new TransferWindow();
  enough.reset(0);
  enough.wait(0);
  for (let ms = 1_000; ms < 600_000; ms += 1_000) {
    enough.moved(64, ms);
    assert.equal(enough.isSlow(ms, 64, WINDOW), false, String(ms));
  }
  const slow = new TransferWindow();
  slow.reset(0);
  slow.wait(0);
  let ended = 0;
  for (let ms = 1_000; ended === 0; ms += 1_000) {
    slow.moved(63, ms);
    if (slow.isSlow(ms, 64, WINDOW)) ended = ms;
  }
  assert.equal(ended, WINDOW);
});

test('a fast beginning buys one window, no more', () => {
  const window = new TransferWindow();
  window.reset(0);
  window.wait(0);
  window.moved(1e9, 1);
  assert.equal(window.isSlow(WINDOW, 64, WINDOW), false);
  assert.equal(window.isSlow(2 * WINDOW, 64, WINDOW), true);
});

test('time in which nobody waited for it does not count', () => {
  const window = new TransferWindow();
  window.reset(0);
  window.wait(0);
  window.pause(1_000);
  assert.equal(window.isSlow(500_000, 64, WINDOW), false);
  window.wait(500_000);
  assert.equal(window.leftMs(500_000, SILENCE, WINDOW), 29_000);
  assert.equal(window.isSlow(528_999, 64, WINDOW), false);
  assert.equal(window.isSlow(529_000, 64, WINDOW), true);
});

test('silence is told from slowness', () => {
  const window = new TransferWindow();
  window.reset(0);
  window.wait(0);
  window.moved(1, 10_000);
  assert.equal(window.leftMs(10_000, 5_000, WINDOW), 5_000);
  assert.equal(window.isSilent(14_999, 5_000), false);
  assert.equal(window.isSilent(15_000, 5_000), true);
  assert.equal(window.isSlow(60_000, 0, WINDOW), false, 'any rate will do');
});
