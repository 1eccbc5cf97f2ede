/**
 * Asks an authorisation server whether a request may go on: a request of its own with the client's fields, without body. What it answers with
 * 2xx lets the request pass, with fields of the answer if the route wants them; any other answer goes to the client as it is. Owns the
 * connection to that server; the request itself waits with its exchange.
 */
import {
  FAULT_EOF,
  FAULT_NO_TARGET,
  FAULT_RESPONSE_HEAD_TIMEOUT,
  FAULT_RESPONSE_TOO_LARGE,
  FAULT_RESPONSE_TRUNCATED,
  FAULT_UPSTREAM_GONE,
  isServerTlsFault,
  NEED_MORE,
} from '../base/faults.ts';
import { HEAD_BYTES_MAX, PAGE_BYTES_MAX } from '../base/limits.ts';
import { ChunkedDecoder } from '../http/h1/chunked-decoder.ts';
import { readResponseHead } from '../http/h1/head-reader.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_TUNNEL,
  type MessageHead,
} from '../http/message-head.ts';
import { copyMemory } from '../native/memory.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { TH_DURATION, TH_FIRST_BYTE } from '../plan/counters.ts';
import type { UpstreamPlan } from '../plan/plan.ts';
import type { Target } from '../upstream/target.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { UpstreamConnection, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { COMPOSE_AT, type ProxyContext, READ_AT } from './context.ts';

/** Most of an answer that is kept. Bytes. */
const ANSWER_BYTES_MAX = HEAD_BYTES_MAX + PAGE_BYTES_MAX;

/** What a route says of its authorisation server. */
export interface GateRules {
  readonly upstream: Upstream;
  /** Request target at that server. */
  readonly path: string;
  /** Names (lower case) of fields that its answer gives to the request, and to the response. */
  readonly toRequest: ReadonlySet<string>;
  readonly toResponse: ReadonlySet<string>;
}

/** Who waits at the gate. Exactly one of the first three is called, once, from the loop. */
export interface GateOwner {
  /** Field lines for the request and for the response, each with its line end. */
  onGatePassed(toRequest: string, toResponse: string): void;
  /** The answer lies in the scratch: its head in the context's `responseHead`, its body at [bodyStart, bodyEnd). */
  onGateAnswered(bodyStart: number, bodyEnd: number): void;
  onGateFault(fault: number): void;
  /** What a connection to that server begins with; null: nothing. */
  gateOpening(upstream: UpstreamPlan): Uint8Array | null;
}

export class Gate implements UpstreamOwner {
  readonly #context: ProxyContext;
  readonly #rules: GateRules;
  readonly #method: number;
  #owner: GateOwner | null;
  #target: Target | null = null;
  #connection: UpstreamConnection | null = null;
  /** The question as sent, and when. */
  #replay: Chunk | null = null;
  #sentMs = 0;
  /** The head of the answer has been seen. */
  #answered = false;

  constructor(context: ProxyContext, rules: GateRules, method: number, owner: GateOwner) {
    this.#context = context;
    this.#rules = rules;
    this.#method = method;
    this.#owner = owner;
  }

  /** Sends the request composed at [COMPOSE_AT, end) of the scratch. */
  ask(end: number): void {
    const target = this.#rules.upstream.next();
    if (target === null) {
      this.#fail(FAULT_NO_TARGET);
      return;
    }
    this.#target = target;
    this.#sentMs = this.#context.reactor.nowMs;
    target.began();
    this.#replay = keepBytes(this.#context.scratch, COMPOSE_AT, end);
    this.#send(target.takeIdle(this) ?? target.connect(this, this.#opening(target)));
  }

  #opening(target: Target): Uint8Array | null {
    return this.#owner === null ? null : this.#owner.gateOpening(target.upstream);
  }

  #send(connection: UpstreamConnection | null): void {
    const target = this.#target!;
    const replay = this.#replay!;
    this.#connection = connection;
    if (connection === null) {
      this.#fail(target.fault);
      return;
    }
    const n = connection.send(replay.memory, replay.start, replay.end);
    if (n < 0) this.onUpstreamFault(n);
    else if (connection.pending === null) this.#context.reactor.deadline(connection, target.upstream.responseHeadMs);
  }

  /** True when a kept connection had died before it could answer, and the question goes out on a new one. */
  #askAgain(): boolean {
    const connection = this.#connection;
    if (connection === null || connection.served === 0 || connection.stash !== null) return false;
    connection.close();
    this.#send(this.#target!.connect(this, this.#opening(this.#target!)));
    return true;
  }

  /** The request is gone: nobody is told anything any more. */
  cancel(): void {
    this.#owner = null;
    this.#letGo(false);
  }

  onUpstreamConnected(): void {
    this.#context.reactor.deadline(this.#connection!, this.#target!.upstream.responseHeadMs);
  }

  onUpstreamDrained(): void {
    this.#context.reactor.deadline(this.#connection!, this.#target!.upstream.responseHeadMs);
  }

  onUpstreamDeadline(): void {
    this.#fail(FAULT_RESPONSE_HEAD_TIMEOUT);
  }

  onUpstreamFault(fault: number): void {
    if (!this.#askAgain()) this.#fail(fault);
  }

  /** Reads until the answer is whole; what came so far waits with the connection. */
  onUpstreamReadable(): void {
    const connection = this.#connection!;
    const { scratch } = this.#context;
    while (connection.readable) {
      let have = 0;
      if (connection.stash !== null) {
        have = connection.stash.length;
        copyMemory(scratch, READ_AT, connection.stash.memory, connection.stash.start, connection.stash.end);
        dropChunk(connection.stash);
        connection.stash = null;
      }
      const n = connection.stream.read(scratch, READ_AT + have, ANSWER_BYTES_MAX + 1 - have);
      connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
      const end = READ_AT + have + Math.max(0, n);
      if (n < 0) {
        if (have === 0) {
          if (!this.#askAgain()) this.#fail(isServerTlsFault(n) ? n : FAULT_UPSTREAM_GONE);
        } else this.#read(end, n === FAULT_EOF);
        return;
      }
      if (end - READ_AT > ANSWER_BYTES_MAX) {
        this.#fail(FAULT_RESPONSE_TOO_LARGE);
        return;
      }
      if (n > 0 && this.#read(end, false)) return;
      // Over, or kept for what is still to come. What the reading left in the scratch may be decoded: keep it as it came.
      if (n === 0) {
        if (have > 0) connection.stash = keepBytes(scratch, READ_AT, end);
        return;
      }
    }
  }

  /** Scratch [READ_AT, end) is what came. True when that was the answer, or no answer at all; else it was kept. */
  #read(end: number, isEnd: boolean): boolean {
    const { bytes, scratch, responseHead } = this.#context;
    const connection = this.#connection!;
    let at = READ_AT;
    let used = 0;
    do {
      used = readResponseHead(bytes, at, end, LIMITS, this.#method, responseHead);
      if (used > 0) at += used;
    } while (used > 0 && responseHead.status < 200 && responseHead.framing !== FRAMING_TUNNEL);
    if (used === NEED_MORE) {
      if (isEnd) {
        this.#fail(FAULT_RESPONSE_TRUNCATED);
        return true;
      }
      connection.stash = keepBytes(scratch, READ_AT, end);
      return false;
    }
    if (used < 0 || responseHead.framing === FRAMING_TUNNEL) {
      this.#fail(used < 0 ? used : FAULT_RESPONSE_TRUNCATED);
      return true;
    }
    if (!this.#answered) this.#target!.took(TH_FIRST_BYTE, this.#context.reactor.nowMs - this.#sentMs);
    this.#answered = true;
    if (responseHead.status < 300) {
      this.#pass(responseHead, at, end);
      return true;
    }
    return this.#readBody(responseHead, at, end, isEnd);
  }

  #readBody(head: MessageHead, at: number, end: number, isEnd: boolean): boolean {
    const { scratch, bytes } = this.#context;
    const connection = this.#connection!;
    let bodyEnd = at;
    let whole = true;
    if (head.framing === FRAMING_LENGTH) {
      whole = end - at >= head.contentLength;
      bodyEnd = at + head.contentLength;
    } else if (head.framing === FRAMING_CLOSE) {
      whole = isEnd;
      bodyEnd = end;
    } else if (head.framing === FRAMING_CHUNKED) {
      // Decoding is in place: what must still be added to is kept first.
      const kept = keepBytes(scratch, READ_AT, end);
      const decoder = new ChunkedDecoder(false);
      const used = decoder.decode(bytes, at, end);
      bodyEnd = at + decoder.dataBytes;
      whole = used < 0 || decoder.done;
      if (whole) dropChunk(kept);
      else connection.stash = kept;
      if (used < 0) {
        this.#fail(used);
        return true;
      }
    }
    if (!whole) {
      if (isEnd) {
        this.#fail(FAULT_RESPONSE_TRUNCATED);
        return true;
      }
      connection.stash ??= keepBytes(scratch, READ_AT, end);
      return false;
    }
    const owner = this.#owner;
    this.#owner = null;
    this.#letGo(false);
    owner?.onGateAnswered(at, bodyEnd);
    return true;
  }

  #pass(head: MessageHead, at: number, end: number): void {
    const { bytes } = this.#context;
    const { toRequest, toResponse } = this.#rules;
    let forRequest = '';
    let forResponse = '';
    const { fields } = head;
    for (let i = 0, field = 0; i < head.fieldCount; i++, field += FIELD_STRIDE) {
      const name = bytes.latin1Slice(fields[field + FIELD_NAME_START]!, fields[field + FIELD_NAME_END]!);
      const lower = name.toLowerCase();
      const wanted = toRequest.has(lower);
      if (!wanted && !toResponse.has(lower)) continue;
      const line = `${name}: ${bytes.latin1Slice(fields[field + FIELD_VALUE_START]!, fields[field + FIELD_VALUE_END]!)}\r\n`;
      if (wanted) forRequest += line;
      if (toResponse.has(lower)) forResponse += line;
    }
    // A body that is here is over; one that is not would be read as the next answer.
    const rest = end - at;
    const whole = head.framing === FRAMING_LENGTH ? rest === head.contentLength : head.framing === 0 && rest === 0;
    const owner = this.#owner;
    this.#owner = null;
    this.#letGo(whole && head.keepAlive);
    owner?.onGatePassed(forRequest, forResponse);
  }

  #fail(fault: number): void {
    this.#target?.failed();
    const owner = this.#owner;
    this.#owner = null;
    this.#letGo(false);
    owner?.onGateFault(fault);
  }

  #letGo(reusable: boolean): void {
    const target = this.#target;
    const connection = this.#connection;
    this.#target = null;
    this.#connection = null;
    if (this.#replay !== null) dropChunk(this.#replay);
    this.#replay = null;
    if (target === null) return;
    target.took(TH_DURATION, this.#context.reactor.nowMs - this.#sentMs);
    target.ended();
    if (connection === null) return;
    if (reusable && connection.pending === null && connection.stash === null) target.release(connection);
    else if (this.#answered) connection.leave();
    else connection.close();
  }
}

const LIMITS = Object.freeze({ headBytesMax: HEAD_BYTES_MAX, fieldsMax: 128, targetBytesMax: HEAD_BYTES_MAX });
