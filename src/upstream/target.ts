/** One server behind us: where it is, its idle connections (last in, first out), and its share of the shared table. */

import { ADDRESSES_MAX } from '../base/limits.ts';
import { type Destination, destination } from '../native/sockets.ts';
import type { Reactor } from '../net/reactor.ts';
import {
  C_LIMIT_IDLE_POOL,
  C_UPSTREAM_IDLE,
  C_UPSTREAM_OPEN,
  C_UPSTREAM_REUSES,
  observe,
  T_CONNECTS,
  T_FAILURES,
  T_IDLE,
  T_IN_FLIGHT,
  T_OPEN,
  T_REQUESTS,
  TARGET_BOUNDS_S,
  TARGET_HISTOGRAMS_PLACES,
  TARGET_PLACES,
} from '../plan/counters.ts';
import type { TargetAddress, TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import type { TableRow } from '../plan/table.ts';
import type { TargetTls } from './target-tls.ts';
import { BUSY, IDLE, UpstreamConnection, type UpstreamOwner } from './upstream-connection.ts';

export class Target {
  readonly plan: TargetPlan;
  readonly upstream: UpstreamPlan;
  /** Null: it is spoken to as it is. */
  readonly tls: TargetTls | null;
  readonly counters: Float64Array;
  readonly #reactor: Reactor;
  readonly #row: Float64Array;
  readonly #at: number;
  readonly #histograms: Float64Array;
  readonly #histogramsAt: number;
  #destinations: readonly Destination[];
  /** Where a connection came about last: tried first. */
  #preferred = 0;
  readonly #idle: UpstreamConnection[] = [];
  #retired = false;

  constructor(plan: TargetPlan, upstream: UpstreamPlan, reactor: Reactor, row: TableRow, tls: TargetTls | null) {
    this.plan = plan;
    this.upstream = upstream;
    this.tls = tls;
    this.#reactor = reactor;
    this.counters = row.counters;
    this.#row = row.targets;
    this.#at = plan.slot * TARGET_PLACES;
    this.#histograms = row.histograms;
    this.#histogramsAt = plan.slot * TARGET_HISTOGRAMS_PLACES;
    this.#destinations = this.#destinationsOf(plan.addresses);
  }

  #destinationsOf(addresses: readonly TargetAddress[]): Destination[] {
    const { source4, source6 } = this.upstream;
    return addresses.slice(0, ADDRESSES_MAX).map((address) => destination(address, address.family === 6 ? source6 : source4));
  }

  /** Its name leads elsewhere now. What is at work is left alone; what waits leads to the old place, and is closed. */
  moveTo(addresses: readonly TargetAddress[]): void {
    if (addresses.length === 0) return;
    this.#destinations = this.#destinationsOf(addresses);
    this.#preferred = 0;
    for (const connection of [...this.#idle]) connection.leave();
    this.#moves++;
  }

  /** How often it has moved: a connection from before is not kept. */
  get moves(): number {
    return this.#moves;
  }
  #moves = 0;

  /** The `attempt`-th place to try for a new connection, from the one that worked last; undefined when all were. */
  destination(attempt: number): Destination | undefined {
    const { length } = this.#destinations;
    return attempt < length ? this.#destinations[(this.#preferred + attempt) % length] : undefined;
  }

  /** A connection came about at the `attempt`-th place. */
  prefer(attempt: number): void {
    if (attempt > 0) this.#preferred = (this.#preferred + attempt) % this.#destinations.length;
  }

  /** A connection that waits in the pool, now `owner`'s, or null. */
  takeIdle(owner: UpstreamOwner): UpstreamConnection | null {
    const connection = this.#idle.pop();
    if (connection === undefined) return null;
    connection.state = BUSY;
    connection.owner = owner;
    connection.served++;
    this.#idles(-1);
    this.counters[C_UPSTREAM_REUSES]!++;
    return connection;
  }

  /** Begins a new connection for `owner`, which begins with `opening`. The connection, or null with the reason in `fault`. */
  connect(owner: UpstreamOwner, opening: Uint8Array | null): UpstreamConnection | null {
    const connection = new UpstreamConnection(this, this.#reactor, opening);
    const fault = connection.begin();
    if (fault < 0) {
      this.fault = fault;
      return null;
    }
    connection.owner = owner;
    this.counters[C_UPSTREAM_OPEN]!++;
    this.#row[this.#at + T_OPEN]!++;
    this.#row[this.#at + T_CONNECTS]!++;
    return connection;
  }

  /** Why the last `connect` gave null. */
  fault = 0;

  /** Keeps a connection for the next request, or closes it when there are enough. Its exchange is over, and left nothing behind. */
  release(connection: UpstreamConnection): void {
    connection.owner = null;
    // A connection that began with a client's address is that client's, for as long as it lives.
    if (this.upstream.proxyProtocol !== null) {
      connection.leave();
      return;
    }
    if (this.#retired || !connection.isQuiet() || connection.moves !== this.#moves || this.#idle.length >= this.upstream.idleMax) {
      if (this.#idle.length >= this.upstream.idleMax) this.counters[C_LIMIT_IDLE_POOL]!++;
      connection.leave();
      return;
    }
    connection.state = IDLE;
    this.#idle.push(connection);
    this.#idles(1);
    this.#reactor.deadline(connection, this.upstream.idleMs);
  }

  /** An idle connection has something to say: the server closes it, or breaks the protocol. Either way it is over. */
  onIdleEvent(connection: UpstreamConnection): void {
    connection.close();
  }

  forgetIdle(connection: UpstreamConnection): void {
    const i = this.#idle.lastIndexOf(connection);
    if (i < 0) return;
    this.#idle.splice(i, 1);
    this.#idles(-1);
  }

  #idles(change: number): void {
    this.counters[C_UPSTREAM_IDLE]! += change;
    this.#row[this.#at + T_IDLE]! += change;
  }

  /** A connection that was begun is closed. */
  onClosed(): void {
    this.counters[C_UPSTREAM_OPEN]!--;
    this.#row[this.#at + T_OPEN]!--;
  }

  /** Closes what is idle; what is at work is closed when it is done. */
  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.leave();
  }

  began(): void {
    this.#row[this.#at + T_IN_FLIGHT]!++;
    this.#row[this.#at + T_REQUESTS]!++;
  }

  ended(): void {
    this.#row[this.#at + T_IN_FLIGHT]!--;
  }

  failed(): void {
    this.#row[this.#at + T_FAILURES]!++;
  }

  /** Adds to one of this target's places (plan/counters.ts, T_*). */
  add(place: number, amount: number): void {
    this.#row[this.#at + place]! += amount;
  }

  /** Counts a time in one of this target's histograms (plan/counters.ts, TH_*). */
  took(histogram: number, ms: number): void {
    observe(this.#histograms, this.#histogramsAt + histogram, TARGET_BOUNDS_S, ms / 1_000);
  }
}
