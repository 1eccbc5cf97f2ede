/** TLS towards servers, on OpenSSL: who they must be, what they are shown, and their sessions, kept to be resumed. */
import { assert } from '../base/assert.ts';
import { SERVER_SESSIONS_MAX } from '../base/limits.ts';
import { allocate, type Memory } from '../native/memory.ts';
import { closeSession, openConnecting } from '../native/openssl.ts';
import { closeContext, openClientContext, trustAuthorities } from '../native/openssl-context.ts';
import { OpensslTicketKeys } from '../native/openssl-tickets.ts';
import type { ClientContextOptions, PeerJudge, TlsClientContext, TlsPeer, TlsSession } from './engine.ts';
import { opensslPolicy } from './openssl-policy.ts';
import { faultOfServer, laterFaultOfServer } from './openssl-reasons.ts';
import { type OpensslOwner, OpensslSession } from './openssl-session.ts';

export class OpensslClientContext implements TlsClientContext {
  readonly judge: PeerJudge;
  readonly #context: number;
  /** The last session of each peer, oldest peer first. One is resumed as often as it is the last. */
  readonly #sessions = new Map<string, number>();
  #open = 0;
  #retired = false;

  constructor(options: ClientContextOptions) {
    const { certificate, caPem, depth, alpn } = options;
    this.judge = options.judge;
    this.#context = openClientContext({ ...opensslPolicy(options.rules), certificate, caPem, depth, alpn });
  }

  session(fd: number, to: TlsPeer): TlsSession | null {
    assert(!this.#retired, 'a retired context takes no sessions');
    const key = `${to.place} ${to.serverName} ${to.identity}`;
    const session = this.#sessions.get(key) ?? 0;
    const handle = openConnecting(this.#context, fd, { ...to, session });
    if (handle === 0) return null;
    this.#open++;
    return new OpensslSession(handle, fd, new Peer(this, key), true);
  }

  trust(caPem: Uint8Array): void {
    trustAuthorities(this.#context, caPem);
  }

  keep(key: string, session: number): void {
    const before = this.#sessions.get(key);
    if (before !== undefined) {
      closeSession(before);
      this.#sessions.delete(key);
    } else if (this.#sessions.size >= SERVER_SESSIONS_MAX) {
      const [oldest, handle] = this.#sessions.entries().next().value!;
      closeSession(handle);
      this.#sessions.delete(oldest);
    }
    if (this.#retired) closeSession(session);
    else this.#sessions.set(key, session);
  }

  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    for (const session of this.#sessions.values()) closeSession(session);
    this.#sessions.clear();
    this.#freeWhenUnused();
  }

  onSessionEnd(): void {
    this.#open--;
    this.#freeWhenUnused();
  }

  #freeWhenUnused(): void {
    if (this.#retired && this.#open === 0) closeContext(this.#context);
  }
}

/** What a server's OpenSSL would be asked, and a client's is not. */
const NO_PROTOCOLS = allocate(1);
const NO_KEYS = new OpensslTicketKeys(0, 0);
const NO_STAPLES: ReadonlyMap<string, Memory> = new Map();

/** One connection's view of its context. */
class Peer implements OpensslOwner {
  readonly ticketKeys = NO_KEYS;
  readonly staples = NO_STAPLES;
  readonly protocols: Memory = NO_PROTOCOLS;
  readonly requiresCertificate = true;
  readonly judge: PeerJudge;
  readonly #context: OpensslClientContext;
  readonly #key: string;

  constructor(context: OpensslClientContext, key: string) {
    this.judge = context.judge;
    this.#context = context;
    this.#key = key;
  }

  blame(fault: number, error: number, isOpen: boolean): number {
    return isOpen ? laterFaultOfServer(fault) : faultOfServer(fault, error);
  }

  onSession(session: number): void {
    this.#context.keep(this.#key, session);
  }

  onSessionEnd(): void {
    this.#context.onSessionEnd();
  }
}
