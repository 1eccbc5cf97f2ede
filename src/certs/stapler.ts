/**
 * OCSP responses for our own certificates, to be shown to clients with them (RFC 6066, section 8): fetched, checked and refreshed beside the
 * event path. A responder that does not answer costs nobody anything: the response before is shown until it ends, and then none is. Only what
 * says "good" is shown.
 */
import type { Plan } from '../plan/plan.ts';
import { type Certificate, readCertificate } from '../x509/certificate.ts';
import { askResponder } from './ocsp-client.ts';
import { derOf, pemBlocks } from './pem.ts';

/** Questions on their way at once. */
const IN_FLIGHT_MAX = 16;
/** First wait after a failure; each next one twice as long. Milliseconds. */
const RETRY_MS = 10_000;
const RETRY_MS_MAX = 3_600_000;
/** For a response that does not say when the next one comes: it is asked for again, and shown at most. Milliseconds. */
const REFRESH_MS = 3_600_000;
const SHOWN_MS_MAX = 86_400_000;
/** A response is replaced when this share of its life is over, and not before `REFRESH_MS_MIN`. */
const LIFE_SHARE = 0.5;
const REFRESH_MS_MIN = 1_000;

export interface StaplerEvents {
  /** Show `response` with the certificate from now on; empty: show none. */
  onStaple(fingerprint: string, response: Buffer): void;
  onProblem(message: string): void;
}

interface Entry {
  readonly fingerprint: string;
  readonly names: readonly string[];
  readonly leaf: Certificate;
  readonly issuer: Certificate;
  readonly responder: string;
  response: Buffer | null;
  endsMs: number;
  failures: number;
  timer: NodeJS.Timeout | null;
}

export class Stapler {
  readonly #events: StaplerEvents;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  readonly #end = new AbortController();
  #inFlight = 0;

  constructor(events: StaplerEvents) {
    this.#events = events;
  }

  /** Responses to show, by fingerprint. */
  get responses(): readonly { readonly fingerprint: string; readonly response: Buffer }[] {
    return [...this.#entries.values()].flatMap(({ fingerprint, response }) => (response === null ? [] : [{ fingerprint, response }]));
  }

  /** Looks after the certificates of `plan`, and no others. */
  configure(plan: Plan, blobs: readonly Uint8Array[]): void {
    // What is shown to servers needs no responses.
    const shown = new Set(plan.listeners.flatMap(({ tls }) => tls?.certificates ?? []));
    const certificates = plan.certificates.filter((_, index) => shown.has(index));
    const wanted = new Set(certificates.map(({ fingerprint }) => fingerprint));
    for (const [fingerprint, entry] of this.#entries) {
      if (wanted.has(fingerprint)) continue;
      if (entry.timer !== null) clearTimeout(entry.timer);
      this.#entries.delete(fingerprint);
    }
    for (const { fingerprint, names, chainBlob } of certificates) {
      if (this.#entries.has(fingerprint)) continue;
      const found = whomToAsk(blobs[chainBlob]);
      if (found === null) continue;
      const { leaf, issuer, responder } = found;
      const entry: Entry = { fingerprint, names, leaf, issuer, responder, response: null, endsMs: 0, failures: 0, timer: null };
      this.#entries.set(fingerprint, entry);
      this.#queue.push(entry);
    }
    this.#next();
  }

  close(): void {
    this.#end.abort();
    for (const { timer } of this.#entries.values()) if (timer !== null) clearTimeout(timer);
    this.#entries.clear();
    this.#queue.length = 0;
  }

  #next(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      this.#inFlight++;
      void this.#refresh(entry);
    }
  }

  async #refresh(entry: Entry): Promise<void> {
    let waitMs: number;
    try {
      const { bytes, answer } = await askResponder(entry.responder, entry.leaf, entry.issuer, false, this.#end.signal);
      if (answer.verdict !== 'good')
        throw new Error(`the certificate for ${entry.names.join(', ')} is ${answer.verdict}, says ${entry.responder}`);
      const nowMs = Date.now();
      entry.failures = 0;
      entry.endsMs = answer.nextUpdateMs ?? nowMs + SHOWN_MS_MAX;
      const lifeMs = answer.nextUpdateMs === null ? REFRESH_MS : LIFE_SHARE * (answer.nextUpdateMs - nowMs);
      waitMs = Math.max(REFRESH_MS_MIN, lifeMs);
      if (this.#entries.get(entry.fingerprint) === entry) {
        entry.response = bytes;
        this.#events.onStaple(entry.fingerprint, bytes);
      }
    } catch (error) {
      if (entry.failures === 0 && !this.#end.signal.aborted) this.#events.onProblem(error instanceof Error ? error.message : String(error));
      waitMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** entry.failures++);
      const leftMs = entry.endsMs - Date.now();
      if (entry.response !== null && leftMs > 0) waitMs = Math.min(waitMs, leftMs);
      else if (entry.response !== null) {
        entry.response = null;
        this.#events.onStaple(entry.fingerprint, Buffer.alloc(0));
      }
    }
    this.#inFlight--;
    if (this.#end.signal.aborted || this.#entries.get(entry.fingerprint) !== entry) return;
    // Not all of many at once.
    entry.timer = setTimeout(
      () => {
        this.#queue.push(entry);
        this.#next();
      },
      waitMs * (0.9 + 0.1 * Math.random()),
    );
    entry.timer.unref();
    this.#next();
  }
}

/** Null: nobody can be asked. Reads no more of a chain than it must: there may be ten thousand. */
function whomToAsk(chain: Uint8Array | undefined): Pick<Entry, 'leaf' | 'issuer' | 'responder'> | null {
  if (chain === undefined) return null;
  const [first, second] = pemBlocks(Buffer.from(chain.buffer, chain.byteOffset, chain.length));
  if (first === undefined || second === undefined) return null;
  const leaf = readCertificate(derOf(first));
  const responder = leaf?.ocspUris.find((uri) => uri.startsWith('http:'));
  if (leaf === null || responder === undefined) return null;
  const issuer = readCertificate(derOf(second));
  return issuer === null ? null : { leaf, issuer, responder };
}
