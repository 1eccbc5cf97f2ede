/**
 * An exchange's part at a server: the target, the connection that works for it, and the request as sent while it may have to be sent again.
 * Owns taking, changing and giving back that connection; knows no heads and no bodies. One per exchange.
 */
import { copyMemory } from '../native/memory.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { C_UPSTREAM_RETRIES, TH_DURATION, TH_FIRST_BYTE } from '../plan/counters.ts';
import type { Target } from '../upstream/target.ts';
import { BUSY, type UpstreamConnection, type UpstreamOwner } from '../upstream/upstream-connection.ts';
import { COMPOSE_AT } from './context.ts';
import { DONE, type ExchangeState } from './exchange-state.ts';

/** Tries of one request on kept-alive connections that turn out dead, before a new connection is made. */
const REUSED_TRIES_MAX = 2;

export class UpstreamLeg {
  target: Target | null = null;
  connection: UpstreamConnection | null = null;

  readonly #state: ExchangeState;
  readonly #owner: UpstreamOwner;
  /** The head as sent, while the request may be sent again: a kept-alive connection can die before it answers. */
  #replay: Chunk | null = null;
  #tries = 0;
  #sentMs = 0;

  constructor(state: ExchangeState, owner: UpstreamOwner) {
    this.#state = state;
    this.#owner = owner;
  }

  /** Begins with `target`, on a connection of its pool or a new one. False when there is none: the target's `fault` says why. */
  begin(target: Target): boolean {
    const { client, record, provenance, span } = this.#state;
    const { nowMs } = client!.context.reactor;
    this.target = target;
    this.#tries = 0;
    this.#sentMs = nowMs;
    record.upstream = target.plan.label;
    target.began();
    span?.sent(target.plan.label, nowMs);
    const connection = target.takeIdle(this.#owner) ?? target.connect(this.#owner, provenance.opening(target.upstream));
    this.connection = connection;
    if (connection === null) return false;
    span?.on(connection.served > 0);
    return true;
  }

  /** Keeps the request at scratch [COMPOSE_AT, end) for another connection, where this one was kept alive and may be dead. */
  keepReplay(end: number): void {
    if (this.connection!.served > 0) this.#replay = keepBytes(this.#state.client!.context.scratch, COMPOSE_AT, end);
  }

  dropReplay(): void {
    if (this.#replay === null) return;
    dropChunk(this.#replay);
    this.#replay = null;
  }

  /** Whether the connection, which has ended without a byte, may have been dead before the request went out on it. */
  get mayRepeat(): boolean {
    const connection = this.connection!;
    return connection.served > 0 && connection.stash === null && this.#replay !== null;
  }

  /**
   * The same request on another connection: the one it went out on had died before it could answer. Its bytes are put at COMPOSE_AT; returns
   * their end, or a fault when there is no connection.
   */
  repeat(): number {
    const { client, provenance, span } = this.#state;
    const { context } = client!;
    const target = this.target!;
    const replay = this.#replay!;
    context.counters[C_UPSTREAM_RETRIES]!++;
    span?.sentAgain();
    this.#tries++;
    this.connection!.close();
    const connection =
      (this.#tries < REUSED_TRIES_MAX ? target.takeIdle(this.#owner) : null) ??
      target.connect(this.#owner, provenance.opening(target.upstream));
    this.connection = connection;
    if (connection === null) return target.fault;
    span?.on(connection.served > 0);
    const end = COMPOSE_AT + replay.length;
    copyMemory(context.scratch, COMPOSE_AT, replay.memory, replay.start, replay.end);
    if (connection.served === 0) this.dropReplay();
    return end;
  }

  /** The head of the answer has come. */
  answered(): void {
    this.target!.took(TH_FIRST_BYTE, this.#state.client!.context.reactor.nowMs - this.#sentMs);
  }

  /** Gives the connection to the pool, or closes it. */
  letGo(reusable: boolean): void {
    const connection = this.connection;
    const target = this.target;
    this.connection = null;
    if (target === null) return;
    this.target = null;
    const { client, span, stage } = this.#state;
    const { nowMs } = client!.context.reactor;
    span?.letGo(nowMs);
    target.took(TH_DURATION, nowMs - this.#sentMs);
    target.ended();
    if (connection === null) return;
    if (reusable && connection.pending === null && connection.stash === null && connection.state === BUSY) target.release(connection);
    else if (stage === DONE) connection.leave();
    else connection.close();
  }

  /** Both have gone to somebody else. */
  forget(): void {
    this.connection = null;
    this.target = null;
  }
}
