import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePasswordHash } from '../base/password-hash.ts';
import { checkPassword, passwordSupport } from './check-password.ts';

const SCRYPT_TAG =
  '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';

// In this order: htpasswd -B; Openwall's crypt_blowfish; openssl passwd -5 and -6; libxcrypt; RFC 7914, section 12; the reference
// implementation of Argon2.
const KNOWN: readonly (readonly [password: string, hash: string])[] = [
  ['correct horse', '$2y$10$VJ0sky8jUEjrhnSM3f/dx.sMx4a4nPBHiPB4TZFznBYvnwsMFFpD2'],
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['Hello world!', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'],
  ['correct horse', '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79'],
  ['pleaseletmein', `$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$${Buffer.from(SCRYPT_TAG, 'hex').toString('base64').replaceAll('=', '')}`],
  ['password', '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'],
];

function check(text: string, password: string | Buffer): Promise<boolean | null> {
  const hash = parsePasswordHash(text);
  assert.ok(typeof hash !== 'string', String(hash));
  return new Promise((resolve) => checkPassword(hash, Buffer.from(password), resolve));
}

test('checkPassword() accepts the right password of every scheme, and no other', async () => {
  for (const [password, hash] of KNOWN) {
    assert.equal(await check(hash, password), true, hash);
    assert.equal(await check(hash, `${password}!`), false, hash);
    assert.equal(await check(hash, ''), false, hash);
  }
});

// libcrypt would see "U*U".
test('checkPassword() does not stop at a NUL', async () => {
  assert.equal(await check(KNOWN[1]![1], 'U*U\0x'), false);
});

test('checkPassword() answers later, never from within the call', async () => {
  for (const [password, hash] of [...KNOWN, ['a\0', KNOWN[0]![1]] as const]) {
    let inside = true;
    const answered = check(hash, password).then(() => assert.equal(inside, false));
    inside = false;
    await answered;
  }
});

test('checkPassword() says null when libcrypt does not take the setting', async () => {
  const hash = { scheme: 'bcrypt', text: `$2y$99$${'x'.repeat(53)}` } as const;
  assert.equal(await new Promise((resolve) => checkPassword(hash, Buffer.from('x'), resolve)), null);
});

test('passwordSupport() finds what the schemes need', () => {
  for (const [, text] of KNOWN) {
    const hash = parsePasswordHash(text);
    assert.ok(typeof hash !== 'string');
    assert.equal(passwordSupport(hash), null);
  }
});
