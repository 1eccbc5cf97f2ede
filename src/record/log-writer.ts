/**
 * Log lines on their way to a sink (log-sinks.ts): gathered by each worker into batches. A destination that is slow or full costs log
 * lines, counted, never requests, and never more memory than LOG_PENDING_BYTES_MAX.
 */
import { LOG_LINE_BYTES_MAX, LOG_PENDING_BYTES_MAX } from '../base/limits.ts';
import { allocate } from '../native/memory.ts';
import { C_LOG_LINES, C_LOG_LINES_LOST } from '../plan/counters.ts';
import { BLOCKED, type LogSink, PENDING, SENT } from './log-sinks.ts';

/** Size of a batch. Bytes. */
const BATCH_BYTES = 131_072;
/** A batch this full is written without waiting for the next flush. Bytes. */
const WRITE_BYTES = 65_536;
/** How long a writer that is to end goes on trying. Milliseconds. */
const END_MS = 1_000;
const END_EVERY_MS = 10;
/** Time after which a destination that took some is tried again. Milliseconds. */
const RETRY_MS = 5;
const LINE_END = 0x0a;

export class LogWriter {
  readonly #sink: LogSink;
  readonly #counters: Float64Array;
  /** Full batches that wait for the one being written. */
  readonly #waiting: Batch[] = [];
  readonly #spare: Batch[] = [];
  #batch = new Batch();
  #writing: Batch | null = null;
  /** The sink has `#writing`. */
  #busy = false;
  #comingBack = false;
  #closed = false;
  #whenIdle: (() => void) | null = null;
  #triesLeft = END_MS / END_EVERY_MS;

  constructor(sink: LogSink, counters: Float64Array) {
    this.#sink = sink;
    this.#counters = counters;
    sink.onDone = (outcome) => {
      this.#busy = false;
      this.#settle(outcome);
      this.flush();
    };
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
    if (end >= WRITE_BYTES && !this.#busy) this.flush();
  }

  /** Writes what there is and can be written. Called by the worker's tick. */
  flush(): void {
    let moved = false;
    while (!this.#busy && !this.#closed) {
      this.#writing ??= this.#waiting.shift() ?? this.#takeCurrent();
      if (this.#writing === null) break;
      const before = this.#writing.written;
      const outcome = this.#sink.write(this.#writing);
      moved ||= this.#writing.written > before;
      if (outcome === PENDING) this.#busy = true;
      else if (outcome === BLOCKED) {
        if (moved) this.#comeBack();
        return;
      } else this.#settle(outcome);
    }
    if (!this.#busy && this.#whenIdle !== null) this.#idle();
  }

  /** Somebody reads, and will have made room long before the next tick. */
  #comeBack(): void {
    if (this.#comingBack) return;
    this.#comingBack = true;
    setTimeout(() => {
      this.#comingBack = false;
      this.flush();
    }, RETRY_MS);
  }

  /** Writes out what there is, closes the sink and calls back, once: a second later at the latest. No line is written from now on. */
  end(whenIdle: () => void): void {
    this.#whenIdle = whenIdle;
    this.flush();
    if (this.#whenIdle !== null) this.#tryOn();
  }

  /** A reader that stalls, or another worker that holds the lock: no event tells when to go on. */
  #tryOn(): void {
    setTimeout(() => {
      this.flush();
      if (this.#whenIdle === null) return;
      // What is on its way cannot be called back, and the descriptor cannot go before it.
      if (--this.#triesLeft > 0 || this.#busy) {
        this.#tryOn();
        return;
      }
      this.#giveUp();
    }, END_EVERY_MS);
  }

  #giveUp(): void {
    for (const batch of [this.#writing, ...this.#waiting, this.#batch]) if (batch !== null) this.#count(batch, 0);
    this.#idle();
  }

  #idle(): void {
    const done = this.#whenIdle;
    this.#whenIdle = null;
    this.#closed = true;
    this.#sink.close();
    done?.();
  }

  #takeCurrent(): Batch | null {
    if (this.#batch.at === 0) return null;
    const batch = this.#batch;
    this.#batch = this.#spare.pop() ?? new Batch();
    return batch;
  }

  #turnOver(): boolean {
    this.flush();
    if (this.#batch.at === 0) return true;
    const held = this.#waiting.length + (this.#writing === null ? 1 : 2);
    if ((held + 1) * BATCH_BYTES > LOG_PENDING_BYTES_MAX) return false;
    this.#waiting.push(this.#batch);
    this.#batch = this.#spare.pop() ?? new Batch();
    return true;
  }

  #settle(outcome: number): void {
    const batch = this.#writing!;
    this.#writing = null;
    this.#count(batch, outcome);
    batch.clear();
    if (this.#spare.length < 2) this.#spare.push(batch);
  }

  #count(batch: Batch, outcome: number): void {
    const lost = outcome === SENT ? 0 : linesIn(batch.bytes, batch.written, batch.at);
    this.#counters[C_LOG_LINES_LOST]! += lost;
    this.#counters[C_LOG_LINES]! += batch.lines - lost;
  }
}

function linesIn(bytes: Buffer, start: number, end: number): number {
  let lines = 0;
  for (let i = start; i < end; i++) if (bytes[i] === LINE_END) lines++;
  return lines;
}

/** Lines in the making. */
export class Batch {
  readonly memory = allocate(BATCH_BYTES);
  readonly bytes: Buffer = this.memory.bytes;
  at = 0;
  written = 0;
  lines = 0;

  clear(): void {
    this.at = 0;
    this.written = 0;
    this.lines = 0;
  }
}
