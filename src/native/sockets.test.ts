import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { FAULT_CONNECT_REFUSED } from '../base/faults.ts';
import { peerText, socketAddress } from './ffi/socket-address.ts';
import { allocate, copyMemory } from './memory.ts';
import { createSharedMemory, openSharedMemory } from './shared-memory.ts';
import { closeDescriptor, connected, destination, openConnection } from './sockets.ts';

test('socketAddress() and peerText() agree on every form of address', () => {
  const forms: readonly [string, string][] = [
    ['::1', '::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:0db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['fe80::', 'fe80::'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['::', '::'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['0:1::', '0:1::'],
  ];
  for (const [written, shown] of forms) assert.equal(peerText(socketAddress({ family: 6, ip: written, port: 9 }).bytes), shown);
  assert.equal(peerText(socketAddress({ family: 4, ip: '192.0.2.1', port: 9 }).bytes), '192.0.2.1');
  assert.equal(peerText(socketAddress({ family: 0, path: '/tmp/x' }).bytes), 'unix');
});

test('socketAddress() refuses what is no address', () => {
  for (const ip of ['300.1.1.1', '', 'localhost']) assert.throws(() => socketAddress({ family: 4, ip, port: 1 }), /IPv4/);
  assert.throws(() => socketAddress({ family: 6, ip: 'fe80::1%eth0', port: 1 }), /IPv6/);
  assert.throws(() => socketAddress({ family: 0, path: 'x'.repeat(108) }), /fits/);
});

test('openConnection() settles: established, or refused with the reason', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const { port } = address;
  const accepted = new Promise((resolve) => server.once('connection', resolve));
  const fd = openConnection(destination({ family: 4, ip: '127.0.0.1', port }));
  assert.ok(fd > 0);
  await accepted;
  assert.equal(connected(fd), 1);
  closeDescriptor(fd);
  server.close();
  await new Promise((resolve) => server.once('close', resolve));
  const refused = openConnection(destination({ family: 4, ip: '127.0.0.1', port }));
  if (refused > 0) {
    while (connected(refused) === 1) await new Promise((resolve) => setImmediate(resolve));
  } else assert.equal(refused, FAULT_CONNECT_REFUSED);
  assert.equal(openConnection(destination({ family: 0, path: '/tmp/tollgate-no-such.sock' })), FAULT_CONNECT_REFUSED);
});

test('copyMemory() copies between blocks', () => {
  const a = allocate(64);
  const b = allocate(64);
  a.bytes.write('hello', 3);
  copyMemory(b, 1, a, 3, 8);
  assert.equal(b.bytes.toString('latin1', 1, 6), 'hello');
});

test('createSharedMemory() and openSharedMemory() see the same bytes', () => {
  const { fd, memory } = createSharedMemory(8_192);
  const other = openSharedMemory(fd);
  new Float64Array(memory)[7] = 1.5;
  assert.equal(new Float64Array(other)[7], 1.5);
  assert.equal(other.byteLength, 8_192);
  closeDescriptor(fd);
  assert.throws(() => openSharedMemory(fd));
});
