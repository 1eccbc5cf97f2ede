/** What every connection of a worker shares: the loop, the scratch memory, the counters, the logs, the limits. One per worker. */
import { CLIENT_FIELDS_BYTES_MAX, HEAD_BYTES_MAX, HEADROOM_BYTES, READ_BYTES, TAILROOM_BYTES } from '../base/limits.ts';
import { type ClientTable, NOBODY } from '../guard/client-table.ts';
import { PasswordVerifier } from '../guard/passwords.ts';
import { ClientHello } from '../hello/client-hello.ts';
import { BasicCredentials } from '../http/basic-auth.ts';
import { Forwarding, Reply } from '../http/h1/head-writer.ts';
import { AnswerForm, DATE_BYTES } from '../http/local-answers.ts';
import { Mending } from '../http/mending.ts';
import { MessageHead } from '../http/message-head.ts';
import { allocate, type Memory } from '../native/memory.ts';
import { ProxyHeader } from '../net/proxy-protocol.ts';
import type { Reactor } from '../net/reactor.ts';
import type { LimitsPlan, TimeoutsPlan } from '../plan/plan.ts';
import { monotonicMs, type TableRow } from '../plan/table.ts';
import type { AccessLog } from '../record/access-log.ts';
import type { HandshakeLog } from '../record/handshake-log.ts';
import { RequestIds } from '../record/request-ids.ts';
import { CompressorSlots } from './compressor.ts';
import type { DebugWatch } from './debug-watch.ts';
import type { KeyLog } from './key-log.ts';
import { RequestValues } from './request-values.ts';
import type { RevocationDesk } from './revocation-desk.ts';
import type { Site } from './site.ts';
import type { Tracing } from './tracing.ts';

/**
 * The scratch: bytes are read at READ_AT, with room in front for a head or a chunk line and behind for the end of a chunk; heads are
 * written at COMPOSE_AT. One handler uses it at a time, from its read to its last write: nothing in it outlives the handler.
 */
export const READ_AT = HEADROOM_BYTES;
export const READ_END = READ_AT + READ_BYTES;
export const COMPOSE_AT = READ_END + TAILROOM_BYTES;
export const COMPOSE_END = COMPOSE_AT + HEAD_BYTES_MAX + CLIENT_FIELDS_BYTES_MAX + 4_096;

/** Where lines go now. */
export interface Logs {
  /** Null: off. */
  readonly access: AccessLog | null;
  readonly handshakes: HandshakeLog;
}

export class ProxyContext {
  readonly reactor: Reactor;
  readonly counters: Float64Array;
  /** By route, places of R_* (plan/counters.ts). */
  readonly routeCounters: Float64Array;
  /** Null: nobody watches. */
  debug: DebugWatch | null = null;
  /** Null: no listener's secrets are written down. */
  keyLog: KeyLog | null = null;
  /** Replaced while connections live: looked up for every line. */
  readonly logs: Logs;
  /** Null: no request is traced. */
  tracing: Tracing | null = null;
  /** Where clients wait whose certificate is asked about. */
  readonly revocation: RevocationDesk;
  /** What each client costs, over all workers. */
  clients: ClientTable;
  timeouts: TimeoutsPlan;
  limits: LimitsPlan;

  readonly scratch: Memory = allocate(COMPOSE_END);
  readonly bytes: Buffer = this.scratch.bytes;
  readonly hello = new ClientHello();
  readonly proxyHeader = new ProxyHeader();
  readonly requestHead = new MessageHead();
  readonly responseHead = new MessageHead();
  readonly forwarding = new Forwarding();
  readonly reply = new Reply();
  readonly mending = new Mending();
  readonly values = new RequestValues();
  readonly answerForm = new AnswerForm();
  readonly credentials = new BasicCredentials();
  readonly passwords: PasswordVerifier = new PasswordVerifier(() => performance.now());
  readonly compressors = new CompressorSlots();
  readonly requestIds = new RequestIds();

  /** Unix time at 0 of the reactor's clock; corrected by the worker's tick. Milliseconds. */
  unixOffsetMs: number;
  /** Handshakes begun in this turn. */
  handshakesThisTurn = 0;
  /** Failed connections that wait out a blinding delay. */
  blinded = 0;
  draining = false;
  #dateSecond = -1;
  readonly #sharedOffsetMs = monotonicMs() - performance.now();
  /** Connections that came to rest, and gave memory back, since the heap was last trimmed. */
  rested = 0;

  constructor(
    reactor: Reactor,
    row: TableRow,
    logs: Logs,
    clients: ClientTable,
    revocation: RevocationDesk,
    timeouts: TimeoutsPlan,
    limits: LimitsPlan,
  ) {
    this.reactor = reactor;
    this.counters = row.counters;
    this.routeCounters = row.routes;
    this.logs = logs;
    this.clients = clients;
    this.revocation = revocation;
    this.timeouts = timeouts;
    this.limits = limits;
    this.unixOffsetMs = Date.now() - reactor.nowMs;
  }

  /** The Date field's value for now, made once a second: written into `answerForm`. */
  refreshDate(): void {
    const second = Math.floor(this.unixMs() / 1_000);
    if (second === this.#dateSecond) return;
    this.#dateSecond = second;
    const text = new Date(second * 1_000).toUTCString();
    for (let i = 0; i < DATE_BYTES; i++) this.answerForm.date[i] = text.charCodeAt(i);
  }

  /** Now, on the clock that all workers share. */
  sharedMs(): number {
    return this.reactor.nowMs + this.#sharedOffsetMs;
  }

  /** The client's place in the table of what clients cost; NOBODY for those who may cost what they like. */
  placeOf(site: Site, address: string): number {
    if (!this.clients.isLimited || site.trusts(address)) return NOBODY;
    return this.clients.find(address, this.sharedMs());
  }

  unixMs(): number {
    return this.reactor.nowMs + this.unixOffsetMs;
  }
}
