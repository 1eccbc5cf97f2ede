import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slices, type Work } from './slices.ts';

test('Slices does one work after the other, and lets the loop turn between', async () => {
  const told: boolean[] = [];
  const slices = new Slices((isBusy) => {
    told.push(isBusy);
  });
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  let turns = 0;
  const turn = setInterval(() => turns++, 0);
  function* work(name: string, steps: number, end: () => void): Work {
    for (let i = 0; i < steps; i++) {
      const untilMs = performance.now() + 3;
      while (performance.now() < untilMs);
      yield;
    }
    seen.push(`${name} after ${turns > 0 ? 'turns' : 'none'}`);
    end();
  }
  slices.add(work('first', 20, () => slices.add(work('third', 0, resolve))));
  slices.add(work('second', 0, () => {}));
  assert.deepEqual(seen, []);
  await promise;
  clearInterval(turn);
  assert.deepEqual(seen, ['first after turns', 'second after turns', 'third after turns']);
  await new Promise((again) => setImmediate(again));
  assert.deepEqual([told.filter((isBusy) => isBusy).length > 10, told.at(-1)], [true, false], 'it says whether work is left');
});

test('Slices begins at once, and again when it was idle', () => {
  const slices = new Slices(() => {});
  let done = 0;
  function* work(): Work {
    done++;
    yield;
  }
  slices.add(work());
  slices.add(work());
  assert.equal(done, 2);
});
