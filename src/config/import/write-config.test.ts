import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeConfig } from './write-config.ts';

test('writeConfig() writes over a file only when told to, and leaves nothing else behind', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-write-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'tollgate.yaml');
  await writeConfig(path, 'one', false);
  assert.equal(readFileSync(path, 'utf8'), 'one');
  await assert.rejects(writeConfig(path, 'two', false), /there is a file .* already; --force writes over it/);
  assert.equal(readFileSync(path, 'utf8'), 'one');
  await writeConfig(path, 'two', true);
  assert.equal(readFileSync(path, 'utf8'), 'two');
  await assert.rejects(writeConfig(join(directory, 'none/x'), 'x', true), /cannot be written \(ENOENT\)/);
  writeFileSync(join(directory, 'plain'), '');
  await assert.rejects(writeConfig(join(directory, 'plain/x'), 'x', false), /cannot be written \(ENOTDIR\)/);
  assert.deepEqual(readdirSync(directory).sort(), ['plain', 'tollgate.yaml']);
});
