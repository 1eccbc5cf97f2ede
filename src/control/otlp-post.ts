/**
 * One POST to a collector, and what its answer means (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response). Owns the request and its
 * bounds: nothing the other side does takes longer than the timeout, or more memory than the largest answer.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

/** Largest answer that is read. Bytes. */
const ANSWER_BYTES_MAX = 65_536;
/** Characters of the collector's own words that are told. */
const MESSAGE_MAX = 200;
/** Longest wait that a collector may ask for. Milliseconds. */
export const RETRY_AFTER_MS_MAX = 300_000;
/** Statuses after which the same may be sent again. */
const RETRIED: readonly number[] = [429, 502, 503, 504];

export type PostResult =
  /** `rejected` of what was sent it did not take after all. `why` is '' when it had nothing to say. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly why: string }
  /** The same may be sent again: after `afterMs`, if the collector said when. */
  | { readonly kind: 'later'; readonly afterMs: number | null; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface PostOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** From the start to the last byte of the answer. Milliseconds. */
  readonly timeoutMs: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Name of the member of `partialSuccess` that counts what was not taken. */
  readonly rejectedName: string;
}

const agents = {
  'http:': new HttpAgent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2 }),
  'https:': new HttpsAgent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2 }),
} as const;

/** Sends `body` (JSON). Never rejects. */
export async function post(body: string, options: PostOptions): Promise<PostResult> {
  const { url, timeoutMs, signal } = options;
  const secure = url.protocol === 'https:';
  const bytes = Buffer.from(body);
  return await new Promise((resolve) => {
    const request = (secure ? requestHttps : requestHttp)(url, {
      method: 'POST',
      agent: agents[secure ? 'https:' : 'http:'],
      headers: { ...options.headers, 'content-type': 'application/json', 'content-length': bytes.length },
    });
    const settle = (result: PostResult): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(result);
      request.destroy();
    };
    const timer = setTimeout(() => settle({ kind: 'later', afterMs: null, why: `no whole answer within ${timeoutMs} ms` }), timeoutMs);
    const abort = (): void => settle({ kind: 'later', afterMs: null, why: 'broken off' });
    signal.addEventListener('abort', abort);
    request.on('error', (error) => settle({ kind: 'later', afterMs: null, why: reasonOf(error) }));
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length > ANSWER_BYTES_MAX) settle({ kind: 'refused', why: `an answer of more than ${ANSWER_BYTES_MAX} bytes` });
        else parts.push(part);
      });
      response.on('error', (error) => settle({ kind: 'later', afterMs: null, why: reasonOf(error) }));
      response.on('end', () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve(judge(response, Buffer.concat(parts).toString('utf8'), options.rejectedName));
      });
    });
    if (signal.aborted) abort();
    else request.end(bytes);
  });
}

function judge({ statusCode = 0, headers }: IncomingMessage, body: string, rejectedName: string): PostResult {
  if (statusCode >= 200 && statusCode < 300) return judgeTaken(body, rejectedName);
  const why = `status ${statusCode}${toldBy(body)}`;
  if (!RETRIED.includes(statusCode)) return { kind: 'refused', why };
  return { kind: 'later', afterMs: retryAfterMs(headers['retry-after'], Date.now()), why };
}

/** A login page is no answer of a collector, whatever its status says. */
function judgeTaken(body: string, rejectedName: string): PostResult {
  if (body.trim() === '') return { kind: 'taken', rejected: 0, why: '' };
  const answer = parse(body);
  if (answer === null) return { kind: 'refused', why: 'an answer that is not of OTLP in JSON; is that a collector?' };
  const partial = answer.partialSuccess;
  if (typeof partial !== 'object' || partial === null) return { kind: 'taken', rejected: 0, why: '' };
  const { errorMessage, [rejectedName]: count } = partial as Readonly<Record<string, unknown>>;
  // An int64 is text in this mapping; not everybody knows.
  const rejected = typeof count === 'string' || typeof count === 'number' ? Number(count) : 0;
  return { kind: 'taken', rejected: rejected > 0 ? rejected : 0, why: typeof errorMessage === 'string' ? cut(errorMessage) : '' };
}

/** The `message` of a google.rpc.Status, if there is one. */
function toldBy(body: string): string {
  const message = parse(body)?.message;
  return typeof message === 'string' && message !== '' ? `: ${cut(message)}` : '';
}

function parse(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

function cut(message: string): string {
  return message.slice(0, MESSAGE_MAX);
}

/** Milliseconds to wait, of a Retry-After (RFC 9110, section 10.2.3): seconds, or a date. Null when it says nothing that can be read. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms));
}

function reasonOf(error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? cut(message);
}
