/**
 * Every way in which a client's certificate can be refused, by the real program and a real client: the reason and the alert of the event, and
 * the alert that the client gets, in TLS 1.2 and 1.3, are those of src/tls/handshake-failures.ts, each of them and no other.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultOf } from '../src/base/faults.ts';
import { HANDSHAKE_FAILURES } from '../src/tls/handshake-failures.ts';
import { type MadeClient, TestAuthority } from '../src/x509/test-authority.ts';
import { leaf } from './support/certificates.ts';
import { Client } from './support/client.ts';
import { Tollgate, until } from './support/tollgate.ts';

const root = new TestAuthority('/O=Bank/CN=Root');
const middle = new TestAuthority('/O=Bank/CN=Middle', 'ec', root);
const stranger = new TestAuthority('/O=Elsewhere/CN=Root');
const TO_CLIENTS = ['extendedKeyUsage=clientAuth'];
const DAY_MS = 86_400_000;

interface Shown {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** `made` with other bytes in its certificate, signed anew. */
function changed({ certificatePem, keyPem }: MadeClient, change: (tbs: Buffer) => void): Shown {
  const certificate = new X509Certificate(certificatePem).raw;
  // Both are longer than 255 bytes: a tag, 0x82, and two bytes of length.
  const tbs = Buffer.from(certificate.subarray(4, 8 + certificate.readUInt16BE(6)));
  change(tbs);
  return { certificatePem: pemOf(root.sign(tbs)), keyPem };
}

/** `made` with a signature that nobody made. */
function forged({ certificatePem, keyPem }: MadeClient): Shown {
  const certificate = Buffer.from(new X509Certificate(certificatePem).raw);
  certificate[certificate.length - 1]! ^= 1;
  return { certificatePem: pemOf(certificate), keyPem };
}

function pemOf(certificate: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

/** The first UTCTime of a certificate is when it begins. */
function begin(tbs: Buffer, text: string): void {
  tbs.write(text, tbs.indexOf(Buffer.of(0x17, 13)) + 2, 'latin1');
}

const bank = (name: string, extensions: readonly string[] = TO_CLIENTS, days = 30): MadeClient =>
  root.issue(`/O=Bank/CN=${name}`, extensions, days);
const revoked = bank('revoked');
const deep = middle.issue('/O=Bank/CN=deep');
const behind: Shown = { ...deep, certificatePem: deep.certificatePem + middle.pem };
const tomorrow = new Date(Date.now() + DAY_MS)
  .toISOString()
  .replace(/[-:T]|\.\d+/g, '')
  .slice(2);

interface Case {
  readonly reason: string;
  readonly shown: Shown | null;
  readonly name?: string;
}

const CASES: readonly Case[] = [
  { reason: 'certificate_missing', shown: null },
  { reason: 'certificate_expired', shown: bank('late', TO_CLIENTS, -1) },
  { reason: 'certificate_not_yet_valid', shown: changed(bank('early'), (tbs) => begin(tbs, tomorrow)) },
  { reason: 'certificate_unknown_issuer', shown: stranger.issue('/O=Bank/CN=stranger') },
  { reason: 'certificate_chain_length', shown: behind, name: 'shallow.test' },
  { reason: 'certificate_revoked', shown: revoked },
  { reason: 'certificate_unsuitable', shown: bank('server', ['extendedKeyUsage=serverAuth']) },
  { reason: 'certificate_invalid', shown: forged(bank('forged')) },
  { reason: 'certificate_invalid', shown: changed(bank('dateless'), (tbs) => begin(tbs, '99xx01000000Z')) },
  { reason: 'certificate_not_allowed', shown: root.issue('/O=Other/CN=other') },
  // There is a list of the root's, and none of whom it trusts.
  { reason: 'certificate_status_unknown', shown: behind },
];

test('every row of certificates in the table of failures is what a client gets, and no other', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-certificate-failures-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('root.pem'), root.pem);
  writeFileSync(at('root.crl'), root.list({ serials: [revoked.certificate.serialBytes] }));
  const { certificate, key } = leaf(['localhost', 'shallow.test']);
  const tollgate = await Tollgate.start(t, {
    config: `listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls:
      certificates: [{ certificate: ${certificate}, key: ${key} }]
      clientCertificates: { authorities: "${at('root.pem')}", allow: { subjects: ["CN=*, O=Bank"] }, revocation: { crl: ["${at('root.crl')}"] } }
      names:
        - { match: shallow.test, clientCertificates: { authorities: "${at('root.pem')}", depth: 0 } }
    routes: [{ to: app }]
upstreams: [{ name: app, targets: ["127.0.0.1:1"] }]
`,
  });
  const told = new Map<string, Set<number>>();
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const { reason, shown, name = 'localhost' } of CASES) {
      const before = tollgate.handshakes().length;
      const by = shown === null ? {} : { cert: shown.certificatePem, key: shown.keyPem };
      const client = new Client(tollgate.port, { servername: name, maxVersion, ...by });
      client.send(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
      await client.wait(() => client.failure !== null || client.ended || client.closed);
      client.close();
      assert.equal(client.text, '', `${maxVersion}: ${reason} is refused`);
      await until(() => tollgate.handshakes().length > before);
      const line = tollgate.handshakes().at(-1)!;
      assert.deepEqual([line.reason, line.alertFrom ?? 'us'], [reason, 'us'], `${maxVersion}: ${reason}`);
      const received = Number(/alert number (\d+)/.exec(client.failure?.message ?? '')?.[1] ?? -1);
      assert.equal(received, line.alert ?? -1, `${maxVersion}: ${reason}, on the wire`);
      const alerts = told.get(reason) ?? new Set();
      told.set(reason, received < 0 ? alerts : alerts.add(received));
    }
  }
  const ascending = (a: number, b: number): number => a - b;
  const rows = HANDSHAKE_FAILURES.map(({ fault, openssl }) => [faultOf(fault).reason, openssl] as const);
  assert.deepEqual(
    [...told].map(([reason, alerts]) => [reason, [...alerts].sort(ascending)]).sort(),
    rows
      .filter(([reason]) => reason.startsWith('certificate_'))
      .map(([reason, alerts]) => [reason, alerts])
      .sort(),
  );
});
