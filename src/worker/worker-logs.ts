/**
 * A worker's logs: takes the descriptors that the supervisor hands over, and switches to them between two batches, with the plan they are
 * for or at once. What was written before goes out through the descriptor before, which is closed then.
 */
import { ProcessLock } from '../native/log-output.ts';
import { closeDescriptor } from '../native/sockets.ts';
import type { LogDestinationPlan, LogOutput } from '../plan/log-plan.ts';
import type { LogTag } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';
import { AccessLog } from '../record/access-log.ts';
import { HandshakeLog } from '../record/handshake-log.ts';
import { DatagramSink, FileSink, type LogSink, LostSink, StreamSink } from '../record/log-sinks.ts';
import { LogWriter } from '../record/log-writer.ts';

interface Held {
  readonly tag: LogTag;
  readonly fd: number;
}

export class WorkerLogs {
  readonly #counters: Float64Array;
  readonly #lock: ProcessLock;
  readonly #onReopened: (serial: number) => void;
  /** Descriptors of a plan that has not been adopted yet, the newest of each log. */
  readonly #held: { access: Held | null; error: Held | null } = { access: null, error: null };
  /** Writers that bring out what they have. */
  #retiring = 0;
  #whenRetired: (() => void)[] = [];
  #plan: Plan | null = null;
  #accessWriter: LogWriter;
  #errorWriter: LogWriter;
  #errorIsTerminal = false;
  /** Null: off. */
  access: AccessLog | null = null;
  handshakes: HandshakeLog;

  /** `tableFd`: what all workers share, to be locked. */
  constructor(counters: Float64Array, tableFd: number, onReopened: (serial: number) => void) {
    this.#counters = counters;
    this.#lock = new ProcessLock(tableFd);
    this.#onReopened = onReopened;
    this.#accessWriter = new LogWriter(new LostSink(), counters);
    this.#errorWriter = new LogWriter(new LostSink(), counters);
    this.handshakes = new HandshakeLog(this.#errorWriter, 'json', 'error', 0);
  }

  /** Where lines of the error log are written now. */
  get errors(): LogWriter {
    return this.#errorWriter;
  }

  /** Takes over a descriptor. */
  take(tag: LogTag, fd: number): void {
    const before = this.#held[tag.log];
    if (before !== null) closeDescriptor(before.fd);
    this.#held[tag.log] = { tag, fd };
    if (tag.planId !== this.#plan?.id) return;
    this.#use(this.#plan);
    this.#afterRetired(() => this.#onReopened(tag.serial));
  }

  /** `plan` runs from now on, with the descriptors that were handed over for it. */
  adopt(plan: Plan): void {
    this.#plan = plan;
    this.#use(plan);
  }

  #use(plan: Plan): void {
    const { access, error } = this.#held;
    this.#held.access = null;
    this.#held.error = null;
    if (access !== null && access.tag.planId === plan.id && plan.accessLog !== null) {
      this.#switchAccess(this.#sink(access, plan.accessLog.destination));
    } else {
      if (access !== null) closeDescriptor(access.fd);
      // The descriptor of a log that is off now goes too.
      if (plan.accessLog === null && this.access !== null) this.#switchAccess(new LostSink());
    }
    if (error !== null && error.tag.planId === plan.id) {
      const writer = this.#errorWriter;
      this.#errorWriter = new LogWriter(this.#sink(error, plan.errorLog.destination), this.#counters);
      this.#errorIsTerminal = error.tag.output === 'terminal';
      this.#retire(writer);
    } else if (error !== null) closeDescriptor(error.fd);
    this.access = plan.accessLog === null ? null : new AccessLog(plan.accessLog, this.#accessWriter);
    const format = plan.errorLog.format ?? (this.#errorIsTerminal ? 'text' : 'json');
    this.handshakes = new HandshakeLog(this.#errorWriter, format, plan.errorLog.level, plan.errorLog.handshakeSuccesses);
  }

  #switchAccess(sink: LogSink): void {
    const writer = this.#accessWriter;
    this.#accessWriter = new LogWriter(sink, this.#counters);
    this.#retire(writer);
  }

  #retire(writer: LogWriter): void {
    this.#retiring++;
    writer.end(() => {
      if (--this.#retiring > 0) return;
      for (const each of this.#whenRetired.splice(0)) each();
    });
  }

  #afterRetired(then: () => void): void {
    if (this.#retiring === 0) then();
    else this.#whenRetired.push(then);
  }

  #sink({ tag, fd }: Held, destination: LogDestinationPlan): LogSink {
    return destination.kind === 'syslog' ? new DatagramSink(fd, destination.address) : this.#streamSink(tag.output, fd);
  }

  #streamSink(output: LogOutput, fd: number): LogSink {
    switch (output) {
      case 'file':
        return new FileSink(fd, this.#lock);
      case 'pipe':
      case 'terminal':
        return new StreamSink(fd, false);
      case 'socket':
        return new StreamSink(fd, true);
      default:
        return new FileSink(fd, null);
    }
  }

  /** Called by the worker's tick. */
  flush(): void {
    this.#accessWriter.flush();
    this.#errorWriter.flush();
  }

  /** Everything is written out, or given up, when it calls back. Once. */
  end(whenEnded: () => void): void {
    this.access = null;
    this.#retire(this.#accessWriter);
    this.#retire(this.#errorWriter);
    this.#afterRetired(whenEnded);
  }
}
