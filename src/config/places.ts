/**
 * Places in the shared table for what a plan counts by name: targets and routes. What was in the plan before keeps its place, and so its counts.
 * Pure.
 */
import { ROUTES_COUNTED_MAX, TARGETS_MAX } from '../base/limits.ts';
import type { Plan } from '../plan/plan.ts';
import { ROUTE_OTHER } from '../plan/table.ts';

/** Slot of a target or route that has no place yet. */
export const UNPLACED = -1;

/** `plan` with its targets and routes where they are in `previous`, those that are new in places that it does not use, where there are any. */
export function inPlaces(plan: Plan, previous: Plan | null): Plan {
  const targets = new Places(previous === null ? [] : targetPlaces(previous), TARGETS_MAX);
  for (const [name] of targetPlaces(plan)) targets.keep(name);
  const upstreams = plan.upstreams.map((upstream) => ({
    ...upstream,
    targets: upstream.targets.map((target) => ({ ...target, slot: targets.take(keyOf(upstream.name, target.label)) })),
  }));
  const routes = new Places(new Map(previous === null ? [] : routePlaces(previous)), ROUTES_COUNTED_MAX);
  const names = new Set(routePlaces(plan).map(([name]) => name));
  for (const name of names) routes.keep(name);
  // A listener with several addresses has its routes on each, and one count for all.
  const slots = new Map([...names].map((name) => [name, routes.take(name)]));
  const listeners = plan.listeners.map((listener) => ({
    ...listener,
    routes: listener.routes.map((route) => ({ ...route, slot: slots.get(keyOf(listener.name, route.name)) ?? ROUTE_OTHER })),
  }));
  return { ...plan, upstreams, listeners };
}

/** Places of `plan` in which somebody else was before, or nobody. */
export function newPlaces(plan: Plan, previous: Plan | null): { readonly targets: readonly number[]; readonly routes: readonly number[] } {
  const added = (now: readonly Place[], before: readonly Place[]): number[] => {
    const known = new Set(before.map(([name, slot]) => keyOf(name, String(slot))));
    return [...new Set(now.filter(([name, slot]) => !known.has(keyOf(name, String(slot)))).map(([, slot]) => slot))];
  };
  return {
    targets: added(targetPlaces(plan), previous === null ? [] : targetPlaces(previous)),
    routes: added(routePlaces(plan), previous === null ? [] : routePlaces(previous)).filter((slot) => slot !== ROUTE_OTHER),
  };
}

type Place = readonly [name: string, slot: number];

function targetPlaces({ upstreams }: Plan): Place[] {
  return upstreams.flatMap(({ name, targets }) => targets.map(({ label, slot }): Place => [keyOf(name, label), slot]));
}

function routePlaces({ listeners }: Plan): Place[] {
  return listeners.flatMap(({ name, routes }) => routes.map((route): Place => [keyOf(name, route.name), route.slot]));
}

function keyOf(one: string, other: string): string {
  return `${one}\0${other}`;
}

/** Numbers below `size`, by name; a name may have several. */
class Places {
  readonly #size: number;
  readonly #before = new Map<string, number[]>();
  readonly #kept = new Map<string, number[]>();
  /** Given to somebody, and (of the plan before) not to be given unless there are no others. */
  readonly #used = new Set<number>();
  readonly #avoided = new Set<number>();

  constructor(before: Iterable<Place>, size: number) {
    this.#size = size;
    for (const [name, slot] of before) {
      if (slot >= size) continue;
      this.#before.set(name, [...(this.#before.get(name) ?? []), slot]);
      this.#avoided.add(slot);
    }
  }

  keep(name: string): void {
    const slot = this.#before.get(name)?.shift();
    if (slot === undefined) return;
    this.#kept.set(name, [...(this.#kept.get(name) ?? []), slot]);
    this.#used.add(slot);
  }

  /** `size` when all are given. */
  take(name: string): number {
    const kept = this.#kept.get(name)?.shift();
    if (kept !== undefined) return kept;
    const fresh = this.#next((slot) => !this.#avoided.has(slot));
    const slot = fresh < this.#size ? fresh : this.#next(() => true);
    this.#used.add(slot);
    return slot;
  }

  #next(may: (slot: number) => boolean): number {
    let slot = 0;
    while (slot < this.#size && (this.#used.has(slot) || !may(slot))) slot++;
    return slot;
  }
}
