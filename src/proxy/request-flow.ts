/**
 * The request on its way to the target: its head once, its body as far as the client gives and the target takes. Owns the body's framing, as
 * it comes and as it goes. Nothing is read from the client while the target has bytes pending. One per exchange.
 */
import { FAULT_BODY_TOO_LARGE } from '../base/faults.ts';
import { READ_BYTES, TURN_BYTES_MAX } from '../base/limits.ts';
import { decodedHead, decodedTail } from '../http/h1/chunk-writer.ts';
import { ChunkedDecoder } from '../http/h1/chunked-decoder.ts';
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PUT,
  METHOD_TRACE,
  type MessageHead,
} from '../http/message-head.ts';
import { keepBytes } from '../net/chunk.ts';
import { C_BYTES_IN, C_LIMIT_TURN_BYTES, T_BYTES_OUT } from '../plan/counters.ts';
import { BUSY } from '../upstream/upstream-connection.ts';
import { COMPOSE_AT, READ_AT } from './context.ts';
import type { ExchangeDeadlines } from './exchange-deadlines.ts';
import type { ExchangeState } from './exchange-state.ts';
import type { UpstreamLeg } from './upstream-leg.ts';

/** Who sends a request. Each call may end the exchange. */
export interface RequestFlowOwner {
  /** The body is not what it should be. */
  onRequestFault(fault: number): void;
  /** The client has ended, and its request was not whole. */
  onRequestEnded(fault: number): void;
  /** The connection to the target broke. */
  onUpstreamFault(fault: number): void;
}

export class RequestFlow {
  readonly #state: ExchangeState;
  readonly #leg: UpstreamLeg;
  readonly #deadlines: ExchangeDeadlines;
  readonly #owner: RequestFlowOwner;
  #framing = FRAMING_NONE;
  /** Bytes still to come, of FRAMING_LENGTH. */
  #left = 0;
  /** Bytes a chunked body may still have. */
  #room = Number.POSITIVE_INFINITY;
  readonly #decoder = new ChunkedDecoder();
  /** Where the bytes for the target end, behind the body that was just taken. */
  #bodyEnd = 0;

  constructor(state: ExchangeState, leg: UpstreamLeg, deadlines: ExchangeDeadlines, owner: RequestFlowOwner) {
    this.#state = state;
    this.#leg = leg;
    this.#deadlines = deadlines;
    this.#owner = owner;
  }

  /** A request with this head is to come. */
  begin(head: MessageHead): void {
    this.#framing = head.framing;
    this.#left = head.framing === FRAMING_LENGTH ? head.contentLength : 0;
    this.#state.requestDone = head.framing === FRAMING_NONE || (head.framing === FRAMING_LENGTH && head.contentLength === 0);
    if (head.framing === FRAMING_CHUNKED) this.#decoder.reset();
  }

  /**
   * Sends the head at [COMPOSE_AT, composed), with as much of the body as came with it: scratch [at, end) is what came behind the head.
   * The leg has its connection.
   */
  start(composed: number, at: number, end: number): void {
    const client = this.#state.client!;
    const { context } = client;
    let start = COMPOSE_AT;
    let stop = composed;
    if (this.#state.requestDone) {
      if (at < end) client.stash = keepBytes(context.scratch, at, end);
      if (this.#isIdempotent()) this.#leg.keepReplay(composed);
    } else {
      this.#room = this.#state.route!.forward!.requestBodyMax;
      const bodyStart = this.#takeBody(at, end);
      if (bodyStart < 0) {
        this.#owner.onRequestFault(bodyStart);
        return;
      }
      if (this.#bodyEnd > bodyStart) {
        // The head goes right in front of the body: one write for both.
        start = bodyStart - (composed - COMPOSE_AT);
        context.bytes.copyWithin(start, COMPOSE_AT, composed);
        stop = this.#bodyEnd;
      }
    }
    this.send(start, stop);
    // The rest of the body may lie in the socket, or inside the TLS library, where no event will tell of it.
    if (this.#state.client === client && !this.#state.requestDone && client.readable) context.reactor.later(client);
  }

  /** Scratch [start, end) for the target. */
  send(start: number, end: number): void {
    const n = this.#leg.connection!.send(this.#state.client!.context.scratch, start, end);
    if (n < 0) {
      this.#owner.onUpstreamFault(n);
      return;
    }
    this.#leg.target!.add(T_BYTES_OUT, end - start);
    this.#deadlines.set();
  }

  /** Moves the body along, as far as the client gives and the target takes. */
  pump(): void {
    const state = this.#state;
    const client = state.client!;
    const { context } = client;
    let moved = 0;
    while (!state.requestDone && client.readable) {
      const { connection } = this.#leg;
      if (connection === null || connection.pending !== null || connection.state !== BUSY) return;
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(client);
        return;
      }
      const n = client.stream.read(context.scratch, READ_AT, READ_BYTES);
      client.readable = n > 0 && (client.hungUp || client.stream.mayHaveMore());
      if (n === 0) return;
      if (n < 0) {
        this.#owner.onRequestEnded(n);
        return;
      }
      moved += n;
      this.#deadlines.sent(n);
      context.counters[C_BYTES_IN]! += n;
      const start = this.#takeBody(READ_AT, READ_AT + n);
      if (start < 0) {
        this.#owner.onRequestFault(start);
        return;
      }
      if (state.requestDone) context.reactor.noDeadline(client);
      if (this.#bodyEnd > start) this.send(start, this.#bodyEnd);
      else this.#deadlines.set();
      if (state.client !== client) return;
    }
  }

  /**
   * Takes the body out of scratch [at, end) and puts it as the target is to get it into [result, #bodyEnd). What lies behind the body is kept
   * for the next request. A fault below 0.
   */
  #takeBody(at: number, end: number): number {
    const client = this.#state.client!;
    const { context } = client;
    const { bytes } = context;
    if (this.#framing === FRAMING_LENGTH) {
      const taken = Math.min(this.#left, end - at);
      this.#left -= taken;
      this.#state.requestDone = this.#left === 0;
      if (at + taken < end) client.stash = keepBytes(context.scratch, at + taken, end);
      this.#bodyEnd = at + taken;
      return at;
    }
    const decoder = this.#decoder;
    const used = decoder.decode(bytes, at, end);
    if (used < 0) return used;
    this.#room -= decoder.dataBytes;
    if (this.#room < 0) return FAULT_BODY_TOO_LARGE;
    this.#state.requestDone = decoder.done;
    if (at + used < end) client.stash = keepBytes(context.scratch, at + used, end);
    this.#bodyEnd = decodedTail(bytes, at, decoder);
    return decodedHead(bytes, at, decoder);
  }

  /** RFC 9110, section 9.2.2; only without a body, which would be gone. */
  #isIdempotent(): boolean {
    if (this.#framing !== FRAMING_NONE || this.#state.wantsUpgrade) return false;
    switch (this.#state.method) {
      case METHOD_GET:
      case METHOD_HEAD:
      case METHOD_OPTIONS:
      case METHOD_TRACE:
      case METHOD_PUT:
      case METHOD_DELETE:
        return true;
      default:
        return false;
    }
  }
}
