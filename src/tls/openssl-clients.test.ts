/** Client certificates on the complete engine: who comes in, who does not, with which alert, and what a ticket is worth. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import {
  FAULT_TLS_CERTIFICATE_CHAIN_LENGTH,
  FAULT_TLS_CERTIFICATE_EXPIRED,
  FAULT_TLS_CERTIFICATE_MISSING,
  FAULT_TLS_CERTIFICATE_NOT_ALLOWED,
  FAULT_TLS_CERTIFICATE_REVOKED,
  FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN,
  FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER,
  FAULT_TLS_CERTIFICATE_UNSUITABLE,
  FAULT_TLS_INTERNAL,
} from '../base/faults.ts';
import { findPolicy } from '../hello/policies.ts';
import { testReactor } from '../net/test-reactor.ts';
import type { ClientCertificateRules, TlsContext } from './engine.ts';
import { OpensslEngine } from './openssl-engine.ts';
import { certify, type Pair } from './test-authority.ts';
import { selfSigned } from './test-self-signed.ts';
import { type ServerSession, TestServer } from './test-tls-server.ts';

const engine = new OpensslEngine();
const reactor = testReactor();

const own = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const root = certify('Test root', { issuer: null, authority: true });
const middle = certify('Test intermediate', { issuer: root, authority: true });
const lower = certify('Test lower', { issuer: middle, authority: true });
const alice = certify('alice', { issuer: middle, usage: 'clientAuth' });
const deep = certify('deep', { issuer: lower });
const bob = certify('bob', { issuer: root, usage: 'clientAuth' });
const late = certify('late', { issuer: root, days: -1 });
const server = certify('a server', { issuer: root, usage: 'serverAuth' });
const strangers = certify('Another root', { issuer: null, authority: true });
const stranger = certify('stranger', { issuer: strangers });

function context(clients: Partial<ClientCertificateRules> = {}, ruleSet = 'bank'): TlsContext {
  const made = engine.context({
    ruleSet,
    policy: 'intermediate',
    rules: findPolicy('intermediate')!,
    certificates: [
      {
        ...own,
        plan: {
          fingerprint: 'x',
          chainFingerprint: 'x',
          algorithms: '',
          keyType: 'p256',
          names: [],
          notBeforeMs: 0,
          notAfterMs: 0,
          source: '',
          chainBlob: 0,
          keyBlob: 1,
        },
      },
    ],
    alpn: [],
    tickets: true,
    ticketLifetimeS: 86_400,
    compressCertificates: false,
    clients: { required: true, caPem: root.pem, depth: 2, judge: (_chain, fault) => fault, ...clients },
  });
  made.addTicketKey('key', Buffer.alloc(32, 3), Math.floor(Date.now() / 1_000) - 60);
  return made;
}

interface Visit {
  readonly session: ServerSession;
  readonly error: NodeJS.ErrnoException | null;
  readonly ticket: Buffer | undefined;
  readonly reused: boolean;
}

function pairs(pair: Pair | null, chain: readonly Pair[] = []): ConnectionOptions {
  return pair === null ? {} : { cert: Buffer.concat([pair, ...chain].map(({ pem }) => pem)), key: pair.keyPem };
}

/** One client that says a word and goes. */
async function visit(to: TestServer, options: ConnectionOptions): Promise<Visit> {
  to.echo = true;
  const socket = connect({ port: to.port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...options });
  let error: NodeJS.ErrnoException | null = null;
  let ticket: Buffer | undefined;
  let reused = false;
  socket.on('error', (each) => {
    error = each;
  });
  socket.on('session', (each) => {
    ticket = each;
  });
  socket.on('secureConnect', () => {
    reused = socket.isSessionReused();
    socket.write('x');
  });
  socket.on('data', () => socket.end());
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const session = await to.next();
  await closed;
  return { session, error, ticket, reused };
}

function subjects({ session }: Visit): string[] {
  return session.peerChain.map((der) => new X509Certificate(der).subject);
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const only: ConnectionOptions = { minVersion: version, maxVersion: version };

  test(`${version}: a client whose path leads to a trusted root comes in, and its chain is told`, async () => {
    const to = new TestServer(reactor, context());
    const came = await visit(to, { ...only, ...pairs(alice, [middle]) });
    assert.equal(came.error, null);
    assert.equal(came.session.received, 1);
    assert.deepEqual(subjects(came), ['CN=alice', 'CN=Test intermediate', 'CN=Test root']);
    assert.equal(came.session.peerFault, 0);
    to.context.retire();
    to.close();
  });

  test(`${version}: a trusted intermediate is enough, and its authority is named in the request`, async () => {
    const to = new TestServer(reactor, context({ caPem: middle.pem }));
    const came = await visit(to, { ...only, ...pairs(alice) });
    assert.equal(came.error, null);
    assert.deepEqual(subjects(came), ['CN=alice', 'CN=Test intermediate']);
    to.context.retire();
    to.close();
  });

  const certificateRequired = version === 'TLSv1.3' ? 116 : 40;
  for (const [what, pair, chain, fault, alert, rules] of [
    ['none', null, [], FAULT_TLS_CERTIFICATE_MISSING, certificateRequired, {}],
    ['one of a stranger', stranger, [], FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER, 48, {}],
    ['one without its intermediate', alice, [], FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER, 48, {}],
    ['one that is over', late, [], FAULT_TLS_CERTIFICATE_EXPIRED, 45, {}],
    ["a server's", server, [], FAULT_TLS_CERTIFICATE_UNSUITABLE, 43, {}],
    ['one at the end of a long path', deep, [lower, middle], FAULT_TLS_CERTIFICATE_CHAIN_LENGTH, 48, { depth: 1 }],
    ['one that the judge knows as revoked', bob, [], FAULT_TLS_CERTIFICATE_REVOKED, 44, { judge: () => FAULT_TLS_CERTIFICATE_REVOKED }],
    ['one the judge does not want', bob, [], FAULT_TLS_CERTIFICATE_NOT_ALLOWED, 42, { judge: () => FAULT_TLS_CERTIFICATE_NOT_ALLOWED }],
    ['one of unknown status', bob, [], FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 46, { judge: () => FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN }],
    [
      'one that the judge chokes on',
      bob,
      [],
      FAULT_TLS_INTERNAL,
      40,
      {
        judge: () => {
          throw new Error('a judge with a bug');
        },
      },
    ],
  ] as const) {
    test(`${version}: a client that shows ${what} is refused in the handshake, with alert ${alert}`, async () => {
      const to = new TestServer(reactor, context(rules));
      const came = await visit(to, { ...only, ...pairs(pair, chain) });
      assert.deepEqual(came.session.events.slice(0, 2), ['failed', fault]);
      assert.equal(came.session.sentAlert, alert);
      assert.ok(came.error !== null, 'the client was told');
      assert.equal(came.session.received, 0);
      // Who was refused can be named.
      if (pair !== null) assert.equal(new X509Certificate(came.session.peerChain[0]!).subject, new X509Certificate(pair.pem).subject);
      to.context.retire();
      to.close();
    });
  }

  test(`${version}: where a certificate is optional, a client without one comes in, and one with a bad one does not`, async () => {
    const to = new TestServer(reactor, context({ required: false }));
    const without = await visit(to, only);
    assert.equal(without.error, null);
    assert.deepEqual(subjects(without), []);
    const bad = await visit(to, { ...only, ...pairs(stranger) });
    assert.deepEqual(bad.session.events.slice(0, 2), ['failed', FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER]);
    to.context.retire();
    to.close();
  });

  test(`${version}: a judge may let in what has something wrong; it is told, and gets no ticket`, async () => {
    const to = new TestServer(reactor, context({ judge: () => 0 }));
    const came = await visit(to, { ...only, ...pairs(stranger) });
    assert.equal(came.error, null);
    assert.equal(came.session.peerFault, FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER);
    assert.equal((await visit(to, { ...only, ...pairs(stranger), ...session(came) })).reused, false);
    to.context.retire();
    to.close();
  });

  test(`${version}: a resumption keeps the identity, and no other rule set takes the ticket`, async () => {
    const to = new TestServer(reactor, context());
    const first = await visit(to, { ...only, ...pairs(alice, [middle]) });
    assert.equal(first.reused, false);
    const again = await visit(to, { ...only, ...pairs(alice, [middle]), ...session(first) });
    assert.deepEqual([again.error, again.reused], [null, true]);
    assert.deepEqual(subjects(again), ['CN=alice']);
    to.context.retire();
    to.context = context({}, 'another bank');
    assert.equal((await visit(to, { ...only, ...pairs(alice, [middle]), ...session(again) })).reused, false);
    to.context.retire();
    to.close();
  });

  test(`${version}: a client that was revoked since its ticket is asked anew, and refused with the right alert`, async () => {
    let revoked = false;
    const asked: boolean[] = [];
    const to = new TestServer(
      reactor,
      context({
        judge: (_chain, fault, resumes) => {
          asked.push(resumes);
          return revoked ? FAULT_TLS_CERTIFICATE_REVOKED : fault;
        },
      }),
    );
    const first = await visit(to, { ...only, ...pairs(bob) });
    revoked = true;
    const again = await visit(to, { ...only, ...pairs(bob), ...session(first) });
    assert.deepEqual(again.session.events.slice(0, 2), ['failed', FAULT_TLS_CERTIFICATE_REVOKED]);
    assert.equal(again.session.sentAlert, 44);
    assert.deepEqual(asked, [false, true, false]);
    to.context.retire();
    to.close();
  });
}

function session({ ticket }: Visit): ConnectionOptions {
  return ticket === undefined ? {} : { session: ticket };
}
