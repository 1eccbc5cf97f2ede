import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_HOST } from '../base/faults.ts';
import { equalsFolded, hostEndAt, portAt } from './authority.ts';

/** The host found in `text`, or null when it is refused. */
function hostOf(text: string): string | null {
  const buf = Buffer.from(`..${text}..`, 'latin1');
  const end = hostEndAt(buf, 2, 2 + text.length);
  return end === FAULT_HOST ? null : buf.toString('latin1', 2, end);
}

// RFC 3986, section 3.2.2; RFC 9110, section 7.2.
test('hostEndAt() splits host and port', () => {
  assert.equal(hostOf('shop.example'), 'shop.example');
  assert.equal(hostOf('Shop.Example:8443'), 'Shop.Example');
  assert.equal(hostOf('10.0.0.1:80'), '10.0.0.1');
  assert.equal(hostOf('a_b-c~1.example.'), 'a_b-c~1.example.');
  assert.equal(hostOf('localhost:65535'), 'localhost');
  assert.equal(hostOf('[::1]:443'), '[::1]');
});

test('hostEndAt() refuses what is no host and port', () => {
  for (const text of [
    '',
    ':80',
    'a:',
    'a:0',
    'a:65536',
    'a:123456',
    'a:8x',
    'a:80:80',
    'a:-1',
    'a b',
    'a,b',
    'a/b',
    'u@a',
    'a%20b',
    'a..b',
    '.a',
    '.',
    'a\x80',
  ]) {
    assert.equal(hostOf(text), null, text);
  }
});

test('hostEndAt() bounds a name at 254 bytes', () => {
  assert.notEqual(hostOf('a'.repeat(254)), null);
  assert.equal(hostOf('a'.repeat(255)), null);
});

test('hostEndAt() accepts IPv6 addresses', () => {
  for (const ip of [
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '::ffff:10.0.0.1',
    '1:2:3:4:5:6:1.2.3.4',
    'FE80::A',
  ]) {
    assert.equal(hostOf(`[${ip}]`), `[${ip}]`, ip);
  }
});

test('hostEndAt() refuses what is no IPv6 address', () => {
  const wrong = [
    '',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    ':1::',
    '1:',
    '::1:',
    'g::',
    '1:2:3:4:5:6:7:8::',
    '::1.2.3',
    '::1.2.3.4.5',
    '::256.1.1.1',
    '::01.1.1.1',
    '1:2:3:4:5:6:7:1.2.3.4',
    'fe80::1%eth0',
    'v1.x',
    '::1.2.3.4:5',
  ];
  for (const ip of wrong) assert.equal(hostOf(`[${ip}]`), null, ip);
  for (const text of ['[::1', '[', '::1', '[::1]x', '[::1]80', '[::1]:']) assert.equal(hostOf(text), null, text);
});

test('portAt() reads 1 to 65535 in up to five digits', () => {
  const port = (text: string): number => portAt(Buffer.from(text), 0, text.length);
  assert.equal(port('1'), 1);
  assert.equal(port('00080'), 80);
  assert.equal(port('65535'), 65_535);
  for (const text of ['', '0', '65536', '000080', '8 ', '+80']) assert.equal(port(text), 0, text);
});

test('equalsFolded() folds letters and nothing else', () => {
  const equal = (one: string, other: string): boolean =>
    equalsFolded(Buffer.from(one + other), 0, one.length, one.length, one.length + other.length);
  assert.ok(equal('Shop.EXAMPLE', 'sHop.example'));
  assert.ok(equal('[::A]', '[::a]'));
  assert.ok(!equal('a', 'b'));
  assert.ok(!equal('a', 'aa'));
  assert.ok(!equal('[', '{'));
  assert.ok(!equal('@', '`'));
});
