import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHaproxy } from './haproxy-syntax.ts';
import { Notes } from './notes.ts';

function words(line: string, env: Readonly<Record<string, string>> = {}): readonly string[] {
  const [section] = parseHaproxy(`global\n${line}`, 'haproxy.cfg', env, new Notes());
  return section?.lines[0]?.words ?? [];
}

test('parseHaproxy() reads words, quotes, escapes, comments and variables as HAProxy does', () => {
  assert.deepEqual(words('  a  b\tc # d'), ['a', 'b', 'c']);
  assert.deepEqual(words('a b\\ c "d \\"e\\" \'f\'" \'g "h\' i\\#j'), ['a', 'b c', 'd "e" \'f\'', 'g "h', 'i#j']);
  assert.deepEqual(words('a "x${HOST}y" "$HOST:1" \'${HOST}\' ${HOST} "\\$HOST"', { HOST: 'h' }), [
    'a',
    'xhy',
    'h:1',
    '${HOST}',
    '${HOST}',
    '$HOST',
  ]);
  assert.deepEqual(words('a \\x41 \\.php "" b"c"d'), ['a', 'A', '\\.php', '', 'bcd']);
  assert.deepEqual(words('a b\\'), ['a', 'b']);
});

test('parseHaproxy() puts lines under their sections, each with its number', () => {
  const [global, front] = parseHaproxy('# x\nglobal\n daemon\n\nfrontend web from base\n  bind :80\n', 'x', {}, new Notes());
  assert.deepEqual([global?.kind, global?.name, global?.lines[0]?.line], ['global', '', 3]);
  assert.deepEqual([front?.kind, front?.name, front?.line, front?.lines[0]?.words], ['frontend', 'web', 5, ['bind', ':80']]);
});

test('parseHaproxy() leaves out what stands under a condition, and says so once for each', () => {
  const notes = new Notes();
  const [global] = parseHaproxy('global\n.if a\n x\n.if b\n y\n.endif\n.else\n z\n.endif\n daemon\n.notice "n"\n', 'x', {}, notes);
  assert.deepEqual(
    global?.lines.map(({ text }) => text),
    ['daemon'],
  );
  assert.equal(notes.list.length, 2);
});

test('parseHaproxy() takes a variable that is not set as nothing, and says so', () => {
  const notes = new Notes();
  assert.deepEqual(parseHaproxy('global\na "${NONE}b"', 'x', {}, notes)[0]?.lines[0]?.words, ['a', 'b']);
  assert.match(notes.list[0]!.why, /the variable NONE is not set here/);
});

test('parseHaproxy() says where and why it cannot go on', () => {
  const of = (text: string) => () => parseHaproxy(text, 'haproxy.cfg', {}, new Notes());
  assert.throws(of('bind :80'), /^TollgateError: haproxy\.cfg:1: a setting stands before the first section/);
  assert.throws(of('global\n a "b'), /^TollgateError: haproxy\.cfg:2: the text that begins with " has no end$/);
  assert.throws(of(`global\n${'a '.repeat(2_001)}`), /more than 2000 words in one line/);
  assert.throws(of('global\n'.repeat(5_001)), /more than 5000 sections/);
  assert.throws(of('\n'.repeat(200_001)), /more than 200000 lines/);
});
