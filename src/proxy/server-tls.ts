/**
 * TLS towards the targets of an upstream: streams by the rules that hold now, and a line for every server that was refused, or refused us,
 * with what was wrong with it. A target that fails each request is told of once a second; what was left out is counted in the next line.
 */
import { FAULT_MEMORY, FAULT_NO_TARGET, FAULT_SERVER_TLS_ALERT } from '../base/faults.ts';
import { T_HANDSHAKE_FAILURES } from '../plan/counters.ts';
import type { ServerPeerPlan, TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import type { HandshakeLog } from '../record/handshake-log.ts';
import type { TlsClientContext, TlsPeer, TlsSession } from '../tls/engine.ts';
import type { TargetTls } from '../upstream/target-tls.ts';

/** Between two lines about one target. Milliseconds. */
const TELL_EVERY_MS = 1_000;

/**
 * What an upstream's connections are made by now. It outlives plans: a request that began under an earlier one, and connects after it, is under
 * the rules of today like all others; where its upstream has no TLS any more it finds nobody.
 */
export class ServerRules {
  context: TlsClientContext | null = null;
}

export interface ServerTlsParts {
  readonly rules: ServerRules;
  readonly logs: { readonly handshakes: HandshakeLog };
  /** The loop's clock, and the wall's. Milliseconds. */
  readonly nowMs: () => number;
  readonly unixMs: () => number;
  /** Adds to a place of the target (plan/counters.ts, T_*). */
  readonly count: (slot: number, place: number) => void;
}

export class ServerTls implements TargetTls {
  readonly handshakeMs: number;
  readonly #parts: ServerTlsParts;
  readonly #upstream: string;
  readonly #target: TargetPlan;
  readonly #peer: TlsPeer;
  #toldMs = Number.NEGATIVE_INFINITY;
  #omitted = 0;

  constructor(parts: ServerTlsParts, { name }: UpstreamPlan, target: TargetPlan, peer: ServerPeerPlan, handshakeMs: number) {
    this.handshakeMs = handshakeMs;
    this.#parts = parts;
    this.#upstream = name;
    this.#target = target;
    this.#peer = { ...peer, place: target.label };
  }

  open(fd: number): TlsSession | null {
    return this.#parts.rules.context?.session(fd, this.#peer) ?? null;
  }

  get fault(): number {
    return this.#parts.rules.context === null ? FAULT_NO_TARGET : FAULT_MEMORY;
  }

  onFailed(stream: TlsSession, fault: number, durationMs: number): void {
    this.#tell(stream, fault, durationMs);
  }

  onClosing(stream: TlsSession): void {
    // In TLS 1.3 a server judges what it was shown behind the handshake.
    if (stream.clientAlert() < 0) return;
    this.#parts.count(this.#target.slot, T_HANDSHAKE_FAILURES);
    this.#tell(stream, FAULT_SERVER_TLS_ALERT, null);
  }

  #tell(stream: TlsSession, fault: number, durationMs: number | null): void {
    const { nowMs, unixMs, logs } = this.#parts;
    if (nowMs() - this.#toldMs < TELL_EVERY_MS) {
      this.#omitted++;
      return;
    }
    this.#toldMs = nowMs();
    if (!logs.handshakes.takesFailure(unixMs())) return;
    const [received, sent] = [stream.clientAlert(), stream.sentAlert()];
    logs.handshakes.writeServer(
      {
        fault,
        upstream: this.#upstream,
        target: this.#target.label,
        serverName: this.#peer.serverName,
        identity: this.#peer.identity,
        alert: received >= 0 ? received : sent >= 0 ? sent : null,
        alertFrom: received >= 0 ? 'server' : sent >= 0 ? 'us' : null,
        library: stream.libraryError(),
        chain: stream.peerChain(),
        omitted: this.#omitted,
        durationUs: durationMs === null ? null : Math.round(1_000 * durationMs),
      },
      unixMs(),
    );
    this.#omitted = 0;
  }
}
