/**
 * A connection to a target: connecting, agreeing on TLS where its target wants that, at work for an exchange, or idle in its target's pool.
 * Knows bytes and deadlines, no HTTP.
 *
 *   CONNECTING -> (SECURING) -> BUSY <-> IDLE
 *        \____________\__________\________\___-> CLOSED
 */
import {
  FAULT_CONNECT_TIMEOUT,
  FAULT_CONNECT_UNREACHABLE,
  FAULT_DESCRIPTORS,
  FAULT_RESET,
  FAULT_SERVER_TLS_TIMEOUT,
} from '../base/faults.ts';
import { allocate, type Memory } from '../native/memory.ts';
import { ERROR, HANGUP, READ_HANGUP, READABLE, WRITABLE } from '../native/poller.ts';
import { closeDescriptor, connected, openConnection, transmit } from '../native/sockets.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { PlainStream } from '../net/plain-stream.ts';
import { PROXY_HEADER_SENT_BYTES_MAX } from '../net/proxy-protocol.ts';
import type { Reactor } from '../net/reactor.ts';
import type { HandshakeStream, Stream } from '../net/stream.ts';
import { Watched } from '../net/watched.ts';
import { C_UPSTREAM_CONNECTS, T_HANDSHAKE_FAILURES, T_HANDSHAKES, T_HANDSHAKES_RESUMED, TH_CONNECT } from '../plan/counters.ts';
import type { Target } from './target.ts';
import type { TargetTls } from './target-tls.ts';

// In this order: below BUSY it carries nothing yet.
export const CONNECTING = 0;
export const SECURING = 1;
export const BUSY = 2;
export const IDLE = 3;
export const CLOSED = 4;

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

/** How long one place is waited for before the next is tried beside it. RFC 8305, section 5. Milliseconds. */
const ATTEMPT_MS = 250;

/** An attempt to connect that runs beside a connection's own. */
class Rival extends Watched {
  readonly attempt: number;
  readonly #connection: UpstreamConnection;

  constructor(connection: UpstreamConnection, attempt: number) {
    super();
    this.#connection = connection;
    this.attempt = attempt;
  }

  override onEvents(mask: number): void {
    if ((mask & (WRITABLE | ERROR | HANGUP)) !== 0) this.#connection.onRival(this);
  }

  override onReady(): void {}

  override onDeadline(): void {}

  close(reactor: Reactor): void {
    const { fd } = this;
    reactor.forget(this);
    if (fd >= 0) closeDescriptor(fd);
  }
}

export class UpstreamConnection extends Watched {
  readonly target: Target;
  /** `target.moves` when it was begun. */
  readonly moves: number;
  stream: Stream = NO_STREAM;
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

  /** The stream, where TLS is behind it, and when its handshake began. */
  #secure: HandshakeStream | null = null;
  #securingMs = 0;

  /** What it begins with, before anything of its owner's and in front of TLS; null: nothing. */
  readonly #opening: Uint8Array | null;
  /** While connecting: the attempts begun so far, the one whose descriptor this is, those that run beside it, and the end of all of them. */
  #attempts = 0;
  #attempt = 0;
  #rivals: Rival[] | null = null;
  #untilMs = 0;

  constructor(target: Target, reactor: Reactor, opening: Uint8Array | null) {
    super();
    this.target = target;
    this.#opening = opening;
    this.moves = target.moves;
    this.#reactor = reactor;
  }

  /**
   * Begins to connect to the target's first place, or the next that does not fail at once. More are tried while it waits: after a moment, or
   * when one fails (RFC 8305, section 5). A fault when there is none.
   */
  begin(): number {
    this.#untilMs = this.#reactor.nowMs + this.target.upstream.connectMs;
    return this.#tryNext();
  }

  #tryNext(): number {
    let fault = FAULT_CONNECT_UNREACHABLE;
    for (;;) {
      const place = this.target.destination(this.#attempts);
      if (place === undefined) return fault;
      const attempt = this.#attempts++;
      const fd = openConnection(place);
      if (fd <= 0) {
        fault = fd;
        continue;
      }
      if (!this.#take(fd, attempt)) return FAULT_DESCRIPTORS;
      return 0;
    }
  }

  /** Makes `fd` this connection's descriptor. */
  #take(fd: number, attempt: number): boolean {
    if (!this.#reactor.watch(this, fd)) {
      closeDescriptor(fd);
      return false;
    }
    this.#attempt = attempt;
    this.stream = new PlainStream(fd);
    this.#setConnectDeadline();
    return true;
  }

  #setConnectDeadline(): void {
    const left = this.#untilMs - this.#reactor.nowMs;
    const more = this.target.destination(this.#attempts) !== undefined;
    this.#reactor.deadline(this, Math.max(0, more ? Math.min(ATTEMPT_MS, left) : left));
  }

  /** The place that was tried has not answered for a moment, or for too long. */
  #onConnectDeadline(): void {
    if (this.#reactor.nowMs >= this.#untilMs) {
      this.owner?.onUpstreamFault(FAULT_CONNECT_TIMEOUT);
      return;
    }
    const place = this.target.destination(this.#attempts);
    if (place !== undefined) {
      const rival = new Rival(this, this.#attempts++);
      const fd = openConnection(place);
      if (fd > 0 && this.#reactor.watch(rival, fd)) {
        this.#rivals ??= [];
        this.#rivals.push(rival);
      } else if (fd > 0) closeDescriptor(fd);
    }
    this.#setConnectDeadline();
  }

  /** The attempt at work has failed: the next one, one that runs already, or the end. */
  #connectFailed(fault: number): void {
    const { fd } = this;
    this.#reactor.forget(this);
    this.stream.release();
    this.stream = NO_STREAM;
    closeDescriptor(fd);
    const next = this.#tryNext();
    if (next === 0) return;
    const rival = this.#rivals?.shift();
    if (rival === undefined) {
      this.owner?.onUpstreamFault(next === FAULT_CONNECT_UNREACHABLE ? fault : next);
      return;
    }
    this.#adopt(rival);
  }

  /** Goes on with the attempt of `rival`; its event, if it has one, comes again. */
  #adopt(rival: Rival): void {
    const { fd } = rival;
    this.#reactor.forget(rival, true);
    if (!this.#take(fd, rival.attempt)) this.owner?.onUpstreamFault(FAULT_DESCRIPTORS);
  }

  /** A rival has something to say: it stands, or it failed. */
  onRival(rival: Rival): void {
    this.#rivals = this.#rivals?.filter((each) => each !== rival) ?? null;
    if (connected(rival.fd) < 0) {
      rival.close(this.#reactor);
      return;
    }
    const { fd } = this;
    this.#reactor.forget(this);
    this.stream.release();
    closeDescriptor(fd);
    this.#adopt(rival);
  }

  #dropRivals(): void {
    for (const rival of this.#rivals ?? []) rival.close(this.#reactor);
    this.#rivals = null;
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
    if (this.state === SECURING) {
      if ((mask & (READ_HANGUP | HANGUP | ERROR)) !== 0) this.hungUp = true;
      // That our bytes have arrived is no step, unless more wait to go.
      if ((mask & ~WRITABLE) !== 0 || this.#secure!.awaitsRoom()) this.#shakeHands();
      return;
    }
    if ((mask & (READABLE | READ_HANGUP | HANGUP | ERROR)) !== 0) this.readable = true;
    if ((mask & (READ_HANGUP | HANGUP | ERROR)) !== 0) this.hungUp = true;
    if (this.state === IDLE) {
      // A server that speaks, or goes, while nobody asked.
      if (!this.isQuiet()) this.target.onIdleEvent(this);
      return;
    }
    if ((mask & WRITABLE) !== 0 && this.pending !== null && !this.#flush()) return;
    if (this.readable && this.state === BUSY) this.owner?.onUpstreamReadable();
  }

  #settle(mask: number): void {
    if ((mask & (WRITABLE | ERROR | HANGUP)) === 0) return;
    const result = connected(this.fd);
    if (result < 0) {
      this.#connectFailed(result);
      return;
    }
    this.#dropRivals();
    this.target.prefer(this.#attempt);
    if (!this.#sendOpening()) {
      this.owner?.onUpstreamFault(FAULT_RESET);
      return;
    }
    this.target.counters[C_UPSTREAM_CONNECTS]!++;
    this.target.took(TH_CONNECT, this.#reactor.nowMs - (this.#untilMs - this.target.upstream.connectMs));
    this.hungUp = (mask & READ_HANGUP) !== 0;
    const { tls } = this.target;
    if (tls !== null) {
      this.#beginTls(tls);
      return;
    }
    this.readable = (mask & (READABLE | READ_HANGUP)) !== 0;
    this.#stands();
  }

  /** Bytes may flow. */
  #stands(): void {
    this.state = BUSY;
    this.owner?.onUpstreamConnected();
    if (this.pending !== null && !this.#flush()) return;
    if (this.readable) this.owner?.onUpstreamReadable();
  }

  #beginTls(tls: TargetTls): void {
    const stream = tls.open(this.fd);
    if (stream === null) {
      this.owner?.onUpstreamFault(tls.fault);
      return;
    }
    this.stream.release();
    this.stream = stream;
    this.#secure = stream;
    this.state = SECURING;
    this.#securingMs = this.#reactor.nowMs;
    this.#reactor.deadline(this, tls.handshakeMs);
    this.#shakeHands();
  }

  #shakeHands(): void {
    const stream = this.#secure!;
    const n = stream.handshake();
    if (n < 0) this.#refused(n);
    if (n <= 0) return;
    this.target.add(stream.resumed() ? T_HANDSHAKES_RESUMED : T_HANDSHAKES, 1);
    // What came behind it lies inside the TLS library, where no event tells of it.
    this.readable = true;
    this.#stands();
  }

  /** There will be no TLS with this server. */
  #refused(fault: number): void {
    this.target.add(T_HANDSHAKE_FAILURES, 1);
    this.target.tls!.onFailed(this.#secure!, fault, this.#reactor.nowMs - this.#securingMs);
    this.owner?.onUpstreamFault(fault);
  }

  /**
   * Whether the server has said nothing that nobody asked for. An event alone does not tell: it may be of bytes that the answer's last read
   * has taken along, and behind TLS of tickets, or new keys.
   */
  isQuiet(): boolean {
    if (!this.readable) return true;
    const n = this.stream.read(probe, 0, probe.length);
    this.readable = n !== 0;
    return n === 0;
  }

  /** At once or not at all: it fits into any new socket, and a server may not be left with half of it. */
  #sendOpening(): boolean {
    const bytes = this.#opening;
    if (bytes === null) return true;
    opening.bytes.set(bytes);
    return transmit(this.fd, opening, 0, bytes.length) === bytes.length;
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
    if (this.state === IDLE) this.leave();
    else if (this.state === CONNECTING) this.#onConnectDeadline();
    else if (this.state === SECURING) this.#refused(FAULT_SERVER_TLS_TIMEOUT);
    else this.owner?.onUpstreamDeadline();
  }

  /** Closes what has nothing left to say. TLS wants that said: OpenSSL does not resume what was broken off. */
  leave(): void {
    if (this.#secure !== null && (this.state === BUSY || this.state === IDLE)) this.stream.end(true);
    this.close();
  }

  /** Closes for good. Safe to call twice. */
  close(): void {
    if (this.state === CLOSED) return;
    if (this.state === IDLE) this.target.forgetIdle(this);
    if (this.#secure !== null && this.state !== SECURING) this.target.tls!.onClosing(this.#secure);
    this.state = CLOSED;
    this.owner = null;
    if (this.pending !== null) dropChunk(this.pending);
    if (this.stash !== null) dropChunk(this.stash);
    this.pending = null;
    this.stash = null;
    this.#dropRivals();
    const fd = this.fd;
    this.#reactor.forget(this);
    this.stream.release();
    if (fd >= 0) closeDescriptor(fd);
    this.target.onClosed();
  }
}

const opening = allocate(PROXY_HEADER_SENT_BYTES_MAX);
const probe = allocate(1);

/** Before there is a descriptor. */
const NO_STREAM: Stream = new PlainStream(-1);
