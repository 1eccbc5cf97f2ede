/**
 * Who an exchange waits for, and for how long: the target to connect, to take bytes or to answer; the client to send its body, or to take what
 * it asked for. Owns the windows by which a client is judged too slow; what becomes of the exchange then is its own affair. One per exchange.
 */
import { FAULT_CLIENT_SLOW, FAULT_REQUEST_BODY_SLOW, FAULT_REQUEST_BODY_TIMEOUT } from '../base/faults.ts';
import { TransferWindow } from '../guard/transfer-window.ts';
import { BUSY } from '../upstream/upstream-connection.ts';
import { AWAIT_HEAD, type ExchangeState } from './exchange-state.ts';
import type { UpstreamLeg } from './upstream-leg.ts';

export class ExchangeDeadlines {
  readonly #state: ExchangeState;
  readonly #leg: UpstreamLeg;
  /** How fast the client sends its body, and takes its answer. */
  readonly #bodyWindow = new TransferWindow();
  readonly #takeWindow = new TransferWindow();

  constructor(state: ExchangeState, leg: UpstreamLeg) {
    this.#state = state;
    this.#leg = leg;
  }

  reset(nowMs: number): void {
    this.#bodyWindow.reset(nowMs);
    this.#takeWindow.reset(nowMs);
  }

  /** Sets the deadline of whoever has to do something now. Behind each step that may change who that is. */
  set(): void {
    const { client, stage, requestDone } = this.#state;
    const connection = this.#leg.connection!;
    const { reactor } = client!.context;
    const plan = this.#leg.target!.upstream;
    // Its own deadline is for the connection to stand.
    if (connection.state < BUSY) return;
    if (connection.pending !== null) {
      this.#bodyWindow.pause(reactor.nowMs);
      reactor.deadline(connection, plan.bodyMs);
      if (!requestDone) reactor.noDeadline(client!);
    } else if (!requestDone) {
      reactor.noDeadline(connection);
      this.#bodyWindow.wait(reactor.nowMs);
      this.#setForClient(this.#bodyWindow);
    } else {
      reactor.deadline(connection, stage === AWAIT_HEAD ? plan.responseHeadMs : plan.bodyMs);
    }
  }

  /** The client has to take what is pending. */
  awaitTaking(): void {
    this.#takeWindow.wait(this.#state.client!.context.reactor.nowMs);
    this.#setForClient(this.#takeWindow);
  }

  /** The client has sent `bytes` of its body. */
  sent(bytes: number): void {
    this.#bodyWindow.moved(bytes, this.#state.client!.context.reactor.nowMs);
  }

  /** The client has taken `bytes`, and has to take more. */
  took(bytes: number): void {
    this.#takeWindow.moved(bytes, this.#state.client!.context.reactor.nowMs);
    this.awaitTaking();
  }

  /** The client has taken all that was pending. */
  tookAll(): void {
    this.#takeWindow.reset(this.#state.client!.context.reactor.nowMs);
  }

  /** The client's deadline has passed. The fault the exchange fails by, or 0: it has more time. */
  onClientDeadline(): number {
    const client = this.#state.client!;
    const { reactor, timeouts, limits } = client.context;
    const takes = client.pending !== null;
    const window = takes ? this.#takeWindow : this.#bodyWindow;
    const slow = window.isSlow(reactor.nowMs, limits.minimumRate, limits.minimumRateAfterMs);
    if (slow || window.isSilent(reactor.nowMs, timeouts.bodyMs)) {
      if (takes) return FAULT_CLIENT_SLOW;
      return slow ? FAULT_REQUEST_BODY_SLOW : FAULT_REQUEST_BODY_TIMEOUT;
    }
    this.#setForClient(window);
    return 0;
  }

  /** Until the client is silent for too long, or has moved too little. */
  #setForClient(window: TransferWindow): void {
    const client = this.#state.client!;
    const { reactor, timeouts, limits } = client.context;
    reactor.deadline(client, window.leftMs(reactor.nowMs, timeouts.bodyMs, limits.minimumRateAfterMs));
  }
}
