import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import {
  FAULT_HELLO_MALFORMED,
  FAULT_HELLO_NOT_TLS,
  FAULT_HELLO_PLAIN_HTTP,
  FAULT_HELLO_SSLV2,
  FAULT_HELLO_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { HELLO_BYTES_MAX } from '../base/limits.ts';
import { ClientHello, HELLO_RECORDS_MAX, HELLO_WIRE_BYTES_MAX, readClientHello } from './client-hello.ts';
import { browserHello, extensions, helloBytes, helloMessage, record, records, type TestExtension, type TestHello } from './test-hello.ts';

const hello = new ClientHello();
/** Every extension that leaves a trace. */
const FULL: readonly TestExtension[] = [
  extensions.serverName('old.example'),
  extensions.groups(29),
  extensions.schemes(0x0403),
  extensions.certSchemes(0x0403),
  extensions.alpn('h2'),
  extensions.versions(0x0303),
  extensions.keyShare([29, 32]),
  extensions.sessionTicket(10),
  extensions.earlyData(),
  extensions.preSharedKey(),
];

function read(bytes: Uint8Array): number {
  return readClientHello(bytes, 0, bytes.length, hello);
}

/** Everything a hello says, as plain values. */
function contents(of: ClientHello): object {
  return {
    ...of.describe(),
    name: of.serverName(),
    alpn: of.alpnNames(),
    raw: {
      legacyVersion: of.legacyVersion,
      messageBytes: of.messageBytes,
      sessionIdBytes: of.sessionIdBytes,
      suites: [...of.suites.subarray(0, of.suiteCount)],
      compressions: [...of.compressions.subarray(0, of.compressionCount)],
      extensions: [...of.extensions.subarray(0, of.extensionCount)],
      versions: [...of.versions.subarray(0, of.versionCount)],
      keyShareCount: of.keyShareCount,
      ticket: [of.hasSessionTicket, of.ticketBytes],
      flags: [of.hasPskOffer, of.hasEarlyData, of.truncated, of.versionsListed],
    },
  };
}

/** The first flight of Node's own client: the bytes of its ClientHello. */
async function captured(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, rejectUnauthorized: false, ...options });
  client.on('error', () => {});
  const [socket] = await accepted;
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk]);
    if (read(bytes) !== NEED_MORE) break;
  }
  client.destroy();
  server.close();
  await once(server, 'close');
  return bytes;
}

test("readClientHello() reads what Node's client offers by default", async () => {
  const bytes = await captured({ servername: 'Shop.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(read(bytes), bytes.length);
  assert.equal(hello.serverName(), 'shop.example.com');
  assert.deepEqual(hello.alpnNames(), ['h2', 'http/1.1']);
  assert.equal(hello.legacyVersion, 0x0303);
  assert.equal(hello.maxVersion(), 0x0304);
  assert.ok(hello.offersVersion(0x0303) && hello.offersSuite(0x1301) && hello.offersGroup(0x001d) && hello.keyShareCount > 0);
  assert.equal(hello.sessionIdBytes, 32);
  assert.ok(hello.hasSessionTicket && !hello.hasPskOffer && !hello.hasEarlyData && !hello.truncated);
  const offered = hello.describe() as { suites: string[]; versions: string[]; signatureSchemes: string[] };
  assert.deepEqual(offered.versions, ['TLSv1.3', 'TLSv1.2']);
  assert.ok(offered.suites.includes('TLS_AES_256_GCM_SHA384') && offered.signatureSchemes.includes('ecdsa_secp256r1_sha256'));
  for (const name of offered.suites) assert.match(name, /^TLS_/);
});

test('readClientHello() reads a client of one suite, one group and one scheme, and one with a post-quantum share', async () => {
  await captured({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', ecdhCurve: 'secp384r1', sigalgs: 'ed25519' });
  assert.deepEqual(hello.describe(), {
    versions: ['TLSv1.3'],
    suites: ['TLS_AES_128_GCM_SHA256'],
    groups: ['secp384r1'],
    keyShares: ['secp384r1'],
    signatureSchemes: ['ed25519'],
  });
  assert.equal(hello.serverName(), null);
  assert.deepEqual(hello.alpnNames(), []);

  const bytes = await captured({ minVersion: 'TLSv1.3', ecdhCurve: 'X25519MLKEM768:X25519' });
  assert.ok(bytes.length > 1_216);
  assert.ok(hello.offersGroup(0x11ec) && hello.keyShares.subarray(0, hello.keyShareCount).includes(0x11ec));
});

test('readClientHello() reads a client that stops at TLS 1.2, and one that stops at 1.1', async () => {
  await captured({ maxVersion: 'TLSv1.2' });
  assert.equal(hello.maxVersion(), 0x0303);
  assert.equal(hello.keyShareCount, -1);
  assert.ok(hello.offersVersion(0x0303) && !hello.offersVersion(0x0304));

  await captured({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' });
  assert.equal(hello.maxVersion(), 0x0302);
  assert.ok(hello.offersVersion(0x0301) && !hello.offersVersion(0x0303));
  assert.ok(hello.offersSuite(0x002f));
});

test("readClientHello() sees a pre-shared key in Node's hello", async () => {
  const psk = Buffer.alloc(32, 7);
  await captured({ minVersion: 'TLSv1.3', pskCallback: () => ({ psk, identity: 'tollgate' }), checkServerIdentity: () => undefined });
  assert.ok(hello.hasPskOffer);
  assert.equal(hello.extensions[hello.extensionCount - 1], 41);
});

test('readClientHello() asks for more at every prefix, for no byte too many, and never finds a fault in it', () => {
  for (const sizes of [[], [1, 1, 1, 1], [3, 200], [700], [5, 1, 1_000]]) {
    const bytes = helloBytes(browserHello(), sizes);
    assert.equal(read(bytes), bytes.length);
    const whole = contents(hello);
    // What lies behind the end is rubbish of another connection.
    const part = Buffer.alloc(bytes.length, 0xff);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(readClientHello(part, 0, length, hello), NEED_MORE, `${length} bytes of ${sizes}`);
      part[length] = bytes[length]!;
      assert.ok(hello.neededBytes > length && hello.neededBytes <= bytes.length, `${length} bytes of ${sizes}: ${hello.neededBytes}`);
    }
    assert.equal(read(bytes), bytes.length);
    assert.deepEqual(contents(hello), whole);
  }
});

test('readClientHello() needs the rest of the record, and of the message with one more record head', () => {
  const message = helloMessage();
  const bytes = records(message, [100, 200]);
  const needed = (length: number): number => {
    assert.equal(readClientHello(bytes, 0, length, hello), NEED_MORE);
    return hello.neededBytes;
  };
  assert.equal(needed(0), 1);
  for (const length of [1, 4]) assert.equal(needed(length), 5);
  // The length of the message is not known: the shortest one has 45 bytes.
  for (const length of [5, 8]) assert.equal(needed(length), 105);
  for (const length of [9, 104, 105, 109]) assert.equal(needed(length), 5 + 5 + message.length);
  for (const length of [110, 309, 310, 314]) assert.equal(needed(length), 5 + 5 + 5 + message.length);
  assert.equal(needed(bytes.length - 1), bytes.length);
  const tiny = records(message, [1, 1]);
  assert.equal(readClientHello(tiny, 0, 6, hello), NEED_MORE);
  assert.equal(hello.neededBytes, 5 + 5 + 45);
  assert.equal(readClientHello(tiny, 0, 11, hello), NEED_MORE);
  assert.equal(hello.neededBytes, 5 + 5 + 5 + 45);
});

test('readClientHello() is called a handful of times by one who waits for neededBytes', () => {
  const looks = (bytes: Uint8Array): number => {
    let count = 1;
    let have = 1;
    for (; readClientHello(bytes, 0, have, hello) === NEED_MORE; count++) have = hello.neededBytes;
    assert.equal(have, bytes.length);
    return count;
  };
  assert.equal(looks(helloBytes()), 3);
  assert.ok(looks(helloBytes(browserHello(), [500, 500])) <= 6);
});

test('readClientHello() leaves alone what follows the last record, and looks at nothing before start', () => {
  const bytes = helloBytes(browserHello(), [300]);
  const earlyData = record(Buffer.alloc(100, 0xee), 23, 0x0303);
  const buf = Buffer.concat([Buffer.from('GET / '), bytes, earlyData]);
  assert.equal(readClientHello(buf, 6, buf.length, hello), bytes.length);
  assert.equal(hello.recordCount, 2);
  assert.equal(hello.messageBytes, helloMessage(browserHello()).length);
  assert.equal(hello.serverName(), 'www.example.com');
});

test('readClientHello() keeps nothing of the bytes it read, nor of the hello before', () => {
  read(helloBytes({ suites: new Array(600).fill(1), compressions: [1, 0], legacyVersion: 0x0301, extensions: FULL }));
  assert.ok(hello.truncated && hello.hasPskOffer && hello.hasEarlyData);
  const bytes = helloBytes(browserHello('first.example'));
  read(bytes);
  bytes.fill(0);
  assert.equal(hello.serverName(), 'first.example');
  assert.equal(read(helloBytes({})), helloBytes({}).length);
  const fresh = new ClientHello();
  assert.ok(readClientHello(helloBytes({}), 0, helloBytes({}).length, fresh) > 0);
  assert.deepEqual(contents(hello), contents(fresh));
  assert.equal(read(Buffer.from('garbage')), FAULT_HELLO_NOT_TLS);
  assert.deepEqual(contents(hello), contents(new ClientHello()));
});

test('readClientHello() tells plain HTTP as soon as it is certain', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'POST /',
    'M-SEARCH *',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'CONNECT a:443 HTTP/1.1',
    'PROXYING ',
    'A ',
  ]) {
    const bytes = Buffer.from(text, 'latin1');
    const space = text.indexOf(' ');
    for (let length = 1; length <= space; length++) {
      assert.equal(readClientHello(bytes, 0, length, hello), NEED_MORE, text);
      assert.equal(hello.neededBytes, length + 1);
    }
    for (let length = space + 1; length <= bytes.length; length++)
      assert.equal(readClientHello(bytes, 0, length, hello), FAULT_HELLO_PLAIN_HTTP, text);
  }
  assert.equal(read(Buffer.from(`${'A'.repeat(32)} /`)), FAULT_HELLO_PLAIN_HTTP);
});

test('readClientHello() takes other protocols for what they are: no TLS, at the first byte that says so', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['SSH-2.0-OpenSSH_9.2\r\n', 5],
    ['PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n', 6],
    ['A'.repeat(40), 33],
    ['get / HTTP/1.1\r\n', 1],
    ['\r\n\r\n\0\r\nQUIT\n', 1],
    ['\0\0\0\0\0', 1],
    ['\x15\x03\x01\0\x02\x02\x28', 1],
    ['\x17\x03\x03\0\x01\0', 1],
    ['\x16\x02\0\0\x05\x01', 5],
    ['\x16\xfe\xff\0\0\0', 5],
    ['\x80\x2e\x02\0\x02', 3],
    ['\x80\x2e\x01\x01\x02', 4],
    ['\x80\x2e\x01\0\x03', 5],
    ['\xff\xff\xff\xff\xff', 3],
  ];
  for (const [text, certain] of cases) {
    const bytes = Buffer.from(text, 'latin1');
    for (let length = 1; length <= bytes.length; length++) {
      assert.equal(
        readClientHello(bytes, 0, length, hello),
        length < certain ? NEED_MORE : FAULT_HELLO_NOT_TLS,
        `${JSON.stringify(text)} ${length}`,
      );
    }
  }
});

test('readClientHello() names an SSLv2 hello', () => {
  for (const version of ['\0\x02', '\x03\x01', '\x03\x03']) {
    const bytes = Buffer.from(`\x80\x2e\x01${version}\0\x15\0\0\0\x10`, 'latin1');
    for (let length = 1; length < 5; length++) {
      assert.equal(readClientHello(bytes, 0, length, hello), NEED_MORE);
      assert.equal(hello.neededBytes, 5);
    }
    assert.equal(read(bytes), FAULT_HELLO_SSLV2);
  }
});

test('readClientHello() refuses records that are none of a ClientHello', () => {
  const message = helloMessage();
  const head = (type: number, bytes: number): Buffer => Buffer.of(22, 3, 1, 0, 4, type, bytes >>> 16, (bytes >>> 8) & 0xff, bytes & 0xff);
  const cases: Record<string, readonly Uint8Array[]> = {
    'an empty first record': [record(Buffer.alloc(0)), record(message)],
    'an empty record in between': [record(message.subarray(0, 100)), record(Buffer.alloc(0)), record(message.subarray(100))],
    'a record over 2^14': [Buffer.of(22, 3, 1, 0x40, 0x01, 1, 0, 0x40, 0)],
    'another version in the second record': [record(message.subarray(0, 100)), record(message.subarray(100), 22, 0x0201)],
    'an alert in between': [record(message.subarray(0, 100)), record(Buffer.of(1, 0), 21), record(message.subarray(100))],
    'change_cipher_spec in between': [record(message.subarray(0, 100)), record(Buffer.of(1), 20), record(message.subarray(100))],
    'application data in between': [record(message.subarray(0, 2)), record(message.subarray(2), 23)],
    'a server hello': [head(2, 100)],
    'a hello request': [record(Buffer.alloc(4))],
    'a message too short for its fields': [head(1, 40)],
    'a second message in the record': [record(Buffer.concat([message, Buffer.of(11, 0, 0, 0)]))],
    'a second message in the second record': [record(message.subarray(0, 2)), record(Buffer.concat([message.subarray(2), Buffer.of(0)]))],
  };
  for (const [name, parts] of Object.entries(cases)) assert.equal(read(Buffer.concat(parts)), FAULT_HELLO_MALFORMED, name);
});

test('readClientHello() reads a message of HELLO_BYTES_MAX, and refuses one byte more by its head alone', () => {
  const without = helloMessage({ extensions: [extensions.padding(0)] }).length;
  const largest = helloMessage({ extensions: [extensions.padding(HELLO_BYTES_MAX - without)] });
  assert.equal(largest.length, HELLO_BYTES_MAX);
  for (const sizes of [[], [9_000], new Array(HELLO_RECORDS_MAX - 1).fill(200)]) {
    const bytes = records(largest, sizes);
    assert.equal(read(bytes), bytes.length);
    assert.ok(bytes.length <= HELLO_WIRE_BYTES_MAX);
  }
  const over = records(helloMessage({ extensions: [extensions.padding(HELLO_BYTES_MAX - without + 1)] }), [4]);
  assert.equal(readClientHello(over, 0, 9, hello), FAULT_HELLO_TOO_LARGE);
  assert.equal(read(Buffer.of(22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff)), FAULT_HELLO_TOO_LARGE);
});

test('readClientHello() takes HELLO_RECORDS_MAX records, and refuses at the head of the last what needs one more', () => {
  const message = helloMessage();
  const most = records(message, new Array(HELLO_RECORDS_MAX - 1).fill(1));
  assert.equal(read(most), most.length);
  assert.equal(hello.recordCount, HELLO_RECORDS_MAX);
  const more = records(message, new Array(HELLO_RECORDS_MAX).fill(1));
  const lastHeadEnd = 6 * (HELLO_RECORDS_MAX - 1) + 5;
  assert.equal(readClientHello(more, 0, lastHeadEnd - 1, hello), NEED_MORE);
  assert.equal(readClientHello(more, 0, lastHeadEnd, hello), FAULT_HELLO_TOO_LARGE);
  assert.equal(read(more), FAULT_HELLO_TOO_LARGE);
});

const value = fc.integer({ min: 0, max: 0xffff });
const values = fc.array(value, { minLength: 1, maxLength: 40 });
const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 1 });

/** A well-formed hello: each extension at most once, in any order, pre_shared_key last. */
const anyHello: fc.Arbitrary<TestHello> = fc
  .record({
    legacyVersion: fc.constantFrom(0x0300, 0x0301, 0x0302, 0x0303),
    sessionId: fc.uint8Array({ maxLength: 32 }),
    suites: values,
    some: fc
      .tuple(
        optional(fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => extensions.serverName(labels.join('.')))),
        optional(values.map((list) => extensions.groups(...list))),
        optional(values.map((list) => extensions.schemes(...list))),
        optional(values.map((list) => extensions.certSchemes(...list))),
        optional(values.map((list) => extensions.versions(...list))),
        optional(fc.array(label, { minLength: 1, maxLength: 8 }).map((names) => extensions.alpn(...names))),
        optional(
          fc.array(fc.tuple(value, fc.integer({ min: 1, max: 1_300 })), { maxLength: 4 }).map((list) => extensions.keyShare(...list)),
        ),
        optional(fc.integer({ min: 0, max: 300 }).map((bytes) => extensions.sessionTicket(bytes))),
        optional(fc.constant(extensions.earlyData())),
        fc.uniqueArray(fc.record({ type: fc.integer({ min: 100, max: 0xffff }), body: fc.uint8Array({ maxLength: 30 }) }), {
          maxLength: 10,
          selector: (extension) => extension.type,
        }),
      )
      .chain((lists) => fc.shuffledSubarray<TestExtension>(lists.flat(), { minLength: lists.flat().length })),
    psk: optional(fc.constant(extensions.preSharedKey())),
  })
  .map(({ some, psk, ...rest }) => ({ ...rest, extensions: [...some, ...psk] }));

test('readClientHello() reads back what was written, however it is split into records and cut into reads', () => {
  fc.assert(
    fc.property(
      anyHello,
      fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 20 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
      (made, sizes, cuts) => {
        const whole = helloBytes(made);
        assert.equal(read(whole), whole.length);
        const expected = contents(hello);
        assert.deepEqual([...hello.suites.subarray(0, hello.suiteCount)], made.suites);
        assert.deepEqual(
          [...hello.extensions.subarray(0, hello.extensionCount)],
          made.extensions?.map((extension) => extension.type),
        );
        const bytes = helloBytes(made, sizes);
        let have = 0;
        for (const cut of cuts) {
          have = Math.min(bytes.length, have + cut);
          const result = readClientHello(bytes, 0, have, hello);
          if (have === bytes.length) {
            assert.equal(result, bytes.length);
            break;
          }
          assert.equal(result, NEED_MORE);
          assert.ok(hello.neededBytes > have && hello.neededBytes <= bytes.length);
        }
        assert.deepEqual(contents(hello), expected);
      },
    ),
    { numRuns: 300 },
  );
});

test('readClientHello() comes to the same answer about any bytes, however they are cut', () => {
  const hostile = fc.tuple(
    anyHello,
    fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 4 }),
    fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(hostile, ([made, edits, sizes]) => {
      const bytes = helloBytes(made, sizes);
      for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
      const final = read(bytes);
      const expected = contents(hello);
      const needed = hello.neededBytes;
      for (let have = 1; have < bytes.length; have++) {
        const result = readClientHello(bytes, 0, have, hello);
        if (result === NEED_MORE) continue;
        assert.equal(result, final);
        assert.deepEqual(contents(hello), expected);
        return;
      }
      assert.equal(read(bytes), final);
      assert.equal(hello.neededBytes, needed);
    }),
    { numRuns: 200 },
  );
});
