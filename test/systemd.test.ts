/** As a service of systemd: what it is told, and sockets that it keeps or opens. Its part is played by a socket of ours, by its own rules (systemd-real.long.ts has itself). */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { livingWorkers, startTimeOf } from '../src/control/process-identity.ts';
import { openListenSocket } from '../src/native/listen-sockets.ts';
import { makeBlocking } from '../src/native/test-blocking.ts';
import { NotifyReceiver } from '../src/native/test-notify-receiver.ts';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { testPort } from './support/test-port.ts';
import { PROGRAM, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** What systemd does for a service with a descriptor store, as far as it shows. */
class Manager {
  readonly directory: string;
  readonly port: number;
  readonly states: string[] = [];
  readonly stored = new Map<string, number>();
  readonly #receiver: NotifyReceiver;
  readonly #timer: NodeJS.Timeout;
  readonly #pids: number[] = [];
  child: ChildProcess | null = null;
  errors = '';

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
    this.#receiver = new NotifyReceiver(join(directory, 'notify.sock'));
    this.#timer = setInterval(() => this.#read(), 10);
  }

  static async make(t: TestContext, origin: number, workers = 2): Promise<Manager> {
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-systemd-'));
    const port = await testPort();
    const { certificate, key } = leaf(['localhost']);
    writeFileSync(
      join(directory, 'tollgate.yaml'),
      `admin: { listen: off }
workers: ${workers}
runtime: run
log: { access: off }
listeners:
  - { name: web, address: "127.0.0.1:${port}", tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }, routes: [{ to: origin }] }
upstreams: [{ name: origin, targets: ["127.0.0.1:${origin}"] }]
`,
    );
    const manager = new Manager(directory, port);
    t.after(() => manager.#end());
    return manager;
  }

  #read(): void {
    for (let got = this.#receiver.receive(); got !== null; got = this.#receiver.receive()) {
      const { text, fds } = got;
      const name = /^FDNAME=(.*)$/m.exec(text)?.[1] ?? '';
      if (text.includes('FDSTORE=1')) {
        if (this.stored.has(name)) closeSync(fds[0]!);
        else this.stored.set(name, fds[0]!);
      } else if (text.includes('FDSTOREREMOVE=1')) {
        closeSync(this.stored.get(name)!);
        this.stored.delete(name);
      } else this.states.push(text);
    }
  }

  /** Starts the service, with sockets by name. */
  start(sockets: ReadonlyMap<string, number> = this.stored): void {
    const names = [...sockets.keys()].join(':');
    const given = sockets.size === 0 ? '' : `LISTEN_PID=$$ LISTEN_FDS=${sockets.size} LISTEN_FDNAMES='${names}' `;
    const command = `${given}exec ${process.execPath} ${PROGRAM} run --config ${this.directory}/tollgate.yaml`;
    this.child = spawn('/bin/sh', ['-c', command], {
      stdio: ['ignore', 'ignore', 'pipe', ...sockets.values()],
      env: { ...process.env, NOTIFY_SOCKET: this.#receiver.address, WATCHDOG_USEC: '2000000', TOLLGATE_DATA: join(this.directory, 'data') },
    });
    this.child.stderr?.on('data', (data) => {
      this.errors += String(data);
    });
    this.#pids.push(this.child.pid!);
  }

  count(pattern: RegExp): number {
    return this.states.filter((state) => pattern.test(state)).length;
  }

  async ready(times = 1): Promise<void> {
    await until(() => {
      assert.equal(this.child?.exitCode ?? null, null, this.errors);
      return this.count(/^READY=1/) >= times;
    }, 30_000);
  }

  run(...args: readonly string[]): Promise<number | null> {
    const child = spawn(process.execPath, [PROGRAM, ...args, '--runtime', join(this.directory, 'run')], { stdio: 'ignore' });
    return new Promise((resolve) => child.once('exit', resolve));
  }

  /** Everything of the service dies at once. */
  async crash(): Promise<void> {
    const workers = livingWorkers(join(this.directory, 'run'));
    this.child?.kill('SIGKILL');
    for (const { pid } of workers) process.kill(pid, 'SIGKILL');
    await until(() => [this.child!.pid!, ...workers.map(({ pid }) => pid)].every((pid) => startTimeOf(pid) === null));
  }

  follow(pid: number): void {
    this.#pids.push(pid);
  }

  #end(): void {
    clearInterval(this.#timer);
    for (const pid of [...this.#pids, ...livingWorkers(join(this.directory, 'run')).map((each) => each.pid)]) {
      if (startTimeOf(pid) !== null) process.kill(pid, 'SIGKILL');
    }
    for (const fd of this.stored.values()) closeSync(fd);
    this.#receiver.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

test('systemd is told of start, reload, upgrade and stop, and hears the watchdog', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const manager = await Manager.make(t, origin.port);
  manager.start();
  await manager.ready();
  assert.match(manager.states.find((state) => state.startsWith('READY'))!, /STATUS=configuration \d+: 1 listeners, 2 workers/);
  await until(() => manager.count(/^WATCHDOG=1/) >= 3);
  assert.equal(manager.stored.size, 2, 'a socket for each worker is kept');
  assert.equal(await manager.run('reload'), 0);
  await until(() => manager.count(/^RELOADING=1\nMONOTONIC_USEC=\d+$/) === 1 && manager.count(/^READY=1/) === 2);
  assert.equal(await manager.run('upgrade'), 0);
  await until(() => manager.count(/^MAINPID=\d+$/) === 1 && manager.count(/^READY=1/) === 3);
  const main = Number(/\d+/.exec(manager.states.find((state) => state.startsWith('MAINPID'))!)![0]);
  manager.follow(main);
  assert.ok(
    manager.states.findIndex((state) => state.startsWith('MAINPID')) < manager.states.findLastIndex((state) => state.startsWith('READY=1')),
    'the new main process is known before it speaks',
  );
  await until(() => startTimeOf(manager.child!.pid!) === null);
  assert.match(await exchange(manager.port, CLOSE), /^HTTP\/1\.1 200 /);
  const beats = manager.count(/^WATCHDOG=1/);
  await until(() => manager.count(/^WATCHDOG=1/) > beats + 1);
  process.kill(main, 'SIGTERM');
  await until(() => manager.count(/^STOPPING=1/) === 1 && startTimeOf(main) === null, 40_000);
  assert.equal(manager.stored.size, 0, 'a stopped service gives its ports back');
});

test('when everything dies the sockets live on: who connects meanwhile is served by the next', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const manager = await Manager.make(t, origin.port);
  manager.start();
  await manager.ready();
  await until(() => manager.stored.size === 2);
  await manager.crash();
  // The kernel takes the connection; nobody is there to answer yet.
  const early = new Client(manager.port);
  await new Promise((resolve) => early.socket.once('connect', resolve));
  manager.start();
  await manager.ready(2);
  await early.open();
  assert.match(await early.send(CLOSE).all(), /^HTTP\/1\.1 200 /);
  for (let i = 0; i < 20; i++) assert.match(await exchange(manager.port, CLOSE), /^HTTP\/1\.1 200 /);
  assert.equal(manager.stored.size, 2);
});

test('a socket unit’s sockets are served, whoever opened them, by every worker', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const manager = await Manager.make(t, origin.port, 3);
  const plain = { backlog: 128, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 };
  const opened = openListenSocket({ family: 4, ip: '127.0.0.1', port: manager.port }, plain);
  assert.ok('fd' in opened);
  // As systemd does, unless NonBlocking=yes.
  makeBlocking(opened.fd);
  manager.start(new Map([['tollgate.socket', opened.fd]]));
  await manager.ready();
  for (let i = 0; i < 20; i++) assert.match(await exchange(manager.port, CLOSE), /^HTTP\/1\.1 200 /);
  closeSync(opened.fd);
});
