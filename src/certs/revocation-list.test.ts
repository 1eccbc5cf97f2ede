import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestRandom } from '../base/test-random.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { SealedMemory } from '../native/sealed-memory.ts';
import { RevocationSet } from '../plan/revocation-set.ts';
import type { Certificate } from '../x509/certificate.ts';
import { der, extension, integer, type ListWishes, oid, TestAuthority } from '../x509/test-authority.ts';
import { closeList, listId, type RevocationList, RevocationListReader, readRevocationList } from './revocation-list.ts';

const authority = new TestAuthority();
const other = new TestAuthority('/O=Test/CN=Other');
const sameName = new TestAuthority();
const directory = mkdtempSync(join(tmpdir(), 'tollgate-crl-'));
after(() => rmSync(directory, { recursive: true }));

/** Reads `bytes` in pieces of `pieceBytes`. */
function read(bytes: Buffer, issuers: readonly Certificate[] = [authority.certificate], pieceBytes = bytes.length): RevocationList {
  const reader = new RevocationListReader(issuers);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
    return reader.end('list');
  } finally {
    reader.close();
  }
}

function withSet<Result>(list: RevocationList, use: (set: RevocationSet) => Result): Result {
  const sealed = new SealedMemory(list.fd);
  try {
    return use(new RevocationSet(sealed.memory));
  } finally {
    sealed.release();
    closeList(list);
  }
}

const serials = ['01', '7f', '80', '0102030405060708090a', 'ff'.repeat(20)].map((hex) => Buffer.from(hex, 'hex'));

test('RevocationListReader reads a list, in whatever pieces it comes', () => {
  const bytes = authority.list({ serials });
  for (const pieceBytes of [bytes.length, 1, 7, 64, 100]) {
    const list = read(bytes, [other.certificate, authority.certificate], pieceBytes);
    assert.equal(list.facts.issuer, authority.certificate);
    assert.equal(list.facts.scope, 'all');
    withSet(list, (set) => {
      assert.equal(set.entries, serials.length);
      for (const serial of serials) assert.ok(set.has(serial));
      assert.ok(!set.has(Buffer.from([2])));
    });
  }
});

test('RevocationListReader reads PEM with text around it, in whatever pieces', () => {
  const base64 = authority.list({ serials }).toString('base64').replace(/.{64}/g, '$&\r\n');
  const pem = Buffer.from(`some words\n-----BEGIN X509 CRL-----\r\n${base64}\r\n-----END X509 CRL-----\nmore words\n`);
  for (const pieceBytes of [pem.length, 1, 10, 63]) {
    withSet(read(pem, undefined, pieceBytes), (set) => assert.equal(set.entries, serials.length));
  }
  for (const length of [5, 40, 200, pem.length - 40]) assert.throws(() => read(pem.subarray(0, length)), { code: 'crl_invalid' });
});

test('RevocationListReader reads lists of RSA authorities, and of nobody revoked', () => {
  const rsa = new TestAuthority('/CN=RSA', 'rsa');
  withSet(read(rsa.list({ serials }), [rsa.certificate]), (set) => assert.equal(set.entries, serials.length));
  withSet(read(rsa.list(), [rsa.certificate]), (set) => assert.equal(set.entries, 0));
});

test('RevocationListReader reads what openssl ca makes', async () => {
  const at = (name: string): string => join(directory, name);
  writeFileSync(
    at('index.txt'),
    'R\t350101000000Z\t240101000000Z,keyCompromise\t1234ABCD\tunknown\t/CN=x\nV\t350101000000Z\t\t5678\tunknown\t/CN=y\n',
  );
  writeFileSync(at('number'), '01\n');
  writeFileSync(at('ca.pem'), authority.pem);
  writeFileSync(at('ca.key'), authority.keyPem);
  writeFileSync(
    at('ca.cnf'),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('index.txt')}\ncrlnumber=${at('number')}\ndefault_md=sha384\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid:always\n`,
  );
  const args = [
    'ca',
    '-gencrl',
    '-config',
    at('ca.cnf'),
    '-cert',
    at('ca.pem'),
    '-keyfile',
    at('ca.key'),
    '-crldays',
    '1',
    '-out',
    at('list.pem'),
  ];
  execFileSync('openssl', args, { stdio: 'pipe' });
  const list = await readRevocationList(at('list.pem'), [sameName.certificate, authority.certificate]);
  assert.equal(list.facts.number, '01');
  assert.equal(list.view.id, listId(at('list.pem')));
  withSet(list, (set) => {
    assert.ok(set.has(Buffer.from('1234abcd', 'hex')));
    assert.ok(!set.has(Buffer.from('5678', 'hex')));
  });
  await assert.rejects(readRevocationList(at('none.crl'), []), /none\.crl cannot be used: there is no file /);
  await assert.rejects(readRevocationList(directory, []), /cannot be used/);
});

const scope = (...parts: readonly Buffer[]): Buffer => extension('2.5.29.28', der(0x30, ...parts), true);
const yes = Buffer.from([0xff]);

test('RevocationListReader tells which certificates a list speaks for', () => {
  const place = scope(der(0xa0, der(0xa0, der(0x86, Buffer.from('http://crl.example/1.crl')))), der(0x81, yes));
  const users = read(authority.list({ extensions: [place] }));
  assert.equal(users.facts.scope, 'users');
  assert.deepEqual(users.facts.distributionPoints, ['http://crl.example/1.crl']);
  closeList(users);
  const authorities = read(authority.list({ extensions: [scope(der(0x82, yes))] }));
  assert.equal(authorities.facts.scope, 'authorities');
  closeList(authorities);
});

const reason = (code: number): Buffer => extension('2.5.29.21', der(0x0a, Buffer.from([code])));
const refused: readonly (readonly [what: string, list: ListWishes, message: RegExp])[] = [
  ['a delta list', { extensions: [extension('2.5.29.27', integer(Buffer.from([1])), true)] }, /delta list/],
  ['an indirect list', { extensions: [scope(der(0x84, yes))] }, /indirect/],
  ['a list of some reasons', { extensions: [scope(der(0x83, Buffer.from([1, 0x40])))] }, /some reasons/],
  ['a list of attribute certificates', { extensions: [scope(der(0x85, yes))] }, /attribute certificates/],
  ['a critical extension nobody knows', { extensions: [extension('1.2.3.4', Buffer.from([5, 0]), true)] }, /critical extension 1\.2\.3\.4/],
  [
    'a critical entry extension nobody knows',
    { serials, entryExtensions: [extension('1.2.3.4', Buffer.from([5, 0]), true)] },
    /an entry has/,
  ],
  ['an entry of another issuer', { serials, entryExtensions: [extension('2.5.29.29', der(0x30), true)] }, /indirect/],
  ['an entry that takes back', { serials, entryExtensions: [reason(8)] }, /takes a revocation back/],
  ['no nextUpdate', { nextUpdateMs: null }, /nextUpdate/],
  ['SHA-1', { algorithm: der(0x30, oid('1.2.840.10045.4.1')) }, /algorithm is not available/],
  ['a signature by somebody else', { serials, signer: other }, /signature is not by/],
  ['the same extension twice', { extensions: [reason(1), reason(1)] }, /malformed/],
];

for (const [what, wishes, message] of refused) {
  test(`RevocationListReader refuses ${what}`, () => {
    const bytes = authority.list(wishes);
    assert.throws(() => read(bytes), { code: 'crl_invalid', message });
    assert.throws(() => read(bytes, undefined, 9), { code: 'crl_invalid', message });
  });
}

test('RevocationListReader passes over extensions that need not be understood', () => {
  const extensions = [extension('1.2.3.4', Buffer.from([5, 0]))];
  withSet(
    read(authority.list({ serials, extensions, entryExtensions: [reason(1), extension('2.5.29.24', Buffer.from([5, 0]))] })),
    (set) => {
      assert.equal(set.entries, serials.length);
    },
  );
});

test('RevocationListReader refuses lists of strangers, and of authorities that may not sign lists', () => {
  const bytes = authority.list({ serials });
  assert.throws(() => read(bytes, [other.certificate]), /CN=Authority,O=Test, who is not among the authorities/);
  assert.throws(() => read(bytes, [sameName.certificate]), /signature is not by/);
  assert.throws(() => read(bytes, [{ ...authority.certificate, keyUsage: 0x04 }]), /may not sign lists/);
});

test('RevocationListReader refuses every damage of one bit, and every cut', (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = new TestRandom(seed);
  const bytes = authority.list({ serials, extensions: [extension('2.5.29.20', integer(Buffer.from([5])))], entryExtensions: [reason(1)] });
  for (let i = 0; i < 1_500; i++) {
    const damaged = Buffer.from(bytes);
    damaged[random.below(damaged.length)]! ^= 1 << random.below(8);
    assert.throws(() => read(damaged, undefined, random.once(2) ? undefined : 1 + random.below(200)), TollgateError);
  }
  for (let length = 0; length < bytes.length; length++) assert.throws(() => read(bytes.subarray(0, length)), { code: 'crl_invalid' });
  assert.throws(() => read(Buffer.concat([bytes, Buffer.from([0])])), /behind its end/);
});

test('RevocationListReader reads a list of a million entries into less than 40 MB', () => {
  function* million(): Generator<Buffer> {
    const random = new TestRandom(1);
    for (let i = 0; i < 1_000_000; i++) {
      const serial = Buffer.alloc(16);
      for (let k = 0; k < 16; k += 4) serial.writeUInt32BE(random.below(2 ** 32) >>> 0, k);
      serial[0] = 4;
      yield serial;
    }
  }
  const path = join(directory, 'million.crl');
  writeFileSync(path, authority.list({ serials: million() }));
  const bytes = readFileSync(path);
  const list = read(bytes, undefined, 262_144);
  assert.ok(list.setBytes < 20e6, `${list.setBytes} bytes`);
  withSet(list, (set) => {
    assert.equal(set.entries, 1_000_000);
    let found = 0;
    let n = 0;
    for (const serial of million()) {
      if (n++ % 997 === 0 && set.has(serial)) found++;
    }
    assert.equal(found, Math.ceil(1_000_000 / 997));
    assert.ok(!set.has(Buffer.alloc(16, 4)));
  });
});
