/** Work that takes longer than anybody may wait: done a little at a time, between turns of the loop, one piece of work after the other. */

/** How long it keeps the loop at a time. Milliseconds. */
const SLICE_MS = 2;

/** It yields where it may be interrupted. What it throws ends the process. */
export type Work = Generator<undefined, void, undefined>;

export class Slices {
  readonly #works: Work[] = [];
  readonly #onBusy: (isBusy: boolean) => void;

  /** `onBusy` is told when work is left for later, and when all is done. */
  constructor(onBusy: (isBusy: boolean) => void) {
    this.#onBusy = onBusy;
  }

  /** Begun at once when nothing else is under way. */
  add(work: Work): void {
    this.#works.push(work);
    if (this.#works.length === 1) this.#go();
  }

  #go(): void {
    const untilMs = performance.now() + SLICE_MS;
    for (let work = this.#works[0]; work !== undefined; work = this.#works[0]) {
      if (work.next().done === true) this.#works.shift();
      else if (performance.now() >= untilMs) {
        this.#onBusy(true);
        setImmediate(() => this.#go());
        return;
      }
    }
    this.#onBusy(false);
  }
}
