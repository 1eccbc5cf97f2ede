import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ListenAddress, Plan } from '../plan/plan.ts';
import { closeSockets, openSockets } from './listen-sockets.ts';

const socket = { backlog: 16, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 };

function plan(...addresses: readonly ListenAddress[]): Plan {
  return {
    id: 1,
    listeners: addresses.map((address, i) => ({
      name: `l${i}`,
      address,
      tls: null,
      routes: [],
      forwarding: { xForwarded: true, forwarded: false, traceparent: false, trustedProxies: [] },
      errorPages: [],
      access: null,
      hsts: null,
      socket,
    })),
    upstreams: [],
    certificates: [],
    timeouts: { handshakeMs: 1, requestHeadMs: 1, bodyMs: 1, idleMs: 1, tunnelMs: 1, closeMs: 1, drainMs: 1 },
    clients: { connections: null, handshakes: null, requests: null, ipv4Prefix: 32, ipv6Prefix: 64, exempt: [] },
    limits: {
      connectionsMax: 1,
      requestsMax: null,
      minimumRate: 0,
      minimumRateAfterMs: 1,
      headBytesMax: 1,
      fieldsMax: 1,
      targetBytesMax: 1,
    },
    accessLog: null,
    errorLog: { destination: { kind: 'standard' }, format: null, level: 'info' },
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

test('openSockets() opens one for each slot on one port, and fills in the port the kernel chose', async () => {
  const opened = await openSockets(plan({ family: 4, ip: '127.0.0.1', port: 0 }), 3);
  const { address } = opened.plan.listeners[0]!;
  assert.ok(address.family === 4 && address.port > 0);
  assert.equal(opened.sockets[0]!.fds.length, 3);
  assert.equal(new Set(opened.sockets[0]!.fds).size, 3);
  assert.equal(opened.sockets[0]!.address, `127.0.0.1:${address.port}`);
  assert.equal(await listens(address.port), true);
  closeSockets(opened.sockets);
  assert.equal(await listens(address.port), false);
});

test('openSockets() opens all or none, and says in one sentence what is in the way', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const taken = other.address();
  assert.ok(taken !== null && typeof taken === 'object');
  const free = await openSockets(plan({ family: 4, ip: '127.0.0.1', port: 0 }), 1);
  const { address } = free.plan.listeners[0]!;
  closeSockets(free.sockets);
  await assert.rejects(openSockets(plan(address, { family: 4, ip: '127.0.0.1', port: taken.port }), 2), {
    code: 'listen',
    message: `listener l1 cannot have 127.0.0.1:${taken.port}: another process has it; choose another port, or stop that process`,
  });
  assert.ok(address.family === 4);
  assert.equal(await listens(address.port), false);
  await assert.rejects(openSockets(plan({ family: 4, ip: '192.0.2.1', port: 1 }), 1), /no such address/);
  await new Promise((resolve) => other.close(resolve));
});

test('openSockets() refuses a port that another program shares by SO_REUSEPORT', async () => {
  const first = await openSockets(plan({ family: 4, ip: '127.0.0.1', port: 0 }), 2);
  await assert.rejects(openSockets(plan(first.plan.listeners[0]!.address), 2), /another process has it/);
  closeSockets(first.sockets);
});

test('openSockets() takes the place of a dead process’s Unix socket, and not of a living one’s', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-listen-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const address = { family: 0, path: join(directory, 'web.sock') } as const;
  const first = await openSockets(plan(address), 2);
  assert.equal(new Set(first.sockets[0]!.fds).size, 1);
  await assert.rejects(openSockets(plan(address), 2), /another process has it/);
  closeSockets(first.sockets);
  const second = await openSockets(plan(address), 2);
  closeSockets(second.sockets);
});
