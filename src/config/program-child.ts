/**
 * The process in which a configuration written in TypeScript is evaluated: `program-child.ts FILE`. It may read files and use the
 * environment, and nothing else (program.ts starts it so). Writes the result to descriptor 3 as JSON: `{ value }` or `{ problem, place }`.
 */
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { shown } from './wording.ts';

const RESULT_FD = 3;
const DEPTH_MAX = 64;
const [file = ''] = process.argv.slice(2);
const url = pathToFileURL(file).href;

// `tollgate` is this program's own, wherever the file is.
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'tollgate'
      ? { url: new URL(`./define-config${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});

let said = false;

function tell(result: object): void {
  said = true;
  const bytes = Buffer.from(JSON.stringify(result));
  for (let at = 0; at < bytes.length; ) at += writeSync(RESULT_FD, bytes, at);
}

/** The first sentence of what was thrown, and where in the file that was. */
function told(error: unknown): { readonly problem: string; readonly line: number; readonly column: number } {
  const message = sentence(error).split('\n')[0] ?? '';
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const at = stack.indexOf(url) < 0 ? stack.indexOf(file) + file.length : stack.indexOf(url) + url.length;
  const place = /^:(\d+)(?::(\d+))?/.exec(stack.slice(at));
  const name = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : '';
  return {
    problem: `${name}${message}`.slice(0, 500),
    line: Number(place?.[1] ?? 0),
    column: Number(place?.[2] ?? (place === null ? 0 : 1)),
  };
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return `it throws ${shown(error)}, which is no error`;
  const { code, permission, resource = '' } = error as Error & { code?: unknown; permission?: unknown; resource?: unknown };
  if (code === 'ERR_ACCESS_DENIED') {
    const what = typeof permission === 'string' ? `${permission} ${String(resource)}`.trim() : error.message;
    return `a configuration may read files, and nothing else (${what})`;
  }
  return error.cause instanceof Error ? `${error.message}: ${sentence(error.cause)}` : error.message;
}

/** What JSON would leave out or change without a word. */
function notData(value: unknown, path: string, open: readonly unknown[]): string | null {
  const where = path === '' ? 'the configuration' : path;
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint')
    return `${where} is a ${typeof value}; a configuration is data`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `${where} is ${value}`;
  if (typeof value !== 'object' || value === null) return null;
  if (open.includes(value)) return `${where} contains itself`;
  if (open.length > DEPTH_MAX) return `${where} is nested more than ${DEPTH_MAX} deep`;
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  if (!plain) return `${where} is a ${value.constructor?.name ?? 'object of its own kind'}; a configuration is data`;
  for (const [key, item] of Object.entries(value)) {
    const problem = notData(item, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`, [...open, value]);
    if (problem !== null) return problem;
  }
  return null;
}

async function evaluate(): Promise<void> {
  const { default: given } = (await import(url)) as { default?: unknown };
  if (given === undefined) {
    tell({ problem: "there is no default export; write 'export default defineConfig({ ... })'", line: 0, column: 0 });
    return;
  }
  const value: unknown = typeof given === 'function' ? await (given as () => unknown)() : await given;
  const problem = notData(value, '', []);
  tell(problem === null ? { value: value ?? null } : { problem, line: 0, column: 0 });
}

process.on('exit', (code) => {
  // Node has nothing left to do, and this was not done.
  if (!said && code === 0) tell({ problem: 'it waits for something that never comes', line: 0, column: 0 });
});
process.on('uncaughtException', (error) => {
  tell(told(error));
  process.exit(0);
});
evaluate().then(
  () => process.exit(0),
  (error: unknown) => {
    tell(told(error));
    process.exit(0);
  },
);
