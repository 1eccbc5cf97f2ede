/**
 * A worker's end of the control socket: it connects, says who it is, and hands on what comes. When the supervisor is gone it looks for the
 * next one, for as long as it takes: the worker goes on serving meanwhile.
 */
import { connect, type Socket } from 'node:net';
import { CONTROL_PENDING_BYTES_MAX } from '../base/limits.ts';
import { tollgateVersion } from '../base/version.ts';
import { type Frame, FrameReader, writeFrame } from '../plan/frame.ts';
import type { FromWorker, Hello, ToWorker, WorkerArguments } from '../plan/messages.ts';

/** Between two looks for a supervisor, at first and at most. Milliseconds. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 1_000;

export interface ControlEvents {
  onMessage(frame: Frame<ToWorker>): void;
  /** There is no supervisor any more. */
  onOrphaned(): void;
  isDraining(): boolean;
}

export class ControlChannel {
  readonly #arguments: WorkerArguments;
  readonly #events: ControlEvents;
  #socket: Socket | null = null;
  #orphan = false;
  #ended = false;
  #retryMs = RETRY_MS;

  constructor(values: WorkerArguments, events: ControlEvents) {
    this.#arguments = values;
    this.#events = events;
    this.#connect(values.controlPath);
  }

  /** Whether no supervisor is connected that was there before. */
  get orphaned(): boolean {
    return this.#orphan && this.#socket === null;
  }

  #connect(path: string): void {
    const { row, generation } = this.#arguments;
    const socket = connect(path);
    const reader = new FrameReader<ToWorker>();
    socket.on('connect', () => {
      this.#socket = socket;
      const draining = this.#events.isDraining();
      const hello: Hello = {
        type: 'hello',
        role: 'worker',
        row,
        pid: process.pid,
        generation,
        version: tollgateVersion(),
        orphan: this.#orphan,
        draining,
      };
      socket.write(writeFrame(hello));
    });
    socket.on('data', (bytes: Buffer) => {
      this.#retryMs = RETRY_MS;
      reader.push(bytes, (frame) => this.#events.onMessage(frame));
      // Frames carry keys: what Node read them into must not lie about.
      bytes.fill(0);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#ended) return;
      const had = this.#socket !== null;
      this.#socket = null;
      this.#orphan = true;
      if (had) this.#events.onOrphaned();
      setTimeout(() => this.#connect(this.#arguments.lastingPath), this.#retryMs);
      this.#retryMs = Math.min(RETRY_MS_MAX, 2 * this.#retryMs);
    });
  }

  send(message: FromWorker, blobs: readonly Uint8Array[] = []): void {
    this.#socket?.write(writeFrame(message, blobs));
  }

  /** Sends what may wait: false when it must, because the supervisor has not read what it was told before. */
  offer(message: FromWorker, blobs: readonly Uint8Array[] = []): boolean {
    if (this.#socket === null || this.#socket.writableLength > CONTROL_PENDING_BYTES_MAX) return false;
    this.send(message, blobs);
    return true;
  }

  /** Sends a last message, and calls back when it is out or cannot be sent. */
  end(message: FromWorker, done: () => void): void {
    this.#ended = true;
    if (this.#socket === null) done();
    else this.#socket.end(writeFrame(message), done);
  }
}
