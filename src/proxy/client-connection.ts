/**
 * A client's connection from accept to close. Owns the descriptor, the stream, and what the client has said that nobody has used yet.
 *
 *   PROXY_HEADER -> HELLO .. -> HEAD <-> EXCHANGE -> CLOSING -> (gone)
 *                        |               \-> TUNNEL -> (gone)
 *                        \-> RELAY -> TUNNEL -> (gone)
 *   any of them -> BLINDED (a failure whose timing must tell nothing) -> (gone)
 *
 * HELLO and what follows it until a client is in are the handshake's (handshake.ts). Most begin there. A listener
 * without TLS begins at HEAD, or at RELAY where it does not know what its clients speak.
 */
import { assert } from '../base/assert.ts';
import {
  FAULT_ACCESS_DENIED,
  FAULT_CLIENT_CONNECTIONS,
  FAULT_EOF,
  FAULT_PROXY_HEADER_TIMEOUT,
  FAULT_REQUEST_HEAD_TIMEOUT,
  FAULT_RESET,
  FAULT_SHUTDOWN,
  FAULT_TLS_TRUNCATED,
  NEED_MORE,
} from '../base/faults.ts';
import { BLINDED_MAX, HELLO_PEEK_BYTES, READ_BYTES } from '../base/limits.ts';
import type { ClientIdentity } from '../guard/client-judge.ts';
import { headMayBeComplete, readRequestHead } from '../http/h1/head-reader.ts';
import type { MessageHead } from '../http/message-head.ts';
import { copyMemory } from '../native/memory.ts';
import { ERROR, HANGUP, READ_HANGUP, READABLE, WRITABLE } from '../native/poller.ts';
import { closeDescriptor, receive, setReceiveLowWater, shutdownWrite } from '../native/sockets.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { PlainStream } from '../net/plain-stream.ts';
import type { Stream } from '../net/stream.ts';
import { Watched } from '../net/watched.ts';
import {
  C_BLINDED_OPEN,
  C_BYTES_IN,
  C_BYTES_OUT,
  C_CONNECTIONS_OPEN,
  C_FAULTS,
  C_HANDSHAKES_OPEN,
  C_LIMIT_BLINDED,
  C_TCP_PLAIN,
  C_TCP_TERMINATED,
} from '../plan/counters.ts';
import type { ConnectionView } from '../plan/messages.ts';
import type { TlsSession } from '../tls/engine.ts';
import {
  BLINDED,
  CLEARED,
  CLOSING,
  EXCHANGE,
  GONE,
  HANDSHAKE,
  HEAD,
  HELD,
  HELLO,
  PROXY_HEADER,
  RELAY,
  STATE_NAMES,
  TUNNEL,
} from './client-state.ts';
import { type ProxyContext, READ_AT } from './context.ts';
import { Exchange } from './exchange.ts';
import { Handshake } from './handshake.ts';
import { recordFailure } from './handshake-record.ts';
import { takeProxyHeader } from './proxied.ts';
import { Relay } from './relay.ts';
import type { Site } from './site.ts';
import { Agreed, type TcpRoute } from './tcp-route.ts';
import type { Tunnel } from './tunnel.ts';

const NOTHING_AGREED = new Agreed('');
/** Quiet time after which a connection gives back memory it does not need. Milliseconds. */
const REST_MS = 1_000;

export class ClientConnection extends Watched {
  readonly context: ProxyContext;
  /** The listener's rules at the time of accept; replaced between requests when the plan changes. */
  site: Site;
  /** Who connected; behind a PROXY header, who had connected to the proxy. */
  address: string;
  port: number;
  /** Where that one had connected to, as the header has it; null: to us. */
  relayedTo: { readonly address: string; readonly port: number } | null = null;
  place: number;
  stream: Stream;
  state = HELLO;
  /** A read may give something. */
  readable = true;
  /** The client has ended its direction, as the kernel saw it: an end that came with the last bytes makes no event of its own. */
  hungUp = false;
  /** Bytes the client has not taken. While there are any, nothing more is read from the server. */
  pending: Chunk | null = null;
  /** What may wait behind `pending`, where a route lets a server be done with before a slow client is. Bytes. */
  queueMax = 0;
  readonly #queue: Chunk[] = [];
  #queuedBytes = 0;
  /** Bytes the client has sent that belong to no exchange yet: part of a head, or pipelined requests. */
  stash: Chunk | null = null;
  exchange: Exchange | null = null;
  tunnel: Tunnel | null = null;
  relay: Relay | null = null;
  /** `TLSv1.3` and the suite's name; empty without TLS, and before the end of the handshake. */
  tlsVersion = '';
  cipher = '';
  /** Agreed by ALPN, on listeners that carry what they do not know; empty: none. */
  protocol = '';
  /** Whose certificate it came in by; null: it showed none, or was not asked. */
  identity: ClientIdentity | null = null;
  /** What servers are told of the client's certificate; '' when nothing is. */
  clientFields = '';
  /** What it had to show, by id (Site.clientRules). */
  clientRules = '';
  /** It ends with its next answer. */
  retired = false;
  /** Requests begun. */
  requests = 0;

  /** From its first byte until it is in; null before, after, and without TLS. */
  handshake: Handshake | null = null;
  #lowWater = 1;
  /** Bytes that were seen in the socket and are in it still. */
  peeked = 0;
  readonly acceptedMs: number;
  /** The server name the client asked for, or null. */
  sni: string | null = null;
  #rested = false;
  #idleUntilMs = 0;
  /** In CLOSING: our direction is ended, what comes is thrown away. */
  #ended = false;
  #lingers = false;

  /** `place`: where the guard counts this client; already counted. */
  constructor(context: ProxyContext, site: Site, fd: number, address: string, port: number, place: number) {
    super();
    this.context = context;
    this.site = site;
    this.address = address;
    this.port = port;
    this.place = place;
    this.acceptedMs = context.reactor.nowMs;
    this.stream = new PlainStream(fd);
    context.counters[C_CONNECTIONS_OPEN]!++;
  }

  /** Behind a successful `watch`: what waits in the socket is looked at once, at once. */
  begin(): void {
    const { context, site } = this;
    // One deadline for all that comes before the first byte of what the connection is for.
    context.reactor.deadline(this, context.timeouts.handshakeMs);
    if (site.expectsProxyHeader(this.address)) {
      this.state = PROXY_HEADER;
      this.#readProxyHeader();
    } else this.#open();
  }

  #open(): void {
    const { context, site } = this;
    if (site.speaksTls) {
      this.handshake = Handshake.take(this);
      this.handshake.readHello();
    } else if (site.tcpRoutes !== null) {
      context.counters[C_TCP_PLAIN]!++;
      this.carry(site.tcpRoutes.find(null, NOTHING_AGREED));
    } else {
      this.#enterHead(context.timeouts.requestHeadMs);
      this.#readHead();
    }
  }

  #handshakeOver(): void {
    this.handshake?.release();
    this.handshake = null;
  }

  /** From here on its bytes are nobody's business. */
  carry(route: TcpRoute | null): void {
    this.#handshakeOver();
    new Relay(this, route, this.acceptedMs).begin();
  }

  override onEvents(mask: number): void {
    if ((mask & (READABLE | READ_HANGUP | HANGUP | ERROR)) !== 0) this.readable = true;
    if ((mask & (READ_HANGUP | HANGUP | ERROR)) !== 0) this.hungUp = true;
    switch (this.state) {
      case HELLO:
        if (this.readable) this.handshake!.readHello();
        return;
      case HANDSHAKE:
        // What we sent was received: that makes an event too, and no step.
        if ((mask & (READABLE | READ_HANGUP | HANGUP | ERROR)) !== 0 || this.handshake!.session!.awaitsRoom()) this.handshake!.step();
        return;
      case HELD:
        if ((mask & (HANGUP | ERROR)) !== 0) this.destroy();
        return;
      case HEAD:
        if (this.readable) this.#readHead();
        return;
      case EXCHANGE:
        this.#onExchangeEvents(mask);
        return;
      case TUNNEL:
        this.tunnel!.onClientEvents(mask);
        return;
      case RELAY:
        this.relay!.onClientEvents(mask);
        return;
      case PROXY_HEADER:
        if (this.readable) this.#readProxyHeader();
        return;
      case CLOSING:
        if ((mask & (HANGUP | ERROR)) !== 0) this.destroy();
        else this.#close();
        return;
      default:
        return;
    }
  }

  #onExchangeEvents(mask: number): void {
    const exchange = this.exchange!;
    if ((mask & (HANGUP | ERROR)) !== 0) {
      exchange.onClientGone();
      return;
    }
    if ((mask & WRITABLE) !== 0 && this.pending !== null) {
      const before = this.pending.length + this.#queuedBytes;
      if (this.#flush()) {
        if (this.exchange === exchange) exchange.onClientDrained();
      } else if (this.exchange === exchange && this.pending !== null) {
        exchange.onClientTook(before - this.pending.length - this.#queuedBytes);
      }
    }
    if (this.readable && this.exchange === exchange && this.state === EXCHANGE) exchange.pumpRequest();
  }

  override onReady(): void {
    switch (this.state) {
      case HELLO:
        this.handshake!.readHello();
        return;
      case CLEARED:
        this.handshake!.finish();
        return;
      case HEAD:
        this.#readHead();
        return;
      case EXCHANGE:
        this.exchange!.onReady();
        return;
      case TUNNEL:
        this.tunnel!.pump();
        return;
      case CLOSING:
        this.#close();
        return;
      default:
        return;
    }
  }

  override onDeadline(): void {
    switch (this.state) {
      case HELLO:
      case HANDSHAKE:
      case HELD:
        this.handshake!.onDeadline();
        return;
      case PROXY_HEADER:
        recordFailure(this, null, FAULT_PROXY_HEADER_TIMEOUT, null, 'us');
        this.leave();
        return;
      case HEAD:
        this.#onHeadDeadline();
        return;
      case EXCHANGE:
        this.exchange!.onClientDeadline();
        return;
      case TUNNEL:
        this.tunnel!.onDeadline();
        return;
      default:
        this.destroy();
        return;
    }
  }

  // --- the PROXY header, before everything --------------------------------------------------------------------------

  #readProxyHeader(): void {
    this.readable = false;
    const n = takeProxyHeader(this);
    if (n === 0) return;
    if (n > 0) {
      this.readable = true;
      this.#open();
      return;
    }
    // Who may not come in is worth a count, as at accept.
    if (n === FAULT_ACCESS_DENIED || n === FAULT_CLIENT_CONNECTIONS) this.context.counters[C_FAULTS - n]!++;
    else recordFailure(this, null, n, null, 'us');
    this.leave();
  }

  /** Closes before anything was answered. */
  leave(): void {
    // What was only peeked is taken, or the close would be a reset.
    if (this.peeked > 0) receive(this.fd, this.context.scratch, READ_AT, HELLO_PEEK_BYTES);
    this.destroy();
  }

  /** No event below what is missing: a client that sends byte by byte costs one look, not one for each byte. */
  awaitBytes(neededBytes: number): void {
    if (neededBytes === this.#lowWater || neededBytes > HELLO_PEEK_BYTES) return;
    this.#lowWater = neededBytes;
    setReceiveLowWater(this.fd, neededBytes);
  }

  /** Our direction has ended with a word why. What the client has sent meanwhile (in TLS 1.3 its request) is taken, or the close would be a reset. */
  awaitEnd(): void {
    const { context } = this;
    this.#handshakeOver();
    this.state = CLOSING;
    this.#ended = true;
    this.#lingers = true;
    context.reactor.deadline(this, context.timeouts.closeMs);
    this.readable = true;
    this.#close();
  }

  /** It is in, and whatever had to be known of it is known. */
  onHandshakeEnd(session: TlsSession): void {
    const { context } = this;
    this.#handshakeOver();
    this.readable = this.hungUp || session.mayHaveMore();
    const { tcpRoutes } = this.site;
    if (tcpRoutes !== null) {
      this.protocol = session.protocol();
      context.counters[C_TCP_TERMINATED]!++;
      this.carry(tcpRoutes.find(this.sni, this.protocol === '' ? NOTHING_AGREED : new Agreed(this.protocol)));
      return;
    }
    this.#enterHead(context.timeouts.requestHeadMs);
    if (this.readable) this.#readHead();
  }

  /** What an operator sees of it. */
  view(): ConnectionView {
    const { reactor } = this.context;
    const seconds = (sinceMs: number): number => Math.round((reactor.nowMs - sinceMs) / 100) / 10;
    return {
      id: `${process.pid}.${this.fd}.${this.generation}`,
      client: this.address,
      listener: this.site.name,
      sni: this.sni,
      state: STATE_NAMES[this.state] ?? 'ends',
      seconds: seconds(this.acceptedMs),
      requests: this.requests,
    };
  }

  /** Ends it now, whatever is at work. */
  cut(): void {
    if (this.exchange !== null) this.exchange.onClientGone();
    else if (this.tunnel !== null) this.tunnel.close(FAULT_SHUTDOWN);
    else if (this.relay !== null) this.relay.close(FAULT_SHUTDOWN);
    else {
      if (this.state === HELLO || this.state === HANDSHAKE) this.context.counters[C_HANDSHAKES_OPEN]!--;
      this.destroy();
    }
  }

  /** Whether the request in `head` names a host that another certificate of this listener is for. */
  isMisdirected(bytes: Buffer, head: MessageHead): boolean {
    const { sni } = this;
    const { certificates } = this.site;
    if (certificates === null || certificates.isOne) return false;
    const length = head.hostEnd - head.hostStart;
    if (sni !== null && length === sni.length) {
      let i = 0;
      while (i < length && bytes[head.hostStart + i] === sni.charCodeAt(i)) i++;
      if (i === length) return false;
    }
    const host = bytes.latin1Slice(head.hostStart, head.hostEnd).toLowerCase();
    return certificates.isMisdirected(sni, host.endsWith('.') ? host.slice(0, -1) : host, this.context.unixMs());
  }

  // --- requests -------------------------------------------------------------------------------------------------------

  #enterHead(deadlineMs: number): void {
    this.state = HEAD;
    this.#rested = false;
    this.#idleUntilMs = this.context.reactor.nowMs + deadlineMs;
    this.context.reactor.deadline(this, Math.min(deadlineMs, REST_MS));
  }

  #onHeadDeadline(): void {
    const { reactor } = this.context;
    if (reactor.nowMs < this.#idleUntilMs) {
      if (!this.#rested) {
        this.#rested = true;
        this.stream.rest();
        this.context.rested++;
      }
      reactor.deadline(this, this.#idleUntilMs - reactor.nowMs);
      return;
    }
    // Part of a request is worth an answer; silence is not.
    if (this.stash !== null) this.#refuseHead(FAULT_REQUEST_HEAD_TIMEOUT);
    else this.closeGracefully(false);
  }

  #readHead(): void {
    const { context } = this;
    let have = 0;
    let looked = 0;
    if (this.stash !== null) {
      have = this.stash.length;
      looked = have;
      copyMemory(context.scratch, READ_AT, this.stash.memory, this.stash.start, this.stash.end);
      dropChunk(this.stash);
      this.stash = null;
      // Pipelined requests lie here whole; a partial head needs what is in the socket.
      if (this.#consumeHead(have, 0)) return;
    }
    while (this.readable) {
      const n = this.stream.read(context.scratch, READ_AT + have, READ_BYTES - have);
      this.readable = n > 0 && (this.hungUp || this.stream.mayHaveMore());
      if (n === 0) break;
      if (n < 0) {
        this.#onReadEnd(n);
        return;
      }
      context.counters[C_BYTES_IN]! += n;
      have += n;
      if (this.#consumeHead(have, looked)) return;
      looked = have;
    }
    if (have > 0) this.#stashHead(have);
  }

  #stashHead(have: number): void {
    if (this.#idleUntilMs - this.context.reactor.nowMs > this.context.timeouts.requestHeadMs) this.#restartHeadClock();
    this.stash = keepBytes(this.context.scratch, READ_AT, READ_AT + have);
  }

  /** The first byte of a request begins its own deadline; on a kept-alive connection it is shorter than the quiet one. */
  #restartHeadClock(): void {
    const { reactor, timeouts } = this.context;
    this.#idleUntilMs = reactor.nowMs + timeouts.requestHeadMs;
    this.#rested = true;
    reactor.deadline(this, timeouts.requestHeadMs);
  }

  /** True when the bytes were used: an exchange began, or they were refused. `looked` of them were read in vain before. */
  #consumeHead(have: number, looked: number): boolean {
    const { context } = this;
    const end = READ_AT + have;
    if (looked > 0 && !headMayBeComplete(context.bytes, READ_AT + looked, end)) {
      if (have < context.limits.headBytesMax) return false;
    }
    const head = context.requestHead;
    const used = readRequestHead(context.bytes, READ_AT, end, context.limits, head);
    if (used === NEED_MORE) return false;
    this.requests++;
    if (used < 0) {
      this.#refuseHead(used);
      return true;
    }
    context.reactor.noDeadline(this);
    this.state = EXCHANGE;
    this.exchange = Exchange.take(this);
    this.exchange.begin(head, READ_AT + used, end);
    return true;
  }

  /** Answers a head that cannot be served, and closes. */
  #refuseHead(fault: number): void {
    this.context.reactor.noDeadline(this);
    this.state = EXCHANGE;
    this.exchange = Exchange.take(this);
    this.exchange.refuse(fault);
  }

  #onReadEnd(fault: number): void {
    // A client that ends between requests is what keep-alive looks like, with TLS's goodbye or, as many do, without; with half a head it has
    // changed its mind.
    const isCut = this.stash !== null;
    if (this.stash !== null) {
      dropChunk(this.stash);
      this.stash = null;
    }
    if (fault === FAULT_EOF) this.closeGracefully(false);
    else {
      if (isCut || fault !== FAULT_TLS_TRUNCATED) this.countEnd(fault);
      this.destroy();
    }
  }

  /** Of a client whose end is a fault of its TLS, where no handshake tells of it. A reset is an end like another. */
  countEnd(fault: number): void {
    if (fault !== FAULT_EOF && fault !== FAULT_RESET) this.context.counters[C_FAULTS - fault]!++;
  }

  /** The exchange is over, and everything it had to say is with the kernel. */
  onExchangeEnd(keepAlive: boolean, unread: boolean): void {
    const { context } = this;
    assert(this.state === EXCHANGE && this.pending === null, 'an exchange ends when its bytes are gone');
    this.exchange = null;
    this.queueMax = 0;
    if (!keepAlive) {
      this.closeGracefully(unread);
      return;
    }
    this.stream.settle();
    this.#enterHead(context.timeouts.idleMs);
    // The next request may be here already. Not now: the caller's handler may still use the scratch.
    if (this.stash !== null || this.readable) context.reactor.later(this);
  }

  /** Whether one more read's bytes may be sent: all has been taken, or there is room to wait. */
  get hasRoom(): boolean {
    return this.pending === null || this.pending.length + this.#queuedBytes + READ_BYTES <= this.queueMax;
  }

  /** Bytes of the scratch for the client. What it does not take now is kept. 0 or more, or a fault. */
  send(start: number, end: number): number {
    const { context } = this;
    if (this.pending !== null) {
      assert(this.hasRoom, 'nothing is sent past what may wait');
      this.#queue.push(keepBytes(context.scratch, start, end));
      this.#queuedBytes += end - start;
      context.counters[C_BYTES_OUT]! += end - start;
      return 0;
    }
    const n = this.stream.write(context.scratch, start, end - start);
    if (n < 0) return n;
    context.counters[C_BYTES_OUT]! += end - start;
    if (n < end - start) {
      this.pending = keepBytes(context.scratch, start + n, end);
      context.reactor.awaitRoom(this);
    }
    return n;
  }

  /** True when nothing is pending any more. On a fault the connection is gone. */
  #flush(): boolean {
    for (let chunk = this.pending; chunk !== null; chunk = this.pending) {
      const n = this.stream.write(chunk.memory, chunk.start, chunk.length);
      if (n < 0) {
        if (this.exchange !== null) this.exchange.onClientGone();
        else this.destroy();
        return false;
      }
      chunk.start += n;
      if (chunk.length > 0) return false;
      dropChunk(chunk);
      this.pending = this.#queue.shift() ?? null;
      if (this.pending !== null) this.#queuedBytes -= this.pending.length;
    }
    return true;
  }

  /** For the tunnel, which drives both directions itself. */
  flush(): boolean {
    return this.pending === null || this.#flush();
  }

  // --- the end --------------------------------------------------------------------------------------------------------

  /** A new plan: it goes on under `site`, or ends with its next answer where clients must show something else now. */
  moveTo(site: Site): void {
    if (this.state === HELLO || site.clientRules(this.sni, this.context.unixMs()) === this.clientRules) {
      this.site = site;
      return;
    }
    this.retired = true;
    this.drain();
  }

  /** Ends our direction; 0: when there is room to say so, which an event tells. */
  endStream(closing: boolean): number {
    const n = this.stream.end(closing);
    if (n === 0) this.context.reactor.awaitRoom(this);
    return n;
  }

  /** No more requests: between two of them at once, else when the one at work is done. */
  drain(): void {
    if (this.state === HEAD && this.stash === null) this.closeGracefully(false);
  }

  /**
   * Says goodbye (close_notify, FIN) and closes. With `unread` bytes still to come from the client the close waits for its end, within a
   * bound: closing at once would reset the connection, and the client might lose the answer.
   */
  closeGracefully(unread: boolean): void {
    assert(this.exchange === null, 'no exchange is left behind');
    this.#handshakeOver();
    this.state = CLOSING;
    this.#lingers = unread || this.stash !== null;
    if (this.stash !== null) {
      dropChunk(this.stash);
      this.stash = null;
    }
    this.context.reactor.deadline(this, this.context.timeouts.closeMs);
    this.#close();
  }

  /** Closes without a goodbye: what was sent is not all there was. What the client still sends is thrown away, or it would lose even that. */
  closeCut(): void {
    this.state = CLOSING;
    this.#ended = true;
    this.#lingers = true;
    shutdownWrite(this.fd);
    this.context.reactor.deadline(this, this.context.timeouts.closeMs);
    this.#close();
  }

  #close(): void {
    if (this.pending !== null && !this.#flush()) return;
    if (!this.#ended) {
      const n = this.endStream(!this.#lingers);
      if (n === 0) return;
      if (n < 0) {
        this.destroy();
        return;
      }
      this.#ended = true;
    }
    if (!this.#lingers || this.#drainSocket()) this.destroy();
  }

  /** Throws away what the client still sends, encrypted as it is. True at its end. */
  #drainSocket(): boolean {
    for (let i = 0; i < 4; i++) {
      const n = receive(this.fd, this.context.scratch, READ_AT, READ_BYTES);
      if (n < 0) return true;
      if (n === 0) return false;
    }
    this.context.reactor.later(this);
    return false;
  }

  /** Closes at once, unless the time would tell what was wrong in a record: then later, unannounced. Safe to call twice. */
  destroy(): void {
    if (this.state === GONE) return;
    const { context } = this;
    const delayMs = this.state === BLINDED ? 0 : this.stream.blindingMs();
    this.#letGo();
    if (delayMs > 0 && this.#blind(delayMs)) return;
    if (this.state === BLINDED) {
      context.blinded--;
      context.counters[C_BLINDED_OPEN]!--;
    }
    this.state = GONE;
    this.stream.release();
    const fd = this.fd;
    context.reactor.forget(this);
    closeDescriptor(fd);
    context.clients.close(this.place);
    context.clients.leave();
    context.counters[C_CONNECTIONS_OPEN]!--;
  }

  /** False: so many wait already that this one cannot. */
  #blind(delayMs: number): boolean {
    const { context } = this;
    if (context.blinded >= BLINDED_MAX) {
      context.counters[C_LIMIT_BLINDED]!++;
      return false;
    }
    context.blinded++;
    context.counters[C_BLINDED_OPEN]!++;
    this.state = BLINDED;
    context.reactor.deadline(this, delayMs);
    return true;
  }

  /** Of all but the connection itself. */
  #letGo(): void {
    this.#handshakeOver();
    if (this.pending !== null) dropChunk(this.pending);
    for (const chunk of this.#queue) dropChunk(chunk);
    this.#queue.length = 0;
    if (this.stash !== null) dropChunk(this.stash);
    this.pending = null;
    this.stash = null;
    this.exchange = null;
    this.tunnel = null;
    this.relay = null;
  }
}
