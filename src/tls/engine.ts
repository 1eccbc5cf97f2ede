/**
 * What everything above this room sees of TLS: contexts (a rule set with its certificates) and sessions (one connection). Two engines
 * stand behind it, by the same contract; which one serves a listener is the context's affair.
 */
import type { EngineName } from '../hello/negotiate.ts';
import type { Stream } from '../net/stream.ts';
import type { CertificatePlan } from '../plan/plan.ts';

export interface TlsSession extends Stream {
  /** One step. More than 0: done; 0: would block; below 0: a fault, final. */
  handshake(): number;
  /** Behind a finished handshake: TLS version, cipher suite and group as on the wire, and whether a session was resumed. No group: 0. */
  version(): number;
  suite(): number;
  group(): number;
  resumed(): boolean;
  /** The protocol agreed by ALPN; empty when none was. */
  protocol(): string;
  /** Behind a fault: the fatal alert the client sent (RFC 8446, section 6), or -1. */
  clientAlert(): number;
  /** Behind a fault: the library's own name for it. */
  libraryError(): string;
  /** Behind a fault: how long to wait before the descriptor is closed, so that the time tells nothing. Milliseconds, 0 for most faults. */
  blindingMs(): number;
}

export interface TlsContext {
  /** A session on an accepted connection, null when there is no memory for it; the descriptor stays the caller's. */
  session(fd: number): TlsSession | null;
  /** Takes a ticket key into use; known ones are passed over. The caller zeroes `secret`. */
  addTicketKey(name: string, secret: Uint8Array, fromS: number): void;
  /** No new sessions; freed when the last one ends. */
  retire(): void;
}

export interface ContextOptions {
  /** What tells this rule set from every other: tickets of one are worth nothing to another (see ticket-keys.ts). */
  readonly ruleSet: string;
  /** As hello/policies.ts names it. */
  readonly policy: string;
  /** PEM; zeroed by the caller once the context is made. */
  readonly certificates: readonly { readonly chainPem: Uint8Array; readonly keyPem: Uint8Array; readonly plan: CertificatePlan }[];
  readonly alpn: readonly string[];
  readonly tickets: boolean;
}

export interface TlsEngine {
  readonly name: EngineName;
  /** Throws one Error that says what is wrong with which certificate or setting. */
  context(options: ContextOptions): TlsContext;
}
