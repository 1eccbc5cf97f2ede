/** Something with a descriptor that the reactor tells of events: one shape, so that dispatch stays cheap. */

/** A place in the timer wheel and in the ready list, and a descriptor. Connections extend it; the fields below `fd` belong to net. */
export abstract class Watched {
  fd = -1;
  /** Told apart from the descriptor's earlier owners by this. */
  generation = 0;
  /** Events tell of room to write. */
  toldOfRoom = false;
  /** In the ready list now. */
  queued = false;
  /** When `onDeadline` is due, on the reactor's clock; Infinity: never. Milliseconds. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** Where the wheel holds it: slot, or -1, and neighbours. */
  wheelSlot = -1;
  wheelNext: Watched | null = null;
  wheelPrevious: Watched | null = null;

  /** Edge-triggered: each condition is told once. `mask` is native/poller.ts's. */
  abstract onEvents(mask: number): void;
  /** Work that was put off with `Reactor.later`. */
  abstract onReady(): void;
  /** The deadline has passed. */
  abstract onDeadline(): void;
}
