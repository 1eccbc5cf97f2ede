/**
 * Whether things have become clearly worse since a change: shares of failed handshakes and of 5xx answers, before and after. Counts in, a
 * verdict out.
 */

/** One look at the counts, which only rise. */
export interface HealthSample {
  readonly handshakes: number;
  readonly handshakeFailures: number;
  readonly answers: number;
  readonly answers5xx: number;
}

/** Looks kept as what was usual: a minute of them. */
const SAMPLES_MAX = 60;
/** Events after the change below which nothing can be said. */
const EVENTS_MIN = 20;
/** Clearly worse: this much more of all, and this many times the usual share; or very much more of all. */
const SHARE = 0.05;
const TIMES = 2;
const LARGE_SHARE = 0.25;

export class HealthWatch {
  readonly #samples: HealthSample[] = [];
  #begin: HealthSample | null = null;
  #usual: { readonly handshakes: number; readonly answers: number } = { handshakes: 0, answers: 0 };

  /** A look, about every second. */
  add(sample: HealthSample): void {
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** A change is being made: what was usual until now is kept for comparison. */
  begin(now: HealthSample): void {
    const first = this.#samples[0] ?? now;
    this.#usual = shares(first, now);
    this.#begin = now;
  }

  /** Null: not clearly worse. Else what is, in a sentence. */
  worse(now: HealthSample): string | null {
    const begin = this.#begin;
    if (begin === null) return null;
    const after = shares(begin, now);
    const say = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const handshakes = now.handshakes + now.handshakeFailures - begin.handshakes - begin.handshakeFailures;
    if (handshakes >= EVENTS_MIN && isWorse(this.#usual.handshakes, after.handshakes)) {
      return `${say(after.handshakes)} of handshakes fail, ${say(this.#usual.handshakes)} did before`;
    }
    if (now.answers - begin.answers >= EVENTS_MIN && isWorse(this.#usual.answers, after.answers)) {
      return `${say(after.answers)} of answers are 5xx, ${say(this.#usual.answers)} were before`;
    }
    return null;
  }
}

function isWorse(usual: number, now: number): boolean {
  return now > usual + LARGE_SHARE || (now > usual + SHARE && now > TIMES * usual);
}

function shares(from: HealthSample, to: HealthSample): { readonly handshakes: number; readonly answers: number } {
  const failures = to.handshakeFailures - from.handshakeFailures;
  const handshakes = to.handshakes - from.handshakes + failures;
  const answers = to.answers - from.answers;
  return {
    handshakes: handshakes > 0 ? failures / handshakes : 0,
    answers: answers > 0 ? (to.answers5xx - from.answers5xx) / answers : 0,
  };
}
