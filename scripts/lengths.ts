/** How long a file of TypeScript may be, and the check that holds it: `node scripts/lengths.ts`. A longer one holds more than one thing. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const LINES_MAX = 800;

const SOURCES = ['{src,test,scripts,bench,examples}/**/*.ts'];

export interface LongFile {
  /** Relative to the project. */
  readonly file: string;
  readonly lines: number;
}

/** Files of the project at `root` that are over the bound, in the order of their names. */
export function longFiles(root: string): LongFile[] {
  return globSync(SOURCES, { cwd: root, exclude: ['**/node_modules/**'] })
    .sort()
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
}

if (import.meta.main) {
  const found = longFiles(fileURLToPath(new URL('..', import.meta.url)));
  for (const { file, lines } of found) console.error(`${file}: ${lines} lines, ${LINES_MAX} at most`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
