/** One TLS connection on the fast engine. */
import { FAULT_EOF, FAULT_RESET, FAULT_TLS_CLIENT_GONE, FAULT_TLS_TRUNCATED, WOULD_BLOCK } from '../base/faults.ts';
import { BLINDING_MS_MAX } from '../base/limits.ts';
import { groupNumber } from '../hello/names.ts';
import { plainAlert } from '../hello/plain-alert.ts';
import { allocate, copyMemory, type Memory } from '../native/memory.ts';
import * as s2n from '../native/s2n.ts';
import { cork, shutdownWrite, transmit, transmitMore } from '../native/sockets.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { isBlinded } from './blinding.ts';
import type { TlsSession } from './engine.ts';
import { alertOfS2n, faultOfS2n } from './s2n-reasons.ts';

/** What a session needs of its context: to be told when it ends. */
export interface SessionOwner {
  onSessionEnd(): void;
}

/**
 * A read that leaves nothing inside s2n, and whose record was so far below s2n's read buffer (16 KiB and a header) that the read could
 * not have filled it, has emptied the socket: the next arrival makes an event. This saves a recv that would only say EAGAIN.
 */
const SURELY_SHORT_BYTES = 8_192;
/** Listeners that ask for certificates are not served here. */
const NOBODY: readonly Uint8Array[] = Object.freeze([]);
const TLS_1_3 = 0x0304;
/** What is on its way to the socket. A chain of certificates longer than this goes in several pieces. */
const flight = allocate(16_384);
/** An answer up to this size goes out together with what waits for it, and with the end behind it. */
const GATHERED_BYTES_MAX = 8_192;
const ALERT_BYTES = 7;
const alertRecord = allocate(ALERT_BYTES);

export class S2nSession implements TlsSession {
  #handle: number;
  readonly #fd: number;
  readonly #owner: SessionOwner;
  /** The handshake is done. */
  #open = false;
  /** What s2n writes goes to the socket without us. */
  #direct = false;
  /** What a client whose handshake failed is told when it ends, or -1. */
  #alert = -1;
  #more = true;
  /** Records were buffered behind the one read: how full the last recv was is no longer known. */
  #deep = false;
  /**
   * The handshake's memory is given back: when the connection turns out to stay. Right behind the handshake a short connection would free
   * what the next one on the same session has to allocate again.
   */
  #settled = false;
  #errno = 0;
  #fault = 0;
  /** What s2n has written and is not sent: the socket had no room for it, or it goes out with what follows. Null whenever `#direct`. */
  #waiting: Chunk[] | null = null;
  #broken = false;
  /** Bytes of a write that are encrypted and wait for room: taken once they are sent. */
  #taken = 0;
  #holds = false;
  /** s2n has written its close_notify. */
  #ended = false;

  constructor(handle: number, fd: number, owner: SessionOwner) {
    this.#handle = handle;
    this.#fd = fd;
    this.#owner = owner;
  }

  handshake(): number {
    if (this.#waiting !== null && !this.#sendFlight(false)) return this.#broken ? this.#gone() : WOULD_BLOCK;
    const n = this.#open ? 1 : s2n.negotiate(this.#handle);
    if (n > 0) return this.#finish();
    this.#sendFlight(false);
    if (n === 0) return this.#broken ? this.#gone() : WOULD_BLOCK;
    const fault = this.#failed();
    // s2n itself says nothing, or "close_notify". It can be said for s2n while what we send is not encrypted yet.
    if (this.#sendsPlain() && !isBlinded(fault)) this.#alert = alertOfS2n(this.#errno);
    return fault;
  }

  /** In a handshake that broke off: what we sent so far was plain. A session of TLS 1.2 that is resumed has our Finished before the client's. */
  #sendsPlain(): boolean {
    return this.suite() === 0 || (this.version() < TLS_1_3 && !this.resumed());
  }

  /** The handshake is done, but for what is not sent of it. */
  #finish(): number {
    this.#open = true;
    this.#deep = s2n.bufferedTls(this.#handle) > 0;
    this.#more = this.#deep;
    const hasTicket = s2n.tlsVersion(this.#handle) === TLS_1_3;
    // The last that TLS 1.3 says can go out with the first answer. Where the request is in already, that comes at once.
    if (hasTicket && this.#deep) {
      this.#collect();
      return 1;
    }
    if (this.#sendFlight(hasTicket)) return 1;
    return this.#broken ? this.#gone() : WOULD_BLOCK;
  }

  awaitsRoom(): boolean {
    return this.#waiting !== null;
  }

  /** Empties the flight: the next connection writes to the same place. */
  #collect(): void {
    for (;;) {
      const length = s2n.takeFlight(flight, 0);
      if (length === 0) return;
      this.#waiting ??= [];
      this.#waiting.push(keepBytes(flight, 0, length));
      // Less than would have fitted was all there was.
      if (length < flight.length) return;
    }
  }

  /**
   * Sends what waits, and behind it what s2n has written. `followed`: more comes within a moment, and may go out with it. False when not
   * all of it could be sent: the socket has no room, or is broken.
   */
  #sendFlight(followed: boolean): boolean {
    for (;;) {
      const length = this.#fillFlight();
      let sent = 0;
      while (sent < length) {
        const n = followed ? transmitMore(this.#fd, flight, sent, length - sent) : transmit(this.#fd, flight, sent, length - sent);
        if (n > 0) sent += n;
        else {
          this.#broken = n < 0;
          const rest = keepBytes(flight, sent, length);
          this.#collect();
          if (this.#waiting === null) this.#waiting = [rest];
          else this.#waiting.unshift(rest);
          return false;
        }
      }
      if (this.#waiting === null && length < flight.length) return true;
    }
  }

  /** Moves what waits, as far as it fits, and what s2n has written behind it to where it is sent from. The number of bytes. */
  #fillFlight(): number {
    let length = 0;
    const waiting = this.#waiting;
    if (waiting !== null) {
      for (let first = waiting[0]; first !== undefined && length + first.length <= flight.length; first = waiting[0]) {
        copyMemory(flight, length, first.memory, first.start, first.end);
        length += first.length;
        dropChunk(first);
        waiting.shift();
      }
      if (waiting.length > 0) return length;
      this.#waiting = null;
    }
    return length + s2n.takeFlight(flight, length);
  }

  #gone(): number {
    return this.#refuse(FAULT_TLS_CLIENT_GONE);
  }

  #refuse(fault: number): number {
    this.#fault = fault;
    return fault;
  }

  read(memory: Memory, offset: number, length: number): number {
    const n = s2n.receiveTls(this.#handle, memory, offset, length);
    // s2n may have answered what it read.
    if (!this.#direct) this.#collect();
    if (n > 0) {
      if (n === length || s2n.bufferedTls(this.#handle) > 0) {
        this.#more = true;
        this.#deep = true;
      } else {
        this.#more = this.#deep || n > SURELY_SHORT_BYTES;
      }
      return n;
    }
    this.#more = false;
    this.#deep = false;
    if (n === 0) return WOULD_BLOCK;
    if (n === s2n.S2N_CLOSED) return FAULT_EOF;
    const kind = s2n.s2nErrorKind(s2n.s2nErrno());
    const fault = this.#failed();
    // The socket ended without close_notify: whether the peer has said all it wanted cannot be known.
    if (kind === s2n.S2N_ERR_T_CLOSED) return FAULT_TLS_TRUNCATED;
    return kind === s2n.S2N_ERR_T_IO ? FAULT_RESET : fault;
  }

  write(memory: Memory, offset: number, length: number): number {
    const gathers = !this.#direct && length <= GATHERED_BYTES_MAX;
    if (this.#waiting !== null && (!gathers || this.#taken > 0) && !this.#sendFlight(length > this.#taken)) {
      return this.#broken ? FAULT_RESET : 0;
    }
    if (this.#taken > 0) {
      const taken = this.#taken;
      this.#taken = 0;
      return taken;
    }
    if (gathers) return this.#writeGathered(memory, offset, length);
    this.#writeDirectly();
    return this.#encrypt(memory, offset, length);
  }

  /** Bytes that go out together with what waits, or wait themselves for the end behind them. */
  #writeGathered(memory: Memory, offset: number, length: number): number {
    const n = this.#encrypt(memory, offset, length);
    if (n < 0 || this.#holds) {
      this.#collect();
      return n;
    }
    if (this.#sendFlight(false)) {
      this.#writeDirectly();
      return length;
    }
    if (this.#broken) return FAULT_RESET;
    this.#taken = length;
    return 0;
  }

  #writeDirectly(): void {
    if (this.#direct) return;
    s2n.writeDirectly(this.#handle);
    this.#direct = true;
    if (this.#holds) cork(this.#fd);
  }

  #encrypt(memory: Memory, offset: number, length: number): number {
    let sent = 0;
    // s2n may take a part and have room for more: only "would block" promises a writable event.
    while (sent < length) {
      const n = s2n.transmitTls(this.#handle, memory, offset + sent, length - sent);
      if (n > 0) {
        sent += n;
        continue;
      }
      if (sent > 0 || n === 0) return sent;
      const kind = s2n.s2nErrorKind(s2n.s2nErrno());
      const fault = this.#failed();
      return kind === s2n.S2N_ERR_T_IO || kind === s2n.S2N_ERR_T_CLOSED ? FAULT_RESET : fault;
    }
    return sent;
  }

  #failed(): number {
    this.#errno = s2n.s2nErrno();
    this.#fault = faultOfS2n(this.#errno);
    return this.#fault;
  }

  mayHaveMore(): boolean {
    return this.#more;
  }

  holdForEnd(): void {
    this.#holds = true;
    if (this.#direct) cork(this.#fd);
  }

  end(closing: boolean): number {
    if (!this.#open) {
      // Behind what could not be sent there is no place for an alert.
      if (this.#alert >= 0 && (this.#waiting === null || this.#sendFlight(false))) {
        alertRecord.bytes.set(plainAlert(this.#alert));
        transmit(this.#fd, alertRecord, 0, ALERT_BYTES);
      }
    } else {
      if (!this.#ended) {
        const n = s2n.endTls(this.#handle);
        if (n === 0) return 0;
        if (n < 0) {
          this.#collect();
          return this.#failed();
        }
        this.#ended = true;
      }
      // The FIN comes next, and goes out with it.
      if (!this.#direct && !this.#sendFlight(true)) return this.#broken ? FAULT_RESET : 0;
    }
    if (!closing) shutdownWrite(this.#fd);
    return 1;
  }

  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    s2n.freeHandshake(this.#handle);
  }

  rest(): void {
    if (this.#waiting !== null) this.#sendFlight(false);
    this.settle();
    s2n.releaseBuffers(this.#handle);
  }

  release(): void {
    if (this.#handle === 0) return;
    for (const chunk of this.#waiting ?? []) dropChunk(chunk);
    this.#waiting = null;
    s2n.closeTls(this.#handle);
    this.#handle = 0;
    this.#owner.onSessionEnd();
  }

  version(): number {
    return s2n.tlsVersion(this.#handle);
  }

  suite(): number {
    return s2n.tlsSuite(this.#handle);
  }

  group(): number {
    return groupNumber(s2n.tlsGroup(this.#handle));
  }

  peerChain(): readonly Uint8Array[] {
    return NOBODY;
  }

  peerFault(): number {
    return 0;
  }

  sentAlert(): number {
    return this.#alert;
  }

  resumed(): boolean {
    return s2n.isResumed(this.#handle);
  }

  protocol(): string {
    return s2n.agreedProtocol(this.#handle);
  }

  clientAlert(): number {
    return s2n.peerAlert(this.#handle);
  }

  libraryError(): string {
    return this.#errno === 0 ? '' : s2n.s2nErrorName(this.#errno);
  }

  blindingMs(): number {
    return isBlinded(this.#fault) ? Math.min(s2n.blindingMs(this.#handle), BLINDING_MS_MAX) : 0;
  }
}
