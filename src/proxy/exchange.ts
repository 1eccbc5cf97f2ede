/**
 * One request and its response, from a head that was read to the last byte the kernel took. Pooled: a quiet connection owns none.
 *
 * Two directions run side by side, each with one rule of back-pressure: nothing is read from a side while the other has bytes pending.
 *
 *   request:   (head read) -> route -> admission -> target -> body -> done         request-flow.ts
 *   response:  AWAIT_HEAD -> (1xx ...) -> BODY -> DONE, or -> tunnel                response-flow.ts
 *
 * Owns the way from one step to the next, and how it ends; the steps are its parts', which know each other by what they share
 * (exchange-state.ts). It ends when the response is with the client; whether the connections live on is decided there.
 */
import { assert } from '../base/assert.ts';
import {
  FAULT_ACCESS_DENIED,
  FAULT_BODY_TOO_LARGE,
  FAULT_CLIENT_REQUESTS,
  FAULT_EOF,
  FAULT_MISDIRECTED,
  FAULT_NO_ROUTE,
  FAULT_NO_TARGET,
  FAULT_REQUEST_TRUNCATED,
  FAULT_RESET,
  FAULT_RESPONSE_BODY_TIMEOUT,
  FAULT_RESPONSE_HEAD_TIMEOUT,
  FAULT_UPSTREAM_GONE,
  faultOf,
  isServerTlsFault,
} from '../base/faults.ts';
import { FIELD_REFERER, FIELD_USER_AGENT } from '../http/field-names.ts';
import { FIELD_STRIDE, FRAMING_LENGTH, type MessageHead } from '../http/message-head.ts';
import { dropChunk } from '../net/chunk.ts';
import { C_FAULTS, C_REQUESTS, C_REQUESTS_OPEN } from '../plan/counters.ts';
import { BUSY, type UpstreamOwner } from '../upstream/upstream-connection.ts';
import { Admission, type AdmissionOwner } from './admission.ts';
import type { ClientConnection } from './client-connection.ts';
import { COMPOSE_AT } from './context.ts';
import { ExchangeDeadlines } from './exchange-deadlines.ts';
import { recordEnd } from './exchange-end.ts';
import { ExchangeHeads } from './exchange-heads.ts';
import { AWAIT_HEAD, ExchangeState } from './exchange-state.ts';
import { OwnAnswers } from './own-answers.ts';
import { RequestFlow, type RequestFlowOwner } from './request-flow.ts';
import { ResponseFlow, type ResponseFlowOwner } from './response-flow.ts';
import { Tunnel } from './tunnel.ts';
import { UpstreamLeg } from './upstream-leg.ts';

/** Exchanges kept for reuse. */
const SPARES_MAX = 256;

const spares: Exchange[] = [];

export class Exchange implements UpstreamOwner, AdmissionOwner, RequestFlowOwner, ResponseFlowOwner {
  /** An exchange for a request of `client`. It goes back by itself when it ends. */
  static take(client: ClientConnection): Exchange {
    const exchange = spares.pop() ?? new Exchange();
    exchange.#start(client);
    return exchange;
  }

  readonly #state = new ExchangeState();
  readonly #leg = new UpstreamLeg(this.#state, this);
  readonly #deadlines = new ExchangeDeadlines(this.#state, this.#leg);
  readonly #heads = new ExchangeHeads(this.#state);
  readonly #request = new RequestFlow(this.#state, this.#leg, this.#deadlines, this);
  readonly #response = new ResponseFlow(this.#state, this.#leg, this.#deadlines, this.#heads, this);
  readonly #admission = new Admission(this, this.#state.provenance);
  readonly #answers = new OwnAnswers(this.#state, this.#response, this.#admission);

  #start(client: ClientConnection): void {
    const { counters, reactor } = client.context;
    this.#state.reset(client);
    this.#deadlines.reset(reactor.nowMs);
    this.#response.reset();
    counters[C_REQUESTS]!++;
    counters[C_REQUESTS_OPEN]!++;
  }

  // --- from the head to the target --------------------------------------------------------------------------------------

  /** Serves the request whose head was just read; scratch [at, end) is what came behind it. */
  begin(head: MessageHead, at: number, end: number): void {
    const state = this.#state;
    const { provenance, record } = state;
    const client = state.client!;
    const { context, site } = client;
    const { bytes, clients, limits, tracing } = context;
    state.method = head.method;
    state.clientMinor = head.versionMinor;
    const mayStay = !context.draining && !site.retired && !client.retired;
    state.keepAlive = head.keepAlive && mayStay && (limits.requestsMax === null || client.requests < limits.requestsMax);
    state.wantsUpgrade = head.upgradeEnd > head.upgradeStart;
    this.#request.begin(head);
    if (record.isWanted) this.#keepForLog(head);

    provenance.hear(head);
    if (tracing !== null) state.span = provenance.trace(tracing, head, record.startMs);
    if (clients.isLimited) {
      const place = provenance.isRelayed ? clients.find(provenance.address, context.sharedMs()) : client.place;
      if (!clients.takeRequest(place, context.sharedMs())) {
        this.#answers.refuse(FAULT_CLIENT_REQUESTS, at, end);
        return;
      }
    }
    if (client.isMisdirected(bytes, head)) {
      this.#answers.refuse(FAULT_MISDIRECTED, at, end);
      return;
    }
    const found = site.routes.find(bytes, head.hostStart, head.hostEnd, head.pathStart, head.pathEnd);
    if (found < 0) {
      this.#answers.refuse(FAULT_NO_ROUTE, at, end);
      return;
    }
    const route = site.routeList[found]!;
    state.route = route;
    if (!this.#mayCome()) this.#answers.refuse(FAULT_ACCESS_DENIED, at, end);
    else if (route.isOpen) this.onAdmitted(head, at, end);
    else this.#admission.begin(client, route, head, at, end);
  }

  /** Refuses a request whose head could not be read. */
  refuse(fault: number): void {
    this.#answers.refuse(fault, 0, 0);
  }

  #keepForLog(head: MessageHead): void {
    const { client, record } = this.#state;
    const { bytes } = client!.context;
    const { methodStart, methodEnd, targetStart, targetEnd, pathStart, pathEnd } = head;
    record.keepRequestLine(bytes, methodStart, methodEnd, targetStart, targetEnd, pathStart, pathEnd, head.versionMinor);
    record.keepHost(bytes, head.authorityStart, head.authorityEnd);
    const { fields } = head;
    for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_STRIDE) {
      const id = fields[at]!;
      if (id === FIELD_USER_AGENT) record.keepUserAgent(bytes, fields[at + 3]!, fields[at + 4]!);
      else if (id === FIELD_REFERER) record.keepReferer(bytes, fields[at + 3]!, fields[at + 4]!);
    }
  }

  /** Whether the client is in no list that keeps it out. Who connected was judged at accept; a proxy's client, and a route's own list, here. */
  #mayCome(): boolean {
    const { client, provenance, route } = this.#state;
    const { address } = provenance;
    const { access } = client!.site;
    if (provenance.isRelayed && access !== null && !access.allows(address)) return false;
    return route!.access === null || route!.access.allows(address);
  }

  /** Nothing stands in its way any more. */
  onAdmitted(head: MessageHead, at: number, end: number): void {
    const { forward } = this.#state.route!;
    if (forward === null) {
      this.#answers.byRoute(head, at, end);
      return;
    }
    if (head.framing === FRAMING_LENGTH && head.contentLength > forward.requestBodyMax) {
      this.#answers.refuse(FAULT_BODY_TOO_LARGE, at, end);
      return;
    }
    const target = forward.upstream.next();
    if (target === null) {
      this.#answers.refuse(FAULT_NO_TARGET, at, end);
      return;
    }
    const composed = this.#heads.writeRequest(head, forward, target, this.#admission.toRequest);
    if (composed < 0) {
      this.#answers.refuse(composed, at, end);
      return;
    }
    this.#response.addToHead(this.#admission.toResponse);
    if (this.#leg.begin(target)) this.#request.start(composed, at, end);
    else this.#upstreamFailed(target.fault);
  }

  onNamed(user: Buffer, end: number): void {
    this.#state.record.keepUser(user, 0, end);
  }

  onRefused(fault: number, at: number, end: number): void {
    // A name that nobody has proved is not logged: people type their password there.
    this.#state.record.userEnd = -1;
    this.#answers.refuse(fault, at, end);
  }

  onAnswered(bodyStart: number, bodyEnd: number): void {
    const fault = this.#answers.byGate(bodyStart, bodyEnd);
    if (fault < 0) this.#answerInstead(fault);
  }

  onHeldClientEnded(fault: number): void {
    this.onRequestEnded(fault);
  }

  // --- the client's side ----------------------------------------------------------------------------------------------

  /** Work that was put off: a request that is held, or a body to go on with. */
  onReady(): void {
    if (this.#admission.holds) this.#admission.onReady();
    else this.#request.pump();
  }

  /** The client has sent more. */
  pumpRequest(): void {
    if (!this.#admission.holds) this.#request.pump();
    else if (this.#state.client!.readable) this.#admission.onReadable();
  }

  /** Of what is pending the client has taken `bytes`. */
  onClientTook(bytes: number): void {
    this.#response.onClientTook(bytes);
  }

  /** What was pending for the client is with the kernel. */
  onClientDrained(): void {
    this.#response.onClientDrained();
  }

  onClientDeadline(): void {
    if (this.#admission.holds) {
      const fault = this.#admission.onDeadline();
      if (fault !== 0) this.#answerInstead(fault);
      return;
    }
    const fault = this.#deadlines.onClientDeadline();
    if (fault === 0) return;
    if (this.#state.client!.pending === null && !this.#state.headSent) {
      this.#answerInstead(fault);
      return;
    }
    this.#state.blame(fault);
    this.#abandon();
  }

  onRequestFault(fault: number): void {
    this.#answerInstead(fault);
  }

  /** The client has ended before its request was whole. */
  onRequestEnded(fault: number): void {
    const { client, headSent } = this.#state;
    if (fault === FAULT_EOF && !headSent) {
      this.#answerInstead(FAULT_REQUEST_TRUNCATED);
      return;
    }
    client!.context.counters[C_FAULTS - FAULT_REQUEST_TRUNCATED]!++;
    client!.countEnd(fault);
    this.onClientGone();
  }

  /** The client is gone: nobody waits for the rest. */
  onClientGone(): void {
    const { record } = this.#state;
    if (record.status === 0) record.status = CLIENT_CLOSED;
    this.#state.blame(FAULT_RESET);
    this.#abandon();
  }

  // --- the target's side ----------------------------------------------------------------------------------------------

  onUpstreamConnected(): void {
    const { client, span } = this.#state;
    const { reactor } = client!.context;
    const connection = this.#leg.connection!;
    span?.connected(reactor.nowMs);
    reactor.noDeadline(connection);
    if (connection.pending === null) this.#deadlines.set();
  }

  onUpstreamDrained(): void {
    this.#deadlines.set();
    if (!this.#state.requestDone) this.pumpRequest();
  }

  onUpstreamReadable(): void {
    this.#response.pump();
  }

  onUpstreamDeadline(): void {
    this.#upstreamFailed(this.#state.stage === AWAIT_HEAD ? FAULT_RESPONSE_HEAD_TIMEOUT : FAULT_RESPONSE_BODY_TIMEOUT);
  }

  onUpstreamFault(fault: number): void {
    // The server may have answered and closed without reading the whole request: its answer is worth more than the error.
    const connection = this.#leg.connection!;
    if (fault === FAULT_RESET && connection.readable && connection.state === BUSY && !this.#state.requestDone) {
      if (connection.pending !== null) dropChunk(connection.pending);
      connection.pending = null;
      this.#state.requestDone = true;
      this.#state.keepAlive = false;
      this.#response.pump();
      return;
    }
    this.#upstreamFailed(fault === FAULT_RESET ? FAULT_UPSTREAM_GONE : fault);
  }

  /** It has ended without an answer: it was dead already, or it died of this request. */
  onTargetEnded(fault: number): void {
    if (!this.#leg.mayRepeat) {
      this.#upstreamFailed(isServerTlsFault(fault) ? fault : FAULT_UPSTREAM_GONE);
      return;
    }
    const end = this.#leg.repeat();
    if (end < 0) this.#upstreamFailed(end);
    else this.#request.send(COMPOSE_AT, end);
  }

  onResponseFault(fault: number): void {
    this.#upstreamFailed(fault);
  }

  onResponseBroken(): void {
    this.#abandon();
  }

  onSwitched(): void {
    const client = this.#state.client!;
    const tunnel = new Tunnel(client, this.#leg.connection!, this.#leg.target!, null);
    this.#leg.forget();
    this.#finish();
    tunnel.begin();
    // Not now: this handler may still use the scratch.
    client.context.reactor.later(client);
  }

  // --- the end --------------------------------------------------------------------------------------------------------

  #upstreamFailed(fault: number): void {
    this.#leg.target?.failed();
    this.#answerInstead(fault);
  }

  /** Ends the target's part and answers by ourselves, if that can still be done. */
  #answerInstead(fault: number): void {
    const state = this.#state;
    this.#leg.letGo(false);
    this.#response.stopCompressing();
    if (state.headSent || state.client!.pending !== null) {
      state.blame(fault);
      this.#abandon();
      return;
    }
    if (faultOf(fault).culprit === 'client') state.keepAlive = false;
    this.#answers.refuse(fault, 0, 0);
  }

  onResponseTaken(): void {
    const { client, keepAlive, record, requestDone } = this.#state;
    this.#finish();
    client!.onExchangeEnd(keepAlive, !requestDone || record.reason !== '');
  }

  /** Ends with neither side whole: the client must see that the response is not. */
  #abandon(): void {
    const client = this.#state.client!;
    this.#leg.letGo(false);
    this.#finish();
    client.destroy();
  }

  /** Writes down what it was, and goes back to the pool. */
  #finish(): void {
    assert(this.#leg.connection === null && this.#leg.target === null, 'the target is let go of first');
    recordEnd(this.#state);
    this.#leg.dropReplay();
    this.#admission.stop();
    this.#response.stopCompressing();
    this.#state.span = null;
    this.#state.client = null;
    if (spares.length < SPARES_MAX) spares.push(this);
  }
}

/** Status in the log for a request whose client went away first: nginx's number. */
const CLIENT_CLOSED = 499;
