import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { findPolicy, policyNames } from '../hello/policies.ts';
import type { ContextOptions } from './engine.ts';
import { S2nEngine } from './s2n-engine.ts';
import { engineContract } from './test-engine-contract.ts';
import { selfSigned } from './test-self-signed.ts';

const ecdsa = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const rsa = selfSigned('rsa:2048');
const engine = new S2nEngine();

test('S2nEngine loads once, and a second load is a programmer error', () => {
  assert.throws(() => new S2nEngine(), /once/);
});

test('S2nEngine.context() takes every policy by its name, and no other', () => {
  for (const policy of policyNames()) engine.context({ ...BARE, policy }).retire();
  assert.throws(() => engine.context({ ...BARE, policy: 'default' }), /s2n has no policy default/);
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
  rules: findPolicy('modern')!,
  certificates: [],
  alpn: [],
  tickets: false,
  ticketLifetimeS: 86_400,
  clients: null,
  compressCertificates: false,
};
const PLAN = {
  fingerprint: 'x',
  chainFingerprint: 'x',
  algorithms: '',
  keyType: 'p256' as const,
  names: [],
  notBeforeMs: 0,
  notAfterMs: 0,
  source: '',
  chainBlob: 0,
  keyBlob: 1,
};

engineContract(engine, { ecdsa, rsa });
