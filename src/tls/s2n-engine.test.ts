import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { POLICY_RULES } from '../hello/policy-rules.ts';
import type { ContextOptions } from './engine.ts';
import { S2N_POLICIES } from './policies.ts';
import { S2nEngine } from './s2n-engine.ts';
import { engineContract } from './test-engine-contract.ts';
import { selfSigned } from './test-self-signed.ts';

const ecdsa = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const rsa = selfSigned('rsa:2048');
const engine = new S2nEngine();

test('S2nEngine loads once, and a second load is a programmer error', () => {
  assert.throws(() => new S2nEngine(), /once/);
});

test('S2N_POLICIES are all known to the library', () => {
  for (const policy of ['intermediate', 'modern'] as const) {
    const context = engine.context({ ...BARE, policy });
    context.retire();
    assert.ok(S2N_POLICIES[policy].length > 0);
  }
});

test('S2nEngine.context() refuses a key of a kind the library cannot use', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const keyPem = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
  assert.throws(
    () =>
      engine.context({
        ...BARE,
        certificates: [{ chainPem: ecdsa.chainPem, keyPem, plan: PLAN }],
      }),
    /certificate/,
  );
});

const BARE: ContextOptions = {
  ruleSet: 'x',
  policy: 'modern',
  rules: POLICY_RULES.modern,
  certificates: [],
  alpn: [],
  tickets: false,
  clients: null,
  compressCertificates: false,
};
const PLAN = {
  fingerprint: 'x',
  chainFingerprint: 'x',
  keyType: 'ec',
  names: [],
  notBeforeMs: 0,
  notAfterMs: 0,
  source: '',
  chainBlob: 0,
  keyBlob: 1,
};

engineContract(engine, { ecdsa, rsa });
