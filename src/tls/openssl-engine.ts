/** The complete engine: OpenSSL, the running node's own or another. */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { allocate, type Memory } from '../native/memory.ts';
import { bindOpenssl, closeSession, openAccepting, opensslVersion } from '../native/openssl.ts';
import { closeContext, openContext, protocolList, tellContextKeys } from '../native/openssl-context.ts';
import { OPENSSL_TICKET_KEY_BYTES, OpensslTicketKeys } from '../native/openssl-tickets.ts';
import type {
  ClientContextOptions,
  ContextOptions,
  PeerJudge,
  TlsClientContext,
  TlsClientEngine,
  TlsContext,
  TlsSession,
} from './engine.ts';
import { OpensslClientContext } from './openssl-client.ts';
import { opensslPolicy } from './openssl-policy.ts';
import { type OpensslOwner, OpensslSession } from './openssl-session.ts';
import { deriveTicketKey, TICKET_DECRYPT_S, TICKET_ENCRYPT_S } from './ticket-keys.ts';

export class OpensslEngine implements TlsClientEngine {
  readonly name = 'openssl';
  readonly library: string;

  /** `libraryPath`: another libssl, 3.0 or newer; null: node's own. Throws one Error that says what is wrong with it. */
  constructor(libraryPath: string | null = null) {
    bindOpenssl(libraryPath);
    this.library = opensslVersion();
  }

  context(options: ContextOptions): TlsContext {
    return new OpensslContext(options);
  }

  clientContext(options: ClientContextOptions): TlsClientContext {
    return new OpensslClientContext(options);
  }
}

class OpensslContext implements TlsContext, OpensslOwner {
  readonly protocols: Memory;
  readonly ticketKeys = new OpensslTicketKeys(TICKET_ENCRYPT_S, TICKET_DECRYPT_S);
  readonly judge: PeerJudge | null;
  readonly requiresCertificate: boolean;
  readonly staples = new Map<string, Memory>();
  readonly #fingerprints: ReadonlySet<string>;
  readonly #context: number;
  readonly #ruleSet: string;
  readonly #tickets: boolean;
  #sessions = 0;
  #retired = false;

  constructor(options: ContextOptions) {
    this.#ruleSet = options.ruleSet;
    this.#tickets = options.tickets;
    this.#fingerprints = new Set(options.certificates.map(({ plan }) => plan.fingerprint));
    this.judge = options.clients?.judge ?? null;
    this.requiresCertificate = options.clients?.required ?? false;
    this.protocols = protocolList(options.alpn);
    this.#context = openContext({
      ...opensslPolicy(options.rules),
      certificates: options.certificates,
      alpn: options.alpn,
      tickets: options.tickets,
      // Not longer than its key opens it for certain.
      ticketLifetimeS: TICKET_DECRYPT_S,
      sessionContext: createHash('sha256').update(options.ruleSet).digest(),
      compressCertificates: options.compressCertificates,
      clients: options.clients,
    });
  }

  session(fd: number): TlsSession | null {
    assert(!this.#retired, 'a retired context takes no sessions');
    const handle = openAccepting(this.#context, fd);
    if (handle === 0) return null;
    this.#sessions++;
    return new OpensslSession(handle, fd, this, false);
  }

  addTicketKey(name: string, secret: Uint8Array, fromS: number): void {
    if (!this.#tickets) return;
    const derived = deriveTicketKey(secret, `openssl ${this.#ruleSet}`, OPENSSL_TICKET_KEY_BYTES);
    try {
      this.ticketKeys.add(name, derived, fromS);
    } finally {
      derived.fill(0);
    }
  }

  staple(fingerprint: string, response: Uint8Array): void {
    if (!this.#fingerprints.has(fingerprint)) return;
    if (response.length === 0) {
      this.staples.delete(fingerprint);
      return;
    }
    const copy = allocate(response.length);
    copy.bytes.set(response);
    this.staples.set(fingerprint, copy);
  }

  /** What goes wrong in a handshake that a client began is told as it is. */
  blame(fault: number): number {
    return fault;
  }

  onSession(session: number): void {
    // Servers are given none.
    closeSession(session);
  }

  tellKeys(on: boolean): void {
    if (!this.#retired || this.#sessions > 0) tellContextKeys(this.#context, on);
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
    if (!this.#retired || this.#sessions > 0) return;
    closeContext(this.#context);
    this.ticketKeys.clear();
  }
}
