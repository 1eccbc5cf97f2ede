/**
 * A connection to a target: connecting, at work for an exchange, or idle in its target's pool. Knows bytes and deadlines, no HTTP.
 *
 *   CONNECTING -> BUSY <-> IDLE
 *        \________\________\___-> CLOSED
 */
import { FAULT_CONNECT_TIMEOUT, FAULT_RESET } from '../base/faults.ts';
import type { Memory } from '../native/memory.ts';
import { ERROR, HANGUP, READ_HANGUP, READABLE, WRITABLE } from '../native/poller.ts';
import { closeDescriptor, connected } from '../native/sockets.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { PlainStream } from '../net/plain-stream.ts';
import type { Reactor } from '../net/reactor.ts';
import type { Stream } from '../net/stream.ts';
import { Watched } from '../net/watched.ts';
import { C_UPSTREAM_CONNECTS, C_UPSTREAM_OPEN } from '../plan/counters.ts';
import type { Target } from './target.ts';

export const CONNECTING = 0;
export const BUSY = 1;
export const IDLE = 2;
export const CLOSED = 3;

/** Who a connection works for. Each call may close the connection. */
export interface UpstreamOwner {
  /** The connection stands; what was pending is about to go. */
  onUpstreamConnected(): void;
  /** Bytes, or the end of them, can be read; or it has become readable because the connection failed. */
  onUpstreamReadable(): void;
  /** Everything that was pending is with the server. */
  onUpstreamDrained(): void;
  /** The connection is of no use any more: it could not be made, or broke while writing. */
  onUpstreamFault(fault: number): void;
  /** The deadline set for this phase has passed. */
  onUpstreamDeadline(): void;
}

export class UpstreamConnection extends Watched {
  readonly target: Target;
  readonly stream: Stream;
  readonly #reactor: Reactor;
  state = CONNECTING;
  owner: UpstreamOwner | null = null;
  /** A read may give something. */
  readable = false;
  /** The server has ended its direction, as the kernel saw it: an end that came with the last bytes makes no event of its own. */
  hungUp = false;
  /** Requests it has carried before the one at work. */
  served = 0;
  /** Bytes the server has not taken yet. While there are any, nothing more is read from the client. */
  pending: Chunk | null = null;
  /** Bytes of a response head that is not complete. */
  stash: Chunk | null = null;

  constructor(target: Target, reactor: Reactor, fd: number) {
    super();
    this.target = target;
    this.#reactor = reactor;
    this.stream = new PlainStream(fd);
  }

  /** Takes bytes of `memory` for the server: what it does not take now is kept and sent when it can. 0 or more, or a fault. */
  send(memory: Memory, start: number, end: number): number {
    let at = start;
    if (this.state === BUSY && this.pending === null) {
      const n = this.stream.write(memory, start, end - start);
      if (n < 0) return n;
      at += n;
    }
    if (at < end) {
      if (this.pending !== null) return FAULT_RESET;
      this.pending = keepBytes(memory, at, end);
    }
    return at - start;
  }

  override onEvents(mask: number): void {
    if (this.state === CONNECTING) {
      this.#settle(mask);
      return;
    }
    if ((mask & (READABLE | READ_HANGUP | HANGUP | ERROR)) !== 0) this.readable = true;
    if ((mask & (READ_HANGUP | HANGUP | ERROR)) !== 0) this.hungUp = true;
    if (this.state === IDLE) {
      // A server that speaks, or goes, while nobody asked.
      if (this.readable) this.target.onIdleEvent(this);
      return;
    }
    if ((mask & WRITABLE) !== 0 && this.pending !== null && !this.#flush()) return;
    if (this.readable && this.state === BUSY) this.owner?.onUpstreamReadable();
  }

  #settle(mask: number): void {
    if ((mask & (WRITABLE | ERROR | HANGUP)) === 0) return;
    const result = connected(this.fd);
    if (result < 0) {
      this.owner?.onUpstreamFault(result);
      return;
    }
    this.state = BUSY;
    this.target.counters[C_UPSTREAM_CONNECTS]!++;
    this.owner?.onUpstreamConnected();
    if (this.pending !== null && !this.#flush()) return;
    if ((mask & (READABLE | READ_HANGUP)) !== 0) {
      this.readable = true;
      this.hungUp = (mask & READ_HANGUP) !== 0;
      this.owner?.onUpstreamReadable();
    }
  }

  /** False when the connection is closed, or still has bytes to send. */
  #flush(): boolean {
    const chunk = this.pending!;
    const n = this.stream.write(chunk.memory, chunk.start, chunk.length);
    if (n < 0) {
      this.owner?.onUpstreamFault(n);
      return false;
    }
    chunk.start += n;
    if (chunk.length > 0) return this.readable;
    this.pending = null;
    dropChunk(chunk);
    this.owner?.onUpstreamDrained();
    return this.state === BUSY;
  }

  override onReady(): void {
    if (this.state === BUSY) this.owner?.onUpstreamReadable();
  }

  override onDeadline(): void {
    if (this.state === IDLE) this.close();
    else if (this.state === CONNECTING) this.owner?.onUpstreamFault(FAULT_CONNECT_TIMEOUT);
    else this.owner?.onUpstreamDeadline();
  }

  /** Closes for good. Safe to call twice. */
  close(): void {
    if (this.state === CLOSED) return;
    if (this.state === IDLE) this.target.forgetIdle(this);
    this.state = CLOSED;
    this.owner = null;
    if (this.pending !== null) dropChunk(this.pending);
    if (this.stash !== null) dropChunk(this.stash);
    this.pending = null;
    this.stash = null;
    const fd = this.fd;
    this.#reactor.forget(this);
    this.stream.release();
    closeDescriptor(fd);
    this.target.counters[C_UPSTREAM_OPEN]!--;
  }
}
