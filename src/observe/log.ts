/** The log for people: lines of JSON, or plain ones when a person reads along. On standard error until a plan says otherwise. */
import { fstatSync, ftruncateSync, writeSync } from 'node:fs';
import { pino } from 'pino';
import type { LogLevel } from '../plan/log-plan.ts';

export type Log = pino.Logger;

const STANDARD_ERROR = 2;

/** The control plane's log, whose destination, format and level can change while it is written to. */
export class ErrorLog {
  readonly log: Log;
  #fd = STANDARD_ERROR;
  #isFile = false;
  #plain = process.stderr.isTTY === true;
  /** Lines that could not be written since the last one that could. */
  #lost = 0;

  constructor() {
    const options: pino.LoggerOptions = {
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
    };
    this.log = pino(options, { write: (line) => this.#write(line) });
  }

  /** From the next line on. The descriptor stays its opener's. `isFile`: what a full disk cuts off can be taken back. */
  use(fd: number, isFile: boolean, plain: boolean, level: LogLevel): void {
    this.#fd = fd;
    this.#isFile = isFile;
    this.#plain = plain;
    this.log.level = level;
  }

  #write(line: string): void {
    if (this.#lost > 0) {
      const time = new Date().toISOString();
      const note = JSON.stringify({ level: 'warn', time, lines: this.#lost, message: 'lines of this log were lost' });
      if (!this.#tryWrite(`${note}\n`)) {
        this.#lost++;
        return;
      }
      this.#lost = 0;
    }
    if (!this.#tryWrite(line)) this.#lost++;
  }

  /** A destination that is full or gone costs lines: nothing waits for it. */
  #tryWrite(line: string): boolean {
    const bytes = Buffer.from(this.#plain ? plainLine(line) : line);
    try {
      const written = writeSync(this.#fd, bytes);
      if (written === bytes.length) return true;
      if (this.#isFile) ftruncateSync(this.#fd, fstatSync(this.#fd).size - written);
    } catch {
      // Nobody could be told: this is the log.
    }
    return false;
  }
}

function plainLine(line: string): string {
  const { level, time, message, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${String(level)}: ${String(message)}${details.join('')}\n`;
}
