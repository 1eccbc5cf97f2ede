/**
 * What everything above this room sees of TLS: contexts (a rule set with its certificates) and sessions (one connection). Two engines
 * stand behind it, by the same contract; which one serves a listener is the context's affair.
 */
import type { EngineName } from '../base/engine-name.ts';
import type { TlsRules } from '../base/tls-rules.ts';
import type { HandshakeStream } from '../net/stream.ts';
import type { CertificatePlan } from '../plan/plan.ts';

export interface TlsSession extends HandshakeStream {
  /**
   * Behind a finished handshake: TLS version, cipher suite and group as on the wire, and whether a session was resumed. No group: 0. Behind
   * one that failed: the same as far as it came, where `suite` is not 0.
   */
  version(): number;
  suite(): number;
  group(): number;
  /** The protocol agreed by ALPN; empty when none was. */
  protocol(): string;
  /** What the peer showed: DER, leaf first, as far as a path was found; the leaf alone behind a resumption. Behind a refusal too. */
  peerChain(): readonly Uint8Array[];
  /** What is wrong with it: the fault it was refused for, or was let in with; 0: nothing. */
  peerFault(): number;
  /** Behind a fault: the fatal alert that the peer, a client or a server, sent (RFC 8446, section 6), or -1. */
  clientAlert(): number;
  /** Behind a fault: the alert that was sent to the peer, or is with `end`; -1: none. */
  sentAlert(): number;
  /** Behind a fault: the library's own name for it. */
  libraryError(): string;
}

export interface TlsContext {
  /** A session on an accepted connection, null when there is no memory for it; the descriptor stays the caller's. */
  session(fd: number): TlsSession | null;
  /** Takes a ticket key into use; known ones are passed over. The caller zeroes `secret`. */
  addTicketKey(name: string, secret: Uint8Array, fromS: number): void;
  /** Shows this OCSP response with the certificate of that fingerprint from now on, to clients that ask; empty: none. It is copied. */
  staple(fingerprint: string, response: Uint8Array): void;
  /** Whether the secrets of its handshakes are told (native/key-lines.ts). Nothing on a context that has been freed. */
  tellKeys(on: boolean): void;
  /** No new sessions; freed when the last one ends. */
  retire(): void;
}

/**
 * Whether a client with these certificates (DER, leaf first) may come in. `fault`: what is wrong with the path to an authority, its validity
 * or its purpose; 0: nothing. Returns 0, or the fault that it is refused for. A ticket's client is judged again before it resumes
 * (`resumes`), by its leaf alone; refused, it shows itself anew in a whole handshake. Runs inside the handshake: no waiting.
 */
export type PeerJudge = (chain: readonly Uint8Array[], fault: number, resumes: boolean) => number;

export interface ClientCertificateRules {
  /** Who shows none is refused. */
  readonly required: boolean;
  /** PEM of the authorities that are trusted, root or not. */
  readonly caPem: Uint8Array;
  /** Intermediate certificates between a client's and an authority, at most. */
  readonly depth: number;
  readonly judge: PeerJudge;
}

export interface ContextOptions {
  /** What tells this rule set from every other: tickets of one are worth nothing to another (see ticket-keys.ts). */
  readonly ruleSet: string;
  /** The policy's name (hello/policies.ts), for an engine that has policies by name, and what it allows, for one that has none. */
  readonly policy: string;
  readonly rules: TlsRules;
  /** PEM, copied; the caller zeroes the keys. */
  readonly certificates: readonly { readonly chainPem: Uint8Array; readonly keyPem: Uint8Array; readonly plan: CertificatePlan }[];
  readonly alpn: readonly string[];
  readonly tickets: boolean;
  /** No ticket resumes longer than that. Seconds, 10_800..=86_400. */
  readonly ticketLifetimeS: number;
  /** Null: clients are not asked for one. */
  readonly clients: ClientCertificateRules | null;
  /** Certificates are sent compressed to clients that read that. RFC 8879. */
  readonly compressCertificates: boolean;
}

export interface ClientContextOptions {
  readonly rules: TlsRules;
  /** PEM of the authorities that are trusted, root or not; null: none are, and the judge has to believe without. */
  readonly caPem: Uint8Array | null;
  /** Intermediate certificates between a server's and an authority, at most. */
  readonly depth: number;
  /** Shown to servers that ask for one; null: none is. PEM; zeroed by the caller once the context is made. */
  readonly certificate: { readonly chainPem: Uint8Array; readonly keyPem: Uint8Array } | null;
  readonly alpn: readonly string[];
  /**
   * Whether a server with these certificates is who it should be. `fault`: what is wrong with path, validity, purpose or name; 0: nothing. The
   * usual judge returns it as it is; one for pinned keys looks further; one that always returns 0 verifies nothing.
   */
  readonly judge: PeerJudge;
}

export interface TlsPeer {
  /** Told to the server (SNI); null: none is. */
  readonly serverName: string | null;
  /** What its certificate must be for: a DNS name, or an IP address; null: for anything. */
  readonly identity: string | null;
  /** What tells it from other servers: the sessions of one are worth nothing to another. */
  readonly place: string;
}

export interface TlsClientContext {
  /** A session on a connected socket, resumed where this peer gave one before; null when there is no memory for it; the descriptor stays the caller's. */
  session(fd: number, to: TlsPeer): TlsSession | null;
  /** Trusts these authorities too: a list of many is trusted piece by piece, before the first session. PEM. Throws one Error. */
  trust(caPem: Uint8Array): void;
  /** No new sessions; freed when the last one ends. */
  retire(): void;
}

/** An engine that begins connections, too. */
export interface TlsClientEngine extends TlsEngine {
  /** Throws one Error that says what is wrong with which certificate or setting. */
  clientContext(options: ClientContextOptions): TlsClientContext;
}

export interface TlsEngine {
  readonly name: EngineName;
  /** As the library calls itself. */
  readonly library: string;
  /** Throws one Error that says what is wrong with which certificate or setting. */
  context(options: ContextOptions): TlsContext;
}
