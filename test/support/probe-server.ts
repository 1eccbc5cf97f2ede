/** A TLS server on one of s2n's policies: no more than a socket, a configuration and handshakes. One reactor per process. */
import assert from 'node:assert/strict';
import { s2nLibraryPath } from '../../src/native/library-path.ts';
import { boundPort, openListenSocket } from '../../src/native/listen-sockets.ts';
import * as s2n from '../../src/native/s2n.ts';
import { closeDescriptor } from '../../src/native/sockets.ts';
import { Listener } from '../../src/net/listener.ts';
import { Reactor } from '../../src/net/reactor.ts';
import { Watched } from '../../src/net/watched.ts';

export interface ProbeCertificate {
  readonly chainPem: Uint8Array;
  readonly keyPem: Uint8Array;
}

class Session extends Watched {
  readonly #server: ProbeServer;
  readonly #tls: number;

  constructor(server: ProbeServer, tls: number) {
    super();
    this.#server = server;
    this.#tls = tls;
  }

  override onEvents(): void {
    // A client that only wanted to see the answer never finishes: its end is what ends this.
    if (s2n.negotiate(this.#tls) === 0) return;
    const { fd } = this;
    this.#server.errors.push(s2n.s2nErrorName(s2n.s2nErrno()));
    this.#server.reactor.forget(this);
    s2n.closeTls(this.#tls);
    closeDescriptor(fd);
  }

  override onReady(): void {}
  override onDeadline(): void {}
}

/** Whether the library has a policy of this name. */
export function knowsPolicy(policy: string): boolean {
  try {
    s2n.closeConfig(s2n.openConfig(configOf(policy, [])));
    return true;
  } catch (error) {
    assert.match(String(error), /^Error: policy: S2N_ERR_(?:INVALID|DEPRECATED)_SECURITY_POLICY$/);
    return false;
  }
}

function configOf(policy: string, certificates: readonly ProbeCertificate[]): s2n.S2nConfigOptions {
  return { policy, certificates, alpn: [], tickets: false, ticketEncryptS: 1, ticketDecryptS: 1, blindingSMax: 1 };
}

export class ProbeServer {
  readonly reactor: Reactor = new Reactor(
    () => {},
    () => {},
  );
  readonly port: number;
  /** s2n's names of what ended the sessions, in order. */
  readonly errors: string[] = [];
  readonly #listener: Listener;
  #config = 0;

  constructor() {
    s2n.loadS2n(s2nLibraryPath());
    this.reactor.start();
    const opened = openListenSocket(
      { family: 4, ip: '127.0.0.1', port: 0 },
      { backlog: 64, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 },
    );
    assert.ok('fd' in opened);
    this.port = boundPort(opened.fd);
    this.#listener = new Listener(this.reactor, opened.fd, {
      onConnection: (fd) => assert.ok(this.reactor.watch(new Session(this, s2n.openTls(this.#config, fd)), fd)),
      hasRoom: () => true,
      onDescriptorsOut: () => {},
    });
    this.#listener.open();
  }

  /** What later connections are served by. Configurations stay: sessions of the one before may still use it. */
  use(policy: string, certificates: readonly ProbeCertificate[]): void {
    this.#config = s2n.openConfig(configOf(policy, certificates));
  }

  close(): void {
    this.#listener.close();
    this.reactor.stop();
  }
}
