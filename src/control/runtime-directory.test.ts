import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { controlSocketPath, defaultRuntimeDirectory, prepareRuntimeDirectory } from './runtime-directory.ts';

function temporary(t: { after(end: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-runtime-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('defaultRuntimeDirectory() is root’s, the session’s, or the user’s own', () => {
  assert.equal(defaultRuntimeDirectory({}, 0), '/run/tollgate');
  assert.equal(defaultRuntimeDirectory({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/tollgate');
  assert.equal(defaultRuntimeDirectory({ XDG_RUNTIME_DIR: 'relative' }, 7), join(tmpdir(), 'tollgate-7'));
});

test('prepareRuntimeDirectory() makes it for this user alone, and mends a mode that is too open', async (t) => {
  const directory = join(temporary(t), 'a', 'b');
  assert.equal(await prepareRuntimeDirectory(directory), controlSocketPath(directory));
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const open = join(temporary(t), 'open');
  mkdirSync(open, { mode: 0o777 });
  await prepareRuntimeDirectory(open);
  assert.equal(statSync(open).mode & 0o777, 0o700);
});

test('prepareRuntimeDirectory() removes a dead one’s socket, and leaves a living one alone', async (t) => {
  const directory = temporary(t);
  const socket = controlSocketPath(directory);
  writeFileSync(socket, '');
  await prepareRuntimeDirectory(directory);
  assert.throws(() => statSync(socket), /ENOENT/);
  const living = createServer().listen(socket);
  await new Promise((resolve) => living.once('listening', resolve));
  await assert.rejects(prepareRuntimeDirectory(directory), { code: 'runtime_taken' });
  assert.ok(statSync(socket).isSocket());
  await new Promise((resolve) => living.close(resolve));
});

test('prepareRuntimeDirectory() refuses what cannot be one, in one sentence', async (t) => {
  const directory = temporary(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(prepareRuntimeDirectory(file), { code: 'runtime_unusable' });
  await assert.rejects(prepareRuntimeDirectory(join(file, 'below')), { code: 'runtime_unusable' });
  await assert.rejects(prepareRuntimeDirectory(join(directory, 'x'.repeat(120))), { code: 'runtime_unusable', message: /too long/ });
});
