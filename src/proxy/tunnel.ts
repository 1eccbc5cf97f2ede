/**
 * Two connections joined: bytes both ways, untouched, until both sides have ended. Each direction has one bounded chunk and stops
 * reading while it waits to be taken. One side's end is passed on as an end of that direction alone.
 */
import { FAULT_EOF, FAULT_IDLE_TIMEOUT } from '../base/faults.ts';
import { READ_BYTES, TURN_BYTES_MAX } from '../base/limits.ts';
import { ERROR, HANGUP, WRITABLE } from '../native/poller.ts';
import { C_BYTES_IN, C_FAULTS, C_LIMIT_TURN_BYTES, T_BYTES_IN, T_BYTES_OUT } from '../plan/counters.ts';
import type { Target } from '../upstream/target.ts';
import type { UpstreamConnection, UpstreamOwner } from '../upstream/upstream-connection.ts';
import type { ClientConnection } from './client-connection.ts';
import { TUNNEL } from './client-state.ts';
import { READ_AT } from './context.ts';

export class Tunnel implements UpstreamOwner {
  readonly #client: ClientConnection;
  readonly #connection: UpstreamConnection;
  readonly #target: Target;
  /** The client, or the server, has ended its direction. */
  #clientEnded = false;
  #serverEnded = false;
  /** That end was passed on to the other side. */
  #toServerEnded = false;
  #toClientEnded = false;
  #closed = false;

  constructor(client: ClientConnection, connection: UpstreamConnection, target: Target) {
    this.#client = client;
    this.#connection = connection;
    this.#target = target;
  }

  begin(): void {
    const client = this.#client;
    client.exchange = null;
    client.tunnel = this;
    client.state = TUNNEL;
    this.#connection.owner = this;
    client.context.reactor.noDeadline(this.#connection);
    // What the client sent behind its request belongs to the tunnel.
    const { stash } = client;
    if (stash !== null) {
      client.stash = null;
      this.#connection.pending = stash;
    }
    this.#touch();
    // Not now: the caller's handler may still use the scratch.
    client.context.reactor.later(client);
  }

  #touch(): void {
    const { reactor, timeouts } = this.#client.context;
    reactor.deadline(this.#client, timeouts.tunnelMs);
  }

  onClientEvents(mask: number): void {
    if ((mask & (HANGUP | ERROR)) !== 0 && this.#client.pending !== null) {
      this.close();
      return;
    }
    if ((mask & WRITABLE) !== 0 && this.#client.pending !== null && !this.#client.flush()) {
      if (this.#client.fd < 0) this.close();
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

  onUpstreamFault(): void {
    this.close();
  }

  onUpstreamDeadline(): void {
    this.close();
  }

  onDeadline(): void {
    this.#client.context.counters[C_FAULTS - FAULT_IDLE_TIMEOUT]!++;
    this.close();
  }

  /** Moves what can be moved, both ways. */
  pump(): void {
    if (this.#closed) return;
    if (!this.#flushServer()) return;
    this.#pumpToServer();
    if (this.#closed) return;
    this.#pumpToClient();
    if (this.#closed) return;
    if (this.#toServerEnded && this.#toClientEnded) this.close();
  }

  /** Bytes that were pending before the tunnel began. False when it is closed. */
  #flushServer(): boolean {
    const { pending } = this.#connection;
    if (pending === null) return true;
    this.#connection.pending = null;
    const n = this.#connection.send(pending.memory, pending.start, pending.end);
    if (n >= 0) return true;
    this.close();
    return false;
  }

  #pumpToServer(): void {
    const client = this.#client;
    const connection = this.#connection;
    const { context } = client;
    let moved = 0;
    while (client.readable && !this.#clientEnded && connection.pending === null) {
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(client);
        return;
      }
      const n = client.stream.read(context.scratch, READ_AT, READ_BYTES);
      client.readable = n > 0 && (client.hungUp || client.stream.mayHaveMore());
      if (n === 0) break;
      if (n < 0) {
        // Only a proper end is passed on as one: a cut connection must not look whole to the server.
        if (n !== FAULT_EOF) {
          this.close();
          return;
        }
        this.#clientEnded = true;
        break;
      }
      moved += n;
      context.counters[C_BYTES_IN]! += n;
      this.#target.add(T_BYTES_OUT, n);
      if (connection.send(context.scratch, READ_AT, READ_AT + n) < 0) {
        this.close();
        return;
      }
    }
    if (moved > 0) this.#touch();
    if (this.#clientEnded && !this.#toServerEnded && connection.pending === null) {
      connection.stream.end(false);
      this.#toServerEnded = true;
    }
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
        if (n !== FAULT_EOF) {
          this.close();
          return;
        }
        this.#serverEnded = true;
        break;
      }
      moved += n;
      this.#target.add(T_BYTES_IN, n);
      if (client.send(READ_AT, READ_AT + n) < 0) {
        this.close();
        return;
      }
    }
    if (moved > 0) this.#touch();
    if (this.#serverEnded && !this.#toClientEnded && client.pending === null) {
      if (client.stream.end(false) < 0) {
        this.close();
        return;
      }
      this.#toClientEnded = true;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
    this.#target.ended();
    this.#client.destroy();
  }
}
