/**
 * One data-plane process: adopts plans, holds the listening sockets it was handed, and turns the loop. Reads no file, no environment and
 * no configuration text.
 */
import { totalmem } from 'node:os';
import {
  FAULT_ACCESS_DENIED,
  FAULT_CLIENT_CONNECTIONS,
  FAULT_CONNECTIONS_MAX,
  FAULT_DESCRIPTORS,
  FAULT_MEMORY,
  FAULT_PROXY_HEADER_REQUIRED,
} from '../base/faults.ts';
import { HANDSHAKES_PER_TURN } from '../base/limits.ts';
import { AccessLists } from '../guard/access-list.ts';
import { ClientJudge, type JudgeClock } from '../guard/client-judge.ts';
import { ClientTable, NOBODY } from '../guard/client-table.ts';
import { RevocationLists } from '../guard/revocation-lists.ts';
import { connectHandoff, DESCRIPTORS_PER_MESSAGE, receiveDescriptors, sendDescriptors } from '../native/handoff.ts';
import { trimHeap } from '../native/memory.ts';
import { acceptedAddress, acceptedPort, closeDescriptor } from '../native/sockets.ts';
import { Listener, type ListenerEvents } from '../net/listener.ts';
import { Reactor } from '../net/reactor.ts';
import { Watched } from '../net/watched.ts';
import type { ClientCertificatesPlan, RevocationListView } from '../plan/client-certificates.ts';
import {
  C_CONNECTIONS,
  C_CONNECTIONS_OPEN,
  C_DESCRIPTORS_OPEN,
  C_FAULTS,
  C_LIMIT_COMPRESSORS,
  C_LIMIT_CONNECTIONS,
  C_LIMIT_DESCRIPTORS,
  C_LIMIT_MEMORY,
  C_LIMIT_PASSWORDS,
  C_LIMIT_REVOCATION,
  C_LIMIT_SPARE_SESSIONS,
  C_TLS_FALLBACK,
  C_TURNS,
  H_LOOP_LAG,
  observe,
} from '../plan/counters.ts';
import type { Frame } from '../plan/frame.ts';
import { type ConnectionFilter, type ConnectionView, HANDOFF_FD, TABLE_FD, type ToWorker, type WorkerArguments } from '../plan/messages.ts';
import { NetworkList } from '../plan/network-list.ts';
import { addressText, type ListenAddress, type Plan } from '../plan/plan.ts';
import { PlanParts, planWithoutParts, type WholePlan } from '../plan/plan-parts.ts';
import {
  monotonicS,
  S_HEARTBEAT_S,
  S_PID,
  S_PLAN,
  S_STATE,
  type SharedTable,
  STATE_DRAINING,
  STATE_EMPTY,
  STATE_SERVING,
  STATE_STARTING,
  type TableRow,
} from '../plan/table.ts';
import { ClientConnection } from '../proxy/client-connection.ts';
import { ProxyContext } from '../proxy/context.ts';
import { DebugWatch } from '../proxy/debug-watch.ts';
import { KeyLog } from '../proxy/key-log.ts';
import { RevocationDesk } from '../proxy/revocation-desk.ts';
import { Site } from '../proxy/site.ts';
import { Tracing } from '../proxy/tracing.ts';
import { SpanBuffer } from '../record/span-buffer.ts';
import { CertificateTable } from '../tls/certificate-table.ts';
import { ContextPool } from '../tls/context-pool.ts';
import type { TlsEngines } from '../tls/engines.ts';
import { TicketKeyRing } from '../tls/ticket-keys.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { ControlChannel } from './control-channel.ts';
import { ProcessGauges } from './process-gauges.ts';
import { ServerTrust, type Trusted } from './server-trust.ts';
import { Shortage } from './shortage.ts';
import { Slices, type Work } from './slices.ts';
import { WorkerLogs } from './worker-logs.ts';

/** Ticks between two looks at memory and the wall clock. */
const SLOW_TICKS = 10;
/** A worker whose loop has not turned for this long, while there is no supervisor to ask, is dead or as good as dead. Seconds. */
const NEIGHBOUR_DEAD_S = 2;
/** Connections that have come to rest before the heap is trimmed: some tens of KiB each. */
const TRIM_RESTED = 512;
/** Time between two trims at least. Milliseconds. */
const TRIM_EVERY_MS = 10_000;

/** A plan made runnable. */
interface Running {
  readonly plan: Plan;
  readonly sites: ReadonlyMap<string, Site>;
  readonly upstreams: readonly Upstream[];
  readonly trusted: Trusted;
}

/** A listening socket this worker holds, whether it accepts from it or not. */
interface HeldSocket {
  readonly address: ListenAddress;
  /** `addressText` of it. */
  readonly key: string;
  readonly slot: number;
  readonly fd: number;
  readonly listener: Listener;
}

export class Worker {
  readonly #arguments: WorkerArguments;
  readonly #table: SharedTable;
  readonly #row: TableRow;
  readonly #engines: TlsEngines;
  readonly #reactor: Reactor;
  readonly #control: ControlChannel;
  readonly #logs: WorkerLogs;
  readonly #spans: SpanBuffer;
  readonly #gauges: ProcessGauges;
  readonly #shortage: Shortage;
  readonly #keys = new TicketKeyRing();
  readonly #judges = new Map<string, ClientJudge>();
  readonly #lists = new RevocationLists();
  #listsRefused = 0;
  readonly #desk: RevocationDesk;
  /** What judges go by: the loop's clock, and the wall's as it was when that was last looked at. */
  readonly #clock: JudgeClock = {
    unixMs: () => this.#context?.unixMs() ?? Date.now(),
    nowMs: () => this.#reactor.nowMs,
  };
  /** OCSP responses to show with certificates, by fingerprint. */
  readonly #staples = new Map<string, Buffer>();
  readonly #contexts = new ContextPool(this.#keys);
  readonly #servers: ServerTrust;
  readonly #parts = new PlanParts();
  /** Plans are adopted in the order in which they came, each in slices: whoever is connected does not wait for ten thousand certificates. */
  readonly #slices = new Slices((isBusy) => {
    this.#reactor.hasOtherWork = isBusy;
  });
  /** Upstreams of the plan that is being adopted. */
  #building: readonly Upstream[] = [];
  #sockets: HeldSocket[] = [];
  /** Socket slots it accepts from. */
  #slots: ReadonlySet<number> = new Set();
  #handoff: Handoff | null = null;
  #context: ProxyContext | null = null;
  #running: Running | null = null;
  #ticks = 0;
  #trimMs = 0;
  #draining = false;
  #drainUntilMs = Number.POSITIVE_INFINITY;
  #ending = false;

  constructor(values: WorkerArguments, table: SharedTable, engines: TlsEngines) {
    const row = table.worker(values.row);
    this.#arguments = values;
    this.#table = table;
    this.#row = row;
    this.#engines = engines;
    row.state[S_PID] = process.pid;
    row.state[S_STATE] = STATE_STARTING;
    this.#beat();
    this.#logs = new WorkerLogs(row.counters, TABLE_FD, (serial) => this.#control.send({ type: 'reopened', serial }));
    this.#spans = new SpanBuffer(row.counters);
    this.#gauges = new ProcessGauges(row.counters);
    this.#shortage = new Shortage(table, row, Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem()));
    this.#reactor = new Reactor(
      () => this.#tick(),
      () => this.#turnEnded(),
    );
    this.#reactor.start();
    this.#servers = new ServerTrust({
      engine: (library) => engines.client(library),
      reactor: this.#reactor,
      row,
      logs: this.#logs,
      unixMs: () => this.#clock.unixMs(),
    });
    this.#listenToHandoff(HANDOFF_FD);
    this.#control = new ControlChannel(values, {
      onMessage: (frame) => this.#onMessage(frame),
      // The next supervisor hands sockets over a channel of its own.
      onOrphaned: () => this.#handoff?.close(),
      isDraining: () => this.#draining,
    });
    this.#desk = new RevocationDesk(
      this.#lists,
      (message, blobs) => this.#control.offer(message, blobs),
      () => this.#reactor.nowMs,
    );
  }

  /** SIGTERM is the supervisor's to act on, unless there is none. */
  onTerminate(): void {
    if (this.#control.orphaned) this.#drain(this.#running?.plan.timeouts.drainMs ?? 0);
  }

  #onMessage({ message, blobs }: Frame<ToWorker>): void {
    switch (message.type) {
      case 'tickets':
        this.#keys.replace(message.keys, blobs);
        return;
      case 'part':
        this.#parts.add(message, blobs);
        return;
      case 'plan':
        this.#slices.add(this.#adopt(this.#parts.take(message.plan)));
        return;
      case 'accept':
        this.#slots = new Set(message.slots);
        this.#openListeners();
        return;
      case 'addresses':
        for (const upstream of [...(this.#running?.upstreams ?? []), ...this.#building]) {
          for (const target of upstream.targets) if (target.plan.slot === message.target) target.moveTo(message.addresses);
        }
        return;
      case 'lists':
        if (this.#handoff !== null) this.#onDescriptors(this.#handoff.fd);
        this.#lists.keep(message.ids);
        return;
      case 'revocation':
        // Lists that came of it are handed over before it is told.
        if (this.#handoff !== null) this.#onDescriptors(this.#handoff.fd);
        this.#desk.onAnswer(message.ask, message.answers);
        return;
      case 'staples':
        message.fingerprints.forEach((fingerprint, i) => {
          this.#staple(fingerprint, blobs[i]!);
        });
        return;
      case 'handoff':
        this.#openHandoff(message.path, message.share);
        return;
      case 'connections':
        this.#control.send({ type: 'connections', ask: message.ask, ...this.#connections(message.filter, message.close, message.most) });
        return;
      case 'debug':
        this.#watchClosely(message.client, message.route, message.forMs);
        return;
      case 'keylog-end':
        this.#endKeyLog();
        return;
      case 'describe':
        this.#control.send({ type: 'running', plan: this.#running === null ? null : planWithoutParts(this.#running.plan) });
        return;
      case 'drain':
        this.#drain(message.drainMs);
        return;
    }
  }

  // --- plans ------------------------------------------------------------------------------------------------------------

  *#adopt({ plan, blobs, memory }: WholePlan): Work {
    const startMs = performance.now();
    try {
      this.#run(yield* this.#build(plan, blobs));
      const ms = Math.round(performance.now() - startMs);
      this.#control.send({ type: 'adopted', planId: plan.id, ms, fastProblem: this.#engines.fastProblem });
    } catch (error) {
      this.#control.send({ type: 'refused', planId: plan.id, error: error instanceof Error ? error.message : 'unknown error' });
    } finally {
      this.#building = [];
      for (const all of memory) {
        all.fill(0);
        yield;
      }
    }
  }

  *#build(plan: Plan, blobs: readonly Buffer[]): Generator<undefined, Running, undefined> {
    const upstreams = plan.upstreams.map((upstream) => this.#servers.upstream(upstream));
    this.#building = upstreams;
    const lists = yield* AccessLists.load(plan, blobs);
    const trusted = yield* this.#servers.build(plan, blobs);
    const sites = new Map<string, Site>();
    const shared = { pool: this.#contexts, plan, blobs, nowMs: Date.now() };
    try {
      for (const listener of plan.listeners) {
        const { tls } = listener;
        const judgeOf = (clients: ClientCertificatesPlan): ClientJudge => this.#judge(listener.name, clients);
        const engine = tls === null ? null : this.#engines.engine(tls.engine, plan.opensslLibrary);
        const parts =
          engine === null
            ? null
            : { ...shared, engine, staples: this.#staples, judgeOf: (clients: ClientCertificatesPlan) => judgeOf(clients).judge };
        const certificates = tls === null || parts === null ? null : yield* CertificateTable.build(parts, listener, tls);
        sites.set(addressText(listener.address), new Site(plan, listener, certificates, upstreams, lists, judgeOf));
        yield;
      }
    } catch (error) {
      for (const site of sites.values()) if (site.certificates !== null) yield* site.certificates.retire();
      this.#servers.giveBack(plan, trusted);
      throw error;
    }
    return { plan, sites, upstreams, trusted };
  }

  /** One judge for a listener's rules, over plans, as contexts are: whom one has seen the other knows. */
  #judge(listener: string, clients: ClientCertificatesPlan): ClientJudge {
    const id = `${listener} ${clients.id}`;
    const judge = this.#judges.get(id) ?? new ClientJudge(clients, this.#lists, this.#clock);
    this.#judges.set(id, judge);
    return judge;
  }

  /** From now on it is this plan that runs. */
  #run(running: Running): void {
    const { plan } = running;
    // What belongs to a plan is handed over before it is told.
    if (this.#handoff !== null) this.#onDescriptors(this.#handoff.fd);
    const before = this.#running;
    this.#giveBack(new Set(running.sites.keys()));
    this.#running = running;
    const clients = new ClientTable(this.#table.clients, this.#arguments.row, this.#row.counters, plan.clients);
    if (this.#context === null) {
      this.#context = new ProxyContext(this.#reactor, this.#row, this.#logs, clients, this.#desk, plan.timeouts, plan.limits);
    } else {
      this.#context.clients = clients;
      this.#context.timeouts = plan.timeouts;
      this.#context.limits = plan.limits;
    }
    this.#logs.adopt(plan);
    this.#shortage.allow(plan.limits.memoryBytesMax);
    this.#context.tracing = plan.tracing === null ? null : new Tracing(plan.tracing, this.#spans);
    this.#servers.use(running.trusted);
    if (before !== null) this.#servers.giveBack(before.plan, before.trusted);
    for (const upstream of before?.upstreams ?? []) upstream.retire();
    for (const site of before?.sites.values() ?? []) if (site.certificates !== null) this.#slices.add(site.certificates.retire());
    const judges = new Set([...running.sites.values()].flatMap((site) => [...site.judges.values()]));
    for (const [id, judge] of this.#judges) if (!judges.has(judge)) this.#judges.delete(id);
    if (before !== null) this.#moveConnections(running);
    if (this.#draining) for (const upstream of running.upstreams) upstream.retire();
    this.#row.counters[C_TLS_FALLBACK] = this.#engines.fastProblem === null && plan.fastEngineProblem === null ? 0 : 1;
    this.#row.state[S_PLAN] = plan.id;
    this.#row.state[S_STATE] = this.#draining ? STATE_DRAINING : STATE_SERVING;
    this.#openListeners();
  }

  /**
   * Connections live on under the new rules, from their next request on; what is at work ends as it began. Those of a listener that is no
   * more, or that asks for other client certificates now, end with their next answer.
   */
  #moveConnections({ sites }: Running): void {
    this.#reactor.forEach((watched) => {
      if (!(watched instanceof ClientConnection)) return;
      const site = sites.get(watched.site.address);
      if (site === undefined) watched.site.retired = true;
      else watched.moveTo(site);
    });
  }

  /** Closes the sockets whose address is not in `wanted`. What the kernel has accepted for us is served: nobody in the queue is reset. */
  #giveBack(wanted: ReadonlySet<string>): void {
    this.#sockets = this.#sockets.filter((held) => {
      if (wanted.has(held.key)) return true;
      if (held.listener.accepting) held.listener.empty();
      held.listener.close();
      return false;
    });
  }

  #connections(filter: ConnectionFilter, close: boolean, most: number): { total: number; list: ConnectionView[] } {
    const clients = filter.client === null ? null : NetworkList.of([{ network: filter.client, verdict: 1 }]);
    const meant: ClientConnection[] = [];
    this.#reactor.forEach((watched) => {
      if (!(watched instanceof ClientConnection)) return;
      if (clients !== null && clients.lookUp(watched.address) === 0) return;
      if (filter.listener !== null && watched.site.name !== filter.listener) return;
      if (filter.id !== null && watched.view().id !== filter.id) return;
      meant.push(watched);
    });
    const list = meant.slice(0, most).map((connection) => connection.view());
    if (close) for (const connection of meant) connection.cut();
    return { total: meant.length, list };
  }

  #watchClosely(client: string | null, route: string | null, forMs: number): void {
    const context = this.#context;
    if (context === null) return;
    const clients = client === null ? null : NetworkList.of([{ network: client, verdict: 1 }]);
    context.debug = forMs === 0 ? null : new DebugWatch(this.#logs, clients, route, this.#reactor.nowMs + forMs);
  }

  #logKeys(listener: string, forMs: number, bytesMax: number, fd: number): void {
    this.#endKeyLog();
    if (this.#context === null) closeDescriptor(fd);
    else this.#context.keyLog = new KeyLog(fd, listener, bytesMax, this.#reactor.nowMs + forMs);
  }

  #endKeyLog(): void {
    if (this.#context === null) return;
    this.#context.keyLog?.close();
    this.#context.keyLog = null;
  }

  #listenToHandoff(fd: number): void {
    const handoff = new Handoff(this.#reactor, (channel) => this.#onDescriptors(channel));
    if (this.#reactor.watchLevel(handoff, fd)) this.#handoff = handoff;
  }

  /** Takes over what the supervisor handed: every slot's sockets. */
  #onDescriptors(channel: number): void {
    for (;;) {
      const received = receiveDescriptors(channel);
      if (received === null) break;
      if (received === 'closed') {
        this.#handoff?.close();
        return;
      }
      const { tag } = received;
      received.fds.forEach((fd, i) => {
        if (tag.kind === 'log') this.#logs.take(tag, fd);
        else if (tag.kind === 'list') this.#takeList(tag.view, fd);
        else if (tag.kind === 'keys') this.#logKeys(tag.listener, tag.forMs, tag.bytesMax, fd);
        else if (tag.kind === 'sockets' && !this.#draining) this.#hold(tag.address, tag.slots[i] ?? -1, fd);
        else closeDescriptor(fd);
      });
    }
    this.#openListeners();
  }

  /** A list that cannot be used is one that is not there: whom it might speak of is asked about. */
  #takeList(view: RevocationListView, fd: number): void {
    try {
      this.#lists.take(view, fd);
    } catch {
      this.#listsRefused++;
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Shows `response` with a certificate from now on; empty: none. */
  #staple(fingerprint: string, response: Uint8Array): void {
    if (response.length === 0) this.#staples.delete(fingerprint);
    else this.#staples.set(fingerprint, Buffer.from(response));
    for (const site of this.#running?.sites.values() ?? []) site.certificates?.staple(fingerprint, response);
  }

  #hold(address: ListenAddress, slot: number, fd: number): void {
    const key = addressText(address);
    this.#sockets.push({ address, key, slot, fd, listener: new Listener(this.#reactor, fd, this.#listenerEvents(key)) });
  }

  /** A supervisor that did not start this worker takes it over, and with `share` what it holds. */
  #openHandoff(path: string, share: boolean): void {
    const channel = connectHandoff(path);
    if (channel < 0) return;
    this.#handoff?.close();
    this.#listenToHandoff(channel);
    if (share) {
      for (const held of Map.groupBy(this.#sockets, ({ key }) => key).values()) {
        for (let at = 0; at < held.length; at += DESCRIPTORS_PER_MESSAGE) {
          const part = held.slice(at, at + DESCRIPTORS_PER_MESSAGE);
          const slots = part.map(({ slot }) => slot);
          const tag = { kind: 'sockets', address: part[0]!.address, slots } as const;
          sendDescriptors(
            channel,
            tag,
            part.map(({ fd }) => fd),
          );
        }
      }
      sendDescriptors(channel, { kind: 'table' }, [TABLE_FD]);
    }
    sendDescriptors(channel, { kind: 'end', pid: process.pid }, []);
  }

  #listenerEvents(address: string): ListenerEvents {
    return {
      onConnection: (fd) => this.#onConnection(fd, address),
      hasRoom: () => this.#hasRoom(),
      onDescriptorsOut: () => this.#count(FAULT_DESCRIPTORS),
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
    const short = this.#shortage.refusal(fd);
    if (short !== 0) {
      this.#count(short);
      closeDescriptor(fd);
      return;
    }
    if (site === undefined || !context.clients.enter(context.limits.connectionsMax)) {
      counters[C_LIMIT_CONNECTIONS]!++;
      this.#turnAway(fd, FAULT_CONNECTIONS_MAX);
      return;
    }
    const client = acceptedAddress();
    // Whom a proxy speaks for is judged once it has said so.
    const speaksForOthers = site.expectsProxyHeader(client);
    if (site.requiresProxyHeader && !speaksForOthers) {
      context.clients.leave();
      this.#turnAway(fd, FAULT_PROXY_HEADER_REQUIRED);
      return;
    }
    if (!speaksForOthers && site.access !== null && !site.access.allows(client)) {
      context.clients.leave();
      this.#turnAway(fd, FAULT_ACCESS_DENIED);
      return;
    }
    const place = speaksForOthers ? NOBODY : context.placeOf(site, client);
    if (!context.clients.open(place)) {
      context.clients.leave();
      this.#turnAway(fd, FAULT_CLIENT_CONNECTIONS);
      return;
    }
    const connection = new ClientConnection(context, site, fd, client, acceptedPort(), place);
    if (this.#reactor.watchBytes(connection, fd)) connection.begin();
    else {
      connection.fd = -1;
      closeDescriptor(fd);
      context.clients.close(place);
      context.clients.leave();
      counters[C_CONNECTIONS_OPEN]!--;
      this.#count(FAULT_DESCRIPTORS);
    }
  }

  /** A connection that there is nothing left for. */
  #count(shortage: number): void {
    const { counters } = this.#row;
    counters[shortage === FAULT_MEMORY ? C_LIMIT_MEMORY : C_LIMIT_DESCRIPTORS]!++;
    counters[C_FAULTS - shortage]!++;
  }

  /** For the price of an accept: nothing is read, nothing is answered. */
  #turnAway(fd: number, fault: number): void {
    this.#row.counters[C_FAULTS - fault]!++;
    closeDescriptor(fd);
  }

  #openListeners(): void {
    if (this.#running === null) return;
    for (const held of this.#sockets) {
      const wanted = this.#slots.has(held.slot) && this.#running.sites.has(held.key);
      if (wanted) held.listener.open();
      else held.listener.pause();
    }
  }

  /** `drainMs` null: connections may last as long as they like, and go with their next answer. Called again it may get shorter. */
  #drain(drainMs: number | null): void {
    const context = this.#context;
    this.#row.state[S_STATE] = STATE_DRAINING;
    if (drainMs !== null) this.#drainUntilMs = this.#reactor.nowMs + drainMs;
    if (context === null) {
      this.#end();
      return;
    }
    if (!this.#draining) {
      this.#draining = true;
      context.draining = true;
      // What the kernel has accepted for us is served; then the sockets go, and with the last holder the port.
      this.#giveBack(new Set());
      for (const upstream of this.#running?.upstreams ?? []) upstream.retire();
    }
    if (drainMs === null) return;
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
    if (this.#spans.length > 0) this.#sendSpans();
    observe(counters, H_LOOP_LAG.at, H_LOOP_LAG.bounds, this.#reactor.lagMs / 1_000);
    counters[C_TURNS] = this.#reactor.turns;
    counters[C_DESCRIPTORS_OPEN] = this.#reactor.open;
    this.#gauges.updateMemory();
    if (this.#ticks++ % SLOW_TICKS === 0) {
      this.#gauges.update();
      if (this.#context !== null) {
        this.#context.unixOffsetMs = Date.now() - performance.now();
        counters[C_LIMIT_COMPRESSORS] = this.#context.compressors.refused;
        counters[C_LIMIT_PASSWORDS] = this.#context.passwords.busy;
        counters[C_LIMIT_SPARE_SESSIONS] = this.#engines.sparesRefused;
        counters[C_LIMIT_REVOCATION] = this.#desk.refused + this.#listsRefused;
      }
      this.#trim();
      if (this.#control.orphaned && !this.#draining) this.#mindNeighbours();
    }
    this.#shortage.look();
    const debug = this.#context?.debug ?? null;
    if (debug !== null && this.#reactor.nowMs > debug.untilMs) this.#context!.debug = null;
    const keyLog = this.#context?.keyLog ?? null;
    if (keyLog !== null && this.#reactor.nowMs > keyLog.untilMs) this.#endKeyLog();
    if (this.#draining) {
      if (counters[C_CONNECTIONS_OPEN] === 0 || this.#reactor.nowMs >= this.#drainUntilMs) this.#end();
      else if (this.#ticks % SLOW_TICKS === 0) this.#control.send({ type: 'draining', connections: counters[C_CONNECTIONS_OPEN]! });
    }
  }

  /** Without a supervisor nobody else sees that a worker has died. Its sockets are ours too: who waits there is served, until the next one comes. */
  #mindNeighbours(): void {
    const quiet = monotonicS() - NEIGHBOUR_DEAD_S;
    const hasDied = ({ state }: TableRow): boolean => state[S_STATE] !== STATE_EMPTY && state[S_HEARTBEAT_S]! < quiet;
    if (!this.#table.rows.some(hasDied)) return;
    this.#slots = new Set(this.#sockets.map(({ slot }) => slot));
    this.#openListeners();
  }

  #sendSpans(): void {
    this.#spans.flush((spans) => this.#control.offer({ type: 'spans', spans }));
  }

  /** What a crowd gave back when it came to rest lies in holes of the heap. Only when it is worth it: it takes a few milliseconds. */
  #trim(): void {
    if (this.#context === null || this.#reactor.nowMs < this.#trimMs) return;
    if (this.#context.rested < TRIM_RESTED && !this.#shortage.ofMemory) return;
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
    // Connections that are carried as they are have their line in the log at their end, which this is.
    this.#reactor.forEach((watched) => {
      if (watched instanceof ClientConnection && watched.relay !== null) watched.cut();
    });
    this.#sendSpans();
    this.#spans.drop();
    this.#logs.end(() => this.#control.end({ type: 'drained' }, () => process.exit(0)));
  }
}

/** The channel on which a supervisor hands descriptors over. */
class Handoff extends Watched {
  readonly #reactor: Reactor;
  readonly #onReadable: (channel: number) => void;

  constructor(reactor: Reactor, onReadable: (channel: number) => void) {
    super();
    this.#reactor = reactor;
    this.#onReadable = onReadable;
  }

  close(): void {
    if (this.fd < 0) return;
    const { fd } = this;
    this.#reactor.forget(this);
    closeDescriptor(fd);
  }

  override onEvents(): void {
    this.#onReadable(this.fd);
  }

  override onReady(): void {}

  override onDeadline(): void {}
}
