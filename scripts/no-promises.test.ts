/** Proof that biome.json and no-promises.grit together refuse promises in the data plane's rooms, and nowhere else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LAYERS } from './layers.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tollgate-lint-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'scripts'));
for (const file of ['biome.json', 'scripts/no-promises.grit']) copyFileSync(join(project, file), join(folder, file));

const REFUSED: Readonly<Record<string, string>> = {
  await: 'export const a = await import.meta.resolve("x");',
  'for await': 'export function f(list: AsyncIterable<number>): void { void (() => { for await (const x of list) g(x); }); }',
  'async function': 'async function f() { g(); }\nf();',
  'exported async function': 'export async function f() { g(); }',
  'default async function': 'export default async function () { g(); }',
  'async generator': 'export const f = async function* () { yield 1; };',
  'async function expression': 'export const f = async function () { g(); };',
  'async arrow': 'export const f = async () => g();',
  'async arrow of one name': 'export const f = async (x: number) => g(x);',
  'async arrow with a type parameter': 'export const f = async <T>(x: T) => g(x);',
  'async method': 'export class C { async m() { g(); } }',
  'static async method': 'export class C { static async m() { g(); } }',
  'overriding async method': 'export class C extends B { protected override async m() { g(); } }',
  'async method of an object': 'export const o = { async m() { g(); } };',
  Promise: 'export const p = new Promise((done) => done(1));',
  'Promise.resolve': 'export const p = Promise.resolve(1);',
  'Promise as a type': 'export function f(): Promise<void> { return g(); }',
  'PromiseLike as a type': 'export type P = PromiseLike<void>;',
  '.then': 'export const p = g().then(h);',
  '?.then': 'export const p = g()?.then(h);',
  '.then over lines': 'export const p = g()\n  .then(h);',
  '.catch': 'export const p = g().catch(h);',
  '.finally': 'export const p = g().finally(h);',
  queueMicrotask: 'queueMicrotask(() => g());',
  nextTick: 'process.nextTick(() => g());',
  'import()': 'export const p = import("node:fs");',
};

const ALLOWED: Readonly<Record<string, string>> = {
  'the words in comments and strings': '// await a Promise, async, .then(\nexport const s = "await Promise.then()";',
  'the words as names of other things': 'export const asynchronous = { async: 1, awaits: 2 };\nexport const n = asynchronous.async;',
  'a method named async': 'export class C { async() { return 1; } }',
  'a function whose name begins so':
    'export function asyncEnough(): number { return 1; }\nexport const f = (asyncMode: number) => asyncMode;',
  'catch and finally of a try': 'export function f(): void { try { g(); } catch { h(); } finally { g(); } }',
  'for of': 'export function f(list: number[]): void { for (const awaited of list) g(awaited); }',
};

const DATA_PLANE = ['record', 'net', 'tls', 'upstream', 'guard', 'proxy', 'worker'];
const OTHERS = Object.keys(LAYERS).filter((room) => !DATA_PLANE.includes(room));
const SAMPLE = 'export async function f() { await g(); }\n';

/** Lints `files` (path below the project, source) with the project's own configuration; gives the paths that the plugin refused. */
function refusedIn(files: ReadonlyMap<string, string>): string[] {
  rmSync(join(folder, 'src'), { recursive: true, force: true });
  for (const [path, source] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), source);
  }
  const biome = spawnSync(
    join(project, 'node_modules/.bin/biome'),
    ['lint', '--vcs-enabled=false', '--reporter=github', '--max-diagnostics=none', '.'],
    { cwd: folder, encoding: 'utf8' },
  );
  const found = new Set<string>();
  for (const match of `${biome.stdout}${biome.stderr}`.matchAll(/^::error title=plugin,file=([^,]+),/gm)) {
    found.add(match[1]!.slice(match[1]!.indexOf('src/')));
  }
  return [...found].sort();
}

test('no-promises refuses every form of waiting in the data plane', () => {
  const files = new Map(Object.values(REFUSED).map((source, i) => [`src/net/refused-${i}.ts`, `${source}\n`]));
  const found = refusedIn(files);
  const missed = Object.keys(REFUSED).filter((_, i) => !found.includes(`src/net/refused-${i}.ts`));
  assert.deepEqual(missed, []);
});

test('no-promises leaves alone what only looks like waiting', () => {
  const files = new Map(Object.values(ALLOWED).map((source, i) => [`src/net/allowed-${i}.ts`, `${source}\n`]));
  const found = refusedIn(files);
  const wrong = Object.keys(ALLOWED).filter((_, i) => found.includes(`src/net/allowed-${i}.ts`));
  assert.deepEqual(wrong, []);
});

test('no-promises applies to the seven rooms of the data plane, their tests excepted, and to no other', () => {
  const files = new Map<string, string>();
  for (const room of [...DATA_PLANE, ...OTHERS]) files.set(`src/${room}/a.ts`, SAMPLE);
  for (const room of DATA_PLANE) {
    files.set(`src/${room}/deep/b.ts`, SAMPLE);
    for (const name of ['a.test.ts', 'a.fuzz.ts', 'test-tools.ts']) files.set(`src/${room}/${name}`, SAMPLE);
  }
  const expected = DATA_PLANE.flatMap((room) => [`src/${room}/a.ts`, `src/${room}/deep/b.ts`]).sort();
  assert.deepEqual(refusedIn(files), expected);
});
