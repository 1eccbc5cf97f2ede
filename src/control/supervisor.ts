/**
 * The supervisor: opens the listening sockets, starts a worker for each core, replaces the dead and the stuck, and ends them in order.
 * It holds the plan with its keys, because a worker that is replaced needs them; it moves no byte of traffic.
 */
import { randomFillSync } from 'node:crypto';
import { TollgateError } from '../base/tollgate-error.ts';
import type { HostAddress } from '../config/resolve-host.ts';
import { closeFd } from '../native/listen-sockets.ts';
import { createSharedMemory } from '../native/shared-memory.ts';
import type { ErrorLog, Log } from '../observe/log.ts';
import type { FromCommand, FromWorker } from '../plan/messages.ts';
import { addressText, type Plan, type TargetAddress, type TargetPlan } from '../plan/plan.ts';
import { monotonicS, S_GENERATION, S_HEARTBEAT_S, S_STATE, SharedTable, STATE_STARTING, tableBytes } from '../plan/table.ts';
import { ControlServer, type WorkerLink } from './control-server.ts';
import { closeSockets, openSockets, type SocketSet } from './listen-sockets.ts';
import { LogFiles, Reopening } from './log-files.ts';
import { NameWatcher } from './name-watcher.ts';
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

export interface SupervisorOptions {
  readonly plan: Plan;
  /** Certificates and keys of the plan; kept, zeroed at the end. */
  readonly blobs: readonly Buffer[];
  readonly workers: number;
  /** The control socket's path, in a directory made ready by `prepareRuntimeDirectory`. */
  readonly controlPath: string;
  readonly log: Log;
  /** Where `log` goes; a plan says where to. */
  readonly errorLog: ErrorLog;
  /** More flags for the workers' node. */
  readonly nodeFlags: readonly string[];
}

/** What status and readiness are made from, beside the table. */
export interface Snapshot {
  readonly plan: Plan;
  readonly table: SharedTable;
  readonly startedMs: number;
  readonly draining: boolean;
  readonly workers: readonly {
    readonly slot: number;
    readonly pid: number | null;
    readonly ready: boolean;
    readonly restarts: number;
    readonly coveredBy: number | null;
  }[];
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  readonly #workers: readonly WorkerProcess[];
  readonly #keys = new TicketKeys(Math.floor(Date.now() / 1_000));
  readonly #table: SharedTable;
  #tableFd: number;
  readonly #startedMs = Date.now();
  #plan: Plan;
  #blobs: readonly Buffer[];
  #applying: Applying | null = null;
  #sockets: readonly SocketSet[] = [];
  #logs: LogFiles | null = null;
  #reopening: Reopening<WorkerProcess> | null = null;
  #control: ControlServer | null = null;
  #timers: NodeJS.Timeout[] = [];
  readonly #restarts = new Set<NodeJS.Timeout>();
  #started = Promise.withResolvers<void>();
  #stopping: Promise<void> | null = null;
  #onWorkerGone: (() => void) | null = null;
  #lookedMs = 0;
  readonly #names: NameWatcher;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#plan = options.plan;
    this.#blobs = options.blobs;
    this.#names = new NameWatcher({ log: options.log, onChange: (name) => this.#onMoved(name) });
    const { fd, memory } = createSharedMemory(tableBytes(options.workers));
    this.#table = SharedTable.create(memory, options.workers);
    // What a client hashes to must not be known to clients.
    this.#table.clients.key.set(randomFillSync(new Int32Array(2)));
    this.#tableFd = fd;
    this.#workers = Array.from({ length: options.workers }, (_, slot) => new WorkerProcess(slot));
    // A stop may reject it while nobody waits for it yet.
    this.#started.promise.catch(() => {});
  }

  get plan(): Plan {
    return this.#plan;
  }

  /**
   * Has every worker run `plan`, whose sockets must be those that are open. Resolves when all have adopted it. Throws TollgateError, with the
   * old plan running everywhere.
   */
  async apply(plan: Plan, blobs: readonly Buffer[]): Promise<void> {
    const problem = this.#whyNot(plan);
    if (problem !== null) {
      for (const blob of blobs) blob.fill(0);
      throw new TollgateError('reload', problem);
    }
    const before = { plan: this.#plan, blobs: this.#blobs, logs: this.#logs! };
    const logs = LogFiles.open(plan);
    this.#plan = plan;
    this.#blobs = blobs;
    this.#logs = logs;
    for (const worker of this.#workers) worker.handLogs(logs);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#applying = { planId: plan.id, waiting: new Set(this.#workers.filter((worker) => worker.ready)), resolve, reject };
    if (this.#applying.waiting.size === 0) resolve();
    for (const worker of this.#applying.waiting) worker.tell({ type: 'plan', plan }, blobs);
    const late = setTimeout(() => reject(new TollgateError('reload', 'a worker does not answer')), APPLY_MS);
    try {
      await promise;
      for (const blob of before.blobs) blob.fill(0);
      this.#speakTo(logs);
      before.logs.close();
      this.#names.keep(new Set(namedTargets(plan).map(({ host }) => host.name)));
      for (const { host, addresses } of namedTargets(plan)) this.#names.watch(host.name, hostAddresses(addresses));
    } catch (error) {
      this.#plan = before.plan;
      this.#blobs = before.blobs;
      this.#logs = before.logs;
      logs.close();
      for (const blob of blobs) blob.fill(0);
      for (const worker of this.#workers) worker.handLogs(before.logs);
      for (const worker of this.#workers) if (worker.ready) worker.tell({ type: 'plan', plan: before.plan }, before.blobs);
      throw error;
    } finally {
      clearTimeout(late);
      this.#applying = null;
    }
  }

  /** Has the control plane's own log go where `logs` says. */
  #speakTo({ error }: LogFiles): void {
    const { format, level } = this.#plan.errorLog;
    this.#options.errorLog.use(
      error.fd,
      error.output === 'file',
      (format ?? (error.output === 'terminal' ? 'text' : 'json')) === 'text',
      level,
    );
  }

  /** Opens the logs anew. Resolves when every worker has written out what it had for the ones before, and closed them. */
  async reopen(): Promise<{ readonly workers: number }> {
    if (this.#stopping !== null || this.#applying !== null || this.#reopening !== null) {
      throw new TollgateError('reopen', 'another change is being made; try again');
    }
    const before = this.#logs!;
    const logs = LogFiles.open(this.#plan);
    this.#logs = logs;
    this.#speakTo(logs);
    before.close();
    const ready = this.#workers.filter((worker) => worker.ready);
    const reopening = new Reopening(logs, ready);
    this.#reopening = reopening;
    try {
      for (const worker of this.#workers) worker.handLogs(logs);
      await reopening.whenDone(REOPEN_MS);
      return { workers: ready.length };
    } finally {
      this.#reopening = null;
    }
  }

  /** Why `plan` cannot be run by these workers on these sockets, or null. */
  #whyNot(plan: Plan): string | null {
    if (this.#stopping !== null) return 'it is being stopped';
    if (this.#applying !== null) return 'another change is being applied';
    const sockets = ({ listeners }: Plan): string[] =>
      listeners.map(({ address, socket }) => `${addressText(address)} ${JSON.stringify(socket)}`).sort();
    const [now, then] = [sockets(this.#plan), sockets(plan)];
    const changed = [...then.filter((each) => !now.includes(each)), ...now.filter((each) => !then.includes(each))];
    if (changed.length === 0) return null;
    const addresses = [...new Set(changed.map((each) => each.slice(0, each.indexOf(' '))))];
    return `listeners cannot be added, removed or changed in their socket settings while running yet (${addresses.join(', ')}); stop and start instead`;
  }

  /** Serves when it resolves: every worker has adopted the plan. Throws one TollgateError that says what is in the way; nothing is left behind. */
  async start(onCommand: (command: FromCommand) => Promise<unknown>): Promise<void> {
    try {
      this.#goOn();
      this.#logs = LogFiles.open(this.#plan);
      this.#speakTo(this.#logs);
      const opened = await openSockets(this.#options.plan, this.#workers.length);
      this.#plan = opened.plan;
      this.#sockets = opened.sockets;
      this.#goOn();
      this.#control = await ControlServer.open(this.#options.controlPath, {
        onWorker: (hello, link) => this.#onWorker(hello.slot, hello.generation, link),
        onCommand,
      });
      this.#goOn();
      for (const worker of this.#workers) this.#startWorker(worker);
      for (const { host, addresses } of namedTargets(this.#plan)) this.#names.watch(host.name, hostAddresses(addresses));
      this.#timers = [setInterval(() => this.#look(), LOOK_MS), setInterval(() => this.#rotateKeys(), TICKET_ROTATE_MS)];
      const late = setTimeout(() => this.#started.reject(new TollgateError('start', 'the workers do not start')), START_MS);
      try {
        await this.#started.promise;
      } finally {
        clearTimeout(late);
      }
    } catch (error) {
      await this.stop(0);
      await this.#release();
      throw error;
    }
  }

  /** A start goes on only while nobody has called `stop`. */
  #goOn(): void {
    if (this.#stopping !== null) throw new TollgateError('stopped', 'stopped before it had started');
  }

  snapshot(): Snapshot {
    return {
      plan: this.#plan,
      table: this.#table,
      startedMs: this.#startedMs,
      draining: this.#stopping !== null,
      workers: this.#workers.map(({ slot, pid, ready, restarts }) => ({
        slot,
        pid,
        ready,
        restarts,
        coveredBy: this.#workers.find((other) => other.covers.includes(slot))?.slot ?? null,
      })),
    };
  }

  // --- workers ----------------------------------------------------------------------------------------------------------

  #startWorker(worker: WorkerProcess): void {
    const environment: WorkerEnvironment = {
      controlPath: this.#options.controlPath,
      tableFd: this.#tableFd,
      logs: this.#logs!,
      flags: this.#options.nodeFlags,
    };
    const { state } = this.#table.worker(worker.slot);
    state[S_STATE] = STATE_STARTING;
    state[S_HEARTBEAT_S] = monotonicS();
    worker.start(environment, this.#sockets, (how) => this.#onExit(worker, how));
    state[S_GENERATION] = worker.generation;
  }

  #onWorker(slot: number, generation: number, link: WorkerLink): ((message: FromWorker) => void) | null {
    const worker = this.#workers[slot];
    if (worker === undefined || worker.generation !== generation || worker.pid === null || worker.link !== null) return null;
    worker.link = link;
    const { keys, secrets } = this.#keys.all;
    worker.tell({ type: 'tickets', keys }, secrets);
    worker.tell({ type: 'plan', plan: this.#plan }, this.#blobs);
    for (const { slot: target, host } of namedTargets(this.#plan)) this.#tellAddresses(worker, target, host);
    return (message) => this.#onMessage(worker, message);
  }

  #onMoved(name: string): void {
    for (const { slot, host } of namedTargets(this.#plan)) {
      if (host.name === name) for (const worker of this.#workers) this.#tellAddresses(worker, slot, host);
    }
  }

  #tellAddresses(worker: WorkerProcess, target: number, host: TargetHost): void {
    const addresses = this.#names.addresses(host.name).map(({ address: ip, family }) => ({ family, ip, port: host.port }));
    if (addresses.length > 0) worker.tell({ type: 'addresses', target, addresses });
  }

  #onMessage(worker: WorkerProcess, message: FromWorker): void {
    const applying = this.#applying;
    if (message.type === 'reopened') {
      this.#reopening?.onReopened(worker, message.serial);
      return;
    }
    if (message.type !== 'drained' && applying !== null && message.planId === applying.planId && applying.waiting.delete(worker)) {
      if (message.type === 'refused') applying.reject(new TollgateError('reload', message.error));
      else if (applying.waiting.size === 0) applying.resolve();
      if (message.type === 'refused') return;
    }
    if (message.type === 'adopted' && applying === null && message.planId !== this.#plan.id) {
      // It was born while a change was tried that has been taken back since.
      worker.handLogs(this.#logs!);
      worker.tell({ type: 'plan', plan: this.#plan }, this.#blobs);
      return;
    }
    if (message.type === 'adopted') {
      worker.ready = true;
      this.#log.debug({ worker: worker.slot, pid: worker.pid, plan: message.planId, ms: message.ms }, 'worker serves');
      if (worker.restarts > 0 && applying === null) this.#log.info({ worker: worker.slot, pid: worker.pid }, 'worker replaced');
      this.#assignCovers();
      if (this.#workers.every((each) => each.ready)) this.#started.resolve();
    } else if (message.type === 'refused') {
      this.#log.error({ worker: worker.slot, plan: message.planId, reason: message.error }, 'worker refused the plan');
      this.#started.reject(new TollgateError('plan', message.error));
      worker.kill('SIGKILL');
    }
  }

  #onExit(worker: WorkerProcess, how: string): void {
    const livedMs = performance.now() - worker.startedMs;
    this.#table.fold(worker.slot);
    // The next process in its place gets the new plan anyway.
    this.#reopening?.onGone(worker);
    if (this.#applying?.waiting.delete(worker) === true && this.#applying.waiting.size === 0) this.#applying.resolve();
    if (this.#stopping !== null) {
      this.#onWorkerGone?.();
      return;
    }
    const delayMs = worker.delay.afterDeath(livedMs);
    worker.restarts++;
    this.#log.error(
      { worker: worker.slot, ended: how, livedS: Math.round(livedMs / 1_000), restartInMs: delayMs },
      'worker ended; starting another',
    );
    this.#assignCovers();
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      if (this.#stopping === null) this.#startWorker(worker);
    }, delayMs);
    this.#restarts.add(timer);
  }

  /** Every slot without a serving worker is accepted for by one that serves, in turn. */
  #assignCovers(): void {
    const living = this.#workers.filter((worker) => worker.ready);
    const gone = this.#workers.filter((worker) => !worker.ready).map((worker) => worker.slot);
    living.forEach((worker, i) => {
      const covers = gone.filter((_, k) => k % living.length === i);
      if (covers.join() === worker.covers.join()) return;
      worker.covers = covers;
      worker.tell({ type: 'cover', slots: covers });
    });
  }

  /** Replaces workers whose loop does not turn. A supervisor that was itself stopped knows nothing of its workers, and looks again first. */
  #look(): void {
    const nowMs = performance.now();
    const late = this.#lookedMs > 0 && nowMs - this.#lookedMs > 2 * LOOK_MS;
    this.#lookedMs = nowMs;
    if (late || this.#stopping !== null) return;
    for (const worker of this.#workers) {
      if (worker.pid === null) continue;
      const quietS = monotonicS() - this.#table.worker(worker.slot).state[S_HEARTBEAT_S]!;
      const allowedS = worker.ready ? STUCK_S : START_MS / 1_000;
      if (quietS <= allowedS) continue;
      this.#log.error({ worker: worker.slot, pid: worker.pid, quietS }, 'worker does not turn its loop; killing it');
      worker.kill('SIGKILL');
    }
  }

  #rotateKeys(): void {
    this.#keys.rotate(Math.floor(Date.now() / 1_000));
    const { keys, secrets } = this.#keys.all;
    for (const worker of this.#workers) worker.tell({ type: 'tickets', keys }, secrets);
  }

  // --- the end ----------------------------------------------------------------------------------------------------------

  /** Drains the workers for `drainMs` at most, kills what is left, and gives everything back. A second call waits for the first. */
  stop(drainMs: number): Promise<void> {
    this.#stopping ??= this.#stop(drainMs);
    return this.#stopping;
  }

  /** Ends the workers at once, while a `stop` waits for them. */
  hurry(): void {
    for (const worker of this.#workers) worker.kill('SIGKILL');
  }

  async #stop(drainMs: number): Promise<void> {
    this.#started.reject(new TollgateError('stopped', 'stopped before the workers had started'));
    for (const timer of [...this.#timers, ...this.#restarts]) clearTimeout(timer);
    // Ours first: with the last copy of a socket the port is free, and nobody waits in a queue that no one empties.
    closeSockets(this.#sockets);
    this.#sockets = [];
    for (const worker of this.#workers) {
      if (worker.link === null || drainMs === 0) worker.kill('SIGKILL');
      else worker.tell({ type: 'drain', drainMs });
    }
    const late = setTimeout(() => this.hurry(), drainMs + KILL_MS);
    await new Promise<void>((resolve) => {
      this.#onWorkerGone = () => {
        if (this.#workers.every((worker) => worker.pid === null)) resolve();
      };
      this.#onWorkerGone();
    });
    clearTimeout(late);
    await this.#release();
  }

  /** Gives back what is held. Called twice where a stop overtakes a start. */
  async #release(): Promise<void> {
    closeSockets(this.#sockets);
    this.#sockets = [];
    this.#names.close();
    const control = this.#control;
    this.#control = null;
    await control?.close();
    for (const blob of this.#blobs) blob.fill(0);
    this.#logs?.close(true);
    this.#logs = null;
    if (this.#tableFd >= 0) closeFd(this.#tableFd);
    this.#tableFd = -1;
  }
}

/** A change of plan that not every worker has answered yet. */
interface Applying {
  readonly planId: number;
  readonly waiting: Set<WorkerProcess>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

type TargetHost = NonNullable<TargetPlan['host']>;

/** Targets that were written with a name. */
function namedTargets(plan: Plan): (TargetPlan & { readonly host: TargetHost })[] {
  return plan.upstreams.flatMap(({ targets }) => targets.filter((target) => target.host !== null) as (TargetPlan & { host: TargetHost })[]);
}

function hostAddresses(addresses: readonly TargetAddress[]): HostAddress[] {
  return addresses.flatMap((address) => (address.family === 0 ? [] : [{ address: address.ip, family: address.family }]));
}
