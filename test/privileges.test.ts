/** Who runs what: a supervisor started as root becomes somebody else, and workers keep nothing. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { test } from 'node:test';
import { livingWorkers, startTimeOf } from '../src/control/process-identity.ts';
import { leaf } from './support/certificates.ts';
import { exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { PROGRAM, Tollgate, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const NOBODY = 65_534;

/** Lines of /proc/pid/status by name. */
function statusOf(pid: number): Map<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
}

test('workers have no new privileges and no core dumps, and their memory is closed to others', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1 });
  const { pid, workers } = await tollgate.status();
  const worker = workers[0]!.pid!;
  assert.equal(statusOf(worker).get('NoNewPrivs'), '1');
  for (const each of [pid, worker]) {
    assert.match(readFileSync(`/proc/${each}/limits`, 'utf8'), /^Max core file size +0 +0/m);
    // What is not dumpable belongs to root, whoever runs it.
    assert.equal(statSync(`/proc/${each}/environ`).uid, 0);
  }
});

test('a supervisor started as root becomes its user, and can still bind low ports and change what runs', async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('needs root');
    return;
  }
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-user-'));
  chmodSync(directory, 0o755);
  const { certificate, key } = leaf(['localhost']);
  // Keys that only root may read.
  for (const [path, name] of [
    [certificate, 'shop.pem'],
    [key, 'shop.key'],
  ] as const)
    writeFileSync(join(directory, name), readFileSync(path), { mode: 0o600 });
  const port = lowPort();
  const config = join(directory, 'tollgate.yaml');
  const text = `admin: { listen: off }
workers: 1
user: nobody
runtime: run
log: { access: off }
listeners:
  - name: web
    address: 127.0.0.1:${port}
    tls: { certificates: [{ certificate: shop.pem, key: shop.key }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`;
  writeFileSync(config, text);
  const child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TOLLGATE_DATA: join(directory, 'data') },
  });
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += String(data);
  });
  const runtime = join(directory, 'run');
  t.after(() => {
    for (const pid of [child.pid!, ...successors, ...livingWorkers(runtime).map((each) => each.pid)]) {
      if (startTimeOf(pid) !== null) process.kill(pid, 'SIGKILL');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  const successors: number[] = [];
  // The log is read meanwhile.
  const run = async (...args: string[]): Promise<string> => {
    const command = spawn(process.execPath, [PROGRAM, ...args, '--runtime', runtime]);
    const [out, said, [code]] = await Promise.all([readAll(command.stdout), readAll(command.stderr), once(command, 'close')]);
    assert.equal(code, 0, `${said}${errors}`);
    return out;
  };
  await until(() => {
    assert.equal(child.exitCode, null, errors);
    return errors.includes('tollgate serves');
  }, 30_000);
  assert.match(await exchange(port, CLOSE), /^HTTP\/1\.1 200 /);
  const status = JSON.parse(await run('status', '--json')) as { pid: number; workers: { pid: number }[] };
  const supervisor = statusOf(status.pid);
  const worker = statusOf(status.workers[0]!.pid);
  for (const who of [supervisor, worker]) {
    assert.equal(who.get('Uid')?.split('\t').join(), [NOBODY, NOBODY, NOBODY, NOBODY].join());
    assert.equal(who.get('CapInh'), '0000000000000000');
    assert.equal(who.get('CapAmb'), '0000000000000000');
  }
  assert.equal(supervisor.get('CapPrm'), '0000000000000400', 'CAP_NET_BIND_SERVICE alone');
  assert.equal(worker.get('CapPrm'), '0000000000000000');
  assert.equal(worker.get('CapEff'), '0000000000000000');
  // Another low port, and the program anew, are no affair of root's any more.
  for (const name of ['shop.pem', 'shop.key']) chmodSync(join(directory, name), 0o644);
  const second = lowPort();
  writeFileSync(config, text.replace('upstreams:', `  - { name: plain, address: "127.0.0.1:${second}", redirect: https }\nupstreams:`));
  assert.match(await run('reload'), /listeners\.plain/);
  successors.push((JSON.parse(await run('upgrade', '--json')) as { pid: number }).pid);
  assert.match(await exchange(port, CLOSE), /^HTTP\/1\.1 200 /);
  await run('stop');
});

test('a user that does not exist is one sentence', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-user-'));
  const config = join(directory, 'tollgate.yaml');
  writeFileSync(config, 'user: nobody-of-that-name\nlisteners: [{ name: a, address: "127.0.0.1:1", redirect: https }]\n');
  const run = spawnSync(process.execPath, [PROGRAM, 'run', '--config', config], {
    encoding: 'utf8',
    env: { ...process.env, TOLLGATE_DATA: directory },
  });
  rmSync(directory, { recursive: true, force: true });
  if (process.getuid?.() !== 0) return;
  assert.equal(run.status, 1);
  assert.match(run.stderr, /user: there is no user 'nobody-of-that-name' in \/etc\/passwd/);
});

let next = 700 + (process.pid % 200);

/** A port below 1024 that nobody has. */
function lowPort(): number {
  const taken = readFileSync('/proc/net/tcp', 'utf8');
  do next++;
  while (taken.includes(`:${next.toString(16).toUpperCase().padStart(4, '0')} `));
  return next;
}
