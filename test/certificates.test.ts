/** Which certificate a client is shown, and under which rules: names, strictness, validity, directories, and very many of them. */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate, writePair } from '../src/config/test-certificates.ts';
import { leaf, type TestCertificate } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { ledger } from './support/ledger.ts';
import { echoOrigin, type Site, startSite } from './support/site.ts';
import { residentBytes, until } from './support/tollgate.ts';

const GET = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

function anyName(servername: string): object {
  return { servername, rejectUnauthorized: false, checkServerIdentity: () => undefined };
}

/** Common name of the certificate that `servername` is shown; the error where there is none. */
async function shown(port: number, servername: string, more: object = {}): Promise<string> {
  try {
    const client = await new Client(port, { ...anyName(servername), ...more }).open();
    const { CN } = client.socket.getPeerCertificate().subject;
    client.close();
    return String(CN);
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code ?? error);
  }
}

function entry({ certificate, key }: TestCertificate): string {
  return `{ certificate: ${certificate}, key: ${key} }`;
}

async function siteWith(t: TestContext, tls: string, workers = 1): Promise<Site> {
  const server = await echoOrigin(t);
  const site = await startSite(t, server.port, workers);
  if (!site.text.includes(tls)) {
    site.replace(/tls: \{.*\}/, `tls: ${tls}`);
    await site.run('reload');
  }
  return site;
}

test('a strict listener refuses strangers and the nameless with unrecognized_name', async (t) => {
  const { tollgate } = await siteWith(
    t,
    `{ strict: true, certificates: [${entry(leaf(['shop.example']))}, ${entry(leaf(['*.example']))}] }`,
  );
  assert.equal(await shown(tollgate.port, 'shop.example'), 'shop.example');
  assert.equal(await shown(tollgate.port, 'other.example'), '*.example');
  for (const name of ['a.b.example', 'stranger.org', '']) {
    assert.equal(await shown(tollgate.port, name), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', name);
  }
  const refused = () => tollgate.handshakes().filter(({ reason }) => reason === 'unknown_name');
  await until(() => refused().length === 3);
  assert.deepEqual(
    refused().map(({ reason, side, alert, alertFrom, sni }) => [reason, side, alert, alertFrom, sni]),
    ['a.b.example', 'stranger.org', null].map((sni) => ['unknown_name', 'client', 112, 'us', sni]),
  );
});

test('names have a policy of their own, and no connection or session carries over from one to the other', async (t) => {
  const both = leaf(['public.example', 'private.example']);
  const { tollgate } = await siteWith(t, `{ certificates: [${entry(both)}], names: [{ match: private.example, policy: modern }] }`);
  const old = { maxVersion: 'TLSv1.2' };
  assert.equal(await shown(tollgate.port, 'public.example', old), 'public.example');
  assert.equal(await shown(tollgate.port, 'private.example', old), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  assert.equal(await shown(tollgate.port, 'private.example'), 'public.example');
  const client = await new Client(tollgate.port, anyName('public.example')).open();
  assert.match(await client.send(GET('private.example')).until('\r\n\r\n'), /^HTTP\/1\.1 421 /);
  client.close();
  // A session of one name opens none of the other: CVE-2025-23419.
  const sessionOf = async (servername: string): Promise<Buffer> => {
    const one = new Client(tollgate.port, anyName(servername));
    const session = new Promise<Buffer>((resolve) => one.socket.once('session', resolve));
    await one.open();
    one.send(GET(servername));
    const got = await session;
    one.close();
    return got;
  };
  const resumes = async (servername: string, session: Buffer): Promise<boolean> => {
    const one = await new Client(tollgate.port, { ...anyName(servername), session }).open();
    const reused = one.socket.isSessionReused();
    one.close();
    return reused;
  };
  assert.equal(await resumes('public.example', await sessionOf('public.example')), true);
  assert.equal(await resumes('private.example', await sessionOf('public.example')), false);
  assert.equal(await resumes('public.example', await sessionOf('private.example')), false);
});

test('a valid certificate is shown before one that has expired, whatever their order and kind', async (t) => {
  const directory = join(leaf(['localhost']).certificate, '..', 'validity');
  const day = 86_400_000;
  const at = (days: number): Date => new Date(Date.now() + days * day);
  writePair(directory, 'old', await makeCertificate({ names: ['a.example'], commonName: 'old', notBefore: at(-9), notAfter: at(-1) }));
  writePair(directory, 'soon', await makeCertificate({ names: ['a.example'], commonName: 'soon', notBefore: at(1), notAfter: at(9) }));
  writePair(directory, 'now', await makeCertificate({ names: ['a.example'], commonName: 'now' }));
  writePair(directory, 'any', await makeCertificate({ names: ['*.example'], commonName: 'any' }));
  writePair(directory, 'dead', await makeCertificate({ names: ['dead.example'], commonName: 'dead', notBefore: at(-9), notAfter: at(-1) }));
  const list = ['old', 'soon', 'now', 'dead', 'any'].map((name) =>
    entry({ certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) }),
  );
  const { tollgate } = await siteWith(t, `{ certificates: [${list.join(', ')}] }`);
  assert.equal(await shown(tollgate.port, 'a.example'), 'now');
  assert.equal(await shown(tollgate.port, 'dead.example'), 'any');
  assert.equal(await shown(tollgate.port, 'b.example'), 'any');
});

test('a certificate that the TLS library does not take is told to whoever asks for it, and the others are served', async (t) => {
  const directory = join(leaf(['localhost']).certificate, '..', 'refused');
  const odd = await makeCertificate({ names: ['odd.example'] });
  // A version of X.509 that there is none of: as good as any to read, and no library shows it.
  const der = Buffer.from(odd.certificate.rawData);
  der[der.indexOf(Buffer.from('a003020102', 'hex')) + 4] = 7;
  mkdirSync(directory);
  const pair = { certificate: join(directory, 'odd.pem'), key: join(directory, 'odd.key') };
  writeFileSync(pair.certificate, `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`);
  writeFileSync(pair.key, odd.keyPem, { mode: 0o600 });
  const site = await siteWith(t, `{ certificates: [${entry(leaf(['localhost']))}, ${entry(pair)}] }`);
  const { tollgate } = site;
  for (const _ of [1, 2]) assert.equal(await shown(tollgate.port, 'odd.example'), 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR');
  assert.equal(await shown(tollgate.port, 'localhost'), 'localhost');
  const refused = () => tollgate.handshakes().filter(({ reason }) => reason === 'tls_internal');
  await until(() => refused().length === 2);
  for (const { side, alert, alertFrom, sni, library } of refused()) {
    assert.deepEqual([side, alert, alertFrom, sni], ['us', 80, 'us', 'odd.example']);
    assert.match(String(library), /^certificate: S2N_ERR_/);
  }
  // Alone of its kind it is refused with the plan.
  site.replace(`${entry(leaf(['localhost']))}, `, '');
  await assert.rejects(site.run('reload'), /certificate: S2N_ERR_/);
  assert.equal(await shown(tollgate.port, 'localhost'), 'localhost');
});

test('a directory of certificates is read, and watched: what comes, changes and goes is served so, and nobody is cut', async (t) => {
  const site = await siteWith(t, `{ certificates: [${entry(leaf(['localhost']))}] }`);
  const { tollgate } = site;
  const certs = join(tollgate.directory, 'certs');
  mkdirSync(join(certs, 'live.example'), { recursive: true });
  const put = (name: string, { certificate, key }: TestCertificate): void => {
    copyFileSync(certificate, join(certs, `${name}.pem`));
    copyFileSync(key, join(certs, `${name}.key`));
  };
  const combined = leaf(['combined.example']);
  put('a', leaf(['a.example']));
  writeFileSync(join(certs, 'combined.crt'), Buffer.concat([readFileSync(combined.key), readFileSync(combined.certificate)]), {
    mode: 0o600,
  });
  copyFileSync(leaf(['live.example']).certificate, join(certs, 'live.example', 'fullchain.pem'));
  copyFileSync(leaf(['live.example']).key, join(certs, 'live.example', 'privkey.pem'));
  writeFileSync(join(certs, '.hidden.pem'), 'no certificate');
  writeFileSync(join(certs, 'README'), 'nor this');
  site.replace('certificates: [', 'certificates: [{ directory: certs }, ');
  await site.run('reload');
  for (const name of ['a.example', 'combined.example', 'live.example', 'localhost']) assert.equal(await shown(tollgate.port, name), name);
  assert.equal(await shown(tollgate.port, 'b.example'), 'a.example', 'the first file');

  const kept = await new Client(tollgate.port, anyName('a.example')).open();
  const stillServed = async (): Promise<void> => {
    kept.received = Buffer.alloc(0);
    assert.match(await kept.send(GET('a.example')).until('ok'), /^HTTP\/1\.1 200 /);
  };
  await stillServed();
  put('b', leaf(['b.example']));
  await until(async () => (await shown(tollgate.port, 'b.example')) === 'b.example');
  put('a', leaf(['a.example', 'more.example']));
  await until(async () => (await shown(tollgate.port, 'more.example')) === 'a.example');
  await stillServed();
  // Half of a change is told and changes nothing.
  writeFileSync(join(certs, 'c.pem'), readFileSync(leaf(['c.example']).certificate));
  await until(() => tollgate.errors.includes('files changed, but nothing was'));
  assert.match(tollgate.errors, /c\.pem holds no PEM private key/);
  assert.equal(await shown(tollgate.port, 'b.example'), 'b.example');
  copyFileSync(leaf(['c.example']).key, join(certs, 'c.key.new'));
  renameSync(join(certs, 'c.key.new'), join(certs, 'c.key'));
  await until(async () => (await shown(tollgate.port, 'c.example')) === 'c.example');
  rmSync(join(certs, 'b.pem'));
  await until(async () => (await shown(tollgate.port, 'b.example')) === 'a.example');
  await stillServed();
  kept.close();
});

/** Certificates for `h00000.example` and on, all of one key: made once by a library, then written over and signed again. */
async function manyCertificates(directory: string, count: number): Promise<void> {
  const first = await makeCertificate({ names: ['h00000.example'] });
  const der = Buffer.from(first.certificate.rawData);
  const { tbs, algorithm } = partsOf(der);
  mkdirSync(directory);
  for (let i = 0; i < count; i++) {
    const name = `h${String(i).padStart(5, '0')}.example`;
    const changed = Buffer.from(tbs.toString('latin1').replaceAll('h00000.example', name), 'latin1');
    const signature = sign('sha256', changed, first.key);
    const bits = Buffer.concat([Buffer.of(3, signature.length + 1, 0), signature]);
    const body = Buffer.concat([changed, algorithm, bits]);
    const whole = Buffer.concat([Buffer.of(0x30, 0x82, body.length >> 8, body.length & 255), body]);
    const pem = `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
    writeFileSync(join(directory, `${i}.pem`), pem + first.keyPem, { mode: 0o600 });
  }
}

/** What a certificate signs, and by which algorithm: both with their tags. RFC 5280, section 4.1. */
function partsOf(der: Buffer): { tbs: Buffer; algorithm: Buffer } {
  const elementAt = (at: number): Buffer => {
    const long = der[at + 1]! & 0x80 ? der[at + 1]! & 0x7f : 0;
    const length = long === 0 ? der[at + 1]! : der.readUIntBE(at + 2, long);
    return der.subarray(at, at + 2 + long + length);
  };
  const tbs = elementAt(4);
  return { tbs, algorithm: elementAt(4 + tbs.length) };
}

/** A bound, in seconds, that nothing in the histogram `name` was above between two looks at the metrics. */
function longestIn(name: string, before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string {
  const grown = (place: string): number => (after.get(place) ?? 0) - (before.get(place) ?? 0);
  const all = grown(`${name}_count`);
  const bucket = [...after.keys()].find((place) => place.startsWith(`${name}_bucket`) && grown(place) === all);
  return /le="([^"]+)"/.exec(bucket ?? '')?.[1] ?? 'none';
}

test('10,000 certificates, and a list of 250,000 networks, are adopted in slices; each certificate costs little, and a change of one leaves the others alone', async (t) => {
  const site = await siteWith(t, `{ certificates: [${entry(leaf(['localhost']))}] }`);
  const { tollgate } = site;
  const certs = join(tollgate.directory, 'many');
  await manyCertificates(certs, 10_000);
  const { pid } = (await tollgate.status()).workers[0]!;
  const before = residentBytes(pid!);
  site.replace('certificates: [', 'certificates: [{ directory: many }, ');
  const load = ledger(t, tollgate.port, 1, true);
  await until(() => load.tally.answered > 100);
  const reload = async (what: string): Promise<void> => {
    const earlier = await tollgate.metrics();
    const fromMs = performance.now();
    await site.run('reload');
    const ms = Math.round(performance.now() - fromMs);
    const later = await tollgate.metrics();
    const [lag, pause] = ['tollgate_loop_lag_seconds', 'tollgate_gc_pause_seconds'].map((name) => longestIn(name, earlier, later));
    t.diagnostic(`${what}: in force after ${ms} ms; the loop was late by ${lag} s at most, and paused ${pause} s for garbage`);
  };
  await reload('10,000 certificates');
  const each = (residentBytes(pid!) - before) / 10_000;
  const nameOf = async (name: string): Promise<string> => {
    const client = await new Client(tollgate.port, anyName(name)).open();
    const { subjectaltname } = client.socket.getPeerCertificate();
    client.close();
    return String(subjectaltname);
  };
  for (const name of ['h00000.example', 'h04999.example', 'h09999.example']) assert.equal(await nameOf(name), `DNS:${name}`);
  writePair(certs, '5', await makeCertificate({ names: ['changed.example'] }));
  await reload('one of them changed');
  assert.equal(await nameOf('changed.example'), 'DNS:changed.example');
  assert.equal(await nameOf('h00006.example'), 'DNS:h00006.example');
  site.replace('{ directory: many }, ', '');
  await reload('10,000 certificates given back');
  const networks = Array.from({ length: 250_000 }, (_, i) => `10.${i >> 10}.${(i >> 2) & 255}.${64 * (i & 3) + 1}`);
  writeFileSync(join(tollgate.directory, 'networks.txt'), networks.join('\n'));
  site.replace('    tls:', '    access: { denyFile: networks.txt }\n    tls:');
  await reload('250,000 networks');
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  t.diagnostic(`${Math.round(each / 1_024)} KiB for each certificate in a worker; ${tally.answered} requests meanwhile`);
  assert.ok(each < 65_536, `${each} bytes each`);
});
