import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PASSWORD_BYTES_MAX, USER_BYTES_MAX } from '../base/password-hash.ts';
import { BASIC_MALFORMED, BASIC_OTHER, BASIC_READ, BasicCredentials, basicChallenge, isRealm, readBasicCredentials } from './basic-auth.ts';

const credentials = new BasicCredentials();

/** Reads `value` from the middle of other bytes. */
function read(value: string): { code: number; user: Buffer; password: Buffer } {
  const buf = Buffer.from(`QQ==${value}QQ==`, 'latin1');
  const code = readBasicCredentials(buf, 4, 4 + value.length, credentials);
  const { bytes, userEnd, passwordStart, passwordEnd } = credentials;
  return { code, user: Buffer.from(bytes.subarray(0, userEnd)), password: Buffer.from(bytes.subarray(passwordStart, passwordEnd)) };
}

const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');

// RFC 7617, sections 2 and 2.1.
test('readBasicCredentials() reads the examples of the RFC', () => {
  const aladdin = read('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
  assert.deepEqual([aladdin.code, aladdin.user.toString(), aladdin.password.toString()], [BASIC_READ, 'Aladdin', 'open sesame']);
  const pound = read('Basic dGVzdDoxMjPCow==');
  assert.deepEqual([pound.code, pound.user.toString(), pound.password.toString()], [BASIC_READ, 'test', '123£']);
});

test('readBasicCredentials() takes the scheme in any case, several spaces, colons in the password, and an empty password', () => {
  assert.equal(read(`bAsIc   ${base64('a:b:c:')}`).password.toString(), 'b:c:');
  const empty = read(`Basic ${base64('a:')}`);
  assert.deepEqual([empty.code, empty.user.toString(), empty.password.length], [BASIC_READ, 'a', 0]);
});

test('readBasicCredentials() leaves other schemes alone', () => {
  for (const value of ['', 'Bearer abc', 'Bas', 'Basics QQ==', 'Digest username="a"']) assert.equal(read(value).code, BASIC_OTHER, value);
});

test('readBasicCredentials() refuses what is not exactly base64', () => {
  const good = base64('ab:cd');
  assert.equal(good, 'YWI6Y2Q=');
  for (const value of [
    'YWI6Y2Q', // no padding
    'YWI6Y2Q==',
    'YWI6Y2R=', // bits behind the last byte
    'YWI6Y2Q= ',
    'YWI6 Y2Q=',
    'YW=6Y2Q=',
    '=WI6Y2Q=',
    'YWI6Y2Q-',
    '====',
    '',
    'YWI6Y2Q=,Basic YWI6Y2Q=',
  ])
    assert.equal(read(`Basic ${value}`).code, BASIC_MALFORMED, value);
  assert.equal(read('Basic').code, BASIC_MALFORMED);
  assert.equal(read(`Basic\t${good}`).code, BASIC_MALFORMED);
  assert.equal(read(`Basic ${good}`).code, BASIC_READ);
});

test('readBasicCredentials() refuses text that is no name and password', () => {
  for (const text of ['nocolon', ':password', 'a\nb:c', 'a:b\0', 'a:\x7f', 'a:\u0085'])
    assert.equal(read(`Basic ${base64(text)}`).code, BASIC_MALFORMED, JSON.stringify(text));
  for (const bytes of [
    [0x61, 0x3a, 0xa3],
    [0x61, 0x3a, 0xc0, 0xaf],
    [0x61, 0x3a, 0xed, 0xa0, 0x80],
    [0x61, 0x3a, 0xe2, 0x82],
    [0xf5, 0x80, 0x80, 0x80, 0x3a],
  ])
    assert.equal(read(`Basic ${base64(Buffer.from(bytes))}`).code, BASIC_MALFORMED, String(bytes));
});

test('readBasicCredentials() holds its bounds', () => {
  const of = (user: number, password: number) => read(`Basic ${base64(`${'u'.repeat(user)}:${'p'.repeat(password)}`)}`).code;
  assert.equal(of(USER_BYTES_MAX, PASSWORD_BYTES_MAX), BASIC_READ);
  assert.equal(of(USER_BYTES_MAX + 1, 1), BASIC_MALFORMED);
  assert.equal(of(1, PASSWORD_BYTES_MAX + 1), BASIC_MALFORMED);
  assert.equal(of(1, 30_000), BASIC_MALFORMED);
});

test('readBasicCredentials() leaves nothing of refused credentials, nor does clear()', () => {
  const clean = new BasicCredentials();
  for (const text of ['secret-without-colon', 'secret:\x01']) {
    const buf = Buffer.from(`Basic ${base64(text)}`);
    assert.equal(readBasicCredentials(buf, 0, buf.length, clean), BASIC_MALFORMED);
    assert.ok(clean.bytes.every((byte) => byte === 0));
  }
  const buf = Buffer.from('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
  readBasicCredentials(buf, 0, buf.length, clean);
  clean.clear();
  assert.ok(clean.bytes.every((byte) => byte === 0));
});

test('readBasicCredentials() agrees with Node about what is UTF-8, and reads back every name and password', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => new TextEncoder().encode(text)),
  );
  fc.assert(
    fc.property(bytes, (password) => {
      let text: string | null;
      try {
        text = decoder.decode(password);
      } catch {
        text = null;
      }
      const result = read(`Basic ${base64(Buffer.concat([Buffer.from('u:'), password]))}`);
      const good = text !== null && !/\p{Cc}/u.test(text);
      assert.equal(result.code, good ? BASIC_READ : BASIC_MALFORMED);
      if (good) assert.deepEqual([result.user.toString(), result.password], ['u', Buffer.from(password)]);
    }),
    { numRuns: 2_000 },
  );
});

test('basicChallenge() quotes the realm and names UTF-8', () => {
  const challenge = Buffer.from(basicChallenge('the "north" \\ wing')).toString();
  assert.equal(challenge, 'WWW-Authenticate: Basic realm="the \\"north\\" \\\\ wing", charset="UTF-8"\r\n');
  assert.ok(isRealm('the "north" \\ wing'));
  for (const realm of ['', 'a\r\nb', 'ä', 'x'.repeat(129)]) assert.ok(!isRealm(realm));
});
