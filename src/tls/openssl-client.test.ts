/** TLS towards servers: whom it believes, what it shows, and what it resumes. The servers are Node's and the openssl command. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer, type TlsOptions } from 'node:tls';
import {
  FAULT_EOF,
  FAULT_SERVER_CERTIFICATE_EXPIRED,
  FAULT_SERVER_CERTIFICATE_INVALID,
  FAULT_SERVER_CERTIFICATE_NAME,
  FAULT_SERVER_CERTIFICATE_NOT_ALLOWED,
  FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER,
  FAULT_SERVER_NOT_TLS,
  FAULT_SERVER_TLS_ALERT,
  FAULT_SERVER_TLS_GONE,
  FAULT_TLS_CERTIFICATE_NOT_ALLOWED,
} from '../base/faults.ts';
import { findPolicy } from '../hello/policies.ts';
import { allocate } from '../native/memory.ts';
import { closeDescriptor, connected, destination, openConnection } from '../native/sockets.ts';
import { testReactor } from '../net/test-reactor.ts';
import { Watched } from '../net/watched.ts';
import type { ClientContextOptions, TlsClientContext, TlsPeer, TlsSession } from './engine.ts';
import { OpensslEngine } from './openssl-engine.ts';
import { certify, type Pair } from './test-authority.ts';

const engine = new OpensslEngine();
const reactor = testReactor();
const memory = allocate(65_536);

const root = certify('Test root', { issuer: null, authority: true });
const shop = certify('shop', { issuer: root, usage: 'serverAuth', names: ['shop.test', '*.shop.test', '127.0.0.1'] });
const late = certify('late', { issuer: root, names: ['shop.test'], days: -1 });
const forClients = certify('client', { issuer: root, usage: 'clientAuth', names: ['shop.test'] });
const strange = certify('strange', { issuer: null, names: ['shop.test'] });

interface Seen {
  /** 1, or a fault. */
  readonly result: number;
  readonly text: string;
  readonly end: number;
  readonly resumed: boolean;
  readonly protocol: string;
  readonly version: number;
  readonly sentAlert: number;
  readonly peers: number;
  readonly error: string;
}

/** One connection: shakes hands, says `hi`, reads until the end. */
class Visit extends Watched {
  readonly #context: TlsClientContext;
  readonly #to: TlsPeer;
  /** Behind the first answer. */
  readonly #leaves: boolean;
  readonly #done: (seen: Seen) => void;
  #session: TlsSession | null = null;
  #open = false;
  #text = '';

  constructor(context: TlsClientContext, to: TlsPeer, leaves: boolean, done: (seen: Seen) => void) {
    super();
    this.#leaves = leaves;
    this.#context = context;
    this.#to = to;
    this.#done = done;
  }

  override onEvents(): void {
    if (this.#session === null) {
      if (connected(this.fd) !== 1) return;
      this.#session = this.#context.session(this.fd, this.#to);
    }
    const session = this.#session!;
    if (!this.#open) {
      const n = session.handshake();
      if (n === 0) return;
      if (n < 0) {
        this.#finish(n, 0);
        return;
      }
      this.#open = true;
      memory.bytes.write('hi\n');
      session.write(memory, 0, 3);
    }
    for (;;) {
      const n = session.read(memory, 0, memory.length);
      if (n === 0) return;
      if (n < 0) {
        this.#finish(1, n);
        return;
      }
      this.#text += memory.bytes.latin1Slice(0, n);
      if (this.#leaves) {
        this.#finish(1, 0);
        return;
      }
    }
  }

  #finish(result: number, end: number): void {
    const session = this.#session!;
    const seen = {
      result,
      end,
      text: this.#text,
      resumed: result === 1 && session.resumed(),
      protocol: result === 1 ? session.protocol() : '',
      version: session.version(),
      sentAlert: session.sentAlert(),
      peers: session.peerChain().length,
      error: session.libraryError(),
    };
    session.end(true);
    const { fd } = this;
    reactor.forget(this);
    session.release();
    closeDescriptor(fd);
    this.#done(seen);
  }

  override onReady(): void {}
  override onDeadline(): void {}
}

function visit(context: TlsClientContext, port: number, to: Partial<TlsPeer> = {}, leaves = false): Promise<Seen> {
  return new Promise((resolve) => {
    const fd = openConnection(destination({ family: 4, ip: '127.0.0.1', port }));
    assert.ok(fd > 0);
    assert.ok(
      reactor.watch(new Visit(context, { serverName: 'shop.test', identity: 'shop.test', place: 'shop', ...to }, leaves, resolve), fd),
    );
  });
}

function context(options: Partial<ClientContextOptions> = {}): TlsClientContext {
  return engine.clientContext({
    rules: findPolicy('intermediate')!,
    caPem: root.pem,
    depth: 2,
    certificate: null,
    alpn: [],
    judge: (_chain, fault) => fault,
    ...options,
  });
}

/** Node's server: says who asked for what, and ends. */
async function serve(t: TestContext, pair: Pair, options: TlsOptions = {}): Promise<number> {
  const server = createServer({ key: pair.keyPem, cert: pair.pem, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', () => {
      const client = socket.getPeerX509Certificate()?.subject ?? 'nobody';
      socket.end(`sni=${String(socket.servername)} client=${client}`);
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const only = { minVersion: version, maxVersion: version };

  test(`OpensslEngine.clientContext(), ${version}: believes a server whose chain and name are right, and says whom it wants`, async (t) => {
    const port = await serve(t, shop, { ...only, ALPNProtocols: ['h2'] });
    const made = context({ alpn: ['h2', 'http/1.1'] });
    const seen = await visit(made, port);
    assert.deepEqual([seen.result, seen.end, seen.text], [1, FAULT_EOF, 'sni=shop.test client=nobody']);
    assert.deepEqual([seen.protocol, seen.version, seen.peers], ['h2', version === 'TLSv1.3' ? 0x0304 : 0x0303, 2]);
    const byAddress = await visit(made, port, { serverName: null, identity: '127.0.0.1' });
    assert.equal(byAddress.text, 'sni=false client=nobody');
    assert.equal((await visit(made, port, { identity: 'a.shop.test' })).result, 1);
    made.retire();
  });

  for (const [what, pair, to, fault, alert] of [
    ['of another name', shop, { identity: 'bank.test' }, FAULT_SERVER_CERTIFICATE_NAME, 42],
    ['of another address', shop, { identity: '127.0.0.2' }, FAULT_SERVER_CERTIFICATE_NAME, 42],
    ['that is over', late, {}, FAULT_SERVER_CERTIFICATE_EXPIRED, 45],
    ['for clients', forClients, {}, FAULT_SERVER_CERTIFICATE_INVALID, 43],
    ['signed by itself', strange, {}, FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER, 48],
  ] as const) {
    test(`OpensslEngine.clientContext(), ${version}: refuses a certificate ${what}, with alert ${alert}`, async (t) => {
      const port = await serve(t, pair, only);
      const made = context();
      const seen = await visit(made, port, to);
      assert.deepEqual([seen.result, seen.sentAlert], [fault, alert]);
      assert.ok(seen.peers > 0, 'what was shown is there to be told');
      made.retire();
    });
  }

  test(`OpensslEngine.clientContext(), ${version}: a judge refuses what OpenSSL would take, or takes what it would not`, async (t) => {
    const port = await serve(t, shop, only);
    const strict = context({ judge: () => FAULT_TLS_CERTIFICATE_NOT_ALLOWED });
    assert.equal((await visit(strict, port)).result, FAULT_SERVER_CERTIFICATE_NOT_ALLOWED);
    strict.retire();
    const other = await serve(t, strange, only);
    const lax = context({ judge: () => 0 });
    assert.equal((await visit(lax, other, { identity: 'anything.test' })).result, 1);
    lax.retire();
  });

  test(`OpensslEngine.clientContext(), ${version}: resumes a session with the same server, and with no other`, async (t) => {
    const port = await serve(t, shop, only);
    const made = context();
    assert.equal((await visit(made, port)).resumed, false);
    const again = await visit(made, port);
    assert.deepEqual([again.resumed, again.peers], [true, 1]);
    assert.equal((await visit(made, port, { identity: 'a.shop.test' })).resumed, false);
    made.retire();
  });

  test(`OpensslEngine.clientContext(), ${version}: shows a certificate to a server that asks for one`, async (t) => {
    const port = await serve(t, shop, { ...only, requestCert: true, ca: root.pem });
    const mine = context({ certificate: { chainPem: forClients.pem, keyPem: forClients.keyPem } });
    assert.equal((await visit(mine, port)).text, 'sni=shop.test client=CN=client');
    mine.retire();
  });
}

test('OpensslEngine.clientContext() tells a server that has no version in common, and one that is none', async (t) => {
  const port = await serve(t, shop, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
  const made = context({ rules: findPolicy('modern')! });
  assert.equal((await visit(made, port)).result, FAULT_SERVER_TLS_ALERT);
  const { createServer: createTcp } = await import('node:net');
  for (const [answer, fault] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', FAULT_SERVER_NOT_TLS],
    ['', FAULT_SERVER_TLS_GONE],
  ] as const) {
    const plain = createTcp((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer));
    });
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    assert.equal((await visit(made, (plain.address() as AddressInfo).port)).result, fault);
    plain.close();
  }
  made.retire();
});

test('OpensslEngine.clientContext() talks to openssl s_server, and resumes', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-tls-server-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [certificate, key] = [join(directory, 'shop.pem'), join(directory, 'shop.key')];
  writeFileSync(certificate, shop.pem);
  writeFileSync(key, shop.keyPem);
  const child: ChildProcess = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-cert', certificate, '-key', key, '-rev']);
  t.after(() => child.kill());
  let output = '';
  child.stdout?.on('data', (data) => {
    output += String(data);
  });
  while (!/ACCEPT \S+:(\d+)/.test(output)) await once(child.stdout!, 'data');
  const port = Number(/ACCEPT \S+:(\d+)/.exec(output)![1]);
  const made = context();
  // -rev answers each line backwards, and waits for the next.
  const first = await visit(made, port, {}, true);
  assert.deepEqual([first.text, first.resumed], ['ih\n', false]);
  assert.equal((await visit(made, port, {}, true)).resumed, true);
  made.retire();
});
