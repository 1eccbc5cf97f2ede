/** Notices when the wall clock is set: by how much it has moved against the one that never goes back. Clocks in, a number out. */

/** Less than this is the slow correction of time synchronisation. Milliseconds. */
const JUMP_MS_MIN = 2_000;

export class ClockWatch {
  #offsetMs: number;

  constructor(wallMs: number, monotonicMs: number) {
    this.#offsetMs = wallMs - monotonicMs;
  }

  /** How far the wall clock has jumped since the last look, forth or (below 0) back; 0: it has not. Milliseconds. */
  jumped(wallMs: number, monotonicMs: number): number {
    const offsetMs = wallMs - monotonicMs;
    const jumpMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    return Math.abs(jumpMs) < JUMP_MS_MIN ? 0 : jumpMs;
  }
}
