/** TLS through the real program, with openssl and Node as clients: certificates by name, resumption, and why a handshake failed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { caPath, leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** What `openssl s_client` prints for one request. */
async function sClient(port: number, ...options: readonly string[]): Promise<string> {
  const child: ChildProcess = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', caPath, '-ign_eof', ...options]);
  let text = '';
  const take = (data: Buffer): void => {
    text += String(data);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  child.stdin?.on('error', () => {});
  child.stdin?.end(CLOSE);
  await new Promise((resolve) => child.once('close', resolve));
  return text;
}

for (const engine of ['s2n', 'openssl'] as const) {
  const tls = `engine: ${engine}`;
  test(`${engine}: openssl s_client: TLS 1.2 and 1.3, a verified chain, ALPN http/1.1`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
    const tollgate = await Tollgate.start(t, { to: origin.port, tls });
    for (const [option, name] of [
      ['-tls1_2', 'TLSv1.2'],
      ['-tls1_3', 'TLSv1.3'],
    ] as const) {
      const text = await sClient(tollgate.port, option, '-alpn', 'h2,http/1.1', '-servername', 'localhost', '-verify_return_error');
      assert.match(text, new RegExp(`New, ${name}, Cipher is `));
      assert.match(text, /Verify return code: 0 \(ok\)/);
      assert.match(text, /ALPN protocol: http\/1\.1/);
      assert.match(text, /HTTP\/1\.1 200 OK/);
    }
    const metrics = await tollgate.metrics();
    assert.equal(metrics.get('tollgate_handshakes_total{version="TLSv1.2",resumed="false"}'), 1);
    assert.equal(metrics.get('tollgate_handshakes_total{version="TLSv1.3",resumed="false"}'), 1);
  });

  test(`${engine}: openssl s_client resumes a session of TLS 1.2 and 1.3, whichever worker it meets`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
    const tollgate = await Tollgate.start(t, { to: origin.port, workers: 2, tls });
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-session-'));
    t.after(() => rmSync(directory, { recursive: true }));
    for (const option of ['-tls1_2', '-tls1_3']) {
      const session = join(directory, 'session');
      const first = await sClient(tollgate.port, option, '-sess_out', session);
      assert.match(first, /New, /);
      // The setting is a day: less the time that a key makes tickets, or has made some already.
      if (option === '-tls1_2') assert.ok(Number(/lifetime hint: (\d+)/.exec(first)?.[1]) >= 22 * 3_600, first);
      // The kernel spreads connections over the workers: of many, both have had some.
      for (let i = 0; i < 10; i++) assert.match(await sClient(tollgate.port, option, '-sess_in', session), /Reused, /, option);
    }
  });

  test(`${engine}: a ticket is worth nothing to another listener, nor under another policy`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
    const { certificate, key } = leaf(['localhost']);
    const other = await testPort();
    const listener = (name: string, port: string | number): string => `  - name: ${name}
    address: "127.0.0.1:${port}"
    tls: { engine: ${engine}, policy: intermediate, certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: app }]
`;
    const tollgate = await Tollgate.start(t, {
      workers: 1,
      config: `listeners:\n${listener('web', 'PORT')}${listener('other', other)}upstreams: [{ name: app, targets: ["127.0.0.1:${origin.port}"] }]\n`,
    });
    const visit = async (
      port: number,
      maxVersion: 'TLSv1.2' | 'TLSv1.3',
      session?: Buffer,
    ): Promise<{ reused: boolean; ticket: Buffer }> => {
      const client = new Client(port, { maxVersion, servername: 'localhost', ...(session === undefined ? {} : { session }) });
      let ticket: Buffer = Buffer.alloc(0);
      client.socket.on('session', (each: Buffer) => {
        ticket = each;
      });
      await client.open();
      await client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n').until('hello');
      await client.wait(() => session !== undefined || ticket.length > 0);
      const reused = client.socket.isSessionReused();
      client.close();
      return { reused, ticket };
    };
    const versions = ['TLSv1.2', 'TLSv1.3'] as const;
    const tickets: Buffer[] = [];
    for (const version of versions) {
      const { ticket } = await visit(tollgate.port, version);
      tickets.push(ticket);
      assert.equal((await visit(tollgate.port, version, ticket)).reused, true, version);
      assert.equal((await visit(other, version, ticket)).reused, false, `${version}, another listener`);
    }
    const share = (await tollgate.status()).handshakes;
    assert.deepEqual([share.full, share.resumed, share.resumedShare], [4, 2, 2 / 6]);
    const path = join(tollgate.directory, 'tollgate.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('policy: intermediate', 'policy: legacy'));
    tollgate.command('reload', '--runtime', join(tollgate.directory, 'run'));
    for (const [i, version] of versions.entries()) {
      assert.equal((await visit(tollgate.port, version, tickets[i]!)).reused, false, `${version}, another policy`);
    }
  });

  test(`${engine}: certificates are chosen by name: exact before wildcard, the first for strangers and for nobody`, async (t) => {
    const [shop, any, first] = [leaf(['shop.example']), leaf(['*.example']), leaf(['default.test'])];
    const tollgate = await Tollgate.start(t, {
      config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls:
      engine: ${engine}
      certificates:
        - { certificate: ${first.certificate}, key: ${first.key} }
        - { certificate: ${any.certificate}, key: ${any.key} }
        - { certificate: ${shop.certificate}, key: ${shop.key} }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
    });
    const names = async (servername: string): Promise<string> => {
      const client = await new Client(tollgate.port, { servername, checkServerIdentity: () => undefined }).open();
      const found = client.socket.getPeerCertificate().subject.CN;
      client.close();
      return String(found);
    };
    assert.equal(await names('shop.example'), 'shop.example');
    assert.equal(await names('SHOP.example'), 'shop.example');
    assert.equal(await names('other.example'), '*.example');
    assert.equal(await names('a.b.example'), 'default.test');
    assert.equal(await names('stranger.org'), 'default.test');
    assert.equal(await names(''), 'default.test');
  });

  test(`${engine}: RSA and ECDSA certificates of one name serve who can verify which`, async (t) => {
    const [ec, rsa] = [leaf(['localhost']), leaf(['localhost'], 'rsa')];
    const tollgate = await Tollgate.start(t, {
      config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { engine: ${engine}, certificates: [{ certificate: ${ec.certificate}, key: ${ec.key} }, { certificate: ${rsa.certificate}, key: ${rsa.key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
    });
    const kind = async (sigalgs: string): Promise<string | undefined> => {
      const client = await new Client(tollgate.port, { sigalgs }).open();
      const type = client.socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType;
      client.close();
      return type;
    };
    assert.equal(await kind('ECDSA+SHA256'), 'ec');
    assert.equal(await kind('RSA-PSS+SHA256:RSA+SHA256'), 'rsa');
  });

  test(`${engine}: each handshake that fails is one line with its reason, and a count`, async (t) => {
    const tollgate = await Tollgate.start(t, { to: 1, tls });
    const fail = async (options: object): Promise<string> => {
      const socket = connectTls({ port: tollgate.port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'localhost', ...options });
      return await new Promise((resolve) => {
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
    };
    assert.equal(await fail({ ALPNProtocols: ['h2'] }), 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    assert.equal(
      await fail({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    );
    await fail({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' });
    // openssl tells the server what it thinks of the certificate.
    await sClient(
      tollgate.port,
      '-tls1_2',
      '-verify_return_error',
      '-CAfile',
      leaf(['stranger.test']).certificate,
      '-no-CApath',
      '-no-CAstore',
    );
    await until(() => tollgate.handshakes().length >= 4);
    const lines = tollgate.handshakes();
    assert.deepEqual(
      lines.map((line) => [line.event, line.ok, line.reason, line.side, line.alert]),
      [
        ['handshake', false, 'no_shared_protocol', 'client', 120],
        ['handshake', false, 'no_shared_version', 'client', 70],
        ['handshake', false, 'no_shared_suite', 'client', 40],
        ['handshake', false, 'client_alert', 'client', 48],
      ],
    );
    for (const line of lines) {
      assert.equal(line.client, '127.0.0.1');
      assert.equal(line.listener, 'web');
      assert.equal(typeof line.durationUs, 'number');
    }
    assert.equal(lines[0]?.sni, 'localhost');
    assert.deepEqual(
      lines.map(({ allowed }) => Object.keys((allowed ?? {}) as object)),
      [['alpn'], ['versions'], ['suites'], []],
    );
    assert.deepEqual((lines[0]!.offered as { alpn: string[] }).alpn, ['h2']);
    // What had been agreed before the client thought better of it.
    assert.deepEqual(
      lines.map(({ version }) => version),
      [null, null, null, 'TLSv1.2'],
    );
    assert.match(String(lines[3]?.suite), /^TLS_ECDHE_/);
    const metrics = await tollgate.metrics();
    for (const reason of ['no_shared_protocol', 'no_shared_version', 'no_shared_suite', 'client_alert']) {
      assert.equal(metrics.get(`tollgate_faults_total{reason="${reason}",culprit="client"}`), 1, reason);
    }
  });

  test(`${engine}: each handshake that succeeds is a line too where that is wanted, with the keys of a failure`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
    const log = 'access: off\n  handshakes: { successes: 100% }';
    const tollgate = await Tollgate.start(t, { to: origin.port, tls, workers: 1, log });
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-session-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const session = join(directory, 'session');
    const options = ['-servername', 'localhost', '-alpn', 'http/1.1'];
    await sClient(tollgate.port, '-tls1_2', ...options);
    await sClient(tollgate.port, '-tls1_3', ...options, '-sess_out', session);
    await sClient(tollgate.port, '-tls1_3', ...options, '-sess_in', session);
    await sClient(tollgate.port, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0', ...options);
    await until(() => tollgate.handshakes().length === 4);
    const lines = tollgate.handshakes();
    const failed = lines[3]!;
    for (const line of lines) {
      for (const key of Object.keys(line)) assert.ok(key in failed, key);
      assert.match(String(line.ja4), /^t1[123]d/);
      assert.deepEqual([line.client, line.listener, line.sni], ['127.0.0.1', 'web', 'localhost']);
    }
    assert.deepEqual(
      lines.map(({ ok, reason, side, alert, alpn, version, resumed }) => [ok, reason, side, alert, alpn, version, resumed]),
      [
        [true, null, null, null, 'http/1.1', 'TLSv1.2', false],
        [true, null, null, null, 'http/1.1', 'TLSv1.3', false],
        [true, null, null, null, 'http/1.1', 'TLSv1.3', true],
        [false, 'no_shared_version', 'client', 70, null, null, false],
      ],
    );
    assert.match(String(lines[1]?.suite), /^TLS_/);
    assert.equal(typeof lines[1]?.group, 'string');
  });

  test(`${engine}: a handshake that comes byte by byte, and a hello cut into many records, are understood`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('hello'));
    const tollgate = await Tollgate.start(t, { to: origin.port, tls });
    const bytewise = async (up: Socket, data: Buffer): Promise<void> => {
      for (const byte of data) {
        up.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const inRecords = async (up: Socket, data: Buffer): Promise<void> => {
      if (data[0] !== 22 || data[5] !== 1) {
        up.write(data);
        return;
      }
      const body = data.subarray(5);
      for (let at = 0; at < body.length; at += 50) {
        const piece = body.subarray(at, at + 50);
        up.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0, piece.length]), piece]));
      }
    };
    for (const [name, send] of Object.entries({ bytewise, inRecords })) {
      const relay = createServer((down) => {
        const up = connect(tollgate.port, '127.0.0.1');
        let sent = Promise.resolve();
        up.setNoDelay(true);
        up.on('data', (data) => down.write(data));
        up.on('end', () => down.end());
        up.on('error', () => down.destroy());
        down.on('error', () => {});
        down.on('data', (data: Buffer) => {
          sent = sent.then(() => send(up, data));
        });
      });
      await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
      t.after(() => relay.close());
      const address = relay.address();
      assert.ok(address !== null && typeof address === 'object');
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        assert.match(await exchange(address.port, CLOSE, { maxVersion }), /hello$/, `${name} ${maxVersion}`);
      }
      relay.close();
    }
  });
}
