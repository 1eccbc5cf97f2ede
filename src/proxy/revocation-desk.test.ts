import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUESTIONS_MAX } from '../base/limits.ts';
import type { ClientIdentity } from '../guard/client-judge.ts';
import { RevocationLists } from '../guard/revocation-lists.ts';
import type { RevocationPlan } from '../plan/client-certificates.ts';
import type { FromWorker } from '../plan/messages.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { TestAuthority } from '../x509/test-authority.ts';
import { RevocationDesk } from './revocation-desk.ts';

const authority = new TestAuthority();
const client = authority.issue('/CN=client');
const PLAN: RevocationPlan = { lists: [], fetch: true, ocsp: true, whenUnknown: 'refuse', refreshMs: 5_000 };

function identity(fingerprint: string): ClientIdentity {
  const links = [{ certificate: client.certificate, issuer: authority.certificate, issuerKey: issuerKeyOf(authority.certificate) }];
  return { fingerprint, leaf: client.certificate, links, fields: '', fieldsUnknown: '' };
}

function desk() {
  const sent: { readonly message: FromWorker; readonly blobs: readonly Uint8Array[] }[] = [];
  const lists = new RevocationLists();
  const made = new RevocationDesk(
    lists,
    (message, blobs) => {
      sent.push({ message, blobs });
      return true;
    },
    () => 1_000,
  );
  return { made, sent, lists };
}

function waiter(): { told: number; onRevocationKnown(): void } {
  return {
    told: 0,
    onRevocationKnown() {
      this.told++;
    },
  };
}

test('RevocationDesk asks once for all who wait, remembers the answer, and tells each', () => {
  const { made, sent, lists } = desk();
  const who = identity('f');
  const waiters = [waiter(), waiter(), waiter()];
  for (const each of waiters) assert.ok(made.ask(each, who, who.links, PLAN));
  assert.equal(sent.length, 1);
  assert.deepEqual(sent[0]!.message, { type: 'revocation', ask: 1, whereTo: { fetch: true, ocsp: true, refreshMs: 5_000 } });
  assert.deepEqual(sent[0]!.blobs, [client.certificate.der, authority.certificate.der]);
  made.forget(waiters[1]!);
  made.onAnswer(1, [{ verdict: 'good', forMs: 500 }]);
  assert.deepEqual(
    waiters.map(({ told }) => told),
    [1, 0, 1],
  );
  const { certificate, issuerKey } = who.links[0]!;
  assert.equal(lists.verdict(certificate, issuerKey, 0, 1_499), 'good');
  assert.equal(lists.verdict(certificate, issuerKey, 0, 1_500), 'unknown');
  made.onAnswer(1, [{ verdict: 'revoked', forMs: 500 }]);
  assert.equal(lists.verdict(certificate, issuerKey, 0, 1_499), 'good', 'an answer to no question is nothing');
});

test('RevocationDesk takes no more questions than its bound, and none when nobody is there', () => {
  const { made, sent } = desk();
  for (let i = 0; i < QUESTIONS_MAX; i++) assert.ok(made.ask(waiter(), identity(`f${i}`), identity(`f${i}`).links, PLAN));
  assert.ok(!made.ask(waiter(), identity('one more'), identity('one more').links, PLAN));
  assert.equal(made.refused, 1);
  assert.equal(sent.length, QUESTIONS_MAX);
  const alone = new RevocationDesk(
    new RevocationLists(),
    () => false,
    () => 0,
  );
  assert.ok(!alone.ask(waiter(), identity('x'), identity('x').links, PLAN));
});
