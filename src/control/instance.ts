/** A running Tollgate: supervisor, admin address, and the answers to commands, put together from a loaded configuration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { HANDSHAKE_FAULTS } from '../base/faults.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { compile, continued } from '../config/compile.ts';
import { certificateDirectoriesOf, filesOf } from '../config/files-of.ts';
import { findingText } from '../config/findings.ts';
import type { LoadedConfig } from '../config/load.ts';
import { parseNetwork } from '../config/networks.ts';
import { becomeUser, hideMemory, passingOn, passNothingOn } from '../native/privileges.ts';
import { explainHello } from '../observe/explain-hello.ts';
import type { ErrorLog, Log } from '../observe/log.ts';
import { type MetricsSource, renderMetrics } from '../observe/metrics.ts';
import { RateMeter } from '../observe/rates.ts';
import { makeStatus, type Status } from '../observe/status.ts';
import { TargetMeter } from '../observe/target-meter.ts';
import {
  C_BYTES_IN,
  C_BYTES_OUT,
  C_FAULTS,
  C_HANDSHAKES_TLS12,
  C_HANDSHAKES_TLS12_RESUMED,
  C_HANDSHAKES_TLS13,
  C_HANDSHAKES_TLS13_RESUMED,
  C_REQUESTS,
  C_RESPONSES_1XX,
  C_RESPONSES_2XX,
  C_RESPONSES_3XX,
  C_RESPONSES_4XX,
  C_RESPONSES_5XX,
} from '../plan/counters.ts';
import type { Author, FromCommand } from '../plan/messages.ts';
import { addressText, type ListenAddress, type Plan } from '../plan/plan.ts';
import { AdminSocket, makeAdmin } from './admin.ts';
import { authorText, Changes, workersOf } from './changes.ts';
import { type Answer, ControlServer } from './control-server.ts';
import { inactiveHere } from './doctor.ts';
import { FileWatch } from './file-watch.ts';
import type { HealthSample } from './health-watch.ts';
import type { History } from './history.ts';
import { type Inheritance, inheritFromSupervisor, inheritFromWorkers, type Predecessor } from './inheritance.ts';
import { OtlpExporter } from './otlp-exporter.ts';
import { livingWorkers } from './process-identity.ts';
import { processView } from './process-view.ts';
import { controlSocketPath, makeDirectoryFor, prepareRuntimeDirectory } from './runtime-directory.ts';
import { Service } from './service.ts';
import { Supervisor } from './supervisor.ts';
import { successorEnvironment } from './systemd.ts';
import { findUser } from './user.ts';

/** A successor must serve within this time. Milliseconds. */
const SUCCESSOR_MS = 60_000;
const SECOND_MS = 1_000;
/** Connections in one answer. */
const CONNECTIONS_SHOWN_MAX = 100_000;

export interface InstanceOptions {
  readonly loaded: LoadedConfig;
  readonly runtimeDirectory: string;
  readonly log: Log;
  readonly errorLog: ErrorLog;
  readonly nodeFlags?: readonly string[];
  /** The configuration file; null: there is none, and nothing to read again. */
  readonly file: string | null;
  readonly history: History | null;
  /** Who starts it. */
  readonly author: Author;
  /** Takes the place of the supervisor that runs in `runtimeDirectory`. */
  readonly succeeds: boolean;
  /** Command line of a successor, without `--succeed`. */
  readonly command: readonly string[];
}

export class Instance {
  readonly #options: InstanceOptions;
  readonly #log: Log;
  readonly #control: ControlServer;
  readonly #service: Service;
  readonly #supervisor: Supervisor;
  readonly #changes: Changes;
  readonly #telemetry: OtlpExporter;
  readonly #predecessor: Predecessor | null;
  #inheritedAdmin: Inheritance['admin'];
  #admin: AdminSocket | null = null;
  #watch: FileWatch | null = null;
  #successor: Successor | null = null;
  readonly #ended = Promise.withResolvers<void>();
  readonly #meter = new RateMeter();
  readonly #targetMeter = new TargetMeter();
  readonly #ticker: NodeJS.Timeout;
  #stopping = false;

  private constructor(
    options: InstanceOptions,
    control: ControlServer,
    supervisor: Supervisor,
    telemetry: OtlpExporter,
    inheritance: Inheritance | null,
    service: Service,
  ) {
    this.#options = options;
    this.#log = options.log;
    this.#control = control;
    this.#service = service;
    this.#telemetry = telemetry;
    this.#supervisor = supervisor;
    this.#predecessor = inheritance?.predecessor ?? null;
    this.#inheritedAdmin = inheritance?.admin ?? null;
    this.#ticker = setInterval(() => this.#tick(), SECOND_MS);
    this.#ticker.unref();
    this.#changes = new Changes({
      runner: supervisor,
      log: options.log,
      file: options.file,
      history: options.history,
      loaded: options.loaded,
      settle: (loaded, before, dry) => this.#settle(loaded, before, dry),
      health: () => this.#health(),
    });
  }

  /**
   * A Tollgate ready to start: its plan is whole, it has become the user it is to be, and what there is to take over has been handed to it.
   * Throws ConfigError or TollgateError.
   */
  static async prepare(options: InstanceOptions): Promise<Instance> {
    const { loaded, log, runtimeDirectory, succeeds, history } = options;
    const { plan, blobs, warnings } = await compile(loaded, { planId: 1 });
    for (const warning of warnings) log.warn(findingText(warning));
    const user = becomes(loaded);
    if (user !== null && history !== null) makeDirectoryFor(history.directory, user);
    const service = new Service(log);
    const given = service.sockets();
    const lastingPath = succeeds ? controlSocketPath(runtimeDirectory) : await prepareRuntimeDirectory(runtimeDirectory, user);
    if (user !== null) becomeUser(user.uid, user.gid, user.groups);
    passNothingOn();
    hideMemory();
    const starting = {
      onWorker: () => null,
      onCommand: () => Promise.reject(new TollgateError('starting', 'tollgate is being started')),
    };
    const controlPath = succeeds ? lastingPath.replace(/[^/]+$/, `control.${process.pid}`) : lastingPath;
    const control = await ControlServer.open(controlPath, starting);
    let inheritance: Inheritance | null = null;
    try {
      const orphans = succeeds ? [] : livingWorkers(runtimeDirectory);
      if (succeeds) inheritance = await inheritFromSupervisor(runtimeDirectory);
      else if (orphans.length > 0) inheritance = await inheritFromWorkers(control, runtimeDirectory, orphans, log);
      const id = Math.max(history?.last ?? 0, inheritance?.previous?.id ?? 0) + 1;
      const telemetry = new OtlpExporter({ log, source: () => instance.#metricsSource() });
      const supervisor: Supervisor = new Supervisor({
        plan: continued(plan, id, inheritance?.previous ?? null),
        blobs,
        workers: workersOf(loaded),
        control,
        lastingPath,
        inheritance,
        given,
        log,
        errorLog: options.errorLog,
        onSpans: (spans) => telemetry.add(spans),
        nodeFlags: options.nodeFlags ?? [],
      });
      const instance: Instance = new Instance(options, control, supervisor, telemetry, inheritance, service);
      return instance;
    } catch (error) {
      for (const blob of blobs) blob.fill(0);
      await control.close();
      throw error;
    }
  }

  /** Serves when it resolves true; false when `stop` was called before. Throws TollgateError, with nothing left behind. */
  async start(): Promise<boolean> {
    try {
      const { listen } = this.#options.loaded.config.admin;
      // A predecessor answers on it until it leaves.
      if (listen !== null && this.#predecessor === null) await this.#openAdmin(listen);
      this.#telemetry.configure(this.#options.loaded.config.telemetry ?? null);
      await this.#supervisor.start((command) => this.#onCommand(command));
      if (this.#predecessor !== null) {
        await this.#predecessor.succeeded();
        this.#supervisor.takeCharge();
        if (listen !== null) await this.#openAdmin(listen);
      }
      if (process.getuid?.() === 0 && this.#options.file !== null) {
        this.#log.warn('tollgate runs as root; with user: it becomes somebody else once it has read its keys');
      }
      await this.#changes.begin(this.#options.author);
      await this.#watchFiles();
      this.#service.keep(this.#supervisor.sockets);
      this.#service.ready(this.#serviceText());
      return !this.#stopping;
    } catch (error) {
      this.#changes.close();
      clearInterval(this.#ticker);
      this.#telemetry.configure(null);
      await this.#supervisor.giveUp();
      await this.#admin?.close(false);
      const message = error instanceof Error ? error.message : String(error);
      await this.#predecessor?.failed(message).catch(() => {});
      if (this.#stopping) return false;
      throw error;
    }
  }

  get plan(): Plan {
    return this.#supervisor.plan;
  }

  /** Resolves when everything has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  status(): Status {
    return makeStatus({
      ...this.#supervisor.snapshot(),
      version: tollgateVersion(),
      inactive: inactiveHere(this.plan, this.#supervisor.workers),
      rates: this.#meter.rates(),
      meter: this.#targetMeter,
      changes: this.#changes.counts,
      trialUntilMs: this.#changes.trialUntilMs,
      keyLog: this.#supervisor.keyLog.view,
      revocation: this.#supervisor.certificateStatus.revocation,
      file: this.#changes.loaded.file,
    });
  }

  notReady(): string | null {
    const { draining, workers } = this.#supervisor.snapshot();
    if (draining) return 'draining';
    return workers.some((worker) => worker.ready) ? null : 'no worker serves';
  }

  /** Reads the configuration again. */
  async reload(author: Author): Promise<void> {
    await this.#change(() => this.#changes.reload(author));
  }

  #serviceText(): string {
    const { plan, workers } = this.#supervisor;
    return `configuration ${plan.id}: ${plan.listeners.length} listeners, ${workers} workers`;
  }

  // --- commands ---------------------------------------------------------------------------------------------------------

  async #onCommand(command: FromCommand): Promise<Answer> {
    const changes = this.#changes;
    switch (command.type) {
      case 'status':
        return { value: this.status() };
      case 'stop':
        setImmediate(() => void this.stop());
        return { value: { pid: process.pid, drainMs: this.plan.timeouts.drainMs } };
      case 'reload':
        return { value: await (command.dryRun ? changes.dryRun() : this.#change(() => changes.reload(command.author))) };
      case 'apply':
        return { value: await this.#change(() => changes.apply(command.author, command.file, command.confirmMs)) };
      case 'confirm':
        return { value: changes.confirm(command.author) };
      case 'rollback':
        return { value: await this.#change(() => changes.rollback(command.author, command.to)) };
      case 'reopen':
        return { value: await this.#supervisor.reopen() };
      case 'explain':
        return { value: explainHello(this.plan, Buffer.from(command.hello, 'hex'), command.host, command.path, Date.now()) };
      case 'history':
        return { value: changes.history() };
      case 'connections': {
        const { filter, close, most } = command;
        const client = filter.client === null ? null : networkOf(filter.client);
        const answer = await this.#supervisor.connections({ ...filter, client }, close, Math.min(most, CONNECTIONS_SHOWN_MAX));
        if (close) this.#log.info({ author: authorText(command.author), filter, connections: answer.total }, 'connections were ended');
        return { value: answer };
      }
      case 'debug': {
        const client = command.client === null ? null : networkOf(command.client);
        const { route, forMs } = command;
        this.#supervisor.watchClosely(client, route, forMs);
        this.#log.info({ author: authorText(command.author), client, route, seconds: forMs / 1_000 }, 'debug log');
        return { value: null };
      }
      case 'keylog': {
        const { listener, file, forMs } = command;
        const author = authorText(command.author);
        if (forMs > 0) this.#supervisor.keyLog.start(this.plan.listeners, listener, file, forMs, author);
        else if (!this.#supervisor.keyLog.end(`ended by ${author}`)) throw new TollgateError('keylog', 'no keys are logged');
        return { value: this.#supervisor.keyLog.view };
      }
      case 'upgrade':
        return { value: await this.#upgrade(command.author) };
      case 'succeed':
        if (this.#successor === null) throw new TollgateError('succession', 'nobody asked for an upgrade');
        return this.#supervisor.handOver(command.path, this.#admin);
      case 'succeeded':
        return { value: this.#onSucceeded(command.pid) };
      case 'failed':
        this.#successor?.failed(command.message);
        return { value: null };
      default:
        throw new Error('this tollgate does not know that command');
    }
  }

  async #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = await this.#service.reloading(change, () => this.#serviceText());
    this.#telemetry.configure(this.#changes.loaded.config.telemetry ?? null);
    this.#service.keep(this.#supervisor.sockets);
    await this.#watchFiles();
    return result;
  }

  /** What can only be told here about a change: throws when it cannot be while running; what it returns makes the rest so. */
  async #settle(loaded: LoadedConfig, before: LoadedConfig, dry: boolean): Promise<() => void> {
    const fixed = [
      ['runtime', loaded.config.runtime, before.config.runtime],
      ['user', loaded.config.user, before.config.user],
      ['group', loaded.config.group, before.config.group],
    ] as const;
    for (const [name, then, now] of fixed) {
      if (then !== now) throw new TollgateError('reload', `${name} cannot be changed while running; stop and start instead`);
    }
    const { listen } = loaded.config.admin;
    const old = before.config.admin.listen;
    if (dry || (listen === null ? null : addressText(listen)) === (old === null ? null : addressText(old))) return () => {};
    const next = listen === null ? null : await this.#adminOn(listen, null);
    const last = this.#admin;
    return () => {
      this.#admin = next;
      void last?.close(false);
    };
  }

  async #watchFiles(): Promise<void> {
    const { loaded } = this.#changes;
    const files = loaded.config.watch ? filesOf(loaded) : certificateDirectoriesOf(loaded);
    if (files.length === 0) {
      this.#watch?.close();
      this.#watch = null;
      return;
    }
    this.#watch ??= new FileWatch(() => {
      this.reload({ user: 'tollgate', by: 'watch' }).catch((error: unknown) => {
        this.#log.error({ reason: error instanceof Error ? error.message : String(error) }, 'files changed, but nothing was');
      });
    });
    await this.#watch.watch(files, loaded.readAtMs);
  }

  // --- the admin address ------------------------------------------------------------------------------------------------

  async #openAdmin(address: ListenAddress): Promise<void> {
    const inherited = this.#inheritedAdmin;
    this.#inheritedAdmin = null;
    this.#admin = await this.#adminOn(address, inherited);
  }

  async #adminOn(address: ListenAddress, inherited: Inheritance['admin']): Promise<AdminSocket> {
    const admin = makeAdmin({
      metrics: () => renderMetrics(this.#metricsSource()),
      status: () => this.status(),
      notReady: () => this.notReady(),
    });
    return await AdminSocket.open(admin, address, inherited);
  }

  #metricsSource(): MetricsSource {
    return { ...this.#supervisor.snapshot(), version: tollgateVersion(), changes: this.#changes.counts, self: processView() };
  }

  #tick(): void {
    const { plan, table } = this.#supervisor.snapshot();
    const { handshakes, handshakeFailures, answers5xx } = this.#health();
    const counts = {
      requests: table.counter(C_REQUESTS),
      handshakes,
      handshakeFailures,
      answers5xx,
      bytesIn: table.counter(C_BYTES_IN),
      bytesOut: table.counter(C_BYTES_OUT),
    };
    this.#meter.add(counts, performance.now());
    this.#targetMeter.look(plan, table, performance.now());
  }

  #health(): HealthSample {
    const { table } = this.#supervisor.snapshot();
    const sum = (...places: readonly number[]): number => places.reduce((total, place) => total + table.counter(place), 0);
    return {
      handshakes: sum(C_HANDSHAKES_TLS12, C_HANDSHAKES_TLS12_RESUMED, C_HANDSHAKES_TLS13, C_HANDSHAKES_TLS13_RESUMED),
      handshakeFailures: sum(...HANDSHAKE_FAULTS.map(({ code }) => C_FAULTS - code)),
      answers: sum(C_RESPONSES_1XX, C_RESPONSES_2XX, C_RESPONSES_3XX, C_RESPONSES_4XX, C_RESPONSES_5XX),
      answers5xx: sum(C_RESPONSES_5XX),
    };
  }

  // --- succession -------------------------------------------------------------------------------------------------------

  /** Starts the program anew, as it is installed now, and leaves when that serves. Throws when it does not, with everything as it was. */
  async #upgrade(author: Author): Promise<{ readonly pid: number }> {
    if (this.#options.file === null) throw new TollgateError('upgrade', 'without a configuration file there is nothing to go on with');
    if (this.#stopping || this.#successor !== null) throw new TollgateError('upgrade', 'it is being stopped or upgraded already');
    this.#log.info({ author: authorText(author) }, 'a successor is started');
    const child = passingOn(() =>
      spawn(process.execPath, [...process.execArgv, ...this.#options.command, '--succeed'], {
        stdio: ['ignore', 'inherit', 'inherit'],
        env: successorEnvironment(),
      }),
    );
    const successor = new Successor(child);
    this.#successor = successor;
    try {
      return await successor.outcome;
    } catch (error) {
      this.#successor = null;
      throw error;
    }
  }

  #onSucceeded(pid: number): null {
    const successor = this.#successor;
    if (successor === null) throw new TollgateError('succession', 'nobody asked for an upgrade');
    this.#stopping = true;
    this.#control.leave();
    this.#changes.close();
    clearInterval(this.#ticker);
    this.#watch?.close();
    successor.succeeded(pid);
    this.#service.handTo(pid);
    void this.#leave(successor);
    return null;
  }

  async #leave(successor: Successor): Promise<void> {
    await this.#admin?.close(true);
    await this.#control.flushed();
    await this.#supervisor.leave();
    await this.#telemetry.close();
    this.#log.info({ successor: successor.pid }, 'a successor serves; this process ends');
    // The first process of a container must stay for as long as the container is to live.
    if (process.pid === 1) await successor.stayFor();
    else successor.release();
    this.#ended.resolve();
  }

  // --- the end ----------------------------------------------------------------------------------------------------------

  /** Drains and ends, a start that is under way too. Called again, it ends at once. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      if (this.#successor !== null) this.#successor.forward('SIGTERM');
      else {
        this.#supervisor.hurry();
        this.#telemetry.hurry();
      }
      return;
    }
    this.#stopping = true;
    this.#changes.close();
    clearInterval(this.#ticker);
    this.#watch?.close();
    this.#successor?.failed('it is being stopped');
    this.#service.stopping();
    await this.#supervisor.stop(this.plan.timeouts.drainMs);
    await this.#telemetry.close();
    await this.#admin?.close(false);
    this.#ended.resolve();
  }
}

/** The process that is to take our place. */
class Successor {
  readonly #child: ChildProcess;
  readonly #outcome = Promise.withResolvers<{ readonly pid: number }>();
  readonly #late: NodeJS.Timeout;
  #serves = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.once('error', (error) => this.failed(error.message));
    child.once('exit', (code, signal) => this.failed(`it ended with ${signal ?? `exit code ${code}`} before it served; see the log`));
    this.#late = setTimeout(() => this.failed('it does not serve in time'), SUCCESSOR_MS);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get outcome(): Promise<{ readonly pid: number }> {
    return this.#outcome.promise;
  }

  failed(message: string): void {
    if (this.#serves) return;
    clearTimeout(this.#late);
    this.#outcome.reject(new TollgateError('upgrade', `the successor does not serve: ${message}`));
    this.#child.kill('SIGKILL');
  }

  succeeded(pid: number): void {
    this.#serves = true;
    clearTimeout(this.#late);
    this.#outcome.resolve({ pid });
  }

  forward(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stayFor(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await new Promise((resolve) => this.#child.once('exit', resolve));
  }

  release(): void {
    this.#child.unref();
  }
}

function networkOf(text: string): string {
  const parsed = parseNetwork(text);
  if (typeof parsed === 'string') throw new TollgateError('network', parsed);
  return parsed.network;
}

/** Who a process started as root is to become; null: it stays who it is. */
function becomes(loaded: LoadedConfig): ReturnType<typeof findUser> | null {
  const { user, group } = loaded.config;
  return process.getuid?.() !== 0 || user === undefined ? null : findUser(user, group);
}
