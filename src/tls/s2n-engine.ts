/** The fast engine: s2n-tls on AWS-LC. */
import { assert } from '../base/assert.ts';
import { BLINDING_MS_MAX } from '../base/limits.ts';
import { findPolicy } from '../hello/policies.ts';
import { s2nLibraryPath } from '../native/library-path.ts';
import * as s2n from '../native/s2n.ts';
import type { ContextOptions, TlsContext, TlsEngine, TlsSession } from './engine.ts';
import { S2nSession, type SessionOwner } from './s2n-session.ts';
import { deriveTicketKey, TICKET_NAME_BYTES, TICKET_SECRET_BYTES, ticketTimes } from './ticket-keys.ts';

export class S2nEngine implements TlsEngine {
  readonly name = 's2n';
  readonly library = 's2n-tls on AWS-LC';

  /** Loads the library: last in the process, and no native addon after it. Throws one Error that says what is wrong with the file. */
  constructor(libraryPath: string = s2nLibraryPath()) {
    s2n.loadS2n(libraryPath);
  }

  context(options: ContextOptions): TlsContext {
    return new S2nContext(options);
  }
}

/** s2n's own name of a policy. */
function s2nPolicy(name: string): string {
  const policy = findPolicy(name);
  if (policy?.s2n == null) throw new Error(`s2n has no policy ${name}`);
  return policy.s2n;
}

class S2nContext implements TlsContext, SessionOwner {
  readonly #config: number;
  readonly #ruleSet: string;
  readonly #tickets: boolean;
  /** Of the certificates, in their order. */
  readonly #fingerprints: readonly string[];
  /** Keys by name, and when they came: s2n keeps few, and never forgets a name by itself. */
  readonly #keys = new Set<string>();
  #sessions = 0;
  #retired = false;

  constructor(options: ContextOptions) {
    assert(options.clients === null && !options.compressCertificates, 'settings that need the other engine went to it');
    this.#ruleSet = options.ruleSet;
    this.#tickets = options.tickets;
    this.#fingerprints = options.certificates.map(({ plan }) => plan.fingerprint);
    const { encryptS, decryptS } = ticketTimes(options.ticketLifetimeS);
    this.#config = s2n.openConfig({
      policy: s2nPolicy(options.policy),
      certificates: options.certificates,
      alpn: options.alpn,
      tickets: options.tickets,
      ticketEncryptS: encryptS,
      ticketDecryptS: decryptS,
      blindingSMax: BLINDING_MS_MAX / 1_000,
    });
  }

  session(fd: number): TlsSession | null {
    assert(!this.#retired, 'a retired context takes no sessions');
    const handle = s2n.openTls(this.#config, fd);
    if (handle === 0) return null;
    this.#sessions++;
    return new S2nSession(handle, fd, this);
  }

  addTicketKey(name: string, secret: Uint8Array, fromS: number): void {
    if (!this.#tickets || this.#keys.has(name)) return;
    const derived = deriveTicketKey(secret, this.#ruleSet, TICKET_NAME_BYTES + TICKET_SECRET_BYTES);
    try {
      s2n.addTicketKey(this.#config, derived.subarray(0, TICKET_NAME_BYTES), derived.subarray(TICKET_NAME_BYTES), fromS);
      this.#keys.add(name);
    } finally {
      derived.fill(0);
    }
  }

  staple(fingerprint: string, response: Uint8Array): void {
    this.#fingerprints.forEach((each, i) => {
      // A client that is shown none asks for itself: no reason to serve it less.
      if (each === fingerprint) s2n.setOcspResponse(this.#config, i, response);
    });
  }

  tellKeys(on: boolean): void {
    if (!this.#retired || this.#sessions > 0) s2n.tellKeys(this.#config, on);
  }

  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#freeWhenUnused();
  }

  onSessionEnd(): void {
    this.#sessions--;
    this.#freeWhenUnused();
  }

  #freeWhenUnused(): void {
    if (this.#retired && this.#sessions === 0) s2n.closeConfig(this.#config);
  }
}
