import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { History } from './history.ts';

function entry(id: number) {
  const author = { user: 'anna', by: 'reload' };
  return {
    id,
    appliedMs: 1_000 * id,
    author,
    file: '/etc/a.yaml',
    difference: [`line ${id}`],
    sources: [{ path: '/etc/a.yaml', text: `v${id}` }],
  };
}

test('History keeps what was applied, newest first, for this user alone, and not for ever', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-history-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const history = new History(directory, '/etc/a.yaml');
  assert.deepEqual([history.list(), history.last, history.find(1), history.trial], [[], 0, null, null]);
  for (let id = 1; id <= 105; id++) await history.add(entry(id));
  assert.equal(history.last, 105);
  assert.deepEqual(history.list()[0], entry(105));
  assert.equal(history.list().length, 100);
  assert.equal(history.find(5), null);
  assert.deepEqual(history.find(6), entry(6));
  assert.equal(statSync(history.directory).mode & 0o777, 0o700);
  for (const name of readdirSync(history.directory)) assert.equal(statSync(join(history.directory, name)).mode & 0o777, 0o600);
  assert.notEqual(new History(directory, '/srv/a.yaml').directory, history.directory);
  // Nonsense in its place is no entry.
  writeFileSync(join(history.directory, '00000104.json'), '{ "id": 104 ');
  writeFileSync(join(history.directory, '00000103.json'), '{ "id": 3, "file": "x", "sources": [], "difference": [] }');
  writeFileSync(join(history.directory, 'notes.txt'), 'mine');
  assert.deepEqual(
    history
      .list()
      .slice(0, 2)
      .map(({ id }) => id),
    [105, 102],
  );
  await history.begin({ id: 105, back: 102 });
  assert.deepEqual(history.trial, { id: 105, back: 102 });
  writeFileSync(join(history.directory, 'trial.json'), 'null');
  assert.equal(history.trial, null);
  history.endTrial();
  history.endTrial();
});
