import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ListenAddress, Plan } from '../plan/plan.ts';
import { SocketKeeper } from './socket-keeper.ts';

const socket = { backlog: 16, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 };

function plan(...addresses: readonly ListenAddress[]): Plan {
  return {
    id: 1,
    listeners: addresses.map((address, i) => ({
      name: `l${i}`,
      address,
      tls: null,
      routes: [],
      tcpRoutes: null,
      passthrough: [],
      proxyProtocol: null,
      forwarding: { xForwarded: true, forwarded: false, traceparent: false, trustedProxies: [] },
      errorPages: [],
      access: null,
      hsts: null,
      socket,
    })),
    upstreams: [],
    certificates: [],
    opensslLibrary: null,
    fastEngineProblem: null,
    timeouts: { handshakeMs: 1, requestHeadMs: 1, bodyMs: 1, idleMs: 1, tunnelMs: 1, closeMs: 1, drainMs: 1 },
    clients: { connections: null, handshakes: null, requests: null, ipv4Prefix: 32, ipv6Prefix: 64, exempt: [] },
    limits: {
      connectionsMax: 1,
      memoryBytesMax: null,
      requestsMax: null,
      minimumRate: 0,
      minimumRateAfterMs: 1,
      headBytesMax: 1,
      fieldsMax: 1,
      targetBytesMax: 1,
    },
    accessLog: null,
    tracing: null,
    errorLog: { destination: { kind: 'standard' }, format: null, level: 'info', handshakeSuccesses: 0 },
  };
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const client = connect(port, '127.0.0.1');
    client.once('connect', () => {
      client.destroy();
      resolve(true);
    });
    client.once('error', () => resolve(false));
  });
}

const LOCAL = { family: 4, ip: '127.0.0.1', port: 0 } as const;

function portOf({ plan: { listeners } }: { plan: Plan }, index = 0): number {
  const { address } = listeners[index]!;
  assert.ok(address.family === 4 && address.port > 0);
  return address.port;
}

test('SocketKeeper opens one socket for each slot on one port, which stays the same in later plans', async () => {
  const keeper = new SocketKeeper();
  const prepared = await keeper.prepare(plan(LOCAL), 3);
  const port = portOf(prepared);
  assert.deepEqual(prepared.opened[0]!.slots, [0, 1, 2]);
  assert.equal(new Set(prepared.opened[0]!.fds).size, 3);
  assert.equal(await listens(port), true);
  const again = await keeper.prepare(plan(LOCAL), 2);
  assert.deepEqual([portOf(again), again.opened, keeper.slots], [port, [], 3], 'slots are never fewer');
  const more = await keeper.prepare(plan(LOCAL), 5);
  assert.deepEqual(more.opened[0]!.slots, [3, 4]);
  keeper.close();
  assert.equal(await listens(port), false);
});

test('SocketKeeper opens all or none, and says in one sentence what is in the way', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const taken = other.address();
  assert.ok(taken !== null && typeof taken === 'object');
  const free = new SocketKeeper();
  const address = { ...LOCAL, port: portOf(await free.prepare(plan(LOCAL), 1)) };
  free.close();
  const keeper = new SocketKeeper();
  const wanted = plan(address, { ...LOCAL, port: taken.port });
  const sentence = `listener l1 cannot have 127.0.0.1:${taken.port}: another process has it; choose another port, or stop that process`;
  await assert.rejects(keeper.prepare(wanted, 2), { code: 'listen', message: sentence });
  assert.equal(await listens(address.port), false);
  await assert.rejects(keeper.prepare(wanted, 2, true), { message: sentence });
  await keeper.prepare(plan(address), 2, true);
  assert.equal(await listens(address.port), false, 'a dry run opens nothing');
  await assert.rejects(keeper.prepare(plan({ ...LOCAL, ip: '192.0.2.1', port: 1 }), 1), /no such address/);
  assert.deepEqual(keeper.sets, []);
  await new Promise((resolve) => other.close(resolve));
});

test('SocketKeeper refuses a port that another program shares by SO_REUSEPORT', async () => {
  const first = new SocketKeeper();
  const { plan: running } = await first.prepare(plan(LOCAL), 2);
  await assert.rejects(new SocketKeeper().prepare(plan(running.listeners[0]!.address), 2), /another process has it/);
  first.close();
});

test('SocketKeeper.commit() closes what is no longer listened on, and nothing else', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-listen-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const unix = { family: 0, path: join(directory, 'a.sock') } as const;
  const keeper = new SocketKeeper();
  const both = await keeper.prepare(plan(LOCAL, unix), 2);
  const port = portOf(both);
  keeper.commit(both.plan);
  assert.equal(await listens(port), true);
  const less = await keeper.prepare(plan(LOCAL), 2);
  assert.equal(existsSync(unix.path), true, 'until it is certain');
  keeper.commit(less.plan);
  assert.equal(existsSync(unix.path), false);
  assert.equal(await listens(port), true);
  keeper.close();
});

test('SocketKeeper takes the place of a dead process’s Unix socket, and not of a living one’s', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-listen-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const address = { family: 0, path: join(directory, 'web.sock') } as const;
  const first = new SocketKeeper();
  const { opened } = await first.prepare(plan(address), 2);
  assert.equal(new Set(opened[0]!.fds).size, 1);
  await assert.rejects(new SocketKeeper().prepare(plan(address), 2), /another process has it/);
  first.close();
  const second = new SocketKeeper();
  await second.prepare(plan(address), 2);
  second.close();
});

test('SocketKeeper inherits sockets, and opens only what they lack', async () => {
  const first = new SocketKeeper();
  const { plan: running, opened } = await first.prepare(plan(LOCAL), 2);
  const heir = new SocketKeeper();
  heir.inherit(opened);
  const prepared = await heir.prepare(running, 3);
  assert.deepEqual(
    prepared.opened.map(({ slots }) => slots),
    [[2]],
  );
  assert.equal(heir.slots, 3);
  heir.close();
  const holes = new SocketKeeper();
  const other = await new SocketKeeper().prepare(plan(LOCAL), 1);
  holes.inherit([{ address: { ...LOCAL, port: portOf(other) }, slots: [1], fds: other.opened[0]!.fds }]);
  assert.deepEqual(holes.sets, [], 'a set with a hole is of no use');
});
