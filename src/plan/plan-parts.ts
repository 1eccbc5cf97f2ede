/**
 * A plan on its way to a worker: its certificates and blobs in parts, each small enough to be read between two turns of the loop, and then the
 * plan itself without them. A plan of ten thousand certificates in one message would take a worker a tenth of a second to read.
 */
import type { CertificatePlan, Plan } from './plan.ts';

/** Of one part. */
const CERTIFICATES_MAX = 64;
const BLOBS_MAX = 128;
/** Blobs of one part, or a piece of one. Bytes. */
const BLOB_BYTES_MAX = 262_144;

/** What comes before its plan. Its blobs follow those of the part before. */
export interface PlanPart {
  readonly type: 'part';
  readonly planId: number;
  readonly certificates: readonly CertificatePlan[];
  /** 0: its blobs are whole. Else it has one, a piece of a blob that is so long; the others come next. Bytes. */
  readonly pieceOf: number;
}

export interface WholePlan {
  readonly plan: Plan;
  readonly blobs: readonly Buffer[];
  /** What the blobs are views of; their owner zeroes it. */
  readonly memory: readonly Buffer[];
}

interface Part {
  readonly part: PlanPart;
  readonly blobs: readonly Uint8Array[];
}

/** The parts of `plan`, in order; the plan follows, as `planWithoutParts` gives it. */
export function* planParts({ id: planId, certificates: all }: Plan, blobs: readonly Uint8Array[]): Generator<Part, void, undefined> {
  let listed = 0;
  let given = 0;
  const partOf = (pieceOf: number): PlanPart => {
    const certificates = all.slice(listed, listed + CERTIFICATES_MAX);
    listed += certificates.length;
    return { type: 'part', planId, certificates, pieceOf };
  };
  while (listed < all.length || given < blobs.length) {
    const next = blobs[given];
    if (next !== undefined && next.length > BLOB_BYTES_MAX) {
      for (let at = 0; at < next.length; at += BLOB_BYTES_MAX)
        yield { part: partOf(next.length), blobs: [next.subarray(at, at + BLOB_BYTES_MAX)] };
      given++;
      continue;
    }
    const from = given;
    let bytes = 0;
    while (given < blobs.length && given - from < BLOBS_MAX && bytes + blobs[given]!.length <= BLOB_BYTES_MAX)
      bytes += blobs[given++]!.length;
    yield { part: partOf(0), blobs: blobs.slice(from, given) };
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
  /** Bytes of the last blob that have not come yet. */
  #missing = 0;

  /** Copies `blobs`, each part's into memory of its own. */
  add({ planId, certificates, pieceOf }: PlanPart, blobs: readonly Uint8Array[]): void {
    if (planId !== this.#planId) this.#drop();
    this.#planId = planId;
    for (const certificate of certificates) this.#certificates.push(certificate);
    if (pieceOf > 0) this.#addPiece(blobs[0]!, pieceOf);
    else this.#addWhole(blobs);
  }

  #addPiece(piece: Uint8Array, bytes: number): void {
    if (this.#missing === 0) {
      const whole = Buffer.alloc(bytes);
      this.#memory.push(whole);
      this.#blobs.push(whole);
      this.#missing = bytes;
    }
    const whole = this.#blobs.at(-1)!;
    whole.set(piece, whole.length - this.#missing);
    this.#missing -= piece.length;
  }

  #addWhole(blobs: readonly Uint8Array[]): void {
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
    this.#missing = 0;
  }
}
