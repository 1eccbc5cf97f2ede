/**
 * One exchange with a server that publishes lists or answers about revocation: plain http, since what comes is signed by itself. Bounded in
 * bytes, time and redirects, whatever the server does. Never keeps a connection.
 */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { TollgateError } from '../base/tollgate-error.ts';

const REDIRECTS_MAX = 3;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** Longest address that is asked. */
const URL_CHARACTERS_MAX = 4_096;

export interface FetchOptions {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly bytesMax: number;
  /** Until the last byte, redirects included. Milliseconds. */
  readonly timeoutMs: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Called with the body, piece by piece, when the status is 200. What it throws ends the exchange. */
  readonly onBytes: (bytes: Buffer) => void;
}

export interface Fetched {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Throws TollgateError `fetch_failed` with one sentence, or what `onBytes` threw. A status other than 200 is the caller's to judge. */
export async function fetchBounded(address: string, options: FetchOptions): Promise<Fetched> {
  const late = AbortSignal.any([AbortSignal.timeout(options.timeoutMs), options.signal]);
  let url = parseUrl(address);
  for (let redirects = 0; ; redirects++) {
    const answer = await once(url, options, late);
    const { location } = answer.headers;
    if (!REDIRECTS.includes(answer.status) || location === undefined) return answer;
    if (redirects >= REDIRECTS_MAX) throw failed(`${address} leads from one place to the next`);
    url = parseUrl(URL.canParse(location, url) ? new URL(location, url).href : location);
  }
}

function parseUrl(text: string): URL {
  const url = text.length <= URL_CHARACTERS_MAX && URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 'http:') throw failed(`${text.slice(0, 100)} is no http:// address`);
  if (url.username !== '' || url.password !== '') throw failed(`${url.host} would be sent a password`);
  return url;
}

async function once(url: URL, options: FetchOptions, signal: AbortSignal): Promise<Fetched> {
  const { method, headers, body, bytesMax, onBytes } = options;
  try {
    return await new Promise<Fetched>((resolve, reject) => {
      const outgoing = request(url, {
        method,
        signal,
        agent: false,
        headers: { ...headers, 'user-agent': 'tollgate', connection: 'close' },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (incoming: IncomingMessage) => {
        const status = incoming.statusCode ?? 0;
        let length = 0;
        incoming.on('error', reject);
        incoming.on('data', (bytes: Buffer) => {
          length += bytes.length;
          try {
            if (length > bytesMax) throw failed(`${url.host} sends more than ${bytesMax} bytes`);
            if (status === 200) onBytes(bytes);
          } catch (error) {
            outgoing.destroy();
            reject(error);
          }
        });
        incoming.on('end', () => resolve({ status, headers: incoming.headers }));
        incoming.on('close', () => reject(failed(`${url.host} broke off`)));
      });
      outgoing.end(body);
    });
  } catch (error) {
    if (error instanceof TollgateError) throw error;
    const { name, code, message } = error as NodeJS.ErrnoException;
    const why = name === 'AbortError' || name === 'TimeoutError' ? 'no whole answer in time' : (code ?? message);
    throw failed(`${url.host}: ${why}`, error);
  }
}

function failed(message: string, cause?: unknown): TollgateError {
  return new TollgateError('fetch_failed', message, cause);
}
