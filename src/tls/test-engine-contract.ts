/**
 * What every TLS engine must do, as tests: run by each engine's own test file. The clients are Node's (OpenSSL), over real sockets.
 * One reactor per process, so one engine per test file.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import {
  FAULT_EOF,
  FAULT_RESET,
  FAULT_TLS_CLIENT_ALERT,
  FAULT_TLS_CLIENT_GONE,
  FAULT_TLS_DECRYPT,
  FAULT_TLS_MALFORMED,
  FAULT_TLS_NO_SHARED_SUITE,
  FAULT_TLS_RENEGOTIATION,
  FAULT_TLS_TRUNCATED,
} from '../base/faults.ts';
import { findPolicy } from '../hello/policies.ts';
import { Reactor } from '../net/reactor.ts';
import type { CertificatePlan } from '../plan/plan.ts';
import type { ContextOptions, TlsContext, TlsEngine } from './engine.ts';
import { TestServer } from './test-tls-server.ts';

export interface ContractCertificate {
  readonly chainPem: Buffer;
  readonly keyPem: Buffer;
}

/** Registers the contract's tests for one engine. `certificates`: ECDSA and RSA for `localhost`. */
export function engineContract(
  engine: TlsEngine,
  certificates: { readonly ecdsa: ContractCertificate; readonly rsa: ContractCertificate },
  reactor: Reactor = startedReactor(),
): void {
  function options(overrides: Partial<ContextOptions> = {}, from: readonly ContractCertificate[] = [certificates.ecdsa]): ContextOptions {
    return {
      ruleSet: 'contract',
      policy: 'intermediate',
      certificates: from.map((each) => ({ chainPem: Buffer.from(each.chainPem), keyPem: Buffer.from(each.keyPem), plan: planOf(each) })),
      rules: findPolicy(overrides.policy ?? 'intermediate')!,
      alpn: ['http/1.1'],
      tickets: true,
      ticketLifetimeS: 86_400,
      clients: null,
      compressCertificates: false,
      ...overrides,
    };
  }

  function dial(server: TestServer, overrides: ConnectionOptions = {}): TLSSocket {
    const socket = connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...overrides });
    socket.on('error', () => {});
    return socket;
  }

  /** By way of `behind`, which may do to the bytes what it wants. */
  function dialThrough(behind: Duplex, version: 'TLSv1.2' | 'TLSv1.3'): TLSSocket {
    const socket = connect({
      socket: behind,
      servername: 'localhost',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    });
    socket.on('error', () => {});
    return socket;
  }

  const name = engine.name;

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${name}: a ${version} handshake tells version, suite and protocol, and close_notify is an end`, async () => {
      const server = new TestServer(reactor, engine.context(options()));
      const socket = dial(server, { minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      assert.equal(socket.alpnProtocol, 'http/1.1');
      socket.end('hello');
      const session = await server.next();
      assert.equal(session.received, 5);
      const [, wire, suite, resumed, protocol, end, fault] = session.events;
      assert.equal(wire, version === 'TLSv1.3' ? 0x0304 : 0x0303);
      assert.equal(suite, version === 'TLSv1.3' ? 0x1301 : 0xc02b);
      assert.deepEqual([resumed, protocol, end, fault], ['false', 'http/1.1', 'end', FAULT_EOF]);
      server.context.retire();
      server.close();
    });

    test(`${name}: a ${version} ticket resumes under the same rule set and keys, and under no other`, async () => {
      const key = Buffer.alloc(32, 9);
      const fromS = Math.floor(Date.now() / 1_000) - 60;
      const make = (ruleSet: string): TlsContext => {
        const context = engine.context(options({ ruleSet }));
        context.addTicketKey('first', key, fromS);
        context.addTicketKey('first', key, fromS);
        return context;
      };
      const server = new TestServer(reactor, make('shop'));
      server.echo = true;
      const visit = async (session?: Buffer): Promise<{ ticket: Buffer; reused: boolean }> => {
        const socket = dial(server, { minVersion: version, maxVersion: version, ...(session === undefined ? {} : { session }) });
        let ticket: Buffer | undefined;
        socket.on('session', (each) => {
          ticket = each;
        });
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        socket.write('x');
        await new Promise((resolve) => socket.once('data', resolve));
        const reused = socket.isSessionReused();
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.end();
        const [, { group }] = await Promise.all([closed, server.next()]);
        // With TLS 1.2 a key that was agreed on earlier is used again.
        assert.equal(group > 0, !reused || version === 'TLSv1.3');
        return { ticket: ticket ?? socket.getSession() ?? Buffer.alloc(0), reused };
      };
      const first = await visit();
      assert.equal(first.reused, false);
      assert.equal((await visit(first.ticket)).reused, true);
      // Another worker: a context of its own, the same rule set and keys.
      server.context.retire();
      server.context = make('shop');
      assert.equal((await visit(first.ticket)).reused, true);
      server.context.retire();
      server.context = make('bank');
      assert.equal((await visit(first.ticket)).reused, false);
      server.context.retire();
      server.close();
    });
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${name}: a ${version} ticket resumes as long as it may, and no longer`, async () => {
      const nowS = Math.floor(Date.now() / 1_000);
      const server = new TestServer(reactor, engine.context(options()));
      server.echo = true;
      const reused = async (session: Buffer): Promise<boolean> => {
        const socket = dial(server, { minVersion: version, maxVersion: version, session });
        socket.resume();
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        const isReused = socket.isSessionReused();
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.end();
        await Promise.all([closed, server.next()]);
        return isReused;
      };
      server.context.addTicketKey('key', Buffer.alloc(32, 3), nowS - 60);
      const first = dial(server, { minVersion: version, maxVersion: version });
      first.resume();
      const ticket = new Promise<Buffer>((resolve) => first.once('session', resolve));
      first.once('secureConnect', () => first.write('x'));
      const session = await ticket;
      const closed = new Promise((resolve) => first.once('close', resolve));
      first.end();
      await Promise.all([closed, server.next()]);
      // The same key, as it is seen hours later.
      for (const [ticketLifetimeS, hoursAgo, expected] of [
        [86_400, 3.1, true],
        [86_400, 23.9, true],
        [86_400, 24.1, false],
        [10_800, 2.9, true],
        [10_800, 3.1, false],
      ] as const) {
        server.context.retire();
        server.context = engine.context(options({ ticketLifetimeS }));
        server.context.addTicketKey('later', Buffer.alloc(32, 4), nowS - 60);
        server.context.addTicketKey('key', Buffer.alloc(32, 3), nowS - hoursAgo * 3_600);
        assert.equal(await reused(session), expected, `${ticketLifetimeS} s, ${hoursAgo} h`);
      }
      server.context.retire();
      server.close();
    });
  }

  test(`${name}: the group is told as on the wire`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const groups: number[] = [];
    for (const [ecdhCurve, maxVersion] of [
      ['P-256', 'TLSv1.3'],
      ['X25519', 'TLSv1.3'],
      ['X25519MLKEM768', 'TLSv1.3'],
      ['P-256', 'TLSv1.2'],
      ['X25519', 'TLSv1.3'],
    ] as const) {
      const socket = dial(server, { ecdhCurve, maxVersion });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      socket.end();
      groups.push((await server.next()).group);
    }
    assert.deepEqual(groups, [0x0017, 0x001d, 0x11ec, 0x0017, 0x001d]);
    server.context.retire();
    server.close();
  });

  test(`${name}: ECDSA and RSA for one name, by what the client can verify`, async () => {
    const server = new TestServer(reactor, engine.context(options({}, [certificates.ecdsa, certificates.rsa])));
    const kinds: (string | undefined)[] = [];
    for (const sigalgs of ['ECDSA+SHA256', 'RSA-PSS+SHA256']) {
      const socket = dial(server, { sigalgs });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      kinds.push(socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType);
      socket.end();
      await server.next();
    }
    assert.deepEqual(kinds, ['ec', 'rsa']);
    server.context.retire();
    server.close();
  });

  test(`${name}: 4 MB each way through a socket that fills, in bounded writes`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    server.echo = true;
    const socket = dial(server);
    const sent = Buffer.alloc(4 << 20, 'tollgate ');
    const got: Buffer[] = [];
    let length = 0;
    socket.on('data', (data: Buffer) => {
      got.push(data);
      length += data.length;
      if (length === sent.length) socket.end();
    });
    socket.write(sent);
    const session = await server.next();
    assert.equal(session.received, sent.length);
    assert.ok(Buffer.concat(got).equals(sent));
    server.context.retire();
    server.close();
  });

  test(`${name}: what a handshake says waits for room in the socket, and goes when there is some`, async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const server = new TestServer(reactor, engine.context(options()));
      server.echo = true;
      server.filled = 0;
      const stuck = new Promise<void>((resolve) => {
        server.onStuck = resolve;
      });
      const raw = connectTcp(server.port, '127.0.0.1');
      raw.pause();
      let passed = 0;
      const behind = new Duplex({
        read: () => void stuck.then(() => raw.resume()),
        write: (data: Buffer, _, done) => void raw.write(data, done),
        final: (done) => void raw.end(done),
      });
      raw.on('data', (data: Buffer) => {
        const skipped = Math.min(data.length, server.filled - passed);
        passed += skipped;
        if (skipped < data.length) behind.push(data.subarray(skipped));
      });
      const socket = dialThrough(behind, version);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      assert.ok(passed > 0 && passed === server.filled);
      socket.write('hello');
      assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'hello');
      socket.end();
      const session = await server.next();
      assert.deepEqual([session.received, session.events[1]], [5, version === 'TLSv1.3' ? 0x0304 : 0x0303]);
      raw.destroy();
      server.context.retire();
      server.close();
    }
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const last of [false, true]) {
      test(`${name}: the first ${last ? 'and last ' : ''}answer of ${version} waits for room in the socket, and is whole`, async () => {
        const server = new TestServer(reactor, engine.context(options()));
        server.context.addTicketKey('first', Buffer.alloc(32, 9), Math.floor(Date.now() / 1_000) - 60);
        server.echo = !last;
        server.answersLast = last;
        server.fillsLate = true;
        const stuck = new Promise<void>((resolve) => {
          server.onStuck = resolve;
        });
        server.filled = 0;
        const raw = connectTcp(server.port, '127.0.0.1');
        const behind = new Duplex({
          read: () => {},
          write: (data: Buffer, _, done) => void raw.write(data, done),
          final: (done) => void raw.end(done),
        });
        // No record begins with a zero: that is what the socket was filled with.
        let have = Buffer.alloc(0);
        let zeros = 0;
        raw.on('data', (data: Buffer) => {
          have = Buffer.concat([have, data]);
          for (;;) {
            if (have[0] === 0 && zeros < server.filled) {
              const skipped = Math.min(have.length, server.filled - zeros);
              zeros += skipped;
              have = have.subarray(skipped);
            }
            if (have.length < 5 || have.length < 5 + have.readUInt16BE(3)) return;
            const length = 5 + have.readUInt16BE(3);
            behind.push(have.subarray(0, length));
            have = have.subarray(length);
          }
        });
        raw.once('close', () => behind.push(null));
        const socket = dialThrough(behind, version);
        let tickets = 0;
        socket.on('session', () => tickets++);
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        const ended = new Promise((resolve) => socket.once('end', resolve));
        const answer: Buffer[] = [];
        let length = 0;
        const whole = new Promise<void>((resolve) => {
          socket.on('data', (data: Buffer) => {
            answer.push(data);
            length += data.length;
            if (length === 6_000) resolve();
          });
        });
        socket.write(Buffer.alloc(6_000, 'hello '));
        await stuck;
        await whole;
        assert.ok(Buffer.concat(answer).equals(Buffer.alloc(6_000, 'hello ')));
        assert.ok(server.filled > 0 && zeros === server.filled);
        if (last) await ended;
        else socket.end();
        const session = await server.next();
        assert.deepEqual(session.events.slice(-2 - Number(!last)), last ? ['ended', 1] : ['end', FAULT_EOF, 0]);
        assert.ok(tickets > 0);
        raw.destroy();
        server.context.retire();
        server.close();
      });
    }
  }

  test(`${name}: what comes with the client's last word of the handshake is read without another event`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    server.echo = true;
    // Holds the client's second flight until the request is in it: ChangeCipherSpec, Finished (AES-128-GCM), and five bytes.
    const flightBytes = 6 + 58 + 27;
    const relay = createServer((down) => {
      const up = connectTcp(server.port, '127.0.0.1');
      let held: Buffer[] | null = null;
      up.on('data', (data) => {
        held ??= [];
        down.write(data);
      });
      down.on('data', (data: Buffer) => {
        if (held === null) up.write(data);
        else held.push(data);
        if (held !== null && Buffer.concat(held).length >= flightBytes) up.write(Buffer.concat(held.splice(0)));
      });
      down.on('close', () => up.destroy());
      down.on('error', () => {});
      up.on('error', () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { port } = relay.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write('early');
    assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'early');
    socket.destroy();
    await server.next();
    server.context.retire();
    server.close();
    relay.close();
  });

  test(`${name}: a client without a shared suite is told apart`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    dial(server, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' });
    const session = await server.next();
    assert.deepEqual(session.events.slice(0, 2), ['failed', FAULT_TLS_NO_SHARED_SUITE]);
    assert.equal(session.events[4], 0, 'no blinding for a plain mistake');
    server.context.retire();
    server.close();
  });

  test(`${name}: a client's fatal alert is told, by number`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const hello = await helloOf({ maxVersion: 'TLSv1.2' });
    const raw = connectTcp(server.port, '127.0.0.1', () => raw.write(hello));
    raw.on('error', () => {});
    await new Promise((resolve) => raw.once('data', resolve));
    // RFC 8446, section 6: level fatal, description unknown_ca.
    raw.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 48]));
    const session = await server.next();
    assert.deepEqual(session.events.slice(0, 3), ['failed', FAULT_TLS_CLIENT_ALERT, 48]);
    server.context.retire();
    server.close();
  });

  test(`${name}: a client that goes in the middle of a handshake is gone, and one without close_notify cut`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const raw = connectTcp(server.port, '127.0.0.1');
    raw.on('connect', () => raw.end(Buffer.from([0x16, 3, 1, 0, 100, 1])));
    assert.deepEqual((await server.next()).events.slice(0, 2), ['failed', FAULT_TLS_CLIENT_GONE]);
    const plain = connectTcp(server.port, '127.0.0.1');
    const socket = connect({ socket: plain, servername: 'localhost', rejectUnauthorized: false });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    await new Promise((resolve) => socket.write('half', resolve));
    plain.end();
    const session = await server.next();
    assert.equal(session.received, 4);
    assert.equal(session.events.at(-2), FAULT_TLS_TRUNCATED);
    server.context.retire();
    server.close();
  });

  test(`${name}: bytes that do not decrypt are an error that is blinded`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const plain = connectTcp(server.port, '127.0.0.1');
    const socket = connect({ socket: plain, servername: 'localhost', rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    // The client's Finished must be on its way before the forged record.
    await new Promise((resolve) => socket.write('x', resolve));
    plain.write(Buffer.concat([Buffer.from([0x17, 3, 3, 0, 40]), Buffer.alloc(40, 7)]));
    const session = await server.next();
    assert.equal(session.events.at(-2), FAULT_TLS_DECRYPT);
    assert.ok(Number(session.events.at(-1)) > 0, 'blinding asked for');
    plain.destroy();
    server.context.retire();
    server.close();
  });

  test(`${name}: a client of TLS 1.2 that asks for another handshake on an open connection gets none`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const socket = dial(server, { maxVersion: 'TLSv1.2' });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.renegotiate({}, () => {});
    const session = await server.next();
    // s2n has no word of its own for it: a message that does not belong there.
    assert.equal(session.events.at(-2), name === 's2n' ? FAULT_TLS_MALFORMED : FAULT_TLS_RENEGOTIATION);
    server.context.retire();
    server.close();
  });

  test(`${name}: keys that are renewed on an open connection of TLS 1.3 change nothing`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    server.echo = true;
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-tls1_3']);
    let text = '';
    for (const output of [client.stdout, client.stderr])
      output.on('data', (data) => {
        text += String(data);
      });
    client.stdin.write('before\n');
    while (!text.includes('before')) await once(client.stdout, 'data');
    // s_client takes a "K" as an order: it renews its keys, and asks for ours to be.
    client.stdin.write('K\n');
    while (!text.includes('KEYUPDATE')) await once(client.stderr, 'data');
    client.stdin.write('behind\n');
    while (!text.includes('behind')) await once(client.stdout, 'data');
    client.stdin.end('Q\n');
    client.kill();
    await server.next();
    server.context.retire();
    server.close();
  });

  test(`${name}: a client that has reset its connection is a fault to write to, and no signal`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    const plain = connectTcp(server.port, '127.0.0.1');
    const socket = connect({ socket: plain, servername: 'localhost', rejectUnauthorized: false });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    await new Promise((resolve) => socket.write('answer this', resolve));
    server.writesWhenHungUp = true;
    plain.resetAndDestroy();
    const session = await server.next();
    assert.deepEqual(session.events.slice(5, 7), ['wrote', FAULT_RESET]);
    server.context.retire();
    server.close();
  });

  test(`${name}: a context refuses a key of another certificate, and says so`, () => {
    const mixed = { chainPem: certificates.ecdsa.chainPem, keyPem: certificates.rsa.keyPem };
    assert.throws(() => engine.context(options({}, [mixed])), /certificate/);
    assert.throws(
      () => engine.context(options({}, [{ chainPem: Buffer.from('nonsense'), keyPem: Buffer.from('nonsense') }])),
      /certificate/,
    );
  });

  test(`${name}: a retired context lives until its last session ends`, async () => {
    const server = new TestServer(reactor, engine.context(options()));
    server.echo = true;
    const socket = dial(server);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    server.context.retire();
    socket.write('still there');
    assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'still there');
    socket.end();
    await server.next();
    server.close();
    assert.equal(reactor.open, 0);
    reactor.stop();
  });
}

function startedReactor(): Reactor {
  const reactor = new Reactor(
    () => {},
    () => {},
  );
  reactor.start();
  return reactor;
}

/** The first bytes of Node's client. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const client = connect({ port: address.port, host: '127.0.0.1', servername: 'localhost', ...options });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** Engines know certificates by their bytes; the plan beside them is for naming. */
function planOf(certificate: ContractCertificate): CertificatePlan {
  const isCertificate = certificate.chainPem.includes('BEGIN CERTIFICATE');
  return {
    fingerprint: isCertificate ? new X509Certificate(certificate.chainPem).fingerprint256 : 'none',
    chainFingerprint: 'none',
    algorithms: '',
    names: ['localhost'],
    keyType: 'p256',
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    source: 'contract',
    chainBlob: 0,
    keyBlob: 1,
  };
}
