import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BASIC_READ, BasicCredentials, readBasicCredentials } from '../http/basic-auth.ts';
import { type Asking, PasswordTable, PasswordVerifier, REFUSED_MAX, REFUSED_MS, VERIFIED_MS } from './passwords.ts';

// Passwords "alice's" (htpasswd -B -C 5) and "bob's" (openssl passwd -5).
const ALICE = '$2y$05$Z0mrwUyVV3bVi1eL4H18WOAfimDNHk/zKC3itbAc.r7UoBaj8PgD6';
const BOB = '$5$saltstring$6Zi2yAXvHy0qcCHTgGUfy8LBJ/.XIUXoCcwC8TEd6F7';
const TABLE = new PasswordTable([
  ['alice', ALICE],
  ['bób', BOB],
]);

let now = 1_000;
const shared = new BasicCredentials();

/** As the proxy has it: one set of credentials, used again for every request and cleared behind it. */
function ask(verifier: PasswordVerifier, user: string, password: string, done: (ok: boolean | null) => void, table = TABLE): Asking | null {
  const buf = Buffer.from(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  assert.equal(readBasicCredentials(buf, 0, buf.length, shared), BASIC_READ);
  const asking = verifier.verify(table, shared, done);
  shared.clear();
  return asking;
}

function answer(verifier: PasswordVerifier, user: string, password: string, table = TABLE): Promise<boolean | null> {
  return new Promise((resolve) => ask(verifier, user, password, resolve, table));
}

const verifierWith = (running?: number, waiting?: number) => new PasswordVerifier(() => now, running, waiting);

test('PasswordVerifier lets the users of the table pass, and nobody else', async () => {
  const verifier = verifierWith();
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
  assert.equal(await answer(verifier, 'bób', "bob's"), true);
  assert.equal(await answer(verifier, 'alice', "bob's"), false);
  assert.equal(await answer(verifier, 'alice', ''), false);
  assert.equal(await answer(verifier, 'bob', "bob's"), false);
  assert.deepEqual([verifier.verified, verifier.refused, verifier.failed, verifier.busy], [2, 3, 0, 0]);
});

test('PasswordVerifier does not let an unknown user pass with the password of the hash it is checked against', async () => {
  const verifier = verifierWith();
  const one = new PasswordTable([['alice', ALICE]]);
  assert.equal(await answer(verifier, 'mallory', "alice's", one), false);
  assert.equal(await answer(verifier, 'mallory', "alice's", one), false);
  assert.deepEqual([verifier.verified, verifier.refused, verifier.remembered], [0, 1, 1]);
});

test('PasswordVerifier spends a verification on unknown users as on known ones', async () => {
  const verifier = verifierWith();
  const later = ask(verifier, 'mallory', 'x', () => {});
  assert.ok(later !== null);
  assert.equal(verifier.running, 1);
  assert.equal(await answer(verifier, 'mallory', 'x'), false);
  assert.equal(verifier.refused, 1);
});

test('PasswordVerifier refuses everybody when the table is empty', () => {
  const seen: (boolean | null)[] = [];
  assert.equal(
    ask(verifierWith(), 'a', 'b', (ok) => seen.push(ok), new PasswordTable([])),
    null,
  );
  assert.deepEqual(seen, [false]);
});

test('PasswordVerifier remembers a verified credential for its time, and answers within the call', async () => {
  const verifier = verifierWith();
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
  const seen: (boolean | null)[] = [];
  now += VERIFIED_MS - 1;
  assert.equal(
    ask(verifier, 'alice', "alice's", (ok) => seen.push(ok)),
    null,
  );
  assert.deepEqual(seen, [true]);
  assert.equal(verifier.remembered, 1);
  now += 1;
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
  assert.equal(verifier.verified, 2);
});

test('PasswordVerifier remembers a wrong credential shortly, without letting it stand for the right one', async () => {
  const verifier = verifierWith();
  assert.equal(await answer(verifier, 'alice', 'wrong'), false);
  const seen: (boolean | null)[] = [];
  assert.equal(
    ask(verifier, 'alice', 'wrong', (ok) => seen.push(ok)),
    null,
  );
  assert.deepEqual(seen, [false]);
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
  now += REFUSED_MS;
  assert.equal(await answer(verifier, 'alice', 'wrong'), false);
  assert.equal(verifier.refused, 2);
});

test('PasswordVerifier does not take what it remembers of one hash for another', async () => {
  const verifier = verifierWith();
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
  const changed = new PasswordTable([['alice', BOB]]);
  assert.equal(await answer(verifier, 'alice', "alice's", changed), false);
  assert.equal(await answer(verifier, 'alice', "bob's", changed), true);
  const gone = new PasswordTable([['bób', BOB]]);
  assert.equal(await answer(verifier, 'alice', "alice's", gone), false);
});

// "ab:c" and "a:bc" have the same bytes but for where the name ends.
test('PasswordVerifier tells names and passwords apart that run together', async () => {
  const verifier = verifierWith();
  const none = new PasswordTable([['zoe', ALICE]]);
  await answer(verifier, 'ab', 'c', none);
  await answer(verifier, 'a', 'bc', none);
  assert.deepEqual([verifier.refused, verifier.remembered], [2, 0]);
});

test('PasswordVerifier shares one verification between requests with the same credentials', async () => {
  const verifier = verifierWith();
  const answers = await Promise.all(Array.from({ length: 20 }, () => answer(verifier, 'alice', "alice's")));
  assert.ok(answers.every((ok) => ok === true));
  assert.equal(verifier.verified, 1);
});

test('PasswordVerifier bounds what runs and what waits, and says null beyond', async () => {
  const verifier = verifierWith(2, 3);
  const answers = Promise.all(Array.from({ length: 9 }, (_, i) => answer(verifier, 'alice', `guess ${i}`)));
  assert.deepEqual([verifier.running, verifier.waiting, verifier.busy], [2, 3, 4]);
  // What runs or waits already can be joined even so.
  const joined = answer(verifier, 'alice', 'guess 4');
  assert.deepEqual(await answers, [false, false, false, false, false, null, null, null, null]);
  assert.equal(await joined, false);
  assert.deepEqual([verifier.running, verifier.waiting, verifier.refused], [0, 0, 5]);
  assert.equal(await answer(verifier, 'alice', "alice's"), true);
});

test('PasswordVerifier.cancel() keeps the answer from a request that is gone, and drops what nobody waits for', async () => {
  const verifier = verifierWith(1, 8);
  const seen: string[] = [];
  const running = ask(verifier, 'alice', 'one', () => seen.push('running'));
  const waiting = ask(verifier, 'alice', 'two', () => seen.push('waiting'));
  const half = ask(verifier, 'alice', 'three', () => seen.push('half'));
  const other = answer(verifier, 'alice', 'three');
  assert.ok(running !== null && waiting !== null && half !== null);
  assert.equal(verifier.waiting, 2);
  for (const asking of [running, waiting, half, waiting]) verifier.cancel(asking);
  assert.equal(verifier.waiting, 1);
  assert.equal(await other, false);
  assert.deepEqual(seen, []);
  assert.deepEqual([verifier.running, verifier.waiting, verifier.refused], [0, 0, 2]);
});

test('PasswordVerifier may be asked again from within an answer', async () => {
  const verifier = verifierWith(1, 1);
  const nested = await new Promise((resolve) => {
    ask(verifier, 'alice', 'first', () => ask(verifier, 'alice', "alice's", resolve));
  });
  assert.equal(nested, true);
});

test('PasswordVerifier keeps what it remembers of wrong credentials within its bound, apart from the verified', async () => {
  const verifier = verifierWith(4, 64);
  const table = new PasswordTable([['alice', ALICE]]);
  assert.equal(await answer(verifier, 'alice', "alice's", table), true);
  // A name longer than its bound never gets here; a NUL in a password is refused without any hashing, so this is quick.
  for (let i = 0; i < REFUSED_MAX + 10; i++) {
    const credentials = new BasicCredentials();
    credentials.userEnd = credentials.bytes.write('alice', 0);
    credentials.passwordStart = credentials.userEnd + 1;
    credentials.passwordEnd = credentials.passwordStart + credentials.bytes.write(`\0${i}`, credentials.passwordStart);
    assert.equal(await new Promise((resolve) => verifier.verify(table, credentials, resolve)), false);
  }
  assert.equal(verifier.refused, REFUSED_MAX + 10);
  assert.equal(await answer(verifier, 'alice', "alice's", table), true);
  assert.equal(verifier.verified, 1);
});
