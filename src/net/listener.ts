/**
 * One listening socket: takes connections within the turn's budgets and hands them on. Knows neither TLS nor HTTP.
 *
 * Out of descriptors, a level-triggered listener would spin: instead a reserve descriptor is given up to take connections and close them,
 * one after the other (each client learns at once). When even that does not go, the listener is left alone for a moment.
 */
import { FAULT_DESCRIPTORS } from '../base/faults.ts';
import { ACCEPTS_PER_TURN } from '../base/limits.ts';
import { accept, closeDescriptor, reserveDescriptor } from '../native/sockets.ts';
import type { Reactor } from './reactor.ts';
import { Watched } from './watched.ts';

/** How long a listener rests when it can neither take nor refuse. Milliseconds. */
const REST_MS = 200;

export interface ListenerEvents {
  /** A new connection: the callee owns `fd` from here on. */
  onConnection(fd: number): void;
  /** Whether more connections may be taken in this turn. */
  hasRoom(): boolean;
  /** A connection was refused, or must wait: there is no descriptor for it. */
  onDescriptorsOut(): void;
}

let reserve = -1;

export class Listener extends Watched {
  readonly #reactor: Reactor;
  readonly #events: ListenerEvents;
  #socket: number;
  #accepting = false;
  /** How many are taken at an event. One more call would only say that there are no more, and what is left makes the next event. */
  #most = 1;
  /** The turn of the last event that left nothing of that over. */
  #fullTurn = 0;

  constructor(reactor: Reactor, socket: number, events: ListenerEvents) {
    super();
    this.#reactor = reactor;
    this.#socket = socket;
    this.#events = events;
    if (reserve < 0) reserve = reserveDescriptor();
  }

  get accepting(): boolean {
    return this.#accepting;
  }

  /** Begins to accept. */
  open(): void {
    if (this.#accepting) return;
    this.#accepting = this.#reactor.watchLevel(this, this.#socket);
    if (!this.#accepting) this.#reactor.deadline(this, REST_MS);
  }

  /** Stops accepting; the socket stays open, and its queue goes on filling. */
  pause(): void {
    if (this.#accepting) this.#reactor.forget(this, true);
    else this.#reactor.noDeadline(this);
    this.#accepting = false;
  }

  /** Closes the socket: what waits in its queue is reset. */
  close(): void {
    this.pause();
    closeDescriptor(this.#socket);
    this.#socket = -1;
  }

  /** Takes every connection that waits, over the turn's budgets: the socket is about to go. */
  empty(): void {
    for (let fd = accept(this.#socket); fd > 0; fd = accept(this.#socket)) this.#events.onConnection(fd);
  }

  override onEvents(): void {
    for (let i = 0; i < this.#most; i++) {
      if (!this.#events.hasRoom()) return;
      const fd = accept(this.#socket);
      if (fd > 0) {
        this.#events.onConnection(fd);
        continue;
      }
      this.#most = 1;
      if (fd === FAULT_DESCRIPTORS) this.#refuse();
      return;
    }
    const { turns } = this.#reactor;
    this.#most = turns === this.#fullTurn + 1 ? Math.min(2 * this.#most, ACCEPTS_PER_TURN) : 1;
    this.#fullTurn = turns;
  }

  /** Refuses what waits, at the price of an accept each. What is over the turn's budget is met in the next one. */
  #refuse(): void {
    this.#events.onDescriptorsOut();
    let fd = FAULT_DESCRIPTORS;
    if (reserve >= 0) {
      closeDescriptor(reserve);
      for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
        fd = accept(this.#socket);
        if (fd <= 0) break;
        closeDescriptor(fd);
        if (i > 0) this.#events.onDescriptorsOut();
      }
    }
    reserve = reserveDescriptor();
    if (fd !== FAULT_DESCRIPTORS && reserve >= 0) return;
    this.pause();
    this.#reactor.deadline(this, REST_MS);
  }

  override onReady(): void {}

  override onDeadline(): void {
    this.open();
  }
}
