/**
 * The answers of an exchange that no server behind us made: refusals, what stands in the configuration, and what an authorisation server says.
 * Writes them into the scratch and sends them as the whole response. One per exchange.
 */
import { FAULT_HEAD_TOO_LARGE, faultOf } from '../base/faults.ts';
import { writeResponseHead } from '../http/h1/head-writer.ts';
import { ANSWER_FIELDS_MAX, type AnswerForm, writeAnswer, writeAnswerEnd } from '../http/local-answers.ts';
import { FRAMING_LENGTH, FRAMING_NONE, METHOD_HEAD, type MessageHead } from '../http/message-head.ts';
import { writeTemplate } from '../http/template.ts';
import { writeBytes } from '../http/write-bytes.ts';
import { dropChunk, keepBytes } from '../net/chunk.ts';
import { C_REFUSED_BY_SERVER } from '../plan/counters.ts';
import type { Admission } from './admission.ts';
import { COMPOSE_AT, COMPOSE_END } from './context.ts';
import type { ExchangeState } from './exchange-state.ts';
import type { ResponseFlow } from './response-flow.ts';

export class OwnAnswers {
  readonly #state: ExchangeState;
  readonly #response: ResponseFlow;
  readonly #admission: Admission;

  constructor(state: ExchangeState, response: ResponseFlow, admission: Admission) {
    this.#state = state;
    this.#response = response;
    this.#admission = admission;
  }

  /** Says that the request failed by `fault`; scratch [at, end) is what came behind its head. */
  refuse(fault: number, at: number, end: number): void {
    const state = this.#state;
    const { context, site } = state.client!;
    const row = faultOf(fault);
    state.blame(fault);
    const status = row.status === 0 ? 502 : row.status;
    // Whoever broke the framing cannot be talked to any further; who asked for what is not here, or not for them, can.
    if (status < 500 && !isUnderstood(status)) state.keepAlive = false;
    state.record.status = status;
    this.#keepRest();
    const own = status === 401 ? (state.route?.challenge ?? null) : null;
    const answer = own ?? site.answers.get(status);
    const form = this.#form();
    const composed = writeAnswer(context.bytes, COMPOSE_AT, COMPOSE_END, answer, form);
    this.#send(composed, form.headOnly ? 0 : answer.body.length, at, end);
  }

  /** A redirect, or an answer that stands in the configuration; scratch [at, end) is what came behind the head. */
  byRoute(head: MessageHead, at: number, end: number): void {
    const { client, provenance, record } = this.#state;
    const { bytes } = client!.context;
    const route = this.#state.route!;
    const form = this.#form();
    const edits = route.responseEdits;
    const values = provenance.values(head, route.name, '');
    if (route.answer !== null) {
      const { status, body } = route.answer;
      record.status = status;
      const composed = writeAnswer(bytes, COMPOSE_AT, COMPOSE_END, route.answer, form, edits, values);
      if (composed < 0) this.refuse(FAULT_HEAD_TOO_LARGE, at, end);
      else this.#send(composed, form.headOnly ? 0 : body.length, at, end);
      return;
    }
    const redirect = route.redirect!;
    record.status = redirect.status;
    const room = COMPOSE_END - ANSWER_FIELDS_MAX - 2;
    const opened = writeBytes(bytes, COMPOSE_AT, redirect.opening);
    let written = writeTemplate(redirect.location, values, bytes, opened, room);
    if (written >= 0) written = writeBytes(bytes, written, redirect.closing);
    if (written >= 0 && edits !== null) written = edits.write(bytes, written, room, values);
    if (written < 0) this.refuse(FAULT_HEAD_TOO_LARGE, at, end);
    else this.#send(writeAnswerEnd(bytes, written, form), 0, at, end);
  }

  /**
   * What an authorisation server says goes to the client as it is: head in the context's `responseHead`, body at scratch [bodyStart, bodyEnd).
   * A fault when there is no room for its head; nothing was sent then.
   */
  byGate(bodyStart: number, bodyEnd: number): number {
    const state = this.#state;
    const { bytes, counters, reply, responseHead } = state.client!.context;
    counters[C_REFUSED_BY_SERVER]!++;
    this.#keepRest();
    this.#form();
    reply.framing = responseHead.framing === FRAMING_NONE ? FRAMING_NONE : FRAMING_LENGTH;
    reply.contentLength = bodyEnd - bodyStart;
    reply.close = !state.keepAlive;
    reply.clientMinor = state.clientMinor;
    reply.isSwitch = false;
    reply.mending = null;
    reply.edits = null;
    reply.extra = '';
    reply.date = null;
    const composed = writeResponseHead(bytes, COMPOSE_AT, COMPOSE_END, responseHead, reply);
    if (composed < 0) return composed;
    const start = bodyStart - (composed - COMPOSE_AT);
    bytes.copyWithin(start, COMPOSE_AT, composed);
    state.record.status = responseHead.status;
    state.record.headBytes += bodyStart - start;
    this.#response.sendWhole(start, bodyEnd);
    return 0;
  }

  #form(): AnswerForm {
    const state = this.#state;
    const { context } = state.client!;
    const form = context.answerForm;
    // What is still to come of a request that nobody reads cannot be told from the next one.
    if (!state.requestDone) state.keepAlive = false;
    form.close = !state.keepAlive;
    form.clientMinor = state.clientMinor;
    form.headOnly = state.method === METHOD_HEAD;
    context.refreshDate();
    return form;
  }

  /** What came behind a request that was held, and goes nowhere, belongs to the next one, if there is one. */
  #keepRest(): void {
    const rest = this.#admission.takeRest();
    if (rest === null) return;
    if (this.#state.requestDone && this.#state.keepAlive) this.#state.client!.stash = rest;
    else dropChunk(rest);
  }

  /**
   * Sends an answer composed at COMPOSE_AT up to `composed`, the last `bodyBytes` of it its body; scratch [at, end) is what came behind the
   * request's head.
   */
  #send(composed: number, bodyBytes: number, at: number, end: number): void {
    const { client, keepAlive, record } = this.#state;
    record.headBytes += composed - COMPOSE_AT - bodyBytes;
    if (keepAlive && at < end) client!.stash = keepBytes(client!.context.scratch, at, end);
    this.#response.sendWhole(COMPOSE_AT, composed);
  }
}

/** Refusals of a request that was well-formed. */
function isUnderstood(status: number): boolean {
  return status === 404 || status === 401 || status === 403 || status === 429;
}
