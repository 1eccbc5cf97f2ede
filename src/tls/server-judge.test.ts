/** Keys that are known beforehand: of a chain that was verified any, of one that was not the leaf's alone. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { FAULT_SERVER_CERTIFICATE_PIN, FAULT_TLS_CERTIFICATE_EXPIRED } from '../base/faults.ts';
import { keyPin, serverJudge } from './server-judge.ts';
import { certify } from './test-authority.ts';

const root = certify('Test root', { issuer: null, authority: true });
const leaf = certify('leaf', { issuer: root });
const other = certify('other', { issuer: root });
const der = ({ pem }: { readonly pem: Buffer }): Uint8Array => new X509Certificate(pem).raw;
const chain = [der(leaf), der(root)];
const pins = { root: keyPin(der(root)), leaf: keyPin(der(leaf)), other: keyPin(der(other)) };

test('keyPin() is the SHA-256 of the SubjectPublicKeyInfo, and nothing for what is no certificate', () => {
  const spki = new X509Certificate(leaf.pem).publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(pins.leaf, createHash('sha256').update(spki).digest('base64'));
  assert.equal(keyPin(Uint8Array.of(1, 2, 3)), '');
});

test('serverJudge() takes what was verified, with any key of its chain that is pinned', () => {
  assert.equal(serverJudge(true, [])(chain, 0, false), 0);
  assert.equal(serverJudge(true, [pins.leaf])(chain, 0, false), 0);
  assert.equal(serverJudge(true, [pins.other, pins.root])(chain, 0, false), 0);
  assert.equal(serverJudge(true, [pins.other])(chain, 0, false), FAULT_SERVER_CERTIFICATE_PIN);
  assert.equal(serverJudge(true, [pins.leaf])([], 0, false), FAULT_SERVER_CERTIFICATE_PIN);
  assert.equal(serverJudge(true, [pins.leaf])(chain, FAULT_TLS_CERTIFICATE_EXPIRED, false), FAULT_TLS_CERTIFICATE_EXPIRED);
});

test('serverJudge() that verifies nothing believes whoever comes, or whose own key is pinned: what lies behind a leaf proves nothing', () => {
  assert.equal(serverJudge(false, [])(chain, FAULT_TLS_CERTIFICATE_EXPIRED, false), 0);
  assert.equal(serverJudge(false, [pins.leaf])(chain, FAULT_TLS_CERTIFICATE_EXPIRED, false), 0);
  assert.equal(serverJudge(false, [pins.root])(chain, FAULT_TLS_CERTIFICATE_EXPIRED, false), FAULT_SERVER_CERTIFICATE_PIN);
  assert.equal(serverJudge(false, [pins.other])(chain, 0, false), FAULT_SERVER_CERTIFICATE_PIN);
});
