/**
 * Every configuration that was applied, with time, author and difference: a file each, for this user alone, so that any of them can be run
 * again. A directory that cannot be written costs the history, never a change.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { writeAtomic } from '../certs/atomic-file.ts';
import type { SourceFile } from '../config/load.ts';
import type { Author } from '../plan/messages.ts';

const ENTRIES_MAX = 100;
const TRIAL_NAME = 'trial.json';

export interface HistoryEntry {
  /** The plan's. */
  readonly id: number;
  /** Unix time, milliseconds. */
  readonly appliedMs: number;
  readonly author: Author;
  /** The configuration file that was read. */
  readonly file: string;
  readonly difference: readonly string[];
  /** What it and the files it includes held. */
  readonly sources: readonly SourceFile[];
}

/** A configuration that nobody has confirmed yet, and the one to go back to. */
export interface Trial {
  readonly id: number;
  readonly back: number;
}

export class History {
  readonly directory: string;

  /** The history of what `file` configures, below the data directory. */
  constructor(dataDirectory: string, file: string) {
    const path = resolve(file);
    const mark = createHash('sha256').update(path).digest('hex').slice(0, 12);
    this.directory = join(dataDirectory, 'history', `${basename(path)}-${mark}`);
  }

  /** Newest first. What cannot be read is left out. */
  list(): readonly HistoryEntry[] {
    return this.#ids()
      .reverse()
      .flatMap((id) => this.find(id) ?? []);
  }

  /** Id of the newest, 0 when there is none. */
  get last(): number {
    return this.#ids().at(-1) ?? 0;
  }

  find(id: number): HistoryEntry | null {
    try {
      const entry = JSON.parse(readFileSync(this.#path(id), 'utf8')) as Partial<HistoryEntry>;
      const whole = entry.id === id && typeof entry.file === 'string' && Array.isArray(entry.sources) && Array.isArray(entry.difference);
      return whole ? (entry as HistoryEntry) : null;
    } catch {
      return null;
    }
  }

  /** Throws what the file system throws. */
  async add(entry: HistoryEntry): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    await writeAtomic(this.#path(entry.id), Buffer.from(`${JSON.stringify(entry, null, 2)}\n`), 0o600);
    for (const id of this.#ids().slice(0, -ENTRIES_MAX)) rmSync(this.#path(id), { force: true });
  }

  /** The trial that was under way when the supervisor was last seen, or null. */
  get trial(): Trial | null {
    try {
      const trial = JSON.parse(readFileSync(join(this.directory, TRIAL_NAME), 'utf8')) as Partial<Trial>;
      return Number.isInteger(trial.id) && Number.isInteger(trial.back) ? (trial as Trial) : null;
    } catch {
      return null;
    }
  }

  async begin(trial: Trial): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    await writeAtomic(join(this.directory, TRIAL_NAME), Buffer.from(JSON.stringify(trial)), 0o600);
  }

  endTrial(): void {
    rmSync(join(this.directory, TRIAL_NAME), { force: true });
  }

  #path(id: number): string {
    return join(this.directory, `${String(id).padStart(8, '0')}.json`);
  }

  #ids(): number[] {
    try {
      return readdirSync(this.directory)
        .flatMap((name) => (/^\d{8}\.json$/.test(name) ? [Number(name.slice(0, 8))] : []))
        .sort((a, b) => a - b);
    } catch {
      return [];
    }
  }
}
