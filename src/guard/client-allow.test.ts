import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientAllowPlan } from '../plan/client-certificates.ts';
import type { Certificate } from '../x509/certificate.ts';
import { ClientAllow } from './client-allow.ts';

const NOBODY = { subject: '', dnsNames: [], emails: [], uris: [], ips: [] };

function allows(plan: Partial<ClientAllowPlan>, certificate: Partial<Certificate>): boolean {
  const allow = new ClientAllow({ subjects: [], names: [], spiffe: [], ...plan });
  return allow.allows({ ...NOBODY, ...certificate } as Certificate);
}

test('ClientAllow matches a subject exactly, or with stars within a value', () => {
  const cases: readonly (readonly [pattern: string, subject: string, expected: boolean])[] = [
    ['CN=a,O=b', 'CN=a,O=b', true],
    ['CN=a,O=b', 'CN=a,O=bb', false],
    ['CN=a,O=b', 'CN=A,O=b', false],
    ['CN=*,O=b', 'CN=anything at all,O=b', true],
    ['CN=*,O=b', 'CN=,O=b', true],
    ['CN=*,O=b', 'CN=x,OU=y,O=b', false],
    ['CN=*,O=b', 'CN=x+UID=7,O=b', false],
    // What is escaped belongs to the value: who is called "x,O=b" is not of b.
    ['CN=*,O=b', 'CN=x\\,O=b', false],
    ['CN=*,O=b', 'CN=x\\,O=b,O=b', true],
    ['CN=*,O=b', 'CN=x\\,O=b,O=evil', false],
    ['CN=*', 'CN=x\\2C\\00', true],
    ['CN=svc-*-prod,O=*', 'CN=svc-a-b-prod,O=c', true],
    ['CN=svc-*-prod,O=*', 'CN=svc-prod,O=c', false],
    ['CN=a*b*c', 'CN=abbbcbc', true],
    ['CN=a*b*c', 'CN=abbbcb', false],
    ['', '', true],
    ['', 'CN=a', false],
  ];
  for (const [pattern, subject, expected] of cases)
    assert.equal(allows({ subjects: [pattern] }, { subject }), expected, `${pattern} ${subject}`);
});

test('ClientAllow takes time in proportion, whatever a subject is made of', () => {
  const subject = `CN=${'a'.repeat(60_000)}b`;
  assert.equal(allows({ subjects: [`CN=${'*a'.repeat(100)}c`] }, { subject }), false);
});

test('ClientAllow matches names, e-mail addresses and IP addresses', () => {
  const names = ['a.example', '*.b.example', 'who@example.org', '*@staff.example', '192.0.2.1', '2001:db8::1'];
  for (const dns of ['a.example', 'x.b.example']) assert.ok(allows({ names }, { dnsNames: ['other.example', dns] }), dns);
  for (const dns of ['b.example', 'x.y.b.example', 'xa.example', '*.example', 'staff.example'])
    assert.ok(!allows({ names }, { dnsNames: [dns] }), dns);
  for (const email of ['Who@Example.org', 'any.body@staff.example']) assert.ok(allows({ names }, { emails: [email] }), email);
  for (const email of ['x@example.org', 'x@y.staff.example', 'a.example']) {
    assert.ok(!allows({ names }, { emails: [email] }), email);
  }
  assert.ok(allows({ names }, { ips: ['2001:db8::1'] }));
  assert.ok(!allows({ names }, { ips: ['192.0.2.2'] }));
});

test('ClientAllow matches SPIFFE IDs by segment, of certificates that have one', () => {
  const spiffe = ['spiffe://td.example/ns/prod/sa/web', 'spiffe://td.example/ns/*/sa/db', 'spiffe://open.example/*'];
  for (const uri of [
    'spiffe://td.example/ns/prod/sa/web',
    'spiffe://TD.example/ns/prod/sa/web',
    'spiffe://td.example/ns/x/sa/db',
    'spiffe://open.example/a',
    'spiffe://open.example/a/b',
  ]) {
    assert.ok(allows({ spiffe }, { uris: [uri] }), uri);
    assert.ok(!allows({ spiffe }, { uris: [uri, 'https://x.example/'] }), 'two addresses are no SPIFFE ID');
  }
  for (const uri of [
    'spiffe://td.example/ns/prod/sa/WEB',
    'spiffe://td.example/ns/prod/sa/web/x',
    'spiffe://td.example/ns/x/y/sa/db',
    'spiffe://td.example/ns//sa/db',
    'spiffe://open.example',
    'spiffe://open.example/',
    'spiffe://other.example/a',
    'https://open.example/a',
  ]) {
    assert.ok(!allows({ spiffe }, { uris: [uri] }), uri);
  }
});
