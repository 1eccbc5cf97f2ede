import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { FAULT_EOF } from '../base/faults.ts';
import { boundPort, openListenSocket } from '../native/listen-sockets.ts';
import { allocate } from '../native/memory.ts';
import { acceptedAddress, closeDescriptor } from '../native/sockets.ts';
import type { ListenAddress } from '../plan/plan.ts';
import { Listener } from './listener.ts';
import { PlainStream } from './plain-stream.ts';
import { Reactor } from './reactor.ts';
import { Watched } from './watched.ts';

const SOCKET = { backlog: 16, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 };
const memory = allocate(65_536);

/** Sends back what it gets, and ends when its client does. */
class Echo extends Watched {
  readonly stream: PlainStream;
  readyCalls = 0;
  constructor(fd: number) {
    super();
    this.stream = new PlainStream(fd);
  }
  override onEvents(): void {
    for (;;) {
      const n = this.stream.read(memory, 0, memory.length);
      if (n > 0) this.stream.write(memory, 0, n);
      if (n === FAULT_EOF) {
        const fd = this.fd;
        reactor.forget(this);
        closeDescriptor(fd);
      }
      if (n <= 0 || !this.stream.mayHaveMore()) return;
    }
  }
  override onReady(): void {
    this.readyCalls++;
    if (this.readyCalls < 5) reactor.later(this);
  }
  override onDeadline(): void {
    const fd = this.fd;
    reactor.forget(this);
    closeDescriptor(fd);
  }
}

// One reactor per process: the tests of this file share it.
const reactor = new Reactor(
  () => {},
  () => {},
);
reactor.start();
const accepted: Echo[] = [];
const peers: string[] = [];

function listen(address: ListenAddress): { listener: Listener; port: number } {
  const opened = openListenSocket(address, SOCKET);
  assert.ok('fd' in opened, JSON.stringify(opened));
  const listener = new Listener(reactor, opened.fd, {
    onConnection: (fd) => {
      peers.push(acceptedAddress());
      const echo = new Echo(fd);
      assert.ok(reactor.watch(echo, fd));
      accepted.push(echo);
    },
    hasRoom: () => true,
    onDescriptorsOut: () => {},
  });
  listener.open();
  return { listener, port: boundPort(opened.fd) };
}

function talk(options: { host?: string; port?: number; path?: string }, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ ...options, port: options.port ?? 0 } as { port: number });
    let got = '';
    socket.on('connect', () => socket.write(text));
    socket.on('data', (data) => {
      got += String(data);
      if (got.length === text.length) socket.end();
    });
    socket.on('end', () => resolve(got));
    socket.on('error', reject);
  });
}

test('Reactor carries bytes over IPv4, IPv6 and Unix sockets', async () => {
  const path = `/tmp/tollgate-reactor-test-${process.pid}.sock`;
  const v4 = listen({ family: 4, ip: '127.0.0.1', port: 0 });
  const v6 = listen({ family: 6, ip: '::1', port: 0 });
  const unix = listen({ family: 0, path });
  assert.equal(await talk({ host: '127.0.0.1', port: v4.port }, 'four'), 'four');
  assert.equal(await talk({ host: '::1', port: v6.port }, 'six'), 'six');
  assert.equal(await talk({ path }, 'unix'), 'unix');
  assert.deepEqual(peers, ['127.0.0.1', '::1', 'unix']);
  for (const each of [v4, v6, unix]) each.listener.close();
  (await import('node:fs')).rmSync(path);
});

test('Reactor.later() runs once a turn, and Node timers run in between', async () => {
  const v4 = listen({ family: 4, ip: '127.0.0.1', port: 0 });
  const socket = connect(v4.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  while (accepted.at(-1)?.fd === -1 || accepted.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  const echo = accepted.at(-1)!;
  const turns = reactor.turns;
  reactor.later(echo);
  reactor.later(echo);
  await new Promise<void>((resolve) => {
    const wait = (): void => {
      if (echo.readyCalls >= 5) resolve();
      else setTimeout(wait, 1);
    };
    wait();
  });
  assert.equal(echo.readyCalls, 5);
  assert.ok(reactor.turns - turns >= 5);
  socket.end();
  await new Promise((resolve) => socket.once('close', resolve));
  v4.listener.close();
});

test('Reactor gives the loop back to Node within milliseconds, whatever is put off', async () => {
  class Restless extends Watched {
    calls = 0;
    done = false;
    override onEvents(): void {}
    override onReady(): void {
      this.calls++;
      if (!this.done) reactor.later(this);
    }
    override onDeadline(): void {}
  }
  const opened = openListenSocket({ family: 4, ip: '127.0.0.1', port: 0 }, SOCKET);
  assert.ok('fd' in opened);
  const restless = new Restless();
  assert.ok(reactor.watch(restless, opened.fd));
  reactor.later(restless);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(restless.calls > 10, `${restless.calls} calls beside ten timers`);
  restless.done = true;
  reactor.forget(restless);
  closeDescriptor(opened.fd);
});

test('Reactor.deadline() fires for a quiet connection', async () => {
  const v4 = listen({ family: 4, ip: '127.0.0.1', port: 0 });
  const before = accepted.length;
  const socket = connect(v4.port, '127.0.0.1');
  while (accepted.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
  reactor.deadline(accepted.at(-1)!, 50);
  await new Promise((resolve) => socket.once('end', resolve).resume());
  socket.destroy();
  v4.listener.close();
});

test('Reactor leaves no descriptor watched, and lets the process end', () => {
  assert.equal(reactor.open, 0);
  reactor.stop();
});

test('openListenSocket() says why an address cannot be had', () => {
  const first = openListenSocket({ family: 4, ip: '192.0.2.1', port: 1 }, SOCKET);
  assert.ok('code' in first);
  assert.equal(first.code, 'EADDRNOTAVAIL');
});

test('an exception on the event path says where it was, not what, and ends the process', () => {
  const script = `
    import { Reactor } from ${JSON.stringify(new URL('./reactor.ts', import.meta.url).href)};
    import { Watched } from ${JSON.stringify(new URL('./watched.ts', import.meta.url).href)};
    class Thrower extends Watched {
      onEvents() { throw new Error('secret-body-bytes'); }
      onReady() {}
      onDeadline() {}
    }
    import { openHandoffPair, sendDescriptors } from ${JSON.stringify(new URL('../native/handoff.ts', import.meta.url).href)};
    const reactor = new Reactor(() => {}, () => {});
    reactor.start();
    const [a, b] = openHandoffPair();
    reactor.watch(new Thrower(), b);
    sendDescriptors(a, { kind: 'table' }, [0]);`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(run.signal, 'SIGABRT', run.stderr);
  assert.match(run.stderr, /stops on an internal error \(Error\)/);
  assert.match(run.stderr, /Thrower\.onEvents/);
  assert.doesNotMatch(run.stderr, /secret-body-bytes/);
});
