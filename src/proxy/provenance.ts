/**
 * Whom a request comes from, as far as trust reaches: the client that connected, or the one that a trusted proxy speaks for. Says so to
 * servers, to templates and to the log. One per exchange, filled for each request.
 */

import { FIELD_X_FORWARDED_OTHER } from '../http/field-names.ts';
import { type ForwardedClient, forwardedElement, readForwarded } from '../http/forwarded.ts';
import { TRACE_OFF } from '../http/h1/head-writer.ts';
import { FIELD_STRIDE, type MessageHead } from '../http/message-head.ts';
import { CLIENT_SPAN, NOT_SAMPLED, SAMPLED, SAMPLED_AS_RECEIVED, takeTraceparent } from '../http/trace-context.ts';
import type { UpstreamPlan } from '../plan/plan.ts';
import type { ClientConnection } from './client-connection.ts';
import { openingFor } from './opening.ts';
import { RequestSpan } from './request-span.ts';
import type { RequestValues } from './request-values.ts';
import type { Tracing } from './tracing.ts';

const UNASKED = -2;

export class Provenance {
  #client: ClientConnection | null = null;
  #requestId: Uint8Array = new Uint8Array(0);
  /** What a trusted proxy said; null: the client speaks for itself. */
  #said: ForwardedClient | null = null;
  /** What servers are told of the trace. */
  #traceSampled: number = SAMPLED_AS_RECEIVED;
  /** Where the client's traceparent begins in the head as it was read last, as takeTraceparent says; UNASKED: nobody has asked. */
  #traceparentAt: number = UNASKED;

  reset(client: ClientConnection, requestId: Uint8Array): void {
    this.#client = client;
    this.#requestId = requestId;
    this.#said = null;
    this.#traceSampled = SAMPLED_AS_RECEIVED;
    this.#traceparentAt = UNASKED;
  }

  /** The client's address. */
  get address(): string {
    return this.#said?.client ?? this.#client!.address;
  }

  /** What the client spoke: http or https. */
  get scheme(): string {
    return this.#said?.scheme ?? this.#client!.site.scheme;
  }

  /** Whether a proxy speaks for somebody else. */
  get isRelayed(): boolean {
    return this.#said !== null;
  }

  /** Reads what a proxy says, if the one that connected is trusted. */
  hear(head: MessageHead): void {
    const client = this.#client!;
    const { site } = client;
    if (!site.trusts(client.address)) return;
    this.#said = readForwarded(client.context.bytes, head, (address) => site.trusts(address));
    this.keepRelayedFields(head);
  }

  /** Fields of the X-Forwarded family that we do not write ourselves go on when a trusted proxy sent them: for a head that was read again. */
  keepRelayedFields(head: MessageHead): void {
    this.#traceparentAt = UNASKED;
    if (this.#said === null) return;
    for (let i = 0; i < head.fieldCount; i++) {
      if (head.fields[i * FIELD_STRIDE] === FIELD_X_FORWARDED_OTHER) head.dropped[i] = 0;
    }
  }

  /** Decides whether this request is traced: its span, or null. Servers are told so where the listener continues traces. Behind `hear`. */
  trace(tracing: Tracing, head: MessageHead, startMs: number): RequestSpan | null {
    const { context, site } = this.#client!;
    const from = site.forwarding.traceparent ? takeTraceparent(context.bytes, head) : -1;
    this.#traceparentAt = from;
    const sampled = tracing.samples(context.bytes, from, this.#requestId);
    this.#traceSampled = sampled ? SAMPLED : NOT_SAMPLED;
    return sampled ? new RequestSpan(tracing.spans, this.#client!, this, head, from, this.#requestId, startMs) : null;
  }

  /** Whether this request is traced. */
  get isTraced(): boolean {
    return this.#traceSampled === SAMPLED;
  }

  /** What a connection to a target of `upstream` begins with, made for this request alone; null: nothing. */
  opening(upstream: UpstreamPlan): Uint8Array | null {
    return openingFor(upstream, this.#client!, this.address, this.#requestId);
  }

  /** Fills the context's `forwarding` with what every server is told of the client. */
  tell(head: MessageHead): void {
    const { context, site, address } = this.#client!;
    const { bytes, forwarding } = context;
    const said = this.#said;
    forwarding.peerAddress = address;
    forwarding.clientAddress = this.address;
    forwarding.scheme = this.scheme;
    forwarding.port = said?.port ?? site.port;
    forwarding.fallbackHost = site.fallbackHost;
    forwarding.requestId = this.#requestId;
    forwarding.xForwarded = site.forwarding.xForwarded;
    forwarding.forwardedFor = said?.forwardedFor ?? '';
    forwarding.forwardedHost = said?.host ?? '';
    forwarding.forwarded = site.forwarding.forwarded ? this.#forwardedValue(head) : '';
    // A head that is read again has it elsewhere.
    const known = this.#traceparentAt;
    this.#traceparentAt = UNASKED;
    forwarding.traceparentAt = site.forwarding.traceparent ? (known === UNASKED ? takeTraceparent(bytes, head) : known) : TRACE_OFF;
    forwarding.traceSampled = this.#traceSampled;
    forwarding.clientFields = this.#client!.clientFields;
    forwarding.traceSpan = CLIENT_SPAN;
  }

  #forwardedValue(head: MessageHead): string {
    const { context, site, address } = this.#client!;
    const host = context.bytes.latin1Slice(head.authorityStart, head.authorityEnd) || site.fallbackHost;
    const own = forwardedElement(address, this.#said?.host ?? host, this.#said?.scheme ?? site.scheme);
    const before = this.#said?.forwarded ?? '';
    return before === '' ? own : `${before}, ${own}`;
  }

  /** Variables for a template. Without `head` (its bytes are gone) what lies in it is empty. */
  values(head: MessageHead | null, route: string, target: string): RequestValues {
    const client = this.#client!;
    const { values } = client.context;
    values.client = client;
    values.address = this.address;
    values.scheme = this.scheme;
    values.requestId = this.#requestId;
    values.route = route;
    values.target = target;
    values.head = head;
    values.fallbackHost = client.site.fallbackHost;
    return values;
  }
}
