/** A server for tests of this room: reads everything that clients send, and remembers what its sessions saw. One reactor per process. */
import assert from 'node:assert/strict';
import { boundPort, openListenSocket } from '../native/listen-sockets.ts';
import { allocate, type Memory } from '../native/memory.ts';
import { HANGUP, READ_HANGUP } from '../native/poller.ts';
import { closeDescriptor, transmit } from '../native/sockets.ts';
import { Listener } from '../net/listener.ts';
import type { Reactor } from '../net/reactor.ts';
import { Watched } from '../net/watched.ts';
import type { TlsContext, TlsSession } from './engine.ts';

const memory: Memory = allocate(65_536);

/** What a server's session saw. Reads everything, echoes it when told to, ends when its client does. */
export class ServerSession extends Watched {
  readonly session: TlsSession;
  readonly events: (string | number)[] = [];
  group = 0;
  peerChain: readonly Uint8Array[] = [];
  peerFault = 0;
  sentAlert = -1;
  received = 0;
  open = false;
  pending = Buffer.alloc(0);
  /** The answer is taken, and the end behind it is what waits. */
  #ends = false;
  readonly #server: TestServer;

  constructor(server: TestServer, session: TlsSession) {
    super();
    this.#server = server;
    this.session = session;
  }

  override onEvents(mask: number): void {
    const hungUp = (mask & (READ_HANGUP | HANGUP)) !== 0;
    if (!this.open) {
      if (this.#server.filled === 0 && !this.#server.fillsLate) this.#server.fill(this.fd);
      const n = this.session.handshake();
      if (n === 0) {
        if (this.session.awaitsRoom()) this.#server.onStuck();
        return;
      }
      this.peerChain = this.session.peerChain();
      this.peerFault = this.session.peerFault();
      this.sentAlert = this.session.sentAlert();
      if (n < 0) {
        this.events.push('failed', n, this.session.clientAlert(), this.session.libraryError(), this.session.blindingMs());
        this.#end();
        return;
      }
      this.open = true;
      this.events.push('open', this.session.version(), this.session.suite(), String(this.session.resumed()), this.session.protocol());
      this.group = this.session.group();
      if (!hungUp && !this.session.mayHaveMore()) return;
    }
    if (this.#ends) {
      this.#tryToEnd();
      return;
    }
    if (!this.#flush()) return;
    if (hungUp && this.#server.writesWhenHungUp) this.events.push('wrote', this.session.write(memory, 0, memory.length));
    do {
      const n = this.session.read(memory, 0, memory.length);
      if (n > 0) {
        this.received += n;
        if (this.#server.answersLast) this.session.holdForEnd();
        if (this.#server.echo || this.#server.answersLast) {
          this.pending = Buffer.concat([this.pending, memory.bytes.subarray(0, n)]);
          if (!this.#flush()) return;
        }
        continue;
      }
      if (n < 0) {
        this.events.push('end', n, this.session.blindingMs());
        this.session.end(true);
        this.#end();
        return;
      }
      return;
    } while (hungUp || this.session.mayHaveMore());
  }

  /** False when this was the last that it does for now. */
  #flush(): boolean {
    const had = this.pending.length;
    if (had > 0 && this.#server.fillsLate && this.#server.filled === 0) this.#server.fill(this.fd);
    while (this.pending.length > 0) {
      const length = Math.min(this.pending.length, memory.length);
      memory.bytes.set(this.pending.subarray(0, length));
      const n = this.session.write(memory, 0, length);
      if (n === 0) this.#server.onStuck();
      if (n <= 0) return true;
      this.pending = this.pending.subarray(n);
    }
    if (had === 0 || !this.#server.answersLast) return true;
    this.#ends = true;
    this.#tryToEnd();
    return false;
  }

  #tryToEnd(): void {
    const n = this.session.end(true);
    if (n === 0) {
      this.#server.onStuck();
      return;
    }
    this.events.push('ended', n);
    this.#end();
  }

  #end(): void {
    const fd = this.fd;
    this.#server.reactor.forget(this);
    this.session.release();
    closeDescriptor(fd);
    this.#server.onDone(this);
  }

  override onReady(): void {}
  override onDeadline(): void {}
}

export class TestServer {
  readonly reactor: Reactor;
  readonly port: number;
  context: TlsContext;
  echo = false;
  /** Answers what came first with the same, and ends. */
  answersLast = false;
  /** Sockets are full before their handshake begins: of so many bytes, zeros. */
  filled = -1;
  /** They are full not before it, but before the first answer. */
  fillsLate = false;
  /** Something waits for room. */
  onStuck = (): void => {};
  /** Writes once more when the client is gone. */
  writesWhenHungUp = false;
  readonly #listener: Listener;
  readonly #done: ServerSession[] = [];
  readonly #waiting: ((session: ServerSession) => void)[] = [];

  constructor(reactor: Reactor, context: TlsContext) {
    this.reactor = reactor;
    this.context = context;
    const opened = openListenSocket(
      { family: 4, ip: '127.0.0.1', port: 0 },
      { backlog: 16, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 },
    );
    assert.ok('fd' in opened);
    this.port = boundPort(opened.fd);
    this.#listener = new Listener(reactor, opened.fd, {
      onConnection: (fd) => assert.ok(reactor.watch(new ServerSession(this, this.context.session(fd)!), fd)),
      hasRoom: () => true,
      onDescriptorsOut: () => {},
    });
    this.#listener.open();
  }

  fill(fd: number): void {
    const zeros = allocate(65_536);
    for (let n = transmit(fd, zeros, 0, zeros.length); n > 0; n = transmit(fd, zeros, 0, zeros.length)) this.filled += n;
  }

  onDone(session: ServerSession): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#done.push(session);
    else waiting(session);
  }

  /** The next session that ended. */
  next(): Promise<ServerSession> {
    const done = this.#done.shift();
    return done === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(done);
  }

  close(): void {
    this.#listener.close();
  }
}
