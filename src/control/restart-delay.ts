/** How long to wait before a dead worker is started again: not at all at first, longer and longer while it keeps dying. */

/** A worker that lived this long was well: the count of its predecessors' deaths is forgotten. Milliseconds. */
export const WELL_MS = 60_000;
const FIRST_MS = 200;
const LONGEST_MS = 10_000;

export class RestartDelay {
  #deaths = 0;

  /** Milliseconds to wait, given how long the dead one lived. */
  afterDeath(livedMs: number): number {
    this.#deaths = livedMs >= WELL_MS ? 1 : this.#deaths + 1;
    return this.#deaths === 1 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#deaths - 2));
  }
}
