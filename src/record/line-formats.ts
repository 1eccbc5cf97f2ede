/**
 * The formats of an access line: JSON with chosen keys, and the combined and common formats of nginx and Apache. Made when a plan is
 * adopted; nothing is allocated for a line. Every line is ASCII without controls, and shorter than LOG_LINE_BYTES_MAX with its newline.
 */
import { LOG_FIELDS, type LogField, type LogFormatPlan } from '../plan/log-plan.ts';
import { type AccessRecord, AGENT_ROOM, HOST_ROOM, METHOD_ROOM, REFERER_ROOM, TARGET_ROOM, USER_ROOM } from './access-record.ts';
import { ClockText, CommonClockText } from './clock-text.ts';
import { writeAscii, writeDecimal, writeHexEscaped, writeJsonBytes, writeJsonText, writePadded } from './text.ts';

const UPSTREAM_ROOM = 256;
const ALPN_ROOM = 64;

// Places in LOG_FIELDS: a line's keys are told apart by numbers.
const F_TIME = 0;
const F_CLIENT = 1;
const F_PEER = 2;
const F_TLS = 3;
const F_CIPHER = 4;
const F_SNI = 5;
const F_METHOD = 6;
const F_HOST = 7;
const F_PATH = 8;
const F_USER_AGENT = 9;
const F_REFERER = 10;
const F_STATUS = 11;
const F_BYTES = 12;
const F_DURATION_MS = 13;
const F_UPSTREAM = 14;
const F_REASON = 15;
const F_REQUEST_ID = 16;
const F_PROTOCOL = 17;
const F_USER = 18;
const F_BODY_BYTES = 19;
const F_BYTES_IN = 20;
const F_ALPN = 21;

/** What all requests of a connection share. Empty and null: not there. */
export interface LoggedConnection {
  /** Who connected. */
  readonly address: string;
  readonly tlsVersion: string;
  readonly cipher: string;
  readonly sni: string | null;
}

export interface LineFormat {
  /**
   * Writes a line, newline included, at `to[at]`; returns the position behind it. `client` is whom the request comes from: the peer, or whom
   * a trusted proxy speaks for. `durationMs` and `unixMs` are fractions of milliseconds.
   */
  write(
    to: Buffer,
    at: number,
    record: AccessRecord,
    connection: LoggedConnection,
    client: string,
    durationMs: number,
    unixMs: number,
  ): number;
}

export function lineFormat(plan: LogFormatPlan): LineFormat {
  return plan.kind === 'json' ? new JsonFormat(plan.fields) : new CommonFormat(plan.kind === 'combined');
}

/** One object; keys whose value is not there are left out. */
class JsonFormat implements LineFormat {
  readonly #fields: Uint8Array;
  readonly #clock = new ClockText();

  constructor(fields: readonly LogField[]) {
    this.#fields = Uint8Array.from(fields, (field) => LOG_FIELDS.indexOf(field));
  }

  write(
    to: Buffer,
    start: number,
    record: AccessRecord,
    connection: LoggedConnection,
    client: string,
    durationMs: number,
    unixMs: number,
  ): number {
    const fields = this.#fields;
    const { bytes } = record;
    let at = start;
    to[at++] = 0x7b;
    for (let i = 0; i < fields.length; i++) {
      switch (fields[i]) {
        case F_TIME:
          at = this.#clock.write(to, writeAscii(to, at, '"time":"'), unixMs);
          to[at++] = 0x22;
          break;
        case F_CLIENT:
          at = quoted(to, at, '"client":"', client);
          break;
        case F_PEER:
          if (client === connection.address) continue;
          at = quoted(to, at, '"peer":"', connection.address);
          break;
        case F_TLS:
          if (connection.tlsVersion === '') continue;
          at = quoted(to, at, '"tls":"', connection.tlsVersion);
          break;
        case F_CIPHER:
          if (connection.cipher === '') continue;
          at = quoted(to, at, '"cipher":"', connection.cipher);
          break;
        case F_SNI:
          if (connection.sni === null) continue;
          at = quoted(to, at, '"sni":"', connection.sni);
          break;
        case F_METHOD:
          if (!record.hasRequest) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"method":"'), bytes, 0, record.methodEnd, METHOD_ROOM);
          to[at++] = 0x22;
          break;
        case F_HOST:
          if (!record.hasRequest) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"host":"'), bytes, record.hostStart, record.hostEnd, HOST_ROOM);
          to[at++] = 0x22;
          break;
        case F_PATH:
          if (!record.hasRequest) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"path":"'), bytes, record.pathStart, record.pathEnd, TARGET_ROOM);
          to[at++] = 0x22;
          break;
        case F_PROTOCOL:
          if (record.isConnection) {
            at = writeAscii(to, at, '"protocol":"TCP"');
            break;
          }
          if (!record.hasRequest) continue;
          at = writeAscii(to, at, record.versionMinor === 0 ? '"protocol":"HTTP/1.0"' : '"protocol":"HTTP/1.1"');
          break;
        case F_USER_AGENT:
          if (record.agentEnd < 0) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"userAgent":"'), bytes, record.agentStart, record.agentEnd, AGENT_ROOM);
          to[at++] = 0x22;
          break;
        case F_REFERER:
          if (record.refererEnd < 0) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"referer":"'), bytes, record.refererStart, record.refererEnd, REFERER_ROOM);
          to[at++] = 0x22;
          break;
        case F_USER:
          if (record.userEnd < 0) continue;
          at = writeJsonBytes(to, writeAscii(to, at, '"user":"'), bytes, record.userStart, record.userEnd, USER_ROOM);
          to[at++] = 0x22;
          break;
        case F_STATUS:
          if (record.isConnection) continue;
          at = writeDecimal(to, writeAscii(to, at, '"status":'), record.status);
          break;
        case F_BYTES:
          at = writeDecimal(to, writeAscii(to, at, '"bytes":'), record.bytesSent);
          break;
        case F_BODY_BYTES:
          if (record.isConnection) continue;
          at = writeDecimal(to, writeAscii(to, at, '"bodyBytes":'), bodyBytes(record));
          break;
        case F_BYTES_IN:
          if (!record.isConnection) continue;
          at = writeDecimal(to, writeAscii(to, at, '"bytesIn":'), record.bytesReceived);
          break;
        case F_ALPN:
          if (!record.isConnection || record.alpn === '') continue;
          at = writeJsonText(to, writeAscii(to, at, '"alpn":"'), record.alpn, ALPN_ROOM);
          to[at++] = 0x22;
          break;
        case F_DURATION_MS: {
          const us = Math.max(0, Math.round(durationMs * 1_000));
          const ms = Math.floor(us / 1_000);
          at = writeDecimal(to, writeAscii(to, at, '"durationMs":'), ms);
          to[at] = 0x2e;
          at = writePadded(to, at + 1, us - ms * 1_000, 3);
          break;
        }
        case F_UPSTREAM:
          if (record.upstream === '') continue;
          at = writeJsonText(to, writeAscii(to, at, '"upstream":"'), record.upstream, UPSTREAM_ROOM);
          to[at++] = 0x22;
          break;
        case F_REASON:
          if (record.reason === '') continue;
          at = quoted(to, at, '"reason":"', record.reason);
          break;
        case F_REQUEST_ID: {
          at = writeAscii(to, at, '"requestId":"');
          const id = record.requestId;
          for (let k = 0; k < 32; k++) to[at + k] = id[k]!;
          to[at + 32] = 0x22;
          at += 33;
          break;
        }
      }
      to[at++] = 0x2c;
    }
    // The last comma becomes the end.
    if (at - start > 1) at--;
    to[at] = 0x7d;
    to[at + 1] = 0x0a;
    return at + 2;
  }
}

/** `text` needs no escapes. */
function quoted(to: Buffer, at: number, key: string, text: string): number {
  const end = writeAscii(to, writeAscii(to, at, key), text);
  to[end] = 0x22;
  return end + 1;
}

function bodyBytes(record: AccessRecord): number {
  return Math.max(0, record.bytesSent - record.headBytes);
}

/** `192.0.2.1 - user [31/Jan/2026:23:59:59 +0000] "GET / HTTP/1.1" 200 5`, and behind it `"referer" "user agent"` when combined. */
class CommonFormat implements LineFormat {
  readonly #combined: boolean;
  readonly #clock = new CommonClockText();

  constructor(combined: boolean) {
    this.#combined = combined;
  }

  write(
    to: Buffer,
    start: number,
    record: AccessRecord,
    _connection: LoggedConnection,
    client: string,
    _durationMs: number,
    unixMs: number,
  ): number {
    const { bytes } = record;
    let at = writeAscii(to, writeAscii(to, start, client), ' - ');
    if (record.userEnd < 0) to[at++] = 0x2d;
    else at = writeHexEscaped(to, at, bytes, record.userStart, record.userEnd, USER_ROOM);
    at = this.#clock.write(to, writeAscii(to, at, ' ['), unixMs);
    at = writeAscii(to, at, '] "');
    if (record.hasRequest) {
      at = writeHexEscaped(to, at, bytes, 0, record.methodEnd, METHOD_ROOM);
      to[at++] = 0x20;
      at = writeHexEscaped(to, at, bytes, record.targetStart, record.targetEnd, TARGET_ROOM);
      at = writeAscii(to, at, record.versionMinor === 0 ? ' HTTP/1.0' : ' HTTP/1.1');
    } else to[at++] = 0x2d;
    at = writeDecimal(to, writeAscii(to, at, '" '), record.status);
    to[at++] = 0x20;
    at = writeDecimal(to, at, bodyBytes(record));
    if (this.#combined) {
      at = writeAscii(to, at, ' "');
      if (record.refererEnd < 0) to[at++] = 0x2d;
      else at = writeHexEscaped(to, at, bytes, record.refererStart, record.refererEnd, REFERER_ROOM);
      at = writeAscii(to, at, '" "');
      if (record.agentEnd < 0) to[at++] = 0x2d;
      else at = writeHexEscaped(to, at, bytes, record.agentStart, record.agentEnd, AGENT_ROOM);
      to[at++] = 0x22;
    }
    to[at] = 0x0a;
    return at + 1;
  }
}
