import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isNormalPath, writeNormalPath } from './normal-path.ts';

function normal(path: string): string {
  const buf = Buffer.from(`>${path}<`, 'latin1');
  const out = Buffer.alloc(path.length);
  return out.latin1Slice(0, writeNormalPath(out, buf, 1, buf.length - 1));
}

test('a path is written as servers understand it', () => {
  for (const [path, expected] of [
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['//a///b//', '/a/b/'],
    ['/./a/./b/.', '/a/b/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/../../a', '/a'],
    ['/%61dmin/%2e%2e/x', '/x'],
    ['/a%2Fb', '/a/b'],
    ['/a%2f..%2fb', '/b'],
    ['/a\\..\\b', '/b'],
    ['/a%5Cb', '/a/b'],
    ['/a%252fb', '/a%2fb'],
    ['/%zz%4', '/%zz%4'],
    ['/a/..?b/../c', '/'],
    ['/...', '/...'],
    ['/.a/..b', '/.a/..b'],
    ['*', '*'],
    ['', ''],
  ] as const) {
    assert.equal(normal(path), expected, path);
  }
});

test('what is normal is left as it is, and what is written is normal', () => {
  const path = fc
    .array(fc.constantFrom('/', '.', 'a', 'b', '%2e', '%2F', '?', '\\', '%61'), { maxLength: 14 })
    .map((parts) => `/${parts.join('')}`);
  fc.assert(
    fc.property(path, (text) => {
      const raw = text.split('?')[0]!;
      const written = normal(text);
      if (isNormalPath(Buffer.from(text, 'latin1'), 0, text.length)) assert.equal(written, raw);
      assert.ok(written.length <= raw.length);
      assert.equal(normal(written), written);
      assert.ok(isNormalPath(Buffer.from(written, 'latin1'), 0, written.length) || /%|\/\./.test(written));
      const decoded = raw
        .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
        .replaceAll('\\', '/');
      const asPosix = posix.normalize(decoded).replace(/\/+/g, '/');
      const ends = /(^|\/)\.{0,2}$/.test(decoded);
      assert.equal(written.replace(/\/$/, ''), asPosix.replace(/\/$/, ''));
      assert.equal(written.endsWith('/'), ends || asPosix === '/');
    }),
    { numRuns: 3_000 },
  );
});
