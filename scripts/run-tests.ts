/**
 * Runs test files under Node's own runner, each in a process of its own, and adds up what they say.
 *
 * Owns the way tests are run, so that `check` and `test` cannot differ in it. Knows no test. Every file has a limit, because the
 * runner's own is for a test: one that timed out and left a handle open keeps its process for ever. `--test-force-exit` would end it,
 * but it cuts off what the process has not written yet: tests, failed ones too, were missing from the report.
 */
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';

export interface TestRun {
  /** Globs of test files, relative to `folder`. */
  readonly patterns: readonly string[];
  readonly folder: string;
  /** Files run at once. */
  readonly concurrency: number;
  /** Globs of those among them that run behind all others, one at a time. */
  readonly alone?: readonly string[];
  /** Longest time for one test. Milliseconds. */
  readonly testMsMax: number;
  /** Longest time for one file; then its process is ended, and it counts as failed. Milliseconds. */
  readonly fileMsMax: number;
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

/** Runs the files and writes Node's report to `output`. Failing tests are counted, not thrown. Throws when a glob matches no file. */
export async function runTests(tests: TestRun, output: Writable): Promise<TestCounts> {
  const { patterns, folder, concurrency, alone = [], testMsMax, fileMsMax } = tests;
  const last = new Set(alone.flatMap((pattern) => filesOf([pattern], folder)));
  const files = filesOf(patterns, folder).sort((a, b) => Number(last.has(a)) - Number(last.has(b)));
  // Inside a test, the runner takes this for its own child and would speak its wire format to it.
  delete process.env.NODE_TEST_CONTEXT;
  // Every test starts programs of the same few hundred files: compiling them is a third of a start.
  process.env.NODE_COMPILE_CACHE = join(folder, 'node_modules', '.cache', 'compile');
  const from = performance.now();
  const results = files.map(() => Promise.withResolvers<FileResult>());
  let next = 0;
  const worker = async (end: number) => {
    while (next < end) {
      const index = next++;
      results[index]!.resolve(await runFile(join(folder, files[index]!), folder, testMsMax, fileMsMax));
    }
  };
  const together = files.length - last.size;
  void Promise.all(Array.from({ length: concurrency }, () => worker(together))).then(() => worker(files.length));

  let counts = NO_TESTS;
  const events = async function* (): AsyncGenerator<TestEvent> {
    // In the order of the files, each whole, whichever ends first.
    for (const { promise } of results) {
      const result = await promise;
      counts = addCounts(counts, result.counts);
      yield* result.events;
    }
  };
  const report = Readable.from(events()).compose(new spec());
  report.pipe(output, { end: false });
  await once(report, 'end');
  counts = { ...counts, durationMs: performance.now() - from };
  output.write(`${countLines(counts)}\n`);
  return counts;
}

function filesOf(patterns: readonly string[], folder: string): string[] {
  const files = globSync([...patterns], { cwd: folder, exclude: ['**/node_modules/**'] }).sort();
  if (files.length === 0) throw new Error(`no test file matches ${patterns.join(' ')}`);
  return files;
}

interface FileResult {
  readonly events: readonly TestEvent[];
  readonly counts: TestCounts;
}

async function runFile(file: string, folder: string, testMsMax: number, fileMsMax: number): Promise<FileResult> {
  const events: TestEvent[] = [];
  let counts: TestCounts | null = null;
  for await (const event of run({ files: [file], cwd: folder, timeout: testMsMax, signal: AbortSignal.timeout(fileMsMax) })) {
    if (event.type === 'test:summary') {
      // One for the file may come too; the one without a file is over all that ran.
      if (event.data.file !== undefined) continue;
      const { tests, passed: pass, cancelled, skipped, todo } = event.data.counts;
      counts = { tests, pass, fail: tests - pass - cancelled - skipped - todo, cancelled, skipped, todo, durationMs: 0 };
      // A run that says it failed did, whatever its numbers say.
      if (!event.data.success && counts.fail + cancelled === 0) counts = { ...counts, fail: 1 };
    } else if (!isClosingLine(event)) {
      events.push(event);
    }
  }
  return { events, counts: counts ?? { ...NO_TESTS, fail: 1 } };
}

/** The runner's own totals, which it sends as remarks of no test. */
function isClosingLine(event: TestEvent): boolean {
  if (event.type !== 'test:diagnostic' || event.data.nesting !== 0) return false;
  return /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(event.data.message);
}

/** The totals as Node prints them. */
export function countLines({ tests, pass, fail, cancelled, skipped, todo, durationMs }: TestCounts): string {
  const rows = { tests, pass, fail, cancelled, skipped, todo, duration_ms: Math.round(durationMs) };
  return Object.entries(rows)
    .map(([name, value]) => `ℹ ${name} ${value}`)
    .join('\n');
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
