/**
 * One data-plane process: adopts plans, holds the listening sockets it was handed, and turns the loop. Reads no file, no environment and
 * no configuration text.
 */
import { FAULT_ACCESS_DENIED, FAULT_CLIENT_CONNECTIONS, FAULT_CONNECTIONS_MAX, FAULT_DESCRIPTORS } from '../base/faults.ts';
import { HANDSHAKES_PER_TURN } from '../base/limits.ts';
import { ClientTable } from '../guard/client-table.ts';
import { receiveSockets } from '../native/listen-sockets.ts';
import { trimHeap } from '../native/memory.ts';
import { acceptedAddress, closeDescriptor } from '../native/sockets.ts';
import { Listener, type ListenerEvents } from '../net/listener.ts';
import { Reactor } from '../net/reactor.ts';
import { Watched } from '../net/watched.ts';
import {
  C_CONNECTIONS,
  C_CONNECTIONS_OPEN,
  C_DESCRIPTORS_OPEN,
  C_FAULTS,
  C_LIMIT_COMPRESSORS,
  C_LIMIT_CONNECTIONS,
  C_LIMIT_DESCRIPTORS,
  C_LIMIT_PASSWORDS,
  C_LOOP_LAG_S,
  C_TURNS,
} from '../plan/counters.ts';
import type { Frame } from '../plan/frame.ts';
import { HANDOFF_FD, TABLE_FD, type ToWorker, type WorkerArguments } from '../plan/messages.ts';
import { addressText, type Plan } from '../plan/plan.ts';
import {
  monotonicS,
  S_HEARTBEAT_S,
  S_PID,
  S_PLAN,
  S_STATE,
  type SharedTable,
  STATE_DRAINING,
  STATE_SERVING,
  STATE_STARTING,
  type TableRow,
} from '../plan/table.ts';
import { ClientConnection } from '../proxy/client-connection.ts';
import { ProxyContext } from '../proxy/context.ts';
import { Site } from '../proxy/site.ts';
import { CertificateTable } from '../tls/certificate-table.ts';
import type { TlsEngine } from '../tls/engine.ts';
import { TicketKeyRing } from '../tls/ticket-keys.ts';
import { Upstream } from '../upstream/upstream.ts';
import { ControlChannel } from './control-channel.ts';
import { ProcessGauges } from './process-gauges.ts';
import { WorkerLogs } from './worker-logs.ts';

/** Ticks between two looks at memory and the wall clock. */
const SLOW_TICKS = 10;
/** Connections that have come to rest before the heap is trimmed: some tens of KiB each. */
const TRIM_RESTED = 512;
/** Time between two trims at least. Milliseconds. */
const TRIM_EVERY_MS = 10_000;

/** A plan made runnable. */
interface Running {
  readonly plan: Plan;
  readonly sites: ReadonlyMap<string, Site>;
  readonly upstreams: readonly Upstream[];
}

/** A listening socket this worker holds, its own or a neighbour's. */
interface HeldSocket {
  readonly address: string;
  readonly slot: number;
  readonly listener: Listener;
}

export class Worker {
  readonly #slot: number;
  readonly #table: SharedTable;
  readonly #row: TableRow;
  readonly #engine: TlsEngine;
  readonly #reactor: Reactor;
  readonly #control: ControlChannel;
  readonly #logs: WorkerLogs;
  readonly #gauges: ProcessGauges;
  readonly #keys = new TicketKeyRing();
  readonly #sockets: HeldSocket[] = [];
  #covers: ReadonlySet<number> = new Set();
  #context: ProxyContext | null = null;
  #running: Running | null = null;
  #ticks = 0;
  #trimMs = 0;
  #drainUntilMs = Number.POSITIVE_INFINITY;
  #ending = false;

  constructor(values: WorkerArguments, table: SharedTable, engine: TlsEngine) {
    const row = table.worker(values.slot);
    this.#slot = values.slot;
    this.#table = table;
    this.#row = row;
    this.#engine = engine;
    row.state[S_PID] = process.pid;
    row.state[S_STATE] = STATE_STARTING;
    this.#beat();
    this.#logs = new WorkerLogs(row.counters, TABLE_FD, (serial) => this.#control.send({ type: 'reopened', serial }));
    this.#gauges = new ProcessGauges(row.counters);
    this.#reactor = new Reactor(
      () => this.#tick(),
      () => this.#turnEnded(),
    );
    this.#reactor.start();
    this.#reactor.watchLevel(new HandoffReader(this), HANDOFF_FD);
    this.#control = new ControlChannel(
      values,
      (frame) => this.#onMessage(frame),
      // Without a supervisor nobody would replace this process, or tell it anything: it gives its ports back and finishes what it has.
      () => this.#drain(this.#running?.plan.timeouts.drainMs ?? 0),
    );
  }

  #onMessage({ message, blobs }: Frame<ToWorker>): void {
    switch (message.type) {
      case 'tickets':
        this.#keys.replace(message.keys, blobs);
        for (const blob of blobs) blob.fill(0);
        for (const site of this.#running?.sites.values() ?? []) site.certificates?.addKeys(this.#keys);
        return;
      case 'plan':
        this.#adopt(message.plan, blobs);
        return;
      case 'cover':
        this.#covers = new Set(message.slots);
        this.#openListeners();
        return;
      case 'addresses':
        for (const upstream of this.#running?.upstreams ?? []) {
          for (const target of upstream.targets) if (target.plan.slot === message.target) target.moveTo(message.addresses);
        }
        return;
      case 'drain':
        this.#drain(message.drainMs);
        return;
    }
  }

  #adopt(plan: Plan, blobs: readonly Buffer[]): void {
    const startMs = performance.now();
    // What belongs to a plan is handed over before it is told.
    this.onDescriptors();
    try {
      const running = this.#build(plan, blobs);
      const before = this.#running;
      this.#running = running;
      const clients = new ClientTable(this.#table.clients, this.#slot, this.#row.counters, plan.clients);
      if (this.#context === null) {
        this.#context = new ProxyContext(this.#reactor, this.#row, this.#logs, clients, plan.timeouts, plan.limits);
      } else {
        this.#context.clients = clients;
        this.#context.timeouts = plan.timeouts;
        this.#context.limits = plan.limits;
      }
      this.#logs.adopt(plan);
      for (const upstream of before?.upstreams ?? []) upstream.retire();
      for (const site of before?.sites.values() ?? []) site.certificates?.retire();
      if (before !== null) this.#moveConnections(running);
      this.#row.state[S_PLAN] = plan.id;
      this.#row.state[S_STATE] = STATE_SERVING;
      this.#openListeners();
      this.#control.send({ type: 'adopted', planId: plan.id, ms: Math.round(performance.now() - startMs) });
    } catch (error) {
      this.#control.send({ type: 'refused', planId: plan.id, error: error instanceof Error ? error.message : 'unknown error' });
    } finally {
      for (const blob of blobs) blob.fill(0);
    }
  }

  /** Connections live on under the new rules, from their next request on; what is at work ends as it began. */
  #moveConnections({ sites }: Running): void {
    this.#reactor.forEach((watched) => {
      if (watched instanceof ClientConnection) watched.site = sites.get(watched.site.address) ?? watched.site;
    });
  }

  #build(plan: Plan, blobs: readonly Buffer[]): Running {
    const upstreams = plan.upstreams.map((upstream) => new Upstream(upstream, this.#reactor, this.#row));
    const sites = new Map<string, Site>();
    try {
      for (const listener of plan.listeners) {
        const { tls } = listener;
        const certificates = tls === null ? null : new CertificateTable(this.#engine, plan, listener, tls, blobs, this.#keys);
        sites.set(addressText(listener.address), new Site(plan, listener, certificates, upstreams));
      }
    } catch (error) {
      for (const site of sites.values()) site.certificates?.retire();
      throw error;
    }
    return { plan, sites, upstreams };
  }

  /** Takes over what the supervisor handed: every slot's sockets, of which it accepts from its own, and descriptors of logs. */
  onDescriptors(): void {
    for (;;) {
      const received = receiveSockets(HANDOFF_FD);
      if (received === null) break;
      if (received === 'closed') return;
      const { tag } = received;
      received.fds.forEach((fd, i) => {
        if (tag.kind === 'log') {
          this.#logs.take(tag, fd);
          return;
        }
        const { address } = tag;
        const slot = tag.slots[i] ?? -1;
        this.#sockets.push({ address, slot, listener: new Listener(this.#reactor, fd, this.#listenerEvents(address)) });
      });
    }
    this.#openListeners();
  }

  #listenerEvents(address: string): ListenerEvents {
    return {
      onConnection: (fd) => this.#onConnection(fd, address),
      hasRoom: () => this.#hasRoom(),
      onDescriptorsOut: () => {
        this.#row.counters[C_LIMIT_DESCRIPTORS]!++;
        this.#row.counters[C_FAULTS - FAULT_DESCRIPTORS]!++;
      },
    };
  }

  #hasRoom(): boolean {
    return (this.#context?.handshakesThisTurn ?? 0) < HANDSHAKES_PER_TURN;
  }

  #onConnection(fd: number, address: string): void {
    const context = this.#context!;
    const { counters } = context;
    const site = this.#running!.sites.get(address);
    counters[C_CONNECTIONS]!++;
    if (site === undefined || !context.clients.enter(context.limits.connectionsMax)) {
      counters[C_LIMIT_CONNECTIONS]!++;
      this.#turnAway(fd, FAULT_CONNECTIONS_MAX);
      return;
    }
    const client = acceptedAddress();
    if (site.access !== null && !site.access.allows(client)) {
      context.clients.leave();
      this.#turnAway(fd, FAULT_ACCESS_DENIED);
      return;
    }
    const place = context.placeOf(site, client);
    if (!context.clients.open(place)) {
      context.clients.leave();
      this.#turnAway(fd, FAULT_CLIENT_CONNECTIONS);
      return;
    }
    const connection = new ClientConnection(context, site, fd, client, place);
    if (this.#reactor.watch(connection, fd)) connection.begin();
    else {
      connection.fd = -1;
      closeDescriptor(fd);
      context.clients.close(place);
      context.clients.leave();
      counters[C_CONNECTIONS_OPEN]!--;
      counters[C_LIMIT_DESCRIPTORS]!++;
    }
  }

  /** For the price of an accept: nothing is read, nothing is answered. */
  #turnAway(fd: number, fault: number): void {
    this.#row.counters[C_FAULTS - fault]!++;
    closeDescriptor(fd);
  }

  #openListeners(): void {
    if (this.#running === null) return;
    for (const held of this.#sockets) {
      const wanted = (held.slot === this.#slot || this.#covers.has(held.slot)) && this.#running.sites.has(held.address);
      if (wanted) held.listener.open();
      else held.listener.pause();
    }
  }

  #drain(drainMs: number): void {
    const context = this.#context;
    this.#row.state[S_STATE] = STATE_DRAINING;
    this.#drainUntilMs = this.#reactor.nowMs + drainMs;
    if (context === null || context.draining) {
      if (context === null) this.#end();
      return;
    }
    context.draining = true;
    // What the kernel has accepted for us is served; then the sockets go, and with the last holder the port.
    for (const held of this.#sockets) {
      if (held.listener.accepting) held.listener.onEvents();
      held.listener.close();
    }
    this.#sockets.length = 0;
    for (const upstream of this.#running?.upstreams ?? []) upstream.retire();
    this.#reactor.forEach((watched) => {
      if (watched instanceof ClientConnection) watched.drain();
    });
  }

  #beat(): void {
    this.#row.state[S_HEARTBEAT_S] = monotonicS();
  }

  #tick(): void {
    const { counters } = this.#row;
    this.#beat();
    if (!this.#ending) this.#logs.flush();
    counters[C_LOOP_LAG_S] = this.#reactor.lagMs / 1_000;
    counters[C_TURNS] = this.#reactor.turns;
    counters[C_DESCRIPTORS_OPEN] = this.#reactor.open;
    if (this.#ticks++ % SLOW_TICKS === 0) {
      this.#gauges.update();
      if (this.#context !== null) {
        this.#context.unixOffsetMs = Date.now() - performance.now();
        counters[C_LIMIT_COMPRESSORS] = this.#context.compressors.refused;
        counters[C_LIMIT_PASSWORDS] = this.#context.passwords.busy;
      }
      this.#trim();
    }
    if (this.#drainUntilMs !== Number.POSITIVE_INFINITY) {
      if (counters[C_CONNECTIONS_OPEN] === 0 || this.#reactor.nowMs >= this.#drainUntilMs) this.#end();
    }
  }

  /** What a crowd gave back when it came to rest lies in holes of the heap. Only when it is worth it: it takes a few milliseconds. */
  #trim(): void {
    if (this.#context === null || this.#context.rested < TRIM_RESTED || this.#reactor.nowMs < this.#trimMs) return;
    this.#context.rested = 0;
    this.#trimMs = this.#reactor.nowMs + TRIM_EVERY_MS;
    trimHeap();
  }

  #turnEnded(): void {
    if (this.#context !== null) this.#context.handshakesThisTurn = 0;
  }

  /** Everything is said: the logs are written out, and the process ends. */
  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#logs.end(() => this.#control.end({ type: 'drained' }, () => process.exit(0)));
  }
}

class HandoffReader extends Watched {
  readonly #worker: Worker;

  constructor(worker: Worker) {
    super();
    this.#worker = worker;
  }

  override onEvents(): void {
    this.#worker.onDescriptors();
  }

  override onReady(): void {}

  override onDeadline(): void {}
}
