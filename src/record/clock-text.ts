/** The time of a log line, RFC 3339 in UTC with milliseconds, made once per millisecond and copied. */
import { writePadded } from './text.ts';

/** Bytes of `2026-01-31T23:59:59.123Z`. */
export const TIME_BYTES = 24;

export class ClockText {
  readonly #bytes = Buffer.from(new ArrayBuffer(TIME_BYTES));
  #second = Number.NaN;
  #millisecond = -1;

  /** Writes the time `unixMs` at bytes[at]; returns the position behind it. */
  write(bytes: Buffer, at: number, unixMs: number): number {
    const whole = Math.floor(unixMs);
    const second = Math.floor(whole / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#bytes.latin1Write(new Date(second * 1_000).toISOString(), 0);
      this.#millisecond = 0;
    }
    const millisecond = whole - second * 1_000;
    if (millisecond !== this.#millisecond) {
      this.#millisecond = millisecond;
      writePadded(this.#bytes, 20, millisecond, 3);
    }
    for (let i = 0; i < TIME_BYTES; i++) bytes[at + i] = this.#bytes[i]!;
    return at + TIME_BYTES;
  }
}

/** Bytes of `31/Jan/2026:23:59:59 +0000`. */
const COMMON_TIME_BYTES = 26;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The time as the common log format has it, in UTC, made once per second. */
export class CommonClockText {
  readonly #bytes = Buffer.from(new ArrayBuffer(COMMON_TIME_BYTES));
  #second = Number.NaN;

  write(bytes: Buffer, at: number, unixMs: number): number {
    const second = Math.floor(unixMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      const text = new Date(second * 1_000).toISOString();
      const month = MONTHS[Number(text.slice(5, 7)) - 1]!;
      this.#bytes.latin1Write(`${text.slice(8, 10)}/${month}/${text.slice(0, 4)}:${text.slice(11, 19)} +0000`, 0);
    }
    for (let i = 0; i < COMMON_TIME_BYTES; i++) bytes[at + i] = this.#bytes[i]!;
    return at + COMMON_TIME_BYTES;
  }
}
