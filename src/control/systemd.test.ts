import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NotifyReceiver } from '../native/test-notify-receiver.ts';
import { listenDescriptors, notify, removeStored, startWatchdog, storeDescriptor, successorEnvironment, watchdogMs } from './systemd.ts';

function receiver(t: TestContext): { manager: NotifyReceiver; env: NodeJS.ProcessEnv } {
  const manager = new NotifyReceiver(`@tollgate-systemd-${process.pid}-${t.name.length}`);
  t.after(() => manager.close());
  return { manager, env: { NOTIFY_SOCKET: manager.address } };
}

function fails(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

test('notify() tells states, as assignments or as text', (t) => {
  const { manager, env } = receiver(t);
  assert.equal(notify('READY=1', env), true);
  assert.equal(manager.receive()?.text, 'READY=1');
  notify({ READY: 1, STATUS: 'serves 3 listeners', MAINPID: 4_711 }, env);
  assert.equal(manager.receive()?.text, 'READY=1\nSTATUS=serves 3 listeners\nMAINPID=4711');
  notify({ STOPPING: 1 }, env);
  assert.equal(manager.receive()?.text, 'STOPPING=1');
});

test('notify() stamps a reload with the monotonic clock, which the manager compares', (t) => {
  const { manager, env } = receiver(t);
  const before = process.hrtime.bigint() / 1_000n;
  notify({ RELOADING: 1 }, env);
  const us = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(manager.receive()?.text ?? '')?.[1];
  assert.ok(us !== undefined);
  assert.ok(BigInt(us) >= before && BigInt(us) <= process.hrtime.bigint() / 1_000n);
  // CLOCK_MONOTONIC, as /proc/uptime nearly is: not the time of day, and not since the process began.
  const uptimeS = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  assert.ok(Number(us) / 1e6 <= uptimeS + 1);
});

test('notify() lets no value begin an assignment of its own, nor become longer than a line', (t) => {
  const { manager, env } = receiver(t);
  notify({ STATUS: 'a\nMAINPID=1\r\n\0b' }, env);
  assert.equal(manager.receive()?.text, 'STATUS=a MAINPID=1 b');
  notify({ STATUS: 'ü'.repeat(100_000) }, env);
  assert.equal(manager.receive()?.text, `STATUS=${'ü'.repeat(1_000)}`);
  assert.throws(() => notify({ 'A=1\nB': 1 }, env), /the name of a state/);
});

test('notify(), storeDescriptor() and removeStored() do nothing where no manager is', () => {
  for (const env of [{}, { NOTIFY_SOCKET: '' }]) {
    assert.equal(notify({ READY: 1 }, env), false);
    assert.equal(storeDescriptor('a', 0, env), false);
    assert.equal(removeStored('a', env), false);
  }
});

test('notify() says that the manager cannot be told, and where', () => {
  assert.throws(
    () => notify('READY=1', { NOTIFY_SOCKET: '/nonexistent/notify' }),
    fails('service_manager', /^the service manager cannot be told \(NOTIFY_SOCKET is '\/nonexistent\/notify'\): ENOENT$/),
  );
  assert.throws(() => notify('READY=1', { NOTIFY_SOCKET: 'vsock:2:9' }), fails('service_manager', /'vsock:2:9'\): expected a path/));
});

test('storeDescriptor() hands a descriptor over under its name, and removeStored() takes the name back', (t) => {
  const { manager, env } = receiver(t);
  const fd = openSync('/dev/null', 'r');
  assert.equal(storeDescriptor('web 1', fd, env), true);
  const stored = manager.receive();
  assert.equal(stored?.text, 'FDSTORE=1\nFDNAME=web 1');
  assert.equal(stored.fds.length, 1);
  for (const each of [fd, ...stored.fds]) closeSync(each);
  removeStored('web 1', env);
  assert.deepEqual(manager.receive(), { text: 'FDSTOREREMOVE=1\nFDNAME=web 1', fds: [] });
  for (const name of ['', 'a:b', 'a\nb', 'ä', 'x'.repeat(256)])
    assert.throws(() => storeDescriptor(name, 0, env), /a name for a descriptor/);
  assert.throws(() => storeDescriptor('web', 9_999, env), fails('service_manager', /EBADF$/));
});

/** A program that is given a listening socket, and another descriptor, as systemd gives them. */
const GIVEN = `
import { readFileSync } from 'node:fs';
import { listenDescriptors } from ${JSON.stringify(fileURLToPath(new URL('systemd.ts', import.meta.url)))};
process.env.LISTEN_PID = String(process.pid);
const flags = (fd) => Number.parseInt(/flags:\\s+(\\d+)/.exec(readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))[1], 8) & 0o2000000;
const found = listenDescriptors();
console.log(JSON.stringify({ found, again: listenDescriptors(), closes: found.map(({ fd }) => flags(fd) !== 0), left: Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')) }));
`;

test('listenDescriptors() finds what the process was given, by name, once, and no child will inherit it', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const file = openSync('/dev/null', 'r');
  t.after(() => closeSync(file));
  const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const told = (env: NodeJS.ProcessEnv): unknown => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', GIVEN], {
      encoding: 'utf8',
      env: { LISTEN_FDS: '2', ...env },
      stdio: ['ignore', 'pipe', 'pipe', fd, file],
    });
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  };
  const named = [
    { name: 'web.socket', fd: 3 },
    { name: 'table', fd: 4 },
  ];
  assert.deepEqual(told({ LISTEN_FDNAMES: 'web.socket:table' }), { found: named, again: [], closes: [true, true], left: [] });
  const nameless = named.map((each) => ({ ...each, name: 'unknown' }));
  assert.deepEqual(told({}), { found: nameless, again: [], closes: [true, true], left: [] });
});

test('listenDescriptors() takes nothing that was meant for another process, and nothing where nothing is given', () => {
  const env = { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'web', LISTEN_PIDFDID: '7', PATH: '/bin' };
  assert.deepEqual(listenDescriptors(env, 2), []);
  // A child that is born with the variables must not take them for its own either.
  assert.deepEqual(env, { PATH: '/bin' });
  assert.deepEqual(listenDescriptors({}, 2), []);
  assert.deepEqual(listenDescriptors({ LISTEN_PID: '2', LISTEN_FDS: '0', LISTEN_FDNAMES: '' }, 2), []);
});

test('listenDescriptors() says what is wrong with the variables', () => {
  const given = (env: NodeJS.ProcessEnv): (() => unknown) => {
    return () => listenDescriptors({ LISTEN_PID: '2', LISTEN_FDS: '1', ...env }, 2);
  };
  for (const bad of ['', '-1', '1.5', 'x', '0x1', '9999999999999999']) {
    assert.throws(given({ LISTEN_FDS: bad }), fails('listen_fds', /^LISTEN_FDS: expected a number of descriptors, found '/));
    assert.throws(given({ LISTEN_PID: bad }), fails('listen_fds', /^LISTEN_PID: expected a process number, found '/));
  }
  assert.throws(given({ LISTEN_FDNAMES: 'a:b' }), fails('listen_fds', /^LISTEN_FDNAMES has 2 names for 1 descriptors/));
  assert.throws(given({ LISTEN_FDS: '100000' }), fails('listen_fds', /^LISTEN_FDS is 100000, and descriptor \d+ is not open$/));
});

test('watchdogMs() is half of what the watchdog waits, and null where nobody watches us', () => {
  assert.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '5' }, 5), 15_000);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '30000000' }, 5), 15_000);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '1' }, 5), 1);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '999999999999999' }, 5), 2 ** 31 - 1);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '6' }, 5), null);
  assert.equal(watchdogMs({}, 5), null);
  for (const bad of ['0', '-1', 'soon', '1e6']) {
    assert.throws(() => watchdogMs({ WATCHDOG_USEC: bad }, 5), fails('watchdog', /^WATCHDOG_USEC: expected microseconds, found '/));
  }
});

test('startWatchdog() tells that we live at once and again, until it is ended', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { manager, env } = receiver(t);
  const heard = (): number => {
    let beats = 0;
    for (let next = manager.receive(); next !== null; next = manager.receive()) {
      assert.equal(next.text, 'WATCHDOG=1');
      beats++;
    }
    return beats;
  };
  const failures: unknown[] = [];
  const end = startWatchdog((error) => failures.push(error), { ...env, WATCHDOG_USEC: '2000000' });
  assert.equal(heard(), 1);
  t.mock.timers.tick(3_000);
  assert.equal(heard(), 3);
  end();
  t.mock.timers.tick(3_000);
  assert.equal(heard(), 0);
  assert.equal(failures.length, 0);
  startWatchdog((error) => failures.push(error), { ...env })();
  assert.equal(heard(), 0);
  startWatchdog((error) => failures.push(error), { NOTIFY_SOCKET: '@nobody-is-here', WATCHDOG_USEC: '2000000' })();
  assert.equal(failures.length, 1);
});

test('successorEnvironment() leaves out what belongs to this process alone', () => {
  const env = {
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '1',
    WATCHDOG_PID: '1',
    LISTEN_PID: '1',
    LISTEN_FDS: '1',
    LISTEN_FDNAMES: 'a',
  };
  assert.deepEqual(successorEnvironment(env), { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '1' });
});
