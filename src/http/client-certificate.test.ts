import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_FIELDS_BYTES_MAX } from '../base/limits.ts';
import { type ClientCertificateFacts, clientFields, noClientFields } from './client-certificate.ts';

const ALL = { certificate: true, chain: true, details: true };
const facts: ClientCertificateFacts = {
  der: Buffer.from([1, 2, 3, 255]),
  subject: 'CN=a\\, b,O=c',
  issuer: 'CN=ca',
  serial: '0abc',
  notBeforeMs: Date.UTC(2024, 0, 2, 3, 4, 5),
  notAfterMs: Date.UTC(2050, 0, 1),
  dnsNames: ['a.example'],
  emails: ['who@example.org'],
  uris: ['spiffe://td/a,b'],
  ips: ['2001:db8::1'],
};

test('clientFields() writes RFC 9440 byte sequences and the details', () => {
  assert.equal(
    clientFields(facts, 'ff00', [Buffer.from([9]), Buffer.from([8, 7])], 'SUCCESS', ALL),
    'X-Client-Cert-Verify: SUCCESS\r\n' +
      'X-Client-Cert-Fingerprint: ff00\r\n' +
      'X-Client-Cert-Serial: 0ABC\r\n' +
      'X-Client-Cert-Not-Before: 2024-01-02T03:04:05Z\r\n' +
      'X-Client-Cert-Not-After: 2050-01-01T00:00:00Z\r\n' +
      'X-Client-Cert-Subject: CN=a\\, b,O=c\r\n' +
      'X-Client-Cert-Issuer: CN=ca\r\n' +
      'X-Client-Cert-SAN: URI:spiffe://td/a%2Cb, DNS:a.example, email:who@example.org, IP:2001:db8::1\r\n' +
      'Client-Cert: :AQID/w==:\r\n' +
      'Client-Cert-Chain: :CQ==:, :CAc=:\r\n',
  );
});

test('clientFields() writes what is wished, and no empty list', () => {
  assert.equal(clientFields(facts, 'ff', [], 'SUCCESS', { ...ALL, details: false }), 'Client-Cert: :AQID/w==:\r\n');
  assert.equal(clientFields(facts, 'ff', [], 'SUCCESS', { certificate: false, chain: false, details: false }), '');
  assert.equal(noClientFields(ALL), 'X-Client-Cert-Verify: NONE\r\n');
  assert.equal(noClientFields({ ...ALL, details: false }), '');
});

test('clientFields() leaves out what is too long, whole, and stays within its bound', () => {
  const long = { ...facts, subject: `CN=${'x'.repeat(3_000)}`, der: Buffer.alloc(2 * CLIENT_FIELDS_BYTES_MAX) };
  const text = clientFields(
    long,
    'ff',
    Array.from({ length: 10 }, () => Buffer.alloc(3_000)),
    'SUCCESS',
    ALL,
  );
  assert.ok(text.length <= CLIENT_FIELDS_BYTES_MAX);
  assert.doesNotMatch(text, /Subject|Client-Cert: |Chain/);
  assert.match(text, /X-Client-Cert-Issuer: CN=ca\r\n/);
});
