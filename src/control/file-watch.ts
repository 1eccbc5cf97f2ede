/**
 * Tells when files change: looks at each of them now and then. Looking finds what notices of the file system miss: files that are replaced
 * through links, network file systems, directories that come and go.
 */
import { stat } from 'node:fs/promises';

/** Between two looks, and how long all must be quiet before a change is told. Milliseconds. */
const LOOK_MS = 1_000;
/** Files looked at side by side. */
const AT_ONCE = 64;

export class FileWatch {
  readonly #onChange: () => void;
  #files: readonly string[] = [];
  #seen: string | null = null;
  #told: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** `onChange` is called once for changes that come together. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Watches these, which were read at `readAtMs` (Unix time): what has changed since then is a change. */
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
    this.#timer = setTimeout(() => void this.#turn(), LOOK_MS);
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
    const files = this.#files;
    const marks: string[] = [];
    for (let at = 0; at < files.length; at += AT_ONCE) {
      marks.push(...(await Promise.all(files.slice(at, at + AT_ONCE).map((file) => markOf(file, onChanged)))));
    }
    return marks.join('\n');
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

async function markOf(path: string, onChanged?: (changedMs: number) => void): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    onChanged?.(Number(ctimeNs / 1_000n) / 1_000);
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return 'none';
  }
}
