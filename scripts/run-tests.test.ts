import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { addCounts, countLines, NO_TESTS, runTests, type TestCounts, verdict } from './run-tests.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-run-tests-'));
after(() => rmSync(folder, { recursive: true }));

async function runFiles(files: Readonly<Record<string, string>>, limits: { testMsMax: number; fileMsMax: number }) {
  for (const [name, source] of Object.entries(files)) writeFileSync(join(folder, name), source);
  const output = new PassThrough();
  const report = text(output);
  const counts = await runTests({ patterns: Object.keys(files), folder, concurrency: 2, ...limits }, output);
  output.end();
  return { counts, report: await report };
}

const PLENTY = { testMsMax: 60_000, fileMsMax: 60_000 };
const IMPORT = "import { test } from 'node:test';\n";

test('runTests() counts what passed, failed, was skipped and is to do, over all files', async () => {
  const { counts, report } = await runFiles(
    {
      'mixed.test.ts': `${IMPORT}test('a', () => {});\ntest('b', () => { throw new Error('broken b'); });\ntest('c', { skip: true }, () => {});\n`,
      'todo.test.ts': `${IMPORT}test('d', { todo: true }, () => {});\ntest('e', () => {});\n`,
    },
    PLENTY,
  );
  const { durationMs, ...rest } = counts;
  assert.ok(durationMs > 0);
  assert.deepEqual(rest, { tests: 5, pass: 2, fail: 1, cancelled: 0, skipped: 1, todo: 1 });
  assert.match(report, /broken b/);
});

test('runTests() counts a file that does not load as a failure', async () => {
  const { counts } = await runFiles({ 'broken.test.ts': `${IMPORT}test('a', () => {});\nthrow new Error('load');\n` }, PLENTY);
  assert.ok(verdict(counts, false) !== null);
});

test('runTests() ends a test that hangs, and then the process that its open handle keeps', async () => {
  const source = `${IMPORT}test('hangs', async () => { setInterval(() => {}, 1000); await new Promise(() => {}); });\ntest('goes on', () => {});\n`;
  const { counts } = await runFiles({ 'hangs.test.ts': source }, { testMsMax: 500, fileMsMax: 3_000 });
  assert.equal(counts.pass, 1);
  assert.ok(counts.cancelled + counts.fail >= 1);
});

test('runTests() ends a file that hangs before its first test', async () => {
  const source = `${IMPORT}setInterval(() => {}, 1000);\nawait new Promise(() => {});\ntest('never', () => {});\n`;
  const { counts } = await runFiles({ 'never.test.ts': source }, { testMsMax: 60_000, fileMsMax: 1_500 });
  assert.ok(verdict(counts, false) !== null);
});

test('runTests() loses no test of a file that says much at once', async () => {
  const source = `${IMPORT}for (let i = 0; i < 500; i++) test('t' + i, (t) => t.diagnostic('x'.repeat(1_000)));\n`;
  const { counts } = await runFiles({ 'many-a.test.ts': source, 'many-b.test.ts': source }, PLENTY);
  assert.equal(counts.tests, 1_000);
  assert.equal(counts.pass, 1_000);
});

test('runTests() reports in the order of the files, with one set of totals at the end', async () => {
  const { counts, report } = await runFiles(
    {
      'order-a.test.ts': `${IMPORT}test('first', async () => { await new Promise((done) => setTimeout(done, 200)); });\n`,
      'order-b.test.ts': `${IMPORT}test('second', () => {});\n`,
    },
    PLENTY,
  );
  assert.ok(report.indexOf('first') < report.indexOf('second'));
  assert.equal(report.match(/^ℹ tests /gm)?.length, 1);
  assert.ok(report.endsWith(`${countLines(counts)}\n`));
});

test('runTests() runs some files alone, behind all others', async () => {
  const log = join(folder, 'log');
  const source = (name: string): string =>
    `${IMPORT}import { appendFileSync } from 'node:fs';\ntest('x', async () => { appendFileSync('${log}', '${name}('); await new Promise((resolve) => setTimeout(resolve, 300)); appendFileSync('${log}', '${name})'); });\n`;
  for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(folder, `order-${name}.test.ts`), source(name));
  const output = new PassThrough();
  const report = text(output);
  const alone = ['order-a.test.ts', 'order-[c]*'];
  const counts = await runTests({ patterns: ['order-*'], alone, folder, concurrency: 2, ...PLENTY }, output);
  output.end();
  await report;
  assert.equal(counts.pass, 4);
  const said = readFileSync(log, 'utf8');
  assert.deepEqual([said.slice(0, -8).match(/[bd]\(/g)?.length, said.slice(-8)], [2, 'a(a)c(c)']);
  const absent = { patterns: ['order-*'], alone: ['absent'], folder, concurrency: 1, ...PLENTY };
  await assert.rejects(runTests(absent, new PassThrough()), /no test file matches absent/);
});

test('runTests() refuses patterns that match nothing', async () => {
  const nothing = { patterns: ['absent/**/*.test.ts'], folder, concurrency: 1, ...PLENTY };
  await assert.rejects(runTests(nothing, new PassThrough()), /no test file matches absent/);
});

test('verdict() fails on failures and on nothing run, and on skipped tests only where it is strict', () => {
  const passed: TestCounts = { ...NO_TESTS, tests: 3, pass: 3 };
  assert.equal(verdict(passed, true), null);
  assert.equal(verdict({ ...passed, skipped: 1 }, false), null);
  assert.match(verdict({ ...passed, skipped: 1, todo: 1 }, true) ?? '', /^2 tests were skipped/);
  assert.match(verdict({ ...passed, fail: 1, cancelled: 1 }, false) ?? '', /^2 tests failed/);
  assert.match(verdict(NO_TESTS, false) ?? '', /no test ran/);
});

test('addCounts() adds every column', () => {
  const one: TestCounts = { tests: 1, pass: 2, fail: 3, cancelled: 4, skipped: 5, todo: 6, durationMs: 7 };
  assert.deepEqual(addCounts(one, one), { tests: 2, pass: 4, fail: 6, cancelled: 8, skipped: 10, todo: 12, durationMs: 14 });
});
