/**
 * The supervisor's end of the control socket: takes connections of workers and commands, checks their first words, and hands on what they
 * say. Nonsense closes the connection, and nothing else.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromCommand, FromWorker, Hello, ToCommand, ToWorker } from '../plan/messages.ts';

/** Largest frame a peer may send us: they only say short things. Bytes. */
const FRAME_BYTES_MAX = 65_536;
/** A connection must say who it is within this time. Milliseconds. */
const HELLO_MS = 5_000;
const CONNECTIONS_MAX = 1_024;

export interface WorkerLink {
  send(message: ToWorker, blobs?: readonly Uint8Array[]): void;
  close(): void;
}

export interface ControlEvents {
  onWorker(hello: Hello & { readonly role: 'worker' }, link: WorkerLink): ((message: FromWorker) => void) | null;
  onCommand(command: FromCommand): Promise<unknown>;
}

export class ControlServer {
  readonly #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(path: string, events: ControlEvents) {
    this.#path = path;
    this.#server = createServer((socket) => this.#serve(socket, events));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Listens on `path`, for this user alone. */
  static async open(path: string, events: ControlEvents): Promise<ControlServer> {
    const control = new ControlServer(path, events);
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        control.#server.once('error', reject);
        control.#server.listen(path, resolve);
      });
    } finally {
      process.umask(before);
    }
    chmodSync(path, 0o600);
    return control;
  }

  #serve(socket: Socket, events: ControlEvents): void {
    const reader = new FrameReader<Hello | FromWorker | FromCommand>(FRAME_BYTES_MAX);
    let onMessage: ((message: FromWorker | FromCommand) => void) | null = null;
    this.#sockets.add(socket);
    socket.setTimeout(HELLO_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes, ({ message }) => {
          if (onMessage !== null) onMessage(message as FromWorker | FromCommand);
          else {
            onMessage = greet(message as Hello, socket, events);
            if (onMessage === null) socket.destroy();
            else socket.setTimeout(0);
          }
        });
      } catch {
        socket.destroy();
      }
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#path, { force: true });
  }
}

function greet(hello: Hello, socket: Socket, events: ControlEvents): ((message: FromWorker | FromCommand) => void) | null {
  if (hello.type !== 'hello') return null;
  if (hello.role === 'command') {
    return (message) => {
      void answer(message as FromCommand, socket, events);
    };
  }
  if (hello.role !== 'worker' || !Number.isInteger(hello.slot) || !Number.isInteger(hello.generation)) return null;
  const link: WorkerLink = {
    send: (message, blobs = []) => {
      const frame = writeFrame(message, blobs);
      socket.write(frame, () => frame.fill(0));
    },
    close: () => socket.destroy(),
  };
  return events.onWorker(hello, link) as ((message: FromWorker | FromCommand) => void) | null;
}

async function answer(command: FromCommand, socket: Socket, events: ControlEvents): Promise<void> {
  let reply: ToCommand;
  try {
    reply = { type: 'answer', ok: true, value: await events.onCommand(command) };
  } catch (error) {
    reply = { type: 'error', message: error instanceof Error ? error.message : 'unknown error' };
  }
  socket.end(writeFrame(reply));
}
