import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readBoundedFile } from './bounded-file.ts';

test('readBoundedFile() reads up to its bound, and not a byte more', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-file-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'file');
  writeFileSync(path, 'x'.repeat(100), { mode: 0o640 });
  const { bytes, mode } = await readBoundedFile(path, 100);
  assert.equal(bytes.toString(), 'x'.repeat(100));
  assert.equal(mode, 0o640);
  await assert.rejects(readBoundedFile(path, 99), { code: 'file_unreadable', message: `${path} is larger than 99 bytes` });
});

test('readBoundedFile() reads what has no size beforehand', async () => {
  const { bytes } = await readBoundedFile('/proc/self/status', 65_536);
  assert.match(bytes.toString(), /^Name:/);
  await assert.rejects(readBoundedFile('/dev/zero', 200_000), { message: '/dev/zero is larger than 200000 bytes' });
});

test('readBoundedFile() keeps the reason as its cause', async () => {
  await assert.rejects(readBoundedFile('/nowhere/file', 10), (error: Error) => (error.cause as NodeJS.ErrnoException).code === 'ENOENT');
});
