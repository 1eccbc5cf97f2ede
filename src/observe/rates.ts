/** How much is going on: differences of counts over the last seconds. Counts in, rates out. */

/** Counts that only rise. */
export interface Counts {
  readonly requests: number;
  readonly handshakes: number;
  readonly handshakeFailures: number;
  readonly answers5xx: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A second's worth of each. */
export type Rates = Counts;

/** Time over which rates are taken. Seconds. */
const OVER_S = 10;
const NOTHING: Rates = { requests: 0, handshakes: 0, handshakeFailures: 0, answers5xx: 0, bytesIn: 0, bytesOut: 0 };

export class RateMeter {
  readonly #samples: { readonly atMs: number; readonly counts: Counts }[] = [];

  /** A look, about every second. */
  add(counts: Counts, atMs: number): void {
    this.#samples.push({ atMs, counts });
    if (this.#samples.length > OVER_S + 1) this.#samples.shift();
  }

  rates(): Rates {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return NOTHING;
    const seconds = (last.atMs - first.atMs) / 1_000;
    const rate = (name: keyof Counts): number => Math.max(0, last.counts[name] - first.counts[name]) / seconds;
    return {
      requests: rate('requests'),
      handshakes: rate('handshakes'),
      handshakeFailures: rate('handshakeFailures'),
      answers5xx: rate('answers5xx'),
      bytesIn: rate('bytesIn'),
      bytesOut: rate('bytesOut'),
    };
  }
}
