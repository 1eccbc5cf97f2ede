/**
 * The supervisor: holds the listening sockets, runs a worker for each seat, replaces the dead and the stuck, changes what runs, and ends it
 * all in order. It holds the plan with its keys, because a worker that is replaced needs them; it moves no byte of traffic.
 *
 * A seat is a place for one worker and owns one socket of each address. A row of the shared table belongs to one process: a worker that
 * finishes what it has keeps its row beside the one that took its seat.
 */
import { randomFillSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { WORKERS_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { newPlaces } from '../config/places.ts';
import { connectHandoff, DESCRIPTORS_PER_MESSAGE, sendDescriptors } from '../native/handoff.ts';
import { closeFd } from '../native/listen-sockets.ts';
import { createSharedMemory } from '../native/shared-memory.ts';
import type { ErrorLog, Log } from '../observe/log.ts';
import type { ConnectionFilter, FromCommand, FromWorker, WorkerHello } from '../plan/messages.ts';
import type { ListenAddress, Plan } from '../plan/plan.ts';
import type { SpanRecord } from '../plan/span-record.ts';
import { monotonicS, S_GENERATION, S_HEARTBEAT_S, S_PID, S_STATE, SharedTable, STATE_STARTING, tableBytes } from '../plan/table.ts';
import { CertificateStatus } from './certificate-status.ts';
import { ClockWatch } from './clock-watch.ts';
import { ConnectionSurvey, type Connections } from './connection-survey.ts';
import type { Answer, ControlServer, WorkerLink, WorkerListener } from './control-server.ts';
import type { Inheritance, InheritedWorker } from './inheritance.ts';
import { KeyLogFile } from './key-log-file.ts';
import { LogFiles, Reopening } from './log-files.ts';
import { removeWorkerList, writeWorkerList } from './process-identity.ts';
import { RestartDelay } from './restart-delay.ts';
import type { Snapshot } from './snapshot.ts';
import { SocketKeeper, type SocketPart, type SocketSet } from './socket-keeper.ts';
import { TargetNames } from './target-names.ts';
import { TICKET_ROTATE_MS, TicketKeys } from './ticket-keys.ts';
import { type WorkerEnvironment, WorkerProcess } from './worker-process.ts';

/** A worker whose loop has not turned for this long is replaced. Seconds. */
export const STUCK_S = 5;
const LOOK_MS = 1_000;
/** A worker must have adopted its plan within this time of its start. Milliseconds. */
const START_MS = 30_000;
/** Time beyond `drainMs` before what is left is killed. Milliseconds. */
const KILL_MS = 2_000;
/** Time for all workers to write out what they have for a log. Milliseconds. */
const REOPEN_MS = 5_000;
/** Time for all workers to adopt a plan. Milliseconds. */
const APPLY_MS = 20_000;
/** Rows of the shared table beyond two for every worker: for workers that finish what they have while others sit in their seats. */
const SPARE_ROWS = 16;

export interface SupervisorOptions {
  readonly plan: Plan;
  /** Certificates and keys of the plan; kept, zeroed at the end. */
  readonly blobs: readonly Buffer[];
  readonly workers: number;
  readonly control: ControlServer;
  /** Where the control socket of whoever is in charge is found. */
  readonly lastingPath: string;
  readonly inheritance: Inheritance | null;
  /** Sockets that somebody opened for us. */
  readonly given: readonly SocketPart[];
  readonly log: Log;
  /** Where `log` goes; a plan says where to. */
  readonly errorLog: ErrorLog;
  /** Called with what workers tell of sampled requests. */
  readonly onSpans?: (spans: readonly SpanRecord[]) => void;
  /** More flags for the workers' node. */
  readonly nodeFlags: readonly string[];
}

interface Seat {
  readonly index: number;
  readonly delay: RestartDelay;
  restarts: number;
  worker: WorkerProcess | null;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  readonly #control: ControlServer;
  readonly #keeper = new SocketKeeper();
  readonly #keys: TicketKeys;
  readonly #table: SharedTable;
  #tableFd: number;
  readonly #startedMs = Date.now();
  readonly #bornMs = performance.now();
  readonly #clock = new ClockWatch(Date.now(), performance.now());
  #seats: Seat[];
  /** Workers that finish what they have. */
  readonly #finishing = new Set<WorkerProcess>();
  #plan: Plan;
  #blobs: readonly Buffer[];
  #applying: Applying | null = null;
  /** The runtime directory is ours: not while another supervisor is being succeeded. */
  #inCharge: boolean;
  /** Somebody changes what runs: nobody else may. */
  #changing = false;
  #logs: LogFiles | null = null;
  #reopening: Reopening<WorkerProcess> | null = null;
  #timers: NodeJS.Timeout[] = [];
  readonly #restarts = new Set<NodeJS.Timeout>();
  #allReady = Promise.withResolvers<void>();
  #stopping: Promise<void> | null = null;
  #onWorkerGone: (() => void) | null = null;
  #lookedMs = 0;
  readonly #survey = new ConnectionSurvey();
  #debug: { readonly client: string | null; readonly route: string | null; readonly untilMs: number } | null = null;
  readonly keyLog: KeyLogFile;
  readonly #names: TargetNames;
  readonly certificateStatus: CertificateStatus;

  constructor(options: SupervisorOptions) {
    const { inheritance } = options;
    this.#options = options;
    this.#inCharge = (inheritance?.predecessor ?? null) === null;
    this.#log = options.log;
    this.keyLog = new KeyLogFile(options.log, () => this.#all());
    this.#control = options.control;
    this.#plan = options.plan;
    this.#blobs = options.blobs;
    this.#keys = new TicketKeys(Math.floor(Date.now() / 1_000), inheritance?.keys ?? null);
    this.#names = new TargetNames(
      options.log,
      () => this.#plan,
      () => this.#seated(),
    );
    this.certificateStatus = new CertificateStatus(options.log, () => this.#all());
    const inherited = inheritance?.table ?? null;
    if (inherited !== null && inherited.table.workers >= options.workers) {
      this.#table = inherited.table;
      this.#tableFd = inherited.fd;
      this.#newcomers(options.plan, inheritance?.previous ?? null);
    } else {
      if (inherited !== null) closeFd(inherited.fd);
      const rows = Math.min(WORKERS_MAX, 2 * options.workers + SPARE_ROWS);
      const { fd, memory } = createSharedMemory(tableBytes(rows));
      this.#table = SharedTable.create(memory, rows);
      // What a client hashes to must not be known to clients.
      this.#table.clients.key.set(randomFillSync(new Int32Array(2)));
      this.#tableFd = fd;
    }
    this.#seats = Array.from({ length: options.workers }, (_, index) => emptySeat(index));
    // A stop may reject it while nobody waits for it yet.
    this.#allReady.promise.catch(() => {});
  }

  get plan(): Plan {
    return this.#plan;
  }

  /** The predecessor has left: the runtime directory is ours. */
  takeCharge(): void {
    this.#control.moveTo(this.#options.lastingPath);
    this.#inCharge = true;
    this.#list();
  }

  get sockets(): readonly SocketSet[] {
    return this.#keeper.sets;
  }

  /** Workers that are to run. */
  get workers(): number {
    return this.#seats.length;
  }

  // --- start ------------------------------------------------------------------------------------------------------------

  /** Serves when it resolves: every worker has adopted the plan. Throws one TollgateError that says what is in the way; nothing is left behind. */
  async start(onCommand: (command: FromCommand) => Promise<Answer>): Promise<void> {
    const { inheritance, plan } = this.#options;
    try {
      this.#goOn();
      this.#logs = LogFiles.open(plan);
      this.#speakTo(this.#logs);
      this.#keeper.inherit([...(inheritance?.sockets ?? []), ...this.#options.given]);
      const prepared = await this.#keeper.prepare(plan, this.#seats.length);
      this.#plan = prepared.plan;
      await this.certificateStatus.prepare(this.#plan, this.#blobs);
      this.#goOn();
      this.#control.events = { onWorker: (hello, link) => this.#onWorker(hello, link), onCommand };
      this.#inheritWorkers(inheritance, prepared.opened);
      for (const seat of this.#seats) if (seat.worker === null) this.#startWorker(seat);
      this.#names.commit();
      this.#timers = [setInterval(() => this.#look(), LOOK_MS), setInterval(() => this.#rotateKeys(), TICKET_ROTATE_MS)];
      await this.#whenReady(START_MS, 'the workers do not start');
      this.#keeper.commit(this.#plan);
      this.certificateStatus.commit(this.#plan, this.#blobs);
    } catch (error) {
      await this.giveUp();
      throw error;
    }
  }

  /** A start goes on only while nobody has called `stop`. */
  #goOn(): void {
    if (this.#stopping !== null) throw new TollgateError('stopped', 'stopped before it had started');
  }

  #inheritWorkers(inheritance: Inheritance | null, opened: readonly SocketPart[]): void {
    if (inheritance === null) return;
    const adopts = inheritance.table !== null && inheritance.table.table === this.#table;
    const adopted = adopts ? inheritance.workers : [];
    for (const each of adopted) this.#adopt(each, opened);
    for (const each of [...inheritance.outgoing, ...(adopts ? [] : inheritance.workers)]) this.#letFinish(each.hello, each.link, each);
    if (!adopts) return;
    const rows = new Set(adopted.map(({ hello }) => hello.row));
    for (let row = 0; row < this.#table.workers; row++) {
      // Nobody counted what died while there was no supervisor.
      if (!rows.has(row) && this.#table.worker(row).state[S_PID] !== 0) this.#table.fold(row);
    }
  }

  #adopt(inherited: InheritedWorker, opened: readonly SocketPart[]): void {
    const { hello, link, handoff } = inherited;
    const seat = this.#seats.find((each) => each.worker === null);
    const worker = WorkerProcess.adopt(hello.row, hello.generation, hello.pid, handoff, (how) => this.#onExit(worker, how));
    worker.link = link;
    if (seat === undefined) {
      this.#finishing.add(worker);
      inherited.listen(this.#listenerOf(worker));
      worker.tell({ type: 'drain', drainMs: null });
      return;
    }
    seat.worker = worker;
    worker.hand(opened);
    worker.handLogs(this.#logs!);
    this.#welcome(worker);
    inherited.listen(this.#listenerOf(worker));
    this.#list();
  }

  /** A worker that none of ours is: it finishes what it has. */
  #letFinish(hello: WorkerHello, link: WorkerLink, inherited: InheritedWorker | null): WorkerListener {
    const worker = WorkerProcess.adopt(-1, hello.generation, hello.pid, inherited?.handoff ?? -1, () => this.#onExit(worker, 'done'));
    worker.link = link;
    this.#finishing.add(worker);
    worker.tell({ type: 'drain', drainMs: null });
    const listener = this.#listenerOf(worker);
    inherited?.listen(listener);
    this.#list();
    return listener;
  }

  snapshot(): Snapshot {
    return {
      plan: this.#plan,
      table: this.#table,
      startedMs: this.#startedMs,
      uptimeS: Math.round((performance.now() - this.#bornMs) / 1_000),
      draining: this.#stopping !== null,
      workers: this.#seats.map(({ index, worker, restarts }) => ({
        slot: index,
        row: worker?.row ?? null,
        pid: worker?.pid ?? null,
        ready: worker?.ready ?? false,
        restarts,
      })),
      finishing: [...this.#finishing].map(({ pid, connections }) => ({ pid, connections })),
    };
  }

  // --- change -----------------------------------------------------------------------------------------------------------

  /**
   * Runs `plan` with `workers`: sockets are opened first, every worker adopts the plan, then what is not wanted any more is closed and
   * surplus workers finish what they have. Throws TollgateError, with the old plan running everywhere.
   */
  async apply(plan: Plan, blobs: readonly Buffer[], workers: number): Promise<void> {
    const before = { plan: this.#plan, blobs: this.#blobs, logs: this.#logs! };
    let logs: LogFiles | null = null;
    let late: NodeJS.Timeout | undefined;
    this.#begin(blobs);
    try {
      if (this.#rowsFor(workers) < 0) {
        throw new TollgateError('reload', `workers: ${workers} are more than were foreseen at the start; stop and start instead`);
      }
      const prepared = await this.#keeper.prepare(plan, workers);
      this.#newcomers(plan, before.plan);
      for (const { worker } of this.#seats) worker?.hand(prepared.opened);
      await this.certificateStatus.prepare(plan, blobs);
      logs = LogFiles.open(plan);
      this.#plan = prepared.plan;
      this.#blobs = blobs;
      this.#logs = logs;
      for (const worker of this.#all()) worker.handLogs(logs);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const ready = this.#seats.flatMap(({ worker }) => (worker?.ready === true ? [worker] : []));
      this.#applying = { planId: plan.id, waiting: new Set(ready), resolve, reject };
      if (ready.length === 0) resolve();
      for (const worker of ready) worker.tellPlan(this.#plan, blobs);
      late = setTimeout(() => reject(new TollgateError('reload', 'a worker does not answer')), APPLY_MS);
      await promise;
      for (const blob of before.blobs) blob.fill(0);
      this.#speakTo(logs);
      before.logs.close();
      this.#keeper.commit(this.#plan);
      this.certificateStatus.commit(this.#plan, blobs);
      this.#names.commit();
    } catch (error) {
      this.#plan = before.plan;
      this.#blobs = before.blobs;
      this.#logs = before.logs;
      logs?.close();
      for (const blob of blobs) blob.fill(0);
      if (this.#applying !== null) {
        for (const worker of this.#all()) worker.handLogs(before.logs);
        for (const { worker } of this.#seats) if (worker?.ready === true) worker.tellPlan(before.plan, before.blobs);
      }
      this.#keeper.commit(before.plan);
      throw error;
    } finally {
      clearTimeout(late);
      this.#applying = null;
      this.#changing = false;
      // New slots may have been opened either way: somebody must accept from them.
      this.#assign();
    }
    this.#resize(workers);
    await this.#whenReady(START_MS, 'the configuration runs, but not every new worker has started yet').catch((error: unknown) => {
      this.#log.warn(error instanceof Error ? error.message : String(error));
    });
  }

  /** Targets and routes that `before` has not: what others counted in their places is not theirs. */
  #newcomers(plan: Plan, before: Plan | null): void {
    const { targets, routes } = newPlaces(plan, before);
    for (const target of targets) this.#table.restartTarget(target);
    for (const route of routes) this.#table.restartRoute(route);
  }

  /** Has the control plane's own log go where `logs` says. */
  #speakTo({ error }: LogFiles): void {
    const { format, level } = this.#plan.errorLog;
    const plain = (format ?? (error.output === 'terminal' ? 'text' : 'json')) === 'text';
    this.#options.errorLog.use(error.fd, error.output === 'file', plain, level);
  }

  /** Opens the logs anew. Resolves when every worker has written out what it had for the ones before, and closed them. */
  async reopen(): Promise<{ readonly workers: number }> {
    this.#begin();
    try {
      const before = this.#logs!;
      const logs = LogFiles.open(this.#plan);
      this.#logs = logs;
      this.#speakTo(logs);
      before.close();
      const ready = this.#seats.flatMap(({ worker }) => (worker?.ready === true ? [worker] : []));
      this.#reopening = new Reopening(logs, ready);
      for (const worker of this.#all()) worker.handLogs(logs);
      await this.#reopening.whenDone(REOPEN_MS);
      return { workers: ready.length };
    } finally {
      this.#reopening = null;
      this.#changing = false;
    }
  }

  /** Whether `plan` could be run: opens and changes nothing. Throws as `apply` does. */
  async tryOut(plan: Plan, workers: number): Promise<Plan> {
    if (this.#rowsFor(workers) < 0) {
      throw new TollgateError('reload', `workers: ${workers} are more than were foreseen at the start; stop and start instead`);
    }
    return (await this.#keeper.prepare(plan, workers, true)).plan;
  }

  #begin(blobs: readonly Buffer[] = []): void {
    const problem = this.#stopping !== null ? 'it is being stopped' : this.#changing ? 'another change is being applied' : null;
    if (problem === null) {
      this.#changing = true;
      return;
    }
    for (const blob of blobs) blob.fill(0);
    throw new TollgateError('reload', problem);
  }

  /** Rows left beside `workers` seats. */
  #rowsFor(workers: number): number {
    const finishing = [...this.#finishing].filter(({ row }) => row >= 0).length;
    return this.#table.workers - finishing - Math.max(workers, this.#seats.length);
  }

  #resize(workers: number): void {
    const surplus = this.#seats.slice(workers);
    this.#seats = this.#seats.slice(0, workers);
    for (const { worker } of surplus) {
      if (worker === null) continue;
      worker.ready = false;
      this.#finishing.add(worker);
      worker.tell({ type: 'drain', drainMs: null });
    }
    // A worker in its start that has lost its seat is told so when it says hello.
    while (this.#seats.length < workers) {
      const seat = emptySeat(this.#seats.length);
      this.#seats.push(seat);
      this.#startWorker(seat);
    }
    this.#assign();
    this.#list();
  }

  async #whenReady(ms: number, problem: string): Promise<void> {
    if (this.#seats.every(({ worker }) => worker?.ready === true)) return;
    this.#allReady = Promise.withResolvers<void>();
    const { promise, reject } = this.#allReady;
    const late = setTimeout(() => reject(new TollgateError('start', problem)), ms);
    try {
      if (this.#stopping !== null) throw new TollgateError('stopped', 'stopped before the workers had started');
      await promise;
    } finally {
      clearTimeout(late);
    }
  }

  // --- workers ----------------------------------------------------------------------------------------------------------

  #startWorker(seat: Seat): void {
    const row = this.#freeRow();
    const environment: WorkerEnvironment = {
      controlPath: this.#control.path,
      lastingPath: this.#options.lastingPath,
      tableFd: this.#tableFd,
      logs: this.#logs!,
      flags: this.#options.nodeFlags,
    };
    const { state } = this.#table.worker(row);
    state[S_STATE] = STATE_STARTING;
    state[S_HEARTBEAT_S] = monotonicS();
    state[S_GENERATION]!++;
    const sockets = this.#keeper.sets.map(({ address, fds }) => ({ address, slots: fds.map((_, slot) => slot), fds }));
    const worker = WorkerProcess.start(row, state[S_GENERATION]!, environment, sockets, (how) => this.#onExit(worker, how));
    state[S_PID] = worker.pid;
    seat.worker = worker;
    this.#list();
  }

  #freeRow(): number {
    const taken = new Set([...this.#seats.map(({ worker }) => worker?.row), ...[...this.#finishing].map(({ row }) => row)]);
    for (let row = 0; row < this.#table.workers; row++) if (!taken.has(row)) return row;
    throw new TollgateError('rows', 'the shared table has no row left');
  }

  /** Leaves word of who runs to a supervisor that comes after this one was killed. */
  #list(workers: readonly WorkerProcess[] = this.#all()): void {
    if (!this.#inCharge) return;
    try {
      writeWorkerList(dirname(this.#options.lastingPath), workers);
    } catch (error) {
      // A full disk must not end what serves. Without the list a supervisor that comes after a killed one cannot adopt: say so.
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn({ reason }, 'the list of workers cannot be written; if this supervisor is killed, the next one does not find them');
    }
  }

  #onWorker(hello: WorkerHello, link: WorkerLink): WorkerListener | null {
    const worker = this.#all().find(({ pid, generation }) => pid === hello.pid && generation === hello.generation);
    if (worker === undefined) return hello.orphan ? this.#letFinish(hello, link, null) : null;
    if (worker.link !== null) return null;
    worker.link = link;
    if (this.#finishing.has(worker)) worker.tell({ type: 'drain', drainMs: null });
    else this.#welcome(worker);
    return this.#listenerOf(worker);
  }

  #listenerOf(worker: WorkerProcess): WorkerListener {
    return { onMessage: (message, blobs) => this.#onMessage(worker, message, blobs), onClose: () => worker.onLinkClosed() };
  }

  /** Tells a worker all that it needs to serve. */
  #welcome(worker: WorkerProcess): void {
    const { keys, secrets } = this.#keys.all;
    worker.tell({ type: 'tickets', keys }, secrets);
    this.certificateStatus.welcome(worker);
    worker.tellPlan(this.#plan, this.#blobs);
    this.#names.welcome(worker);
  }

  #onMessage(worker: WorkerProcess, message: FromWorker, blobs: readonly Uint8Array[]): void {
    if (message.type === 'revocation') {
      this.certificateStatus.onQuestion(worker, message, blobs);
      return;
    }
    if (message.type === 'spans') {
      this.#options.onSpans?.(message.spans);
      return;
    }
    if (message.type === 'draining') {
      worker.connections = message.connections;
      return;
    }
    if (message.type === 'reopened') this.#reopening?.onReopened(worker, message.serial);
    if (message.type === 'connections') this.#survey.onAnswer(message.ask, message);
    if (message.type !== 'adopted' && message.type !== 'refused') return;
    const seat = this.#seats.find((each) => each.worker === worker);
    // One that has lost its seat meanwhile.
    if (seat === undefined) return;
    const applying = this.#applying;
    if (applying !== null && message.planId === applying.planId && applying.waiting.delete(worker)) {
      if (message.type === 'refused') applying.reject(new TollgateError('reload', message.error));
      else if (applying.waiting.size === 0) applying.resolve();
      if (message.type === 'refused') return;
    }
    if (message.type === 'adopted' && applying === null && message.planId !== this.#plan.id) {
      // It was born while a change was tried that has been taken back since.
      worker.handLogs(this.#logs!);
      worker.tellPlan(this.#plan, this.#blobs);
      return;
    }
    if (message.type === 'refused') {
      this.#log.error({ worker: seat.index, plan: message.planId, reason: message.error }, 'worker refused the plan');
      this.#allReady.reject(new TollgateError('plan', message.error));
      worker.kill('SIGKILL');
      return;
    }
    worker.ready = true;
    if (message.fastProblem !== null) {
      const reason = message.fastProblem;
      this.#log.warn(
        { worker: seat.index, reason },
        'the fast TLS engine cannot be loaded: openssl serves in its place, at a higher price',
      );
    }
    const debug = this.#debug;
    const leftMs = debug === null ? 0 : debug.untilMs - performance.now();
    if (debug !== null && leftMs > 0) worker.tell({ type: 'debug', client: debug.client, route: debug.route, forMs: leftMs });
    this.keyLog.handTo(worker);
    this.#log.debug({ worker: seat.index, pid: worker.pid, plan: message.planId, ms: message.ms }, 'worker serves');
    if (seat.restarts > 0 && applying === null) this.#log.info({ worker: seat.index, pid: worker.pid }, 'worker replaced');
    this.#assign();
    if (this.#seats.every((each) => each.worker?.ready === true)) this.#allReady.resolve();
  }

  #onExit(worker: WorkerProcess, how: string): void {
    const livedMs = performance.now() - worker.startedMs;
    if (worker.row >= 0) this.#table.fold(worker.row);
    this.#reopening?.onGone(worker);
    const seat = this.#seats.find((each) => each.worker === worker);
    // The next process in its place gets the new plan anyway.
    if (this.#applying?.waiting.delete(worker) === true && this.#applying.waiting.size === 0) this.#applying.resolve();
    if (seat !== undefined) seat.worker = null;
    if (this.#finishing.delete(worker)) this.#log.info({ pid: worker.pid }, 'a worker has finished what it had');
    if (this.#stopping !== null) {
      this.#onWorkerGone?.();
      return;
    }
    this.#list();
    if (seat === undefined) return;
    const delayMs = seat.delay.afterDeath(livedMs);
    seat.restarts++;
    this.#log.error(
      { worker: seat.index, ended: how, livedS: Math.round(livedMs / 1_000), restartInMs: delayMs },
      'worker ended; starting another',
    );
    this.#assign();
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      if (this.#stopping === null && this.#seats.includes(seat) && seat.worker === null) this.#startWorker(seat);
    }, delayMs);
    this.#restarts.add(timer);
  }

  /** Every slot is accepted from by the worker in its seat, or by another one that serves, in turn. */
  #assign(): void {
    const living = this.#seats.filter(({ worker }) => worker?.ready === true);
    const taken = new Set(living.map(({ index }) => index));
    const free = Array.from({ length: this.#keeper.slots }, (_, slot) => slot).filter((slot) => !taken.has(slot));
    living.forEach(({ index, worker }, i) => {
      const slots = [index, ...free.filter((_, k) => k % living.length === i)];
      if (slots.join() === worker!.accepts.join()) return;
      worker!.accepts = slots;
      worker!.tell({ type: 'accept', slots });
    });
  }

  /** Replaces workers whose loop does not turn. A supervisor that was itself stopped knows nothing of its workers, and looks again first. */
  #look(): void {
    this.#lookAtClock();
    const nowMs = performance.now();
    const late = this.#lookedMs > 0 && nowMs - this.#lookedMs > 2 * LOOK_MS;
    this.#lookedMs = nowMs;
    if (late || this.#stopping !== null) return;
    for (const { index, worker } of this.#seats) {
      if (worker === null) continue;
      const quietS = monotonicS() - this.#table.worker(worker.row).state[S_HEARTBEAT_S]!;
      const allowedS = worker.ready ? STUCK_S : START_MS / 1_000;
      if (quietS <= allowedS) continue;
      this.#log.error({ worker: index, pid: worker.pid, quietS }, 'worker does not turn its loop; killing it');
      worker.kill('SIGKILL');
    }
  }

  /** Timers and rates are on a clock that nobody sets. Ticket keys are not: the TLS library goes by the wall clock. */
  #lookAtClock(): void {
    const jumpMs = this.#clock.jumped(Date.now(), performance.now());
    if (jumpMs === 0) return;
    this.#log.warn({ seconds: Math.round(jumpMs / 1_000) }, 'the wall clock was set; new ticket keys begin');
    this.#keys.clockSet(Math.floor(Date.now() / 1_000));
    this.#tellKeys();
  }

  #rotateKeys(): void {
    this.#keys.rotate(Math.floor(Date.now() / 1_000));
    this.#tellKeys();
  }

  #tellKeys(): void {
    const { keys, secrets } = this.#keys.all;
    for (const { worker } of this.#seats) worker?.tell({ type: 'tickets', keys }, secrets);
  }

  /** Connections of all workers, those that finish too; with `close` they are ended. */
  async connections(filter: ConnectionFilter, close: boolean, most: number): Promise<Connections> {
    const workers = this.#all().filter(({ link }) => link !== null);
    return await this.#survey.ask(workers, filter, close, most);
  }

  /** Has the workers log what `client` and `route` do, for a while; those that are started meanwhile too. */
  watchClosely(client: string | null, route: string | null, forMs: number): void {
    this.#debug = { client, route, untilMs: performance.now() + forMs };
    for (const worker of this.#all()) worker.tell({ type: 'debug', client, route, forMs });
  }

  // --- succession -------------------------------------------------------------------------------------------------------

  /** Hands the sockets to a successor that listens on `path`. Nothing else changes: it may still fail. */
  handOver(path: string, admin: { readonly address: ListenAddress; readonly fd: number } | null): Answer {
    const channel = connectHandoff(path);
    if (channel < 0) throw new TollgateError('succession', `nobody listens on ${path}`);
    try {
      for (const { address, fds } of this.#keeper.sets) {
        for (let at = 0; at < fds.length; at += DESCRIPTORS_PER_MESSAGE) {
          const part = fds.slice(at, at + DESCRIPTORS_PER_MESSAGE);
          sendDescriptors(channel, { kind: 'sockets', address, slots: part.map((_, i) => at + i) }, part);
        }
      }
      if (admin !== null) sendDescriptors(channel, { kind: 'admin', address: admin.address }, [admin.fd]);
      sendDescriptors(channel, { kind: 'end', pid: process.pid }, []);
    } finally {
      closeFd(channel);
    }
    const { keys, secrets } = this.#keys.all;
    return { value: { pid: process.pid, version: tollgateVersion(), plan: this.#plan, keys }, blobs: secrets };
  }

  /** A successor serves: our workers finish what they have, and it looks after them. Resolves when nothing of ours is left in this process. */
  async leave(): Promise<void> {
    this.keyLog.end('the program is replaced');
    this.#stopping ??= Promise.resolve();
    for (const timer of [...this.#timers, ...this.#restarts]) clearTimeout(timer);
    for (const worker of this.#all()) {
      worker.tell({ type: 'drain', drainMs: null });
      worker.release();
    }
    await this.#release();
  }

  /** A start that failed, or never came: whom we found goes on as before, whom we started ends. */
  async giveUp(): Promise<void> {
    if (this.#options.inheritance === null) await this.stop(0);
    else this.#abandon();
    await this.#release();
  }

  #abandon(): void {
    this.#stopping ??= Promise.resolve();
    for (const timer of [...this.#timers, ...this.#restarts]) clearTimeout(timer);
    const all = this.#all();
    const found = all.filter(({ isChild }) => !isChild);
    for (const worker of all) {
      if (worker.isChild) worker.kill('SIGKILL');
      worker.release();
    }
    this.#list(found);
  }

  #seated(): WorkerProcess[] {
    return this.#seats.flatMap(({ worker }) => (worker === null ? [] : [worker]));
  }

  #all(): WorkerProcess[] {
    return [...this.#seated(), ...this.#finishing];
  }

  // --- the end ----------------------------------------------------------------------------------------------------------

  /** Drains the workers for `drainMs` at most, kills what is left, and gives everything back. A second call waits for the first. */
  stop(drainMs: number): Promise<void> {
    this.#stopping ??= this.#stop(drainMs);
    return this.#stopping;
  }

  /** Ends the workers at once, while a `stop` waits for them. */
  hurry(): void {
    for (const worker of this.#all()) worker.kill('SIGKILL');
  }

  async #stop(drainMs: number): Promise<void> {
    this.keyLog.end('the program ends');
    this.#allReady.reject(new TollgateError('stopped', 'stopped before the workers had started'));
    for (const timer of [...this.#timers, ...this.#restarts]) clearTimeout(timer);
    // Ours first: with the last copy of a socket the port is free, and nobody waits in a queue that no one empties.
    this.#giveUpSockets();
    for (const worker of this.#all()) {
      if (worker.link === null || drainMs === 0) worker.kill('SIGKILL');
      else worker.tell({ type: 'drain', drainMs });
    }
    const late = setTimeout(() => this.hurry(), drainMs + KILL_MS);
    await new Promise<void>((resolve) => {
      this.#onWorkerGone = () => {
        if (this.#all().length === 0) resolve();
      };
      this.#onWorkerGone();
    });
    clearTimeout(late);
    removeWorkerList(dirname(this.#options.lastingPath));
    await this.#release();
  }

  #giveUpSockets(): void {
    const paths = this.#keeper.sets.flatMap(({ address }) => (address.family === 0 ? [address.path] : []));
    this.#keeper.close();
    for (const path of paths) rmSync(path, { force: true });
  }

  /** Gives back what is held. Called twice where a stop overtakes a start. */
  async #release(): Promise<void> {
    this.#keeper.close();
    this.#names.close();
    this.certificateStatus.close();
    await this.#control.close();
    for (const blob of this.#blobs) blob.fill(0);
    this.#logs?.close(true);
    this.#logs = null;
    if (this.#tableFd >= 0) closeFd(this.#tableFd);
    this.#tableFd = -1;
  }
}

function emptySeat(index: number): Seat {
  return { index, delay: new RestartDelay(), restarts: 0, worker: null };
}

/** A change of plan that not every worker has answered yet. */
interface Applying {
  readonly planId: number;
  readonly waiting: Set<WorkerProcess>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
