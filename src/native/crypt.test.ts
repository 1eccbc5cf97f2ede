import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crypt } from './crypt.ts';

function hashed(password: string | Buffer, setting: string): Promise<string | null> {
  return new Promise((resolve) => crypt(Buffer.from(password), setting, resolve));
}

// Openwall's wrapper.c of crypt_blowfish; Drepper's "Unix crypt using SHA-256 and SHA-512".
const VECTORS: readonly (readonly [string | Buffer, string])[] = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'],
  [Buffer.from([0xa3]), '$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq'],
  ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['Hello world!', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'],
];

test('crypt() agrees with published vectors', async () => {
  for (const [password, hash] of VECTORS) assert.equal(await hashed(password, hash), hash);
});

test('crypt() says null for a setting that libcrypt does not take', async () => {
  assert.equal(await hashed('x', '$nonsense$'), null);
  assert.equal(await hashed('x', '*0'), null);
});

test('crypt() takes no NUL, behind which C would not look', () => {
  assert.throws(() => crypt(Buffer.from('a\0b'), '$5$saltstring$', () => {}), RangeError);
});

test('crypt() leaves the loop free, and calls do not share memory', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const slow = '$2a$10$CCCCCCCCCCCCCCCCCCCCC.';
  const results = await Promise.all(['a', 'b', 'a', 'b', 'a', 'b'].map((password) => hashed(password, slow)));
  clearInterval(timer);
  assert.ok(turns > 2, `${turns} turns`);
  assert.equal(new Set(results).size, 2);
  assert.deepEqual(results.slice(0, 2), results.slice(2, 4));
});
