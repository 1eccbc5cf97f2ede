/**
 * One line for every handshake that failed, with the reason, and for a share of those that did not: JSON with `event: "handshake"` and the same
 * keys for both, or text. Bounded in rate, so that an attacker's handshakes cannot fill a disk; what was left out is said in the next line
 * that is written (`omitted`). Whoever has something to write asks first: what is left out costs nothing but a count.
 */
import { createHash } from 'node:crypto';
import { faultOf } from '../base/faults.ts';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import { LOG_LEVELS, type LogLevel } from '../plan/log-plan.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { LogWriter } from './log-writer.ts';

/** Lines in one second of one worker: failures with reports, and successes by themselves, so that these never push out those. */
const FAILURE_LINES_PER_SECOND_MAX = 100;
const SUCCESS_LINES_PER_SECOND_MAX = 500;
/** Characters of a name in a certificate. */
const NAME_MAX = 512;
/** Characters of a server's name, of how many of them, and of those who signed it, in one line. */
const SERVER_NAME_MAX = 253;
const NAMES_MAX = 8;
const CHAIN_MAX = 4;

export interface HandshakeEvent {
  /** 0: it succeeded. */
  readonly fault: number;
  /** Alert sent by us or received, by number (RFC 8446, section 6), or null. */
  readonly alert: number | null;
  readonly alertFrom: 'client' | 'us' | null;
  readonly client: string;
  readonly listener: string;
  /** As the client named it, or null. */
  readonly sni: string | null;
  /** What was agreed, as far as it came to that; null: it did not. */
  readonly alpn: string | null;
  readonly version: string | null;
  readonly suite: string | null;
  readonly group: string | null;
  readonly resumed: boolean;
  /** The client's fingerprints, and what it offered, once its hello was understood. */
  readonly ja4: string | null;
  readonly ja3: string | null;
  readonly offered: object | null;
  /** The policy's name, and what it would have taken of that which nothing was shared of. */
  readonly policy: string | null;
  readonly allowed: object | null;
  /** The TLS library's own name for what went wrong. */
  readonly library: string;
  /** DER of what the client showed, or null. */
  readonly certificate: Uint8Array | null;
  readonly durationUs: number;
}

/** A server that did not come to TLS with us, or refused us behind it. */
export interface ServerFailure {
  readonly fault: number;
  readonly upstream: string;
  readonly target: string;
  /** As it was named to the server, and what its certificate should be for; null: nothing. */
  readonly serverName: string | null;
  readonly identity: string | null;
  readonly alert: number | null;
  readonly alertFrom: 'server' | 'us' | null;
  readonly library: string;
  /** DER of what it showed, leaf first; empty: nothing. */
  readonly chain: readonly Uint8Array[];
  /** Failures of this target since the last line about it. */
  readonly omitted: number;
  /** Null: it was behind the handshake. */
  readonly durationUs: number | null;
}

/** A client that another policy would refuse. */
export interface PolicyReport {
  readonly fault: number;
  readonly client: string;
  readonly listener: string;
  readonly sni: string | null;
  readonly ja4: string;
  /** The policy it is served by, and the one that would refuse it. */
  readonly policy: string;
  readonly report: string;
  readonly offered: object;
}

/** So many lines a second, and how many were left out since the last one. */
class LineRate {
  readonly #most: number;
  #second = 0;
  #lines = 0;
  #omitted = 0;

  constructor(most: number) {
    this.#most = most;
  }

  takes(unixMs: number): boolean {
    const second = Math.floor(unixMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines < this.#most) {
      this.#lines++;
      return true;
    }
    this.#omitted++;
    return false;
  }

  takeOmitted(): number {
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted;
  }
}

export class HandshakeLog {
  readonly #writer: LogWriter;
  readonly #text: boolean;
  readonly #level: number;
  /** Share of the successes that has a line; 0: none has. */
  readonly #successes: number;
  readonly #failureRate = new LineRate(FAILURE_LINES_PER_SECOND_MAX);
  readonly #successRate = new LineRate(SUCCESS_LINES_PER_SECOND_MAX);

  /** `successes`: share of those that has a line, 0 to 1. */
  constructor(writer: LogWriter, format: 'json' | 'text', level: LogLevel, successes: number) {
    this.#writer = writer;
    this.#text = format === 'text';
    this.#level = LOG_LEVELS.indexOf(level);
    this.#successes = this.#level > INFO ? 0 : successes;
  }

  /** Whether a failure has a line now, whatever the log's level is: whoever gets true writes it. */
  takesFailure(unixMs: number): boolean {
    return this.#failureRate.takes(unixMs);
  }

  /** As `takesFailure`, of one that succeeded. */
  takesSuccess(unixMs: number): boolean {
    const share = this.#successes;
    return share > 0 && (share >= 1 || Math.random() < share) && this.#successRate.takes(unixMs);
  }

  /** As `takesFailure`, of what a policy that only reports has to say. */
  takesReport(unixMs: number): boolean {
    return this.#level <= INFO && this.#failureRate.takes(unixMs);
  }

  /** Cold: strings are made here. */
  write(event: HandshakeEvent, unixMs: number): void {
    const ok = event.fault === 0;
    const row = ok ? null : faultOf(event.fault);
    const base = {
      time: new Date(unixMs).toISOString(),
      event: 'handshake',
      ok,
      reason: row?.reason ?? null,
      side: row?.culprit ?? null,
      alert: event.alert,
      alertFrom: event.alertFrom,
      client: event.client,
      listener: event.listener,
      sni: event.sni,
      alpn: event.alpn,
      version: event.version,
      suite: event.suite,
      group: event.group,
      resumed: event.resumed,
      ja4: event.ja4,
      ja3: event.ja3,
      durationUs: event.durationUs,
      ...(event.policy === null ? {} : { policy: event.policy }),
      ...(event.library === '' ? {} : { library: event.library }),
    };
    const more = { ...certificateOf(event.certificate), ...(event.allowed === null ? {} : { allowed: event.allowed }) };
    this.#write(ok ? INFO : levelOf(event.fault), ok ? this.#successRate : this.#failureRate, base, more, event.offered);
  }

  /** Cold, as `write`: what was wrong with which target. */
  writeServer(failure: ServerFailure, unixMs: number): void {
    const row = faultOf(failure.fault);
    const base = {
      time: new Date(unixMs).toISOString(),
      event: 'server-handshake',
      ok: false,
      reason: row.reason,
      side: row.culprit,
      upstream: failure.upstream,
      target: failure.target,
      serverName: failure.serverName,
      ...(failure.identity === null ? {} : { wanted: failure.identity }),
      ...(failure.alert === null ? {} : { alert: failure.alert, alertFrom: failure.alertFrom }),
      ...(failure.library === '' ? {} : { library: failure.library }),
      ...(failure.omitted === 0 ? {} : { omittedOfTarget: failure.omitted }),
      ...(failure.durationUs === null ? {} : { durationUs: failure.durationUs }),
    };
    this.#write(levelOf(failure.fault), this.#failureRate, base, shownBy(failure.chain), null);
  }

  /** Cold, as `write`. */
  writeReport(report: PolicyReport, unixMs: number): void {
    const { fault, offered, ...rest } = report;
    const base = { time: new Date(unixMs).toISOString(), event: 'policy-report', reason: faultOf(fault).reason, ...rest };
    this.#write(INFO, this.#failureRate, base, {}, offered);
  }

  #write(level: number, rate: LineRate, base: object, more: object, offered: object | null): void {
    const batch = this.#writer.reserve();
    if (batch === null) return;
    const omitted = rate.takeOmitted();
    const head = omitted === 0 ? base : { ...base, omitted };
    // A hello with hundreds of values, or a certificate with long names, would pass the bound: what was offered is the part that can go first.
    let line = JSON.stringify({ ...head, ...more, ...(offered === null ? {} : { offered }) });
    if (isTooLong(line)) line = JSON.stringify({ ...head, ...more, offered: null });
    if (isTooLong(line)) line = JSON.stringify({ ...head, offered: null });
    const shown = this.#text ? plainText(line, LOG_LEVELS[level]!) : line;
    const bytes = batch.bytes.write(`${shown}\n`, batch.at, 'utf8');
    this.#writer.commit(batch, batch.at + bytes);
  }
}

const INFO = LOG_LEVELS.indexOf('info');

/** Clients that go away are not worth a person's time one by one, but each is a handshake that failed: `info` shows them all. */
function levelOf(fault: number): number {
  return Math.max(LOG_LEVELS.indexOf(faultOf(fault).level), INFO);
}

function isTooLong(line: string): boolean {
  return Buffer.byteLength(line) + 1 > LOG_LINE_BYTES_MAX;
}

/** Who came, or was refused. A name that is too long for a line is cut: its serial number tells who it is. */
function certificateOf(der: Uint8Array | null): object {
  const certificate = der === null ? null : readCertificate(der);
  if (certificate === null) return {};
  const { subject, issuer, serial } = certificate;
  return { certificate: { subject: subject.slice(0, NAME_MAX), issuer: issuer.slice(0, NAME_MAX), serial } };
}

/** What a server showed: its own certificate with its names and times, and who signed it, as far as the server said. */
function shownBy(chain: readonly Uint8Array[]): object {
  const [leaf = null, ...rest] = chain.map((der) => readCertificate(der));
  if (leaf === null) return {};
  const cut = (text: string): string => text.slice(0, SERVER_NAME_MAX);
  return {
    certificate: {
      subject: cut(leaf.subject),
      issuer: cut(leaf.issuer),
      serial: leaf.serial,
      names: [...leaf.dnsNames, ...leaf.ips].slice(0, NAMES_MAX).map(cut),
      notBefore: new Date(leaf.notBeforeMs).toISOString(),
      notAfter: new Date(leaf.notAfterMs).toISOString(),
      pin: createHash('sha256').update(leaf.publicKeyDer).digest('base64'),
      chain: rest.slice(0, CHAIN_MAX).map((each) => cut(each?.subject ?? '')),
    },
  };
}

/** Events, for people. */
const WHAT: Readonly<Record<string, string>> = {
  handshake: 'handshake failed',
  'policy-report': 'another policy would refuse',
  'server-handshake': 'no TLS with a server',
};

/** The line for a person: as the control plane's log has its own (observe/log.ts). What was offered and allowed is for programs. */
function plainText(json: string, level: LogLevel): string {
  const { time, event, ok, offered: _offered, allowed: _allowed, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const what = ok === true ? 'handshake done' : (WHAT[String(event)] ?? String(event));
  const details = Object.entries(rest)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${level}: ${what}${details.join('')}`;
}
