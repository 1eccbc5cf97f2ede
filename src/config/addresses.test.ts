import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hostName, parseListenAddress, parseTargetAddress } from './addresses.ts';
import { covers, parseHostPattern, parsePathPattern } from './patterns.ts';

test('parseListenAddress() and parseTargetAddress() answer any text with data or one sentence', () => {
  const pieces = fc.constantFrom(
    'unix:',
    '[',
    ']',
    ':',
    '::',
    '443',
    '0.0.0.0',
    '%eth0',
    'a.b',
    '\0',
    '\n',
    'ü',
    '//',
    'http',
    '*',
    '@',
    ' ',
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 6 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      for (const result of [parseListenAddress(text), parseTargetAddress(text)]) {
        if (typeof result === 'string') assert.ok(!result.includes('\n') && result.length < 500);
        else assert.equal(result.text, text);
      }
    }),
  );
});

test('parseListenAddress() writes IPv6 in its one canonical form', () => {
  const spec = parseListenAddress('[2001:DB8:0::0:1]:443');
  assert.ok(typeof spec !== 'string');
  assert.deepEqual(spec.addresses, [{ family: 6, ip: '2001:db8::1', port: 443 }]);
});

test('parseTargetAddress() keeps names for later', () => {
  const spec = parseTargetAddress('App_1.Internal.:80');
  assert.ok(typeof spec !== 'string');
  assert.deepEqual(spec.address, { host: 'app_1.internal', port: 80 });
});

test('parseTargetAddress() refuses abstract sockets and zones by name', () => {
  assert.match(String(parseTargetAddress('unix:@app')), /abstract Unix sockets are not available yet/);
  assert.match(String(parseTargetAddress('[fe80::1%eth0]:80')), /IPv6 zones .* are not available yet/);
});

test('hostName() takes names, and nothing that only decodes to one', () => {
  assert.equal(hostName('Bücher.Example'), 'xn--bcher-kva.example');
  for (const text of [
    '',
    '.',
    'a..b',
    '-a.b',
    'a-.b',
    'a b',
    'a\nb',
    'a%2eb',
    'a:1',
    'a/b',
    '*.a',
    `${'a'.repeat(64)}.b`,
    'a.'.repeat(130),
  ]) {
    assert.equal(hostName(text), undefined, text);
  }
});

test('parseHostPattern() and parsePathPattern() give what routes match', () => {
  assert.deepEqual(parseHostPattern('*'), { host: null });
  assert.deepEqual(parseHostPattern('*.A.example'), { host: '*.a.example' });
  assert.deepEqual(parseHostPattern('192.0.2.1'), { host: '192.0.2.1' });
  assert.deepEqual(parseHostPattern('[::0:1]'), { host: '[::1]' });
  assert.deepEqual(parsePathPattern('/api/*'), { path: '/api/', isPrefix: true });
  for (const [text, path, isPrefix] of [
    ['/a%20b', '/a b', false],
    ['/b%C3%BCcher/*', '/b\xc3\xbccher/', true],
    ['/a//./b/../c', '/a/c', false],
    ['/a/..', '/', false],
    ['/.*', '/.', true],
    ['/..*', '/..', true],
    ['/x/../y%2A*', '/y*', true],
    ['/*', '/', true],
  ] as const) {
    assert.deepEqual(parsePathPattern(text), { path, isPrefix }, text);
  }
  for (const path of ['', 'a', '/a?b', '/a#b', '/*/a', '/**', '/a b', '/%zz', '/a%3fb', '/\u{d800}'])
    assert.ok('error' in parsePathPattern(path), path);
});

test('covers() says so only when every request of the later is one of the earlier', () => {
  const match = (host: string | null, path: string | null, pathIsPrefix = false) => ({ host, path, pathIsPrefix });
  assert.ok(covers(match(null, null), match('a.b', '/x')));
  assert.ok(covers(match('*.b', '/', true), match('a.b', '/x', true)));
  assert.ok(covers(match('*.b', null), match('*.a.b', null)));
  assert.ok(!covers(match('*.b', null), match('b', null)));
  assert.ok(!covers(match('a.b', null), match(null, null)));
  assert.ok(!covers(match(null, '/x'), match(null, '/x', true)));
  assert.ok(!covers(match(null, '/x/', true), match(null, '/x')));
});
