/** What own lists may not name. What they may, the library has: src/tls/openssl-policy.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedSuite } from './servable.ts';
import { SUITE_NAMES } from './suite-names.ts';

test('refusedSuite() has a reason for everything that protects nobody', () => {
  for (const [suite, name] of SUITE_NAMES) {
    if (!/NULL|EXPORT|anon|RC4|DES|RC2|IDEA|PSK|SRP|DSS|DH_|DHE_RSA(?<!ECDHE_RSA)|CCM_8|SCSV|GOST|SM4|SEED/.test(name)) continue;
    assert.notEqual(refusedSuite(suite), null, name);
  }
  assert.equal(refusedSuite(0x000a), 'ciphers of 64-bit blocks are broken (SWEET32)');
  assert.equal(refusedSuite(0x0005), 'RC4 is broken (RFC 7465)');
  assert.equal(refusedSuite(0x1305), 'a tag of 8 bytes is too short for TLS of the web');
  assert.equal(refusedSuite(0x00c6), 'it is not served');
  assert.equal(refusedSuite(0xc02b), null);
});
