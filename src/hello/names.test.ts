import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupName, isGrease, schemeName, suiteName, versionName } from './names.ts';
import { SUITE_NAMES } from './suite-names.ts';

test('suiteName() knows the suites of TLS 1.3 and 1.2, old ones and signals', () => {
  assert.equal(suiteName(0x1301), 'TLS_AES_128_GCM_SHA256');
  assert.equal(suiteName(0xc02b), 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256');
  assert.equal(suiteName(0xcca8), 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256');
  assert.equal(suiteName(0x000a), 'TLS_RSA_WITH_3DES_EDE_CBC_SHA');
  assert.equal(suiteName(0x00ff), 'TLS_EMPTY_RENEGOTIATION_INFO_SCSV');
  assert.equal(suiteName(0x5600), 'TLS_FALLBACK_SCSV');
});

test('SUITE_NAMES has no name twice, and none that is not in the form of IANA', () => {
  assert.equal(new Set(SUITE_NAMES.values()).size, SUITE_NAMES.size);
  for (const [suite, name] of SUITE_NAMES) {
    assert.ok(suite >= 0 && suite <= 0xffff && !isGrease(suite));
    assert.match(name, /^TLS_[A-Za-z0-9_]+$/);
  }
});

test('names of versions, groups and schemes are the standard ones', () => {
  assert.deepEqual([0x0300, 0x0301, 0x0302, 0x0303, 0x0304].map(versionName), ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']);
  assert.deepEqual([0x11eb, 0x11ec, 0x11ed, 23, 29].map(groupName), [
    'SecP256r1MLKEM768',
    'X25519MLKEM768',
    'SecP384r1MLKEM1024',
    'secp256r1',
    'x25519',
  ]);
  assert.deepEqual([0x0403, 0x0804, 0x0807].map(schemeName), ['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256', 'ed25519']);
});

test('a number without a name is shown in four hexadecimal digits', () => {
  for (const nameOf of [versionName, suiteName, groupName, schemeName]) {
    assert.equal(nameOf(0xabcd), '0xabcd');
    assert.equal(nameOf(0x0a0a), '0x0a0a');
  }
});

test('isGrease() is true for the sixteen values of RFC 8701 alone', () => {
  const found: number[] = [];
  for (let value = 0; value <= 0xffff; value++) if (isGrease(value)) found.push(value);
  assert.deepEqual(
    found,
    Array.from({ length: 16 }, (_, i) => 0x0a0a + i * 0x1010),
  );
});
