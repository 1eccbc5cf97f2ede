/**
 * What the parts of one exchange know in common: whose it is, what was asked, how far it has come. Data, and the counting of blame; who acts on
 * it is the affair of its parts. One per exchange, pooled with it.
 */
import { faultOf } from '../base/faults.ts';
import { METHOD_GET } from '../http/message-head.ts';
import { C_FAULTS } from '../plan/counters.ts';
import { AccessRecord } from '../record/access-record.ts';
import type { ClientConnection } from './client-connection.ts';
import { Provenance } from './provenance.ts';
import type { RequestSpan } from './request-span.ts';
import type { Route } from './route.ts';

// Stages of the response.
export const AWAIT_HEAD = 0;
export const BODY = 1;
/** All of it was read. What the client has not taken yet is pending. */
export const DONE = 2;

export class ExchangeState {
  /** Null while the exchange is nobody's. */
  client: ClientConnection | null = null;
  /** Null: none was found (yet). */
  route: Route | null = null;
  /** Null: the request is not traced. */
  span: RequestSpan | null = null;
  readonly record = new AccessRecord();
  readonly provenance = new Provenance();

  method = METHOD_GET;
  clientMinor: 0 | 1 = 1;
  /** The client's connection lives on behind this exchange. */
  keepAlive = false;
  wantsUpgrade = false;
  /** All of the request was read. */
  requestDone = true;
  /** Where the response may be compressed: the coding that the request takes, and whether it came with a secret. */
  coding = 0;
  secret = false;

  stage = AWAIT_HEAD;
  /** A part of the response, not counting interim ones, is on its way to the client. */
  headSent = false;

  reset(client: ClientConnection): void {
    const { logs, reactor, requestIds, debug } = client.context;
    this.client = client;
    this.route = null;
    this.span = null;
    this.record.reset(reactor.nowMs, logs.access !== null || debug !== null);
    requestIds.next(this.record.requestId);
    this.provenance.reset(client, this.record.requestId);
    this.method = METHOD_GET;
    this.clientMinor = 1;
    this.keepAlive = false;
    this.wantsUpgrade = false;
    this.requestDone = true;
    this.stage = AWAIT_HEAD;
    this.headSent = false;
  }

  /** What the request failed by, for the counters, the log and the span. */
  blame(fault: number): void {
    this.client!.context.counters[C_FAULTS - fault]!++;
    this.record.reason = faultOf(fault).reason;
    if (this.span !== null) this.span.fault = fault;
  }
}
