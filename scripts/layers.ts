/**
 * The import direction of the rooms under `src/`, as one table and the check that holds it: `node scripts/layers.ts`.
 *
 * Owns the table. A room missing from it is an error, so a new room is placed on purpose. Types count as imports: a room that names
 * another's types depends on it. Cycles between files leave types out, since those imports are gone when the program runs.
 *
 * Why our own: dependency-cruiser needs TypeScript's compiler API, which TypeScript 7 has not; biome's `noRestrictedImports` matches the
 * text of a specifier, so every room would need its pattern for every depth of `../`. Imports are read by pattern, not by a parser: the
 * formatter runs first and puts every static import and export at the start of a line. A template literal could imitate one, which
 * fails loudly; none can hide.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Layer {
  /** Rooms it may import. Its own files and the ground it stands on are named too: nothing is implied. */
  readonly rooms: readonly string[];
  /** Rooms of which it may import types only. */
  readonly types?: readonly string[];
}

const GROUND = ['base', 'plan', 'native', 'hello', 'x509', 'http', 'route'];
const CONTROL = [...GROUND, 'config', 'certs', 'observe'];

/** What each room may import, besides itself and packages. */
export const LAYERS: Readonly<Record<string, Layer>> = Object.freeze({
  // Ground, for both planes.
  base: { rooms: [] },
  plan: { rooms: ['base'] },
  // These two are told what to do in the plan's words: addresses to bind, routes to match.
  native: { rooms: ['base'], types: ['plan'] },
  route: { rooms: ['base'], types: ['plan'] },
  hello: { rooms: ['base'] },
  x509: { rooms: ['base'] },
  http: { rooms: ['base'] },
  // Data plane.
  record: { rooms: GROUND },
  net: { rooms: GROUND },
  guard: { rooms: GROUND },
  tls: { rooms: [...GROUND, 'net'] },
  upstream: { rooms: [...GROUND, 'net', 'record'] },
  proxy: { rooms: [...GROUND, 'record', 'net', 'tls', 'upstream', 'guard'] },
  worker: { rooms: [...GROUND, 'record', 'net', 'tls', 'upstream', 'guard', 'proxy'] },
  // Control plane.
  certs: { rooms: GROUND },
  observe: { rooms: GROUND },
  config: { rooms: [...GROUND, 'certs'] },
  control: { rooms: CONTROL },
  cli: { rooms: [...CONTROL, 'control'] },
});

/** Packages that one room alone may import. */
const PACKAGE_ROOMS: Readonly<Record<string, string>> = { koffi: 'native', 'aws-crt': 'native' };
/** Packages that only tests may import. */
const TEST_PACKAGES: readonly string[] = ['fast-check', 'node:test', 'node:test/reporters'];
/** Folders whose files only their own room may import. */
const PRIVATE_FOLDERS: readonly string[] = ['native/ffi'];
/** Rooms that load a module whose name is not known beforehand: a configuration written in TypeScript. */
const DYNAMIC_ROOMS: readonly string[] = ['config'];

export interface Violation {
  /** Relative to the project, with `/`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly problem: string;
}

export interface Import {
  /** null: an `import()` of something that is not a literal. */
  readonly specifier: string | null;
  readonly line: number;
  readonly typeOnly: boolean;
}

/** True for files that run only under `node --test`: `x.test.ts`, `x.fuzz.ts`, `test-x.ts`. */
export function isTestFile(path: string): boolean {
  return /\.(?:test|fuzz)\.ts$|(?:^|\/)test-[^/]*\.ts$/.test(path);
}

const STATEMENT = /^(?:import|export)\b((?:\/\/[^\n]*|\/\*[\s\S]*?\*\/|\/(?![/*])|[^;'"`/])*?\bfrom\s*)?\s*(['"])([^'"\n]+)\2/gm;

/** Static imports, re-exports, `import()` and `require()` of a formatted TypeScript source, in order. */
export function readImports(source: string): Import[] {
  const found: (Import & { readonly at: number })[] = [];
  const add = (at: number, specifier: string | null, typeOnly: boolean) =>
    found.push({ at, specifier, typeOnly, line: source.slice(0, at).split('\n').length });
  // The clause crosses comments, but no statement and no string: the first quote after `from` is the specifier's.
  for (const match of source.matchAll(STATEMENT)) add(match.index, match[3]!, isTypeOnly(match[1] ?? ''));
  for (const match of source.matchAll(/(?<![\w.$])(?:import|require|require\.resolve)\s*\(\s*(?:(['"`])([^'"`\n$]+)\1\s*[,)])?/g)) {
    if (inComment(source, match.index)) continue;
    if (match[0].startsWith('import') || match[2] !== undefined) add(match.index, match[2] ?? null, false);
  }
  return found.sort((a, b) => a.at - b.at).map(({ specifier, line, typeOnly }) => ({ specifier, line, typeOnly }));
}

/** `import type { A }` and `import { type A, type B }`, the same for exports. */
function isTypeOnly(clause: string): boolean {
  if (/^\s*type\b(?!\s*(?:,|from\b))/.test(clause)) return true;
  const named = /^\s*\{([^}]*)\}\s*from\s*$/.exec(clause);
  if (named === null) return false;
  const names = named[1]!.split(',').filter((name) => name.trim() !== '');
  return names.length > 0 && names.every((name) => /^\s*type\s/.test(name));
}

/** Good enough for `import()`: the line begins as a comment, or `//` stands before it. */
function inComment(source: string, at: number): boolean {
  const line = source.slice(source.lastIndexOf('\n', at - 1) + 1, at);
  return /^\s*(?:\/\*|\*|\/\/)|\s\/\//.test(line);
}

/** Checks every `.ts` file under `root/src`; the violations, in the order of files and lines. */
export function checkLayers(root: string): Violation[] {
  const violations: Violation[] = [];
  const edges = new Map<string, { readonly target: string; readonly line: number }[]>();
  const src = join(root, 'src');
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.ts')) continue;
    const path = name.split(sep).join('/');
    const file = `src/${path}`;
    const room = path.split('/')[0]!;
    const isTest = isTestFile(path);
    const report = (line: number, problem: string) => violations.push({ file, line, problem });
    const out: { readonly target: string; readonly line: number }[] = [];
    edges.set(file, out);
    if (!path.includes('/')) {
      report(1, 'a file under src/ belongs to a room');
      continue;
    }
    if (!Object.hasOwn(LAYERS, room)) {
      report(1, `the room ${room} has no place in LAYERS (scripts/layers.ts)`);
      continue;
    }
    for (const { specifier, line, typeOnly } of readImports(readFileSync(join(src, name), 'utf8'))) {
      if (specifier === null) {
        if (!DYNAMIC_ROOMS.includes(room) && !isTest) report(line, 'import() of what is not a literal cannot be checked');
        continue;
      }
      if (!specifier.startsWith('.')) {
        const problem = packageProblem(specifier, room, isTest);
        if (problem !== null) report(line, problem);
        continue;
      }
      const target = relative(root, resolve(dirname(join(src, name)), specifier))
        .split(sep)
        .join('/');
      const problem = roomProblem(room, target, typeOnly, isTest);
      if (problem !== null) report(line, problem);
      if (!typeOnly) out.push({ target, line });
    }
  }
  return [...violations, ...findCycles(edges)].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
}

function packageProblem(specifier: string, room: string, isTest: boolean): string | null {
  if (isBuiltin(specifier) && !specifier.startsWith('node:')) return `${specifier} is written node:${specifier}`;
  const name = specifier.startsWith('node:') ? specifier : packageName(specifier);
  const owner = PACKAGE_ROOMS[name];
  if (owner !== undefined && owner !== room) return `only ${owner} may import ${name}`;
  if (TEST_PACKAGES.includes(name) && !isTest) return `only tests may import ${name}`;
  return null;
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function roomProblem(room: string, target: string, typeOnly: boolean, isTest: boolean): string | null {
  // Outside src/ a program finds nothing it may run; package.json is data.
  if (!target.startsWith('src/')) return target === 'package.json' ? null : `${target} lies outside src/`;
  const [, to = '', ...rest] = target.split('/');
  if (rest.length === 0) return `${target} belongs to no room`;
  if (!isTest && isTestFile(target)) return `${target} is for tests alone`;
  if (to === room) return null;
  for (const folder of PRIVATE_FOLDERS) {
    if (target.startsWith(`src/${folder}/`)) return `${folder} is private to ${folder.split('/')[0]}`;
  }
  const layer = LAYERS[room]!;
  if (layer.rooms.includes(to)) return null;
  if (layer.types?.includes(to)) return typeOnly ? null : `${room} may import only types from ${to}`;
  return `${room} may not import ${to}`;
}

/** One violation for every cycle found, at the import that closes it. */
function findCycles(edges: ReadonlyMap<string, readonly { readonly target: string; readonly line: number }[]>): Violation[] {
  const violations: Violation[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    path.push(file);
    for (const { target, line } of edges.get(file) ?? []) {
      const at = path.indexOf(target);
      if (at >= 0) violations.push({ file, line, problem: `a cycle: ${[...path.slice(at), target].join(' -> ')}` });
      else if (!done.has(target)) visit(target);
    }
    path.pop();
    done.add(file);
  };
  for (const file of edges.keys()) if (!done.has(file)) visit(file);
  return violations;
}

if (import.meta.main) {
  const violations = checkLayers(fileURLToPath(new URL('..', import.meta.url)));
  for (const { file, line, problem } of violations) console.error(`${file}:${line}: ${problem}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
