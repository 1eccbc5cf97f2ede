/**
 * Deadlines, coarse and cheap: one wheel of slots per worker, an intrusive list in each.
 *
 * Moving a deadline further away (every request does) is one store: the entry stays in its slot, and is put where it belongs when the
 * slot comes round. Only an earlier deadline moves it at once. Deadlines fire late by up to TICK_MS, never early.
 */
import type { Watched } from './watched.ts';

/** Time of one slot. Milliseconds. */
export const TICK_MS = 100;
const SLOTS = 1_024;

export class TimerWheel {
  readonly #slots: (Watched | null)[] = new Array<Watched | null>(SLOTS).fill(null);
  /** The tick whose slot was emptied last. */
  #tick: number;

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / TICK_MS);
  }

  /** Sets or moves the deadline of `entry`. */
  set(entry: Watched, deadlineMs: number): void {
    const earlier = deadlineMs < entry.deadlineMs;
    entry.deadlineMs = deadlineMs;
    if (entry.wheelSlot >= 0) {
      if (!earlier) return;
      this.#unlink(entry);
    }
    this.#link(entry);
  }

  clear(entry: Watched): void {
    entry.deadlineMs = Number.POSITIVE_INFINITY;
    if (entry.wheelSlot >= 0) this.#unlink(entry);
  }

  /** Fires what is due at `nowMs`. An entry is out of the wheel when its `onDeadline` runs. */
  advance(nowMs: number): void {
    const until = Math.floor(nowMs / TICK_MS);
    // After a long halt every slot needs one visit, not one for each tick missed.
    if (until - this.#tick > SLOTS) this.#tick = until - SLOTS;
    while (this.#tick < until) {
      this.#tick++;
      this.#visit(this.#tick & (SLOTS - 1), nowMs);
    }
  }

  #visit(slot: number, nowMs: number): void {
    // The list is taken off first: an entry set again lands in a slot to come, so this loop ends.
    this.#visiting = this.#slots[slot] ?? null;
    this.#slots[slot] = null;
    for (let each = this.#visiting; each !== null; each = each.wheelNext) each.wheelSlot = DETACHED;
    while (this.#visiting !== null) {
      const entry: Watched = this.#visiting;
      this.#visiting = entry.wheelNext;
      if (this.#visiting !== null) this.#visiting.wheelPrevious = null;
      entry.wheelNext = null;
      entry.wheelPrevious = null;
      entry.wheelSlot = -1;
      if (entry.deadlineMs > nowMs) {
        if (entry.deadlineMs !== Number.POSITIVE_INFINITY) this.#link(entry);
        continue;
      }
      entry.deadlineMs = Number.POSITIVE_INFINITY;
      entry.onDeadline();
    }
  }

  /** Rest of the list being visited: a deadline may clear another entry that waits in it. */
  #visiting: Watched | null = null;

  #link(entry: Watched): void {
    let tick = Math.ceil(entry.deadlineMs / TICK_MS);
    if (tick <= this.#tick) tick = this.#tick + 1;
    // Further than the wheel reaches: the last slot, from where it is put on.
    else if (tick >= this.#tick + SLOTS) tick = this.#tick + SLOTS - 1;
    const slot = tick & (SLOTS - 1);
    const head = this.#slots[slot] ?? null;
    entry.wheelSlot = slot;
    entry.wheelPrevious = null;
    entry.wheelNext = head;
    if (head !== null) head.wheelPrevious = entry;
    this.#slots[slot] = entry;
  }

  #unlink(entry: Watched): void {
    const next = entry.wheelNext;
    const previous = entry.wheelPrevious;
    if (next !== null) next.wheelPrevious = previous;
    if (previous !== null) previous.wheelNext = next;
    else if (entry.wheelSlot === DETACHED) this.#visiting = next;
    else this.#slots[entry.wheelSlot] = next;
    entry.wheelNext = null;
    entry.wheelPrevious = null;
    entry.wheelSlot = -1;
  }
}

/** `wheelSlot` of an entry in the list being visited. */
const DETACHED = SLOTS;
