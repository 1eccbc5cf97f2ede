/**
 * `npm run check`: everything that can be told without a second program. Format and lint, types, import direction, length of files, unit tests with their
 * short fuzz runs. One line a step; the first that fails shows its output and ends it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { checkLayers } from './layers.ts';
import { LINES_MAX, longFiles } from './lengths.ts';
import { NO_TESTS, runTests, type TestCounts, verdict } from './run-tests.ts';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Short fuzz runs are tests like others; a `x.fuzz.ts` is the fuzzer itself, which a person runs by hand for longer. */
const UNIT_TESTS = ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'];
const UNIT_TEST_MS_MAX = 120_000;
const UNIT_FILE_MS_MAX = 300_000;
/** The long fuzz runs. */
const LONG_MS_MAX = 6 * 3_600_000;

export interface CheckOptions {
  /** Runs the fuzzers for as long as they like. */
  readonly long: boolean;
  /** A skipped test counts as a failure. */
  readonly strict: boolean;
}

interface Outcome {
  readonly ok: boolean;
  /** Shown when the step failed. */
  readonly output: string;
  /** Added to the step's line. */
  readonly note?: string;
}

/** Runs all steps up to the first that fails, writing to standard output. */
export async function check({ long, strict }: CheckOptions): Promise<{ readonly ok: boolean; readonly counts: TestCounts }> {
  let counts = NO_TESTS;
  const steps: [name: string, run: () => Promise<Outcome>][] = [
    // Biome's plugin of ours (no-promises.grit) is part of the lint.
    ['format and lint', () => program('biome', ['check', '--error-on-warnings', '--colors=off', '.'])],
    ['types', () => program('tsc', ['--pretty', 'false'])],
    ['layers', async () => layers()],
    ['lengths', async () => lengths()],
    [
      'unit tests',
      async () => {
        const output = new PassThrough();
        const report = text(output);
        const limits = { testMsMax: long ? LONG_MS_MAX : UNIT_TEST_MS_MAX, fileMsMax: long ? LONG_MS_MAX : UNIT_FILE_MS_MAX };
        counts = await runTests({ patterns: UNIT_TESTS, folder: root, concurrency: availableParallelism(), ...limits }, output);
        output.end();
        const problem = verdict(counts, strict);
        return { ok: problem === null, output: `${await report}\n${problem}`, note: `${counts.tests} tests` };
      },
    ],
  ];
  for (const [name, run] of steps) {
    const from = performance.now();
    const { ok, output, note } = await run();
    const seconds = ((performance.now() - from) / 1000).toFixed(1);
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(16)} ${seconds.padStart(6)} s${note === undefined ? '' : `  ${note}`}`);
    if (!ok) {
      console.log(output);
      return { ok, counts };
    }
  }
  return { ok: true, counts };
}

async function program(name: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(join(root, 'node_modules/.bin', name), args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { ok: code === 0, output: `${output}${errors}` };
}

function layers(): Outcome {
  const violations = checkLayers(root);
  return { ok: violations.length === 0, output: violations.map(({ file, line, problem }) => `${file}:${line}: ${problem}`).join('\n') };
}

function lengths(): Outcome {
  const found = longFiles(root);
  return { ok: found.length === 0, output: found.map(({ file, lines }) => `${file}: ${lines} lines, ${LINES_MAX} at most`).join('\n') };
}

/** A machine that tests on its own: there, no test may be skipped. */
export function isCi(env: NodeJS.ProcessEnv = process.env): boolean {
  return [env.CI, env.TOLLGATE_CI].some((value) => value !== undefined && value !== '' && value !== '0' && value !== 'false');
}

if (import.meta.main) {
  const { ok } = await check({ long: process.argv.includes('--long'), strict: isCi() });
  process.exit(ok ? 0 : 1);
}
