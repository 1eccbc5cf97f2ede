/** What is logged, how and where to: the part of a plan that both the supervisor (who opens) and the workers (who write) read. */
import type { TargetAddress } from './plan.ts';

/** Keys of an access line in JSON. */
export const LOG_FIELDS = [
  'time',
  'client',
  'peer',
  'tls',
  'cipher',
  'sni',
  'method',
  'host',
  'path',
  'userAgent',
  'referer',
  'status',
  'bytes',
  'durationMs',
  'upstream',
  'reason',
  'requestId',
  'protocol',
  'user',
  'bodyBytes',
  'bytesIn',
  'alpn',
] as const;
export type LogField = (typeof LOG_FIELDS)[number];
/** Keys of the format `json`. The last two are of connections that are carried as they are. */
export const LOG_FIELDS_USUAL: readonly LogField[] = LOG_FIELDS.filter((field) => !['protocol', 'user', 'bodyBytes'].includes(field));

export type LogFormatPlan = { readonly kind: 'json'; readonly fields: readonly LogField[] } | { readonly kind: 'combined' | 'common' };

export type LogDestinationPlan =
  /** Standard output for the access log, standard error for the error log. */
  | { readonly kind: 'standard' }
  | { readonly kind: 'file'; readonly path: string }
  /** RFC 5424, a datagram a line. `priority` is facility and severity; `host` and `name` are printable ASCII. */
  | { readonly kind: 'syslog'; readonly address: TargetAddress; readonly priority: number; readonly host: string; readonly name: string };

export interface AccessLogPlan {
  readonly destination: LogDestinationPlan;
  readonly format: LogFormatPlan;
  /** Share of the requests that are logged, above 0 and up to 1. */
  readonly sample: number;
  /** Requests that failed are logged whatever the sample says. */
  readonly sampleErrors: boolean;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface ErrorLogPlan {
  readonly destination: LogDestinationPlan;
  /** Null: text on a terminal, JSON elsewhere. */
  readonly format: 'json' | 'text' | null;
  readonly level: LogLevel;
  /** Share of the handshakes that succeed that has a line, 0 to 1. Those that fail have one always. */
  readonly handshakeSuccesses: number;
}

/** What a descriptor of a log is, and with it how it is written. */
export type LogOutput =
  /** Appended to, batch by batch, off the loop. */
  | 'file'
  /** A pipe, a FIFO or a terminal that never blocks: whole lines of up to PIPE_BUF bytes in one call. */
  | 'pipe'
  | 'terminal'
  /** A stream socket, as systemd gives it for standard output. */
  | 'socket'
  /** A datagram socket. */
  | 'syslog'
  /** It may block: in groups of lines, off the loop. */
  | 'other';
