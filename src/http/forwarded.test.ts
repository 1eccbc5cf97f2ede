import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardedElement, nodeAddress, readForwarded } from './forwarded.ts';
import { readRequest } from './test-heads.ts';

function read(fields: string, trusted: readonly string[] = ['10.0.0.1', '10.0.0.2']) {
  const { buf: bytes, head } = readRequest(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  return readForwarded(bytes, head, (address) => trusted.includes(address));
}

test('the client is the first from the right that is no trusted proxy', () => {
  assert.equal(read('X-Forwarded-For: 198.51.100.7\r\n').client, '198.51.100.7');
  assert.equal(read('X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2\r\n').client, '198.51.100.7');
  assert.equal(read('X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7\r\n').client, '198.51.100.7');
  assert.equal(read('X-Forwarded-For: 10.0.0.2, 10.0.0.1\r\n').client, '10.0.0.2', 'all trusted: the farthest');
  assert.equal(read('X-Forwarded-For: unknown, 10.0.0.1\r\n').client, '10.0.0.1');
  assert.equal(read('X-Forwarded-For: <script>\r\n').client, null);
  assert.equal(read('').client, null);
});

test('Forwarded speaks when X-Forwarded-For does not', () => {
  const said = read('Forwarded: for=203.0.113.9, for="[2001:DB8::7]:4711";proto=https;host="shop.example:8443"\r\n');
  assert.equal(said.client, '2001:db8::7');
  assert.equal(said.scheme, 'https');
  assert.equal(said.host, 'shop.example:8443');
  assert.equal(said.forwarded, 'for=203.0.113.9, for="[2001:DB8::7]:4711";proto=https;host="shop.example:8443"');
  assert.equal(read('Forwarded: for=_hidden\r\n').client, null);
  assert.equal(read('Forwarded: for=1.2.3.4; drop table\r\n').client, null);
});

test('scheme, host and port are taken where they are sound', () => {
  const said = read('X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Port: 8443\r\n');
  assert.deepEqual([said.scheme, said.host, said.port], ['https', 'a.example', '8443']);
  const wild = read('X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\nX-Forwarded-Port: 99999\r\n');
  assert.deepEqual([wild.scheme, wild.host, wild.port], [null, null, null]);
});

test('addresses lose port, brackets and IPv4 mapping', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['192.0.2.1:', null],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:DB8:0::1]:443', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['[192.0.2.1]', null],
    ['fe80::1%eth0', null],
    ['999.0.2.1', null],
    ['', null],
    ['[::1', null],
  ];
  for (const [text, expected] of cases) assert.equal(nodeAddress(text), expected, text);
});

test('an element of ours quotes what needs it', () => {
  assert.equal(forwardedElement('192.0.2.1', 'shop.example', 'https'), 'for=192.0.2.1;host=shop.example;proto=https');
  assert.equal(forwardedElement('2001:db8::1', 'shop.example:8443', 'https'), 'for="[2001:db8::1]";host="shop.example:8443";proto=https');
  assert.equal(forwardedElement('unix', 'a', 'http'), 'for=unknown;host=a;proto=http');
});
