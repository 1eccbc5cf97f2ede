/**
 * One JSON line for every handshake that failed, with the reason: `event: "handshake"`. Bounded in rate, so that an attacker's
 * handshakes cannot fill a disk; what was left out is said in the next line that is written (`omitted`).
 */
import { faultOf } from '../base/faults.ts';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import type { LogWriter } from './log-writer.ts';

/** Failures written in one second by one worker. */
const LINES_PER_SECOND_MAX = 100;

export interface HandshakeFailure {
  readonly fault: number;
  readonly client: string;
  readonly listener: string;
  /** As the client named it, or null. */
  readonly sni: string | null;
  readonly alpn: readonly string[];
  /** Alert sent by us or received, by number (RFC 8446, section 6), or null. */
  readonly alert: number | null;
  readonly alertFrom: 'client' | 'us' | null;
  /** What the client offered, once its hello was understood. */
  readonly offered: object | null;
  /** The TLS library's own name for what went wrong. */
  readonly library: string;
  readonly durationUs: number;
}

export class HandshakeLog {
  readonly #writer: LogWriter;
  #second = 0;
  #lines = 0;
  #omitted = 0;

  constructor(writer: LogWriter) {
    this.#writer = writer;
  }

  /** Cold: strings are made here. */
  failed(failure: HandshakeFailure, unixMs: number): void {
    const second = Math.floor(unixMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_PER_SECOND_MAX) {
      this.#omitted++;
      return;
    }
    const batch = this.#writer.reserve();
    if (batch === null) return;
    this.#lines++;
    const row = faultOf(failure.fault);
    const line = JSON.stringify({
      time: new Date(unixMs).toISOString(),
      event: 'handshake',
      ok: false,
      reason: row.reason,
      side: row.culprit,
      client: failure.client,
      listener: failure.listener,
      sni: failure.sni,
      alpn: failure.alpn,
      ...(failure.alert === null ? {} : { alert: failure.alert, alertFrom: failure.alertFrom }),
      ...(failure.library === '' ? {} : { library: failure.library }),
      durationUs: failure.durationUs,
      ...(this.#omitted === 0 ? {} : { omitted: this.#omitted }),
      ...(failure.offered === null ? {} : { offered: failure.offered }),
    });
    this.#omitted = 0;
    // A hello with hundreds of values would pass the bound: what was offered is the part that can go.
    const text =
      Buffer.byteLength(line) + 1 <= LOG_LINE_BYTES_MAX ? line : `${line.slice(0, line.lastIndexOf(',"offered":'))},"offered":null}`;
    const bytes = batch.bytes.write(`${text}\n`, batch.at, 'utf8');
    this.#writer.commit(batch, batch.at + bytes);
  }
}
