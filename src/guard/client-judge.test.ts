import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import {
  FAULT_TLS_CERTIFICATE_EXPIRED,
  FAULT_TLS_CERTIFICATE_INVALID,
  FAULT_TLS_CERTIFICATE_NOT_ALLOWED,
  FAULT_TLS_CERTIFICATE_REVOKED,
  FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN,
  FAULT_TLS_CERTIFICATE_UNSUITABLE,
} from '../base/faults.ts';
import { UnsealedMemory } from '../native/sealed-memory.ts';
import type { ClientCertificatesPlan, RevocationListView, RevocationPlan } from '../plan/client-certificates.ts';
import { RevocationSetBuilder, revocationSetBytesMax } from '../plan/revocation-set.ts';
import type { Certificate } from '../x509/certificate.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { TestAuthority } from '../x509/test-authority.ts';
import { ClientJudge } from './client-judge.ts';
import { RevocationLists } from './revocation-lists.ts';

const root = new TestAuthority('/O=Test/CN=Root');
const sub = new TestAuthority('/O=Test/CN=Sub', 'ec', root);
const client = sub.issue('/O=Acme/CN=client', [
  'extendedKeyUsage=clientAuth',
  'subjectAltName=DNS:client.example',
  'crlDistributionPoints=URI:http://crl/1',
]);
const server = sub.issue('/CN=server', ['extendedKeyUsage=serverAuth']);
const signer = sub.issue('/CN=signer', ['keyUsage=keyEncipherment']);
const chain = [client.certificate.der, sub.certificate.der, root.certificate.der];

const NOW_MS = Date.now();
const SUBS: RevocationPlan = { lists: ['/list'], fetch: false, ocsp: false, whenUnknown: 'refuse', refreshMs: 1_000 };

function judgeOf(plan: Partial<ClientCertificatesPlan> = {}, lists = new RevocationLists()): ClientJudge & { now: { ms: number } } {
  const now = { ms: NOW_MS };
  const whole: ClientCertificatesPlan = {
    id: 'rules',
    mode: 'required',
    authoritiesBlob: 0,
    depth: 3,
    allow: null,
    revocation: null,
    forward: { certificate: true, chain: true, details: true },
    ...plan,
  };
  return Object.assign(new ClientJudge(whole, lists, { unixMs: () => now.ms, nowMs: () => now.ms }), { now });
}

function handOver(
  lists: RevocationLists,
  issuer: Certificate,
  serials: readonly Uint8Array[],
  view: Partial<RevocationListView> = {},
): void {
  const unsealed = new UnsealedMemory(revocationSetBytesMax(serials.length));
  const builder = new RevocationSetBuilder(unsealed.memory, serials.length);
  for (const serial of serials) builder.add(serial, 0, serial.length);
  const fd = unsealed.seal(builder.finish());
  const id = `${issuer.subject}`;
  const whole = {
    id,
    issuer: issuerKeyOf(issuer),
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + 60_000,
    scope: 'all',
    distributionPoints: [],
  } as const;
  lists.take({ ...whole, ...view }, fd);
  closeSync(fd);
}

test('ClientJudge lets in whom an authority vouches for, and keeps the fault of whom it does not', () => {
  const judge = judgeOf();
  assert.equal(judge.judge(chain, 0, false), 0);
  assert.equal(judge.judge(chain, FAULT_TLS_CERTIFICATE_EXPIRED, false), FAULT_TLS_CERTIFICATE_EXPIRED);
  assert.equal(judge.judge([Buffer.from('no certificate')], 0, false), FAULT_TLS_CERTIFICATE_INVALID);
  assert.equal(judge.judge([], 0, false), FAULT_TLS_CERTIFICATE_INVALID);
});

test('ClientJudge refuses certificates that are not for clients', () => {
  const judge = judgeOf();
  for (const { certificate } of [server, signer]) {
    assert.equal(judge.judge([certificate.der, sub.certificate.der], 0, false), FAULT_TLS_CERTIFICATE_UNSUITABLE);
  }
});

test('ClientJudge lets in who is allowed', () => {
  const allow = { subjects: ['CN=*,O=Acme'], names: [], spiffe: [] };
  assert.equal(judgeOf({ allow }).judge(chain, 0, false), 0);
  assert.equal(judgeOf({ allow: { ...allow, subjects: ['CN=*,O=Other'] } }).judge(chain, 0, false), FAULT_TLS_CERTIFICATE_NOT_ALLOWED);
});

test('ClientJudge refuses a revoked client, or one whose authority is revoked, and goes by lists that still hold', () => {
  const lists = new RevocationLists();
  const judge = judgeOf({ revocation: SUBS }, lists);
  const identity = judge.identityOf(chain);
  assert.ok(identity !== null);
  assert.equal(judge.judge(chain, 0, false), 0, 'lists are still to come: it is held');
  assert.equal(judge.openQuestions(identity).length, 2);
  assert.equal(judge.settle(identity), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN);

  handOver(lists, sub.certificate, [Buffer.from([1])]);
  assert.equal(judge.settle(identity), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 'of the authority nothing is known');
  handOver(lists, root.certificate, []);
  assert.equal(judge.settle(identity), 0);
  assert.deepEqual(judge.openQuestions(identity), []);

  judge.now.ms = NOW_MS + 61_000;
  assert.equal(judge.settle(identity), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 'lists are out of date');
  judge.now.ms = NOW_MS;

  handOver(lists, sub.certificate, [client.certificate.serialBytes]);
  assert.equal(lists.size, 2, 'a list takes the place of the one before');
  assert.equal(judge.judge(chain, 0, false), FAULT_TLS_CERTIFICATE_REVOKED);
  judge.now.ms = NOW_MS + 61_000;
  assert.equal(judge.judge(chain, 0, false), FAULT_TLS_CERTIFICATE_REVOKED, 'once revoked, always revoked');
  judge.now.ms = NOW_MS;

  handOver(lists, sub.certificate, []);
  handOver(lists, root.certificate, [sub.certificate.serialBytes]);
  assert.equal(judge.judge(chain, 0, false), FAULT_TLS_CERTIFICATE_REVOKED);
  lists.keep([]);
  assert.equal(lists.size, 0);
  assert.equal(judge.settle(identity), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN);
});

test('ClientJudge goes by lists that speak for the certificate', () => {
  for (const [view, expected] of [
    [{ scope: 'users' }, 0],
    [{ scope: 'authorities' }, FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN],
    [{ distributionPoints: ['http://crl/1', 'http://crl/2'] }, 0],
    [{ distributionPoints: ['http://crl/2'] }, FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN],
    [{ issuer: issuerKeyOf(root.certificate) }, FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN],
  ] as const) {
    const lists = new RevocationLists();
    handOver(lists, root.certificate, []);
    handOver(lists, sub.certificate, [], { ...view, id: 'other' });
    const judge = judgeOf({ revocation: SUBS }, lists);
    assert.equal(judge.settle(judge.identityOf(chain)!), expected, JSON.stringify(view));
  }
});

test('ClientJudge lets in, by setting, whom nothing is known of, and servers are told so', () => {
  const lists = new RevocationLists();
  const judge = judgeOf({ revocation: { ...SUBS, whenUnknown: 'allow' } }, lists);
  const identity = judge.identityOf(chain)!;
  assert.equal(judge.settle(identity), 0);
  assert.match(judge.fieldsOf(identity), /^X-Client-Cert-Verify: SUCCESS:revocation_unknown\r\n/);
  for (const { certificate, issuerKey } of identity.links) lists.remember(certificate, issuerKey, 'good', NOW_MS + 1_000);
  assert.match(judge.fieldsOf(identity), /^X-Client-Cert-Verify: SUCCESS\r\n.*X-Client-Cert-Subject: CN=client,O=Acme\r\n/s);
  assert.match(
    judge.fieldsOf(identity),
    /Client-Cert: :[A-Za-z0-9+/=]+:\r\nClient-Cert-Chain: :[A-Za-z0-9+/=]+:\r\n$/,
    'the root is not in it',
  );
  judge.now.ms = NOW_MS + 1_001;
  assert.match(judge.fieldsOf(identity), /revocation_unknown/, 'an answer holds for its time');
});

test('ClientJudge has a ticket resumed by clients it knows, as long as nothing has changed', () => {
  const lists = new RevocationLists();
  const judge = judgeOf({ revocation: SUBS }, lists);
  handOver(lists, root.certificate, []);
  handOver(lists, sub.certificate, []);
  const alone = chain.slice(0, 1);
  assert.equal(judge.judge(alone, 0, true), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 'its chain is not known here');
  assert.equal(judge.judge(chain, 0, false), 0);
  assert.equal(judge.judge(alone, 0, true), 0);
  handOver(lists, sub.certificate, [client.certificate.serialBytes]);
  assert.equal(judge.judge(alone, 0, true), FAULT_TLS_CERTIFICATE_REVOKED);
  lists.keep([]);
  assert.equal(judge.judge(alone, 0, true), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN);
  judge.now.ms = client.certificate.notAfterMs + 1;
  assert.equal(judge.judge(alone, 0, true), FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN);
});

test('RevocationLists.take() refuses memory without a list, and leaves nothing mapped', () => {
  const lists = new RevocationLists();
  const fd = new UnsealedMemory(4_096).seal(4_096);
  const view = { id: 'x', issuer: 'x', thisUpdateMs: 0, nextUpdateMs: 0, scope: 'all', distributionPoints: [] } as const;
  assert.throws(() => lists.take(view, fd), /not a revocation set/);
  assert.equal(lists.size, 0);
  closeSync(fd);
});
