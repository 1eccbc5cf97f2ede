/**
 * Writes the heads of one exchange as they are sent on: the request's for the target, the response's for the client, with what the route says
 * of their fields. Owns what of the request a response's head may need when its bytes are gone. One per exchange.
 */
import { HOST_BYTES_MAX } from '../base/limits.ts';
import { carriesSecret, chooseCoding } from '../http/compression-rules.ts';
import { FIELD_DATE } from '../http/field-names.ts';
import { writeRequestHead, writeResponseHead } from '../http/h1/head-writer.ts';
import type { Mending } from '../http/mending.ts';
import { FRAMING_LENGTH, FRAMING_TUNNEL, findField, type MessageHead } from '../http/message-head.ts';
import type { Target } from '../upstream/target.ts';
import { COMPOSE_AT, COMPOSE_END } from './context.ts';
import type { ExchangeState } from './exchange-state.ts';
import type { ForwardAction } from './route.ts';

export class ExchangeHeads {
  readonly #state: ExchangeState;
  /** Host and port the client asked for, kept while its answer may be mended. */
  readonly #authority = new Uint8Array(HOST_BYTES_MAX + 8);
  #authorityBytes = 0;

  constructor(state: ExchangeState) {
    this.#state = state;
  }

  /** Writes the request's head for `target`, with the lines of `extra`, at COMPOSE_AT; its end, or a fault. */
  writeRequest(head: MessageHead, forward: ForwardAction, target: Target, extra: string): number {
    const state = this.#state;
    const { provenance } = state;
    const { bytes, forwarding } = state.client!.context;
    const route = state.route!;
    provenance.tell(head);
    forwarding.host = forward.host;
    forwarding.instead = '';
    forwarding.extra = extra;
    if (route.gateEdits !== null) route.gateEdits.mark(bytes, head);
    forwarding.edits = route.requestEdits;
    if (route.requestEdits !== null) forwarding.values = provenance.values(head, route.name, target.plan.label);
    if (forward.mend) this.#keepAuthority(bytes, head);
    if (forward.compress !== null) {
      state.coding = chooseCoding(bytes, head, forward.compress.codings);
      state.secret = carriesSecret(head);
    }
    return writeRequestHead(bytes, COMPOSE_AT, COMPOSE_END, head, forwarding);
  }

  /**
   * Writes the response's head for the client at COMPOSE_AT, with the lines of `extra`; `framing` is that of the body as the client gets it.
   * Its end, or a fault.
   */
  writeResponse(head: MessageHead, target: Target, framing: number, close: boolean, extra: string): number {
    const { client, clientMinor, provenance, route } = this.#state;
    const { context } = client!;
    const { reply } = context;
    reply.extra = extra;
    reply.framing = framing;
    reply.contentLength = framing === FRAMING_LENGTH ? head.contentLength : 0;
    reply.close = close;
    reply.clientMinor = clientMinor;
    reply.isSwitch = framing === FRAMING_TUNNEL;
    const final = head.status >= 200;
    reply.date = null;
    if (final && findField(head, FIELD_DATE) < 0) {
      context.refreshDate();
      reply.date = context.answerForm.date;
    }
    reply.edits = final ? route!.responseEdits : null;
    if (reply.edits !== null) reply.values = provenance.values(null, route!.name, target.plan.label);
    reply.mending = final && route!.forward!.mend ? this.#mend(context.mending, route!.forward!) : null;
    return writeResponseHead(context.bytes, COMPOSE_AT, COMPOSE_END, head, reply);
  }

  #keepAuthority(bytes: Buffer, head: MessageHead): void {
    const length = Math.min(head.authorityEnd - head.authorityStart, this.#authority.length);
    for (let i = 0; i < length; i++) this.#authority[i] = bytes[head.authorityStart + i]!;
    this.#authorityBytes = length;
  }

  #mend(mending: Mending, forward: ForwardAction): Mending {
    for (let i = 0; i < this.#authorityBytes; i++) mending.authority[i] = this.#authority[i]!;
    mending.authorityBytes = this.#authorityBytes;
    mending.sentHost = forward.hostName;
    return mending;
  }
}
