/**
 * What a case of the strictness suite is, and the short ways to write one. Owns the shape only; the cases are in requests.ts,
 * well-formed.ts and responses.ts. Must not know how they are run.
 */

export interface RequestExpectation {
  /** Status of the first answer. */
  readonly status: number;
  /** The connection ends behind the last answer, without the client asking for it. */
  readonly closes: boolean;
  /** The first request reaches the server. */
  readonly forwarded: boolean;
  /** Statuses of all answers, where there is more than one. */
  readonly statuses?: readonly number[];
  /** The refusal may come when a part has been sent on: the server may then see the beginning of a request, and never its end. */
  readonly part?: boolean;
  /** Requests the server sees, where it is not one for `forwarded` and none otherwise. */
  readonly requests?: number;
  /** Bytes (latin1) the server must see. */
  readonly holds?: readonly string[];
  /** What the server must not see, in any case of letters. */
  readonly lacks?: readonly string[];
}

export interface RequestCase {
  /** Unique. */
  readonly name: string;
  readonly rule: string;
  /** The section that says so. */
  readonly rfc: string;
  /** What the client sends, latin1, in one write. */
  readonly bytes: string;
  readonly expect: RequestExpectation;
}

export interface ResponseExpectation {
  /** Status the client sees. */
  readonly status: number;
  /** `reason` in the access log; null: none, the response is passed on. */
  readonly reason: string | null;
  /** Bytes (latin1) the client must see. */
  readonly holds?: readonly string[];
  /** What the client must not see. */
  readonly lacks?: readonly string[];
  /** The server's connection is out of step, and must not be used again. */
  readonly spoilt?: boolean;
  /** The client has begun to get the response when it turns out broken: the connection is cut, with no proper end. */
  readonly cut?: boolean;
}

export interface ResponseCase {
  /** Unique. */
  readonly name: string;
  readonly rule: string;
  readonly rfc: string;
  /** Method of the request it answers. */
  readonly method: string;
  /** HTTP version of the client. */
  readonly version: '1.0' | '1.1';
  /** What the server answers, latin1, in one write. */
  readonly bytes: string;
  /** The server ends its connection behind the bytes. */
  readonly ends: boolean;
  readonly expect: ResponseExpectation;
}

/** A name and the bytes of a case. */
export type Row = readonly [name: string, bytes: string];

export const HOST = 'Host: localhost\r\n';

/** A GET of HTTP/1.1 with `lines` behind its Host. */
export function get(...lines: readonly string[]): string {
  return `GET / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** A POST with `lines` behind its Host, and `body` as it stands. */
export function post(lines: readonly string[], body: string): string {
  return `POST / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

/** A chunked POST with `body` as it stands. */
export function chunked(body: string): string {
  return post(['Transfer-Encoding: chunked'], body);
}

/** A GET with this start line. */
export function start(line: string): string {
  return `${line}\r\n${HOST}\r\n`;
}

/** Requests of one rule that are refused with `status`: nothing reaches the server, the connection ends. */
export function refuse(rule: string, rfc: string, rows: readonly Row[], status = 400): RequestCase[] {
  return rows.map(([name, bytes]) => ({ name, rule, rfc, bytes, expect: { status, closes: true, forwarded: false } }));
}

/** Requests of one rule that are served, and leave the connection to the next one. */
export function pass(rule: string, rfc: string, rows: readonly Row[], more: Partial<RequestExpectation> = {}): RequestCase[] {
  return rows.map(([name, bytes]) => ({ name, rule, rfc, bytes, expect: { status: 200, closes: false, forwarded: true, ...more } }));
}

/** Responses of one rule, to a GET of HTTP/1.1 unless `more` says otherwise. */
export function answers(
  rule: string,
  rfc: string,
  rows: readonly Row[],
  expect: ResponseExpectation,
  more: Partial<Pick<ResponseCase, 'method' | 'version' | 'ends'>> = {},
): ResponseCase[] {
  return rows.map(([name, bytes]) => ({ name, rule, rfc, bytes, method: 'GET', version: '1.1', ends: true, ...more, expect }));
}
