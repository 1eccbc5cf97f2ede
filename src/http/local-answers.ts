/**
 * The answers that are ours and no server's: made once for every status the fault table can ask for, with a few words that name nothing of our
 * insides, or with the pages a configuration gives. Whole but for the Date, which this room has no clock for.
 */
import { assert } from '../base/assert.ts';
import type { FieldEdits } from './field-edits.ts';
import { NO_VALUES, type TemplateValues } from './template.ts';
import { asciiBytes, writeBytes, writeLineEnd } from './write-bytes.ts';

export interface AnswerText {
  readonly reason: string;
  readonly text: string;
  /** Further field lines, each with its line end. */
  readonly fields?: string;
}

/** A page in place of our few words. */
export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const ANSWERS: Readonly<Record<number, AnswerText>> = {
  400: { reason: 'Bad Request', text: 'The request is malformed or ambiguous.' },
  401: { reason: 'Unauthorized', text: 'Who asks must say who they are.' },
  403: { reason: 'Forbidden', text: 'Access is not allowed.' },
  404: { reason: 'Not Found', text: 'Nothing is served under this host and path.' },
  // RFC 9110, section 15.5.6 wants the methods that would do; CONNECT is all we refuse by itself.
  405: {
    reason: 'Method Not Allowed',
    text: 'This server is no proxy for CONNECT.',
    fields: 'Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n',
  },
  408: { reason: 'Request Timeout', text: 'The request did not arrive in time.' },
  411: { reason: 'Length Required', text: 'The request must say how long its body is.' },
  413: { reason: 'Content Too Large', text: 'The request body is too large.' },
  414: { reason: 'URI Too Long', text: 'The request target is too long.' },
  417: { reason: 'Expectation Failed', text: 'Only "Expect: 100-continue" is understood.' },
  421: { reason: 'Misdirected Request', text: 'This host is not served on this connection.' },
  429: { reason: 'Too Many Requests', text: 'Too many requests; try again later.', fields: 'Retry-After: 1\r\n' },
  431: { reason: 'Request Header Fields Too Large', text: 'The request head is too large or has too many fields.' },
  500: { reason: 'Internal Server Error', text: 'Something went wrong here.' },
  501: { reason: 'Not Implemented', text: 'The method or transfer coding is not supported.' },
  502: { reason: 'Bad Gateway', text: 'The server behind this one could not be reached or gave no valid answer.' },
  503: { reason: 'Service Unavailable', text: 'No server is available to answer; try again later.', fields: 'Retry-After: 1\r\n' },
  504: { reason: 'Gateway Timeout', text: 'The server behind this one did not answer in time.' },
  505: { reason: 'HTTP Version Not Supported', text: 'Only HTTP/1.0 and HTTP/1.1 are understood here.' },
};

/** Statuses there is an answer for. */
export const LOCAL_STATUSES: readonly number[] = Object.freeze(Object.keys(ANSWERS).map(Number));

/** Reasons of the statuses that a redirect or a fixed response may have. */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  410: 'Gone',
  451: 'Unavailable For Legal Reasons',
};

/** The reason phrase for a status; may be empty. */
export function reasonOf(status: number): string {
  return ANSWERS[status]?.reason ?? REASONS[status] ?? '';
}

const CLOSE = asciiBytes('Connection: close\r\n');
const KEEP_ALIVE = asciiBytes('Connection: keep-alive\r\n');
const DATE = asciiBytes('Date: ');
/** Bytes of `Sun, 06 Nov 1994 08:49:37 GMT`. */
export const DATE_BYTES = 29;

/** One answer, shared by all who get it: not to be written to. */
export interface LocalAnswer {
  readonly status: number;
  /** Status line and fields but Date and Connection. */
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

/** How an answer goes out. One, filled for each. */
export class AnswerForm {
  /** The connection ends behind it. */
  close = false;
  /** HTTP/1.0 must be told of a connection that stays. */
  clientMinor = 1;
  /** It answers HEAD: only the length of its body is told. */
  headOnly = false;
  /** DATE_BYTES of ASCII, IMF-fixdate. */
  date: Uint8Array = new Uint8Array(DATE_BYTES);
}

export class LocalAnswers {
  readonly #byStatus = new Map<number, LocalAnswer>();
  readonly #fields: string;

  /** `fields`: lines that every answer has, each with its line end. */
  constructor(pages: readonly Page[] = [], fields = '') {
    this.#fields = fields;
    for (const status of LOCAL_STATUSES) this.#byStatus.set(status, this.#made(status, ANSWERS[status]!));
    for (const { status, contentType, body } of pages) {
      if (!this.#byStatus.has(status)) continue;
      this.#byStatus.set(status, this.make(status, contentType, body, ANSWERS[status]?.fields));
    }
  }

  /** The answer for `status` (one of LOCAL_STATUSES; another is a programmer's error and throws). */
  get(status: number): LocalAnswer {
    const answer = this.#byStatus.get(status);
    assert(answer !== undefined, 'an answer for this status');
    return answer;
  }

  /** An answer of the configuration's. `without`: names, in lower case, of fields that it is not to have. */
  make(status: number, contentType: string, body: string, more = '', without: ReadonlySet<string> = NONE): LocalAnswer {
    const bytes = Uint8Array.from(Buffer.from(body, 'utf8'));
    // 204 and 304 have no body, and so no length of one. RFC 9110, section 8.6.
    const about = status === 204 || status === 304 ? '' : `Content-Type: ${contentType}\r\nContent-Length: ${bytes.length}\r\n`;
    const fields = linesWithout(`${about}${more}${this.#fields}`, without);
    return { status, head: asciiBytes(`HTTP/1.1 ${status} ${reasonOf(status)}\r\n${fields}`), body: bytes };
  }

  /** The 401 with `fields` (lines with their ends) that say how to come in. */
  challenge(fields: string): LocalAnswer {
    const { status, head, body } = this.get(401);
    return { status, head: Uint8Array.from([...head, ...asciiBytes(fields)]), body };
  }

  /** A redirect up to its Location, and what follows it. `without`: as for `make`. */
  redirect(status: number, without: ReadonlySet<string> = NONE): { readonly opening: Uint8Array; readonly closing: Uint8Array } {
    return {
      opening: asciiBytes(
        `HTTP/1.1 ${status} ${reasonOf(status)}\r\nContent-Length: 0\r\n${linesWithout(this.#fields, without)}Location: `,
      ),
      closing: asciiBytes('\r\n'),
    };
  }

  #made(status: number, { text, fields }: AnswerText): LocalAnswer {
    return this.make(status, 'text/plain', `${text}\n`, fields);
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Field lines but those of these names (lower case). */
function linesWithout(lines: string, names: ReadonlySet<string>): string {
  if (names.size === 0) return lines;
  return lines
    .split(/(?<=\r\n)/)
    .filter((line) => !names.has(line.slice(0, line.indexOf(':')).toLowerCase()))
    .join('');
}

/** Writes `answer`, with what `edits` add to it, to `buf[at, end)`. The position behind it, or -1 when there is no room. */
export function writeAnswer(
  buf: Uint8Array,
  at: number,
  end: number,
  answer: LocalAnswer,
  form: AnswerForm,
  edits: FieldEdits | null = null,
  values: TemplateValues = NO_VALUES,
): number {
  const room = ANSWER_FIELDS_MAX + answer.body.length;
  if (at + answer.head.length + room > end) return -1;
  let to = writeBytes(buf, at, answer.head);
  if (edits !== null) to = edits.write(buf, to, end - room, values);
  if (to < 0) return -1;
  to = writeAnswerEnd(buf, to, form);
  return form.headOnly ? to : writeBytes(buf, to, answer.body);
}

/** Room for what `writeAnswerEnd` writes. Bytes. */
export const ANSWER_FIELDS_MAX = 96;

/** Writes Date and Connection, and ends the head. */
export function writeAnswerEnd(buf: Uint8Array, at: number, form: AnswerForm): number {
  let to = writeLineEnd(buf, writeBytes(buf, writeBytes(buf, at, DATE), form.date));
  if (form.close) to = writeBytes(buf, to, CLOSE);
  else if (form.clientMinor === 0) to = writeBytes(buf, to, KEEP_ALIVE);
  return writeLineEnd(buf, to);
}

const PLAIN_TEXT = 'This port speaks TLS. Use https:// in front of its address.\n';
const PLAIN_ON_TLS = asciiBytes(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${PLAIN_TEXT.length}\r\nConnection: close\r\n\r\n${PLAIN_TEXT}`,
);

/** The whole answer to a request in plain text on a port that speaks TLS. Shared: not to be written to. */
export function plainHttpOnTlsPort(): Uint8Array {
  return PLAIN_ON_TLS;
}
