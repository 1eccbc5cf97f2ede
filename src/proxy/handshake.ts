/**
 * A client's way in, from the first byte of its ClientHello until it may ask for something: the hello, who serves the name, the engine's
 * handshake, whether its certificate is revoked, and the line about all that. Pooled: a connection owns one only meanwhile.
 *
 *   HELLO -> HANDSHAKE -> (in)
 *     |          |   \-> HELD (whether its certificate is revoked is being asked) -> CLEARED -> (in)
 *     |\-> (passed through)
 *     \-> CLOSING (a plain alert, or a plain 400, on its way)
 *
 * It must not know what comes behind: requests, or bytes that are carried as they are.
 */
import {
  FAULT_CLIENT_HANDSHAKES,
  FAULT_HELLO_GONE,
  FAULT_HELLO_NO_SHARED_PROTOCOL,
  FAULT_HELLO_PLAIN_HTTP,
  FAULT_HELLO_TIMEOUT,
  FAULT_HELLO_UNKNOWN_NAME,
  FAULT_MEMORY,
  FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN,
  FAULT_TLS_CLIENT_ALERT,
  FAULT_TLS_INTERNAL,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_TIMEOUT,
  faultOf,
  NEED_MORE,
} from '../base/faults.ts';
import { HANDSHAKES_PER_TURN, HELLO_PEEK_BYTES } from '../base/limits.ts';
import type { ClientIdentity, ClientJudge } from '../guard/client-judge.ts';
import { type ClientHello, readClientHello } from '../hello/client-hello.ts';
import { suiteName, versionName } from '../hello/names.ts';
import { Agreement, refusalBeforeS2n, refusalByFloor } from '../hello/negotiate.ts';
import { plainAlert } from '../hello/plain-alert.ts';
import { plainHttpOnTlsPort } from '../http/local-answers.ts';
import { peek, receive, transmit } from '../native/sockets.ts';
import {
  C_FAULTS,
  C_HANDSHAKES_OPEN,
  C_HANDSHAKES_TLS12,
  C_HANDSHAKES_TLS12_RESUMED,
  C_HANDSHAKES_TLS13,
  C_HANDSHAKES_TLS13_RESUMED,
  C_LIMIT_HANDSHAKES_TURN,
  C_TCP_PASSTHROUGH,
  groupPlace,
  H_HANDSHAKE,
  observe,
  suitePlace,
} from '../plan/counters.ts';
import { contextAt, keysAt, type NameOwner, problemAt } from '../tls/certificate-table.ts';
import type { TlsSession } from '../tls/engine.ts';
import type { ClientConnection } from './client-connection.ts';
import { CLEARED, HANDSHAKE, HELD, HELLO } from './client-state.ts';
import { COMPOSE_AT, type ProxyContext, READ_AT } from './context.ts';
import { recordFailure, recordSuccess } from './handshake-record.ts';
import { reportPolicy } from './policy-report.ts';
import type { RevocationWaiter } from './revocation-desk.ts';

/** Kept for reuse. */
const SPARES_MAX = 256;
const MISSING_EXTENSION = 109;
const TLS_1_3 = 0x0304;

const agreement = new Agreement();

const spares: Handshake[] = [];

export class Handshake implements RevocationWaiter {
  /** For `client`, whose state it drives from now on. It goes back with `release`. */
  static take(client: ClientConnection): Handshake {
    const handshake = spares.pop() ?? new Handshake();
    handshake.#client = client;
    client.state = HELLO;
    client.context.counters[C_HANDSHAKES_OPEN]!++;
    return handshake;
  }

  #client: ClientConnection | null = null;
  /** Null until the hello was understood and somebody serves its name. */
  session: TlsSession | null = null;
  /** The hello as it came: whoever fails has a line with what it offered. */
  hello: Buffer | null = null;
  /** Who serves the name. */
  owner: NameOwner | null = null;
  /** Why there is no context for it. */
  libraryProblem = '';
  #identity: ClientIdentity | null = null;
  #judge: ClientJudge | null = null;

  /** Its client is in, or gone. */
  release(): void {
    const client = this.#client;
    if (client === null) return;
    if (client.state === HELD) client.context.revocation.forget(this);
    this.#client = null;
    this.session = null;
    this.hello = null;
    this.owner = null;
    this.libraryProblem = '';
    this.#identity = null;
    this.#judge = null;
    if (spares.length < SPARES_MAX) spares.push(this);
  }

  // --- the ClientHello, before any crypto ---------------------------------------------------------------------------

  readHello(): void {
    const client = this.#client!;
    const { context } = client;
    const n = peek(client.fd, context.scratch, READ_AT, HELLO_PEEK_BYTES);
    client.readable = false;
    if (n <= 0) {
      if (n < 0) this.#fail(FAULT_HELLO_GONE);
      return;
    }
    client.peeked = n;
    const hello = context.hello;
    const used = readClientHello(context.bytes, READ_AT, READ_AT + n, hello);
    if (used === NEED_MORE) {
      // Behind a FIN the same bytes could be peeked for ever.
      if (client.hungUp || n >= HELLO_PEEK_BYTES) this.#fail(FAULT_HELLO_GONE);
      else client.awaitBytes(hello.neededBytes);
      return;
    }
    if (used < 0) {
      this.#refuse(used);
      return;
    }
    if (context.handshakesThisTurn >= HANDSHAKES_PER_TURN) {
      context.counters[C_LIMIT_HANDSHAKES_TURN]!++;
      context.reactor.later(client);
      return;
    }
    if (!context.clients.takeHandshake(client.place, context.sharedMs())) {
      // Whoever asks too often is worth no answer, and no line: a count.
      context.counters[C_FAULTS - FAULT_CLIENT_HANDSHAKES]!++;
      context.counters[C_HANDSHAKES_OPEN]!--;
      client.destroy();
      return;
    }
    context.handshakesThisTurn++;
    client.sni = hello.serverName();
    const past = client.site.passthrough?.find(client.sni, hello) ?? null;
    if (past !== null) {
      client.awaitBytes(1);
      client.readable = true;
      context.counters[C_HANDSHAKES_OPEN]!--;
      context.counters[C_TCP_PASSTHROUGH]!++;
      client.carry(past);
      return;
    }
    this.hello = Buffer.from(context.bytes.subarray(READ_AT, READ_AT + used));
    this.#choose(client, context);
  }

  /** Who serves the name, and whether this client may have it: the engine begins, or the client is refused without one. */
  #choose(client: ClientConnection, context: ProxyContext): void {
    const { site } = client;
    const nowMs = context.unixMs();
    const owner = site.certificates?.find(client.sni, nowMs) ?? null;
    if (owner === null) {
      this.#refuse(FAULT_HELLO_UNKNOWN_NAME);
      return;
    }
    this.owner = owner;
    const unfit = unfitness(client, owner, nowMs);
    if (unfit < 0) {
      this.#refuse(unfit);
      return;
    }
    if (owner.report !== null) reportPolicy(client, owner, owner.report, nowMs);
    client.awaitBytes(1);
    client.clientRules = owner.rule.clients?.id ?? '';
    this.#judge = site.judges.get(client.clientRules) ?? null;
    const tls = contextAt(owner, nowMs);
    if (tls === null) {
      this.libraryProblem = problemAt(owner, nowMs);
      this.#refuse(FAULT_TLS_INTERNAL);
      return;
    }
    if (context.keyLog !== null) context.keyLog.watch(site, tls);
    const session = tls.session(client.fd);
    if (session === null) {
      this.#refuse(FAULT_MEMORY);
      return;
    }
    this.session = session;
    client.stream = session;
    client.state = HANDSHAKE;
    this.step();
  }

  /** Answers without an engine: a plain 400, a plain alert, or nothing. */
  #refuse(fault: number): void {
    const client = this.#client!;
    const { context } = client;
    // What is left unread would turn our close into a reset, and the answer would be lost.
    receive(client.fd, context.scratch, READ_AT, client.peeked);
    const alert = alertOf(fault, context.hello);
    recordFailure(client, this, fault, alert === 0 ? null : alert, 'us');
    const answer = fault === FAULT_HELLO_PLAIN_HTTP ? plainHttpOnTlsPort() : alert > 0 ? plainAlert(alert) : null;
    if (answer !== null) {
      context.bytes.set(answer, COMPOSE_AT);
      transmit(client.fd, context.scratch, COMPOSE_AT, answer.length);
    }
    context.counters[C_HANDSHAKES_OPEN]!--;
    client.stream.end(false);
    client.awaitEnd();
  }

  // --- the engine -----------------------------------------------------------------------------------------------------

  step(): void {
    const client = this.#client!;
    const session = this.session!;
    const { keyLog } = client.context;
    if (keyLog !== null) keyLog.attend(client.site);
    const n = session.handshake();
    if (n === 0) {
      if (session.awaitsRoom()) client.context.reactor.awaitRoom(client);
      return;
    }
    if (n < 0) {
      this.#fail(n);
      return;
    }
    const { context } = client;
    const version = session.version();
    const resumed = session.resumed();
    if (version === 0x0304) context.counters[resumed ? C_HANDSHAKES_TLS13_RESUMED : C_HANDSHAKES_TLS13]!++;
    else context.counters[resumed ? C_HANDSHAKES_TLS12_RESUMED : C_HANDSHAKES_TLS12]!++;
    const suite = session.suite();
    context.counters[suitePlace(suite)]!++;
    context.counters[groupPlace(session.group())]!++;
    observe(context.counters, H_HANDSHAKE.at, H_HANDSHAKE.bounds, (context.reactor.nowMs - client.acceptedMs) / 1_000);
    context.counters[C_HANDSHAKES_OPEN]!--;
    client.tlsVersion = versionName(version);
    client.cipher = suiteName(suite);
    if (context.debug !== null) this.#tellWatcher(client, resumed);
    if (this.#judge !== null && this.#isHeld(client, this.#judge, session, resumed)) return;
    this.#letIn(client, session);
  }

  // --- whoever shows a certificate --------------------------------------------------------------------------------------

  /** True when it must wait until it is known whether its certificate is revoked, or is not in after all. */
  #isHeld(client: ClientConnection, judge: ClientJudge, session: TlsSession, resumed: boolean): boolean {
    const { revocation } = client.context;
    const chain = session.peerChain();
    if (chain.length === 0) {
      client.clientFields = judge.noFields;
      return false;
    }
    const identity = judge.identityOf(chain, resumed);
    this.#identity = identity;
    if (identity === null) {
      this.#turnAway(FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN);
      return true;
    }
    const questions = judge.openQuestions(identity);
    if (questions.length > 0 && judge.revocation !== null && revocation.ask(this, identity, questions, judge.revocation)) {
      client.state = HELD;
      return true;
    }
    return !this.#settled(client, judge, identity);
  }

  /** Behind HELD: it is in, or it is not. */
  onRevocationKnown(): void {
    const client = this.#client;
    const identity = this.#identity;
    const judge = this.#judge;
    if (client === null || client.state !== HELD || identity === null || judge === null) return;
    if (!this.#settled(client, judge, identity)) return;
    client.state = CLEARED;
    const { reactor } = client.context;
    reactor.noDeadline(client);
    // Not now: whoever tells may have the scratch in use.
    reactor.later(client);
  }

  /** In CLEARED, at its turn. */
  finish(): void {
    this.#letIn(this.#client!, this.session!);
  }

  #letIn(client: ClientConnection, session: TlsSession): void {
    const { context } = client;
    if (context.logs.handshakes.takesSuccess(context.unixMs())) recordSuccess(client, this);
    client.onHandshakeEnd(session);
  }

  /** False: the connection ends, before a byte of a request was read. */
  #settled(client: ClientConnection, judge: ClientJudge, identity: ClientIdentity): boolean {
    const fault = judge.settle(identity);
    if (fault === 0) {
      client.identity = identity;
      client.clientFields = judge.fieldsOf(identity);
      return true;
    }
    this.#turnAway(fault);
    return false;
  }

  /** The handshake is over, so no alert says why. */
  #turnAway(fault: number): void {
    const client = this.#client!;
    recordFailure(client, this, fault, null, 'us');
    client.closeGracefully(true);
  }

  // --- the end of those who are not in ----------------------------------------------------------------------------------

  onDeadline(): void {
    const client = this.#client!;
    switch (client.state) {
      case HELLO:
        this.#fail(client.peeked > 0 ? FAULT_HELLO_TIMEOUT : FAULT_HELLO_GONE);
        return;
      case HANDSHAKE:
        this.#fail(FAULT_TLS_TIMEOUT);
        return;
      case HELD:
        client.context.revocation.forget(this);
        this.onRevocationKnown();
        return;
      default:
        client.destroy();
        return;
    }
  }

  #fail(fault: number): void {
    const client = this.#client!;
    const { context } = client;
    const { session } = this;
    const theirs = fault === FAULT_TLS_CLIENT_ALERT;
    const alert = session === null ? -1 : theirs ? session.clientAlert() : session.sentAlert();
    recordFailure(client, this, fault, alert >= 0 ? alert : null, theirs ? 'client' : 'us');
    context.counters[C_HANDSHAKES_OPEN]!--;
    if (session === null) {
      client.leave();
      return;
    }
    // An end that is put off is not announced.
    if (session.blindingMs() > 0) {
      client.destroy();
      return;
    }
    const isTold = session.sentAlert() >= 0;
    session.end(!isTold);
    if (isTold) client.awaitEnd();
    else client.destroy();
  }

  /** Somebody looks closely. Cold. */
  #tellWatcher(client: ClientConnection, resumed: boolean): void {
    const { context } = client;
    if (context.debug?.wantsHandshake(client.address) !== true) return;
    context.debug.write(context.unixMs(), {
      what: 'handshake',
      client: client.address,
      listener: client.site.name,
      sni: client.sni,
      tls: client.tlsVersion,
      cipher: client.cipher,
      resumed,
      durationUs: Math.round((performance.now() - client.acceptedMs) * 1_000),
    });
  }
}

/** The fault for a client that this name is not for, whatever an engine said; or 0. The hello is the one in the context. */
function unfitness({ context, site }: ClientConnection, owner: NameOwner, nowMs: number): number {
  const { hello } = context;
  const { policy, rule } = owner;
  const refused = refusalByFloor(hello, policy, rule.minVersion, rule.requirePostQuantum);
  if (refused < 0) return refused;
  if (!sharesProtocol(hello, site.alpnBytes)) return FAULT_HELLO_NO_SHARED_PROTOCOL;
  return owner.engine === 's2n' ? refusalBeforeS2n(hello, policy, keysAt(owner, nowMs), agreement) : 0;
}

/** Who has no opinion says nothing (RFC 7301, section 3.2). */
function sharesProtocol(hello: ClientHello, served: readonly Uint8Array[]): boolean {
  if (served.length === 0 || hello.alpnCount === 0) return true;
  for (let i = 0; i < served.length; i++) if (hello.offersAlpn(served[i]!)) return true;
  return false;
}

/** What goes to a client that is refused for its hello; 0: nothing. RFC 8446, section 9.2, wants a list of schemes for TLS 1.3. */
function alertOf(fault: number, hello: ClientHello): number {
  const isMissing = fault === FAULT_TLS_NO_SHARED_SIGNATURE && hello.schemeCount === 0 && agreement.version >= TLS_1_3;
  return isMissing ? MISSING_EXTENSION : faultOf(fault).alert;
}
