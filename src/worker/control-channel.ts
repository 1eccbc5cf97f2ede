/** A worker's end of the control socket: it connects, says who it is, hands on what comes, and tells when the supervisor is gone. */
import { connect, type Socket } from 'node:net';
import { type Frame, FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromWorker, Hello, ToWorker, WorkerArguments } from '../plan/messages.ts';

export class ControlChannel {
  readonly #arguments: WorkerArguments;
  readonly #onMessage: (frame: Frame<ToWorker>) => void;
  readonly #onLost: () => void;
  #socket: Socket | null = null;
  #ended = false;

  constructor(values: WorkerArguments, onMessage: (frame: Frame<ToWorker>) => void, onLost: () => void) {
    this.#arguments = values;
    this.#onMessage = onMessage;
    this.#onLost = onLost;
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
      if (!this.#ended) this.#onLost();
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
