import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEW_PASSWORD_SCHEMES, parsePasswordHash } from '../base/password-hash.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { crypt } from '../native/crypt.ts';
import { makePasswordHash, passwordLine, passwordProblem } from './make-password.ts';
import { parsePasswordFile } from './password-file.ts';

const PASSWORD = Buffer.from('correct horse £');

test('makePasswordHash() makes hashes that are taken without a warning, each with its own salt', async () => {
  for (const scheme of NEW_PASSWORD_SCHEMES) {
    const hash = parsePasswordHash(await makePasswordHash(PASSWORD, scheme));
    assert.ok(typeof hash !== 'string', scheme);
    assert.equal(hash.scheme, scheme);
    assert.equal(hash.warning, undefined);
    assert.notEqual(await makePasswordHash(PASSWORD, scheme), hash.text);
  }
});

test('makePasswordHash() makes what libcrypt verifies', async () => {
  for (const scheme of ['bcrypt', 'yescrypt'] as const) {
    const hash = await makePasswordHash(PASSWORD, scheme);
    assert.equal(await new Promise((resolve) => crypt(PASSWORD, hash, resolve)), hash);
  }
});

test('passwordLine() makes what parsePasswordFile() reads', async () => {
  const line = passwordLine('alice', await makePasswordHash(PASSWORD));
  assert.equal(parsePasswordFile(Buffer.from(line), 'users').users[0]![0], 'alice');
});

test('passwordProblem() names what could not be used', async () => {
  assert.equal(passwordProblem(PASSWORD, 'bcrypt'), null);
  assert.match(passwordProblem(Buffer.alloc(0), 'scrypt') ?? '', /empty/);
  assert.match(passwordProblem(Buffer.alloc(73, 'x'), 'bcrypt') ?? '', /longer than 72 bytes.*yescrypt or scrypt/);
  assert.equal(passwordProblem(Buffer.alloc(73, 'x'), 'yescrypt'), null);
  assert.match(passwordProblem(Buffer.alloc(257, 'x'), 'scrypt') ?? '', /longer than 256 bytes/);
  assert.match(passwordProblem(Buffer.from('a\nb'), 'scrypt') ?? '', /control characters/);
  assert.match(passwordProblem(Buffer.from([0xff]), 'scrypt') ?? '', /not UTF-8/);
  await assert.rejects(makePasswordHash(Buffer.alloc(0)), (error) => error instanceof TollgateError && error.code === 'password_unusable');
});

test('passwordLine() refuses names that would not be read back', () => {
  assert.equal(passwordLine('bób m', 'x'), 'bób m:x\n');
  for (const name of ['', 'a:b', 'a\n', ' a', '#a', 'u'.repeat(256)]) assert.throws(() => passwordLine(name, 'x'), TollgateError);
});
