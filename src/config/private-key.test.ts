import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { type PemBlock, pemBlocks } from '../certs/pem.ts';
import { readCertificate } from '../x509/certificate.ts';
import { readPrivateKey } from './private-key.ts';
import { makeCertificate } from './test-certificates.ts';

function block(pem: string): PemBlock {
  return pemBlocks(Buffer.from(pem))[0]!;
}

function pemOf(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
}

function bytesOf(key: KeyObject, type: 'pkcs8' | 'sec1'): Buffer {
  return key.export({ format: 'der', type });
}

const ec = await makeCertificate({ names: ['a.example'] });
const certificate = readCertificate(Buffer.from(ec.certificate.rawData))!;
const stranger = await makeCertificate({ names: ['a.example'] });

test('readPrivateKey() knows a key on a curve in either form, and whose it is', () => {
  for (const [label, type] of [
    ['PRIVATE KEY', 'pkcs8'],
    ['EC PRIVATE KEY', 'sec1'],
  ] as const) {
    const key = readPrivateKey(block(pemOf(label, bytesOf(ec.key, type))), 'the.key');
    assert.equal(key.keyType, 'p256');
    assert.ok(key.isOf(certificate), label);
    assert.ok(!readPrivateKey(block(pemOf(label, bytesOf(stranger.key, type))), 'the.key').isOf(certificate), label);
  }
});

test('readPrivateKey() knows a key that does not say its public half', () => {
  const { d, x, y } = ec.key.export({ format: 'jwk' });
  // ECPrivateKey of RFC 5915 with the curve, and nothing behind it.
  const inner = Buffer.concat([Buffer.from('020101', 'hex'), Buffer.of(4, 32), Buffer.from(d!, 'base64url')]);
  const curve = Buffer.from('a00a06082a8648ce3d030107', 'hex');
  const bare = Buffer.concat([Buffer.of(0x30, inner.length + curve.length), inner, curve]);
  assert.ok(readPrivateKey(block(pemOf('EC PRIVATE KEY', bare)), 'the.key').isOf(certificate));
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  assert.ok(Buffer.from(certificate.publicKeyDer).includes(point));
});

test('readPrivateKey() reads a certificate whose point has one coordinate', () => {
  const spki = Buffer.from(certificate.publicKeyDer);
  const point = spki.subarray(spki.length - 65);
  const half = Buffer.concat([Buffer.of(2 + (point[64]! & 1)), point.subarray(1, 33)]);
  const algorithm = spki.subarray(2, 2 + 21);
  const bits = Buffer.concat([Buffer.of(3, 34, 0), half]);
  const compressed = Buffer.concat([Buffer.of(0x30, algorithm.length + bits.length), algorithm, bits]);
  const key = readPrivateKey(block(ec.keyPem), 'the.key');
  assert.ok(key.isOf({ ...certificate, publicKeyDer: compressed }));
  half[0]! ^= 1;
  const other = Buffer.concat([Buffer.of(0x30, algorithm.length + bits.length), algorithm, Buffer.of(3, 34, 0), half]);
  assert.ok(!key.isOf({ ...certificate, publicKeyDer: other }), 'the other one of two');
});

test('readPrivateKey() refuses a key whose halves do not belong together, and one that is damaged', () => {
  const der = bytesOf(ec.key, 'pkcs8');
  const at = der.indexOf(Buffer.of(4, 32)) + 2;
  const wrong = Buffer.from(der);
  wrong[at + 20]! ^= 1;
  // OpenSSL takes it as it is, and signs what nobody can verify.
  assert.doesNotThrow(() => createPrivateKey({ key: wrong, format: 'der', type: 'pkcs8' }));
  const sentence = /^TollgateError: the private key in the\.key cannot be read$/;
  assert.throws(() => readPrivateKey(block(pemOf('PRIVATE KEY', wrong)), 'the.key'), sentence);
  const none = Buffer.from(der);
  none.fill(0, at, at + 32);
  assert.throws(() => readPrivateKey(block(pemOf('PRIVATE KEY', none)), 'the.key'), sentence);
  for (let length = 0; length < der.length; length++)
    assert.throws(() => readPrivateKey(block(pemOf('PRIVATE KEY', der.subarray(0, length))), 'the.key'), sentence);
  assert.throws(() => readPrivateKey(block('-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----'), 'the.key'), sentence);
});

test('readPrivateKey() leaves other kinds to OpenSSL', async () => {
  const rsa = await makeCertificate({ names: ['a.example'], key: 'rsa' });
  const key = readPrivateKey(block(rsa.keyPem), 'the.key');
  assert.equal(key.keyType, 'rsa');
  assert.ok(key.isOf(readCertificate(new X509Certificate(rsa.certificatePem).raw)!));
  assert.ok(!key.isOf(certificate));
  for (const [curve, keyType] of [
    ['P-384', 'p384'],
    ['P-521', 'p521'],
  ] as const) {
    const made = generateKeyPairSync('ec', { namedCurve: curve });
    assert.equal(readPrivateKey(block(pemOf('PRIVATE KEY', bytesOf(made.privateKey, 'pkcs8'))), 'the.key').keyType, keyType);
  }
});
