import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fuzzImport } from './import-config.fuzz.ts';

const ITERATIONS = 150;

test('importConfig() makes a valid configuration of whatever it can read, or says one thing', async (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`repeat: node src/config/import/import-config.fuzz.ts ${seed} ${ITERATIONS}`);
  assert.ok((await fuzzImport(seed, ITERATIONS)) > ITERATIONS / 4);
});
