/** A running Tollgate: supervisor, admin address, and the answers to commands, put together from a loaded configuration. */
import { availableParallelism } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { compile } from '../config/compile.ts';
import { findingText } from '../config/findings.ts';
import type { LoadedConfig } from '../config/load.ts';
import { isFastOpenActive } from '../native/listen-sockets.ts';
import type { ErrorLog, Log } from '../observe/log.ts';
import { renderMetrics } from '../observe/metrics.ts';
import { makeStatus, type Status } from '../observe/status.ts';
import type { FromCommand } from '../plan/messages.ts';
import type { ListenAddress, Plan } from '../plan/plan.ts';
import { makeAdmin, openAdmin } from './admin.ts';
import { prepareRuntimeDirectory } from './runtime-directory.ts';
import { Supervisor } from './supervisor.ts';

export interface InstanceOptions {
  readonly loaded: LoadedConfig;
  readonly runtimeDirectory: string;
  readonly log: Log;
  readonly errorLog: ErrorLog;
  readonly nodeFlags?: readonly string[];
  /** Reads the configuration again; absent where there is no file. */
  readonly reload?: () => Promise<LoadedConfig>;
}

export class Instance {
  readonly #options: InstanceOptions;
  readonly #supervisor: Supervisor;
  #planId = 1;
  readonly #admin: FastifyInstance;
  readonly #adminAddress: ListenAddress | null;
  readonly #ended = Promise.withResolvers<void>();
  #stopping = false;

  private constructor(options: InstanceOptions, supervisor: Supervisor, adminAddress: ListenAddress | null) {
    this.#options = options;
    this.#supervisor = supervisor;
    this.#adminAddress = adminAddress;
    this.#admin = makeAdmin({
      metrics: () => renderMetrics({ ...supervisor.snapshot(), version: tollgateVersion() }),
      status: () => this.status(),
      notReady: () => this.notReady(),
    });
  }

  /** A Tollgate ready to start: its plan is whole, nothing runs yet. Throws ConfigError or TollgateError. */
  static async prepare(options: InstanceOptions): Promise<Instance> {
    const { loaded, log, errorLog } = options;
    const { config } = loaded;
    const controlPath = await prepareRuntimeDirectory(options.runtimeDirectory);
    const { plan, blobs, warnings } = await compile(loaded, { planId: 1 });
    for (const warning of warnings) log.warn(findingText(warning));
    const supervisor = new Supervisor({
      plan,
      blobs,
      workers: config.workers === 'auto' ? availableParallelism() : config.workers,
      controlPath,
      log,
      errorLog,
      nodeFlags: options.nodeFlags ?? [],
    });
    return new Instance(options, supervisor, config.admin.listen);
  }

  /** Serves when it resolves true; false when `stop` was called before. Throws TollgateError, with nothing left behind. */
  async start(): Promise<boolean> {
    try {
      if (this.#adminAddress !== null) await openAdmin(this.#admin, this.#adminAddress);
      await this.#supervisor.start((command) => this.#onCommand(command));
      return !this.#stopping;
    } catch (error) {
      await this.#admin.close();
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
    return makeStatus({ ...this.#supervisor.snapshot(), version: tollgateVersion(), fastOpenActive: isFastOpenActive() });
  }

  notReady(): string | null {
    const { draining, workers } = this.#supervisor.snapshot();
    if (draining) return 'draining';
    return workers.some((worker) => worker.ready) ? null : 'no worker serves';
  }

  async #onCommand(command: FromCommand): Promise<unknown> {
    if (command.type === 'status') return this.status();
    if (command.type === 'stop') {
      setImmediate(() => void this.stop());
      return { pid: process.pid, drainMs: this.plan.timeouts.drainMs };
    }
    if (command.type === 'reopen') return await this.#supervisor.reopen();
    if (command.type === 'reload') return await this.reload();
    throw new Error('this tollgate does not know that command');
  }

  /**
   * Reads the configuration again and runs it, in the running workers: certificates, routes, upstreams, limits, lists. Throws ConfigError or
   * TollgateError, with everything as it was.
   */
  async reload(): Promise<{ readonly plan: number; readonly ms: number; readonly warnings: readonly string[] }> {
    const { reload, log } = this.#options;
    if (reload === undefined) throw new TollgateError('reload', 'there is no configuration file to read again');
    const startMs = performance.now();
    const loaded = await reload();
    const { plan, blobs, warnings } = await compile(loaded, { planId: ++this.#planId, previous: this.plan });
    await this.#supervisor.apply(plan, blobs);
    const ms = Math.round(performance.now() - startMs);
    const texts = warnings.map(findingText);
    for (const text of texts) log.warn(text);
    log.info({ plan: plan.id, ms }, 'the configuration was read again, and runs');
    return { plan: plan.id, ms, warnings: texts };
  }

  /** Drains and ends, a start that is under way too. Called again, it ends at once. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      this.#supervisor.hurry();
      return;
    }
    this.#stopping = true;
    await this.#supervisor.stop(this.plan.timeouts.drainMs);
    await this.#admin.close();
    this.#ended.resolve();
  }
}
