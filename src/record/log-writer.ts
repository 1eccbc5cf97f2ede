/**
 * Log lines on their way to a descriptor: gathered by each worker into batches, written off the loop (libuv's thread pool), whole lines
 * only. A destination that is slow or full costs log lines, counted, never requests.
 */
import { write } from 'node:fs';
import { LOG_LINE_BYTES_MAX, LOG_PENDING_BYTES_MAX } from '../base/limits.ts';
import { C_LOG_LINES, C_LOG_LINES_LOST } from '../plan/counters.ts';

/** Size of a batch. Bytes. */
const BATCH_BYTES = 131_072;
/** A batch this full is written without waiting for the next flush. Bytes. */
const WRITE_BYTES = 65_536;

export class LogWriter {
  readonly #fd: number;
  readonly #counters: Float64Array;
  /** Full batches that wait for the one being written. */
  readonly #waiting: Batch[] = [];
  readonly #spare: Batch[] = [];
  #batch = new Batch();
  #writing: Batch | null = null;
  #whenIdle: (() => void) | null = null;

  constructor(fd: number, counters: Float64Array) {
    this.#fd = fd;
    this.#counters = counters;
  }

  /** Room for one line of up to LOG_LINE_BYTES_MAX, to be written at `bytes[at]` and closed with `commit`; null when lines must be dropped. */
  reserve(): Batch | null {
    if (this.#batch.at + LOG_LINE_BYTES_MAX > BATCH_BYTES && !this.#turnOver()) {
      this.#counters[C_LOG_LINES_LOST]!++;
      return null;
    }
    return this.#batch;
  }

  /** The line written into the reserved batch ends at `end`, newline included. */
  commit(batch: Batch, end: number): void {
    batch.at = end;
    batch.lines++;
    this.#counters[C_LOG_LINES]!++;
    if (end >= WRITE_BYTES && this.#writing === null) this.flush();
  }

  /** Writes what there is, in the background. Called by the worker's tick. */
  flush(): void {
    if (this.#writing !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#write(next);
      return;
    }
    if (this.#batch.at === 0) return;
    const batch = this.#batch;
    this.#batch = this.#spare.pop() ?? new Batch();
    this.#write(batch);
  }

  /** Calls back when everything is written or given up: once. */
  end(whenIdle: () => void): void {
    this.#whenIdle = whenIdle;
    this.flush();
    if (this.#writing === null) this.#idle();
  }

  #idle(): void {
    const done = this.#whenIdle;
    this.#whenIdle = null;
    done?.();
  }

  #turnOver(): boolean {
    if (this.#writing !== null && (this.#waiting.length + 2) * BATCH_BYTES > LOG_PENDING_BYTES_MAX) return false;
    this.#waiting.push(this.#batch);
    this.#batch = this.#spare.pop() ?? new Batch();
    this.flush();
    return true;
  }

  #write(batch: Batch): void {
    this.#writing = batch;
    write(this.#fd, batch.bytes, batch.written, batch.at - batch.written, null, (error, bytes) => this.#onWritten(error, bytes));
  }

  #onWritten(error: NodeJS.ErrnoException | null, bytes: number): void {
    const batch = this.#writing!;
    this.#writing = null;
    if (error?.code === 'EAGAIN') {
      // A pipe that is full: the batch goes first in line again, and the next flush tries.
      this.#waiting.unshift(batch);
      if (this.#whenIdle !== null) this.#idle();
      return;
    }
    if (error !== null) {
      this.#counters[C_LOG_LINES_LOST]! += batch.lines;
      this.#counters[C_LOG_LINES]! -= batch.lines;
    } else {
      batch.written += bytes;
      if (batch.written < batch.at) {
        this.#write(batch);
        return;
      }
    }
    batch.clear();
    if (this.#spare.length < 2) this.#spare.push(batch);
    this.flush();
    if (this.#writing === null && this.#whenIdle !== null) this.#idle();
  }
}

/** Lines in the making. */
export class Batch {
  readonly bytes = Buffer.from(new ArrayBuffer(BATCH_BYTES));
  at = 0;
  written = 0;
  lines = 0;

  clear(): void {
    this.at = 0;
    this.written = 0;
    this.lines = 0;
  }
}
