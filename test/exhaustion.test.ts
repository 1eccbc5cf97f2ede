/** What runs out: descriptors, memory, disk. Who comes then is refused at once; who is in is served on; and it is over when there is some again. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { Client } from './support/client.ts';
import { echoOrigin, Site } from './support/site.ts';
import { smallDisk } from './support/small-disk.ts';
import { ROOT, residentBytes, Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const UPGRADE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

/** Who is in before anything runs out: a connection that is kept, and a tunnel. */
class Residents {
  readonly kept: Client;
  readonly tunnel: Client;
  #said = 0;

  private constructor(kept: Client, tunnel: Client) {
    this.kept = kept;
    this.tunnel = tunnel;
  }

  static async enter(t: TestContext, port: number): Promise<Residents> {
    const kept = await new Client(port).open();
    const tunnel = await new Client(port).open();
    t.after(() => kept.close());
    t.after(() => tunnel.close());
    const residents = new Residents(kept, tunnel);
    await tunnel.send(UPGRADE).until('101 Switching');
    await residents.live();
    return residents;
  }

  /** Both are served. */
  async live(): Promise<void> {
    const word = `word ${++this.#said};`;
    this.tunnel.send(word);
    this.kept.received = Buffer.alloc(0);
    assert.match(await this.kept.send(GET).until('\r\n\r\nok'), /^HTTP\/1\.1 200 /);
    await this.tunnel.until(word);
  }
}

/** Clients that begin a handshake and say no more; `closed` are those that were shown the door. */
class Crowd {
  readonly sockets: Socket[] = [];
  closed = 0;

  add(port: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from([0x16, 3, 1])));
      socket.on('error', () => {});
      socket.on('close', () => this.closed++);
      socket.resume();
      this.sockets.push(socket);
    }
  }

  leave(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A newcomer is not left waiting: closed, without a word. */
async function refused(port: number): Promise<void> {
  const client = new Client(port);
  await client.wait(() => client.closed || client.secured);
  assert.equal(client.secured, false, 'a newcomer is refused');
}

async function served(port: number): Promise<void> {
  const client = await new Client(port).open();
  assert.match(await client.send(GET).until('\r\n\r\nok'), /^HTTP\/1\.1 200 /);
  client.close();
}

/** As `served`, once it goes again: limits are looked at now and then. */
async function servedAgain(port: number): Promise<void> {
  await until(async () => {
    const client = new Client(port);
    await client.wait(() => client.closed || client.secured);
    client.close();
    return client.secured;
  });
  await served(port);
}

/** Nothing happens, and so nothing is done: turns of the loop in a second. */
async function turnsInASecond(tollgate: Tollgate): Promise<number> {
  const name = 'tollgate_loop_turns_total';
  const before = (await tollgate.metrics()).get(name)!;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return (await tollgate.metrics()).get(name)! - before;
}

function limitDescriptors(pid: number, most: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`]);
}

const SLOW_HANDSHAKES = 'timeouts: { handshake: 2m }';

test('out of descriptors, newcomers are refused, and those who are in are served, with new connections to their servers too', async (t) => {
  const origin = await echoOrigin(t);
  const under = ['prlimit', '--nofile=128:128'];
  const tollgate = await Tollgate.start(t, { to: origin.port, extra: SLOW_HANDSHAKES, under });
  const residents = await Residents.enter(t, tollgate.port);
  const crowd = new Crowd();
  t.after(() => crowd.leave());
  crowd.add(tollgate.port, 300);
  await until(async () => crowd.closed > 150 && crowd.closed + (await tollgate.status()).connections.open === 302);
  await residents.live();
  await refused(tollgate.port);
  // Kept connections to the server are gone: what is needed to serve is held back for those who are in.
  for (const socket of origin.sockets.slice(1)) socket.destroy();
  origin.sockets[0]!.destroy();
  const late = residents.kept;
  late.received = Buffer.alloc(0);
  assert.match(await late.send(GET).until('\r\n\r\nok'), /^HTTP\/1\.1 200 /);
  assert.ok((await turnsInASecond(tollgate)) < 50, 'nothing spins');
  const metrics = await tollgate.metrics();
  const refusals = metrics.get('tollgate_limit_hits_total{limit="descriptors"}')!;
  assert.ok(refusals >= crowd.closed, String(refusals));
  assert.equal(metrics.get('tollgate_faults_total{reason="descriptors",culprit="us"}'), refusals);
  assert.equal(metrics.get('tollgate_process_max_fds{process="0"}'), 128);
  crowd.leave();
  await servedAgain(tollgate.port);
  const [worker] = (await tollgate.status()).workers;
  assert.equal(worker?.restarts, 0);
});

test('a worker with no descriptor left at all lives: newcomers are refused, a request that needs a connection is 503, the others go on', async (t) => {
  const origin = await echoOrigin(t);
  const tollgate = await Tollgate.start(t, { to: origin.port, extra: SLOW_HANDSHAKES });
  const { pid } = (await tollgate.status()).workers[0]!;
  const residents = await Residents.enter(t, tollgate.port);
  const [first, second] = [await new Client(tollgate.port).open(), await new Client(tollgate.port).open()];
  t.after(() => first.close());
  t.after(() => second.close());
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (taken.has(free)) free++;
  limitDescriptors(pid!, free);
  const crowd = new Crowd();
  t.after(() => crowd.leave());
  crowd.add(tollgate.port, 200);
  const name = 'tollgate_limit_hits_total{limit="descriptors"}';
  await until(async () => (await tollgate.metrics()).get(name)! > 100);
  await residents.live();
  await refused(tollgate.port);
  // The kept connection to the server is taken by one of them; the other has none, and cannot get one.
  await first.send(UPGRADE).until('101 Switching');
  assert.match(await second.send(GET).until('\r\n\r\n'), /^HTTP\/1\.1 503 /);
  await first.send('through').until('through');
  await until(() => tollgate.accessLog().some(({ status, reason }) => status === 503 && reason === 'descriptors'));
  assert.ok((await turnsInASecond(tollgate)) < 50, 'nothing spins');
  limitDescriptors(pid!, 1_024);
  crowd.leave();
  await servedAgain(tollgate.port);
  await residents.live();
  const [worker] = (await tollgate.status()).workers;
  assert.deepEqual([worker?.pid, worker?.restarts], [pid, 0]);
});

test('out of local ports, a request is 503 and says why, other servers and open connections go on, and it is over when one is free', async () => {
  const scenario = join(ROOT, 'test/support/local-ports.ts');
  const commands = `ip link set lo up && echo "40000 40007" > /proc/sys/net/ipv4/ip_local_port_range && exec "$@"`;
  const alone = process.getuid?.() === 0 ? ['--net'] : ['--net', '--map-root-user'];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn('unshare', [...alone, 'sh', '-c', commands, 'sh', process.execPath, scenario], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.equal(code, 0, `${out}${errors}`);
});

test('past limits.memory newcomers are refused and counted, and those who are in are served, until there is some again', async (t) => {
  const origin = await echoOrigin(t);
  const tollgate = await Tollgate.start(t, { to: origin.port, extra: 'limits: { memory: 4GiB }' });
  const site = new Site(tollgate);
  const residents = await Residents.enter(t, tollgate.port);
  const { pid } = (await tollgate.status()).workers[0]!;
  assert.ok(residentBytes(pid!) > 64 * 1_048_576, 'a worker has more than the least that can be set');
  site.replace('memory: 4GiB', 'memory: 64MiB');
  await site.run('reload');
  const name = 'tollgate_limit_hits_total{limit="memory"}';
  await until(async () => {
    await new Client(tollgate.port).wait(() => true);
    return (await tollgate.metrics()).get(name)! > 0;
  });
  await refused(tollgate.port);
  await residents.live();
  assert.ok((await tollgate.metrics()).get('tollgate_faults_total{reason="memory",culprit="us"}')! > 0);
  site.replace('memory: 64MiB', 'memory: 4GiB');
  await site.run('reload');
  await servedAgain(tollgate.port);
  await residents.live();
});

test('past limits.memory a worker that has no connection takes one: it is not the connections that have the memory', async (t) => {
  const origin = await echoOrigin(t);
  const tollgate = await Tollgate.start(t, { to: origin.port, extra: 'limits: { memory: 64MiB }' });
  for (let i = 0; i < 3; i++) {
    await until(async () => (await tollgate.status()).connections.open === 0);
    await served(tollgate.port);
  }
});

test('memory that the kernel refuses costs one worker at most, never its neighbour, and another one serves in its place', async (t) => {
  const origin = await echoOrigin(t);
  const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2 });
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves));
  const [poor, rich] = (await tollgate.status()).workers;
  // Who connects is somebody's: until the neighbour has one.
  let neighbours: Residents | null = null;
  while (neighbours === null) {
    const before = (await tollgate.status()).workers[1]!.connections;
    const residents = await Residents.enter(t, tollgate.port);
    if ((await tollgate.status()).workers[1]!.connections === before + 2) neighbours = residents;
  }
  const size = Number(/^VmSize:\s+(\d+) kB/m.exec(readFileSync(`/proc/${poor!.pid}/status`, 'utf8'))![1]) * 1_024;
  execFileSync('prlimit', ['--pid', String(poor!.pid), `--as=${size}:`]);
  const crowd = new Crowd();
  t.after(() => crowd.leave());
  await until(async () => {
    crowd.add(tollgate.port, 100);
    const [one] = (await tollgate.status()).workers;
    const noMemory = (await tollgate.metrics()).get('tollgate_faults_total{reason="memory",culprit="us"}')!;
    return one!.restarts > 0 || noMemory > 0 || crowd.sockets.length > 8_000;
  }, 60_000);
  crowd.leave();
  await neighbours.live();
  execFileSync('prlimit', ['--pid', String(rich!.pid), '--as=unlimited']);
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves), 30_000);
  for (let i = 0; i < 8; i++) await served(tollgate.port);
  const [, still] = (await tollgate.status()).workers;
  assert.deepEqual([still?.pid, still?.restarts], [rich?.pid, 0]);
});

test('on a full disk a configuration is changed, a trial is refused with one sentence, a dead worker is replaced, and commands answer', async (t) => {
  const origin = await echoOrigin(t);
  const disk = smallDisk(t, '512k');
  const tollgate = await Tollgate.start(t, {
    to: origin.port,
    extra: 'limits: { connections: 1000 }',
    log: 'access: { path: off }',
    ...(disk === null ? {} : { directory: disk }),
  });
  const site = new Site(tollgate);
  const residents = await Residents.enter(t, tollgate.port);
  const written = ['run', 'data/history'].map((name) => join(tollgate.directory, name));
  // What runs is kept a moment after it runs.
  await until(() => readdirSync(written[1]!).length > 0);
  const folders = written.flatMap((path) => [
    path,
    ...readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name)),
  ]);
  const filler = join(tollgate.directory, 'filler');
  const fill = (): void => {
    if (disk === null) {
      for (const folder of written) chmodSync(folder, 0o500);
      return;
    }
    for (const bytes of [4_096, 1]) {
      try {
        for (;;) writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
      } catch {
        // Not even this fits in.
      }
    }
  };
  const clear = (): void => {
    if (disk === null) for (const folder of written) chmodSync(folder, 0o700);
    else rmSync(filler);
  };
  assert.ok(folders.length > 2);
  const before = (await tollgate.status()).plan;

  site.replace('connections: 1000', 'connections: 999');
  fill();
  const trial = await site.attempt('apply', '--confirm', '60s');
  assert.equal(trial.status, 1);
  assert.match(trial.stderr, /cannot be written \(E\w+\), so nothing can be tried; nothing was changed\n$/);
  assert.equal(trial.stderr.trim().split('\n').length, 1);
  assert.equal((await tollgate.status()).plan, before);
  await residents.live();

  assert.match(await site.run('reload'), /connections.*999/);
  assert.match(tollgate.errors, /the history of configurations cannot be kept/);
  await residents.live();

  const { pid } = (await tollgate.status()).workers[0]!;
  process.kill(pid!, 'SIGKILL');
  await until(async () => {
    const [worker] = (await tollgate.status()).workers;
    return worker!.pid !== pid && worker!.serves;
  }, 30_000);
  await served(tollgate.port);
  assert.match(await site.run('status'), /WORKERS/);

  clear();
  site.replace('999', '998');
  await site.run('reload');
  site.replace('998', '997');
  assert.match(await site.run('apply', '--confirm', '60s'), /unless you run "tollgate confirm"/);
  await site.run('confirm');
  assert.equal(tollgate.child.exitCode, null);
});
