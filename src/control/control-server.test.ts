import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromWorker, ToWorker } from '../plan/messages.ts';
import { ask } from './control-client.ts';
import { ControlServer, type WorkerLink } from './control-server.ts';
import { controlSocketPath } from './runtime-directory.ts';

test('ControlServer speaks with workers and commands, and closes on nonsense', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-control-'));
  const path = controlSocketPath(directory);
  const heard: FromWorker[] = [];
  const gone: number[] = [];
  let link: WorkerLink | null = null;
  const server = await ControlServer.open(path, {
    onWorker: (hello, each) => {
      if (hello.row !== 3) return null;
      link = each;
      each.send({ type: 'tickets', keys: [] }, [Buffer.from('secret')]);
      return { onMessage: (message) => void heard.push(message), onClose: () => void gone.push(hello.pid) };
    },
    onCommand: async (command) => {
      if (command.type === 'stop') throw new Error('not now');
      return { value: { fine: true }, blobs: [Buffer.from('key')] };
    },
  });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  assert.equal(statSync(path).mode & 0o777, 0o600);

  assert.deepEqual(await ask(directory, { type: 'status' }, 5_000), { value: { fine: true }, blobs: [Buffer.from('key')] });
  await assert.rejects(ask(directory, { type: 'stop' }, 5_000), { code: 'refused', message: 'not now' });

  const worker = connect(path);
  const reader = new FrameReader<ToWorker>();
  const told = new Promise<{ type: string; secret: string }>((resolve) => {
    worker.on('data', (bytes: Buffer) =>
      reader.push(bytes, ({ message, blobs }) => resolve({ type: message.type, secret: String(blobs[0]) })),
    );
  });
  worker.write(writeFrame({ type: 'hello', role: 'worker', row: 3, pid: 1, generation: 1 }));
  assert.deepEqual(await told, { type: 'tickets', secret: 'secret' });
  const closed = new Promise((resolve) => worker.once('close', resolve));
  worker.end(writeFrame({ type: 'adopted', planId: 1, ms: 2 }));
  await closed;
  assert.deepEqual(heard, [{ type: 'adopted', planId: 1, ms: 2 }]);
  assert.notEqual(link, null);
  assert.deepEqual(gone, [1]);

  const oversized = Buffer.alloc(8);
  oversized.writeUInt32LE(1 << 20, 0);
  const nonsense = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    oversized,
    writeFrame({ type: 'status' }),
    writeFrame({ type: 'hello', role: 'king' }),
    writeFrame({ type: 'hello', role: 'worker', row: 'x', pid: 1, generation: 1 }),
    writeFrame({ type: 'hello', role: 'worker', row: 9, pid: 1, generation: 1 }),
  ];
  for (const bytes of nonsense) {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve).resume());
  }
  assert.deepEqual(await ask(directory, { type: 'status' }, 5_000), { value: { fine: true }, blobs: [Buffer.from('key')] });

  await server.close();
  assert.throws(() => statSync(path), /ENOENT/);
  await assert.rejects(ask(directory, { type: 'status' }, 5_000), { code: 'not_running' });
});
