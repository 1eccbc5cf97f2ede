import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TollgateError } from '../base/tollgate-error.ts';
import { PASSWORD_FILE_BYTES_MAX, PasswordFileError, parsePasswordFile, readPasswordFile, USERS_MAX } from './password-file.ts';

const BCRYPT = '$2y$10$VJ0sky8jUEjrhnSM3f/dx.sMx4a4nPBHiPB4TZFznBYvnwsMFFpD2';
const WEAK = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
const directory = mkdtempSync(join(tmpdir(), 'tollgate-passwords-'));
after(() => rmSync(directory, { recursive: true }));

const parse = (text: string) => parsePasswordFile(Buffer.from(text), 'users');

function problemsOf(text: string | Uint8Array): readonly string[] {
  try {
    parsePasswordFile(Buffer.from(text as string), 'users');
  } catch (error) {
    assert.ok(error instanceof PasswordFileError, String(error));
    return error.problems;
  }
  assert.fail('it was accepted');
}

test('parsePasswordFile() reads users, comments, empty lines, remarks, and lines of Windows', () => {
  const { users, warnings } = parse(`# staff\n\nalice:${BCRYPT}\r\nbób m:${BCRYPT}:since 2024\n  \nlast:${BCRYPT}`);
  assert.deepEqual(users, [
    ['alice', BCRYPT],
    ['bób m', BCRYPT],
    ['last', BCRYPT],
  ]);
  assert.deepEqual(warnings, []);
});

test('parsePasswordFile() says each problem with its line, and never quotes a hash', () => {
  const problems = problemsOf(
    [
      `alice:${BCRYPT}`,
      'bob:hunter2',
      'nobody',
      `:${BCRYPT}`,
      'carol:$apr1$TLlVqzVK$SVcK2gdVz/DaGcgZePtVb1',
      `alice:${BCRYPT}`,
      `d :${BCRYPT}`,
    ].join('\n'),
  );
  assert.deepEqual(
    problems.map((problem) => problem.slice(0, problem.indexOf(' '))),
    ['users:2:', 'users:3:', 'users:4:', 'users:5:', 'users:6:', 'users:7:'],
  );
  assert.match(problems[0]!, /user 'bob': a password in plain text/);
  assert.match(problems[1]!, /no ':' between/);
  assert.match(problems[2]!, /no user/);
  assert.match(problems[3]!, /user 'carol': apr1 .* too weak.*tollgate password/);
  assert.match(problems[4]!, /'alice' stands in line 1 already/);
  assert.match(problems[5]!, /begins or ends with a space/);
  assert.doesNotMatch(problems.join(), /hunter2|SVcK2|VJ0sky/);
});

test('parsePasswordFile() warns of weak costs with user and line', () => {
  assert.deepEqual(
    parse(`x:${BCRYPT}\nold:${WEAK}\n`).warnings.map((text) => text.slice(0, 20)),
    ["users:2: user 'old':"],
  );
});

test('parsePasswordFile() refuses what is empty, not UTF-8, or beyond its bounds', () => {
  assert.match(problemsOf('# nobody\n')[0]!, /no users/);
  assert.match(problemsOf(Buffer.from([0x61, 0xff, 0x3a]))[0]!, /not UTF-8/);
  assert.match(problemsOf(`${'u'.repeat(256)}:${BCRYPT}`)[0]!, /longer than 255 bytes/);
  assert.match(problemsOf(`a\x01:${BCRYPT}`)[0]!, /control characters/);
  assert.equal(parse(Array.from({ length: USERS_MAX }, (_, i) => `${i}:${BCRYPT}`).join('\n')).users.length, USERS_MAX);
  assert.match(problemsOf(Array.from({ length: USERS_MAX + 1 }, (_, i) => `${i}:${BCRYPT}`).join('\n'))[0]!, /more than 10000 users/);
  const many = problemsOf('x\n'.repeat(100));
  assert.equal(many.length, 21);
  assert.match(many.at(-1)!, /lines after 20 were not looked at/);
});

test('readPasswordFile() reads a file, warns when all may read it, and refuses what is too large or missing', async () => {
  const path = join(directory, 'users');
  writeFileSync(path, `alice:${BCRYPT}\n`, { mode: 0o640 });
  assert.deepEqual(await readPasswordFile(path), { users: [['alice', BCRYPT]], warnings: [] });
  chmodSync(path, 0o644);
  assert.match((await readPasswordFile(path)).warnings[0]!, /every user of this machine may read .*chmod 640/);
  writeFileSync(path, Buffer.alloc(PASSWORD_FILE_BYTES_MAX + 1, '#'));
  await assert.rejects(readPasswordFile(path), (error) => error instanceof TollgateError && error.code === 'file_unreadable');
  await assert.rejects(readPasswordFile(join(directory, 'none')), /there is no file/);
});
