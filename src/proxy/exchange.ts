/**
 * One request and its response, from a head that was read to the last byte the kernel took. Pooled: a quiet connection owns none.
 *
 * Two directions run side by side, each with one rule of back-pressure: nothing is read from a side while the other has bytes pending.
 *
 *   request:   (head read) -> route -> target -> body -> done
 *   response:  AWAIT_HEAD -> (1xx ...) -> BODY -> DONE, or -> tunnel
 *
 * The exchange ends when the response is with the client; whether the connections live on is decided there.
 */
import { assert } from '../base/assert.ts';
import {
  FAULT_ACCESS_DENIED,
  FAULT_BODY_TOO_LARGE,
  FAULT_CLIENT_REQUESTS,
  FAULT_CLIENT_SLOW,
  FAULT_EOF,
  FAULT_HEAD_TOO_LARGE,
  FAULT_MISDIRECTED,
  FAULT_NO_ROUTE,
  FAULT_NO_TARGET,
  FAULT_REQUEST_BODY_SLOW,
  FAULT_REQUEST_BODY_TIMEOUT,
  FAULT_REQUEST_TRUNCATED,
  FAULT_RESET,
  FAULT_RESPONSE_BODY_TIMEOUT,
  FAULT_RESPONSE_HEAD_TIMEOUT,
  FAULT_RESPONSE_SWITCH,
  FAULT_RESPONSE_TOO_LARGE,
  FAULT_RESPONSE_TRUNCATED,
  FAULT_UPSTREAM_GONE,
  faultOf,
  isServerTlsFault,
  NEED_MORE,
} from '../base/faults.ts';
import { HEAD_BYTES_MAX, HOST_BYTES_MAX, READ_BYTES, TURN_BYTES_MAX } from '../base/limits.ts';
import { TransferWindow } from '../guard/transfer-window.ts';
import { CR } from '../http/characters.ts';
import {
  CODING_NAMES,
  COMPRESS,
  COMPRESS_NOT_ASKED,
  COMPRESS_SECRET,
  type CompressionPolicy,
  carriesSecret,
  chooseCoding,
  compressionVerdict,
  strongEtag,
  variesByEncoding,
} from '../http/compression-rules.ts';
import { FieldEdits } from '../http/field-edits.ts';
import { FIELD_DATE, FIELD_REFERER, FIELD_USER_AGENT } from '../http/field-names.ts';
import { chunkHead, chunkTail, lastChunk } from '../http/h1/chunk-writer.ts';
import { ChunkedDecoder } from '../http/h1/chunked-decoder.ts';
import { readResponseHead } from '../http/h1/head-reader.ts';
import { writeRequestHead, writeResponseHead } from '../http/h1/head-writer.ts';
import { ANSWER_FIELDS_MAX, type AnswerForm, writeAnswer, writeAnswerEnd } from '../http/local-answers.ts';
import type { Mending } from '../http/mending.ts';
import {
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_TUNNEL,
  findField,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PUT,
  METHOD_TRACE,
  type MessageHead,
} from '../http/message-head.ts';
import { writeTemplate } from '../http/template.ts';
import { writeBytes } from '../http/write-bytes.ts';
import { copyMemory } from '../native/memory.ts';
import { type Chunk, dropChunk, keepBytes } from '../net/chunk.ts';
import {
  C_BYTES_IN,
  C_FAULTS,
  C_LIMIT_TURN_BYTES,
  C_REFUSED_BY_SERVER,
  C_REQUESTS,
  C_REQUESTS_OPEN,
  C_RESPONSES_1XX,
  C_TUNNELS,
  C_UPSTREAM_RETRIES,
  H_DURATION,
  observe,
  R_1XX,
  R_SECONDS,
  R_UNANSWERED,
  ROUTE_PLACES,
  T_BYTES_IN,
  T_BYTES_OUT,
  TH_DURATION,
  TH_FIRST_BYTE,
} from '../plan/counters.ts';
import { ROUTE_NONE } from '../plan/table.ts';
import { AccessRecord } from '../record/access-record.ts';
import type { Target } from '../upstream/target.ts';
import { BUSY, type UpstreamConnection, type UpstreamOwner } from '../upstream/upstream-connection.ts';
import { Admission, type AdmissionOwner } from './admission.ts';
import type { ClientConnection } from './client-connection.ts';
import { Compressor, type CompressorOwner } from './compressor.ts';
import { COMPOSE_AT, COMPOSE_END, READ_AT } from './context.ts';
import { Provenance } from './provenance.ts';
import type { RequestSpan } from './request-span.ts';
import type { ForwardAction, Route } from './route.ts';
import { Tunnel } from './tunnel.ts';

const AWAIT_HEAD = 0;
const BODY = 1;
const DONE = 2;

/** Exchanges kept for reuse. */
const SPARES_MAX = 256;
/** Tries of one request on kept-alive connections that turn out dead, before a new connection is made. */
const REUSED_TRIES_MAX = 2;

const spares: Exchange[] = [];

export class Exchange implements UpstreamOwner, AdmissionOwner, CompressorOwner {
  /** An exchange for a request of `client`. It goes back by itself when it ends. */
  static take(client: ClientConnection): Exchange {
    const exchange = spares.pop() ?? new Exchange();
    exchange.#start(client);
    return exchange;
  }

  #client: ClientConnection | null = null;
  #connection: UpstreamConnection | null = null;
  #target: Target | null = null;
  readonly #record = new AccessRecord();

  // Request.
  #method = METHOD_GET;
  #clientMinor: 0 | 1 = 1;
  #requestFraming = FRAMING_NONE;
  #requestLeft = 0;
  #requestDone = false;
  readonly #requestDecoder = new ChunkedDecoder();
  /** The client lets the connection live on. */
  #keepAlive = false;
  #wantsUpgrade = false;
  /** The head as sent, while the request may be sent again: a kept-alive connection can die before it answers. */
  #replay: Chunk | null = null;
  #tries = 0;

  #route: Route | null = null;
  /** Null: the request is not traced. */
  #span: RequestSpan | null = null;
  readonly #provenance = new Provenance();
  readonly #admission = new Admission(this, this.#provenance);
  /** Bytes a chunked body may still have; of a response: one whose length was not told. */
  #requestRoom = Number.POSITIVE_INFINITY;
  #responseRoom = Number.POSITIVE_INFINITY;
  /** Host and port the client asked for, kept while its answer may be mended. */
  readonly #authority = new Uint8Array(HOST_BYTES_MAX + 8);
  #authorityBytes = 0;

  /** How fast the client sends its body, and takes its answer. */
  readonly #bodyWindow = new TransferWindow();
  readonly #takeWindow = new TransferWindow();

  // Compression.
  #compressor: Compressor | null = null;
  /** What the request takes, and whether it came with a secret. */
  #coding = 0;
  #secret = false;

  // Response.
  #stage = AWAIT_HEAD;
  #responseFraming = FRAMING_NONE;
  #clientFraming = FRAMING_NONE;
  #responseLeft = 0;
  #upstreamKeepAlive = false;
  #headSent = false;
  /** An interim response filled the client's socket: what the target sent behind it waits in its stash. */
  #resumeHead = false;
  readonly #responseDecoder = new ChunkedDecoder(false);
  #sentMs = 0;
  /** Where unused bytes of the scratch end, behind the body that was just read. */
  #bodyEnd = 0;

  #start(client: ClientConnection): void {
    const { counters, logs, reactor, requestIds } = client.context;
    this.#client = client;
    this.#connection = null;
    this.#target = null;
    this.#record.reset(reactor.nowMs, logs.access !== null || client.context.debug !== null);
    requestIds.next(this.#record.requestId);
    this.#method = METHOD_GET;
    this.#clientMinor = 1;
    this.#requestFraming = FRAMING_NONE;
    this.#requestLeft = 0;
    this.#requestDone = true;
    this.#keepAlive = false;
    this.#wantsUpgrade = false;
    this.#tries = 0;
    this.#route = null;
    this.#span = null;
    this.#provenance.reset(client, this.#record.requestId);
    this.#bodyWindow.reset(reactor.nowMs);
    this.#takeWindow.reset(reactor.nowMs);
    this.#stage = AWAIT_HEAD;
    this.#responseFraming = FRAMING_NONE;
    this.#headSent = false;
    this.#resumeHead = false;
    this.#sentMs = 0;
    counters[C_REQUESTS]!++;
    counters[C_REQUESTS_OPEN]!++;
  }

  // --- the request ----------------------------------------------------------------------------------------------------

  /** Serves the request whose head was just read; scratch [at, end) is what came behind it. */
  begin(head: MessageHead, at: number, end: number): void {
    const client = this.#client!;
    const { context, site } = client;
    const { bytes } = context;
    this.#method = head.method;
    this.#clientMinor = head.versionMinor;
    const { requestsMax } = context.limits;
    this.#keepAlive =
      head.keepAlive && !context.draining && !site.retired && !client.retired && (requestsMax === null || client.requests < requestsMax);
    this.#requestFraming = head.framing;
    this.#requestLeft = head.framing === FRAMING_LENGTH ? head.contentLength : 0;
    this.#requestDone = head.framing === FRAMING_NONE || (head.framing === FRAMING_LENGTH && head.contentLength === 0);
    this.#wantsUpgrade = head.upgradeEnd > head.upgradeStart;
    if (head.framing === FRAMING_CHUNKED) this.#requestDecoder.reset();
    if (this.#record.isWanted) this.#keepForLog(head);

    this.#provenance.hear(head);
    if (context.tracing !== null) this.#span = this.#provenance.trace(context.tracing, head, this.#record.startMs);
    const { clients } = context;
    if (clients.isLimited) {
      const place = this.#provenance.isRelayed ? clients.find(this.#provenance.address, context.sharedMs()) : client.place;
      if (!clients.takeRequest(place, context.sharedMs())) {
        this.#answer(FAULT_CLIENT_REQUESTS, at, end);
        return;
      }
    }
    if (client.isMisdirected(bytes, head)) {
      this.#answer(FAULT_MISDIRECTED, at, end);
      return;
    }
    const found = site.routes.find(bytes, head.hostStart, head.hostEnd, head.pathStart, head.pathEnd);
    if (found < 0) {
      this.#answer(FAULT_NO_ROUTE, at, end);
      return;
    }
    const route = site.routeList[found]!;
    this.#route = route;
    if (!this.#mayCome()) this.#answer(FAULT_ACCESS_DENIED, at, end);
    else if (route.isOpen) this.onAdmitted(head, at, end);
    else this.#admission.begin(client, route, head, at, end);
  }

  /** Nothing stands in its way any more. */
  onAdmitted(head: MessageHead, at: number, end: number): void {
    const { forward } = this.#route!;
    if (forward === null) {
      this.#answerByRoute(head, at, end);
      return;
    }
    if (head.framing === FRAMING_LENGTH && head.contentLength > forward.requestBodyMax) {
      this.#answer(FAULT_BODY_TOO_LARGE, at, end);
      return;
    }
    const target = forward.upstream.next();
    if (target === null) {
      this.#answer(FAULT_NO_TARGET, at, end);
      return;
    }
    this.#requestRoom = forward.requestBodyMax;
    const composed = this.#composeRequest(head, forward, target);
    if (composed < 0) {
      this.#answer(composed, at, end);
      return;
    }
    this.#toTarget(target, composed, at, end);
  }

  onNamed(user: Buffer, end: number): void {
    this.#record.keepUser(user, 0, end);
  }

  onRefused(fault: number, at: number, end: number): void {
    // A name that nobody has proved is not logged: people type their password there.
    this.#record.userEnd = -1;
    this.#answer(fault, at, end);
  }

  /** What the authorisation server says goes to the client as it is. */
  onAnswered(bodyStart: number, bodyEnd: number): void {
    const { bytes, counters, reply, responseHead } = this.#client!.context;
    counters[C_REFUSED_BY_SERVER]!++;
    this.#keepRest();
    this.#answerForm();
    reply.framing = responseHead.framing === FRAMING_NONE ? FRAMING_NONE : FRAMING_LENGTH;
    reply.contentLength = bodyEnd - bodyStart;
    reply.close = !this.#keepAlive;
    reply.clientMinor = this.#clientMinor;
    reply.isSwitch = false;
    reply.mending = null;
    reply.edits = null;
    reply.extra = '';
    reply.date = null;
    const composed = writeResponseHead(bytes, COMPOSE_AT, COMPOSE_END, responseHead, reply);
    if (composed < 0) {
      this.#answerInstead(composed);
      return;
    }
    const start = bodyStart - (composed - COMPOSE_AT);
    bytes.copyWithin(start, COMPOSE_AT, composed);
    this.#record.status = responseHead.status;
    this.#record.headBytes += bodyStart - start;
    this.#sendOwn(start, bodyEnd);
  }

  onHeldClientEnded(fault: number): void {
    this.#clientEnded(fault);
  }

  /** What came behind a request that was held, and goes nowhere, belongs to the next one, if there is one. */
  #keepRest(): void {
    const rest = this.#admission.takeRest();
    if (rest === null) return;
    if (this.#requestDone && this.#keepAlive) this.#client!.stash = rest;
    else dropChunk(rest);
  }

  /** Work that was put off: a request that is held, or a body to go on with. */
  onReady(): void {
    if (this.#admission.holds) this.#admission.onReady();
    else this.pumpRequest();
  }

  /** Whether the client is in no list that keeps it out. Who connected was judged at accept; a proxy's client, and a route's own list, here. */
  #mayCome(): boolean {
    const { site } = this.#client!;
    const client = this.#provenance.address;
    if (this.#provenance.isRelayed && site.access !== null && !site.access.allows(client)) return false;
    const { access } = this.#route!;
    return access === null || access.allows(client);
  }

  /** Writes the request's head for `target` at COMPOSE_AT; its end, or a fault. */
  #composeRequest(head: MessageHead, forward: ForwardAction, target: Target): number {
    const { context } = this.#client!;
    const { bytes, forwarding } = context;
    const route = this.#route!;
    this.#provenance.tell(head);
    forwarding.host = forward.host;
    forwarding.instead = '';
    forwarding.extra = this.#admission.toRequest;
    if (route.gateEdits !== null) route.gateEdits.mark(bytes, head);
    forwarding.edits = route.requestEdits;
    if (route.requestEdits !== null) forwarding.values = this.#provenance.values(head, route.name, target.plan.label);
    if (forward.mend) this.#keepAuthority(head);
    if (forward.compress !== null) {
      this.#coding = chooseCoding(bytes, head, forward.compress.codings);
      this.#secret = carriesSecret(head);
    }
    return writeRequestHead(bytes, COMPOSE_AT, COMPOSE_END, head, forwarding);
  }

  /** The response may need it: by then the request's bytes are gone. */
  #keepAuthority(head: MessageHead): void {
    const { bytes } = this.#client!.context;
    const length = Math.min(head.authorityEnd - head.authorityStart, this.#authority.length);
    for (let i = 0; i < length; i++) this.#authority[i] = bytes[head.authorityStart + i]!;
    this.#authorityBytes = length;
  }

  /** A redirect, or an answer that stands in the configuration. */
  #answerByRoute(head: MessageHead, at: number, end: number): void {
    const route = this.#route!;
    const { context } = this.#client!;
    const { bytes } = context;
    const form = this.#answerForm();
    if (route.answer !== null) {
      this.#record.status = route.answer.status;
      this.#sendAnswer(
        writeAnswer(bytes, COMPOSE_AT, COMPOSE_END, route.answer, form),
        form.headOnly ? 0 : route.answer.body.length,
        at,
        end,
      );
      return;
    }
    const redirect = route.redirect!;
    this.#record.status = redirect.status;
    const opened = writeBytes(bytes, COMPOSE_AT, redirect.opening);
    const written = writeTemplate(
      redirect.location,
      this.#provenance.values(head, route.name, ''),
      bytes,
      opened,
      COMPOSE_END - ANSWER_FIELDS_MAX - 2,
    );
    if (written < 0) this.#answer(FAULT_HEAD_TOO_LARGE, at, end);
    else this.#sendAnswer(writeAnswerEnd(bytes, writeBytes(bytes, written, redirect.closing), form), 0, at, end);
  }

  #answerForm(): AnswerForm {
    const { context } = this.#client!;
    const form = context.answerForm;
    // What is still to come of a request that nobody reads cannot be told from the next one.
    if (!this.#requestDone) this.#keepAlive = false;
    form.close = !this.#keepAlive;
    form.clientMinor = this.#clientMinor;
    form.headOnly = this.#method === METHOD_HEAD;
    context.refreshDate();
    return form;
  }

  /**
   * Sends an answer of ours, composed at COMPOSE_AT up to `composed`, the last `bodyBytes` of it its body; scratch [at, end) is what came
   * behind the request's head.
   */
  #sendAnswer(composed: number, bodyBytes: number, at: number, end: number): void {
    const client = this.#client!;
    const { context } = client;
    this.#record.headBytes += composed - COMPOSE_AT - bodyBytes;
    if (this.#keepAlive && at < end) client.stash = keepBytes(context.scratch, at, end);
    this.#sendOwn(COMPOSE_AT, composed);
  }

  /** Sends an answer that ends the exchange: scratch [start, end). */
  #sendOwn(start: number, end: number): void {
    const client = this.#client!;
    this.#stage = DONE;
    this.#toClient(start, end);
    if (this.#client !== client) return;
    if (client.pending === null) this.#end();
    else this.#awaitTaking();
  }

  #keepForLog(head: MessageHead): void {
    const { bytes } = this.#client!.context;
    const record = this.#record;
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

  /** Sends the head at [COMPOSE_AT, composed) with as much of the body as came with it. */
  #toTarget(target: Target, composed: number, at: number, end: number): void {
    const client = this.#client!;
    const { context } = client;
    this.#target = target;
    this.#record.upstream = target.plan.label;
    target.began();
    this.#sentMs = context.reactor.nowMs;
    this.#span?.sent(target.plan.label, context.reactor.nowMs);
    const connection = target.takeIdle(this) ?? target.connect(this, this.#provenance.opening(target.upstream));
    if (connection === null) {
      this.#upstreamFailed(target.fault);
      return;
    }
    this.#connection = connection;
    this.#span?.on(connection.served > 0);
    let start = COMPOSE_AT;
    let stop = composed;
    if (this.#requestDone) {
      if (at < end) client.stash = keepBytes(context.scratch, at, end);
      if (connection.served > 0 && this.#isIdempotent()) this.#replay = keepBytes(context.scratch, COMPOSE_AT, composed);
    } else {
      const bodyStart = this.#takeBody(at, end);
      if (bodyStart < 0) {
        this.#answerInstead(bodyStart);
        return;
      }
      if (this.#bodyEnd > bodyStart) {
        // The head goes right in front of the body: one write for both.
        start = bodyStart - (composed - COMPOSE_AT);
        context.bytes.copyWithin(start, COMPOSE_AT, composed);
        stop = this.#bodyEnd;
      }
    }
    this.#send(start, stop);
    // The rest of the body may lie in the socket, or inside the TLS library, where no event will tell of it.
    if (this.#client === client && !this.#requestDone && client.readable) context.reactor.later(client);
  }

  /** RFC 9110, section 9.2.2; only without a body, which would be gone. */
  #isIdempotent(): boolean {
    if (this.#requestFraming !== FRAMING_NONE || this.#wantsUpgrade) return false;
    switch (this.#method) {
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

  /**
   * Takes the request's body out of scratch [at, end) and puts it as the target is to get it into [result, #bodyEnd). What lies behind
   * the body is kept for the next request. A fault below 0.
   */
  #takeBody(at: number, end: number): number {
    const client = this.#client!;
    const { context } = client;
    const { bytes } = context;
    if (this.#requestFraming === FRAMING_LENGTH) {
      const taken = Math.min(this.#requestLeft, end - at);
      this.#requestLeft -= taken;
      this.#requestDone = this.#requestLeft === 0;
      if (at + taken < end) client.stash = keepBytes(context.scratch, at + taken, end);
      this.#bodyEnd = at + taken;
      return at;
    }
    const decoder = this.#requestDecoder;
    const used = decoder.decode(bytes, at, end);
    if (used < 0) return used;
    this.#requestRoom -= decoder.dataBytes;
    if (this.#requestRoom < 0) return FAULT_BODY_TOO_LARGE;
    this.#requestDone = decoder.done;
    if (at + used < end) client.stash = keepBytes(context.scratch, at + used, end);
    return this.#encodeChunk(decoder, at);
  }

  /** Frames the decoded bytes at `at` as one chunk, in place, with the last chunk behind it when the body is done. Returns where it begins. */
  #encodeChunk(decoder: ChunkedDecoder, at: number): number {
    const { bytes } = this.#client!.context;
    let start = at;
    let stop = at;
    if (decoder.dataBytes > 0) {
      start = chunkHead(bytes, at, decoder.dataBytes);
      stop = chunkTail(bytes, at + decoder.dataBytes);
    }
    if (decoder.done) stop = lastChunk(bytes, stop, decoder.trailers, decoder.trailerBytes);
    this.#bodyEnd = stop;
    return start;
  }

  /** Scratch [start, end) for the target. */
  #send(start: number, end: number): void {
    const connection = this.#connection!;
    const client = this.#client!;
    const n = connection.send(client.context.scratch, start, end);
    if (n < 0) {
      this.onUpstreamFault(n);
      return;
    }
    this.#target!.add(T_BYTES_OUT, end - start);
    this.#setDeadlines();
  }

  /** Who is waited for: the target to connect or to take bytes, the client for its body, or the target for its answer. */
  #setDeadlines(): void {
    const connection = this.#connection!;
    const client = this.#client!;
    const { reactor } = client.context;
    const plan = this.#target!.upstream;
    // Its own deadline is for the connection to stand.
    if (connection.state < BUSY) return;
    if (connection.pending !== null) {
      this.#bodyWindow.pause(reactor.nowMs);
      reactor.deadline(connection, plan.bodyMs);
      if (!this.#requestDone) reactor.noDeadline(client);
    } else if (!this.#requestDone) {
      reactor.noDeadline(connection);
      this.#bodyWindow.wait(reactor.nowMs);
      this.#setClientDeadline(this.#bodyWindow);
    } else {
      reactor.deadline(connection, this.#stage === AWAIT_HEAD ? plan.responseHeadMs : plan.bodyMs);
    }
  }

  /** Until the client is silent for too long, or has moved too little. */
  #setClientDeadline(window: TransferWindow): void {
    const client = this.#client!;
    const { reactor, timeouts, limits } = client.context;
    reactor.deadline(client, window.leftMs(reactor.nowMs, timeouts.bodyMs, limits.minimumRateAfterMs));
  }

  /** The client has to take what is pending. */
  #awaitTaking(): void {
    this.#takeWindow.wait(this.#client!.context.reactor.nowMs);
    this.#setClientDeadline(this.#takeWindow);
  }

  /** Moves the request's body along, as far as the client gives and the target takes. */
  pumpRequest(): void {
    const client = this.#client!;
    const { context } = client;
    if (this.#admission.holds) {
      if (client.readable) this.#admission.onReadable();
      return;
    }
    let moved = 0;
    while (!this.#requestDone && client.readable && this.#connection !== null) {
      if (this.#connection.pending !== null || this.#connection.state !== BUSY) return;
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(client);
        return;
      }
      const n = client.stream.read(context.scratch, READ_AT, READ_BYTES);
      client.readable = n > 0 && (client.hungUp || client.stream.mayHaveMore());
      if (n === 0) return;
      if (n < 0) {
        this.#clientEnded(n);
        return;
      }
      moved += n;
      this.#bodyWindow.moved(n, context.reactor.nowMs);
      context.counters[C_BYTES_IN]! += n;
      const start = this.#takeBody(READ_AT, READ_AT + n);
      if (start < 0) {
        this.#answerInstead(start);
        return;
      }
      if (this.#requestDone) context.reactor.noDeadline(client);
      if (this.#bodyEnd > start) this.#send(start, this.#bodyEnd);
      else this.#setDeadlines();
      if (this.#client !== client) return;
    }
  }

  /** The client has ended before its request was whole. */
  #clientEnded(fault: number): void {
    const client = this.#client!;
    if (fault === FAULT_EOF && !this.#headSent) {
      this.#answerInstead(FAULT_REQUEST_TRUNCATED);
      return;
    }
    client.context.counters[C_FAULTS - FAULT_REQUEST_TRUNCATED]!++;
    this.onClientGone();
  }

  // --- the target's side ----------------------------------------------------------------------------------------------

  onUpstreamConnected(): void {
    const { reactor } = this.#client!.context;
    this.#span?.connected(reactor.nowMs);
    reactor.noDeadline(this.#connection!);
    if (this.#connection!.pending === null) this.#setDeadlines();
  }

  onUpstreamDrained(): void {
    this.#setDeadlines();
    if (!this.#requestDone) this.pumpRequest();
  }

  onUpstreamReadable(): void {
    this.#pumpResponse();
  }

  onUpstreamDeadline(): void {
    this.#upstreamFailed(this.#stage === AWAIT_HEAD ? FAULT_RESPONSE_HEAD_TIMEOUT : FAULT_RESPONSE_BODY_TIMEOUT);
  }

  onUpstreamFault(fault: number): void {
    // The server may have answered and closed without reading the whole request: its answer is worth more than the error.
    const connection = this.#connection!;
    if (fault === FAULT_RESET && connection.readable && connection.state === BUSY && !this.#requestDone) {
      if (connection.pending !== null) dropChunk(connection.pending);
      connection.pending = null;
      this.#requestDone = true;
      this.#keepAlive = false;
      this.#pumpResponse();
      return;
    }
    this.#upstreamFailed(fault === FAULT_RESET ? FAULT_UPSTREAM_GONE : fault);
  }

  /** Reads the response and hands it on, as far as the target gives and the client takes. */
  #pumpResponse(): void {
    const client = this.#client!;
    const connection = this.#connection!;
    const { context } = client;
    let moved = 0;
    while ((connection.readable || this.#resumeHead) && client.hasRoom && (this.#compressor?.pendingBytes ?? 0) === 0) {
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(connection);
        return;
      }
      let have = 0;
      if (connection.stash !== null) {
        have = connection.stash.length;
        copyMemory(context.scratch, READ_AT, connection.stash.memory, connection.stash.start, connection.stash.end);
        dropChunk(connection.stash);
        connection.stash = null;
      }
      let n = 0;
      if (this.#resumeHead) this.#resumeHead = false;
      else {
        n = connection.stream.read(context.scratch, READ_AT + have, READ_BYTES - have);
        connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
        if (n <= 0) {
          if (have > 0) connection.stash = keepBytes(context.scratch, READ_AT, READ_AT + have);
          if (n < 0) this.#responseEnded(n);
          return;
        }
      }
      moved += n;
      this.#target!.add(T_BYTES_IN, n);
      const end = READ_AT + have + n;
      if (this.#stage === AWAIT_HEAD) this.#takeHead(READ_AT, end);
      else this.#takeResponseBody(READ_AT, end, READ_AT);
      // Ended, given to a tunnel, or failed.
      if (this.#client !== client || this.#stage === DONE || this.#connection !== connection) return;
    }
    if (client.pending !== null) this.#awaitTaking();
    if (client.hasRoom) this.#setDeadlines();
    else context.reactor.noDeadline(connection);
  }

  /** Response heads at scratch [at, end): informational ones go through, the final one begins the body. */
  #takeHead(at: number, end: number): void {
    const client = this.#client!;
    const connection = this.#connection!;
    const { context } = client;
    const head = context.responseHead;
    let from = at;
    while (from < end) {
      const used = readResponseHead(context.bytes, from, end, RESPONSE_LIMITS, this.#method, head);
      if (used === NEED_MORE) break;
      if (used < 0) {
        this.#upstreamFailed(used);
        return;
      }
      this.#dropReplay();
      if (head.framing === FRAMING_TUNNEL) {
        this.#switchProtocols(head, from + used, end);
        return;
      }
      if (head.status >= 200) {
        this.#takeFinalHead(head, from + used, end);
        return;
      }
      from += used;
      // RFC 9110, section 15.2: never to a client of HTTP/1.0.
      if (this.#clientMinor > 0 && !this.#sendInterim(head)) return;
      if (this.#resumeHead) break;
    }
    if (from < end) connection.stash = keepBytes(context.scratch, from, end);
  }

  #sendInterim(head: MessageHead): boolean {
    const client = this.#client!;
    const { context } = client;
    const composed = this.#composeHead(head, FRAMING_NONE, false);
    if (composed < 0) return false;
    context.counters[C_RESPONSES_1XX]!++;
    context.routeCounters[this.#route!.countersAt + R_1XX]!++;
    const n = client.send(COMPOSE_AT, composed);
    if (n < 0) {
      this.onClientGone();
      return false;
    }
    // What follows waits until the client has taken this.
    this.#resumeHead = client.pending !== null;
    return true;
  }

  /** Writes the response head for the client at COMPOSE_AT; returns its end. Below 0 when it cannot be: the exchange has been failed then. */
  #composeHead(head: MessageHead, framing: number, close: boolean, extra = ''): number {
    const { context } = this.#client!;
    const { bytes, reply } = context;
    reply.extra = extra;
    reply.framing = framing;
    reply.contentLength = framing === FRAMING_LENGTH ? head.contentLength : 0;
    reply.close = close;
    reply.clientMinor = this.#clientMinor;
    reply.isSwitch = framing === FRAMING_TUNNEL;
    const route = this.#route!;
    const final = head.status >= 200;
    reply.date = null;
    if (final && findField(head, FIELD_DATE) < 0) {
      context.refreshDate();
      reply.date = context.answerForm.date;
    }
    reply.edits = final ? route.responseEdits : null;
    if (reply.edits !== null) reply.values = this.#provenance.values(null, route.name, this.#target?.plan.label ?? '');
    reply.mending = final && route.forward!.mend ? this.#mending(route.forward!) : null;
    const composed = writeResponseHead(bytes, COMPOSE_AT, COMPOSE_END, head, reply);
    if (composed < 0) this.#upstreamFailed(composed);
    else this.#record.headBytes += composed - COMPOSE_AT;
    return composed;
  }

  #mending(forward: ForwardAction): Mending {
    const { mending } = this.#client!.context;
    for (let i = 0; i < this.#authorityBytes; i++) mending.authority[i] = this.#authority[i]!;
    mending.authorityBytes = this.#authorityBytes;
    mending.sentHost = forward.hostName;
    return mending;
  }

  #takeFinalHead(head: MessageHead, at: number, end: number): void {
    const client = this.#client!;
    const { context } = client;
    const { bytes } = context;
    this.#span?.answered(head.status, context.reactor.nowMs);
    this.#responseFraming = head.framing;
    this.#responseLeft = head.framing === FRAMING_LENGTH ? head.contentLength : 0;
    this.#upstreamKeepAlive = head.keepAlive && head.framing !== FRAMING_CLOSE;
    if (head.framing === FRAMING_CHUNKED) this.#responseDecoder.reset();
    this.#responseRoom = this.#route!.forward!.responseBodyMax;
    client.queueMax = this.#route!.forward!.responseBuffer;
    if (head.framing === FRAMING_LENGTH && head.contentLength > this.#responseRoom) {
      this.#upstreamFailed(FAULT_RESPONSE_TOO_LARGE);
      return;
    }
    // A body whose end only a close would tell is chunked for those who know chunks (RFC 9112, section 6.3).
    let framing = head.framing;
    if (framing === FRAMING_CHUNKED || framing === FRAMING_CLOSE) framing = this.#clientMinor > 0 ? FRAMING_CHUNKED : FRAMING_CLOSE;
    this.#clientFraming = framing;
    // An answer before the request was whole: what is still to come of it cannot be told from the next request any more.
    if (framing === FRAMING_CLOSE || !this.#requestDone || context.draining || client.site.retired || client.retired)
      this.#keepAlive = false;
    let extra = this.#admission.toResponse;
    const { compress } = this.#route!.forward!;
    if (compress !== null) extra += this.#tryToCompress(head, compress);
    if (this.#compressor !== null) {
      framing = FRAMING_CHUNKED;
      this.#clientFraming = framing;
    }
    const composed = this.#composeHead(head, framing, !this.#keepAlive, extra);
    if (composed < 0) return;
    this.#target!.took(TH_FIRST_BYTE, context.reactor.nowMs - this.#sentMs);
    this.#record.status = head.status;
    this.#stage = BODY;
    if (this.#compressor !== null) {
      // The head goes out by itself: what it is about comes later.
      const client = this.#client!;
      this.#toClient(COMPOSE_AT, composed);
      if (this.#client !== client) return;
      if (client.pending !== null) this.#compressor.pause();
      this.#takeResponseBody(at, end, at);
      return;
    }
    const headBytes = composed - COMPOSE_AT;
    if (this.#isResponseWhole()) {
      this.#bodyEnd = at;
      if (at < end) this.#upstreamKeepAlive = false;
      this.#toClient(COMPOSE_AT, composed);
      return;
    }
    // Right in front of the body: one write, and one record, for both.
    const start = at - headBytes - CHUNK_LINE_ROOM;
    bytes.copyWithin(start, COMPOSE_AT, composed);
    this.#takeResponseBody(at, end, start, start + headBytes);
  }

  /** Opens a compressor where the response may be compressed. Field lines for its head; those they replace are dropped. */
  #tryToCompress(head: MessageHead, policy: CompressionPolicy): string {
    const { bytes, compressors } = this.#client!.context;
    const verdict = compressionVerdict(bytes, head, this.#method, this.#coding, this.#secret, policy);
    let lines = '';
    if (verdict === COMPRESS || verdict === COMPRESS_NOT_ASKED || verdict === COMPRESS_SECRET) {
      if (!variesByEncoding(bytes, head)) lines = 'Vary: Accept-Encoding\r\n';
    }
    if (verdict !== COMPRESS) return lines;
    this.#compressor = Compressor.open(this.#coding, head.framing !== FRAMING_LENGTH, compressors, this);
    if (this.#compressor === null) return lines;
    const etag = strongEtag(bytes, head);
    if (etag >= 0) lines += `ETag: W/${bytes.latin1Slice(etag, bytes.indexOf(CR, etag)).trimEnd()}\r\n`;
    (etag >= 0 ? REPLACED_WITH_ETAG : REPLACED).mark(bytes, head);
    return `${lines}Content-Encoding: ${CODING_NAMES[this.#coding]}\r\n`;
  }

  /** Compressed bytes for the client, as one chunk. */
  onCompressed(bytes: Uint8Array, last: boolean): void {
    const client = this.#client!;
    const { context } = client;
    const at = COMPOSE_AT + CHUNK_LINE_ROOM;
    let start = at;
    let stop = at;
    if (bytes.length > 0) {
      context.bytes.set(bytes, at);
      start = chunkHead(context.bytes, at, bytes.length);
      stop = chunkTail(context.bytes, at + bytes.length);
    }
    if (last) {
      this.#compressor = null;
      stop = lastChunk(context.bytes, stop, EMPTY, 0);
    }
    const n = client.send(start, stop);
    if (n < 0) {
      this.onClientGone();
      return;
    }
    this.#record.bytesSent += stop - start;
    if (last) {
      this.#stage = DONE;
      if (client.pending === null) this.#end();
      else this.#awaitTaking();
    } else if (client.pending !== null) {
      this.#compressor?.pause();
      this.#awaitTaking();
    }
  }

  onCompressorDrained(): void {
    const connection = this.#connection;
    if (connection !== null && this.#client!.pending === null && connection.readable) this.#pumpResponse();
  }

  onCompressorFault(): void {
    this.#compressor = null;
    this.#abandon();
  }

  /** Body bytes, without chunk lines, for the compressor. The target is done with once it has the last of them. */
  #compress(start: number, stop: number): void {
    const compressor = this.#compressor!;
    const whole = this.#isResponseWhole();
    compressor.write(this.#client!.context.bytes.subarray(start, stop), whole);
    if (!whole) return;
    this.#letGo(this.#upstreamKeepAlive && this.#requestDone);
    // Whoever asks for the rest of the request's body now has nobody to give it to.
    if (!this.#requestDone) this.#keepAlive = false;
  }

  #isResponseWhole(): boolean {
    return this.#responseFraming === FRAMING_NONE || (this.#responseFraming === FRAMING_LENGTH && this.#responseLeft === 0);
  }

  /**
   * Body bytes at scratch [at, end) for the client, behind a head at [headStart, headEnd) when one is given. The head is moved up to the
   * body's first byte, wherever its chunk line puts that.
   */
  #takeResponseBody(at: number, end: number, headStart: number, headEnd = headStart): void {
    const { bytes } = this.#client!.context;
    const headBytes = headEnd - headStart;
    let start = at;
    let stop = end;
    if (this.#responseFraming === FRAMING_LENGTH) {
      const taken = Math.min(this.#responseLeft, end - at);
      this.#responseLeft -= taken;
      stop = at + taken;
      // More than was announced: nobody asked for it, and nobody can tell what it is.
      if (stop < end) this.#upstreamKeepAlive = false;
    } else if (this.#responseFraming === FRAMING_CHUNKED) {
      const decoder = this.#responseDecoder;
      const used = decoder.decode(bytes, at, end);
      if (used < 0) {
        this.#upstreamFailed(used);
        return;
      }
      if (at + used < end) this.#upstreamKeepAlive = false;
      if (!this.#hasResponseRoom(decoder.dataBytes)) return;
      if (this.#clientFraming === FRAMING_CHUNKED && this.#compressor === null) {
        start = this.#encodeChunk(decoder, at);
        stop = this.#bodyEnd;
      } else stop = at + decoder.dataBytes;
      if (decoder.done) this.#responseFraming = FRAMING_NONE;
    } else if (!this.#hasResponseRoom(end - at)) {
      return;
    } else if (this.#clientFraming === FRAMING_CHUNKED && at < end && this.#compressor === null) {
      start = chunkHead(bytes, at, end - at);
      stop = chunkTail(bytes, end);
    }
    if (this.#compressor !== null) {
      this.#compress(start, stop);
      return;
    }
    if (headBytes > 0) {
      if (start - headBytes !== headStart) bytes.copyWithin(start - headBytes, headStart, headEnd);
      start -= headBytes;
    }
    if (stop > start) this.#toClient(start, stop);
    else this.#advance();
  }

  /** Counts bytes of a body whose length nobody told. False when there are too many: the exchange has been failed then. */
  #hasResponseRoom(bytes: number): boolean {
    this.#responseRoom -= bytes;
    if (this.#responseRoom >= 0) return true;
    this.#upstreamFailed(FAULT_RESPONSE_TOO_LARGE);
    return false;
  }

  /** Scratch [start, end) for the client. */
  #toClient(start: number, end: number): void {
    const client = this.#client!;
    if (!this.#keepAlive && this.#isResponseWhole()) client.stream.holdForEnd();
    const n = client.send(start, end);
    if (n < 0) {
      this.onClientGone();
      return;
    }
    this.#headSent = true;
    this.#record.bytesSent += end - start;
    this.#advance();
  }

  /** Whether that was all. */
  #advance(): void {
    if (this.#compressor !== null) return;
    if (this.#stage === BODY && this.#isResponseWhole()) this.#responseDone();
  }

  /** The target's connection has ended. */
  #responseEnded(fault: number): void {
    if (this.#stage === AWAIT_HEAD) {
      const reused = this.#connection!.served > 0 && this.#connection!.stash === null;
      if (reused && this.#replay !== null) this.#tryAgain();
      else this.#upstreamFailed(isServerTlsFault(fault) ? fault : FAULT_UPSTREAM_GONE);
      return;
    }
    if (this.#responseFraming !== FRAMING_CLOSE || fault !== FAULT_EOF) {
      this.#upstreamFailed(isServerTlsFault(fault) ? fault : FAULT_RESPONSE_TRUNCATED);
      return;
    }
    this.#responseFraming = FRAMING_NONE;
    if (this.#compressor !== null) this.#compress(READ_AT, READ_AT);
    else if (this.#clientFraming === FRAMING_CHUNKED) {
      const { bytes } = this.#client!.context;
      this.#toClient(READ_AT, lastChunk(bytes, READ_AT, EMPTY, 0));
    } else this.#advance();
  }

  /** Everything of the response was read. What the client has not taken yet is pending. */
  #responseDone(): void {
    this.#stage = DONE;
    this.#letGo(this.#upstreamKeepAlive && this.#requestDone);
    const client = this.#client!;
    if (client.pending === null) this.#end();
    else this.#awaitTaking();
  }

  /** Gives the connection to the pool, or closes it. */
  #letGo(reusable: boolean): void {
    const connection = this.#connection;
    const target = this.#target;
    this.#connection = null;
    if (target === null) return;
    this.#target = null;
    const { nowMs } = this.#client!.context.reactor;
    this.#span?.letGo(nowMs);
    target.took(TH_DURATION, nowMs - this.#sentMs);
    target.ended();
    if (connection === null) return;
    if (reusable && connection.pending === null && connection.stash === null && connection.state === BUSY) target.release(connection);
    else if (this.#stage === DONE) connection.leave();
    else connection.close();
  }

  /** The same request on another connection: the one it went out on had died before it could answer. */
  #tryAgain(): void {
    const { context } = this.#client!;
    const target = this.#target!;
    const replay = this.#replay!;
    context.counters[C_UPSTREAM_RETRIES]!++;
    this.#span?.sentAgain();
    this.#tries++;
    this.#connection!.close();
    const connection =
      (this.#tries < REUSED_TRIES_MAX ? target.takeIdle(this) : null) ?? target.connect(this, this.#provenance.opening(target.upstream));
    this.#connection = connection;
    if (connection === null) {
      this.#upstreamFailed(target.fault);
      return;
    }
    this.#span?.on(connection.served > 0);
    const { length } = replay;
    copyMemory(context.scratch, COMPOSE_AT, replay.memory, replay.start, replay.end);
    if (connection.served === 0) this.#dropReplay();
    this.#send(COMPOSE_AT, COMPOSE_AT + length);
  }

  #dropReplay(): void {
    if (this.#replay === null) return;
    dropChunk(this.#replay);
    this.#replay = null;
  }

  // --- upgrade --------------------------------------------------------------------------------------------------------

  #switchProtocols(head: MessageHead, at: number, end: number): void {
    const client = this.#client!;
    const { context } = client;
    if (!this.#wantsUpgrade || !this.#requestDone || client.pending !== null) {
      this.#upstreamFailed(FAULT_RESPONSE_SWITCH);
      return;
    }
    const composed = this.#composeHead(head, FRAMING_TUNNEL, false);
    if (composed < 0) return;
    const start = at - (composed - COMPOSE_AT);
    context.bytes.copyWithin(start, COMPOSE_AT, composed);
    this.#record.status = 101;
    context.counters[C_TUNNELS]!++;
    this.#span?.answered(101, context.reactor.nowMs);
    this.#span?.letGo(context.reactor.nowMs);
    const n = client.send(start, end);
    if (n < 0) {
      this.onClientGone();
      return;
    }
    this.#headSent = true;
    this.#record.bytesSent += end - start;
    const connection = this.#connection!;
    const target = this.#target!;
    target.took(TH_FIRST_BYTE, context.reactor.nowMs - this.#sentMs);
    this.#connection = null;
    this.#target = null;
    const tunnel = new Tunnel(client, connection, target, null);
    this.#finish();
    tunnel.begin();
    // Not now: this handler may still use the scratch.
    context.reactor.later(client);
  }

  // --- the client's side ----------------------------------------------------------------------------------------------

  /** Of what is pending the client has taken `bytes`. */
  onClientTook(bytes: number): void {
    const { reactor } = this.#client!.context;
    this.#takeWindow.moved(bytes, reactor.nowMs);
    this.#awaitTaking();
    const connection = this.#connection;
    if (connection !== null && this.#compressor === null && this.#client!.hasRoom && connection.readable) this.#pumpResponse();
  }

  /** What was pending for the client is with the kernel. */
  onClientDrained(): void {
    this.#takeWindow.reset(this.#client!.context.reactor.nowMs);
    if (this.#stage === DONE) {
      this.#end();
      return;
    }
    const client = this.#client!;
    if (this.#connection === null) {
      // The last of the body is with the compressor.
      this.#compressor?.resume();
      return;
    }
    if (this.#requestDone) client.context.reactor.noDeadline(client);
    this.#setDeadlines();
    if (this.#compressor !== null) {
      this.#compressor.resume();
      if (this.#client !== client || client.pending !== null || this.#connection === null) return;
    }
    if (this.#connection.readable || this.#resumeHead) this.#pumpResponse();
  }

  onClientDeadline(): void {
    const client = this.#client!;
    if (this.#admission.holds) {
      const fault = this.#admission.onDeadline();
      if (fault !== 0) this.#answerInstead(fault);
      return;
    }
    const { reactor, timeouts, limits } = client.context;
    const window = client.pending !== null ? this.#takeWindow : this.#bodyWindow;
    const slow = window.isSlow(reactor.nowMs, limits.minimumRate, limits.minimumRateAfterMs);
    if (!slow && !window.isSilent(reactor.nowMs, timeouts.bodyMs)) {
      this.#setClientDeadline(window);
      return;
    }
    const fault = client.pending !== null ? FAULT_CLIENT_SLOW : slow ? FAULT_REQUEST_BODY_SLOW : FAULT_REQUEST_BODY_TIMEOUT;
    if (client.pending === null && !this.#headSent) {
      this.#answerInstead(fault);
      return;
    }
    this.#blame(fault);
    this.#abandon();
  }

  /** The client is gone: nobody waits for the rest. */
  onClientGone(): void {
    if (this.#record.status === 0) this.#record.status = CLIENT_CLOSED;
    this.#blame(FAULT_RESET);
    this.#abandon();
  }

  // --- answers of our own ---------------------------------------------------------------------------------------------

  /** Refuses a request whose head could not be read. */
  refuse(fault: number): void {
    this.#answer(fault, 0, 0);
  }

  /** Answers by ourselves; scratch [at, end) is what came behind the head. */
  #answer(fault: number, at: number, end: number): void {
    const client = this.#client!;
    const { context } = client;
    const row = faultOf(fault);
    this.#blame(fault);
    const status = row.status === 0 ? 502 : row.status;
    // Whoever broke the framing cannot be talked to any further; who asked for what is not here, or not for them, can.
    if (status < 500 && !isUnderstood(status)) this.#keepAlive = false;
    this.#record.status = status;
    this.#keepRest();
    const own = status === 401 ? (this.#route?.challenge ?? null) : null;
    const answer = own ?? client.site.answers.get(status);
    const form = this.#answerForm();
    const composed = writeAnswer(context.bytes, COMPOSE_AT, COMPOSE_END, answer, form);
    this.#sendAnswer(composed, form.headOnly ? 0 : answer.body.length, at, end);
  }

  /** Ends the target's part and answers by ourselves, if that can still be done. */
  #answerInstead(fault: number): void {
    this.#letGo(false);
    this.#compressor?.destroy();
    this.#compressor = null;
    if (this.#headSent || this.#client!.pending !== null) {
      this.#blame(fault);
      this.#abandon();
      return;
    }
    if (faultOf(fault).culprit === 'client') this.#keepAlive = false;
    this.#answer(fault, 0, 0);
  }

  #upstreamFailed(fault: number): void {
    this.#target?.failed();
    this.#answerInstead(fault);
  }

  /** What the request failed by, for the counters, the log and the span. */
  #blame(fault: number): void {
    this.#client!.context.counters[C_FAULTS - fault]!++;
    this.#record.reason = faultOf(fault).reason;
    if (this.#span !== null) this.#span.fault = fault;
  }

  // --- the end --------------------------------------------------------------------------------------------------------

  /** All is said, and taken. */
  #end(): void {
    const client = this.#client!;
    const keepAlive = this.#keepAlive;
    const unread = !this.#requestDone || this.#record.reason !== '';
    this.#finish();
    client.onExchangeEnd(keepAlive, unread);
  }

  /** Ends with neither side whole: the client must see that the response is not. */
  #abandon(): void {
    const client = this.#client!;
    this.#letGo(false);
    this.#finish();
    client.destroy();
  }

  /** Writes the log line, counts, and goes back to the pool. */
  #finish(): void {
    const client = this.#client!;
    const { context } = client;
    const { counters, routeCounters, reactor } = context;
    assert(this.#connection === null && this.#target === null, 'the target is let go of first');
    const seconds = (reactor.nowMs - this.#record.startMs) / 1_000;
    const at = this.#route === null ? ROUTE_NONE * ROUTE_PLACES : this.#route.countersAt;
    observe(counters, H_DURATION.at, H_DURATION.bounds, seconds);
    routeCounters[at + R_SECONDS]! += seconds;
    counters[C_REQUESTS_OPEN]!--;
    if (this.#headSent) {
      const statusClass = Math.floor(this.#record.status / 100) - 1;
      counters[C_RESPONSES_1XX + statusClass]!++;
      routeCounters[at + R_1XX + statusClass]!++;
    } else routeCounters[at + R_UNANSWERED]!++;
    if (context.debug !== null) this.#tellWatcher();
    context.logs.access?.write(this.#record, client, this.#provenance.address, reactor.nowMs, context.unixMs());
    this.#span?.end(
      this.#route?.name ?? '',
      this.#headSent ? this.#record.status : 0,
      this.#record.bytesSent,
      reactor.nowMs,
      context.unixOffsetMs,
    );
    this.#span = null;
    this.#dropReplay();
    this.#admission.stop();
    this.#compressor?.destroy();
    this.#compressor = null;
    this.#client = null;
    if (spares.length < SPARES_MAX) spares.push(this);
  }

  /** Somebody looks closely. Cold. */
  #tellWatcher(): void {
    const client = this.#client!;
    const { context } = client;
    const route = this.#route?.name ?? null;
    const record = this.#record;
    if (context.debug?.wantsRequest(client.address, route) !== true) return;
    const { bytes, hostStart, hostEnd, methodEnd, pathStart, pathEnd } = record;
    context.debug.write(context.unixMs(), {
      what: 'request',
      client: client.address,
      listener: client.site.name,
      route,
      requestId: Buffer.from(record.requestId).toString('latin1'),
      onConnection: client.requests,
      ...(record.hasRequest
        ? {
            method: bytes.latin1Slice(0, methodEnd),
            host: bytes.latin1Slice(hostStart, hostEnd),
            path: bytes.latin1Slice(pathStart, pathEnd),
          }
        : {}),
      status: record.status,
      bytes: record.bytesSent,
      durationMs: Math.round((context.reactor.nowMs - record.startMs) * 1_000) / 1_000,
      keptAlive: this.#keepAlive,
      upstream: record.upstream,
      reason: record.reason,
    });
  }
}

/** What a compressed body makes untrue. */
const REPLACED = new FieldEdits({ remove: ['accept-ranges'], set: [], add: [] });
const REPLACED_WITH_ETAG = new FieldEdits({ remove: ['accept-ranges', 'etag'], set: [], add: [] });

/** Refusals of a request that was well-formed. */
function isUnderstood(status: number): boolean {
  return status === 404 || status === 401 || status === 403 || status === 429;
}

/** Status in the log for a request whose client went away first: nginx's number. */
const CLIENT_CLOSED = 499;
/** Room for a chunk line between a head and its body: 16 digits and CRLF. */
const CHUNK_LINE_ROOM = 18;
const EMPTY = new Uint8Array(0);
const RESPONSE_LIMITS = Object.freeze({ headBytesMax: HEAD_BYTES_MAX, fieldsMax: 128, targetBytesMax: HEAD_BYTES_MAX });
