/**
 * One line for every handshake that failed, with the reason: JSON with `event: "handshake"`, or text. Bounded in rate, so that an attacker's
 * handshakes cannot fill a disk; what was left out is said in the next line that is written (`omitted`).
 */
import { faultOf } from '../base/faults.ts';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import { LOG_LEVELS, type LogLevel } from '../plan/log-plan.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { LogWriter } from './log-writer.ts';

/** Failures written in one second by one worker. */
const LINES_PER_SECOND_MAX = 100;
/** Characters of a name in a certificate. */
const NAME_MAX = 512;

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
  /** The client's fingerprints, and what it offered, once its hello was understood. */
  readonly ja4: string | null;
  readonly ja3: string | null;
  readonly offered: object | null;
  /** The TLS library's own name for what went wrong. */
  readonly library: string;
  /** DER of what the client showed, or null. */
  readonly certificate: Uint8Array | null;
  readonly durationUs: number;
}

/** A client that another policy would refuse. */
export interface PolicyReport {
  readonly fault: number;
  readonly client: string;
  readonly listener: string;
  readonly sni: string | null;
  /** The policy it is served by, and the one that would refuse it. */
  readonly policy: string;
  readonly report: string;
  readonly offered: object;
}

export class HandshakeLog {
  readonly #writer: LogWriter;
  readonly #text: boolean;
  readonly #level: number;
  #second = 0;
  #lines = 0;
  #omitted = 0;

  constructor(writer: LogWriter, format: 'json' | 'text', level: LogLevel) {
    this.#writer = writer;
    this.#text = format === 'text';
    this.#level = LOG_LEVELS.indexOf(level);
  }

  /** Cold: strings are made here. */
  failed(failure: HandshakeFailure, unixMs: number): void {
    const row = faultOf(failure.fault);
    // Clients that go away are not worth a person's time one by one, but each is a handshake that failed: `info` shows them all.
    const level = Math.max(LOG_LEVELS.indexOf(row.level), LOG_LEVELS.indexOf('info'));
    if (level < this.#level) return;
    this.#write(level, unixMs, failure.offered, {
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
      ja4: failure.ja4,
      ja3: failure.ja3,
      ...certificateOf(failure.certificate),
      durationUs: failure.durationUs,
    });
  }

  /** Cold, as `failed`: what a policy that only reports has to say. */
  reported(report: PolicyReport, unixMs: number): void {
    const level = LOG_LEVELS.indexOf('info');
    if (level < this.#level) return;
    const { fault, offered, ...rest } = report;
    this.#write(level, unixMs, offered, {
      time: new Date(unixMs).toISOString(),
      event: 'policy-report',
      reason: faultOf(fault).reason,
      ...rest,
    });
  }

  #write(level: number, unixMs: number, offered: object | null, entry: object): void {
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
    const line = JSON.stringify({
      ...entry,
      ...(this.#omitted === 0 ? {} : { omitted: this.#omitted }),
      ...(offered === null ? {} : { offered }),
    });
    this.#omitted = 0;
    // A hello with hundreds of values would pass the bound: what was offered is the part that can go.
    const text =
      Buffer.byteLength(line) + 1 <= LOG_LINE_BYTES_MAX ? line : `${line.slice(0, line.lastIndexOf(',"offered":'))},"offered":null}`;
    const shown = this.#text ? plainText(text, LOG_LEVELS[level]!) : text;
    const bytes = batch.bytes.write(`${shown}\n`, batch.at, 'utf8');
    this.#writer.commit(batch, batch.at + bytes);
  }
}

/** Who was refused. A name that is too long for a line is cut: its serial number tells who it is. */
function certificateOf(der: Uint8Array | null): object {
  const certificate = der === null ? null : readCertificate(der);
  if (certificate === null) return {};
  const { subject, issuer, serial } = certificate;
  return { certificate: { subject: subject.slice(0, NAME_MAX), issuer: issuer.slice(0, NAME_MAX), serial } };
}

/** The line for a person: as the control plane's log has its own (observe/log.ts). What was offered is for programs. */
function plainText(json: string, level: LogLevel): string {
  const { time, event, ok: _ok, offered: _offered, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const what = event === 'handshake' ? 'handshake failed' : 'another policy would refuse';
  const details = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${level}: ${what}${details.join('')}`;
}
