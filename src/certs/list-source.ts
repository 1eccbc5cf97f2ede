/**
 * One place that lists of revoked certificates come from, looked at again and again: a file when it changes, an address before its list ends
 * and as often as asked, with back-off when it does not answer. A list that is of no use changes nothing: the one before goes on.
 */
import { TollgateError } from '../base/tollgate-error.ts';
import type { Certificate } from '../x509/certificate.ts';
import { CRL_BYTES_MAX } from './crl-reader.ts';
import { fetchBounded } from './http-fetch.ts';
import { fileState, listFiles } from './list-files.ts';
import { closeList, listId, type RevocationList, RevocationListReader } from './revocation-list.ts';

/** How often a file is looked at. Milliseconds. */
const FILE_LOOK_MS = 1_000;
const FETCH_MS = 60_000;
/** First wait after a failure; each next one twice as long. Milliseconds. */
const RETRY_MS = 5_000;
const RETRY_MS_MAX = 600_000;
/** A list is replaced when this share of its life is over. */
const LIFE_SHARE = 0.8;

export interface ListSourceEvents {
  /** A list to use from now on; the source keeps it, and closes the one before. */
  onList(list: RevocationList, source: ListSource): void;
  /** The list cannot be had. Told once until it changes. */
  onProblem(message: string): void;
}

export class ListSource {
  readonly place: string;
  readonly id: string;
  list: RevocationList | null = null;
  issuers: readonly Certificate[];
  refreshMs: number;
  readonly #events: ListSourceEvents;
  readonly #end = new AbortController();
  #loading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #seen = '';
  #validators: Readonly<Record<string, string>> = {};
  #failures = 0;
  #problem = '';
  /** It was told that the list has ended. */
  #toldEnd = false;

  /** `place`: an absolute path, or an http:// address. Nothing happens until `load`. */
  constructor(place: string, issuers: readonly Certificate[], refreshMs: number, events: ListSourceEvents) {
    this.place = place;
    this.id = listId(place);
    this.issuers = issuers;
    this.refreshMs = refreshMs;
    this.#events = events;
  }

  /** Why it cannot be had now; '' when it can. */
  get problem(): string {
    return this.#problem;
  }

  get isFile(): boolean {
    return !this.place.startsWith('http:');
  }

  /** Resolves when a first try is over, however it went; looks again by itself from then on. */
  async load(): Promise<void> {
    if (this.#timer !== null && this.list !== null) return;
    // One that has just failed is not asked at every question.
    if (this.#timer !== null && this.#failures > 0) return;
    this.#loading ??= this.#look();
    await this.#loading;
  }

  close(): void {
    this.#end.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.list !== null) closeList(this.list);
    this.list = null;
  }

  async #look(): Promise<void> {
    try {
      const next = this.isFile ? await this.#readFile() : await this.#fetch();
      this.#failures = 0;
      this.#problem = '';
      if (next !== null) this.#use(next);
    } catch (error) {
      this.#failures++;
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#end.signal.aborted && message !== this.#problem) this.#events.onProblem(message);
      this.#problem = message;
    }
    this.#lookAtEnd();
    this.#loading = null;
    if (this.#end.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#loading = this.#look();
    }, this.#waitMs());
    this.#timer.unref();
  }

  /** A list that nobody renews still revokes whom it names, and knows nothing of the others. */
  #lookAtEnd(): void {
    const hasEnded = this.list !== null && this.list.view.nextUpdateMs < Date.now();
    if (hasEnded && !this.#toldEnd && !this.#end.signal.aborted) {
      const since = new Date(this.list!.view.nextUpdateMs).toISOString();
      this.#events.onProblem(`the revocation list ${this.place} has ended at ${since}, and there is no newer one`);
    }
    this.#toldEnd = hasEnded;
  }

  #use(next: RevocationList): void {
    const before = this.list;
    if (this.#end.signal.aborted) {
      closeList(next);
      return;
    }
    if (before !== null && next.facts.thisUpdateMs < before.facts.thisUpdateMs) {
      closeList(next);
      throw new TollgateError('crl_invalid', `the revocation list ${this.place} is older than the one before`);
    }
    this.list = next;
    this.#events.onList(next, this);
    if (before !== null) closeList(before);
  }

  /** Null: the file is as it was. */
  async #readFile(): Promise<RevocationList | null> {
    const seen = await fileState(this.place);
    if (seen === this.#seen) {
      // What was wrong with it is wrong with it still.
      if (this.#problem !== '') throw new TollgateError('crl_invalid', this.#problem);
      return null;
    }
    this.#seen = seen;
    return await listFiles.take(this.place, seen, this.issuers);
  }

  /** Null: it has not changed. */
  async #fetch(): Promise<RevocationList | null> {
    const reader = new RevocationListReader(this.issuers);
    try {
      const { status, headers } = await fetchBounded(this.place, {
        method: 'GET',
        headers: this.list === null ? {} : this.#validators,
        bytesMax: CRL_BYTES_MAX,
        timeoutMs: FETCH_MS,
        signal: this.#end.signal,
        onBytes: (bytes) => reader.push(bytes),
      });
      if (status === 304 && this.list !== null) return null;
      if (status !== 200) throw new TollgateError('fetch_failed', `status ${status}`);
      const list = reader.end(this.id);
      this.#validators = {
        ...(headers.etag === undefined ? {} : { 'if-none-match': headers.etag }),
        ...(headers['last-modified'] === undefined ? {} : { 'if-modified-since': headers['last-modified'] }),
      };
      return list;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new TollgateError('crl_invalid', `the revocation list ${this.place} cannot be used: ${why}`, error);
    } finally {
      reader.close();
    }
  }

  /** Until the next look. Not all of many at once. */
  #waitMs(): number {
    if (this.isFile) return FILE_LOOK_MS;
    const jitter = 0.9 + 0.2 * Math.random();
    if (this.#failures > 0) return jitter * Math.min(RETRY_MS * 2 ** (this.#failures - 1), Math.min(RETRY_MS_MAX, this.refreshMs));
    const leftMs = (this.list?.facts.nextUpdateMs ?? 0) - Date.now();
    return jitter * Math.max(RETRY_MS / 5, Math.min(this.refreshMs, LIFE_SHARE * leftMs));
  }
}
