/** How a command speaks to a running supervisor: one question, one answer. */
import { connect } from 'node:net';
import { TollgateError } from '../base/tollgate-error.ts';
import { type Frame, FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromCommand, Hello, ToCommand } from '../plan/messages.ts';
import { controlSocketPath } from './runtime-directory.ts';

export interface Reply {
  readonly value: unknown;
  readonly blobs: readonly Buffer[];
}

/** Asks the supervisor of `directory`. Throws `not_running`, or what the supervisor answered. */
export async function ask(directory: string, command: FromCommand, waitMs: number): Promise<Reply> {
  const { message: reply, blobs } = await new Promise<Frame<ToCommand>>((resolve, reject) => {
    const socket = connect(controlSocketPath(directory));
    const reader = new FrameReader<ToCommand>();
    socket.setTimeout(waitMs, () => socket.destroy(new TollgateError('no_answer', `the tollgate in ${directory} does not answer`)));
    socket.once('connect', () => {
      const hello: Hello = { type: 'hello', role: 'command', pid: process.pid };
      socket.write(Buffer.concat([writeFrame(hello), writeFrame(command)]));
    });
    socket.on('data', (bytes: Buffer) => {
      try {
        // The reader's own copies are zeroed.
        reader.push(bytes, ({ message, blobs }) => resolve({ message, blobs: blobs.map((blob) => Buffer.from(blob)) }));
        bytes.fill(0);
      } catch (cause) {
        socket.destroy(new TollgateError('no_answer', `what listens in ${directory} is no tollgate`, cause));
      }
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const gone = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED' || cause.code === 'ENOTDIR';
      const denied = cause.code === 'EACCES';
      if (gone) reject(new TollgateError('not_running', `no tollgate runs in ${directory}; name its directory with --runtime`, cause));
      else if (denied) reject(new TollgateError('denied', `the tollgate in ${directory} belongs to another user`, cause));
      else reject(cause);
    });
    socket.once('close', () => reject(new TollgateError('no_answer', `the tollgate in ${directory} ended the connection`)));
  });
  if (reply.type === 'error') throw new TollgateError('refused', reply.message);
  return { value: reply.value, blobs };
}
