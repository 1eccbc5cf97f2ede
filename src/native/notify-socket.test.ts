import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NOTIFY_BYTES_MAX, sendNotification } from './notify-socket.ts';
import { NotifyReceiver } from './test-notify-receiver.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-notify-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'notify');
const abstract = `@tollgate-test-${process.pid}`;

test('sendNotification() reaches a socket by path and by abstract name, with text as it is', () => {
  for (const address of [path, abstract]) {
    const receiver = new NotifyReceiver(address);
    for (const text of ['READY=1', 'READY=1\nSTATUS=bereit für 3 Hörer', 'x'.repeat(NOTIFY_BYTES_MAX)]) {
      sendNotification(address, text);
      assert.deepEqual(receiver.receive(), { text, fds: [] });
    }
    assert.equal(receiver.receive(), null);
    receiver.close();
  }
});

test('sendNotification() carries a descriptor, and keeps its own', () => {
  const receiver = new NotifyReceiver(abstract);
  const file = join(folder, 'kept');
  writeFileSync(file, 'kept');
  const fd = openSync(file, 'r');
  sendNotification(abstract, 'FDSTORE=1', [fd]);
  const received = receiver.receive();
  assert.equal(received?.fds.length, 1);
  const [copy = -1] = received.fds;
  assert.notEqual(copy, fd);
  assert.equal(readlinkSync(`/proc/self/fd/${copy}`), file);
  assert.equal(readFileSync(copy, 'utf8'), 'kept');
  closeSync(copy);
  assert.ok(fstatSync(fd).isFile());
  closeSync(fd);
  receiver.close();
});

test('sendNotification() says what is wrong', () => {
  for (const address of ['', '@', '/', 'relative', 'vsock:2:1', `/${'x'.repeat(107)}`, '/a\0b']) {
    assert.throws(() => sendNotification(address, 'READY=1'), /expected a path from \/ on, or @ and a name, 107 bytes at most/, address);
  }
  assert.throws(() => sendNotification(join(folder, 'absent'), 'READY=1'), /^Error: ENOENT$/);
  assert.throws(() => sendNotification(`${abstract}-absent`, 'READY=1'), /^Error: ECONNREFUSED$/);
  assert.throws(() => sendNotification(abstract, ''), /0 bytes cannot be sent/);
  assert.throws(() => sendNotification(abstract, 'x'.repeat(NOTIFY_BYTES_MAX + 1)), /4097 bytes cannot be sent/);
  const receiver = new NotifyReceiver(abstract);
  assert.throws(() => sendNotification(abstract, 'FDSTORE=1', [9_999]), /^Error: EBADF$/);
  receiver.close();
});

test('sendNotification() waits for a full queue a bounded time, and then says so', () => {
  const receiver = new NotifyReceiver(abstract);
  let sent = 0;
  assert.throws(() => {
    for (; sent < 100_000; sent++) sendNotification(abstract, `STATUS=${sent}`);
  }, /^Error: EAGAIN$/);
  assert.ok(sent > 0);
  assert.equal(receiver.receive()?.text, 'STATUS=0');
  sendNotification(abstract, 'READY=1');
  receiver.close();
});
