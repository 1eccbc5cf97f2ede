import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LOG_PENDING_BYTES_MAX } from '../base/limits.ts';
import { ProcessLock } from '../native/log-output.ts';
import { C_LOG_LINES, C_LOG_LINES_LOST, COUNTER_PLACES } from '../plan/counters.ts';
import { FileSink, LostSink, StreamSink } from './log-sinks.ts';
import { LogWriter } from './log-writer.ts';

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'tollgate-log-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function end(writer: LogWriter): Promise<void> {
  return new Promise((resolve) => writer.end(resolve));
}

/** False when the line was dropped. */
function say(writer: LogWriter, line: string): boolean {
  const batch = writer.reserve();
  if (batch === null) return false;
  writer.commit(batch, batch.at + batch.bytes.write(`${line}\n`, batch.at));
  return true;
}

function fifo(t: TestContext): { fd: number; reader: number } {
  const path = join(directory(t), 'fifo');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  return { fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), reader };
}

function readAll(reader: number): string {
  const bytes = Buffer.alloc(65_536);
  let text = '';
  for (;;) {
    try {
      const n = readSync(reader, bytes);
      if (n === 0) return text;
      text += bytes.latin1Slice(0, n);
    } catch {
      return text;
    }
  }
}

test('LogWriter keeps every line over many batches, whole and in order', async (t) => {
  const path = join(directory(t), 'log');
  const counters = new Float64Array(COUNTER_PLACES);
  const lockFile = openSync(join(directory(t), 'lock'), 'w');
  const writer = new LogWriter(new FileSink(openSync(path, 'a'), new ProcessLock(lockFile)), counters);
  for (let i = 0; i < 20_000; i++) assert.ok(say(writer, `line ${i}`));
  await end(writer);
  closeSync(lockFile);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    lines,
    Array.from({ length: 20_000 }, (_, i) => `line ${i}`),
  );
  assert.equal(counters[C_LOG_LINES], 20_000);
  assert.equal(counters[C_LOG_LINES_LOST], 0);
});

test('LogWriter drops and counts lines past its bound, and lines a destination refuses', async () => {
  const counters = new Float64Array(COUNTER_PLACES);
  const writer = new LogWriter(new FileSink(openSync('/dev/full', 'w'), null), counters);
  const text = 'x'.repeat(1_000);
  const lines = Math.ceil((2 * LOG_PENDING_BYTES_MAX) / text.length);
  let refused = 0;
  for (let i = 0; i < lines; i++) if (!say(writer, text)) refused++;
  assert.ok(refused > 0);
  await end(writer);
  assert.equal(counters[C_LOG_LINES], 0);
  assert.equal(counters[C_LOG_LINES_LOST], lines);
});

test('LogWriter without a destination counts', async () => {
  const counters = new Float64Array(COUNTER_PLACES);
  const writer = new LogWriter(new LostSink(), counters);
  for (let i = 0; i < 3; i++) say(writer, 'x');
  await end(writer);
  assert.equal(counters[C_LOG_LINES_LOST], 3);
});

test('LogWriter leaves only whole lines in a file that cannot grow, and counts the others exactly', async (t) => {
  const made = directory(t);
  const path = join(made, 'log');
  // In a process of its own, under a bound on the size of its files that falls into the middle of a line.
  const child = fork(new URL('test-file-limit.ts', import.meta.url), [path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [written, lost] = await new Promise<[number, number]>((resolve) =>
    child.once('message', (told) => resolve(told as [number, number])),
  );
  const text = readFileSync(path, 'utf8');
  assert.ok(text.endsWith('\n'));
  const lines = text.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^line \d{6} x{100}$/);
  assert.ok(lost > 0 && written > 0);
  assert.equal(lines.length, written);
});

test('LogWriter never waits for a reader of a pipe, keeps lines whole, and counts what did not fit', async (t) => {
  const { fd, reader } = fifo(t);
  const counters = new Float64Array(COUNTER_PLACES);
  const writer = new LogWriter(new StreamSink(fd, false), counters);
  const text = 'y'.repeat(700);
  let told = 0;
  for (; counters[C_LOG_LINES_LOST] === 0; told++) say(writer, `${told} ${text}`);
  let got = readAll(reader);
  for (let i = 0; i < 10; i++) {
    writer.flush();
    got += readAll(reader);
  }
  await end(writer);
  got += readAll(reader);
  const lines = got.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^\d+ y{700}$/);
  assert.equal(lines.length, counters[C_LOG_LINES]);
  assert.equal(told, counters[C_LOG_LINES]! + counters[C_LOG_LINES_LOST]!);
});

test('LogWriter counts what a pipe without a reader does not take', async (t) => {
  const { fd, reader } = fifo(t);
  void reader;
  const path = `/proc/self/fd/${fd}`;
  const writeOnly = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const counters = new Float64Array(COUNTER_PLACES);
  const writer = new LogWriter(new StreamSink(writeOnly, false), counters);
  closeSync(fd);
  say(writer, 'heard');
  writer.flush();
  assert.equal(readAll(reader), 'heard\n');
  await end(writer);
  assert.equal(counters[C_LOG_LINES], 1);
});

test('ProcessLock keeps other processes out, and a second taker of this one', (t) => {
  const path = join(directory(t), 'lock');
  const fd = openSync(path, 'w');
  const lock = new ProcessLock(fd);
  assert.equal(lock.take(), true);
  assert.equal(lock.take(), false);
  const script = `
    const { ProcessLock } = await import(${JSON.stringify(new URL('../native/log-output.ts', import.meta.url).href)});
    process.stdout.write(String(new ProcessLock((await import('node:fs')).openSync(${JSON.stringify(path)}, 'r+')).take()));`;
  const other = (): string => execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(other(), 'false');
  lock.give();
  assert.equal(other(), 'true');
  closeSync(fd);
});
