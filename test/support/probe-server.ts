/** A TLS server on either engine and one policy: no more than a socket, a context and handshakes. One reactor per process. */
import assert from 'node:assert/strict';
import type { EngineName } from '../../src/base/engine-name.ts';
import type { Policy } from '../../src/hello/policy.ts';
import { boundPort, openListenSocket } from '../../src/native/listen-sockets.ts';
import * as s2n from '../../src/native/s2n.ts';
import { closeDescriptor } from '../../src/native/sockets.ts';
import { Listener } from '../../src/net/listener.ts';
import { Reactor } from '../../src/net/reactor.ts';
import { Watched } from '../../src/net/watched.ts';
import type { TlsContext, TlsSession } from '../../src/tls/engine.ts';
import { TlsEngines } from '../../src/tls/engines.ts';
import type { SelfSigned } from './test-certificate.ts';

class Session extends Watched {
  readonly #reactor: Reactor;
  readonly #tls: TlsSession;

  constructor(reactor: Reactor, tls: TlsSession) {
    super();
    this.#reactor = reactor;
    this.#tls = tls;
  }

  override onEvents(): void {
    // A client that only wanted to see the answer never finishes: its end is what ends this.
    if (this.#tls.handshake() === 0) return;
    const { fd } = this;
    this.#reactor.forget(this);
    this.#tls.release();
    closeDescriptor(fd);
  }

  override onReady(): void {}
  override onDeadline(): void {}
}

export class ProbeServer {
  readonly port: number;
  readonly #reactor: Reactor = new Reactor(
    () => {},
    () => {},
  );
  readonly #listener: Listener;
  readonly #engines = new TlsEngines();
  #context: TlsContext | null = null;

  constructor() {
    this.#reactor.start();
    const opened = openListenSocket(
      { family: 4, ip: '127.0.0.1', port: 0 },
      { backlog: 64, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 },
    );
    assert.ok('fd' in opened);
    this.port = boundPort(opened.fd);
    this.#listener = new Listener(this.#reactor, opened.fd, {
      onConnection: (fd) => assert.ok(this.#reactor.watch(new Session(this.#reactor, this.#context!.session(fd)!), fd)),
      hasRoom: () => true,
      onDescriptorsOut: () => {},
    });
    this.#listener.open();
  }

  /** What later connections are served by. */
  use(name: EngineName, policy: Policy, certificates: readonly SelfSigned[]): void {
    const engine = this.#engines.engine(name, null);
    assert.equal(engine.name, name, this.#engines.fastProblem ?? '');
    this.#context?.retire();
    this.#context = engine.context({
      ruleSet: 'probe',
      policy: policy.name,
      rules: policy,
      certificates: certificates.map(({ kind, chainPem, keyPem }) => ({
        chainPem: Buffer.from(chainPem),
        keyPem: Buffer.from(keyPem),
        plan: {
          fingerprint: kind,
          chainFingerprint: kind,
          algorithms: '',
          keyType: kind,
          names: ['localhost'],
          notBeforeMs: 0,
          notAfterMs: 1e15,
          source: kind,
          chainBlob: 0,
          keyBlob: 1,
        },
      })),
      alpn: [],
      tickets: false,
      ticketLifetimeS: 86_400,
      clients: null,
      compressCertificates: false,
    });
  }

  /** Whether s2n has a policy of this name. */
  knowsPolicy(policy: string): boolean {
    this.#engines.engine('s2n', null);
    try {
      const none = { certificates: [], alpn: [], tickets: false, ticketEncryptS: 1, ticketDecryptS: 1, blindingSMax: 1 };
      s2n.closeConfig(s2n.openConfig({ policy, ...none }));
      return true;
    } catch (error) {
      assert.match(String(error), /^Error: policy: S2N_ERR_(?:INVALID|DEPRECATED)_SECURITY_POLICY$/);
      return false;
    }
  }

  close(): void {
    this.#listener.close();
    this.#reactor.stop();
  }
}
