/** One TLS connection on the fast engine. */
import { FAULT_EOF, FAULT_RESET, FAULT_TLS_TRUNCATED, WOULD_BLOCK } from '../base/faults.ts';
import { BLINDING_MS_MAX } from '../base/limits.ts';
import { groupNumber } from '../hello/names.ts';
import { plainAlert } from '../hello/plain-alert.ts';
import { allocate, type Memory } from '../native/memory.ts';
import * as s2n from '../native/s2n.ts';
import { cork, shutdownWrite, transmit } from '../native/sockets.ts';
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
const ALERT_BYTES = 7;
const alertRecord = allocate(ALERT_BYTES);

export class S2nSession implements TlsSession {
  #handle: number;
  readonly #fd: number;
  readonly #owner: SessionOwner;
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

  constructor(handle: number, fd: number, owner: SessionOwner) {
    this.#handle = handle;
    this.#fd = fd;
    this.#owner = owner;
  }

  handshake(): number {
    const n = s2n.negotiate(this.#handle);
    if (n > 0) {
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
    if (this.#alert >= 0) {
      alertRecord.bytes.set(plainAlert(this.#alert));
      transmit(this.#fd, alertRecord, 0, ALERT_BYTES);
    }
    const n = this.#open ? s2n.endTls(this.#handle) : 1;
    if (n > 0 && !closing) shutdownWrite(this.#fd);
    return n === s2n.S2N_FAILED ? this.#failed() : n;
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
