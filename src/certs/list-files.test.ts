import assert from 'node:assert/strict';
import { fstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestAuthority } from '../x509/test-authority.ts';
import { fileState, ListFiles } from './list-files.ts';
import { closeList } from './revocation-list.ts';

const authority = new TestAuthority();
const other = new TestAuthority('/CN=Other');
const directory = mkdtempSync(join(tmpdir(), 'tollgate-lists-'));
after(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'list.crl');

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

test('ListFiles reads a list once for who checks it and who uses it', async () => {
  const files = new ListFiles();
  writeFileSync(path, authority.list({ serials: [Buffer.of(1)] }));
  const facts = await files.check(path, [other.certificate, authority.certificate]);
  assert.equal(facts.entries, 1);
  assert.equal(await files.check(path, [authority.certificate]), facts, 'it is as it was');
  const list = await files.take(path, await fileState(path), [authority.certificate]);
  assert.equal(list.facts, facts);
  const again = await files.take(path, await fileState(path), [authority.certificate]);
  assert.notEqual(again.fd, list.fd, 'each has a descriptor of its own');
  assert.equal(await files.check(path, [authority.certificate]), facts);
  closeList(list);
  closeList(again);
});

test('ListFiles reads a list again when its file is another, and when it is asked for by others', async () => {
  const files = new ListFiles();
  writeFileSync(path, authority.list({ serials: [Buffer.of(1)] }));
  await files.check(path, [authority.certificate]);
  await assert.rejects(files.check(path, [other.certificate]), { code: 'crl_invalid' });
  await assert.rejects(files.take(path, await fileState(path), [other.certificate]), { code: 'crl_invalid' });
  writeFileSync(path, authority.list({ serials: [Buffer.of(1), Buffer.of(2)] }));
  const list = await files.take(path, await fileState(path), [authority.certificate]);
  assert.equal(list.facts.entries, 2);
  closeList(list);
  assert.equal((await files.check(path, [authority.certificate])).entries, 2);
  writeFileSync(path, 'no list');
  await assert.rejects(files.check(path, [authority.certificate]), { code: 'crl_invalid' });
  await assert.rejects(files.check(join(directory, 'none'), []), /the revocation list .*none cannot be used: there is no file/);
});

test('ListFiles gives up a list that nobody comes for', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const files = new ListFiles();
  writeFileSync(path, authority.list());
  const state = await fileState(path);
  await files.check(path, [authority.certificate]);
  t.mock.timers.tick(30_000);
  const list = await files.take(path, state, [authority.certificate]);
  assert.ok(isOpen(list.fd));
  closeList(list);
});
