/** One TLS connection on the fast engine. */
import { FAULT_EOF, FAULT_MEMORY, FAULT_RESET, FAULT_TLS_CLIENT_GONE, FAULT_TLS_TRUNCATED, WOULD_BLOCK } from '../base/faults.ts';
import { BLINDING_MS_MAX } from '../base/limits.ts';
import { groupNumber } from '../hello/names.ts';
import { plainAlert } from '../hello/plain-alert.ts';
import { allocate, type Memory } from '../native/memory.ts';
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
/** What a step of a handshake has written, on its way to the socket. A chain of certificates longer than this goes in several pieces. */
const flight = allocate(16_384);
const ALERT_BYTES = 7;
const alertRecord = allocate(ALERT_BYTES);

export class S2nSession implements TlsSession {
  #handle: number;
  readonly #fd: number;
  readonly #owner: SessionOwner;
  /** The handshake is done, and all of it is sent: what follows goes to the socket without us. */
  #open = false;
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
  /** The handshake is done, and a part of it is owed. */
  #done = false;
  /** What the socket had no room for. */
  #owed: Chunk[] | null = null;
  #broken = false;

  constructor(handle: number, fd: number, owner: SessionOwner) {
    this.#handle = handle;
    this.#fd = fd;
    this.#owner = owner;
  }

  handshake(): number {
    if (this.#owed !== null && !this.#payOwed()) return this.#broken ? this.#gone() : WOULD_BLOCK;
    const n = this.#done ? 1 : s2n.negotiate(this.#handle);
    // The last that TLS 1.3 says is a ticket. It can wait for the first answer, and goes out in one segment with it.
    this.#sendFlight(n > 0 && s2n.tlsVersion(this.#handle) === TLS_1_3);
    if (n >= 0 && this.#broken) return this.#gone();
    if (n > 0) {
      this.#done = true;
      if (this.#owed !== null) return WOULD_BLOCK;
      if (!s2n.writeDirectly(this.#handle, this.#fd)) return this.#refuse(FAULT_MEMORY);
      this.#open = true;
      this.#deep = s2n.bufferedTls(this.#handle) > 0;
      this.#more = this.#deep;
      return n;
    }
    if (n === 0) return WOULD_BLOCK;
    const fault = this.#failed();
    // s2n itself says nothing, or "close_notify". It can be said for s2n while what we send is not encrypted yet.
    if (this.#sendsPlain() && !isBlinded(fault)) this.#alert = alertOfS2n(this.#errno);
    return fault;
  }

  /** In a handshake that broke off: what we sent so far was plain. A session of TLS 1.2 that is resumed has our Finished before the client's. */
  #sendsPlain(): boolean {
    return this.suite() === 0 || (this.version() < TLS_1_3 && !this.resumed());
  }

  awaitsRoom(): boolean {
    return this.#owed !== null;
  }

  /** Sends what s2n has written. Nothing of it may stay: the next connection writes to the same place. */
  #sendFlight(more: boolean): void {
    let length: number;
    do {
      length = s2n.takeFlight(flight);
      let sent = 0;
      while (this.#owed === null && !this.#broken && sent < length) {
        const n = more ? transmitMore(this.#fd, flight, sent, length - sent) : transmit(this.#fd, flight, sent, length - sent);
        if (n > 0) sent += n;
        else if (n < 0) this.#broken = true;
        else this.#owed = [];
      }
      if (sent < length) this.#owed?.push(keepBytes(flight, sent, length));
      // Less than would have fitted was all there was.
    } while (length === flight.length);
  }

  /** True when nothing is owed any more. */
  #payOwed(): boolean {
    const owed = this.#owed!;
    while (owed.length > 0) {
      const first = owed[0]!;
      const n = transmit(this.#fd, first.memory, first.start, first.length);
      if (n < 0) this.#broken = true;
      if (n <= 0) return false;
      first.start += n;
      if (first.length === 0) dropChunk(owed.shift()!);
    }
    this.#owed = null;
    return true;
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
    cork(this.#fd);
  }

  end(closing: boolean): number {
    if (this.#open) {
      const n = s2n.endTls(this.#handle);
      if (n > 0 && !closing) shutdownWrite(this.#fd);
      return n === s2n.S2N_FAILED ? this.#failed() : n;
    }
    // Behind what could not be sent there is no place for an alert.
    if (this.#alert >= 0 && (this.#owed === null || this.#payOwed())) {
      alertRecord.bytes.set(plainAlert(this.#alert));
      transmit(this.#fd, alertRecord, 0, ALERT_BYTES);
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
    this.settle();
    s2n.releaseBuffers(this.#handle);
  }

  release(): void {
    if (this.#handle === 0) return;
    for (const chunk of this.#owed ?? []) dropChunk(chunk);
    this.#owed = null;
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
