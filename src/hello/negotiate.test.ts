/** The rules one by one. That they are the engines' rules is shown by test/negotiate.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineName } from '../base/engine-name.ts';
import {
  FAULT_HELLO_BELOW_VERSION,
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_HELLO_NOT_POST_QUANTUM,
  FAULT_TLS_FALLBACK,
  FAULT_TLS_NO_SHARED_GROUP,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
} from '../base/faults.ts';
import type { KeyType } from '../base/key-type.ts';
import { ClientHello, readClientHello } from './client-hello.ts';
import { type HelloDescription, writeClientHello } from './hello-writer.ts';
import { Agreement, negotiate, refusalBeforeS2n, refusalByFloor, refusalUnder } from './negotiate.ts';
import { findPolicy } from './policies.ts';
import { codes, weaknessOf } from './policy.ts';

const hello = new ClientHello();
const agreement = new Agreement();
const NEW: HelloDescription = {
  legacyVersion: 0x0303,
  versions: codes('0304 0303'),
  suites: codes('1301 1302 1303 c02b c02f'),
  groups: codes('001d 0017'),
  keyShares: codes('001d'),
  signatureSchemes: codes('0403 0804 0401'),
  alpn: [],
};
const OLD: HelloDescription = { ...NEW, versions: [], keyShares: [] };

function read(client: HelloDescription): ClientHello {
  const bytes = writeClientHello(client, { name: 'localhost' });
  assert.ok(readClientHello(bytes, 0, bytes.length, hello) > 0);
  return hello;
}

function ask(client: HelloDescription, policy: string, keys: readonly KeyType[] = ['p256'], engine: EngineName = 's2n'): number {
  return negotiate(read(client), findPolicy(policy)!, keys, engine, agreement);
}

for (const engine of ['s2n', 'openssl'] as const) {
  test(`negotiate() on ${engine} has a fault of its own for each thing that is not shared`, () => {
    assert.equal(ask(OLD, 'modern', ['p256'], engine), FAULT_HELLO_NO_SHARED_VERSION);
    assert.equal(ask({ ...NEW, suites: codes('1304') }, 'modern', ['p256'], engine), FAULT_TLS_NO_SHARED_SUITE);
    assert.equal(ask({ ...NEW, groups: codes('001e'), keyShares: codes('001e') }, 'modern', ['p256'], engine), FAULT_TLS_NO_SHARED_GROUP);
    assert.equal(ask({ ...OLD, groups: codes('001e') }, 'intermediate', ['p256'], engine), FAULT_TLS_NO_SHARED_GROUP);
    assert.equal(ask({ ...OLD, suites: codes('c02f') }, 'intermediate', ['p256'], engine), FAULT_TLS_NO_SHARED_SUITE);
    assert.equal(ask({ ...OLD, suites: codes('c02b 5600') }, 'intermediate', ['p256'], engine), FAULT_TLS_FALLBACK);
  });

  test(`negotiate() on ${engine} shows the certificate that the client can verify`, () => {
    assert.equal(ask(NEW, 'intermediate', ['rsa', 'p256'], engine), 1);
    assert.deepEqual([agreement.certificate, agreement.scheme], [1, 0x0403]);
    assert.equal(ask({ ...NEW, signatureSchemes: codes('0804') }, 'intermediate', ['p256', 'rsa'], engine), 1);
    assert.deepEqual([agreement.certificate, agreement.scheme], [1, 0x0804]);
  });
}

test('negotiate() prefers ML-KEM on s2n for the price of a round trip, and a key at hand on OpenSSL', () => {
  const client = { ...NEW, groups: codes('11ec 001d') };
  assert.equal(ask(client, 'modern'), 1);
  assert.deepEqual([agreement.group, agreement.retried], [0x11ec, true]);
  assert.equal(ask(client, 'modern', ['p256'], 'openssl'), 1);
  assert.deepEqual([agreement.group, agreement.retried], [0x001d, false]);
});

test('refusalUnder() counts an answer that the client cannot take, and what a listener refuses by itself', () => {
  const policy = findPolicy('intermediate')!;
  assert.equal(
    refusalUnder(read({ ...NEW, signatureSchemes: codes('0807') }), policy, ['p256'], 's2n', agreement),
    FAULT_TLS_NO_SHARED_SIGNATURE,
  );
  assert.equal(refusalUnder(read(NEW), findPolicy('post-quantum')!, ['p256'], 's2n', agreement), FAULT_HELLO_NOT_POST_QUANTUM);
  assert.equal(refusalUnder(read(NEW), policy, ['p256'], 's2n', agreement), 0);
});

test('refusalByFloor() refuses a client without a version of the policy, older or newer, and tells a floor from a policy', () => {
  const by = (client: Partial<HelloDescription>, policy: string, minVersion: number): number =>
    refusalByFloor(read({ ...NEW, ...client }), findPolicy(policy)!, minVersion, false);
  const old = 'ELBSecurityPolicy-2016-08';
  assert.equal(by({}, old, 0x0301), 0);
  assert.equal(by({ versions: codes('0304') }, old, 0x0301), FAULT_HELLO_NO_SHARED_VERSION);
  assert.equal(by({ versions: codes('7f1c 3a3a') }, old, 0x0301), FAULT_HELLO_NO_SHARED_VERSION);
  assert.equal(by({ versions: [], legacyVersion: 0x0300 }, old, 0x0301), FAULT_HELLO_NO_SHARED_VERSION);
  assert.equal(by({ versions: [], legacyVersion: 0x0302 }, old, 0x0303), FAULT_HELLO_BELOW_VERSION);
  // It speaks something newer, and yet nothing that is above the floor and in the policy.
  assert.equal(by({ versions: codes('0304 0302') }, old, 0x0303), FAULT_HELLO_BELOW_VERSION);
});

test('refusalBeforeS2n() refuses whom s2n would answer with what was not offered, and nobody else', () => {
  const before = (client: Partial<HelloDescription>, policy: string, keys: readonly KeyType[] = ['p256']): number =>
    refusalBeforeS2n(read({ ...NEW, ...client }), findPolicy(policy)!, keys, agreement);
  assert.equal(before({}, 'intermediate'), 0);
  assert.equal(before({ signatureSchemes: codes('0804') }, 'intermediate'), FAULT_TLS_NO_SHARED_SIGNATURE);
  assert.equal(before({ signatureSchemes: codes('0804') }, 'intermediate', ['p256', 'rsa']), 0);
  assert.equal(before({ ...OLD, signatureSchemes: codes('0807') }, 'intermediate', ['p256', 'rsa']), FAULT_TLS_NO_SHARED_SIGNATURE);
  // The key exchange signs nothing.
  assert.equal(before({ ...OLD, suites: codes('009c'), signatureSchemes: codes('0807') }, 'legacy', ['rsa']), 0);
  // What s2n refuses by itself is left to it.
  assert.equal(before({ suites: codes('1304'), signatureSchemes: codes('0807') }, 'intermediate'), 0);
  // RFC 5246, section 7.4.1.4.1: no list is SHA-1, where the policy has that.
  assert.equal(before({ ...OLD, signatureSchemes: [] }, 'legacy'), 0);
  assert.equal(before({ ...OLD, signatureSchemes: [] }, 'legacy', ['rsa']), 0);
  assert.equal(before({ ...OLD, signatureSchemes: [] }, 'intermediate'), FAULT_TLS_NO_SHARED_SIGNATURE);
  assert.equal(before({ signatureSchemes: [] }, 'legacy'), FAULT_TLS_NO_SHARED_SIGNATURE);
  // A policy of s2n without TLS 1.3 does not read which versions are listed; below TLS 1.2 it takes suites that are not there.
  assert.equal(before({ versions: codes('0304 0302') }, 'ELBSecurityPolicy-2016-08'), FAULT_HELLO_NO_SHARED_VERSION);
  assert.equal(before({ ...OLD, legacyVersion: 0x0302, suites: codes('c02b') }, 'ELBSecurityPolicy-2016-08'), FAULT_TLS_NO_SHARED_SUITE);
  // For a ticket nothing is signed.
  read({ ...NEW, signatureSchemes: codes('0804') }).ticketBytes = 32;
  assert.equal(refusalBeforeS2n(hello, findPolicy('intermediate')!, ['p256'], agreement), 0);
});

test('weaknessOf() names what nobody should need', () => {
  assert.equal(weaknessOf(findPolicy('legacy')!), null);
  assert.equal(weaknessOf(findPolicy('CloudFront-SSL-v-3')!), 'SSL 3.0, RC4, 3DES');
});
