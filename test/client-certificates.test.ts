import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { type MadeClient, TestAuthority } from '../src/x509/test-authority.ts';
import { leaf } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { httpOrigin, type Origin, rawOrigin } from './support/origin.ts';
import { Responder } from './support/responder.ts';
import { tcpTollgate, tls } from './support/tcp.ts';
import { Tollgate, until } from './support/tollgate.ts';

const root = new TestAuthority('/O=Bank/CN=Root');
const authority = new TestAuthority('/O=Bank/CN=Clients', 'ec', root);
const stranger = new TestAuthority('/O=Elsewhere/CN=Root');
const directory = mkdtempSync(join(tmpdir(), 'tollgate-clients-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);
writeFileSync(at('root.pem'), root.pem);
writeFileSync(at('ca.pem'), root.pem + authority.pem);

/** Written whole, as those who mean well do. */
function put(name: string, bytes: Buffer): void {
  writeFileSync(at(`${name}.new`), bytes);
  renameSync(at(`${name}.new`), at(name));
}

async function start(test: TestContext, clients: string, more = '', workers = 1): Promise<{ tollgate: Tollgate; origin: Origin }> {
  const origin = await httpOrigin(test, (_, response) => response.end('ok'));
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(test, {
    workers,
    config: `${more}
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls:
      certificates: [{ certificate: ${certificate}, key: ${key} }]
      clientCertificates: ${clients}
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
  return { tollgate, origin };
}

interface Outcome {
  /** First line of the answer; '' when there was none. */
  readonly status: string;
  /** OpenSSL's word for the alert that came, or '' . */
  readonly alert: string;
  readonly resumed: boolean;
}

async function ask(
  port: number,
  client: MadeClient | null,
  options: Omit<ConnectionOptions, 'host'> & {
    readonly fields?: string;
    readonly host?: string;
    readonly chain?: readonly TestAuthority[];
  } = {},
): Promise<Outcome> {
  const { fields = '', host = 'localhost', chain = [], ...rest } = options;
  const shown = client === null ? {} : { cert: client.certificatePem + chain.map(({ pem }) => pem).join(''), key: client.keyPem };
  const connection = new Client(port, { ...shown, ...rest });
  connection.socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`);
  await until(() => connection.ended || connection.closed || connection.failure !== null);
  const resumed = connection.socket.isSessionReused();
  connection.socket.destroy();
  const alert = /alert ([a-z ]+?)(?:\s*:|$)/.exec(connection.failure?.message ?? '')?.[1] ?? connection.failure?.code ?? '';
  return {
    status: connection.received.toString('latin1').split('\r\n')[0] ?? '',
    alert: connection.received.length > 0 ? '' : alert,
    resumed,
  };
}

type Version = 'TLSv1.2' | 'TLSv1.3';

/** What a client that was in is given to come back with. */
async function ticketFor(port: number, client: MadeClient | null, maxVersion: Version): Promise<Buffer> {
  const shown = client === null ? {} : { cert: client.certificatePem, key: client.keyPem };
  const first = new Client(port, { ...shown, maxVersion });
  let session: Buffer | null = null;
  first.socket.on('session', (ticket: Buffer) => {
    session = ticket;
  });
  first.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => first.received.length > 0 && session !== null);
  first.socket.destroy();
  return session!;
}

const OK = 'HTTP/1.1 200 OK';

function reasons(tollgate: Tollgate): string[] {
  return tollgate.handshakes().map(({ reason }) => String(reason));
}

test('a listener that requires certificates: who comes in, who does not, and what each is told', async (t) => {
  const { tollgate, origin } = await start(t, `{ authorities: "${at('ca.pem')}", allow: { subjects: ["CN=*, O=Bank"] } }`);
  const good = authority.issue('/O=Bank/CN=good');
  const other = authority.issue('/O=Other/CN=other');
  const server = authority.issue('/O=Bank/CN=server', ['extendedKeyUsage=serverAuth']);
  const foreign = stranger.issue('/O=Bank/CN=good');
  assert.equal((await ask(tollgate.port, good)).status, OK);
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    for (const [client, alert, reason] of [
      [null, maxVersion === 'TLSv1.3' ? 'certificate required' : 'handshake failure', 'certificate_missing'],
      [other, 'bad certificate', 'certificate_not_allowed'],
      [server, 'unsupported certificate', 'certificate_unsuitable'],
      [foreign, 'unknown ca', 'certificate_unknown_issuer'],
    ] as const) {
      const before = tollgate.handshakes().length;
      const outcome = await ask(tollgate.port, client, { maxVersion });
      assert.equal(outcome.status, '', reason);
      assert.match(outcome.alert, new RegExp(alert), reason);
      await until(() => tollgate.handshakes().length > before);
      const line = tollgate.handshakes().at(-1)!;
      assert.equal(line.reason, reason);
      if (client !== null) {
        assert.deepEqual(line.certificate, {
          subject: client.certificate.subject,
          issuer: client.certificate.issuer,
          serial: client.certificate.serial,
        });
      }
    }
  }
  assert.equal(origin.requests.length, 1);
});

test('servers are told who the client is, and never what it says of itself', async (t) => {
  const { tollgate, origin } = await start(t, `{ mode: optional, authorities: "${at('root.pem')}" }`);
  const client = authority.issue('/O=Bank/CN=teller, 7', [
    'extendedKeyUsage=clientAuth',
    'subjectAltName=DNS:teller.example,URI:spiffe://bank/teller',
  ]);
  const lies =
    'Client-Cert: :AAAA:\r\nclient-cert-chain: :AAAA:\r\nX-Client-Cert: x\r\nX-CLIENT-CERT-VERIFY: SUCCESS\r\nX-Client-Cert-Subject: CN=root\r\nX-Client-Cert-Other: x\r\n';
  assert.equal((await ask(tollgate.port, client, { fields: lies, chain: [authority] })).status, OK);
  const { headers } = origin.requests[0]!;
  const der = new X509Certificate(client.certificatePem).raw;
  assert.equal(headers['client-cert'], `:${der.toString('base64')}:`);
  assert.equal(headers['client-cert-chain'], `:${new X509Certificate(authority.pem).raw.toString('base64')}:`);
  assert.equal(headers['x-client-cert-verify'], 'SUCCESS');
  assert.equal(headers['x-client-cert-subject'], 'CN=teller\\, 7,O=Bank');
  assert.equal(headers['x-client-cert-issuer'], 'CN=Clients,O=Bank');
  assert.equal(headers['x-client-cert-serial'], client.certificate.serial.toUpperCase());
  assert.equal(headers['x-client-cert-san'], 'URI:spiffe://bank/teller, DNS:teller.example');
  assert.equal(headers['x-client-cert-fingerprint'], new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase());
  assert.equal(Date.parse(headers['x-client-cert-not-after'] as string), client.certificate.notAfterMs);
  assert.equal(headers['x-client-cert'], undefined);
  assert.equal(headers['x-client-cert-other'], undefined);

  assert.equal((await ask(tollgate.port, null, { fields: lies })).status, OK);
  const told = Object.entries(origin.requests[1]!.headers).filter(([name]) => name.includes('client-cert'));
  assert.deepEqual(told, [['x-client-cert-verify', 'NONE']]);
  // With "_" for "-" many applications could not tell it from ours.
  assert.match((await ask(tollgate.port, null, { fields: 'X_Client_Cert_Verify: SUCCESS\r\n' })).status, /^HTTP\/1\.1 400/);
});

test('a client that is put on the list is refused within seconds, without a reload; one that is taken off comes in again', async (t) => {
  const client = authority.issue('/O=Bank/CN=client');
  const friend = authority.issue('/O=Bank/CN=friend');
  put('clients.crl', authority.list());
  put('root.crl', root.list());
  const { tollgate, origin } = await start(
    t,
    `{ authorities: "${at('ca.pem')}", revocation: { crl: ["${at('clients.crl')}", "${at('root.crl')}"] } }`,
    '',
    2,
  );
  assert.equal((await ask(tollgate.port, client)).status, OK);
  put('clients.crl', authority.list({ serials: [client.certificate.serialBytes], thisUpdateMs: Date.now() }));
  await until(async () => (await ask(tollgate.port, client)).alert.includes('certificate revoked'));
  // Every worker has it.
  for (let i = 0; i < 10; i++) assert.match((await ask(tollgate.port, client)).alert, /certificate revoked/);
  assert.equal((await ask(tollgate.port, friend)).status, OK);
  await until(() => reasons(tollgate).includes('certificate_revoked'));
  const line = tollgate.handshakes().find(({ reason }) => reason === 'certificate_revoked');
  assert.equal((line?.certificate as { serial?: string } | undefined)?.serial, client.certificate.serial);

  // What is of no use changes nothing.
  put('clients.crl', Buffer.from('rubbish'));
  await until(() => tollgate.errors.includes('cannot be used'));
  assert.match((await ask(tollgate.port, client)).alert, /certificate revoked/);
  put('clients.crl', authority.list({ thisUpdateMs: Date.now() }));
  await until(async () => (await ask(tollgate.port, client)).status === OK);
  assert.ok(origin.requests.length >= 3);

  // `status` knows them, and a list that ends is told.
  const listed = async () => (await tollgate.status()).revocation.find(({ source }) => source === at('clients.crl'));
  const current = await listed();
  assert.deepEqual([current?.issuer, current?.entries, current?.stale], ['CN=Clients,O=Bank', 0, false]);
  put(
    'clients.crl',
    authority.list({ serials: [client.certificate.serialBytes], thisUpdateMs: Date.now(), nextUpdateMs: Date.now() - 1_000 }),
  );
  await until(() => tollgate.errors.includes(`the revocation list ${at('clients.crl')} has ended at `));
  const ended = await listed();
  assert.deepEqual([ended?.entries, ended?.stale, ended?.problem], [1, true, null]);
  assert.match(
    tollgate.command('status', '--runtime', `${tollgate.directory}/run`),
    /REVOCATION LISTS\n.*CN=Clients,O=Bank +1 revoked +STALE since /,
  );
});

test('a PROXY header tells whose certificate a client came in by', async (t) => {
  const raw = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.end('heard'));
  });
  const clients = `{ mode: optional, authorities: "${at('ca.pem')}" }`;
  const tollgate = await tcpTollgate(t, raw.port, `${tls(['localhost'], `, clientCertificates: ${clients}`)}\nroutes: [{ to: server }]`, {
    upstream: ', proxyProtocol: v2',
  });
  const told = async (client: MadeClient | null): Promise<Buffer> => {
    const connection = await new Client(tollgate.port, client === null ? {} : { cert: client.certificatePem, key: client.keyPem }).open();
    connection.send('hello');
    await connection.until('heard');
    connection.close();
    return Buffer.from(raw.heard.at(-1)!, 'latin1');
  };
  const named = await told(authority.issue('/O=Bank/CN=Ada Lovelace'));
  const ssl = named.indexOf(Buffer.from('\x21\0\x07TLSv1.3', 'latin1')) - 5;
  // PP2_CLIENT_SSL, .._CERT_CONN and .._CERT_SESS; verified.
  assert.equal(named.subarray(ssl, ssl + 5).toString('hex'), '0700000000');
  assert.ok(named.includes(Buffer.from('\x22\0\x0cAda Lovelace', 'latin1')));
  const nobody = await told(null);
  const at0 = nobody.indexOf(Buffer.from('\x21\0\x07TLSv1.3', 'latin1')) - 5;
  assert.equal(nobody.subarray(at0, at0 + 5).toString('hex'), '0100000001');
  assert.ok(!nobody.includes(Buffer.from('Ada')));
});

test('a name may ask for certificates where its listener does not, and no connection gets round that', async (t) => {
  const origin = await httpOrigin(t, (_, response) => response.end('ok'));
  const { certificate, key } = leaf(['shop.example', 'pay.example']);
  const tollgate = await Tollgate.start(t, {
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls:
      certificates: [{ certificate: ${certificate}, key: ${key} }]
      names: [{ match: pay.example, clientCertificates: { authorities: "${at('ca.pem')}" } }]
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
  const client = authority.issue('/O=Bank/CN=payer');
  assert.equal((await ask(tollgate.port, null, { servername: 'shop.example', host: 'shop.example' })).status, OK);
  assert.equal((await ask(tollgate.port, null, { servername: 'pay.example', host: 'pay.example' })).status, '');
  assert.equal((await ask(tollgate.port, client, { servername: 'pay.example', host: 'pay.example' })).status, OK);
  assert.equal(origin.requests[1]!.headers['x-client-cert-subject'], 'CN=payer,O=Bank');
  for (const servername of ['shop.example', '']) {
    assert.match(
      (await ask(tollgate.port, null, { servername, host: 'pay.example', checkServerIdentity: () => undefined })).status,
      / 421 /,
    );
  }
  assert.equal(origin.requests.length, 2);
});

test('a session ticket of a client that is revoked since resumes nothing', async (t) => {
  const client = authority.issue('/O=Bank/CN=ticket');
  put('ticket.crl', authority.list());
  put('ticket-root.crl', root.list());
  const { tollgate } = await start(
    t,
    `{ authorities: "${at('ca.pem')}", revocation: { crl: ["${at('ticket.crl')}", "${at('ticket-root.crl')}"] } }`,
  );
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    put('ticket.crl', authority.list({ thisUpdateMs: Date.now() }));
    await until(async () => (await ask(tollgate.port, client, { maxVersion })).status === OK);
    const session = await ticketFor(tollgate.port, client, maxVersion);
    const again = await ask(tollgate.port, client, { maxVersion, session });
    assert.equal(again.status, OK);
    assert.equal(again.resumed, true, maxVersion);
    put('ticket.crl', authority.list({ serials: [client.certificate.serialBytes], thisUpdateMs: Date.now() }));
    await until(async () => (await ask(tollgate.port, client, { maxVersion })).alert.includes('certificate revoked'));
    const after = await ask(tollgate.port, client, { maxVersion, session });
    assert.equal(after.status, '');
    assert.match(after.alert, /certificate revoked/);
  }
});

test('a ticket from before the rule about certificates changed resumes nothing, in TLS 1.2 and 1.3', async (t) => {
  const client = authority.issue('/O=Bank/CN=returning');
  writeFileSync(at('wide.pem'), root.pem + authority.pem + stranger.pem);
  writeFileSync(at('stranger.pem'), stranger.pem);
  const { tollgate } = await start(t, '{ mode: off } # rule');
  const { port } = tollgate;
  const path = join(tollgate.directory, 'tollgate.yaml');
  const change = (rule: string, engine = ''): void => {
    const lines = readFileSync(path, 'utf8').replace(
      /clientCertificates: .* # rule\n(?: *engine: .*\n)?/,
      `clientCertificates: ${rule} # rule\n${engine}`,
    );
    writeFileSync(path, lines);
    // It ends when every worker has it.
    tollgate.command('reload', '--runtime', `${tollgate.directory}/run`);
  };
  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  /** A ticket for each version, under the rule of now, that is good under the rule of now. */
  const tickets = async (shown: MadeClient | null): Promise<[Version, Buffer][]> => {
    const made: [Version, Buffer][] = [];
    for (const maxVersion of versions) {
      const session = await ticketFor(port, shown, maxVersion);
      assert.deepEqual(await ask(port, shown, { maxVersion, session }), { status: OK, alert: '', resumed: true });
      made.push([maxVersion, session]);
    }
    return made;
  };
  const required = (authorities: string): string => `{ authorities: "${at(authorities)}" }`;
  // The engine changes with the rule, and where it does not, the ticket is worth as little.
  for (const engine of ['', '      engine: openssl\n']) {
    change('{ mode: off }', engine);
    const open = await tickets(null);
    change(required('ca.pem'), engine);
    for (const [maxVersion, session] of open) {
      const without = await ask(port, null, { maxVersion, session });
      assert.equal(without.status, '', `${maxVersion}: none was asked for when the ticket was made`);
      assert.match(without.alert, maxVersion === 'TLSv1.3' ? /certificate required/ : /handshake failure/);
      assert.deepEqual(await ask(port, client, { maxVersion, session }), { status: OK, alert: '', resumed: false });
    }
  }
  const narrow = await tickets(client);
  change(required('wide.pem'));
  for (const [maxVersion, session] of narrow) {
    assert.deepEqual(await ask(port, client, { maxVersion, session }), { status: OK, alert: '', resumed: false }, maxVersion);
  }
  const wide = await tickets(client);
  change(required('stranger.pem'));
  for (const [maxVersion, session] of wide) {
    const gone = await ask(port, client, { maxVersion, session });
    assert.equal(gone.status, '', `${maxVersion}: its authority is trusted no more`);
    assert.match(gone.alert, /unknown ca/);
  }
});

/** Serves `lists` by path, with entity tags; counts what was asked and what had not changed. */
async function listServer(t: TestContext, lists: Map<string, Buffer>) {
  const counts = { asked: 0, unchanged: 0 };
  const server = createServer((request, response) => {
    counts.asked++;
    const list = lists.get(request.url ?? '');
    if (list === undefined) {
      response.writeHead(request.url === '/moved.crl' ? 302 : 404, { location: '/clients.crl' }).end();
      return;
    }
    const tag = `"${list.subarray(-8).toString('hex')}"`;
    if (request.headers['if-none-match'] === tag) {
      counts.unchanged++;
      response.writeHead(304).end();
    } else response.writeHead(200, { etag: tag }).end(list);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { counts, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('lists are fetched from where certificates say, looked at again without being sent again, and swapped in place', async (t) => {
  const lists = new Map([
    ['/clients.crl', authority.list()],
    ['/root.crl', root.list()],
  ]);
  const { url, counts } = await listServer(t, lists);
  const sub = new TestAuthority('/O=Bank/CN=Fetched', 'ec', root, [`crlDistributionPoints=URI:${url}/root.crl`]);
  lists.set('/clients.crl', sub.list());
  const issue = (name: string, point: string): MadeClient =>
    sub.issue(`/O=Bank/CN=${name}`, ['extendedKeyUsage=clientAuth', `crlDistributionPoints=URI:${url}${point}`]);
  const client = issue('fetched', '/clients.crl');
  const moved = issue('moved', '/moved.crl');
  const lost = issue('lost', '/none.crl');
  const { tollgate } = await start(t, `{ authorities: "${at('root.pem')}", revocation: { fetch: true, refresh: 1s } }`);
  const chain = [sub];
  // The first one is held until its list is here.
  assert.equal((await ask(tollgate.port, client, { chain })).status, OK);
  assert.equal((await ask(tollgate.port, moved, { chain })).status, OK);
  const held = await ask(tollgate.port, lost, { chain });
  assert.equal(held.status, OK, 'the list of its issuer is known by then, and speaks for all');
  await until(() => counts.unchanged > 2);
  lists.set('/clients.crl', sub.list({ serials: [client.certificate.serialBytes], thisUpdateMs: Date.now() }));
  await until(async () => (await ask(tollgate.port, client, { chain })).alert.includes('certificate revoked'));
  assert.equal((await ask(tollgate.port, moved, { chain })).status, OK);
});

test('a client of whom nothing can be known is refused before a byte of its request is read, or let in where that is wanted', async (t) => {
  const client = authority.issue('/O=Bank/CN=unknown', [
    'extendedKeyUsage=clientAuth',
    'crlDistributionPoints=URI:http://127.0.0.1:9/none.crl',
  ]);
  const hard = await start(t, `{ authorities: "${at('root.pem')}", revocation: { fetch: true } }`);
  const outcome = await ask(hard.tollgate.port, client, { chain: [authority] });
  assert.equal(outcome.status, '');
  assert.equal(hard.origin.requests.length, 0);
  await until(() => reasons(hard.tollgate).includes('certificate_status_unknown'));
  const soft = await start(t, `{ authorities: "${at('root.pem')}", revocation: { fetch: true, whenUnknown: allow } }`);
  assert.equal((await ask(soft.tollgate.port, client, { chain: [authority] })).status, OK);
  assert.equal(soft.origin.requests[0]?.headers['x-client-cert-verify'], 'SUCCESS:revocation_unknown');
});

test('OCSP: the responder that a certificate names is asked once for many, and a revoked client refused seconds later', async (t) => {
  const responder = new Responder(t, root);
  await responder.start();
  const issue = (name: string): MadeClient => {
    const made = root.issue(`/O=Bank/CN=${name}`, ['extendedKeyUsage=clientAuth', `authorityInfoAccess=OCSP;URI:${responder.url}`]);
    responder.know(made.certificate);
    return made;
  };
  const [client, friend] = [issue('asked'), issue('friend')];
  const { tollgate, origin } = await start(t, `{ authorities: "${at('root.pem')}", revocation: { ocsp: true, refresh: 2s } }`, '', 2);
  const many = await Promise.all(Array.from({ length: 20 }, () => ask(tollgate.port, client)));
  for (const { status } of many) assert.equal(status, OK);
  assert.ok(responder.asked <= 3, `asked ${responder.asked} times for 20 connections`);
  assert.equal(origin.requests.length, 20);
  responder.know(client.certificate, true);
  await until(async () => (await ask(tollgate.port, client)).status === '', 20_000);
  await until(async () => (await ask(tollgate.port, client)).alert.includes('certificate revoked'));
  assert.equal((await ask(tollgate.port, friend)).status, OK);
  responder.stop();
  // What it said holds to its end, though it does not answer any more.
  assert.equal((await ask(tollgate.port, friend)).status, OK);
});

test('a reload that changes who may come in ends the connections of before with their next answer, and their tickets', async (t) => {
  const client = authority.issue('/O=Bank/CN=before');
  const { tollgate } = await start(t, `{ mode: optional, authorities: "${at('ca.pem')}" }`);
  const open = new Client(tollgate.port);
  open.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => open.received.includes('ok'));
  const path = join(tollgate.directory, 'tollgate.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('mode: optional', 'mode: required'));
  tollgate.command('reload', '--runtime', `${tollgate.directory}/run`);
  open.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => open.ended || open.closed);
  assert.equal((await ask(tollgate.port, null)).status, '');
  assert.equal((await ask(tollgate.port, client)).status, OK);
});
