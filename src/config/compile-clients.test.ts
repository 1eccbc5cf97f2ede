import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestAuthority } from '../x509/test-authority.ts';
import { clientCertificates } from './client-certificates.ts';
import { compileClients } from './compile-clients.ts';

const authority = new TestAuthority();
const other = new TestAuthority('/CN=Other');
const directory = mkdtempSync(join(tmpdir(), 'tollgate-clients-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);
writeFileSync(at('ca.pem'), `words around it\n${authority.pem}${other.pem}`);
writeFileSync(at('key.pem'), authority.keyPem);
writeFileSync(at('cut.pem'), authority.pem.slice(0, -40));
writeFileSync(at('list.crl'), authority.list());
writeFileSync(at('old.crl'), authority.list({ thisUpdateMs: Date.UTC(2024, 0, 1), nextUpdateMs: Date.UTC(2024, 1, 1) }));
writeFileSync(at('stranger.crl'), new TestAuthority('/CN=Stranger').list());

async function compiled(settings: object, nowMs = Date.now()) {
  const errors: string[] = [];
  const warnings: string[] = [];
  const blobs: Buffer[] = [];
  const parsed = clientCertificates.parse({ authorities: at('ca.pem'), ...settings });
  const say = (into: string[]) => (path: readonly (string | number)[], message: string) =>
    void into.push(`${path.join('.')}: ${message.replaceAll(`${directory}/`, '')}`);
  const plan = await compileClients(parsed, ['c'], nowMs, (pem) => blobs.push(pem) - 1, { error: say(errors), warn: say(warnings) });
  return { plan, errors, warnings, blobs };
}

test('compileClients() fills in what is not said, and carries the authorities and nothing else', async () => {
  const { plan, errors, blobs } = await compiled({});
  assert.deepEqual(errors, []);
  assert.deepEqual(
    { ...plan, id: '' },
    {
      id: '',
      mode: 'required',
      authoritiesBlob: 0,
      depth: 3,
      allow: null,
      revocation: null,
      forward: { certificate: true, chain: true, details: true },
    },
  );
  assert.equal(blobs[0]!.toString('latin1').replaceAll('\n', ''), `${authority.pem}${other.pem}`.replaceAll('\n', ''));
  assert.deepEqual(await compiled({ mode: 'off', authorities: undefined }), { plan: null, errors: [], warnings: [], blobs: [] });
});

test('compileClients() gives every set of rules its own id, the same each time', async () => {
  const ids = await Promise.all(
    [{}, {}, { mode: 'optional' }, { depth: 1 }, { authorities: [at('ca.pem'), at('ca.pem')] }, { allow: { names: ['a.example'] } }].map(
      async (settings) => (await compiled(settings)).plan?.id,
    ),
  );
  assert.equal(ids[0], ids[1]);
  assert.equal(new Set(ids).size, 5);
});

test('compileClients() reads lists, and says what is wrong with one', async () => {
  const revocation = (...crl: readonly string[]): object => ({ revocation: { crl } });
  const { plan, errors, warnings } = await compiled(revocation(at('list.crl'), 'http://crl.example/a.crl'));
  assert.deepEqual([errors, warnings], [[], []]);
  assert.deepEqual(plan?.revocation, {
    lists: [at('list.crl'), 'http://crl.example/a.crl'],
    fetch: false,
    ocsp: false,
    whenUnknown: 'refuse',
    refreshMs: 600_000,
  });
  const cases: readonly (readonly [settings: object, error: RegExp])[] = [
    [revocation(at('none.crl')), /c\.revocation\.crl\.0: .*none\.crl cannot be used: there is no file /],
    [revocation(at('stranger.crl')), /CN=Stranger, who is not among the authorities/],
    [revocation(at('ca.pem')), /ca\.pem cannot be used: it holds no revocation list/],
    [{ revocation: {} }, /c\.revocation: nothing tells what is revoked/],
    [{ allow: {} }, /c\.allow: nobody is allowed/],
    [{ authorities: at('key.pem') }, /c\.authorities\.0: key\.pem holds no PEM certificate/],
    [{ authorities: [at('ca.pem'), at('cut.pem')] }, /c\.authorities\.1: cut\.pem is cut short/],
    [{ authorities: at('none.pem') }, /none\.pem/],
    [{ authorities: undefined }, /c\.authorities: missing/],
  ];
  for (const [settings, error] of cases) {
    const found = await compiled(settings);
    assert.equal(found.errors.length, 1, JSON.stringify(settings));
    assert.match(found.errors[0]!, error);
  }
  assert.match((await compiled(revocation(at('old.crl')))).warnings.join(), /old\.crl ended on 2024-02-01/);
  assert.match((await compiled({}, Date.now() + 100 * 86_400_000)).warnings[0]!, /the authority CN=Authority,O=Test in ca\.pem expired/);
});

test('clientCertificates refuses what cannot be meant, and says what can', () => {
  const parse = (settings: object) => clientCertificates.safeParse({ authorities: 'ca.pem', ...settings });
  for (const settings of [
    { authorities: [] },
    { mode: 'maybe' },
    { depth: 16 },
    { allow: { subjects: ['example.com'] } },
    { allow: { subjects: ['CN=Müller'] } },
    { allow: { names: ['*'] } },
    { allow: { names: ['a.*.example'] } },
    { allow: { names: ['spiffe://a/b'] } },
    { allow: { spiffe: ['https://a/b'] } },
    { allow: { spiffe: ['spiffe://a'] } },
    { allow: { spiffe: ['spiffe://a/b*'] } },
    { revocation: { crl: ['https://crl.example/a'] } },
    { revocation: { crl: ['http://user:word@crl.example/a'] } },
    { revocation: { refresh: '10ms' } },
    { forward: { header: true } },
  ]) {
    assert.equal(parse(settings).success, false, JSON.stringify(settings));
  }
  const { data } = parse({
    allow: {
      subjects: ['CN=a\\, b,  O=c + UID=7'],
      names: ['*.a.example', '*@a.example', '192.0.2.1'],
      spiffe: ['spiffe://a/*/b', 'spiffe://a/*'],
    },
  });
  assert.deepEqual(data?.allow?.subjects, ['CN=a\\, b,O=c+UID=7']);
});
