/**
 * Everything that feeds the judges of client certificates: lists that a plan names, lists and responders that certificates name. Tells of
 * lists as they come, and answers what workers ask. Opens no socket to clients and decides nothing: who comes in is the judge's affair.
 */
import { REVOCATION_LISTS_MAX } from '../base/limits.ts';
import type { RevocationListView, RevocationView } from '../plan/client-certificates.ts';
import type { RevocationAnswer } from '../plan/messages.ts';
import { clientRulesOf, type Plan } from '../plan/plan.ts';
import { type Certificate, readCertificate } from '../x509/certificate.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { ListSource } from './list-source.ts';
import { OcspClient } from './ocsp-client.ts';
import { derOf, pemBlocks } from './pem.ts';

/** Distribution points of one certificate that are tried. */
const POINTS_MAX = 4;
/** Certificates in one question. */
const LINKS_MAX = 16;

export interface RevocationEvents {
  /** A list for every worker, in place of the one of the same id. The descriptor is the service's. */
  onList(view: RevocationListView, fd: number): void;
  /** Lists that count; every other one is given back. */
  onKept(ids: readonly string[]): void;
  onProblem(message: string): void;
}

export interface RevocationQuestion {
  /** DER of each certificate and of its issuer, by turns. */
  readonly certificates: readonly Uint8Array[];
  readonly fetch: boolean;
  readonly ocsp: boolean;
  readonly refreshMs: number;
}

export class RevocationService {
  readonly #events: RevocationEvents;
  readonly #ocsp: OcspClient;
  /** By place. */
  readonly #configured = new Map<string, ListSource>();
  readonly #found = new Map<string, ListSource>();

  constructor(events: RevocationEvents) {
    this.#events = events;
    this.#ocsp = new OcspClient((message) => events.onProblem(message));
  }

  /** Lists that there are, to be handed to a worker that begins. */
  get lists(): readonly { readonly view: RevocationListView; readonly fd: number }[] {
    return [...this.#configured.values(), ...this.#found.values()].flatMap(({ list }) => (list === null ? [] : [list]));
  }

  /** For people: what there is, and what there should be. */
  view(nowMs: number): RevocationView[] {
    return [...this.#configured.values(), ...this.#found.values()].map(({ place, list, problem }) => ({
      source: place,
      issuer: list?.facts.issuer.subject ?? null,
      entries: list?.facts.entries ?? null,
      nextUpdateMs: list?.view.nextUpdateMs ?? null,
      stale: list === null || list.view.nextUpdateMs < nowMs,
      problem: problem === '' ? null : problem,
    }));
  }

  /** Takes the lists of `plan` into use beside those in use. Resolves when files have been read; addresses come later. */
  async add(plan: Plan, blobs: readonly Uint8Array[]): Promise<void> {
    const files: Promise<void>[] = [];
    for (const [place, { issuers, refreshMs }] of wantedLists(plan, blobs)) {
      const source = this.#configured.get(place) ?? this.#source(place, issuers, refreshMs);
      source.issuers = issuers;
      source.refreshMs = refreshMs;
      this.#configured.set(place, source);
      const loading = source.load();
      if (source.isFile) files.push(loading);
    }
    await Promise.all(files);
  }

  /** Lets go of the lists that `plan`, which runs now, does not want. */
  keepOnly(plan: Plan): void {
    const revocation = clientRulesOf(plan).flatMap((clients) => clients.revocation ?? []);
    const places = new Set(revocation.flatMap(({ lists }) => lists));
    const isFetching = revocation.some(({ fetch }) => fetch);
    const gone = [...[...this.#configured].filter(([place]) => !places.has(place)), ...(isFetching ? [] : this.#found)];
    for (const [place, source] of gone) {
      source.close();
      this.#configured.delete(place);
      if (!isFetching) this.#found.delete(place);
    }
    if (gone.length > 0) this.#events.onKept(this.lists.map(({ view }) => view.id));
  }

  /**
   * Finds out what can be found out about each certificate. `lists`: those of its issuers, to be handed over first: whoever asks may have
   * missed one. Never rejects, and ends within the bounds of its parts.
   */
  async answer(
    question: RevocationQuestion,
  ): Promise<{ readonly answers: readonly RevocationAnswer[]; readonly lists: RevocationService['lists'] }> {
    const { certificates } = question;
    const links: Promise<RevocationAnswer>[] = [];
    const issuers = new Set<string>();
    for (let i = 0; i + 1 < certificates.length && links.length < LINKS_MAX; i += 2) {
      const certificate = readCertificate(certificates[i]!);
      const issuer = readCertificate(certificates[i + 1]!);
      if (issuer !== null) issuers.add(issuerKeyOf(issuer));
      links.push(
        certificate === null || issuer === null
          ? Promise.resolve({ verdict: 'unknown', forMs: 0 } as const)
          : this.#answerOne(certificate, issuer, question),
      );
    }
    const answers = await Promise.all(links);
    return { answers, lists: this.lists.filter(({ view }) => issuers.has(view.issuer)) };
  }

  /** Where a list speaks for the certificate, workers look into it themselves: the answer is then "unknown", and beside the point. */
  async #answerOne(
    certificate: Certificate,
    issuer: Certificate,
    { fetch, ocsp, refreshMs }: RevocationQuestion,
  ): Promise<RevocationAnswer> {
    await Promise.all([...this.#configured.values()].map((source) => source.load()));
    if (fetch && !this.#isListed(certificate, issuer)) await this.#fetchFor(certificate, issuer, refreshMs);
    if (!ocsp || this.#isListed(certificate, issuer)) return { verdict: 'unknown', forMs: 0 };
    return await this.#ocsp.ask(certificate, issuer, refreshMs);
  }

  #isListed({ crlUris }: Certificate, issuer: Certificate): boolean {
    const key = issuerKeyOf(issuer);
    const nowMs = Date.now();
    return this.lists.some(({ view }) => {
      const speaks = view.distributionPoints.length === 0 || view.distributionPoints.some((point) => crlUris.includes(point));
      return view.issuer === key && view.nextUpdateMs >= nowMs && speaks;
    });
  }

  /** Points hold the same list (RFC 5280, section 4.2.1.13): the first that has it will do. */
  async #fetchFor(certificate: Certificate, issuer: Certificate, refreshMs: number): Promise<void> {
    for (const place of certificate.crlUris.filter((uri) => uri.startsWith('http:')).slice(0, POINTS_MAX)) {
      let source = this.#configured.get(place) ?? this.#found.get(place);
      if (source === undefined) {
        if (this.#configured.size + this.#found.size >= REVOCATION_LISTS_MAX) {
          this.#events.onProblem(`more than ${REVOCATION_LISTS_MAX} revocation lists`);
          return;
        }
        source = this.#source(place, [issuer], refreshMs);
        this.#found.set(place, source);
      }
      if (!source.issuers.some((each) => issuerKeyOf(each) === issuerKeyOf(issuer))) source.issuers = [...source.issuers, issuer].slice(-4);
      source.refreshMs = Math.min(source.refreshMs, refreshMs);
      await source.load();
      if (this.#isListed(certificate, issuer)) return;
    }
  }

  #source(place: string, issuers: readonly Certificate[], refreshMs: number): ListSource {
    return new ListSource(place, issuers, refreshMs, {
      onList: ({ view, fd }) => this.#events.onList(view, fd),
      onProblem: (message) => this.#events.onProblem(message),
    });
  }

  close(): void {
    this.#ocsp.close();
    for (const source of [...this.#configured.values(), ...this.#found.values()]) source.close();
    this.#configured.clear();
    this.#found.clear();
  }
}

interface Wanted {
  readonly issuers: Certificate[];
  readonly refreshMs: number;
}

/** Places of lists with the authorities that may have signed them. */
function wantedLists(plan: Plan, blobs: readonly Uint8Array[]): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const clients of clientRulesOf(plan)) {
    if (clients.revocation === null) continue;
    const { lists, refreshMs } = clients.revocation;
    const issuers = lists.length === 0 ? [] : readAuthorities(blobs[clients.authoritiesBlob]);
    for (const place of lists) {
      const before = wanted.get(place);
      wanted.set(place, {
        issuers: [...(before?.issuers ?? []), ...issuers],
        refreshMs: Math.min(before?.refreshMs ?? refreshMs, refreshMs),
      });
    }
  }
  return wanted;
}

/** The certificates of a PEM file that we can read. */
export function readAuthorities(pem: Uint8Array | undefined): Certificate[] {
  if (pem === undefined) return [];
  return pemBlocks(Buffer.from(pem.buffer, pem.byteOffset, pem.length)).flatMap((block) => {
    if (block?.label !== 'CERTIFICATE') return [];
    const certificate = readCertificate(derOf(block));
    return certificate === null ? [] : [certificate];
  });
}
