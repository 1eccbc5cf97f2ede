/**
 * Tells when files change: looks at each of them now and then. Looking finds what notices of the file system miss: files that are replaced
 * through links, network file systems, directories that come and go.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Between two looks, and how long all must be quiet before a change is told: at least, and in times of what a look takes. Milliseconds. */
const LOOK_MS = 1_000;
const LOOK_TIMES = 50;
/** Directories are looked into so deep: those that are watched, and those in them. */
const DEPTH = 2;
/** Files looked at side by side. */
const AT_ONCE = 64;

export class FileWatch {
  readonly #onChange: () => void;
  #files: readonly string[] = [];
  #seen: string | null = null;
  #told: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #tookMs = 0;

  /** `onChange` is called once for changes that come together. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Watches these files, and what is in these directories, which were read at `readAtMs` (Unix time): what has changed since then is a change. */
  async watch(files: readonly string[], readAtMs: number): Promise<void> {
    this.#files = [...new Set(files)];
    const watched = this.#files;
    let newest = 0;
    const now = await this.#look((changedMs) => {
      newest = Math.max(newest, changedMs);
    });
    if (watched !== this.#files) return;
    this.#seen = now;
    this.#told = newest > readAtMs ? null : now;
    if (this.#timer === null && !this.#closed) this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#turn(), Math.max(LOOK_MS, LOOK_TIMES * this.#tookMs));
    this.#timer.unref();
  }

  async #turn(): Promise<void> {
    const files = this.#files;
    const now = await this.#look();
    if (this.#closed) return;
    // A change is told when the same was seen twice: who writes has come to an end.
    if (files === this.#files && now === this.#seen && now !== this.#told) {
      this.#told = now;
      this.#onChange();
    }
    this.#seen = now;
    this.#wait();
  }

  async #look(onChanged?: (changedMs: number) => void): Promise<string> {
    const fromMs = performance.now();
    const marks = await marksOf(this.#files, DEPTH, onChanged);
    this.#tookMs = performance.now() - fromMs;
    return marks.join('\n');
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

type OnChanged = ((changedMs: number) => void) | undefined;

async function marksOf(paths: readonly string[], depth: number, onChanged: OnChanged): Promise<string[]> {
  const marks: string[] = [];
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    const some = await Promise.all(paths.slice(at, at + AT_ONCE).map((path) => markOf(path, depth, onChanged)));
    for (const mark of some) marks.push(...mark);
  }
  return marks;
}

async function markOf(path: string, depth: number, onChanged: OnChanged): Promise<string[]> {
  try {
    const status = await stat(path, { bigint: true });
    onChanged?.(Number(status.ctimeNs / 1_000n) / 1_000);
    const own = `${status.ino} ${status.size} ${status.mtimeNs} ${status.ctimeNs}`;
    if (depth === 0 || !status.isDirectory()) return [own];
    const names = (await readdir(path)).sort();
    const below = await marksOf(
      names.map((name) => join(path, name)),
      depth - 1,
      onChanged,
    );
    return [own, ...names, ...below];
  } catch {
    return ['none'];
  }
}
