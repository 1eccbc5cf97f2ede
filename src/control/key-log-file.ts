/**
 * The file that a listener's secrets go to while an operator wants them: made here, for this user alone, and handed to the workers, those that
 * are started meanwhile too. It ends by itself, and both ends are in the log, loudly. Workers stop by themselves, whatever becomes of us.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { TollgateError } from '../base/tollgate-error.ts';
import type { Log } from '../observe/log.ts';
import type { HandoffTag, ToWorker } from '../plan/messages.ts';
import type { ListenerPlan } from '../plan/plan.ts';

/** Longest time for which keys are logged. Milliseconds. */
export const KEY_LOG_MS_MAX = 3_600_000;
/** Largest file: 300,000 handshakes of TLS 1.3 and more. Bytes. */
const KEY_LOG_BYTES_MAX = 256 * 1_048_576;
const FILE_MODE = 0o600;

export interface KeyLogView {
  readonly listener: string;
  readonly file: string;
  readonly secondsLeft: number;
}

/** What takes the file. */
export interface KeyLogWorker {
  handKeyLog(tag: HandoffTag, fd: number): void;
  tell(message: ToWorker): void;
}

interface Running {
  readonly listener: string;
  readonly file: string;
  readonly author: string;
  readonly fd: number;
  /** What each worker may write. */
  readonly bytesMax: number;
  readonly untilMs: number;
  readonly timer: NodeJS.Timeout;
}

export class KeyLogFile {
  readonly #log: Log;
  readonly #workers: () => readonly KeyLogWorker[];
  #running: Running | null = null;

  constructor(log: Log, workers: () => readonly KeyLogWorker[]) {
    this.#log = log;
    this.#workers = workers;
  }

  get view(): KeyLogView | null {
    if (this.#running === null) return null;
    const { listener, file, untilMs } = this.#running;
    return { listener, file, secondsLeft: Math.max(0, Math.ceil((untilMs - performance.now()) / 1_000)) };
  }

  /** Throws `keylog` with one sentence; nothing is changed then. */
  start(listeners: readonly ListenerPlan[], listener: string, file: string, forMs: number, author: string): void {
    const fail = (message: string, cause?: unknown): never => {
      throw new TollgateError('keylog', message, cause);
    };
    if (this.#running !== null) fail(`keys of '${this.#running.listener}' are logged already; 'tollgate keylog off' ends that`);
    const found = listeners.find(({ name }) => name === listener);
    if (found === undefined) fail(`there is no listener '${listener}'; there are: ${listeners.map(({ name }) => name).join(', ')}`);
    else if (found.tls === null) fail(`the listener '${listener}' speaks no TLS`);
    if (!(forMs >= 1_000 && forMs <= KEY_LOG_MS_MAX)) fail('keys are logged for 1s to 1h');
    if (!isAbsolute(file)) fail('the file is named by its whole path');
    const fd = this.#open(file);
    const timer = setTimeout(() => this.end('its time is over'), forMs);
    const workers = this.#workers();
    const bytesMax = Math.floor(KEY_LOG_BYTES_MAX / Math.max(1, workers.length));
    this.#running = { listener, file, author, fd, bytesMax, untilMs: performance.now() + forMs, timer };
    const seconds = Math.round(forMs / 1_000);
    this.#log.warn({ author, listener, file, seconds }, 'TLS KEYS ARE LOGGED: who has this file can read what this listener carries');
    for (const worker of workers) this.handTo(worker);
  }

  #open(file: string): number {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_NOFOLLOW;
    try {
      return openSync(file, flags, FILE_MODE);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
      throw new TollgateError('keylog', `${file} cannot be made: ${code === 'EEXIST' ? 'it exists' : code}`, cause);
    }
  }

  /** For a worker that serves from now on. */
  handTo(worker: KeyLogWorker): void {
    if (this.#running === null) return;
    const { listener, bytesMax, untilMs, fd } = this.#running;
    const forMs = untilMs - performance.now();
    if (forMs > 0) worker.handKeyLog({ kind: 'keys', listener, forMs, bytesMax }, fd);
  }

  /** False: there was none. */
  end(why: string): boolean {
    if (this.#running === null) return false;
    const { listener, file, author, fd, timer } = this.#running;
    this.#running = null;
    clearTimeout(timer);
    for (const worker of this.#workers()) worker.tell({ type: 'keylog-end' });
    const bytes = fstatSync(fd).size;
    closeSync(fd);
    this.#log.warn({ author, listener, file, bytes, why }, 'TLS keys are logged no more: remove the file when it has served');
    return true;
  }
}
