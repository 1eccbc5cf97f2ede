/**
 * The logs' descriptors: opened by the supervisor for a plan, handed to its workers, opened anew when they are asked for or a plan changes.
 * Nothing here waits: a FIFO is opened for reading too, so that it needs no reader and survives the one it has; a pipe on standard output is
 * opened a second time, because what is non-blocking for us must not become so for those who gave it to us.
 */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { TollgateError } from '../base/tollgate-error.ts';
import { openDatagramSocket, setAppending } from '../native/log-output.ts';
import type { LogDestinationPlan, LogOutput } from '../plan/log-plan.ts';
import type { LogTag } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';

const FILE_MODE = 0o640;
const STANDARD = { access: 1, error: 2 } as const;

export interface OpenLog {
  readonly fd: number;
  readonly output: LogOutput;
}

/** The open logs of one plan. */
export class LogFiles {
  readonly tags: readonly { readonly tag: LogTag; readonly fd: number }[];
  readonly serial: number;
  readonly planId: number;
  readonly error: OpenLog;
  static #serials = 0;

  private constructor(plan: Plan, access: OpenLog | null, error: OpenLog) {
    this.planId = plan.id;
    this.error = error;
    this.serial = ++LogFiles.#serials;
    const tag = (log: 'access' | 'error', { output }: OpenLog): LogTag => ({
      kind: 'log',
      log,
      planId: plan.id,
      serial: this.serial,
      output,
    });
    this.tags = [...(access === null ? [] : [{ tag: tag('access', access), fd: access.fd }]), { tag: tag('error', error), fd: error.fd }];
  }

  /** Opens what `plan` logs to. Throws `access_log` or `error_log` with one sentence; nothing stays open then. */
  static open(plan: Plan): LogFiles {
    const error = openLog('error', plan.errorLog.destination);
    try {
      return new LogFiles(plan, plan.accessLog === null ? null : openLog('access', plan.accessLog.destination), error);
    } catch (cause) {
      closeLog(error.fd);
      throw cause;
    }
  }

  /** `keepError`: the last words of this process are still to come. */
  close(keepError = false): void {
    for (const { tag, fd } of this.tags) if (!keepError || tag.log === 'access') closeLog(fd);
  }
}

/** Workers that have not told yet that they are done with the logs before. */
export class Reopening<Worker> {
  readonly #serial: number;
  /** Descriptors of which each has still to tell. */
  readonly #left: Map<Worker, number>;
  readonly #done = Promise.withResolvers<void>();

  constructor({ serial, tags }: LogFiles, workers: readonly Worker[]) {
    this.#serial = serial;
    this.#left = new Map(workers.map((worker) => [worker, tags.length]));
    if (workers.length === 0) this.#done.resolve();
  }

  onReopened(worker: Worker, serial: number): void {
    if (serial !== this.#serial) return;
    const left = (this.#left.get(worker) ?? 1) - 1;
    if (left === 0) this.onGone(worker);
    else this.#left.set(worker, left);
  }

  onGone(worker: Worker): void {
    if (this.#left.delete(worker) && this.#left.size === 0) this.#done.resolve();
  }

  /** Throws when it takes more than `ms` milliseconds: the new logs are written to, but the old ones may be, too. */
  async whenDone(ms: number): Promise<void> {
    const late = setTimeout(() => this.#done.reject(new TollgateError('reopen', 'a worker still writes to a log before this one')), ms);
    try {
      await this.#done.promise;
    } finally {
      clearTimeout(late);
    }
  }
}

function closeLog(fd: number): void {
  if (fd > 2) closeSync(fd);
}

function openLog(log: 'access' | 'error', destination: LogDestinationPlan): OpenLog {
  switch (destination.kind) {
    case 'standard':
      return openStandard(STANDARD[log]);
    case 'file':
      return openFile(log, destination.path);
    case 'syslog': {
      const fd = openDatagramSocket(destination.address);
      if (fd < 0) throw new TollgateError(`${log}_log`, `the ${log} log has no socket for syslog`);
      return { fd, output: 'syslog' };
    }
  }
}

function openFile(log: 'access' | 'error', path: string): OpenLog {
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    if (before?.isSocket() === true) throw Object.assign(new Error('a socket'), { code: "it is a socket; write 'syslog' for it" });
    const direction = before?.isFIFO() === true ? constants.O_RDWR : constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
    const fd = openSync(path, direction | constants.O_NONBLOCK | constants.O_NOCTTY, FILE_MODE);
    return { fd, output: kindOf(fd, fstatSync(fd), true) };
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new TollgateError(`${log}_log`, `the ${log} log ${path} cannot be written: ${code}`, cause);
  }
}

function openStandard(fd: 1 | 2): OpenLog {
  const stats = fstatSync(fd);
  if (stats.isFIFO() || isatty(fd)) {
    try {
      const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      return { fd: own, output: kindOf(own, stats, true) };
    } catch {
      // A pipe that another user made.
      return { fd, output: 'other' };
    }
  }
  // `tollgate > log`: workers that write there, and take back what a full disk cut off, all mean its end.
  if (stats.isFile()) setAppending(fd);
  return { fd, output: kindOf(fd, stats, false) };
}

function kindOf(fd: number, stats: Stats, nonBlocking: boolean): LogOutput {
  if (stats.isFile()) return 'file';
  if (stats.isSocket()) return 'socket';
  if (!nonBlocking) return 'other';
  if (stats.isFIFO()) return 'pipe';
  return isatty(fd) ? 'terminal' : 'other';
}
