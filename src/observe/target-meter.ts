/** How fast each target answered lately: differences of its histogram over the last minute. Looks at the shared table when it is told to. */
import { TARGET_BOUNDS_S, TH_FIRST_BYTE } from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import type { SharedTable } from '../plan/table.ts';

/** Time over which is looked, and between two looks. Milliseconds. */
const OVER_MS = 60_000;
const EVERY_MS = 5_000;
const PLACES = TARGET_BOUNDS_S.length + 2;

/** From request to response head. Milliseconds. */
export interface FirstByte {
  readonly answers: number;
  readonly meanMs: number;
  /** As Prometheus's histogram_quantile has it: within a bucket it is taken to be even. */
  readonly p99Ms: number;
}

interface Look {
  readonly atMs: number;
  /** By slot. */
  readonly places: ReadonlyMap<number, readonly number[]>;
}

export class TargetMeter {
  readonly #looks: Look[] = [];

  /** A look, as often as you like: most are passed over. */
  look(plan: Plan, table: SharedTable, nowMs: number): void {
    if (nowMs - (this.#looks.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) < EVERY_MS) return;
    const slots = plan.upstreams.flatMap(({ targets }) => targets.map(({ slot }) => slot));
    this.#looks.push({ atMs: nowMs, places: new Map(slots.map((slot) => [slot, placesOf(table, slot)])) });
    // The last that is old enough is what is compared with.
    while (this.#looks.length > 1 && nowMs - this.#looks[1]!.atMs >= OVER_MS) this.#looks.shift();
  }

  /** Of the last minute, up to now; null: it has answered nothing. */
  firstByte(table: SharedTable, slot: number): FirstByte | null {
    const now = placesOf(table, slot);
    const before = this.#looks.find(({ places }) => places.has(slot))?.places.get(slot);
    // Somebody new in its place begins anew.
    const isNew = before === undefined || before.some((value, place) => value > now[place]!);
    const places = isNew ? now : now.map((value, place) => value - before[place]!);
    const counts = places.slice(0, -1);
    const answers = counts.reduce((sum, count) => sum + count, 0);
    if (answers <= 0) return null;
    return { answers, meanMs: (1_000 * places.at(-1)!) / answers, p99Ms: 1_000 * quantile(TARGET_BOUNDS_S, counts, 0.99) };
  }
}

function placesOf(table: SharedTable, slot: number): number[] {
  return table.targetHistogram(slot, TH_FIRST_BYTE, PLACES);
}

/** The `q`-quantile of what was counted in buckets; what lies above all bounds is the last of them. */
export function quantile(bounds: readonly number[], counts: readonly number[], q: number): number {
  let left = q * counts.reduce((sum, count) => sum + count, 0);
  for (let bucket = 0; bucket < bounds.length; bucket++) {
    const count = counts[bucket]!;
    const lower = bounds[bucket - 1] ?? 0;
    if (count > 0 && left <= count) return lower + ((bounds[bucket]! - lower) * left) / count;
    left -= count;
  }
  return bounds.at(-1) ?? 0;
}
