/**
 * Where log lines go, by what the descriptor is (plan/log-plan.ts). None blocks the loop, and whatever happens, lines stay whole:
 *
 * - A file is appended to, a batch in one write, under a lock between the workers. When the disk is full in the middle of a line, what has
 *   been written of it is taken away again before the lock is given up.
 * - A pipe takes up to PIPE_BUF bytes as a whole or not at all: lines go in groups of that size. So does a Unix stream socket.
 * - A datagram is a line.
 */
import { close, fstat, ftruncate, write } from 'node:fs';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import { DatagramSender, type ProcessLock, writeOutput } from '../native/log-output.ts';
import type { TargetAddress } from '../plan/plan.ts';
import type { Batch } from './log-writer.ts';

/** All lines are gone. */
export const SENT = 1;
/** They cannot go now; the next flush tries again. */
export const BLOCKED = 0;
/** They cannot go at all. */
export const FAILED = -1;
/** They are on their way: `onDone` will tell. */
export const PENDING = 2;

const LINE_END = 0x0a;

export interface LogSink {
  /** Called once for every PENDING, with SENT or FAILED. */
  onDone: (outcome: number) => void;
  /** Sends what is left of `batch`, moving `batch.written` on, by whole lines whenever it ends. */
  write(batch: Batch): number;
  /** Nothing is PENDING any more. */
  close(): void;
}

/** Appends off the loop. With a lock, in batches; without, in groups that a pipe takes whole. */
export class FileSink implements LogSink {
  onDone: (outcome: number) => void = ignore;
  readonly #fd: number;
  readonly #lock: ProcessLock | null;

  constructor(fd: number, lock: ProcessLock | null) {
    this.#fd = fd;
    this.#lock = lock;
  }

  write(batch: Batch): number {
    if (this.#lock !== null && !this.#lock.take()) return BLOCKED;
    this.#append(batch);
    return PENDING;
  }

  #append(batch: Batch): void {
    const end = this.#lock === null ? groupEnd(batch) : batch.at;
    write(this.#fd, batch.bytes, batch.written, end - batch.written, null, (error, bytes) => {
      if (error !== null) {
        this.#takeBack(batch);
        return;
      }
      batch.written += bytes;
      if (batch.written < batch.at) this.#append(batch);
      else this.#done(SENT);
    });
  }

  /** The end of what has been written may be the beginning of a line: away with it. */
  #takeBack(batch: Batch): void {
    const whole = batch.written === 0 ? 0 : batch.bytes.lastIndexOf(LINE_END, batch.written - 1) + 1;
    const torn = batch.written - whole;
    batch.written = whole;
    if (torn === 0 || this.#lock === null) {
      this.#done(FAILED);
      return;
    }
    fstat(this.#fd, (error, stats) => {
      if (error !== null || stats.size < torn) this.#done(FAILED);
      else ftruncate(this.#fd, stats.size - torn, () => this.#done(FAILED));
    });
  }

  #done(outcome: number): void {
    this.#lock?.give();
    this.onDone(outcome);
  }

  close(): void {
    close(this.#fd, ignore);
  }
}

/** A non-blocking pipe or terminal, or a stream socket. */
export class StreamSink implements LogSink {
  onDone: (outcome: number) => void = ignore;
  readonly #fd: number;
  readonly #socket: boolean;

  constructor(fd: number, socket: boolean) {
    this.#fd = fd;
    this.#socket = socket;
  }

  write(batch: Batch): number {
    while (batch.written < batch.at) {
      const n = writeOutput(this.#fd, this.#socket, batch.memory, batch.written, groupEnd(batch) - batch.written);
      if (n === 0) return BLOCKED;
      if (n < 0) return FAILED;
      batch.written += n;
    }
    return SENT;
  }

  close(): void {
    close(this.#fd, ignore);
  }
}

/** One datagram a line. A receiver that is not there, or slow, is waited for. */
export class DatagramSink implements LogSink {
  onDone: (outcome: number) => void = ignore;
  readonly #fd: number;
  readonly #sender: DatagramSender;

  constructor(fd: number, to: TargetAddress) {
    this.#fd = fd;
    this.#sender = new DatagramSender(to);
  }

  write(batch: Batch): number {
    while (batch.written < batch.at) {
      const n = this.#sender.send(this.#fd, batch.memory, batch.written, batch.at);
      if (n === 0) return BLOCKED;
      batch.written += n;
    }
    return SENT;
  }

  close(): void {
    close(this.#fd, ignore);
  }
}

/** Where lines go for which nothing could be opened: nowhere, counted. */
export class LostSink implements LogSink {
  onDone: (outcome: number) => void = ignore;

  write(): number {
    return FAILED;
  }

  close(): void {}
}

/** The end of the lines behind `batch.written` that fit into one write to a pipe. */
function groupEnd(batch: Batch): number {
  if (batch.at - batch.written <= LOG_LINE_BYTES_MAX) return batch.at;
  return batch.bytes.lastIndexOf(LINE_END, batch.written + LOG_LINE_BYTES_MAX - 1) + 1;
}

function ignore(): void {}
