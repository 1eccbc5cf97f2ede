import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HASH_CHARACTERS_MAX, parsePasswordHash } from './password-hash.ts';

const refusal = (text: string): string => {
  const hash = parsePasswordHash(text);
  assert.equal(typeof hash, 'string', text);
  return String(hash);
};

test('parsePasswordHash() knows the schemes that are taken', () => {
  const rows = [
    // htpasswd -nbB -C 10
    '$2y$10$VJ0sky8jUEjrhnSM3f/dx.sMx4a4nPBHiPB4TZFznBYvnwsMFFpD2 bcrypt',
    '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5 sha256-crypt',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1 sha512-crypt',
    '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79 yescrypt',
    '$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046w scrypt',
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc argon2id',
  ];
  for (const row of rows) {
    const [text, scheme] = row.split(' ') as [string, string];
    const hash = parsePasswordHash(text);
    assert.ok(typeof hash !== 'string', `${scheme}: ${String(hash)}`);
    assert.equal(hash.scheme, scheme);
    assert.equal(hash.text, text);
    assert.equal(hash.warning, undefined);
  }
});

test('parsePasswordHash() reads the parameters of PHC strings', () => {
  const argon2 = parsePasswordHash('$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc');
  assert.ok(typeof argon2 !== 'string' && argon2.scheme === 'argon2id');
  assert.deepEqual(
    [argon2.memoryKiB, argon2.passes, argon2.lanes, argon2.salt.toString(), argon2.tag.length],
    [65_536, 2, 1, 'somesalt', 32],
  );
  const scrypt = parsePasswordHash('$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046w');
  assert.ok(typeof scrypt !== 'string' && scrypt.scheme === 'scrypt');
  assert.deepEqual([scrypt.n, scrypt.r, scrypt.p, scrypt.salt.toString(), scrypt.tag.length], [16_384, 8, 1, 'SodiumChloride', 16]);
});

test('parsePasswordHash() warns of a low bcrypt cost', () => {
  const hash = parsePasswordHash('$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW');
  assert.ok(typeof hash !== 'string');
  assert.match(hash.warning ?? '', /cost is 5; 10 at least/);
});

// Made with htpasswd -m, -s, -d, -p and openssl passwd -1.
test('parsePasswordHash() refuses what is too weak by its name, says what to do, and quotes no password', () => {
  assert.match(refusal('$apr1$TLlVqzVK$SVcK2gdVz/DaGcgZePtVb1'), /apr1 .*too weak.*tollgate password/);
  assert.match(refusal('$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/'), /md5-crypt .*too weak.*tollgate password/);
  assert.match(refusal('{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM='), /\{SHA\} is too weak.*tollgate password/);
  assert.match(refusal('{SSHA}GpHWL3ymc5liWkNopqtdSjuqYHM='), /\{SSHA\} is too weak/);
  assert.match(refusal('f4xBjwl8TyEWo'), /plain text, or one of DES crypt/);
  assert.match(refusal('{PLAIN}hunter2'), /plain text/);
  assert.match(refusal('$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'), /faulty/);
  assert.match(refusal('$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'), /only argon2id/);
  assert.match(refusal('$sha1$1$a$b'), /scheme \$sha1\$ is not known/);
  assert.match(refusal(''), /no hash/);
  assert.match(refusal('!$6$x$y'), /locked/);
  for (const plain of ['hunter2', '{PLAIN}hunter2', '$hunter2', 'hunter2$2y$']) assert.doesNotMatch(refusal(plain), /hunter2/);
});

test('parsePasswordHash() refuses what is malformed, and what would take too long or too much memory', () => {
  const bcrypt = '$2y$10$VJ0sky8jUEjrhnSM3f/dx.sMx4a4nPBHiPB4TZFznBYvnwsMFFpD2';
  assert.match(refusal(bcrypt.slice(0, -1)), /cut short/);
  assert.match(refusal(`${bcrypt}x`), /malformed/);
  assert.match(refusal(bcrypt.replace('$10$', '$16$')), /cost is 16, and 15 at most/);
  assert.match(refusal(bcrypt.replace('$10$', '$03$')), /below 4/);
  const sha = 'svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1';
  assert.match(refusal(`$6$rounds=9999999$saltstring$${sha}`), /9999999 rounds/);
  assert.match(refusal(`$5$saltstring$${sha}`), /malformed/);
  // N = 2^17, r = 32: 512 MiB.
  assert.match(refusal('$y$jET$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79'), /yescrypt hash takes 512 MiB/);
  assert.match(refusal('$scrypt$ln=20,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046w'), /scrypt hash takes 1024 MiB/);
  assert.match(refusal('$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046x'), /malformed/);
  assert.match(refusal('$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'), /takes 1024 MiB/);
  assert.match(refusal('$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'), /version 19/);
  assert.match(refusal('$argon2id$v=19$m=65536,t=99,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'), /parameters/);
  assert.match(refusal('x'.repeat(HASH_CHARACTERS_MAX + 1)), /longer than/);
});
