import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TollgateError } from '../../base/tollgate-error.ts';
import { type Directive, parseNginx } from './nginx-syntax.ts';

type Plain = readonly [string, ...unknown[]];

function plain(directives: readonly Directive[]): readonly Plain[] {
  return directives.map(({ name, args, block }): Plain => (block === null ? [name, ...args] : [name, ...args, plain(block)]));
}

function words(text: string): readonly Plain[] {
  return plain(parseNginx(text, 'nginx.conf'));
}

test('parseNginx() reads words, quotes, escapes, comments and blocks as nginx does', () => {
  assert.deepEqual(words('a b  "c d" \'e;f\';'), [['a', 'b', 'c d', 'e;f']]);
  assert.deepEqual(words('a{b{c;}}d;'), [['a', [['b', [['c']]]]], ['d']]);
  assert.deepEqual(words('a # b;\n c#d e;'), [['a', 'c#d', 'e']]);
  assert.deepEqual(words('a "say \\"so\\"\\n\\t\\d" \'it\\\'s\' x\\;y \\.php;'), [['a', 'say "so"\n\t\\d', "it's", 'x\\;y', '\\.php']]);
  assert.deepEqual(words('a ${b}c$d ~^/x{1};'.replace('{1}', '\\{1}')), [['a', '${b}c$d', '~^/x\\{1}']]);
  assert.deepEqual(words('if ($a = "b c") { return 1; }'), [['if', '($a', '=', 'b c)', [['return', '1']]]]);
  assert.deepEqual(words('\ufeffa;\r\n'.replaceAll('\r\n', '\n')), [['a']]);
  assert.deepEqual(words('x ""; y \'\';'), [
    ['x', ''],
    ['y', ''],
  ]);
  assert.deepEqual(words(''), []);
});

test('parseNginx() skips Lua by its braces, those in texts and comments left out', () => {
  const lua = `content_by_lua_block { local a = { "}" , '}\\'}' } -- }
    --[[ } ]] b = [[ } ]] }
  next;`;
  const [block, next] = parseNginx(lua, 'x');
  assert.deepEqual([block?.block, next?.name, next?.line], [[], 'next', 3]);
  assert.throws(() => parseNginx('rewrite_by_lua_block { {', 'x'), /x:1: the block that begins here has no end/);
});

test('parseNginx() knows the line of every directive', () => {
  const [a, b] = parseNginx('\n\na "x\ny" {\n  c;\n}\nb;', 'x');
  assert.deepEqual([a?.line, a?.block?.[0]?.line, b?.line], [3, 5, 7 - 0]);
});

const WRONG: Readonly<Record<string, RegExp>> = {
  'a { b;': /^nginx\.conf:1: the block that begins here has no end \('\}'\)$/,
  'a;\n}': /^nginx\.conf:2: a '\}' without '\{' before it$/,
  'a b': /^nginx\.conf:1: 'a b' does not end: ';' or '\{' is missing$/,
  'a { b }': /'b' does not end/,
  ';': /found ';' where a directive should begin/,
  '{ }': /found '\{' where a directive should begin/,
  'a "b': /^nginx\.conf:1: the text that begins here has no end \("\)$/,
  "a 'b\\'": /no end/,
  'a "b"c;': /found 'c' right behind a quoted text/,
  [`a ${'x'.repeat(20_000)};`]: /a word of more than/,
  [`a "${'x'.repeat(20_000)}";`]: /has no end/,
  [`a${' b'.repeat(10_002)};`]: /more than 10000 words/,
  ['a {'.repeat(40)]: /more than 32 deep/,
  ['a;'.repeat(50_001)]: /more than 50000 directives/,
};

test('parseNginx() says where and why it cannot go on', () => {
  for (const [text, expected] of Object.entries(WRONG)) {
    assert.throws(
      () => parseNginx(text, 'nginx.conf'),
      (error) => error instanceof TollgateError && error.code === 'import_unreadable' && expected.test(error.message),
      text.slice(0, 40),
    );
  }
});
