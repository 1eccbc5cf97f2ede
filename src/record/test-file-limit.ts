/** Run by log-writer.test.ts: writes lines into the file it is given, which cannot grow beyond a bound, and tells how many went where. */
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { ProcessLock } from '../native/log-output.ts';
import { C_LOG_LINES, C_LOG_LINES_LOST, COUNTER_PLACES } from '../plan/counters.ts';
import { FileSink } from './log-sinks.ts';
import { LogWriter } from './log-writer.ts';

const FILE_BYTES_MAX = 300_007;
const LINES = 10_000;

const path = process.argv[2]!;
execFileSync('prlimit', [`--fsize=${FILE_BYTES_MAX}:${FILE_BYTES_MAX}`, '--pid', String(process.pid)]);
const counters = new Float64Array(COUNTER_PLACES);
const lock = new ProcessLock(openSync(`${path}.lock`, 'w'));
const writer = new LogWriter(new FileSink(openSync(path, 'a'), lock), counters);
for (let i = 0; i < LINES; i++) {
  const batch = writer.reserve();
  if (batch === null) continue;
  writer.commit(batch, batch.at + batch.bytes.latin1Write(`line ${String(i).padStart(6, '0')} ${'x'.repeat(100)}\n`, batch.at));
}
writer.end(() => {
  const [written, lost] = [counters[C_LOG_LINES]!, counters[C_LOG_LINES_LOST]!];
  if (written + lost !== LINES) throw new Error(`${written} written and ${lost} lost are not ${LINES}`);
  process.send?.([written, lost]);
});
