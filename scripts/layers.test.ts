import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkLayers, isTestFile, LAYERS, readImports } from './layers.ts';

/** The problems in a project made of `files` (path below src/, source), each as `file:line: problem`. */
function problems(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'tollgate-layers-'));
  try {
    for (const [path, source] of Object.entries(files)) {
      mkdirSync(dirname(join(root, 'src', path)), { recursive: true });
      writeFileSync(join(root, 'src', path), source);
    }
    return checkLayers(root).map(({ file, line, problem }) => `${file}:${line}: ${problem}`);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('checkLayers() allows exactly the edges of LAYERS, out of every pair of rooms', () => {
  const rooms = Object.keys(LAYERS);
  assert.equal(rooms.length, 19);
  const files: Record<string, string> = {};
  const expected: string[] = [];
  for (const from of rooms) {
    files[`${from}/a.ts`] = 'export const a = 1;\n';
    for (const to of rooms) {
      files[`${from}/to-${to}.ts`] = `import { a } from '../${to}/a.ts';\n\na;\n`;
      if (from === to || LAYERS[from]!.rooms.includes(to)) continue;
      const what = LAYERS[from]!.types?.includes(to) ? `${from} may import only types from ${to}` : `${from} may not import ${to}`;
      expected.push(`src/${from}/to-${to}.ts:1: ${what}`);
    }
  }
  assert.deepEqual(problems(files).sort(), expected.sort());
});

test('LAYERS keeps the planes apart, and the ground below both', () => {
  const data = ['record', 'net', 'tls', 'upstream', 'guard', 'proxy', 'worker'];
  const control = ['config', 'certs', 'observe', 'control', 'cli'];
  for (const room of data) for (const other of control) assert.ok(!LAYERS[room]!.rooms.includes(other), `${room} -> ${other}`);
  for (const room of control) for (const other of data) assert.ok(!LAYERS[room]!.rooms.includes(other), `${room} -> ${other}`);
  for (const room of ['plan', 'native', 'hello', 'http', 'route']) assert.deepEqual(LAYERS[room]!.rooms, ['base']);
  assert.deepEqual(LAYERS.base, { rooms: [] });
});

test('LAYERS has no cycle between rooms', () => {
  const visit = (room: string, path: readonly string[]): void => {
    assert.ok(!path.includes(room), [...path, room].join(' -> '));
    for (const next of [...LAYERS[room]!.rooms, ...(LAYERS[room]!.types ?? [])]) visit(next, [...path, room]);
  };
  for (const room of Object.keys(LAYERS)) visit(room, []);
});

test('checkLayers() lets native and route take types, and no values, from plan', () => {
  const found = problems({
    'plan/plan.ts': 'export interface Plan {}\nexport const value = 1;\n',
    'native/a.ts': "import type { Plan } from '../plan/plan.ts';\n\nexport type A = Plan;\n",
    'route/a.ts': "import { type Plan } from '../plan/plan.ts';\n\nexport type A = Plan;\n",
    'route/b.ts': "import { type Plan, value } from '../plan/plan.ts';\n\nexport const a: Plan = value;\n",
  });
  assert.deepEqual(found, ['src/route/b.ts:1: route may import only types from plan']);
});

test('checkLayers() keeps native/ffi and koffi inside native', () => {
  const found = problems({
    'native/ffi/libc.ts': "import koffi from 'koffi';\n\nexport const a = koffi;\n",
    'native/sockets.ts': "import { a } from './ffi/libc.ts';\n\nexport const b = a;\n",
    'net/a.ts': "import { a } from '../native/ffi/libc.ts';\nimport koffi from 'koffi';\n\na(koffi);\n",
    'net/a.test.ts': "import type { a } from '../native/ffi/libc.ts';\n\nexport type A = typeof a;\n",
  });
  assert.deepEqual(found, [
    'src/net/a.test.ts:1: native/ffi is private to native',
    'src/net/a.ts:1: native/ffi is private to native',
    'src/net/a.ts:2: only native may import koffi',
  ]);
});

test('checkLayers() lets only tests import test packages and test files', () => {
  const source = "import { property } from 'fast-check';\nimport { test } from 'node:test';\nimport { tool } from './test-tools.ts';\n";
  const found = problems({
    'http/a.ts': source,
    'http/a.test.ts': source,
    'http/a.fuzz.ts': source,
    'http/test-tools.ts': source.replace('./test-tools.ts', './a.test.ts'),
  });
  assert.deepEqual(
    found.filter((line) => !line.includes('a cycle')),
    [
      'src/http/a.ts:1: only tests may import fast-check',
      'src/http/a.ts:2: only tests may import node:test',
      'src/http/a.ts:3: src/http/test-tools.ts is for tests alone',
    ],
  );
});

test('checkLayers() refuses a test that reaches where its room may not', () => {
  const found = problems({ 'net/a.test.ts': "import { a } from '../proxy/a.ts';\n\na();\n", 'proxy/a.ts': 'export const a = 1;\n' });
  assert.deepEqual(found, ['src/net/a.test.ts:1: net may not import proxy']);
});

test('checkLayers() refuses what lies outside the rooms, or is in no room of the table', () => {
  const found = problems({
    'stray.ts': 'export const a = 1;\n',
    'attic/a.ts': 'export const a = 1;\n',
    'net/a.ts':
      "import { a } from '../stray.ts';\nimport { b } from '../../scripts/b.ts';\nimport data from '../../package.json';\n\na(b, data);\n",
  });
  assert.deepEqual(found, [
    'src/attic/a.ts:1: the room attic has no place in LAYERS (scripts/layers.ts)',
    'src/net/a.ts:1: src/stray.ts belongs to no room',
    'src/net/a.ts:2: scripts/b.ts lies outside src/',
    'src/stray.ts:1: a file under src/ belongs to a room',
  ]);
});

test('checkLayers() refuses an import() it cannot read, except where configurations are loaded', () => {
  const source = 'export const load = (url: string) => import(url);\n';
  assert.deepEqual(problems({ 'control/a.ts': source, 'config/a.ts': source }), [
    'src/control/a.ts:1: import() of what is not a literal cannot be checked',
  ]);
});

test('checkLayers() finds a cycle between files once, and leaves types out', () => {
  const cycle = problems({
    'http/a.ts': "import { b } from './b.ts';\n\nexport const a = b;\n",
    'http/b.ts': "import { c } from './h1/c.ts';\n\nexport const b = c;\n",
    'http/h1/c.ts': "import { a } from '../a.ts';\n\nexport const c = a;\n",
  });
  assert.deepEqual(cycle, ['src/http/h1/c.ts:1: a cycle: src/http/a.ts -> src/http/b.ts -> src/http/h1/c.ts -> src/http/a.ts']);
  const types = problems({
    'http/a.ts': "import { b } from './b.ts';\n\nexport const a = b;\n",
    'http/b.ts': "import type { a } from './a.ts';\n\nexport const b = 1 as typeof a;\n",
  });
  assert.deepEqual(types, []);
});

test('readImports() reads every form of import, with its line and whether it is of types alone', () => {
  const source = [
    "import './a.ts';",
    "import b from './b.ts';",
    "import * as c from './c.ts';",
    'import {',
    "  d, // it's a name",
    '  type D,',
    "} from './d.ts';",
    "import type { E } from './e.ts';",
    "import { type F, type G } from './f.ts';",
    "import type from './g.ts';",
    "export { h } from './h.ts';",
    "export * from './i.ts';",
    "export type * from './j.ts';",
    "export type { K } from './k.ts';",
    "import l from './l.json' with { type: 'json' };",
    "const m = () => import('./m.ts');",
    "const n = require('./n.cjs');",
    'const o = import(name);',
  ].join('\n');
  assert.deepEqual(
    readImports(source).map(({ specifier, line, typeOnly }) => `${line} ${specifier}${typeOnly ? ' type' : ''}`),
    [
      '1 ./a.ts',
      '2 ./b.ts',
      '3 ./c.ts',
      '4 ./d.ts',
      '8 ./e.ts type',
      '9 ./f.ts type',
      '10 ./g.ts',
      '11 ./h.ts',
      '12 ./i.ts',
      '13 ./j.ts type',
      '14 ./k.ts type',
      '15 ./l.json',
      '16 ./m.ts',
      '17 ./n.cjs',
      '18 null',
    ],
  );
});

test('readImports() finds none in comments, strings and ordinary exports', () => {
  const source = [
    "// import a from './a.ts';",
    '/**',
    " * import b from './b.ts'; import('./c.ts')",
    ' */',
    "export const from = 'd';",
    "export const e = { from: './e.ts' };",
    'export function f(from: string): string {',
    "  return from === './f.ts' ? '' : from; // or import('./g.ts')",
    '}',
    "export type H = 'import' | 'from';",
  ].join('\n');
  assert.deepEqual(readImports(source), []);
});

test('isTestFile() knows tests, fuzz runs and their tools by name', () => {
  for (const path of ['http/a.test.ts', 'http/a.fuzz.ts', 'http/test-tools.ts', 'test-tools.ts']) assert.ok(isTestFile(path), path);
  for (const path of ['http/a.ts', 'http/test.ts', 'http/contest-a.ts', 'http/test-tools/a.ts']) assert.ok(!isTestFile(path), path);
});
