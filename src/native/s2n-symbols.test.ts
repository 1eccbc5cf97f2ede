import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readElfExports } from './elf.ts';
import { S2N_SYMBOLS } from './s2n-symbols.ts';

const root = dirname(createRequire(import.meta.url).resolve('aws-crt/package.json'));

for (const machine of ['x64', 'arm64'] as const) {
  for (const libc of ['glibc', 'musl']) {
    test(`S2N_SYMBOLS are all exported by aws-crt for linux-${machine}-${libc}`, () => {
      const elf = readElfExports(readFileSync(join(root, 'dist', 'bin', `linux-${machine}-${libc}`, 'aws-crt-nodejs.node')));
      assert.equal(elf.machine, machine);
      const missing = Object.keys(S2N_SYMBOLS).filter((name) => !elf.functions.has(name));
      assert.deepEqual(missing, []);
      // The reader does tell an absent symbol from a present one.
      assert.ok(!elf.functions.has('s2n_no_such_function'));
    });
  }
}

test('S2N_SYMBOLS gives each function a prototype of its own name, without structs or Buffers', () => {
  const value = '(?:int|bool|intptr_t|uint8_t|uint16_t|uint32_t|uint64_t|const char\\*)';
  for (const [name, prototype] of Object.entries(S2N_SYMBOLS)) {
    assert.match(prototype, new RegExp(`^${value} ${name}\\((?:${value}(?:, ${value})*)?\\)$`));
  }
});
