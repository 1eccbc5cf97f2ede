/**
 * The answers that are ours and no server's: whole messages, made once, for every status the fault table can ask for. They say in a few words
 * what was wrong and name nothing of our insides. No Date: this room has no clock, and RFC 9110, section 6.6.1 asks it of servers that have one.
 */
import { assert } from '../base/assert.ts';
import { asciiBytes } from './write-bytes.ts';

interface Answer {
  readonly reason: string;
  readonly text: string;
  /** Further field lines, each with its line end. */
  readonly fields?: string;
}

const ANSWERS: Readonly<Record<number, Answer>> = {
  400: { reason: 'Bad Request', text: 'The request is malformed or ambiguous.' },
  404: { reason: 'Not Found', text: 'Nothing is served under this host and path.' },
  // RFC 9110, section 15.5.6 wants the methods that would do; CONNECT is all we refuse by itself.
  405: {
    reason: 'Method Not Allowed',
    text: 'This server is no proxy for CONNECT.',
    fields: 'Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n',
  },
  408: { reason: 'Request Timeout', text: 'The request did not arrive in time.' },
  413: { reason: 'Content Too Large', text: 'The request body is too large.' },
  414: { reason: 'URI Too Long', text: 'The request target is too long.' },
  417: { reason: 'Expectation Failed', text: 'Only "Expect: 100-continue" is understood.' },
  421: { reason: 'Misdirected Request', text: 'This host is not served on this connection.' },
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

const VARIANTS = 4;
const made = new Map<number, Uint8Array>();
for (const status of LOCAL_STATUSES) {
  const answer = ANSWERS[status]!;
  for (let variant = 0; variant < VARIANTS; variant++)
    made.set(status * VARIANTS + variant, compose(status, answer, variant > 1, variant % 2 === 1));
}

const PLAIN_ON_TLS = compose(
  400,
  { reason: 'Bad Request', text: 'This port speaks TLS. Use https:// in front of its address.' },
  true,
  false,
);

function compose(status: number, answer: Answer, close: boolean, headOnly: boolean): Uint8Array {
  const body = `${answer.text}\n`;
  const fields = `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n${answer.fields ?? ''}${close ? 'Connection: close\r\n' : ''}`;
  return asciiBytes(`HTTP/1.1 ${status} ${answer.reason}\r\n${fields}\r\n${headOnly ? '' : body}`);
}

/**
 * The whole answer for `status` (one of LOCAL_STATUSES; another is a programmer's error and throws). `close`: the connection ends behind it.
 * `headOnly`: it answers HEAD, so only the length of its body is told. The bytes are shared: not to be written to.
 */
export function localResponse(status: number, close: boolean, headOnly: boolean): Uint8Array {
  const bytes = made.get(status * VARIANTS + (close ? 2 : 0) + (headOnly ? 1 : 0));
  assert(bytes !== undefined, 'an answer for this status');
  return bytes;
}

/** The whole answer to a request in plain text on a port that speaks TLS. Shared: not to be written to. */
export function plainHttpOnTlsPort(): Uint8Array {
  return PLAIN_ON_TLS;
}
