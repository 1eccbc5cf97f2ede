/** Supervisor and workers: deaths, stalls, and ends, seen from outside. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startTimeOf } from '../src/control/process-identity.ts';
import { Client, exchange } from './support/client.ts';
import { ledger } from './support/ledger.ts';
import { httpOrigin } from './support/origin.ts';
import { PROGRAM, Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** Whether nobody listens on `port` any more. */
async function refuses(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

test('a worker killed under load loses its own connections alone, and is replaced at once', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  const clients = await Promise.all(Array.from({ length: 40 }, () => new Client(tollgate.port).open()));
  let stop = false;
  const served = new Map(clients.map((client) => [client, 0]));
  const loads = clients.map(async (client) => {
    while (!stop && client.failure === null && !client.closed && !client.ended) {
      const before = client.received.length;
      client.send(GET);
      await client.wait(() => client.received.length > before || client.ended || client.closed || client.failure !== null);
      served.set(client, served.get(client)! + 1);
    }
  });
  await until(() => [...served.values()].every((count) => count > 3));
  const before = await tollgate.status();
  const [victim, other] = before.workers;
  assert.equal(victim!.connections + other!.connections, 40);
  const killedMs = Date.now();
  process.kill(victim!.pid!, 'SIGKILL');
  // New connections are served all the while: the neighbour, or the next worker, accepts from the dead one's sockets.
  let refused = 0;
  let answered = 0;
  // For as long as a worker takes to be replaced; on a machine with much else to do, for more of it.
  while ((Date.now() - killedMs < 1_500 || answered <= 20) && refused <= 1) {
    const text = await exchange(tollgate.port, CLOSE).catch(() => '');
    if (text.startsWith('HTTP/1.1 200')) answered++;
    else refused++;
  }
  // What the dead worker had accepted and not served is lost with it; one of ours at most was there.
  assert.ok(refused <= 1, `${refused} lost, ${answered} answered`);
  await until(async () => (await tollgate.status()).workers[0]!.serves);
  const after = await tollgate.status();
  assert.equal(after.workers[0]!.restarts, 1);
  assert.notEqual(after.workers[0]!.pid, victim!.pid);
  assert.equal(after.workers[0]!.serves, true);
  assert.equal(after.workers[1]!.pid, other!.pid);
  stop = true;
  await Promise.all(loads);
  const lost = clients.filter((client) => client.ended || client.closed).length;
  assert.equal(lost, victim!.connections);
  // At once: how long a process takes to start is the machine's affair.
  assert.match(tollgate.errors, /"restartInMs":0,"message":"worker ended; starting another"/);
  assert.match(tollgate.errors, /"message":"worker replaced"/);
  for (const client of clients) client.close();
});

test('counters never fall when a worker dies', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  for (let i = 0; i < 5; i++) await exchange(tollgate.port, CLOSE);
  const before = await tollgate.metrics();
  process.kill((await tollgate.status()).workers[0]!.pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers[0]!.restarts === 1 && (await tollgate.status()).workers[0]!.serves);
  await exchange(tollgate.port, CLOSE);
  const after = await tollgate.metrics();
  assert.equal(before.get('tollgate_requests_total'), 5);
  assert.equal(after.get('tollgate_requests_total'), 6);
  assert.equal(after.get('tollgate_worker_restarts_total{worker="0"}'), 1);
});

test('a worker that does not turn its loop is replaced', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  // Ready means that one worker serves; one that is stopped while it starts is given more time.
  await until(async () => (await tollgate.status()).workers[1]!.serves);
  const stuck = (await tollgate.status()).workers[1]!.pid!;
  process.kill(stuck, 'SIGSTOP');
  await until(async () => (await tollgate.status()).workers[1]!.restarts === 1 && (await tollgate.status()).workers[1]!.serves, 20_000);
  assert.match(tollgate.errors, /does not turn its loop/);
  assert.match(await exchange(tollgate.port, CLOSE), /^HTTP\/1\.1 200 /);
});

test('SIGTERM drains: what is under way finishes, what is idle is closed, nothing new is taken, exit 0', async (t) => {
  const release = Promise.withResolvers<void>();
  const origin = await httpOrigin(t, (request, response) => {
    if (request.url === '/') response.end('ok');
    else void release.promise.then(() => response.end('finished'));
  });
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  const idle = await new Client(tollgate.port).open();
  await idle.send(GET).until('ok');
  const busy = await new Client(tollgate.port).open();
  busy.send('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => origin.requests.length === 2);
  tollgate.child.kill('SIGTERM');
  assert.doesNotMatch(await idle.all(), /finished/);
  await until(() => refuses(tollgate.port));
  release.resolve();
  const text = await busy.all();
  assert.match(text, /finished$/);
  assert.match(text, /Connection: close/);
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  assert.equal(tollgate.accessLog().length, 2);
});

test('SIGTERM while workers hang in their start ends them too', async (t) => {
  const hang = '--import=data:text/javascript,for(;;);';
  const tollgate = await Tollgate.start(t, { to: 1, workers: 2, nodeFlags: hang, path: 'healthz' });
  await until(async () => (await tollgate.status()).workers.every((worker) => worker.pid !== null));
  const pids = (await tollgate.status()).workers.map((worker) => worker.pid!);
  tollgate.child.kill('SIGTERM');
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  for (const pid of pids) assert.equal(existsSync(`/proc/${pid}`), false);
});

test('a second SIGTERM ends at once', async (t) => {
  const origin = await httpOrigin(t, (_request, _response) => {});
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const client = await new Client(tollgate.port).open();
  client.send(GET);
  await until(() => origin.requests.length === 1);
  tollgate.child.kill('SIGTERM');
  await until(async () => await fetch(`http://127.0.0.1:${tollgate.adminPort}/readyz`).then((answer) => answer.status === 503));
  tollgate.child.kill('SIGTERM');
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  client.close();
});

test('the control socket is for this user alone, nonsense on it harms nobody, and nothing is left at the end', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1 });
  const directory = `${tollgate.directory}/run`;
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(`${directory}/control.sock`).mode & 0o777, 0o600);
  for (const nonsense of [
    Buffer.alloc(4, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(100_000),
    Buffer.from([6, 0, 0, 0, 2, 0, 0, 0, 0x7b, 0x7d]),
  ]) {
    const socket = connect(`${directory}/control.sock`);
    socket.on('error', () => {});
    socket.on('connect', () => socket.write(nonsense));
    await new Promise((resolve) => socket.once('close', resolve).resume());
  }
  assert.match(tollgate.command('status', '--runtime', directory), /WORKERS\n {2}0 {2}pid \d+ {2}serves/);
  const status = JSON.parse(tollgate.command('status', '--json', '--runtime', directory)) as { pid: number; listeners: unknown[] };
  assert.equal(status.pid, tollgate.child.pid);
  assert.match(tollgate.command('stop', '--runtime', directory), /drains/);
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  assert.throws(() => statSync(`${directory}/control.sock`), /ENOENT/);
  assert.throws(() => tollgate.command('status', '--runtime', directory), /no tollgate runs in/);
});

test('workers have no descriptor that a child of theirs would inherit, and no environment', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1, environment: { NODE_COMPILE_CACHE: '' } });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  assert.equal(readFileSync(`/proc/${worker}/environ`).length, 0);
  const linkOf = (fd: number): string => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  for (const fd of readdirSync(`/proc/${worker}/fdinfo`)) {
    // What this test process itself was born with comes from its own environment.
    if (Number(fd) <= 2 || readlinkSync(`/proc/${worker}/fd/${fd}`) === linkOf(Number(fd))) continue;
    const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${worker}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8);
    assert.ok((flags & 0o2000000) !== 0, `descriptor ${fd} is CLOEXEC`);
  }
});

test('a taken port, a taken admin address and a taken runtime directory are one sentence each', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1 });
  const config = readFileSync(`${tollgate.directory}/tollgate.yaml`, 'utf8');
  const attempt = async (text: string): Promise<string> => {
    const path = `${tollgate.directory}/other.yaml`;
    writeFileSync(path, text);
    const run = spawnSync(process.execPath, [PROGRAM, 'run', '--config', path], { encoding: 'utf8', timeout: 30_000 });
    assert.equal(run.status, 1, run.stderr);
    return run.stderr.trim().split('\n').at(-1) ?? '';
  };
  assert.match(await attempt(config), /another tollgate runs in/);
  const elsewhere = config.replace('/run\n', '/run2\n');
  assert.match(await attempt(elsewhere), /the admin address .* cannot be had: another process has it/);
  const noAdmin = elsewhere.replace(/admin: .*\n/, 'admin: { listen: off }\n');
  assert.match(await attempt(noAdmin), /listener web cannot have 127\.0\.0\.1:\d+: another process has it/);
  assert.match(await exchange(tollgate.port, CLOSE), /^HTTP\/1\.1 502 /);
});

/** Where a command of this instance's looks. */
function runtime(tollgate: Tollgate): string[] {
  return ['--runtime', `${tollgate.directory}/run`];
}

test('workers whose supervisor is killed serve on, and the next one adopts them and their sockets', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves));
  const before = await tollgate.status();
  const idle = await new Client(tollgate.port).open();
  await idle.send(GET).until('ok');
  const load = ledger(t, tollgate.port, 6);
  tollgate.child.kill('SIGKILL');
  await tollgate.ended();
  const soFar = load.tally.answered;
  await until(() => load.tally.answered > soFar + 50);
  await tollgate.restart();
  const after = await tollgate.status();
  assert.deepEqual(
    after.workers.map(({ pid, serves, restarts }) => ({ pid, serves, restarts })),
    before.workers.map(({ pid }) => ({ pid, serves: true, restarts: 0 })),
  );
  assert.ok(after.requests.total >= soFar, 'their counts go on');
  const [victim] = after.workers;
  // One that was adopted is looked after as any other.
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  const from = idle.text.length;
  await idle.send(GET).wait(() => idle.text.slice(from).includes('ok'));
  idle.close();
  process.kill(victim!.pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers[0]!.restarts === 1 && (await tollgate.status()).workers[0]!.serves);
  assert.match(await exchange(tollgate.port, CLOSE), /^HTTP\/1\.1 200 /);
  assert.match(tollgate.command('reload', ...runtime(tollgate)), /nothing differs\nconfiguration \d+ runs/);
  tollgate.child.kill('SIGTERM');
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  await until(() => startTimeOf(before.workers[1]!.pid!) === null);
});

test('a worker that dies while there is no supervisor leaves its sockets to the others, and the next supervisor replaces it', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves));
  const [victim, other] = (await tollgate.status()).workers.map(({ pid }) => pid!);
  const score = (pid: number): number => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));
  // Out of memory the kernel takes a worker before its supervisor, so that this stays rare.
  assert.ok(score(victim!) > score(tollgate.child.pid!));
  tollgate.child.kill('SIGKILL');
  await tollgate.ended();
  process.kill(victim!, 'SIGKILL');
  await until(() => startTimeOf(victim!) === null);
  // The kernel gives half of these to the socket of the one that is dead.
  const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(tollgate.port, CLOSE)));
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 200 /);
  await tollgate.restart();
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves));
  const after = (await tollgate.status()).workers.map(({ pid }) => pid!);
  assert.ok(after.includes(other!) && !after.includes(victim!));
  for (let i = 0; i < 20; i++) assert.match(await exchange(tollgate.port, CLOSE), /^HTTP\/1\.1 200 /);
});

test('workers without a supervisor are ended by tollgate stop', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  const pids = (await tollgate.status()).workers.map(({ pid }) => pid!);
  tollgate.child.kill('SIGKILL');
  await tollgate.ended();
  assert.match(await exchange(tollgate.port, CLOSE), /^HTTP\/1\.1 200 /);
  assert.match(tollgate.command('stop', ...runtime(tollgate)), /2 workers without a supervisor drain/);
  await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  assert.equal(await refuses(tollgate.port), true);
});
