/**
 * Clients that are held until somebody has found out whether their certificate is revoked: the supervisor is asked once for each certificate,
 * however many connections wait. Nobody waits longer than its own deadline.
 */
import { QUESTIONS_MAX } from '../base/limits.ts';
import type { ClientIdentity } from '../guard/client-judge.ts';
import type { RevocationLists } from '../guard/revocation-lists.ts';
import type { RevocationPlan } from '../plan/client-certificates.ts';
import type { FromWorker, RevocationAnswer } from '../plan/messages.ts';

export interface RevocationWaiter {
  /** What can be known is known now. */
  onRevocationKnown(): void;
}

interface Question {
  readonly key: string;
  readonly links: ClientIdentity['links'];
  readonly waiters: Set<RevocationWaiter>;
}

export class RevocationDesk {
  /** Questions that could not be asked, because too many were open or nobody was there. */
  refused = 0;
  readonly #lists: RevocationLists;
  readonly #offer: (message: FromWorker, blobs: readonly Uint8Array[]) => boolean;
  readonly #nowMs: () => number;
  readonly #byKey = new Map<string, number>();
  readonly #open = new Map<number, Question>();
  #asked = 0;

  /** `offer` sends a message to the supervisor: false when it cannot now. */
  constructor(lists: RevocationLists, offer: (message: FromWorker, blobs: readonly Uint8Array[]) => boolean, nowMs: () => number) {
    this.#lists = lists;
    this.#offer = offer;
    this.#nowMs = nowMs;
  }

  /** Asks about `links`, for `waiter`. False when nobody can be asked: nothing more will be known. */
  ask(waiter: RevocationWaiter, { fingerprint }: ClientIdentity, links: ClientIdentity['links'], plan: RevocationPlan): boolean {
    const { fetch, ocsp, refreshMs } = plan;
    const key = `${fingerprint} ${links.length} ${fetch} ${ocsp} ${refreshMs}`;
    const known = this.#open.get(this.#byKey.get(key) ?? 0);
    if (known !== undefined) {
      known.waiters.add(waiter);
      return true;
    }
    const ask = ++this.#asked;
    const blobs = links.flatMap(({ certificate, issuer }) => [certificate.der, issuer.der]);
    if (this.#open.size >= QUESTIONS_MAX || !this.#offer({ type: 'revocation', ask, whereTo: { fetch, ocsp, refreshMs } }, blobs)) {
      this.refused++;
      return false;
    }
    this.#open.set(ask, { key, links, waiters: new Set([waiter]) });
    this.#byKey.set(key, ask);
    return true;
  }

  /** `waiter` waits no more. A question that nobody waits for may go unanswered. */
  forget(waiter: RevocationWaiter): void {
    for (const [ask, question] of this.#open) {
      if (question.waiters.delete(waiter) && question.waiters.size === 0) this.#close(ask, question);
    }
  }

  onAnswer(ask: number, answers: readonly RevocationAnswer[]): void {
    const question = this.#open.get(ask);
    if (question === undefined) return;
    this.#close(ask, question);
    question.links.forEach(({ certificate, issuerKey }, i) => {
      const answer = answers[i];
      if (answer !== undefined && answer.verdict !== 'unknown') {
        this.#lists.remember(certificate, issuerKey, answer.verdict, this.#nowMs() + answer.forMs);
      }
    });
    for (const waiter of question.waiters) waiter.onRevocationKnown();
  }

  #close(ask: number, { key }: Question): void {
    this.#open.delete(ask);
    this.#byKey.delete(key);
  }
}
