import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_HELLO_MALFORMED } from '../base/faults.ts';
import { ClientHello, readClientHello } from './client-hello.ts';
import {
  browserHello,
  extensions,
  helloBytes,
  helloMessage,
  records,
  type TestExtension,
  type TestHello,
  u16,
  vector,
} from './test-hello.ts';

/** In the browser's message, behind its head: version, random and session id; then 16 suites and one compression method. */
const SUITES_AT = 2 + 32 + 33;
const EXTENSIONS_AT = SUITES_AT + 2 + 32 + 2;

const hello = new ClientHello();

function read(made: TestHello): number {
  const bytes = helloBytes(made);
  const result = readClientHello(bytes, 0, bytes.length, hello);
  if (result <= 0) return result;
  assert.equal(result, bytes.length);
  return 1;
}

function readWith(...list: readonly TestExtension[]): number {
  return read({ extensions: list });
}

function extension(type: number, ...body: readonly number[]): TestExtension {
  return { type, body: Buffer.from(body) };
}

/** A message of the browser's, its head right, cut or grown or changed by `edit`. */
function readEdited(edit: (body: Buffer) => Uint8Array): number {
  const body = edit(helloMessage(browserHello()).subarray(4));
  const bytes = records(Buffer.concat([Buffer.of(1), vector(3, body)]));
  return readClientHello(bytes, 0, bytes.length, hello);
}

test("readHelloMessage() reads a browser's hello", () => {
  assert.equal(read(browserHello()), 1);
  assert.deepEqual(hello.describe(), {
    versions: ['TLSv1.3', 'TLSv1.2'],
    suites: [
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
      'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
      'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
      'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
      'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA',
      'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
      'TLS_RSA_WITH_AES_128_GCM_SHA256',
      'TLS_RSA_WITH_AES_256_GCM_SHA384',
      'TLS_RSA_WITH_AES_128_CBC_SHA',
      'TLS_RSA_WITH_AES_256_CBC_SHA',
    ],
    groups: ['X25519MLKEM768', 'x25519', 'secp256r1', 'secp384r1'],
    keyShares: ['X25519MLKEM768', 'x25519'],
    signatureSchemes: [
      'ecdsa_secp256r1_sha256',
      'rsa_pss_rsae_sha256',
      'rsa_pkcs1_sha256',
      'ecdsa_secp384r1_sha384',
      'rsa_pss_rsae_sha384',
      'rsa_pkcs1_sha384',
      'rsa_pss_rsae_sha512',
      'rsa_pkcs1_sha512',
    ],
  });
  // GREASE stays where it was: a fingerprint needs to know of it.
  assert.ok(hello.offersSuite(0x2a2a) && hello.offersGroup(0x4a4a) && hello.offersVersion(0x5a5a));
  assert.equal(hello.maxVersion(), 0x0304);
  assert.deepEqual(
    [...hello.extensions.subarray(0, hello.extensionCount)],
    [0x3a3a, 0, 23, 0xff01, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27, 0x6a6a],
  );
  assert.ok(hello.hasSessionTicket);
  assert.equal(hello.ticketBytes, 0);
});

test('readHelloMessage() refuses every message cut short but the one without extensions, and any grown by a byte', () => {
  const { length } = helloMessage(browserHello()).subarray(4);
  for (let keep = 41; keep < length; keep++) {
    const expected = keep === EXTENSIONS_AT ? records(helloMessage({ ...browserHello(), extensions: null })).length : FAULT_HELLO_MALFORMED;
    assert.equal(
      readEdited((body) => body.subarray(0, keep)),
      expected,
      `${keep}`,
    );
  }
  assert.equal(
    readEdited((body) => Buffer.concat([body, Buffer.of(0)])),
    FAULT_HELLO_MALFORMED,
  );
  assert.ok(readEdited((body) => body) > 0);
});

test('readHelloMessage() refuses wrong fields before the extensions', () => {
  const cases: Record<string, TestHello> = {
    'a session id of 33 bytes': { sessionId: Buffer.alloc(33) },
    'no suite': { suites: [] },
    'no compression method': { compressions: [] },
    'compression only': { compressions: [1] },
    'compression as well, in a hello of TLS 1.3': { compressions: [1, 0], extensions: [extensions.versions(0x0304)] },
  };
  // Long enough not to be refused for its length alone.
  for (const [name, made] of Object.entries(cases)) {
    assert.equal(read({ ...made, extensions: [...(made.extensions ?? []), extensions.padding(100)] }), FAULT_HELLO_MALFORMED, name);
  }
  assert.equal(
    readEdited((body) => {
      body.writeUInt16BE(body.readUInt16BE(SUITES_AT) + 1, SUITES_AT);
      return body;
    }),
    FAULT_HELLO_MALFORMED,
    'half a suite',
  );
  const short = helloMessage({ compressions: [0, 0], extensions: null }).subarray(4, -1);
  assert.equal(
    readEdited(() => short),
    FAULT_HELLO_MALFORMED,
    'fewer compression methods than said',
  );
});

test('readHelloMessage() takes what old clients send: no extensions, an empty block, compression beside none', () => {
  assert.equal(read({ legacyVersion: 0x0300, extensions: null }), 1);
  assert.equal(hello.extensionCount, 0);
  assert.equal(hello.maxVersion(), 0x0300);
  assert.equal(read({ extensions: [] }), 1);
  assert.equal(read({ compressions: [1, 0], sessionId: Buffer.alloc(32) }), 1);
  assert.deepEqual([...hello.compressions.subarray(0, hello.compressionCount)], [1, 0]);
  assert.equal(hello.sessionIdBytes, 32);
});

test('readHelloMessage() lets a version field without supported_versions mean TLS 1.2 at most', () => {
  for (const [legacyVersion, max] of [
    [0x0301, 0x0301],
    [0x0303, 0x0303],
    [0x0304, 0x0303],
    [0x0399, 0x0303],
    [0x0200, 0],
  ] as const) {
    assert.equal(read({ legacyVersion }), 1);
    assert.equal(hello.legacyVersion, legacyVersion);
    assert.equal(hello.maxVersion(), max);
    assert.equal(hello.offersVersion(0x0304), false);
    assert.equal(hello.offersVersion(0x0303), max >= 0x0303);
    assert.equal(hello.offersVersion(0x0301), max >= 0x0301);
  }
});

test('readHelloMessage() refuses extensions that do not fill their block, come twice, or are too many', () => {
  const grease = (count: number): TestExtension[] => Array.from({ length: count }, (_, i) => extension(1_000 + i));
  assert.equal(readWith(...grease(128)), 1);
  assert.equal(hello.extensionCount, 128);
  assert.equal(readWith(...grease(129)), FAULT_HELLO_MALFORMED);
  // The same again, since the bits of the refused one are still set when it begins.
  assert.equal(readWith(...grease(128)), 1);
  assert.equal(readWith(extension(7), extension(8), extension(7)), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extension(0x1a1a), extension(0x1a1a)), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extension(8), extension(0), extension(7)), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extension(7), extension(8)), 1);
  for (const change of [-1, 1]) {
    assert.equal(
      readEdited((body) => {
        body.writeUInt16BE(body.readUInt16BE(EXTENSIONS_AT) + change, EXTENSIONS_AT);
        return body;
      }),
      FAULT_HELLO_MALFORMED,
    );
  }
  const raw = (...block: readonly number[]): number => {
    const body = Buffer.concat([helloMessage({ extensions: null }).subarray(4), Buffer.from(block)]);
    const bytes = records(Buffer.concat([Buffer.of(1), vector(3, body)]));
    return readClientHello(bytes, 0, bytes.length, hello);
  };
  assert.equal(raw(0), FAULT_HELLO_MALFORMED);
  assert.equal(raw(0, 1, 0), FAULT_HELLO_MALFORMED);
  assert.equal(raw(0, 3, 0, 7, 0), FAULT_HELLO_MALFORMED);
  assert.equal(raw(0, 4, 0, 7, 0, 1), FAULT_HELLO_MALFORMED);
  assert.ok(raw(0, 4, 0, 7, 0, 0) > 0);
});

test('readHelloMessage() wants pre_shared_key last, and early_data empty', () => {
  assert.equal(readWith(extensions.earlyData(), extensions.preSharedKey()), 1);
  assert.ok(hello.hasPskOffer && hello.hasEarlyData);
  assert.equal(readWith(extensions.preSharedKey(), extensions.earlyData()), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extension(42, 0)), FAULT_HELLO_MALFORMED);
  const whole = extensions.preSharedKey(1, 32).body;
  assert.equal(readWith({ type: 41, body: whole }), 1);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(readWith({ type: 41, body: whole.subarray(0, length) }), FAULT_HELLO_MALFORMED, `${length}`);
  }
  assert.equal(readWith({ type: 41, body: Buffer.concat([whole, Buffer.of(0)]) }), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extensions.preSharedKey(1, 31)), FAULT_HELLO_MALFORMED);
  assert.equal(readWith(extensions.preSharedKey(0, 32)), FAULT_HELLO_MALFORMED);
});

test('readHelloMessage() reads one server name: lower case, no final dot', () => {
  const names: readonly (readonly [string, string])[] = [
    ['example.com', 'example.com'],
    ['EXAMPLE.Com.', 'example.com'],
    ['_acme-challenge.xn--bcher-kva.example', '_acme-challenge.xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    ['192.0.2.1', '192.0.2.1'],
    ['a', 'a'],
    [`${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(62), `${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(62)],
    ['a'.repeat(255), 'a'.repeat(255)],
  ];
  for (const [sent, expected] of names) {
    assert.equal(readWith(extensions.serverName(sent)), 1, sent);
    assert.equal(hello.serverName(), expected);
  }
});

test('readHelloMessage() refuses a server name that is none', () => {
  const names = [
    '',
    '.',
    '..',
    '.a',
    'a..b',
    'a..',
    'a\0',
    '\0',
    'a\nb',
    'a b',
    'a/b',
    'a:443',
    '::1',
    '[::1]',
    '*.a',
    'a"',
    'b\xfccher',
    'a\x7f',
    'a\\',
    'a'.repeat(256),
  ];
  for (const name of names) assert.equal(readWith(extensions.serverName(name)), FAULT_HELLO_MALFORMED, JSON.stringify(name));
  const one = vector(2, Buffer.from('a'));
  const entry = Buffer.concat([Buffer.of(0), one]);
  const cases: Record<string, Uint8Array> = {
    'an empty body': Buffer.alloc(0),
    'an empty list': u16(0),
    'two names': vector(2, entry, entry),
    'a name of another type': vector(2, Buffer.of(1), one),
    'a name of another type behind it': vector(2, entry, Buffer.of(1), one),
    'a byte behind the list': Buffer.concat([vector(2, entry), Buffer.of(0)]),
    'a byte behind the name': vector(2, entry, Buffer.of(0)),
    'a name longer than the list': vector(2, Buffer.of(0), u16(2), Buffer.from('a')),
    'a list longer than the body': Buffer.concat([u16(5), entry]),
  };
  for (const [name, body] of Object.entries(cases)) assert.equal(readWith({ type: 0, body }), FAULT_HELLO_MALFORMED, name);
});

test('readHelloMessage() keeps protocol names as they are', () => {
  assert.equal(readWith(extensions.alpn('h2', 'http/1.1', 'H2', '\0\xff', 'x'.repeat(255))), 1);
  assert.deepEqual(hello.alpnNames(), ['h2', 'http/1.1', 'H2', '\0\xff', 'x'.repeat(255)]);
  for (const name of ['h2', 'http/1.1', 'H2', '\0\xff', 'x'.repeat(255)]) assert.ok(hello.offersAlpn(Buffer.from(name, 'latin1')), name);
  for (const name of ['', 'h', 'h22', 'HTTP/1.1', 'http/1.0', 'x'.repeat(254)]) assert.ok(!hello.offersAlpn(Buffer.from(name)), name);
});

test('readHelloMessage() refuses lists that lie about their length', () => {
  const cases: Record<string, TestExtension> = {
    'no ALPN list': extension(16),
    'an empty ALPN list': extension(16, 0, 0),
    'an empty protocol': extension(16, 0, 1, 0),
    'an empty protocol behind one': extension(16, 0, 4, 2, 0x68, 0x32, 0),
    'a protocol over its list': extension(16, 0, 3, 3, 0x68, 0x32),
    'an ALPN list over its body': extension(16, 0, 4, 2, 0x68, 0x32),
    'a byte behind the ALPN list': extension(16, 0, 3, 2, 0x68, 0x32, 0),
    'no groups': extension(10, 0, 0),
    'groups without a list': extension(10),
    'half a group': extension(10, 0, 3, 0, 29, 0),
    'groups over their body': extension(10, 0, 4, 0, 29),
    'a byte behind the groups': extension(10, 0, 2, 0, 29, 0),
    'no schemes': extension(13, 0, 0),
    'half a scheme': extension(13, 0, 1, 4),
    'no schemes for certificates': extension(50, 0, 0),
    'schemes for certificates over their body': extension(50, 0, 4, 4, 3),
    'versions without a list': extension(43),
    'no versions': extension(43, 0),
    'versions over their body': extension(43, 4, 3, 4),
    'a version behind the versions': extension(43, 2, 3, 4, 3, 3),
    'half a version': extension(43, 3, 3, 4, 3),
    'a byte behind the versions': extension(43, 2, 3, 4, 0),
    'key_share without a list': extension(51, 0),
    'a share without a length': extension(51, 0, 3, 0, 29, 0),
    'an empty key': extension(51, 0, 4, 0, 29, 0, 0),
    'a key over its list': extension(51, 0, 5, 0, 29, 0, 2, 9),
    'a byte behind the shares': extension(51, 0, 5, 0, 29, 0, 1, 9, 9),
  };
  for (const [name, one] of Object.entries(cases)) assert.equal(readWith(one, extension(0xff01, 0)), FAULT_HELLO_MALFORMED, name);
});

test('readHelloMessage() tells no key_share from an empty one', () => {
  assert.equal(readWith(extension(51, 0, 0)), 1);
  assert.equal(hello.keyShareCount, 0);
  assert.equal(readWith(), 1);
  assert.equal(hello.keyShareCount, -1);
});

test('readHelloMessage() keeps the first of lists longer than its tables, checks the rest, and says so', () => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  const full: TestHello = {
    suites: numbers(512),
    extensions: [
      extensions.groups(...numbers(64)),
      extensions.schemes(...numbers(64)),
      extensions.certSchemes(...numbers(64)),
      extensions.versions(...numbers(127)),
      extensions.alpn(...numbers(32).map((n) => String.fromCharCode(n).repeat(255))),
      extensions.keyShare(...numbers(64).map((n) => [n, 1] as const)),
    ],
  };
  assert.equal(read(full), 1);
  assert.equal(hello.truncated, false);
  assert.ok(hello.offersSuite(512) && hello.offersGroup(64) && hello.offersVersion(127) && hello.offersAlpn(Buffer.alloc(255, 32)));
  const over: readonly TestHello[] = [
    { suites: numbers(7_000) },
    { extensions: [extensions.groups(...numbers(65))] },
    { extensions: [extensions.schemes(...numbers(5_000))] },
    { extensions: [extensions.certSchemes(...numbers(65))] },
    { extensions: [extensions.alpn(...numbers(33).map(String))] },
    { extensions: [extensions.keyShare(...numbers(65).map((n) => [n, 1] as const))] },
  ];
  for (const made of over) {
    assert.equal(read(made), 1);
    assert.equal(hello.truncated, true);
    assert.equal((hello.describe() as { truncated?: boolean }).truncated, true);
  }
  assert.equal(read({ suites: numbers(7_000) }), 1);
  assert.deepEqual([...hello.suites.subarray(0, hello.suiteCount)], numbers(512));
  assert.equal(readWith(extensions.alpn(...numbers(33).map(String), '')), FAULT_HELLO_MALFORMED);
});
