/**
 * Two connections joined: bytes both ways, untouched, until both sides have ended. Each direction has one bounded chunk and stops
 * reading while it waits to be taken; the other goes on. One side's end is passed on as an end of that direction alone.
 *
 * A client that goes without TLS's goodbye has ended: what it had sent is delivered, and the fault is told to whoever logs. A side that resets
 * is different: a client's reset resets the server; what a server had sent before it reset is delivered, without a goodbye.
 */
import {
  FAULT_EOF,
  FAULT_IDLE_TIMEOUT,
  FAULT_RESET,
  FAULT_RESPONSE_BODY_TIMEOUT,
  FAULT_TLS_TRUNCATED,
  FAULT_UPSTREAM_GONE,
} from '../base/faults.ts';
import { READ_BYTES, TURN_BYTES_MAX } from '../base/limits.ts';
import { ERROR, HANGUP, WRITABLE } from '../native/poller.ts';
import { resetOnClose } from '../native/sockets.ts';
import { dropChunk } from '../net/chunk.ts';
import { C_BYTES_IN, C_FAULTS, C_LIMIT_TURN_BYTES, T_BYTES_IN, T_BYTES_OUT } from '../plan/counters.ts';
import type { Target } from '../upstream/target.ts';
import type { UpstreamConnection, UpstreamOwner } from '../upstream/upstream-connection.ts';
import type { ClientConnection } from './client-connection.ts';
import { TUNNEL } from './client-state.ts';
import { READ_AT } from './context.ts';

/** Quiet time after which a tunnel gives back memory it does not need. Milliseconds. */
const REST_MS = 1_000;

/** Who wants to know how it ended. */
export interface TunnelOwner {
  /** `fault` is 0 when both sides had said all. Bytes are those the client sent, and those it was sent. */
  onTunnelEnd(fault: number, bytesIn: number, bytesOut: number): void;
}

export class Tunnel implements UpstreamOwner {
  readonly #client: ClientConnection;
  readonly #connection: UpstreamConnection;
  readonly #target: Target;
  readonly #owner: TunnelOwner | null;
  /** The client, or the server, has ended its direction, or is not listened to any more. */
  #clientEnded = false;
  #serverEnded = false;
  /** That end was passed on to the other side. */
  #toServerEnded = false;
  #toClientEnded = false;
  /** The server broke off: its last bytes are delivered. Where it did not end them itself, no goodbye is said behind them. */
  #serverGone = false;
  #serverCut = false;
  #closed = false;
  #rested = false;
  /** What it ends with once both directions are over; 0: well. */
  #fault = 0;
  #movedMs: number;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(client: ClientConnection, connection: UpstreamConnection, target: Target, owner: TunnelOwner | null) {
    this.#client = client;
    this.#connection = connection;
    this.#target = target;
    this.#owner = owner;
    this.#movedMs = client.context.reactor.nowMs;
  }

  /** Takes both over. Nothing moves before `pump`: the caller's handler may still use the scratch. */
  begin(): void {
    const client = this.#client;
    const { reactor, timeouts } = client.context;
    client.exchange = null;
    client.tunnel = this;
    client.state = TUNNEL;
    this.#connection.owner = this;
    reactor.noDeadline(this.#connection);
    reactor.deadline(client, Math.min(REST_MS, timeouts.tunnelMs));
  }

  /** Timers are looked at when they are due: moving bytes costs them nothing. */
  #touch(): void {
    const { reactor, timeouts } = this.#client.context;
    this.#movedMs = reactor.nowMs;
    if (!this.#rested) return;
    this.#rested = false;
    reactor.deadline(this.#client, Math.min(REST_MS, timeouts.tunnelMs));
  }

  onDeadline(): void {
    const client = this.#client;
    const { context } = client;
    const { reactor, timeouts } = context;
    const quietMs = reactor.nowMs - this.#movedMs;
    if (quietMs >= timeouts.tunnelMs) {
      this.close(FAULT_IDLE_TIMEOUT);
      return;
    }
    if (!this.#rested && quietMs >= REST_MS) {
      this.#rested = true;
      client.stream.rest();
      this.#connection.stream.rest();
      context.rested++;
    }
    reactor.deadline(client, (this.#rested ? timeouts.tunnelMs : Math.min(REST_MS, timeouts.tunnelMs)) - quietMs);
  }

  onClientEvents(mask: number): void {
    const client = this.#client;
    if ((mask & (HANGUP | ERROR)) !== 0 && client.pending !== null) {
      this.close(FAULT_RESET);
      return;
    }
    if ((mask & WRITABLE) !== 0 && !client.flush() && client.fd < 0) {
      this.close(FAULT_RESET);
      return;
    }
    this.pump();
  }

  onUpstreamConnected(): void {}

  onUpstreamDrained(): void {
    this.pump();
  }

  onUpstreamReadable(): void {
    this.pump();
  }

  onUpstreamFault(fault: number): void {
    this.#serverRefuses(fault);
    this.pump();
  }

  onUpstreamDeadline(): void {
    this.close(FAULT_RESPONSE_BODY_TIMEOUT);
  }

  /** Moves what can be moved, both ways. */
  pump(): void {
    if (this.#closed) return;
    this.#pumpToServer();
    if (this.#closed) return;
    this.#pumpToClient();
    if (this.#closed) return;
    if (this.#toServerEnded && this.#toClientEnded) this.close(this.#fault);
  }

  #pumpToServer(): void {
    const client = this.#client;
    const connection = this.#connection;
    const { context } = client;
    let moved = 0;
    if (client.stash !== null && connection.pending === null) {
      // What came behind the request that asked for the tunnel.
      const chunk = client.stash;
      client.stash = null;
      const n = connection.send(chunk.memory, chunk.start, chunk.end);
      dropChunk(chunk);
      if (n < 0) this.#serverRefuses(n);
    }
    while (client.readable && !this.#clientEnded && connection.pending === null) {
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(client);
        break;
      }
      const n = client.stream.read(context.scratch, READ_AT, READ_BYTES);
      client.readable = n > 0 && (client.hungUp || client.stream.mayHaveMore());
      if (n === 0) break;
      if (n < 0) {
        if (n !== FAULT_EOF && n !== FAULT_TLS_TRUNCATED) {
          this.close(n);
          return;
        }
        if (n !== FAULT_EOF) this.#fault = n;
        this.#clientEnded = true;
        break;
      }
      moved += n;
      context.counters[C_BYTES_IN]! += n;
      this.#target.add(T_BYTES_OUT, n);
      const taken = connection.send(context.scratch, READ_AT, READ_AT + n);
      if (taken < 0) {
        this.#serverRefuses(taken);
        break;
      }
    }
    if (moved > 0) {
      this.#bytesIn += moved;
      this.#touch();
    }
    if (this.#clientEnded && !this.#toServerEnded && connection.pending === null) {
      const n = connection.stream.end(false);
      if (n < 0) this.#serverRefuses(n);
      else this.#toServerEnded = n > 0;
    }
  }

  /** The server takes no more. It may have answered before: that is worth more than the error. */
  #serverRefuses(fault: number): void {
    const connection = this.#connection;
    if (connection.pending !== null) dropChunk(connection.pending);
    connection.pending = null;
    connection.readable = true;
    this.#clientEnded = true;
    this.#toServerEnded = true;
    this.#serverGone = true;
    this.#fault = fault === FAULT_RESET ? FAULT_UPSTREAM_GONE : fault;
  }

  #pumpToClient(): void {
    const client = this.#client;
    const connection = this.#connection;
    const { context } = client;
    let moved = 0;
    while (connection.readable && !this.#serverEnded && client.pending === null) {
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(client);
        break;
      }
      const n = connection.stream.read(context.scratch, READ_AT, READ_BYTES);
      connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
      if (n === 0) break;
      if (n < 0) {
        this.#serverEnded = true;
        if (n !== FAULT_EOF) {
          this.#serverCut = true;
          this.#serverGone = true;
          this.#fault = n === FAULT_RESET ? FAULT_UPSTREAM_GONE : n;
        }
        break;
      }
      moved += n;
      this.#target.add(T_BYTES_IN, n);
      if (client.send(READ_AT, READ_AT + n) < 0) {
        this.close(FAULT_RESET);
        return;
      }
    }
    if (moved > 0) {
      this.#bytesOut += moved;
      this.#touch();
    }
    if (!this.#serverEnded || this.#toClientEnded || client.pending !== null) return;
    if (this.#serverCut) {
      this.close(this.#fault);
      return;
    }
    const n = client.endStream(false);
    if (n < 0) this.close(n);
    else this.#toClientEnded = n > 0;
  }

  /** Ends it now. `fault`: why; 0 when all is said. */
  close(fault: number): void {
    if (this.#closed) return;
    this.#closed = true;
    const client = this.#client;
    if (fault < 0) client.context.counters[C_FAULTS - fault]!++;
    if (fault === FAULT_RESET && this.#connection.fd >= 0) resetOnClose(this.#connection.fd);
    this.#connection.close();
    this.#target.ended();
    this.#owner?.onTunnelEnd(fault, this.#bytesIn, this.#bytesOut);
    if (this.#serverGone && client.fd >= 0) client.closeCut();
    else client.destroy();
  }
}
