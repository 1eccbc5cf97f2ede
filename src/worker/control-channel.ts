/**
 * A worker's end of the control socket. It connects, says who it is, and hands on what comes; when the supervisor is gone it goes on
 * trying, since another may take over while this worker serves.
 */
import { connect, type Socket } from 'node:net';
import { type Frame, FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromWorker, Hello, ToWorker, WorkerArguments } from '../plan/messages.ts';

/** Pause between attempts to reach a supervisor. Milliseconds. */
const RETRY_MS = 500;

export class ControlChannel {
  readonly #arguments: WorkerArguments;
  readonly #onMessage: (frame: Frame<ToWorker>) => void;
  #socket: Socket | null = null;
  #ended = false;

  constructor(values: WorkerArguments, onMessage: (frame: Frame<ToWorker>) => void) {
    this.#arguments = values;
    this.#onMessage = onMessage;
    this.#connect();
  }

  #connect(): void {
    const { slot, generation, controlPath } = this.#arguments;
    const socket = connect(controlPath);
    const reader = new FrameReader<ToWorker>();
    this.#socket = socket;
    socket.on('connect', () => {
      const hello: Hello = { type: 'hello', role: 'worker', slot, pid: process.pid, generation };
      socket.write(writeFrame(hello));
    });
    socket.on('data', (bytes: Buffer) => {
      reader.push(bytes, this.#onMessage);
      // Frames carry keys: what Node read them into must not lie about.
      bytes.fill(0);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#socket = null;
      if (!this.#ended) setTimeout(() => this.#connect(), RETRY_MS);
    });
  }

  send(message: FromWorker): void {
    this.#socket?.write(writeFrame(message));
  }

  /** Sends a last message, and calls back when it is out or cannot be sent. */
  end(message: FromWorker, done: () => void): void {
    this.#ended = true;
    if (this.#socket === null) done();
    else this.#socket.end(writeFrame(message), done);
  }
}
