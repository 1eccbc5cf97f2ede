import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LINES_MAX, longFiles } from './lengths.ts';

test('longFiles() names a file one line over the bound, wherever sources lie, and none at it', () => {
  const root = mkdtempSync(join(tmpdir(), 'tollgate-lengths-'));
  try {
    for (const folder of ['src/proxy', 'test', 'scripts', 'bench', 'docs']) mkdirSync(join(root, folder), { recursive: true });
    for (const folder of ['src/proxy', 'test', 'docs']) writeFileSync(join(root, folder, 'long.ts'), 'x;\n'.repeat(LINES_MAX + 1));
    for (const folder of ['scripts', 'bench']) writeFileSync(join(root, folder, 'full.ts'), 'x;\n'.repeat(LINES_MAX));
    assert.deepEqual(longFiles(root), [
      { file: 'src/proxy/long.ts', lines: LINES_MAX + 1 },
      { file: 'test/long.ts', lines: LINES_MAX + 1 },
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
