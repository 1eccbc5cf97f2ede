/**
 * Which configuration runs, and how it comes to be another one: read again, tried for a while, taken back. One change at a time; one that
 * fails leaves everything as it was. Every one that succeeds is kept in the history.
 */
import { availableParallelism } from 'node:os';
import { TollgateError } from '../base/tollgate-error.ts';
import { compile } from '../config/compile.ts';
import { type Configured, difference } from '../config/difference.ts';
import { findingText } from '../config/findings.ts';
import { type LoadedConfig, loadConfig, type SourceFile } from '../config/load.ts';
import type { Log } from '../observe/log.ts';
import type { Author } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';
import type { HealthSample } from './health-watch.ts';
import { HealthWatch } from './health-watch.ts';
import type { History, HistoryEntry } from './history.ts';

const SECOND_MS = 1_000;

/** Who runs plans. */
export interface Runner {
  readonly plan: Plan;
  apply(plan: Plan, blobs: readonly Buffer[], workers: number): Promise<void>;
  tryOut(plan: Plan, workers: number): Promise<Plan>;
}

export interface ChangesOptions {
  readonly runner: Runner;
  readonly log: Log;
  /** Null: there is no file, and so nothing to change. */
  readonly file: string | null;
  /** Null: nothing is kept. */
  readonly history: History | null;
  /** What runs from the start. */
  readonly loaded: LoadedConfig;
  /** Called before anything is changed: throws when it cannot be while running, and returns what makes it so when the plan runs. */
  readonly settle: (loaded: LoadedConfig, before: LoadedConfig, dry: boolean) => Promise<() => void>;
  readonly health: () => HealthSample;
}

export interface ChangeAnswer {
  readonly plan: number;
  readonly ms: number;
  readonly file: string;
  readonly difference: readonly string[];
  readonly warnings: readonly string[];
  /** Unix time at which it is taken back unless somebody confirms it, milliseconds; null: it stays. */
  readonly untilMs: number | null;
}

/** How often configurations came to run, and did not. */
export interface ChangeCounts {
  readonly applied: number;
  readonly refused: number;
  /** Unix time, milliseconds; 0: never. */
  readonly lastAppliedMs: number;
}

interface Running {
  readonly loaded: LoadedConfig;
  readonly file: string;
  /** Its entry in the history, 0: none; for one that was taken back to, the entry it repeats. */
  readonly entry: number;
  readonly repeats: number;
}

interface Trial {
  readonly back: Running;
  readonly timer: NodeJS.Timeout;
}

export function workersOf({ config }: LoadedConfig): number {
  return config.workers === 'auto' ? availableParallelism() : config.workers;
}

export class Changes {
  readonly #options: ChangesOptions;
  readonly #log: Log;
  readonly #health = new HealthWatch();
  #running: Running;
  #planId: number;
  #trial: Trial | null = null;
  #trialUntilMs: number | null = null;
  #counts: ChangeCounts = { applied: 0, refused: 0, lastAppliedMs: Date.now() };
  /** Changes, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #ticker: NodeJS.Timeout;
  #takingBack = false;
  #closed = false;

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#planId = options.runner.plan.id;
    this.#running = { loaded: options.loaded, file: options.file ?? '', entry: 0, repeats: 0 };
    this.#ticker = setInterval(() => this.#tick(), SECOND_MS);
    this.#ticker.unref();
  }

  get counts(): ChangeCounts {
    return this.#counts;
  }

  /** What runs. */
  get loaded(): LoadedConfig {
    return this.#running.loaded;
  }

  get trialUntilMs(): number | null {
    return this.#trialUntilMs;
  }

  /** Puts what the program began with into the history, unless it is there already. */
  async begin(author: Author): Promise<void> {
    const { history } = this.#options;
    if (history === null) return;
    const [newest] = history.list();
    const { loaded, file } = this.#running;
    if (newest !== undefined && isSame(newest.sources, loaded.sources)) {
      this.#running = { ...this.#running, entry: newest.id, repeats: newest.id };
      return;
    }
    const lines = newest === undefined ? [] : await this.#sinceEntry(newest, loaded);
    await this.#keep(author, loaded, file, lines, 0);
  }

  async #sinceEntry(entry: HistoryEntry, loaded: LoadedConfig): Promise<readonly string[]> {
    const { plan } = this.#options.runner;
    try {
      const before = await loadConfig(entry.file, entry.sources);
      return difference({ value: before.written, plan }, { value: loaded.written, plan });
    } catch {
      return ['what ran before cannot be read by this version'];
    }
  }

  /** Reads the configuration again and runs it. */
  async reload(author: Author): Promise<ChangeAnswer> {
    return await this.#inTurn(async () => {
      this.#noTrial();
      return await this.#change(author, await this.#read(this.#running.file), this.#running.file, 0);
    });
  }

  /** What a reload would change, and whether it could. */
  async dryRun(): Promise<ChangeAnswer> {
    return await this.#inTurn(async () => {
      const startMs = performance.now();
      const loaded = await this.#read(this.#running.file);
      const { runner } = this.#options;
      const { plan, blobs, warnings } = await compile(loaded, { planId: this.#planId, previous: runner.plan });
      for (const blob of blobs) blob.fill(0);
      await this.#options.settle(loaded, this.#running.loaded, true);
      const would = await runner.tryOut(plan, workersOf(loaded));
      return {
        plan: this.#planId,
        ms: Math.round(performance.now() - startMs),
        file: this.#running.file,
        difference: difference(this.#configured(), { value: loaded.written, plan: would }),
        warnings: warnings.map(findingText),
        untilMs: null,
      };
    });
  }

  /**
   * Runs `file` (null: the file that runs, read again). With `confirmMs` it is taken back by itself when nobody confirms it in that time, or
   * when failed handshakes or 5xx answers get clearly more.
   */
  async apply(author: Author, file: string | null, confirmMs: number): Promise<ChangeAnswer> {
    return await this.#inTurn(async () => {
      this.#noTrial();
      const from = file ?? this.#running.file;
      const { history } = this.#options;
      const back = this.#running;
      if (confirmMs > 0 && (history === null || back.entry === 0)) {
        throw new TollgateError('no_history', 'there is no history to go back to; see the log for why it is not kept');
      }
      const loaded = await this.#read(from);
      this.#health.begin(this.#options.health());
      if (confirmMs === 0) return await this.#change(author, loaded, from, 0);
      // First of all: what cannot be remembered over a restart cannot be tried.
      await this.#beginTrial(history!, { id: this.#planId + 1, back: back.entry });
      const answer = await this.#change(author, loaded, from, 0).catch((error: unknown) => {
        history!.endTrial();
        throw error;
      });
      const timer = setTimeout(() => void this.#takeBack('nobody confirmed it'), confirmMs);
      this.#trial = { back, timer };
      this.#trialUntilMs = Date.now() + confirmMs;
      return { ...answer, untilMs: this.#trialUntilMs };
    });
  }

  /** What is tried stays. */
  confirm(author: Author): { readonly plan: number } {
    if (this.#trial === null) throw new TollgateError('no_trial', 'nothing waits to be confirmed');
    this.#endTrial();
    this.#log.info({ plan: this.#options.runner.plan.id, author: authorText(author) }, 'the configuration was confirmed');
    return { plan: this.#options.runner.plan.id };
  }

  /** Runs an earlier configuration again; null: the one before this. */
  async rollback(author: Author, to: number | null): Promise<ChangeAnswer> {
    return await this.#inTurn(async () => {
      const { history } = this.#options;
      const trial = this.#trial;
      const entry = history === null ? null : this.#entry(history, to ?? trial?.back.entry ?? null);
      if (entry === null) {
        throw new TollgateError(
          'no_history',
          to === null ? 'there is no earlier configuration' : `there is no configuration ${to}; see tollgate history`,
        );
      }
      const answer = await this.#change(author, await this.#read(entry.file, entry.sources), entry.file, entry.id);
      this.#endTrial();
      return answer;
    });
  }

  #entry(history: History, id: number | null): HistoryEntry | null {
    if (id !== null) return history.find(id);
    return history.list().find((each) => each.id < this.#running.repeats) ?? null;
  }

  history(): readonly (HistoryEntry & { readonly runs: boolean })[] {
    return (this.#options.history?.list() ?? []).map((entry) => ({ ...entry, sources: [], runs: entry.id === this.#running.entry }));
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    if (this.#trial !== null) clearTimeout(this.#trial.timer);
  }

  // --- the change itself ------------------------------------------------------------------------------------------------

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#options.file === null) throw new TollgateError('reload', 'there is no configuration file to read again');
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    try {
      return await mine;
    } catch (error) {
      this.#counts = { ...this.#counts, refused: this.#counts.refused + 1 };
      throw error;
    }
  }

  #noTrial(): void {
    if (this.#trial !== null) {
      throw new TollgateError(
        'trial',
        'a configuration is being tried: confirm it (tollgate confirm) or take it back (tollgate rollback) first',
      );
    }
  }

  async #read(file: string, kept: readonly SourceFile[] = []): Promise<LoadedConfig> {
    return await loadConfig(file, kept);
  }

  #configured(): Configured {
    return { value: this.#running.loaded.written, plan: this.#options.runner.plan };
  }

  async #change(author: Author, loaded: LoadedConfig, file: string, repeats: number): Promise<ChangeAnswer> {
    const startMs = performance.now();
    const { runner, settle } = this.#options;
    const before = this.#configured();
    const { plan, blobs, warnings } = await compile(loaded, { planId: ++this.#planId, previous: runner.plan });
    const settled = await settle(loaded, this.#running.loaded, false).catch((error: unknown) => {
      for (const blob of blobs) blob.fill(0);
      throw error;
    });
    await runner.apply(plan, blobs, workersOf(loaded));
    settled();
    const ms = Math.round(performance.now() - startMs);
    const lines = difference(before, { value: loaded.written, plan: runner.plan });
    this.#counts = { ...this.#counts, applied: this.#counts.applied + 1, lastAppliedMs: Date.now() };
    if (lines.length > 0 || repeats > 0 || file !== this.#running.file) await this.#keep(author, loaded, file, lines, repeats);
    else this.#running = { ...this.#running, loaded };
    const texts = warnings.map(findingText);
    for (const each of texts) this.#log.warn(each);
    this.#log.info({ plan: plan.id, ms, author: authorText(author), changes: lines.length }, 'the configuration was changed');
    return { plan: plan.id, ms, file, difference: lines, warnings: texts, untilMs: null };
  }

  async #keep(author: Author, loaded: LoadedConfig, file: string, lines: readonly string[], repeats: number): Promise<void> {
    const id = this.#planId;
    let entry = 0;
    try {
      await this.#options.history?.add({ id, appliedMs: Date.now(), author, file, difference: lines, sources: loaded.sources });
      entry = id;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn({ directory: this.#options.history?.directory, reason }, 'the history of configurations cannot be kept');
    }
    this.#running = { loaded, file, entry, repeats: repeats > 0 ? repeats : id };
  }

  // --- trials -----------------------------------------------------------------------------------------------------------

  #tick(): void {
    const sample = this.#options.health();
    if (this.#trial === null) {
      this.#health.add(sample);
      return;
    }
    const worse = this.#health.worse(sample);
    if (worse !== null) void this.#takeBack(worse);
  }

  async #beginTrial(history: History, trial: { readonly id: number; readonly back: number }): Promise<void> {
    try {
      await history.begin(trial);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw new TollgateError(
        'no_history',
        `${history.directory} cannot be written (${code}), so nothing can be tried; nothing was changed`,
        cause,
      );
    }
  }

  #endTrial(): void {
    if (this.#trial === null) return;
    clearTimeout(this.#trial.timer);
    this.#trial = null;
    this.#trialUntilMs = null;
    this.#options.history?.endTrial();
  }

  async #takeBack(reason: string): Promise<void> {
    const trial = this.#trial;
    if (trial === null || this.#takingBack || this.#closed) return;
    this.#takingBack = true;
    clearTimeout(trial.timer);
    this.#log.warn({ plan: this.#options.runner.plan.id, reason }, 'the configuration that was tried is taken back');
    try {
      await this.rollback({ user: 'tollgate', by: `trial: ${reason}` }, null);
    } catch (error) {
      this.#endTrial();
      this.#log.error({ reason: error instanceof Error ? error.message : String(error) }, 'it could not be taken back; it runs on');
    } finally {
      this.#takingBack = false;
    }
  }
}

export function authorText({ user, by }: Author): string {
  return `${user} (${by})`;
}

function isSame(one: readonly SourceFile[], other: readonly SourceFile[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
