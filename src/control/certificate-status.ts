/**
 * Whether certificates still count: those that clients show (lists, responders) and our own (responses shown with them). Passes what the
 * services find out on to workers, and their questions back. The supervisor says which plan runs and who its workers are.
 */
import { RevocationService } from '../certs/revocation-service.ts';
import { Stapler } from '../certs/stapler.ts';
import type { Log } from '../observe/log.ts';
import type { RevocationView } from '../plan/client-certificates.ts';
import type { FromWorker } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';
import type { WorkerProcess } from './worker-process.ts';

export class CertificateStatus {
  readonly #revocation: RevocationService;
  readonly #stapler: Stapler;

  constructor(log: Log, workers: () => readonly WorkerProcess[]) {
    this.#revocation = new RevocationService({
      onList: (view, fd) => {
        for (const worker of workers()) worker.handList(view, fd);
      },
      onKept: (ids) => {
        for (const worker of workers()) worker.tell({ type: 'lists', ids });
      },
      onProblem: (message) => log.warn({ reason: message }, 'revocation cannot be looked up'),
    });
    this.#stapler = new Stapler({
      onStaple: (fingerprint, response) => {
        for (const worker of workers()) worker.tell({ type: 'staples', fingerprints: [fingerprint] }, [response]);
      },
      onProblem: (message) => log.warn({ reason: message }, 'no OCSP response to show with a certificate'),
    });
  }

  /** `plan` is to run: what it needs is made ready beside what there is. */
  async prepare(plan: Plan, blobs: readonly Uint8Array[]): Promise<void> {
    await this.#revocation.add(plan, blobs);
  }

  /** `plan` runs. */
  commit(plan: Plan, blobs: readonly Uint8Array[]): void {
    this.#revocation.keepOnly(plan);
    this.#stapler.configure(plan, blobs);
  }

  /** For people. */
  get revocation(): readonly RevocationView[] {
    return this.#revocation.view(Date.now());
  }

  /** Tells a worker all there is, before it is told its plan. */
  welcome(worker: WorkerProcess): void {
    for (const { view, fd } of this.#revocation.lists) worker.handList(view, fd);
    const staples = this.#stapler.responses;
    if (staples.length === 0) return;
    worker.tell(
      { type: 'staples', fingerprints: staples.map(({ fingerprint }) => fingerprint) },
      staples.map(({ response }) => response),
    );
  }

  /** `blobs` are copied. */
  onQuestion(worker: WorkerProcess, { ask, whereTo }: FromWorker & { readonly type: 'revocation' }, blobs: readonly Uint8Array[]): void {
    const { fetch, ocsp, refreshMs } = whereTo;
    const certificates = blobs.map((blob) => Uint8Array.from(blob));
    void this.#revocation.answer({ certificates, fetch, ocsp, refreshMs }).then(({ answers, lists }) => {
      for (const { view, fd } of lists) worker.handList(view, fd);
      worker.tell({ type: 'revocation', ask, answers });
    });
  }

  close(): void {
    this.#revocation.close();
    this.#stapler.close();
  }
}
