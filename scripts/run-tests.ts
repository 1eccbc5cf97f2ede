/**
 * Runs test files under Node's own runner, each in a process of its own, and adds up what they say.
 *
 * Owns the way tests are run, so that `check` and `test` cannot differ in it. Knows no test.
 */
import { once } from 'node:events';
import { globSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

export interface TestRun {
  /** Globs of test files, relative to `folder`. */
  readonly patterns: readonly string[];
  readonly folder: string;
  /** Files run at once. */
  readonly concurrency: number;
  /** Longest time for one test. Milliseconds. */
  readonly testMsMax: number;
  /** Longest time for all of them: a file that hangs before its first test is under no other limit. Milliseconds. */
  readonly runMsMax: number;
}

/** Node's closing lines. */
export interface TestCounts {
  readonly tests: number;
  readonly pass: number;
  readonly fail: number;
  readonly cancelled: number;
  readonly skipped: number;
  readonly todo: number;
  readonly durationMs: number;
}

export const NO_TESTS: TestCounts = Object.freeze({ tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0, durationMs: 0 });

/** Runs the files and writes Node's report to `output`. Failing tests are counted, not thrown. Throws when no file matches. */
export async function runTests({ patterns, folder, concurrency, testMsMax, runMsMax }: TestRun, output: Writable): Promise<TestCounts> {
  const files = globSync([...patterns], { cwd: folder, exclude: ['**/node_modules/**'] }).sort();
  if (files.length === 0) throw new Error(`no test file matches ${patterns.join(' ')}`);
  // Inside a test, the runner takes this for its own child and would speak its wire format to it.
  delete process.env.NODE_TEST_CONTEXT;
  let counts = NO_TESTS;
  const events = run({
    files: files.map((file) => `${folder}/${file}`),
    cwd: folder,
    concurrency,
    timeout: testMsMax,
    signal: AbortSignal.timeout(runMsMax),
    // A file ends with its last test: a handle left open by one that timed out would otherwise keep the run waiting for ever.
    execArgv: ['--test-force-exit'],
  });
  events.on('test:summary', ({ file, counts: sum, duration_ms: durationMs }) => {
    // One per file comes too; the one without a file is over all of them.
    if (file !== undefined) return;
    const { tests, passed: pass, failed, cancelled, skipped, todo } = sum as typeof sum & { readonly failed?: number };
    counts = { tests, pass, fail: failed ?? tests - pass - cancelled - skipped - todo, cancelled, skipped, todo, durationMs };
  });
  const report = events.compose(new spec());
  report.pipe(output, { end: false });
  await once(report, 'end');
  return counts;
}

export function addCounts(a: TestCounts, b: TestCounts): TestCounts {
  return {
    tests: a.tests + b.tests,
    pass: a.pass + b.pass,
    fail: a.fail + b.fail,
    cancelled: a.cancelled + b.cancelled,
    skipped: a.skipped + b.skipped,
    todo: a.todo + b.todo,
    durationMs: a.durationMs + b.durationMs,
  };
}

/** Why a run is no success, or null. With `strict`, a test that did not run counts against it. */
export function verdict(counts: TestCounts, strict: boolean): string | null {
  if (counts.fail > 0 || counts.cancelled > 0) return `${counts.fail + counts.cancelled} tests failed`;
  if (counts.tests === 0) return 'no test ran';
  if (strict && counts.skipped + counts.todo > 0) return `${counts.skipped + counts.todo} tests were skipped, and none may be here`;
  return null;
}
