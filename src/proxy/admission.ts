/**
 * What must be settled between a request's head and its way on: who the client is (a password), whether an authorisation server lets it pass,
 * whether its body is whole. Each step passes at once, or holds the request's bytes and goes on later. Owns those bytes and the asking; what
 * becomes of the request is its exchange's affair. One per exchange, used for each request that has such a step.
 */
import { FAULT_REQUEST_BODY_SLOW, FAULT_REQUEST_BODY_TIMEOUT, FAULT_UNAUTHORIZED, FAULT_VERIFIER_BUSY } from '../base/faults.ts';
import { READ_BYTES } from '../base/limits.ts';
import type { Asking, PasswordTable } from '../guard/passwords.ts';
import { TransferWindow } from '../guard/transfer-window.ts';
import { BASIC_READ, readBasicCredentials } from '../http/basic-auth.ts';
import { CR, LF } from '../http/characters.ts';
import { FIELD_AUTHORIZATION, FIELD_EXPECT, FIELD_IF_MATCH, FIELD_IF_RANGE, FIELD_RANGE } from '../http/field-names.ts';
import { ChunkedDecoder } from '../http/h1/chunked-decoder.ts';
import { readRequestHead } from '../http/h1/head-reader.ts';
import { writeRequestHead } from '../http/h1/head-writer.ts';
import {
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  findField,
  METHOD_GET,
  METHOD_HEAD,
  type MessageHead,
} from '../http/message-head.ts';
import { SERVER_SPAN } from '../http/trace-context.ts';
import { copyMemory } from '../native/memory.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import { C_BYTES_IN } from '../plan/counters.ts';
import type { UpstreamPlan } from '../plan/plan.ts';
import type { ClientConnection } from './client-connection.ts';
import { COMPOSE_AT, COMPOSE_END, READ_AT } from './context.ts';
import { Gate, type GateOwner, type GateRules } from './gate.ts';
import type { Provenance } from './provenance.ts';
import type { ForwardAction, Route } from './route.ts';

const PASSWORD = 0;
const GATE = 1;
const BODY = 2;
const SETTLED = 3;

/** Who wants to send a request on. Exactly one of the first three is called for each `begin`, unless `stop` comes first. */
export interface AdmissionOwner {
  /** It may go on: the head is in the context's `requestHead`, scratch [at, end) is what came behind it. */
  onAdmitted(head: MessageHead, at: number, end: number): void;
  /** Whom the client says it is, in `user[0, end)`; refused behind this call when that is not true. */
  onNamed(user: Buffer, end: number): void;
  /** It may not; scratch [at, end) is what came behind its head, if that lies there. */
  onRefused(fault: number, at: number, end: number): void;
  /** The authorisation server answers it: head in the context's `responseHead`, body at scratch [start, end). */
  onAnswered(start: number, end: number): void;
  /** The client ended while its body was waited for. */
  onHeldClientEnded(fault: number): void;
}

export class Admission implements GateOwner {
  /** Field lines that the authorisation server gives to the request and to its response. */
  toRequest = '';
  toResponse = '';

  readonly #owner: AdmissionOwner;
  readonly #provenance: Provenance;
  readonly #window = new TransferWindow();
  readonly #decoder = new ChunkedDecoder();
  #client: ClientConnection | null = null;
  #route: Route | null = null;
  #step = PASSWORD;
  /** The request's bytes while it is held, and how many of them are its head. */
  #held: Chunk | null = null;
  #headBytes = 0;
  /** Bytes of a chunked body when it was last tried whether it is whole. */
  #tried = 0;
  #asking: Asking | null = null;
  #gate: Gate | null = null;
  /** It goes on in the next turn; or (a fault) is refused then. */
  #resumes = false;
  #refusal = 0;

  constructor(owner: AdmissionOwner, provenance: Provenance) {
    this.#owner = owner;
    this.#provenance = provenance;
  }

  /** Whether a request is held. */
  get holds(): boolean {
    return this.#held !== null;
  }

  /** Begins with a request whose head is in `head`; scratch [at, end) is what came behind it. */
  begin(client: ClientConnection, route: Route, head: MessageHead, at: number, end: number): void {
    this.#client = client;
    this.#route = route;
    this.#step = PASSWORD;
    this.#refusal = 0;
    this.#tried = 0;
    this.#window.reset(client.context.reactor.nowMs);
    this.#go(head, at, end);
  }

  /** The request is over, or nobody waits for it any more. What was given for it must not reach the next one. */
  stop(): void {
    this.toRequest = '';
    this.toResponse = '';
    if (this.#asking !== null) this.#client!.context.passwords.cancel(this.#asking);
    this.#asking = null;
    this.#gate?.cancel();
    this.#gate = null;
    if (this.#held !== null) dropChunk(this.#held);
    this.#held = null;
    this.#resumes = false;
  }

  /** Takes out what came behind the head of a request that was held and is answered without being sent on; null: nothing, or not held. */
  takeRest(): Chunk | null {
    const held = this.#held;
    if (held === null) return null;
    this.#held = null;
    held.start += this.#headBytes;
    if (held.length > 0) return held;
    dropChunk(held);
    return null;
  }

  /** The client has sent more while it is held. */
  onReadable(): void {
    if (this.#step === BODY && this.#gate === null && this.#asking === null) this.#holdMore();
  }

  /** Work put off to this turn. */
  onReady(): void {
    if (!this.#resumes) {
      if (this.#client!.readable) this.onReadable();
      return;
    }
    this.#resumes = false;
    this.#resume();
  }

  /** The client's deadline while its body is waited for. The fault it is ended with, or 0: it has more time. */
  onDeadline(): number {
    const { reactor, timeouts, limits } = this.#client!.context;
    if (this.#window.isSlow(reactor.nowMs, limits.minimumRate, limits.minimumRateAfterMs)) return FAULT_REQUEST_BODY_SLOW;
    if (this.#window.isSilent(reactor.nowMs, timeouts.bodyMs)) return FAULT_REQUEST_BODY_TIMEOUT;
    this.#setDeadline();
    return 0;
  }

  #go(head: MessageHead, at: number, end: number): void {
    const route = this.#route!;
    if (this.#step === PASSWORD) {
      if (route.passwords !== null && !this.#askPassword(route.passwords, head, at, end)) return;
      this.#step = GATE;
    }
    if (this.#step === GATE) {
      this.#step = BODY;
      if (route.gate !== null) {
        this.#askGate(route.gate, head, end);
        return;
      }
    }
    if (this.#step === BODY && route.forward !== null && !this.#hasBody(route.forward, head, at, end)) return;
    this.#step = SETTLED;
    this.#owner.onAdmitted(head, at, end);
  }

  // --- passwords, RFC 7617 --------------------------------------------------------------------------------------------

  /** True when the client has said who it is. Else the request is refused, or held. */
  #askPassword(table: PasswordTable, head: MessageHead, at: number, end: number): boolean {
    const { bytes, credentials, passwords } = this.#client!.context;
    const field = findField(head, FIELD_AUTHORIZATION) * FIELD_STRIDE;
    const { fields } = head;
    if (
      field < 0 ||
      readBasicCredentials(bytes, fields[field + FIELD_VALUE_START]!, fields[field + FIELD_VALUE_END]!, credentials) !== BASIC_READ
    ) {
      this.#owner.onRefused(FAULT_UNAUTHORIZED, at, end);
      return false;
    }
    this.#owner.onNamed(credentials.bytes, credentials.userEnd);
    let answered = false;
    let verdict: boolean | null = null;
    this.#asking = passwords.verify(table, credentials, (ok) => {
      answered = true;
      verdict = ok;
      if (this.#held !== null) this.#onVerified(ok);
    });
    credentials.clear();
    if (!answered) {
      this.#hold(head, end);
      return false;
    }
    if (verdict === true) return true;
    this.#owner.onRefused(refusalOf(verdict), at, end);
    return false;
  }

  /** Called from the loop, outside the reactor's turns: the rest is for the next one. */
  #onVerified(ok: boolean | null): void {
    this.#asking = null;
    this.#refusal = ok === true ? 0 : refusalOf(ok);
    this.#step = GATE;
    this.#resumes = true;
    this.#client!.context.reactor.later(this.#client!);
  }

  // --- an authorisation server ----------------------------------------------------------------------------------------

  #askGate(rules: GateRules, head: MessageHead, end: number): void {
    const { context } = this.#client!;
    const { bytes, forwarding } = context;
    const isHead = head.method === METHOD_HEAD;
    const method = bytes.latin1Slice(head.methodStart, head.methodEnd);
    const uri = bytes.latin1Slice(head.pathStart, head.pathEnd);
    this.#hold(head, end);
    for (let i = 0; i < head.fieldCount; i++) if (isConditional(head.fields[i * FIELD_STRIDE]!)) head.dropped[i] = 1;
    this.#provenance.tell(head);
    // The question has no span of its own: what that server does is part of what we do.
    if (this.#provenance.isTraced) forwarding.traceSpan = SERVER_SPAN;
    forwarding.host = '';
    forwarding.edits = null;
    forwarding.instead = `${isHead ? 'HEAD' : 'GET'} ${rules.path}`;
    forwarding.extra = `X-Forwarded-Method: ${method}\r\nX-Forwarded-Uri: ${head.pathNeedsSlash ? '/' : ''}${uri}\r\n`;
    const composed = writeRequestHead(bytes, COMPOSE_AT, COMPOSE_END, head, forwarding);
    if (composed < 0) {
      this.#owner.onRefused(composed, 0, 0);
      return;
    }
    this.#gate = new Gate(context, rules, isHead ? METHOD_HEAD : METHOD_GET, this);
    this.#gate.ask(composed);
  }

  gateOpening(upstream: UpstreamPlan): Uint8Array | null {
    return this.#provenance.opening(upstream);
  }

  onGatePassed(toRequest: string, toResponse: string): void {
    this.#gate = null;
    this.toRequest = toRequest;
    this.toResponse = toResponse;
    this.#resume();
  }

  onGateFault(fault: number): void {
    this.#gate = null;
    this.#owner.onRefused(fault, 0, 0);
  }

  onGateAnswered(bodyStart: number, bodyEnd: number): void {
    this.#gate = null;
    this.#owner.onAnswered(bodyStart, bodyEnd);
  }

  // --- the body -------------------------------------------------------------------------------------------------------

  /**
   * True when the body need not be waited for, or is here. A body of known length is held as it is; a chunked one too, until its last chunk
   * has come or there is no more room.
   */
  #hasBody({ requestBuffer, requestBodyMax }: ForwardAction, head: MessageHead, at: number, end: number): boolean {
    // Who waits for "100 Continue" gets it from the server, which must see the head for that.
    if (requestBuffer === 0 || head.expectContinue) return true;
    const here = end - at;
    if (head.framing === FRAMING_LENGTH) {
      if (head.contentLength > Math.min(requestBuffer, requestBodyMax) || here >= head.contentLength) return true;
      this.#hold(head, end);
    } else if (head.framing === FRAMING_CHUNKED) {
      if (here >= requestBuffer) return true;
      this.#hold(head, end);
      if (this.#mayBeDone(at, end)) {
        this.#step = SETTLED;
        this.#resume();
        return false;
      }
    } else return true;
    const client = this.#client!;
    this.#window.wait(client.context.reactor.nowMs);
    this.#setDeadline();
    if (client.readable) client.context.reactor.later(client);
    return false;
  }

  /**
   * Whether the chunked body at scratch [at, end) is over, or is none. Decoding it each time would cost the square of its length: it is tried
   * when it ends as a body ends, and (somebody may have sent more behind it) when it has doubled. The scratch's bytes are used up by it.
   */
  #mayBeDone(at: number, end: number): boolean {
    const { bytes } = this.#client!.context;
    const here = end - at;
    const ends = here >= 4 && bytes[end - 1] === LF && bytes[end - 2] === CR && bytes[end - 3] === LF && bytes[end - 4] === CR;
    if (!ends && here < 2 * this.#tried) return false;
    this.#tried = here;
    this.#decoder.reset();
    return this.#decoder.decode(bytes, at, end) < 0 || this.#decoder.done;
  }

  #setDeadline(): void {
    const client = this.#client!;
    const { reactor, timeouts, limits } = client.context;
    reactor.deadline(client, this.#window.leftMs(reactor.nowMs, timeouts.bodyMs, limits.minimumRateAfterMs));
  }

  #holdMore(): void {
    const client = this.#client!;
    const { context } = client;
    const held = this.#held!;
    copyMemory(context.scratch, READ_AT, held.memory, held.start, held.end);
    let end = READ_AT + held.length;
    const before = end;
    // All that is there at once: what is held is copied for each look.
    while (client.readable && end < READ_AT + READ_BYTES) {
      const n = client.stream.read(context.scratch, end, READ_AT + READ_BYTES - end);
      client.readable = n > 0 && (client.hungUp || client.stream.mayHaveMore());
      if (n < 0) {
        if (end === before) {
          this.#owner.onHeldClientEnded(n);
          return;
        }
        // What came in front of the end may be all there was to come. If not, the end is met again.
        client.readable = true;
        break;
      }
      end += n;
    }
    if (end === before) return;
    this.#window.moved(end - before, context.reactor.nowMs);
    context.counters[C_BYTES_IN]! += end - before;
    dropChunk(held);
    this.#held = keepBytes(context.scratch, READ_AT, end);
    this.#resume();
  }

  // --- holding --------------------------------------------------------------------------------------------------------

  /** Keeps the request, its head in `head` and what came behind it up to `end`. */
  #hold(head: MessageHead, end: number): void {
    this.#headBytes = head.headEnd - head.lineStart;
    this.#held = keepBytes(this.#client!.context.scratch, head.lineStart, end);
  }

  /** Goes on with the request that is held. */
  #resume(): void {
    const client = this.#client!;
    const { context } = client;
    const held = this.#held!;
    const end = READ_AT + held.length;
    copyMemory(context.scratch, READ_AT, held.memory, held.start, held.end);
    dropChunk(held);
    this.#held = null;
    context.reactor.noDeadline(client);
    const head = context.requestHead;
    const used = readRequestHead(context.bytes, READ_AT, end, context.limits, head);
    // Limits may have been changed by a reload meanwhile.
    if (used < 0) this.#owner.onRefused(used, 0, 0);
    else if (this.#refusal !== 0) this.#owner.onRefused(this.#refusal, READ_AT + used, end);
    else {
      this.#provenance.keepRelayedFields(head);
      this.#go(head, READ_AT + used, end);
    }
  }
}

function refusalOf(verdict: boolean | null): number {
  return verdict === false ? FAULT_UNAUTHORIZED : FAULT_VERIFIER_BUSY;
}

/** Fields that would make an authorisation server answer for something else than whether the client may come in. */
function isConditional(id: number): boolean {
  return (id >= FIELD_IF_MATCH && id <= FIELD_IF_RANGE) || id === FIELD_RANGE || id === FIELD_EXPECT;
}
