/**
 * Whether a side that is waited for moves enough: judged over windows of waiting time, so that it costs no timer for each byte, and neither a
 * fast beginning nor a pause that the other side caused changes the verdict. Numbers in, numbers out.
 */
export class TransferWindow {
  #waitedMs = 0;
  #bytes = 0;
  /** Since when it is waited for, or -1. */
  #fromMs = -1;
  #movedMs = 0;

  reset(nowMs: number): void {
    this.#waitedMs = 0;
    this.#bytes = 0;
    this.#fromMs = -1;
    this.#movedMs = nowMs;
  }

  /** Waiting begins, or goes on. */
  wait(nowMs: number): void {
    if (this.#fromMs >= 0) return;
    this.#fromMs = nowMs;
    this.#movedMs = nowMs;
  }

  /** The side is not waited for any more: the other one is. */
  pause(nowMs: number): void {
    if (this.#fromMs < 0) return;
    this.#waitedMs += nowMs - this.#fromMs;
    this.#fromMs = -1;
  }

  moved(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    this.#movedMs = nowMs;
  }

  /** Time until the next judgement: the end of the window, or of `silenceMs` without a byte. Milliseconds, 0 at least. */
  leftMs(nowMs: number, silenceMs: number, windowMs: number): number {
    const silence = this.#movedMs + silenceMs - nowMs;
    return Math.max(0, Math.min(silence, windowMs - this.#waited(nowMs)));
  }

  isSilent(nowMs: number, silenceMs: number): boolean {
    return nowMs - this.#movedMs >= silenceMs;
  }

  /** Judges a window that is over, and begins the next. True: too few bytes moved in it. `rate` in bytes a second; 0: any will do. */
  isSlow(nowMs: number, rate: number, windowMs: number): boolean {
    const waited = this.#waited(nowMs);
    if (waited < windowMs) return false;
    const slow = this.#bytes * 1_000 < rate * waited;
    this.#waitedMs = 0;
    this.#bytes = 0;
    if (this.#fromMs >= 0) this.#fromMs = nowMs;
    return slow;
  }

  #waited(nowMs: number): number {
    return this.#waitedMs + (this.#fromMs < 0 ? 0 : nowMs - this.#fromMs);
  }
}
