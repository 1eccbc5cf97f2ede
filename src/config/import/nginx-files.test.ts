import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readNginxFiles } from './nginx-files.ts';
import { Notes, noteText } from './notes.ts';

function lay(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-nginx-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

async function read(directory: string, file: string, text: string) {
  const notes = new Notes();
  const { directives, prefix } = await readNginxFiles(join(directory, file), text, notes);
  const flat = (list: typeof directives): string[] => list.flatMap(({ name, block }) => [name, ...flat(block ?? [])]);
  return { names: flat(directives), prefix, notes: notes.list.map(noteText).map((each) => each.replaceAll(directory, '')), directives };
}

test('readNginxFiles() follows include, with wildcards in order, from the directory of the file', async (t) => {
  const directory = lay(t, {
    'sites/b.conf': 'b;',
    'sites/a.conf': 'a; include ../nothing/here*; include more/c;',
    'sites/.hidden.conf': 'h;',
    'more/c': 'c;',
    'd1/x': 'd1;',
    'd2/x': 'd2;',
  });
  const found = await read(
    directory,
    'nginx.conf',
    `http { include sites/*.conf; } include ${directory}/more/?; include d[12]/x; include mime.types; last;`,
  );
  assert.deepEqual(found.names, ['http', 'a', 'c', 'b', 'c', 'd1', 'd2', 'last']);
  assert.deepEqual(found.notes, []);
  assert.equal(found.prefix, directory);
  assert.equal(found.directives[0]?.block?.[0]?.file, join(directory, 'sites/a.conf'));
});

test('readNginxFiles() starts above a folder of sites, as nginx does', async (t) => {
  const directory = lay(t, { 'snippets/s.conf': 's;' });
  const found = await read(directory, 'sites-available/site', 'include snippets/s.conf;');
  assert.deepEqual([found.names, found.prefix], [['s'], directory]);
});

test('readNginxFiles() goes on behind loops, missing files and folders, and says so', async (t) => {
  const directory = lay(t, { a: 'a; include b;', b: 'b; include a;', 'folder/x': '' });
  symlinkSync('loop', join(directory, 'loop'));
  const found = await read(
    directory,
    'nginx.conf',
    'include nginx.conf; include a; include none; include folder; include loop; include; end;',
  );
  assert.deepEqual(found.names, ['a', 'b', 'end']);
  assert.equal(found.notes.length, 6);
  assert.match(found.notes.join('\n'), /^\/nginx\.conf:1: 'include nginx\.conf': not translated: \/nginx\.conf includes itself$/m);
  assert.match(found.notes.join('\n'), /^\/b:1: 'include a': not translated: \/a includes itself$/m);
  assert.match(found.notes.join('\n'), /there is no file \/none$/m);
  assert.match(found.notes.join('\n'), /\/folder is a directory, not a file$/m);
  assert.match(found.notes.join('\n'), /\/loop is a loop of symbolic links$/m);
});

test('readNginxFiles() bounds how deep and how many files are read', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`deep${i}`, `d${i}; include deep${i + 1};`]));
  const directory = lay(t, { ...files, many: 'm;' });
  const deep = await read(directory, 'nginx.conf', 'include deep0;');
  assert.equal(deep.names.length, 15);
  assert.match(deep.notes.join('\n'), /files include each other more than 16 deep/);
  const many = await read(directory, 'nginx.conf', 'include many;'.repeat(1_010));
  assert.equal(many.names.length, 1_000);
  assert.match(many.notes.join('\n'), /more than 1000 files/);
  // Each includes the next twice: a file doubles with every step.
  const doubling = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`x${i}`, `include x${i + 1}; include x${i + 1};`]));
  const bomb = lay(t, { ...doubling, x14: 'end;' });
  assert.match((await read(bomb, 'nginx.conf', 'include x0;')).notes.join('\n'), /more than 1000 files/);
});

test('readNginxFiles() throws for an included file that is no text of nginx', async (t) => {
  const directory = lay(t, { open: 'a {', binary: 'a\0b' });
  await assert.rejects(read(directory, 'nginx.conf', 'include open;'), /open:1: the block that begins here has no end/);
  await assert.rejects(read(directory, 'nginx.conf', 'include binary;'), /binary:1: a control character \(U\+0000\); is it a text file\?/);
});
