import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyNames } from '../hello/policies.ts';
import { S2nEngine } from './s2n-engine.ts';
import { type ContractCertificate, engineContract } from './test-engine-contract.ts';

/** Self-signed for `localhost`, made by the openssl command. */
function selfSigned(...key: readonly string[]): ContractCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-tls-'));
  const [chain, keyPath] = [join(directory, 'chain.pem'), join(directory, 'key.pem')];
  try {
    const request = ['-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', ...request, '-newkey', ...key, '-keyout', keyPath, '-out', chain], { stdio: 'pipe' });
    return { chainPem: readFileSync(chain), keyPem: readFileSync(keyPath) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const ecdsa = selfSigned('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
const rsa = selfSigned('rsa:2048');
const engine = new S2nEngine();

test('S2nEngine loads once, and a second load is a programmer error', () => {
  assert.throws(() => new S2nEngine(), /once/);
});

test('S2nEngine.context() takes every policy by its name, and no other', () => {
  const options = { ruleSet: 'x', certificates: [], alpn: [], tickets: false };
  for (const policy of policyNames()) engine.context({ ...options, policy }).retire();
  assert.throws(() => engine.context({ ...options, policy: 'default' }), /s2n has no policy default/);
});

test('S2nEngine.context() refuses a key of a kind the library cannot use', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const keyPem = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
  assert.throws(
    () =>
      engine.context({
        ruleSet: 'x',
        policy: 'modern',
        alpn: [],
        tickets: false,
        certificates: [{ chainPem: ecdsa.chainPem, keyPem, plan: PLAN }],
      }),
    /certificate/,
  );
});

const PLAN = {
  fingerprint: 'x',
  chainFingerprint: 'x',
  keyType: 'p256' as const,
  names: [],
  notBeforeMs: 0,
  notAfterMs: 0,
  source: '',
  chainBlob: 0,
  keyBlob: 1,
};

engineContract(engine, { ecdsa, rsa });
