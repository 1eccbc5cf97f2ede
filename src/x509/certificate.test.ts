import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { TestRandom } from '../base/test-random.ts';
import { fuzz } from './certificate.fuzz.ts';
import { readCertificate } from './certificate.ts';
import { commonName } from './distinguished-name.ts';

/** A self-signed certificate by the openssl command. `extensions`: lines of an extension section. */
function selfSigned(subject: string, extensions: readonly string[] = [], more: readonly string[] = []): { der: Buffer; pem: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-x509-'));
  const [config, out] = [join(directory, 'c.cnf'), join(directory, 'c.pem')];
  try {
    writeFileSync(config, `[req]\ndistinguished_name=dn\nstring_mask=utf8only\nutf8=yes\n[dn]\n[ext]\n${extensions.join('\n')}\n`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(directory, 'k.pem')];
    const args = ['req', '-x509', '-utf8', '-config', config, '-extensions', 'ext', '-subj', subject, '-days', '30', ...key, ...more];
    execFileSync('openssl', [...args, '-out', out], { stdio: 'pipe' });
    const pem = readFileSync(out, 'utf8');
    return { pem, der: new X509Certificate(pem).raw };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function subjectByOpenssl(pem: string): string {
  return execFileSync('openssl', ['x509', '-noout', '-subject', '-nameopt', 'RFC2253'], { input: pem, encoding: 'utf8' })
    .replace(/^subject=/, '')
    .trimEnd();
}

test("readCertificate() reads the world's authorities as node:crypto does", () => {
  assert.ok(rootCertificates.length > 100);
  for (const pem of rootCertificates) {
    const other = new X509Certificate(pem);
    const own = readCertificate(other.raw);
    assert.ok(own !== null, other.subject);
    assert.equal(BigInt(`0x${own.serial}`), BigInt(`0x${other.serialNumber}`));
    assert.equal(own.notBeforeMs, other.validFromDate.getTime());
    assert.equal(own.notAfterMs, other.validToDate.getTime());
    assert.equal(own.isAuthority, other.ca);
    assert.deepEqual(Buffer.from(own.publicKeyDer), other.publicKey.export({ type: 'spki', format: 'der' }));
    assert.equal(own.subject === own.issuer, other.subject === other.issuer);
  }
});

test("readCertificate() writes names as openssl's RFC2253 does", () => {
  for (const pem of rootCertificates.filter((_, i) => i % 10 === 0)) {
    assert.equal(readCertificate(new X509Certificate(pem).raw)?.subject, subjectByOpenssl(pem));
  }
  for (const subject of [
    '/C=DE/O=Müller, Söhne + Co/CN= leading and trailing ',
    '/DC=org/DC=example/OU=a;b/CN=#hash "quoted" <x>',
    '/O=one/CN=a+OU=b/UID=17',
    '/emailAddress=who@example.org/CN=back\\\\slash',
    '/serialNumber=4711/title=Dr/GN=A/SN=B/street=Way 1/L=X/ST=Y/CN=日本',
  ]) {
    const { der, pem } = selfSigned(subject, [], ['-multivalue-rdn']);
    const read = readCertificate(der);
    assert.equal(read?.subject, subjectByOpenssl(pem), subject);
    assert.equal(commonName(read!.subjectDer), new X509Certificate(pem).toLegacyObject().subject.CN ?? null, subject);
  }
});

test('readCertificate() reads names, usages and addresses', () => {
  const { der } = selfSigned('/CN=client', [
    'subjectAltName=DNS:A.example,DNS:*.b.example,email:who@example.org,URI:spiffe://td.example/ns/a,IP:192.0.2.1,IP:2001:db8::1',
    'keyUsage=critical,digitalSignature,cRLSign',
    'extendedKeyUsage=clientAuth,OCSPSigning',
    'basicConstraints=critical,CA:true',
    'crlDistributionPoints=URI:http://crl.example/a.crl,URI:http://crl.example/b.crl',
    'authorityInfoAccess=OCSP;URI:http://ocsp.example/,caIssuers;URI:http://ca.example/ca.crt',
    'tlsfeature=status_request',
    'subjectKeyIdentifier=hash',
  ]);
  const read = readCertificate(der);
  assert.ok(read !== null);
  assert.deepEqual(read.dnsNames, ['a.example', '*.b.example']);
  assert.deepEqual(read.emails, ['who@example.org']);
  assert.deepEqual(read.uris, ['spiffe://td.example/ns/a']);
  assert.deepEqual(read.ips, ['192.0.2.1', '2001:db8::1']);
  assert.equal(read.keyUsage, 0x82);
  assert.deepEqual(read.extendedKeyUsage, ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.9']);
  assert.deepEqual(read.crlUris, ['http://crl.example/a.crl', 'http://crl.example/b.crl']);
  assert.deepEqual(read.ocspUris, ['http://ocsp.example/']);
  assert.deepEqual(read.issuerUris, ['http://ca.example/ca.crt']);
  assert.equal(read.mustStaple, true);
  assert.equal(read.isAuthority, true);
  assert.equal(read.subjectKeyId.length, 40);
});

test('readCertificate() refuses what is cut short, has something behind it, or is no certificate', () => {
  const { der } = selfSigned('/CN=x');
  assert.ok(readCertificate(der) !== null);
  for (let length = 0; length < der.length; length++) assert.equal(readCertificate(der.subarray(0, length)), null);
  assert.equal(readCertificate(Buffer.concat([der, Buffer.from([0])])), null);
  assert.equal(readCertificate(Buffer.alloc(200, 0x30)), null);
});

test('readCertificate() refuses a name with a control character, which a header could not carry', () => {
  const { der } = selfSigned('/CN=x', ['subjectAltName=DNS:abcdefgh.example']);
  const bytes = Buffer.from(der);
  const at = bytes.indexOf('abcdefgh.example');
  for (const control of [0x0a, 0x0d, 0x00, 0x20, 0x7f, 0x80]) {
    bytes[at + 3] = control;
    assert.equal(readCertificate(bytes), null);
    // One of ours is shown, not told of.
    assert.deepEqual([readCertificate(bytes, true)?.dnsNames, readCertificate(bytes, true)?.hasAlternativeNames], [[], true]);
  }
});

test('readCertificate() survives damaged certificates', (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`repeat: node src/x509/certificate.fuzz.ts ${seed} 5000`);
  fuzz(new TestRandom(seed), 5_000);
});
