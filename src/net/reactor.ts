/**
 * The worker's event loop: one epoll, edge-triggered, that lives inside libuv's. Owns descriptors' slots, the ready list and the timers.
 * Knows nothing of TLS or HTTP.
 *
 * A turn: take a batch of events and dispatch them; run what was put off before this turn. A stint: the turns of one call from libuv, which
 * polls twice before it calls. So while events come close together a stint waits for the next ones by itself, for a few milliseconds in all:
 * then Node's timers and sockets have their time. If anything is put off still, the poller's wake-up is armed, so that the next stint comes
 * without events.
 */
import { assert } from '../base/assert.ts';
import { DESCRIPTORS_MAX } from '../base/limits.ts';
import { joinLoop, leaveLoop } from '../native/loop.ts';
import { Poller } from '../native/poller.ts';
import { TICK_MS, TimerWheel } from './timer-wheel.ts';
import type { Watched } from './watched.ts';

/** A stint this old waits for nothing more, and takes no more events. */
const STINT_MS = 2;
/** How long a stint waits for the next events: the least that epoll knows. They must have come closer together than that before. */
const WAIT_MS = 1;

export class Reactor {
  /** Milliseconds of a clock that never goes back; set at the start of each turn and tick. */
  nowMs = performance.now();
  /** Turns that found work. */
  turns = 0;
  /** How late the last tick was. Milliseconds. */
  lagMs = 0;
  /** Node's loop has work of ours that is not the reactor's: nobody waits for events in front of it. */
  hasOtherWork = false;

  readonly #poller = new Poller();
  readonly #slots: (Watched | undefined)[] = [];
  readonly #wheel = new TimerWheel(this.nowMs);
  #ready: Watched[] = [];
  #running: Watched[] = [];
  #generation = 1;
  #open = 0;
  #ticker: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #inStint = false;
  /** When libuv got the loop back. */
  #leftMs = 0;
  #stopped = false;
  readonly #onTick: () => void;
  readonly #onTurnEnd: () => void;

  /** `onTick` runs about every 100 ms, `onTurnEnd` behind every turn that found work. Both on the event path: no promises. */
  constructor(onTick: () => void, onTurnEnd: () => void) {
    this.#onTick = onTick;
    this.#onTurnEnd = onTurnEnd;
  }

  /** Descriptors watched now. */
  get open(): number {
    return this.#open;
  }

  start(): void {
    joinLoop(this.#poller.fd, () => this.#stint());
    this.#dueMs = performance.now() + TICK_MS;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Lets the process end. */
  stop(): void {
    this.#stopped = true;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    leaveLoop();
  }

  /** Watches `fd` for `watched`, both directions, edge-triggered. False when the kernel refuses (out of memory or watches). */
  watch(watched: Watched, fd: number): boolean {
    if (!this.#poller.watch(fd, this.#admit(watched, fd))) return false;
    watched.toldOfRoom = true;
    return this.#hold(watched, fd);
  }

  /** As `watch`, for what is written to only when it has asked: no event comes of room to write, until `awaitRoom`. */
  watchBytes(watched: Watched, fd: number): boolean {
    if (!this.#poller.watchBytes(fd, this.#admit(watched, fd))) return false;
    watched.toldOfRoom = false;
    return this.#hold(watched, fd);
  }

  /** Something could not be written: from here on an event tells when it can. */
  awaitRoom(watched: Watched): void {
    if (watched.toldOfRoom) return;
    watched.toldOfRoom = true;
    assert(this.#poller.awaitRoom(watched.fd, watched.generation), 'the descriptor is watched');
  }

  /** As `watch`, for reading alone and level-triggered: listeners. */
  watchLevel(watched: Watched, fd: number): boolean {
    return this.#poller.watchLevel(fd, this.#admit(watched, fd)) && this.#hold(watched, fd);
  }

  /** The generation that `fd` is watched under. */
  #admit(watched: Watched, fd: number): number {
    assert(fd >= 0 && fd < DESCRIPTORS_MAX && watched.fd === -1, 'a new descriptor within bounds');
    assert(this.#slots[fd] === undefined, 'the descriptor has no owner yet');
    const generation = this.#generation;
    this.#generation = generation === 0x3fffffff ? 1 : generation + 1;
    watched.generation = generation;
    return generation;
  }

  #hold(watched: Watched, fd: number): boolean {
    watched.fd = fd;
    while (this.#slots.length <= fd) this.#slots.push(undefined);
    this.#slots[fd] = watched;
    this.#open++;
    return true;
  }

  /** Forgets `watched` before its descriptor is closed. Events already taken for it are dropped. With `keepOpen` the descriptor lives on. */
  forget(watched: Watched, keepOpen = false): void {
    this.#wheel.clear(watched);
    if (watched.fd < 0) return;
    assert(this.#slots[watched.fd] === watched, 'the descriptor is its own');
    if (keepOpen) this.#poller.unwatch(watched.fd);
    this.#slots[watched.fd] = undefined;
    this.#open--;
    watched.fd = -1;
    watched.generation = 0;
  }

  /** Calls `onReady` in the next turn: work over this turn's budget, or a side that can go on. */
  later(watched: Watched): void {
    if (watched.queued) return;
    watched.queued = true;
    this.#ready.push(watched);
    if (!this.#inStint) this.#poller.arm();
  }

  /** Calls `onDeadline` in `ms` milliseconds, up to TICK_MS late. Replaces the earlier deadline. */
  deadline(watched: Watched, ms: number): void {
    this.#wheel.set(watched, this.nowMs + ms);
  }

  noDeadline(watched: Watched): void {
    this.#wheel.clear(watched);
  }

  /** Runs `each` for everything watched now. Cold. */
  forEach(each: (watched: Watched) => void): void {
    for (const watched of [...this.#slots]) if (watched !== undefined && watched.fd >= 0) each(watched);
  }

  #stint(): void {
    this.#inStint = true;
    const startMs = performance.now();
    const isBusy = startMs - this.#leftMs < WAIT_MS && !this.hasOtherWork;
    this.nowMs = startMs;
    let count = this.#poller.take(0);
    for (;;) {
      this.#turn(count);
      if (this.nowMs - startMs >= STINT_MS || this.#stopped) break;
      const putOff = this.#ready.length > 0;
      if (!putOff) {
        if (!isBusy) break;
        this.#poller.disarm();
      }
      count = this.#poller.take(putOff ? 0 : WAIT_MS);
      if (count <= 0 && !putOff) break;
      this.nowMs = performance.now();
    }
    if (this.#ready.length > 0) this.#poller.arm();
    else this.#poller.disarm();
    this.#leftMs = performance.now();
    this.#inStint = false;
  }

  #turn(count: number): void {
    this.turns++;
    for (let i = 0; i < count; i++) {
      const fd = this.#poller.descriptorOf(i);
      if (fd < 0) continue;
      const watched = this.#slots[fd];
      if (watched === undefined || watched.generation !== this.#poller.generationOf(i)) continue;
      watched.onEvents(this.#poller.maskOf(i));
    }
    this.#runReady();
    this.#onTurnEnd();
  }

  /** What is put off while this runs waits for the next turn. */
  #runReady(): void {
    if (this.#ready.length === 0) return;
    const running = this.#ready;
    this.#ready = this.#running;
    this.#running = running;
    for (let i = 0; i < running.length; i++) {
      const watched = running[i]!;
      watched.queued = false;
      if (watched.fd >= 0) watched.onReady();
    }
    running.length = 0;
  }

  #tick(): void {
    this.nowMs = performance.now();
    this.lagMs = Math.max(0, this.nowMs - this.#dueMs);
    this.#dueMs = this.nowMs + TICK_MS;
    this.#wheel.advance(this.nowMs);
    this.#onTick();
  }
}
