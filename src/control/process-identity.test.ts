import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isProcess, livingWorkers, removeWorkerList, startTimeOf, writeWorkerList } from './process-identity.ts';

test('startTimeOf() tells one process from another of its number, whatever its name', async () => {
  const mine = startTimeOf(process.pid);
  assert.match(String(mine), /^\d+$/);
  assert.equal(isProcess(process.pid, mine!), true);
  assert.equal(isProcess(process.pid, '1'), false);
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 31]) assert.equal(startTimeOf(pid), null);
  const child = spawn('/bin/sh', ['-c', 'exec sleep 30'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const started = startTimeOf(child.pid!);
  assert.notEqual(started, null);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isProcess(child.pid!, started!), false);
});

test('isProcess() takes nobody for dead because it cannot look', async () => {
  const script = `
    import { openSync } from 'node:fs';
    import { isProcess, startTimeOf } from ${JSON.stringify(new URL('process-identity.ts', import.meta.url).href)};
    const mine = startTimeOf(process.pid);
    try {
      for (;;) openSync('/dev/null');
    } catch {}
    let code = 'none';
    try {
      startTimeOf(process.pid);
    } catch (error) {
      code = error.code;
    }
    process.exitCode = code === 'EMFILE' && isProcess(process.pid, mine) && !isProcess(process.pid, mine, false) ? 0 : 1;
  `;
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('livingWorkers() reads the list that was left, and takes nonsense for none', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-list-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  assert.deepEqual(livingWorkers(directory), []);
  const me = { pid: process.pid, startTime: startTimeOf(process.pid)! };
  writeWorkerList(directory, [me, { pid: process.pid, startTime: '1' }]);
  assert.deepEqual(livingWorkers(directory), [me]);
  for (const text of ['', '{}', '[null, 1, {"pid":"x"}]', `[{"pid":${process.pid},"startTime":""}]`]) {
    writeFileSync(join(directory, 'workers.json'), text);
    assert.deepEqual(livingWorkers(directory), []);
  }
  removeWorkerList(directory);
  removeWorkerList(directory);
});
