/**
 * One listening socket: takes connections within the turn's budgets and hands them on. Knows neither TLS nor HTTP.
 *
 * Out of descriptors, a level-triggered listener would spin: instead a reserve descriptor is given up to take one connection and close
 * it (the client learns at once), and the listener is left alone until the next tick.
 */
import { FAULT_DESCRIPTORS } from '../base/faults.ts';
import { ACCEPTS_PER_TURN } from '../base/limits.ts';
import { accept, closeDescriptor, reserveDescriptor } from '../native/sockets.ts';
import type { Reactor } from './reactor.ts';
import { Watched } from './watched.ts';

/** How long a listener rests when descriptors have run out. Milliseconds. */
const REST_MS = 200;

export interface ListenerEvents {
  /** A new connection: the callee owns `fd` from here on. */
  onConnection(fd: number): void;
  /** Whether more connections may be taken in this turn. */
  hasRoom(): boolean;
  /** The process is out of descriptors. */
  onDescriptorsOut(): void;
}

let reserve = -1;

export class Listener extends Watched {
  readonly #reactor: Reactor;
  readonly #events: ListenerEvents;
  #socket: number;
  #accepting = false;

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
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      if (!this.#events.hasRoom()) return;
      const fd = accept(this.#socket);
      if (fd > 0) {
        this.#events.onConnection(fd);
        continue;
      }
      if (fd === FAULT_DESCRIPTORS) this.#refuseOne();
      return;
    }
  }

  #refuseOne(): void {
    this.#events.onDescriptorsOut();
    if (reserve >= 0) {
      closeDescriptor(reserve);
      const fd = accept(this.#socket);
      if (fd > 0) closeDescriptor(fd);
      reserve = reserveDescriptor();
    }
    this.pause();
    this.#reactor.deadline(this, REST_MS);
  }

  override onReady(): void {}

  override onDeadline(): void {
    this.open();
  }
}
