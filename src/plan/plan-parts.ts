/**
 * A plan on its way to a worker: its certificates and blobs in parts, each small enough to be read between two turns of the loop, and then the
 * plan itself without them. A plan of ten thousand certificates in one message would take a worker a tenth of a second to read.
 */
import type { CertificatePlan, Plan } from './plan.ts';

/** Of one part. */
const CERTIFICATES_MAX = 64;
const BLOBS_MAX = 128;
/** Blobs of one part, unless one of them is larger. Bytes. */
const BLOB_BYTES_MAX = 262_144;

/** What comes before its plan. Its blobs follow those of the part before. */
export interface PlanPart {
  readonly type: 'part';
  readonly planId: number;
  readonly certificates: readonly CertificatePlan[];
}

export interface WholePlan {
  readonly plan: Plan;
  readonly blobs: readonly Buffer[];
  /** What the blobs are views of; their owner zeroes it. */
  readonly memory: readonly Buffer[];
}

/** The parts of `plan`, in order; the plan follows, as `planWithoutParts` gives it. */
export function* planParts(
  { id: planId, certificates }: Plan,
  blobs: readonly Uint8Array[],
): Generator<{ readonly part: PlanPart; readonly blobs: readonly Uint8Array[] }, void, undefined> {
  let listed = 0;
  let given = 0;
  while (listed < certificates.length || given < blobs.length) {
    const from = given;
    for (let bytes = 0; given < blobs.length && given - from < BLOBS_MAX; given++) {
      bytes += blobs[given]!.length;
      if (bytes > BLOB_BYTES_MAX && given > from) break;
    }
    const some = certificates.slice(listed, listed + CERTIFICATES_MAX);
    listed += some.length;
    yield { part: { type: 'part', planId, certificates: some }, blobs: blobs.slice(from, given) };
  }
}

export function planWithoutParts(plan: Plan): Plan {
  return { ...plan, certificates: [] };
}

/** Joins them again. */
export class PlanParts {
  #planId = -1;
  #certificates: CertificatePlan[] = [];
  #blobs: Buffer[] = [];
  #memory: Buffer[] = [];

  /** Copies `blobs`, each part's into memory of its own. */
  add({ planId, certificates }: PlanPart, blobs: readonly Uint8Array[]): void {
    if (planId !== this.#planId) this.#drop();
    this.#planId = planId;
    for (const certificate of certificates) this.#certificates.push(certificate);
    // Not from Node's pool: keys must not share a slab with strangers.
    const all = Buffer.alloc(blobs.reduce((sum, { length }) => sum + length, 0));
    this.#memory.push(all);
    let at = 0;
    for (const blob of blobs) {
      all.set(blob, at);
      this.#blobs.push(all.subarray(at, at + blob.length));
      at += blob.length;
    }
  }

  /** The plan that the parts were for. One whose parts have not come has no certificates. */
  take(plan: Plan): WholePlan {
    if (plan.id !== this.#planId) this.#drop();
    const whole = { plan: { ...plan, certificates: this.#certificates }, blobs: this.#blobs, memory: this.#memory };
    this.#forget();
    return whole;
  }

  /** What has come of a plan that nobody wants any more. */
  #drop(): void {
    for (const all of this.#memory) all.fill(0);
    this.#forget();
  }

  #forget(): void {
    this.#planId = -1;
    this.#certificates = [];
    this.#blobs = [];
    this.#memory = [];
  }
}
