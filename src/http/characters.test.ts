import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_TEXT, HEX, HOST_DOT, HOST_NAME, TARGET, TARGET_PERCENT, TARGET_PLAIN, TARGET_QUESTION, TOKEN } from './characters.ts';

function members(table: Uint8Array, value?: number): string {
  return [...table]
    .flatMap((entry, byte) => ((value === undefined ? entry !== 0 : entry === value) ? [String.fromCharCode(byte)] : []))
    .join('');
}

// RFC 9110, section 5.6.2.
test('TOKEN holds tchar and nothing else, in lower case', () => {
  assert.equal(members(TOKEN), "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
  assert.equal(TOKEN[0x41], 0x61);
  assert.equal(TOKEN[0x5f], 0x5f);
});

// RFC 9110, section 5.5.
test('FIELD_TEXT holds HTAB, SP, VCHAR and obs-text', () => {
  for (let byte = 0; byte < 256; byte++) assert.equal(FIELD_TEXT[byte], byte === 9 || (byte >= 32 && byte !== 127) ? 1 : 0, String(byte));
});

// RFC 3986, section 3; no fragment is sent, RFC 9112, section 3.2.
test('TARGET holds visible ASCII without "#"', () => {
  for (let byte = 0; byte < 256; byte++) assert.equal(TARGET[byte] !== 0, byte > 32 && byte < 127 && byte !== 0x23, String(byte));
  assert.equal(members(TARGET, TARGET_QUESTION), '?');
  assert.equal(members(TARGET, TARGET_PERCENT), '%');
  assert.equal(members(TARGET, TARGET_PLAIN).length, 93 - 2);
});

test('HOST_NAME holds what names in DNS are made of', () => {
  assert.equal(members(HOST_NAME, 1), '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~');
  assert.equal(members(HOST_NAME, HOST_DOT), '.');
});

test('HEX gives the value of a digit in either case', () => {
  for (let byte = 0; byte < 256; byte++) {
    const value = Number.parseInt(String.fromCharCode(byte), 16);
    assert.equal(HEX[byte], Number.isNaN(value) ? 255 : value);
  }
});
