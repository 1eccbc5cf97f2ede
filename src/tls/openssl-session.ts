/** One TLS connection on the complete engine. */

import { hash } from 'node:crypto';
import {
  FAULT_EOF,
  FAULT_RESET,
  FAULT_TLS_CLIENT_GONE,
  FAULT_TLS_INTERNAL,
  FAULT_TLS_RENEGOTIATION,
  FAULT_TLS_TRUNCATED,
  WOULD_BLOCK,
} from '../base/faults.ts';
import { groupNumber } from '../hello/names.ts';
import type { Memory } from '../native/memory.ts';
import * as openssl from '../native/openssl.ts';
import type { OpensslTicketKeys } from '../native/openssl-tickets.ts';
import { cork, shutdownWrite } from '../native/sockets.ts';
import { blindingDelayMs, isBlinded } from './blinding.ts';
import type { PeerJudge, TlsSession } from './engine.ts';
import { alertOfOpenssl, faultOfOpenssl, faultOfVerify, verifyErrorOf } from './openssl-reasons.ts';

/** What a session needs of its context. */
export interface OpensslOwner {
  readonly protocols: Memory;
  readonly ticketKeys: OpensslTicketKeys;
  /** Null: no certificate is asked for. */
  readonly judge: PeerJudge | null;
  readonly requiresCertificate: boolean;
  /** OCSP responses to show, by the certificate's fingerprint. */
  readonly staples: ReadonlyMap<string, Memory>;
  /** The fault that a fault is told as: a server's mistakes are not a client's. `error` is OpenSSL's; `isOpen`: the handshake is behind it. */
  blame(fault: number, error: number, isOpen: boolean): number;
  /** The peer has given a session to resume: a handle, the receiver's to close. */
  onSession(session: number): void;
  onSessionEnd(): void;
}

/**
 * A read that leaves nothing inside OpenSSL, and whose record was so far below its read buffer (16 KiB and a header) that the read could not
 * have filled it, has emptied the socket: the next arrival makes an event. This saves a read that would only say EAGAIN.
 */
const SURELY_SHORT_BYTES = 8_192;
const NO_RENEGOTIATION = 100;
const TLS_1_3 = 0x0304;
const NOBODY: readonly Uint8Array[] = Object.freeze([]);

export class OpensslSession implements TlsSession, openssl.OpensslAsked {
  #handle: number;
  readonly #fd: number;
  readonly #owner: OpensslOwner;
  readonly #connects: boolean;
  #open = false;
  #awaitsRoom = false;
  #more = true;
  /** Records were buffered behind the one read: how full the last recv was is no longer known. */
  #deep = false;
  #error = 0;
  #fault = 0;
  #alertSent = -1;
  #refusedRenegotiation = false;
  #peerChain: readonly Uint8Array[] = NOBODY;
  #peerFault = 0;

  /** `connects`: we began it, and the peer is a server. */
  constructor(handle: number, fd: number, owner: OpensslOwner, connects: boolean) {
    this.#handle = handle;
    this.#fd = fd;
    this.#owner = owner;
    this.#connects = connects;
  }

  handshake(): number {
    const n = openssl.negotiate(this.#handle, this);
    if (n > 0) {
      this.#open = true;
      if (this.#connects && openssl.isResumed(this.#handle)) this.#peerChain = this.#resumedPeer();
      // What came behind the client's Finished lies where SSL_has_pending does not look: with the keys, OpenSSL changes its buffer.
      this.#deep = true;
      this.#more = true;
      return n;
    }
    if (n === 0) {
      this.#awaitsRoom = openssl.lastWantedRoom();
      return WOULD_BLOCK;
    }
    this.#failed(n);
    if (n !== openssl.OPENSSL_FAILED) this.#fault = FAULT_TLS_CLIENT_GONE;
    // The judge's word is more than "verification failed".
    else if (openssl.opensslReason(this.#error) === SSL_R_CERTIFICATE_VERIFY_FAILED) this.#fault = this.#peerFault;
    return this.#owner.blame(this.#fault, this.#error, false);
  }

  awaitsRoom(): boolean {
    return this.#awaitsRoom;
  }

  #resumedPeer(): readonly Uint8Array[] {
    const leaf = openssl.peerCertificate(this.#handle);
    return leaf === null ? NOBODY : [leaf];
  }

  read(memory: Memory, offset: number, length: number): number {
    const n = openssl.receiveTls(this.#handle, this, memory, offset, length);
    if (this.#refusedRenegotiation) return this.#blamed(this.#refuse(FAULT_TLS_RENEGOTIATION));
    if (n > 0) {
      if (n === length || openssl.hasPending(this.#handle)) {
        this.#more = true;
        this.#deep = true;
      } else {
        this.#more = this.#deep || n > SURELY_SHORT_BYTES;
      }
      return n;
    }
    this.#more = false;
    this.#deep = false;
    return n === 0 ? WOULD_BLOCK : this.#blamed(this.#failed(n));
  }

  write(memory: Memory, offset: number, length: number): number {
    let sent = 0;
    // One record a call: only "would block" promises a writable event.
    while (sent < length) {
      const n = openssl.transmitTls(this.#handle, this, memory, offset + sent, length - sent);
      if (n > 0) {
        sent += n;
        continue;
      }
      if (sent > 0 || n === 0) return sent;
      const fault = this.#failed(n);
      return fault === FAULT_EOF || fault === FAULT_TLS_TRUNCATED ? FAULT_RESET : this.#blamed(fault);
    }
    return sent;
  }

  #failed(result: number): number {
    this.#error = openssl.opensslError();
    switch (result) {
      case openssl.OPENSSL_CLOSED:
        return FAULT_EOF;
      case openssl.OPENSSL_GONE:
        // With a reason, the socket ended without close_notify: whether the peer has said all it wanted cannot be known.
        return this.#refuse(openssl.opensslReason(this.#error) === 0 ? FAULT_RESET : FAULT_TLS_TRUNCATED);
      default:
        return this.#refuse(faultOfOpenssl(this.#error));
    }
  }

  #blamed(fault: number): number {
    return fault === FAULT_EOF || fault === FAULT_RESET ? fault : this.#owner.blame(fault, this.#error, true);
  }

  /** Nothing more is said on this connection. */
  #refuse(fault: number): number {
    this.#fault = fault;
    return fault;
  }

  mayHaveMore(): boolean {
    return this.#more;
  }

  holdForEnd(): void {
    cork(this.#fd);
  }

  end(closing: boolean): number {
    // OpenSSL has sent its alert when it failed, and has no close_notify for a handshake that is not done.
    const n = this.#open && this.#fault === 0 ? openssl.endTls(this.#handle, this) : 1;
    if (n > 0 && !closing) shutdownWrite(this.#fd);
    return n >= 0 ? n : this.#blamed(this.#failed(n));
  }

  settle(): void {}

  rest(): void {
    openssl.releaseBuffers(this.#handle);
  }

  release(): void {
    if (this.#handle === 0) return;
    openssl.closeConnection(this.#handle);
    this.#handle = 0;
    this.#owner.onSessionEnd();
  }

  version(): number {
    return openssl.tlsVersion(this.#handle);
  }

  suite(): number {
    return openssl.tlsSuite(this.#handle);
  }

  group(): number {
    // A session of TLS 1.2 remembers the group of the handshake that made it; a resumption agrees on no key.
    if (this.version() < TLS_1_3 && this.resumed()) return 0;
    return groupNumber(openssl.tlsGroup(this.#handle));
  }

  resumed(): boolean {
    return openssl.isResumed(this.#handle);
  }

  protocol(): string {
    return openssl.agreedProtocol(this.#handle);
  }

  peerChain(): readonly Uint8Array[] {
    return this.#peerChain;
  }

  peerFault(): number {
    return this.#peerFault;
  }

  clientAlert(): number {
    return alertOfOpenssl(this.#error);
  }

  sentAlert(): number {
    return this.#alertSent;
  }

  libraryError(): string {
    return this.#error === 0 ? '' : openssl.opensslErrorText(this.#error);
  }

  blindingMs(): number {
    return isBlinded(this.#fault) ? blindingDelayMs() : 0;
  }

  // --- what OpenSSL asks within a call ----------------------------------------------------------------------------------

  onAlertSent(description: number, fatal: boolean): void {
    if (fatal) this.#alertSent = description;
    else if (description === NO_RENEGOTIATION) {
      this.#alertSent = description;
      this.#refusedRenegotiation = true;
    }
  }

  protocols(): Memory {
    return this.#owner.protocols;
  }

  onTicket(name: number, iv: number, cipher: number, mac: number, seals: boolean): number {
    // Who came in with something wrong is looked at anew each time.
    if (seals && this.#peerFault !== 0) return 0;
    return this.#owner.ticketKeys.prepare(name, iv, cipher, mac, seals);
  }

  onCertificates(chain: readonly Uint8Array[], error: number): number {
    this.#peerChain = chain;
    const fault = faultOfVerify(error);
    this.#peerFault = this.#judge(chain, fault, false);
    const verdict = verifyErrorOf(this.#peerFault, error);
    // Let in all the same: what was wrong with it is still to be told.
    if (verdict === 0) this.#peerFault = fault;
    return verdict;
  }

  onStatusRequest(leaf: () => Uint8Array): Memory | null {
    const { staples } = this.#owner;
    return staples.size === 0 ? null : (staples.get(hash('sha256', leaf(), 'hex')) ?? null);
  }

  onSession(session: number): void {
    this.#owner.onSession(session);
  }

  onResumption(leaf: Uint8Array | null): boolean {
    if (leaf === null) return !this.#owner.requiresCertificate;
    // What has changed since the ticket was made is answered in a whole handshake, with its alert.
    if (this.#judge([leaf], 0, true) !== 0) return false;
    this.#peerChain = [leaf];
    return true;
  }

  #judge(chain: readonly Uint8Array[], fault: number, resumes: boolean): number {
    try {
      return this.#owner.judge?.(chain, fault, resumes) ?? fault;
    } catch {
      // What one client shows must not end the others' connections.
      return FAULT_TLS_INTERNAL;
    }
  }
}

const SSL_R_CERTIFICATE_VERIFY_FAILED = 134;
