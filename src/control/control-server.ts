/**
 * The supervisor's end of the control socket: takes connections of workers and commands, checks their first words, and hands on what they
 * say. Nonsense closes the connection, and nothing else.
 */
import { chmodSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromCommand, FromWorker, Hello, ToCommand, ToWorker, WorkerHello } from '../plan/messages.ts';

/** A connection must say who it is within this time. Milliseconds. */
const HELLO_MS = 5_000;
const CONNECTIONS_MAX = 1_024;
/** Time for answers to be taken. Milliseconds. */
const FLUSH_MS = 2_000;

export interface WorkerLink {
  send(message: ToWorker, blobs?: readonly Uint8Array[]): void;
  close(): void;
}

/** Who listens to a worker. */
export interface WorkerListener {
  /** `blobs` are zeroed when it returns. */
  onMessage(message: FromWorker, blobs: readonly Uint8Array[]): void;
  onClose(): void;
}

export interface Answer {
  readonly value: unknown;
  /** Copied before they are sent. */
  readonly blobs?: readonly Uint8Array[];
}

export interface ControlEvents {
  /** Null: nobody knows this worker. */
  onWorker(hello: WorkerHello, link: WorkerLink): WorkerListener | null;
  onCommand(command: FromCommand): Promise<Answer>;
}

export class ControlServer {
  #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections of commands. */
  #commands = 0;
  #left = false;
  /** Whoever is in charge now. */
  events: ControlEvents;

  private constructor(path: string, events: ControlEvents) {
    this.#path = path;
    this.events = events;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Where it is to be found. */
  get path(): string {
    return this.#path;
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

  #serve(socket: Socket): void {
    const reader = new FrameReader<Hello | FromWorker | FromCommand>();
    let peer: Peer | null = null;
    this.#sockets.add(socket);
    socket.setTimeout(HELLO_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      peer?.onClose();
    });
    socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes, ({ message, blobs }) => {
          if (peer !== null) peer.onMessage(message as FromWorker | FromCommand, blobs);
          else {
            peer = this.#greet(message as Hello, socket);
            if (peer === null) socket.destroy();
            else socket.setTimeout(0);
          }
        });
      } catch {
        socket.destroy();
      }
    });
  }

  #greet(hello: Hello, socket: Socket): Peer | null {
    if (hello.type !== 'hello') return null;
    if (hello.role === 'command') {
      this.#commands++;
      return {
        onMessage: (message) => void answer(message as FromCommand, socket, this.events),
        onClose: () => {
          this.#commands--;
        },
      };
    }
    if (hello.role !== 'worker' || ![hello.row, hello.pid, hello.generation].every(Number.isInteger)) return null;
    const link: WorkerLink = {
      send: (message, blobs = []) => {
        const frame = writeFrame(message, blobs);
        socket.write(frame, () => frame.fill(0));
      },
      close: () => socket.destroy(),
    };
    return this.events.onWorker(hello, link) as Peer | null;
  }

  /** Is found at `path` from now on, in place of whoever was there. */
  moveTo(path: string): void {
    renameSync(this.#path, path);
    this.#path = path;
  }

  /** Takes no more connections; those there are go on. Its path is another's from here on. */
  leave(): void {
    // Node itself removes the path it was opened with.
    this.#server.close();
    rmSync(this.#path, { force: true });
    this.#left = true;
  }

  /** Resolves when every command has got its answer, within FLUSH_MS. */
  async flushed(): Promise<void> {
    const endMs = performance.now() + FLUSH_MS;
    while (this.#commands > 0 && performance.now() < endMs) await sleep(5);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (!this.#left) rmSync(this.#path, { force: true });
    this.#left = true;
  }
}

interface Peer {
  onMessage(message: FromWorker | FromCommand, blobs: readonly Uint8Array[]): void;
  onClose(): void;
}

async function answer(command: FromCommand, socket: Socket, events: ControlEvents): Promise<void> {
  let reply: ToCommand;
  let blobs: readonly Uint8Array[] = [];
  try {
    const answered = await events.onCommand(command);
    reply = { type: 'answer', ok: true, value: answered.value };
    blobs = answered.blobs ?? [];
  } catch (error) {
    reply = { type: 'error', message: error instanceof Error ? error.message : 'unknown error' };
  }
  const frame = writeFrame(reply, blobs);
  socket.end(frame, () => frame.fill(0));
}
