import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { allPolicies, findPolicy } from '../hello/policies.ts';
import { underFloor } from '../hello/policy.ts';
import { testReactor } from '../net/test-reactor.ts';
import type { ContextOptions } from './engine.ts';
import { OpensslEngine } from './openssl-engine.ts';
import { engineContract } from './test-engine-contract.ts';
import { selfSigned } from './test-self-signed.ts';
import { TestServer } from './test-tls-server.ts';

const ecdsa = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const rsa = selfSigned('rsa:2048');
const engine = new OpensslEngine();
const reactor = testReactor();

const PLAN = {
  fingerprint: 'x',
  chainFingerprint: 'x',
  algorithms: '',
  keyType: 'rsa' as const,
  names: [],
  notBeforeMs: 0,
  notAfterMs: 0,
  source: '',
  chainBlob: 0,
  keyBlob: 1,
};

function options(overrides: Partial<ContextOptions>): ContextOptions {
  return {
    ruleSet: 'x',
    policy: 'intermediate',
    rules: findPolicy('intermediate')!,
    certificates: [{ chainPem: rsa.chainPem, keyPem: Buffer.from(rsa.keyPem), plan: PLAN }],
    alpn: [],
    tickets: false,
    ticketLifetimeS: 86_400,
    clients: null,
    compressCertificates: false,
    ...overrides,
  };
}

test('OpensslEngine tells the library it runs on', () => {
  assert.equal(/^OpenSSL (\S+) /.exec(engine.library)?.[1], process.versions.openssl);
});

test('OpensslEngine.context() sends certificates compressed where it is told to', async () => {
  const bytes: number[] = [];
  // The same certificate a few times over: a chain that is worth compressing.
  const chainPem = Buffer.concat(Array.from({ length: 4 }, () => rsa.chainPem));
  for (const compressCertificates of [false, true]) {
    const certificates = [{ chainPem, keyPem: Buffer.from(rsa.keyPem), plan: PLAN }];
    const server = new TestServer(reactor, engine.context(options({ certificates, compressCertificates })));
    const plain = connectTcp(server.port, '127.0.0.1');
    const socket = connect({ socket: plain, servername: 'localhost', rejectUnauthorized: false, certificateCompression: ['brotli'] });
    await once(socket, 'secureConnect');
    bytes.push(plain.bytesRead);
    socket.end();
    await server.next();
    server.context.retire();
    server.close();
  }
  assert.ok(bytes[1]! < bytes[0]! - 1_500, String(bytes));
});

test('OpensslEngine.context() offers exactly the lists it is given', async () => {
  const rules = { versions: [0x0303], suites: [0xc030, 0xc02f], groups: [0x0018], signatureSchemes: [0x0601] };
  const server = new TestServer(reactor, engine.context(options({ rules })));
  const ask = async (ciphers: string, ecdhCurve: string): Promise<string> => {
    const socket = connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ciphers, ecdhCurve });
    const outcome = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve(`${socket.getProtocol()} ${socket.getCipher().name}`));
      socket.once('error', () => resolve('refused'));
    });
    socket.end();
    await server.next();
    return outcome;
  };
  assert.equal(await ask('ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384', 'P-384'), 'TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384');
  assert.equal(await ask('ECDHE-RSA-CHACHA20-POLY1305', 'P-384'), 'refused');
  assert.equal(await ask('ECDHE-RSA-AES256-GCM-SHA384', 'P-256'), 'refused');
  server.context.retire();
  server.close();
});

test('OpensslEngine.context() says which list has nothing that the library knows', () => {
  const intermediate = findPolicy('intermediate')!;
  for (const [change, message] of [
    [{ groups: [0x6399] }, /none of the groups/],
    [{ signatureSchemes: [0x0704] }, /none of the signature schemes/],
    [{ suites: [0x1301, 0x0005] }, /none of the cipher suites for TLS 1\.2/],
    [{ suites: [0xc02f] }, /none of the cipher suites for TLS 1\.3/],
  ] as const)
    assert.throws(() => engine.context(options({ rules: { ...intermediate, ...change } })), message);
});

test('OpensslEngine.context() asks again for a group with ML-KEM where one is required, whatever the client sent a key for', async () => {
  const intermediate = findPolicy('intermediate')!;
  const groups: number[] = [];
  for (const required of [false, true]) {
    const server = new TestServer(reactor, engine.context(options({ rules: underFloor(intermediate, 0x0304, required) })));
    const socket = connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ecdhCurve: 'X25519:X25519MLKEM768' });
    await once(socket, 'secureConnect');
    socket.end();
    groups.push((await server.next()).group);
    server.context.retire();
    server.close();
  }
  assert.deepEqual(groups, [0x001d, 0x11ec]);
});

test('OpensslEngine.context() takes every policy', () => {
  for (const rules of allPolicies()) engine.context(options({ policy: rules.name, rules })).retire();
});

test('OpensslEngine.context() refuses a key that an attacker could break', () => {
  const weak = selfSigned('rsa:1024');
  const certificates = [{ chainPem: weak.chainPem, keyPem: weak.keyPem, plan: PLAN }];
  assert.throws(() => engine.context(options({ certificates })), /certificate: .*key too small/);
});

engineContract(engine, { ecdsa, rsa }, reactor);
