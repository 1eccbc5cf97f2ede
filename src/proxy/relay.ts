/**
 * A connection whose protocol is not ours to know: finds it a target, and joins both. The target is connected at once, whoever speaks first;
 * one that refuses is passed over for the next, within a bound. What the client sends meanwhile stays in its socket.
 */
import { FAULT_ACCESS_DENIED, FAULT_NO_ROUTE, FAULT_NO_TARGET, FAULT_RESET, faultOf } from '../base/faults.ts';
import { ERROR, HANGUP } from '../native/poller.ts';
import { C_CONNECT_RETRIES, C_FAULTS } from '../plan/counters.ts';
import { AccessRecord } from '../record/access-record.ts';
import type { Target } from '../upstream/target.ts';
import type { UpstreamConnection, UpstreamOwner } from '../upstream/upstream-connection.ts';
import type { ClientConnection } from './client-connection.ts';
import { RELAY } from './client-state.ts';
import { openingFor } from './opening.ts';
import type { TcpRoute } from './tcp-route.ts';
import { Tunnel, type TunnelOwner } from './tunnel.ts';

/** Targets that one connection is tried at. */
const TARGETS_TRIED_MAX = 3;

/** Lines are made at the end of a connection, one at a time. */
const record = new AccessRecord();

export class Relay implements UpstreamOwner, TunnelOwner {
  readonly #client: ClientConnection;
  readonly #route: TcpRoute | null;
  readonly #startMs: number;
  readonly #id = new Uint8Array(32);
  #connection: UpstreamConnection | null = null;
  #target: Target | null = null;
  readonly #tried: Target[] = [];
  #upstream = '';
  #over = false;

  /** `route`: null when there is none for this client. */
  constructor(client: ClientConnection, route: TcpRoute | null, startMs: number) {
    this.#client = client;
    this.#route = route;
    this.#startMs = startMs;
    client.context.requestIds.next(this.#id);
  }

  begin(): void {
    const client = this.#client;
    const route = this.#route;
    client.state = RELAY;
    client.relay = this;
    client.context.reactor.noDeadline(client);
    if (route === null) this.close(FAULT_NO_ROUTE);
    else if (route.access !== null && !route.access.allows(client.address)) this.close(FAULT_ACCESS_DENIED);
    else {
      const target = route.upstream.next();
      if (target === null) this.close(FAULT_NO_TARGET);
      else this.#connect(target);
    }
  }

  #connect(target: Target): void {
    const client = this.#client;
    this.#target = target;
    this.#upstream = target.plan.label;
    this.#tried.push(target);
    target.began();
    const connection = target.connect(this, openingFor(target.upstream, client, client.address, this.#id));
    if (connection === null) this.onUpstreamFault(target.fault);
    else this.#connection = connection;
  }

  onClientEvents(mask: number): void {
    // An end of its direction alone is told to the server when there is one.
    if ((mask & (HANGUP | ERROR)) !== 0) this.close(FAULT_RESET);
  }

  onUpstreamConnected(): void {
    const tunnel = new Tunnel(this.#client, this.#connection!, this.#target!, this);
    this.#connection = null;
    this.#target = null;
    tunnel.begin();
    tunnel.pump();
  }

  onUpstreamReadable(): void {}

  onUpstreamDrained(): void {}

  onUpstreamFault(fault: number): void {
    const { counters } = this.#client.context;
    this.#target!.failed();
    this.#letGo();
    const next = this.#tried.length < TARGETS_TRIED_MAX && faultOf(fault).retry === 'always' ? this.#untried() : null;
    if (next === null) {
      this.close(fault);
      return;
    }
    counters[C_FAULTS - fault]!++;
    counters[C_CONNECT_RETRIES]!++;
    this.#connect(next);
  }

  onUpstreamDeadline(): void {}

  /** By its turn, a target that this connection has not been tried at; null when there is none. */
  #untried(): Target | null {
    const { upstream } = this.#route!;
    for (let i = 0; i < upstream.targets.length; i++) {
      const target = upstream.next();
      if (target !== null && !this.#tried.includes(target)) return target;
    }
    // Of weights that differ much one has all the next turns.
    return upstream.targets.find((target) => !this.#tried.includes(target)) ?? null;
  }

  #letGo(): void {
    this.#connection?.close();
    this.#target?.ended();
    this.#connection = null;
    this.#target = null;
  }

  /** Ends it before there is a tunnel. */
  close(fault: number): void {
    if (this.#over) return;
    const client = this.#client;
    this.#letGo();
    client.context.counters[C_FAULTS - fault]!++;
    this.onTunnelEnd(fault, 0, 0);
    if (fault === FAULT_RESET) client.destroy();
    else client.closeCut();
  }

  onTunnelEnd(fault: number, bytesIn: number, bytesOut: number): void {
    this.#over = true;
    const client = this.#client;
    const { context } = client;
    const { logs, reactor } = context;
    if (context.debug !== null) this.#tellWatcher(fault, bytesIn, bytesOut);
    if (logs.access === null) return;
    record.reset(this.#startMs, true);
    record.isConnection = true;
    record.requestId.set(this.#id);
    record.upstream = this.#upstream;
    record.reason = fault < 0 ? faultOf(fault).reason : '';
    record.bytesReceived = bytesIn;
    record.bytesSent = bytesOut;
    record.alpn = client.protocol;
    logs.access.write(record, client, client.address, reactor.nowMs, context.unixMs());
  }

  /** Somebody looks closely. Cold. */
  #tellWatcher(fault: number, bytesIn: number, bytesOut: number): void {
    const client = this.#client;
    const { context } = client;
    const route = this.#route?.name ?? null;
    if (context.debug?.wantsRequest(client.address, route) !== true) return;
    context.debug.write(context.unixMs(), {
      what: 'connection',
      client: client.address,
      listener: client.site.name,
      route,
      requestId: Buffer.from(this.#id).toString('latin1'),
      sni: client.sni,
      bytesIn,
      bytes: bytesOut,
      durationMs: Math.round((context.reactor.nowMs - this.#startMs) * 1_000) / 1_000,
      upstream: this.#upstream,
      reason: fault < 0 ? faultOf(fault).reason : '',
    });
  }
}
