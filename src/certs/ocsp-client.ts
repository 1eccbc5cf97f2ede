/**
 * Asks the responders that certificates name, keeps what they said for as long as it holds, and asks about one certificate once however many
 * want to know. A responder that fails is left alone for a while; an answer from before goes on to its end.
 */
import { TollgateError } from '../base/tollgate-error.ts';
import type { RevocationVerdict } from '../plan/client-certificates.ts';
import type { RevocationAnswer } from '../plan/messages.ts';
import type { Certificate } from '../x509/certificate.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { fetchBounded } from './http-fetch.ts';
import { checkOcspAnswer, makeOcspQuestion, OCSP_BYTES_MAX, type OcspAnswer } from './ocsp.ts';

/** Answers kept. */
const ANSWERS_MAX = 65_536;
/** Questions on their way at once; past it nothing is known. */
const IN_FLIGHT_MAX = 256;
/** Responders of one certificate that are tried. */
const RESPONDERS_MAX = 2;
/** For one of them. Milliseconds. */
const ASK_MS = 3_000;
/** How long a responder that failed is not asked about the same certificate. Milliseconds. */
const FAILED_MS = 10_000;
/** Shortest time an answer holds. Milliseconds. */
const HOLD_MS_MIN = 1_000;

interface Known {
  /** Null: nobody answered. */
  readonly answer: OcspAnswer | null;
  /** Unix time, milliseconds. */
  readonly askedMs: number;
}

const UNKNOWN: RevocationAnswer = { verdict: 'unknown', forMs: FAILED_MS };

export class OcspClient {
  /** By issuer and serial number, oldest first. */
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Known>>();
  readonly #onProblem: (message: string) => void;
  readonly #end = new AbortController();

  constructor(onProblem: (message: string) => void) {
    this.#onProblem = onProblem;
  }

  /** What is known of `certificate`, asked for anew when it is older than `refreshMs`. Never rejects. */
  async ask(certificate: Certificate, issuer: Certificate, refreshMs: number): Promise<RevocationAnswer> {
    const responders = certificate.ocspUris.filter((uri) => uri.startsWith('http:')).slice(0, RESPONDERS_MAX);
    if (responders.length === 0) return UNKNOWN;
    const key = `${issuerKeyOf(issuer)} ${certificate.serial}`;
    const before = this.#known.get(key);
    const nowMs = Date.now();
    if (before !== undefined && nowMs - before.askedMs < (before.answer === null ? Math.min(FAILED_MS, refreshMs) : refreshMs)) {
      const said = answerOf(before, nowMs, refreshMs);
      if (said !== null) return said;
    }
    if (this.#asking.size >= IN_FLIGHT_MAX && !this.#asking.has(key)) {
      this.#onProblem(`more than ${IN_FLIGHT_MAX} questions to OCSP responders at once`);
      return UNKNOWN;
    }
    const asking = this.#asking.get(key) ?? this.#askAll(key, certificate, issuer, responders, before?.answer ?? null);
    this.#asking.set(key, asking);
    return answerOf(await asking, Date.now(), refreshMs) ?? UNKNOWN;
  }

  close(): void {
    this.#end.abort();
  }

  async #askAll(
    key: string,
    certificate: Certificate,
    issuer: Certificate,
    responders: readonly string[],
    before: OcspAnswer | null,
  ): Promise<Known> {
    let answer: OcspAnswer | null = null;
    for (const responder of responders) {
      try {
        answer = (await askResponder(responder, certificate, issuer, true, this.#end.signal)).answer;
        break;
      } catch (error) {
        if (!this.#end.signal.aborted) this.#onProblem(error instanceof Error ? error.message : String(error));
      }
    }
    const known = { answer: answer ?? before, askedMs: Date.now() };
    this.#known.delete(key);
    if (this.#known.size >= ANSWERS_MAX) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(key, known);
    this.#asking.delete(key);
    return known;
  }
}

/** Null: it holds no more. */
function answerOf({ answer }: Known, nowMs: number, refreshMs: number): RevocationAnswer | null {
  if (answer === null) return UNKNOWN;
  const verdict: RevocationVerdict = answer.verdict;
  const leftMs = answer.nextUpdateMs === null ? refreshMs : answer.nextUpdateMs - nowMs;
  return leftMs <= 0 ? null : { verdict, forMs: Math.max(HOLD_MS_MIN, Math.min(refreshMs, leftMs)) };
}

/** One question to one responder, and its answer as bytes and checked. Throws TollgateError. RFC 6960, appendix A.1. */
export async function askResponder(
  responder: string,
  certificate: Certificate,
  issuer: Certificate,
  withNonce: boolean,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly answer: OcspAnswer }> {
  const { bytes: question, nonce } = makeOcspQuestion(certificate, issuer, withNonce);
  const parts: Buffer[] = [];
  const { status } = await fetchBounded(responder, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request', 'content-length': String(question.length) },
    body: question,
    bytesMax: OCSP_BYTES_MAX,
    timeoutMs: ASK_MS,
    signal,
    onBytes: (bytes) => parts.push(bytes),
  });
  // Whatever is not 200 has no body for us, and that is no answer.
  const bytes = Buffer.concat(parts);
  if (status !== 200) throw new TollgateError('fetch_failed', `the OCSP responder ${responder} answers with status ${status}`);
  return { bytes, answer: await checkOcspAnswer(bytes, certificate, issuer, nonce, Date.now()) };
}
