import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fuzz } from './client-hello.fuzz.ts';

const ITERATIONS = 10_000;

test('readClientHello() survives damaged hellos', (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`repeat: node src/hello/client-hello.fuzz.ts ${seed} ${ITERATIONS}`);
  fuzz(seed, ITERATIONS);
});
