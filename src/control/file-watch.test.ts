import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileWatch } from './file-watch.ts';

test('FileWatch tells of files that are written, replaced, relinked, removed and made', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-watch-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string): string => join(directory, name);
  let told = 0;
  const watch = new FileWatch(() => told++);
  t.after(() => watch.close());
  for (const name of ['a', 'b', 'other']) writeFileSync(at(name), name);
  symlinkSync('a', at('link'));
  const all = [at('a'), at('b'), at('link'), at('missing')];
  await sleep(20);
  await watch.watch(all, Date.now());
  const tells = async (change: () => void): Promise<void> => {
    const before = told;
    change();
    for (let i = 0; i < 400 && told === before; i++) await sleep(50);
    assert.equal(told, before + 1);
  };
  await tells(() => {
    writeFileSync(at('a'), 'changed');
    writeFileSync(at('b'), 'changed too');
  });
  await tells(() => {
    writeFileSync(at('new'), 'b');
    renameSync(at('new'), at('b'));
  });
  await tells(() => {
    symlinkSync('other', at('link2'));
    renameSync(at('link2'), at('link'));
  });
  await tells(() => writeFileSync(at('missing'), 'here'));
  await tells(() => rmSync(at('a')));
  // What changed between the reading and the first look is not missed.
  await sleep(20);
  const readAtMs = Date.now();
  await sleep(20);
  await tells(() => {
    writeFileSync(at('b'), 'late');
    void watch.watch(all, readAtMs);
  });
});
