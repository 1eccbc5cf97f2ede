/** One server behind us: where it is, its idle connections (last in, first out), and its share of the shared table. */

import { FAULT_DESCRIPTORS } from '../base/faults.ts';
import { closeDescriptor, type Destination, destination, openConnection } from '../native/sockets.ts';
import type { Reactor } from '../net/reactor.ts';
import {
  C_LIMIT_IDLE_POOL,
  C_UPSTREAM_IDLE,
  C_UPSTREAM_OPEN,
  C_UPSTREAM_REUSES,
  T_CONNECTS,
  T_FAILURES,
  T_IN_FLIGHT,
  T_REQUESTS,
  TARGET_PLACES,
} from '../plan/counters.ts';
import type { TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import type { TableRow } from '../plan/table.ts';
import { BUSY, IDLE, UpstreamConnection, type UpstreamOwner } from './upstream-connection.ts';

export class Target {
  readonly plan: TargetPlan;
  readonly upstream: UpstreamPlan;
  readonly counters: Float64Array;
  /** What an access-log line says of it. */
  readonly logText: string;
  readonly #reactor: Reactor;
  readonly #row: Float64Array;
  readonly #at: number;
  readonly #destination: Destination;
  readonly #idle: UpstreamConnection[] = [];
  #retired = false;

  constructor(plan: TargetPlan, upstream: UpstreamPlan, reactor: Reactor, row: TableRow) {
    this.plan = plan;
    this.upstream = upstream;
    this.#reactor = reactor;
    this.counters = row.counters;
    this.logText = `,"upstream":${JSON.stringify(plan.label)}`;
    this.#row = row.targets;
    this.#at = plan.slot * TARGET_PLACES;
    this.#destination = destination(plan.address);
  }

  /** A connection that waits in the pool, now `owner`'s, or null. */
  takeIdle(owner: UpstreamOwner): UpstreamConnection | null {
    const connection = this.#idle.pop();
    if (connection === undefined) return null;
    connection.state = BUSY;
    connection.owner = owner;
    connection.served++;
    this.counters[C_UPSTREAM_IDLE]!--;
    this.counters[C_UPSTREAM_REUSES]!++;
    return connection;
  }

  /** Begins a new connection for `owner`. The connection, or null with the reason in `fault`. */
  connect(owner: UpstreamOwner): UpstreamConnection | null {
    const fd = openConnection(this.#destination);
    if (fd <= 0) {
      this.fault = fd;
      return null;
    }
    const connection = new UpstreamConnection(this, this.#reactor, fd);
    if (!this.#reactor.watch(connection, fd)) {
      closeDescriptor(fd);
      this.fault = FAULT_DESCRIPTORS;
      return null;
    }
    connection.owner = owner;
    this.counters[C_UPSTREAM_OPEN]!++;
    this.#row[this.#at + T_CONNECTS]!++;
    this.#reactor.deadline(connection, this.upstream.connectMs);
    return connection;
  }

  /** Why the last `connect` gave null. */
  fault = 0;

  /** Keeps a connection for the next request, or closes it when there are enough. Its exchange is over, and left nothing behind. */
  release(connection: UpstreamConnection): void {
    connection.owner = null;
    if (this.#retired || connection.readable || this.#idle.length >= this.upstream.idleMax) {
      if (this.#idle.length >= this.upstream.idleMax) this.counters[C_LIMIT_IDLE_POOL]!++;
      connection.close();
      return;
    }
    connection.state = IDLE;
    this.#idle.push(connection);
    this.counters[C_UPSTREAM_IDLE]!++;
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
    this.counters[C_UPSTREAM_IDLE]!--;
  }

  /** Closes what is idle; what is at work is closed when it is done. */
  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.close();
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
}
