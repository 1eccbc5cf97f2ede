import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../base/crc32c.ts';
import {
  FAULT_PROXY_HEADER_CHECKSUM,
  FAULT_PROXY_HEADER_MALFORMED,
  FAULT_PROXY_HEADER_MISSING,
  FAULT_PROXY_HEADER_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { PROXY_HEADER_BYTES_MAX } from '../base/limits.ts';
import { fuzz } from './proxy-protocol.fuzz.ts';
import { PROXY_HEADER_SENT_BYTES_MAX, ProxyHeader, type ProxyHeaderContent, readProxyHeader, writeProxyHeader } from './proxy-protocol.ts';

const header = new ProxyHeader();
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const PLAIN: ProxyHeaderContent = {
  clientAddress: '192.0.2.1',
  clientPort: 56_324,
  serverAddress: '198.51.100.7',
  serverPort: 443,
  tls: null,
  protocol: '',
  authority: null,
  uniqueId: null,
};

function read(bytes: Buffer | string): number {
  const input = Buffer.from(bytes as string, 'latin1');
  return readProxyHeader(input, 0, input.length, header);
}

function v2(versionCommand: number, family: number, body: Buffer, length = body.length): Buffer {
  const fixed = Buffer.from([versionCommand, family, length >> 8, length & 255]);
  return Buffer.concat([SIGNATURE, fixed, body]);
}

function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]);
}

const ADDRESSES4 = Buffer.from('c0000201c6336407dc0401bb', 'hex');
const ADDRESSES6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db80000000000000000000000ff', 'hex'),
  Buffer.from('dc0401bb', 'hex'),
]);

function said(): unknown {
  const { version, isRelayed, clientAddress, clientPort, serverAddress, serverPort } = header;
  return isRelayed ? [version, clientAddress, clientPort, serverAddress, serverPort] : [version, null];
}

test('readProxyHeader() reads the lines of version 1, and leaves what follows alone', () => {
  // The specification's own example.
  const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
  assert.equal(read(`${line}GET / HTTP/1.1\r\n`), line.length);
  assert.deepEqual(said(), [1, '192.168.0.1', 56_324, '192.168.0.11', 443]);
  assert.equal(read('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n'), 56);
  assert.equal(read('PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n\r\n'), 32);
  const longest = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
  assert.equal(read(`PROXY TCP6 ${longest} ${longest} 65535 65535\r\n`), 104);
  assert.deepEqual(said(), [1, longest, 65_535, longest, 65_535]);
  read('PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2\r\n');
  assert.deepEqual(said(), [1, '2001:db8::1', 1, '::1', 2]);
  read('PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c000:202 1 2\r\n');
  assert.deepEqual(said(), [1, '192.0.2.1', 1, '192.0.2.2', 2]);
  for (const unknown of ['PROXY UNKNOWN\r\n', `PROXY UNKNOWN ${longest} ${longest} 65535 65535\r\n`, 'PROXY UNKNOWN \x00\xff\r\n']) {
    assert.equal(read(`${unknown}x`), unknown.length);
    assert.deepEqual(said(), [1, null]);
  }
});

test('readProxyHeader() refuses lines that are not exactly so', () => {
  const wrong = [
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
    'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n',
    'PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.08 1 2\r\n',
    'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2e1\r\n',
    'PROXY TCP4 ::1 ::2 1 2\r\n',
    'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP6 ::1 1.2.3.4 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP6 1::2::3 ::1 1 2\r\n',
    'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY \r\n',
    `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(200)}`,
  ];
  for (const line of wrong) assert.equal(read(line), FAULT_PROXY_HEADER_MALFORMED, JSON.stringify(line));
  for (const line of ['GET / HTTP/1.1\r\n', 'POST', 'PRI * HTTP/2.0', 'proxy TCP4', '\x16\x03\x01', '\r\n\r\nX', '\0'])
    assert.equal(read(line), FAULT_PROXY_HEADER_MISSING, JSON.stringify(line));
});

test('readProxyHeader() reads version 2: IPv4, IPv6, Unix, and those who speak for themselves', () => {
  assert.equal(read(Buffer.concat([v2(0x21, 0x11, ADDRESSES4), Buffer.from('more')])), 28);
  assert.deepEqual(said(), [2, '192.0.2.1', 56_324, '198.51.100.7', 443]);
  assert.equal(read(v2(0x21, 0x21, ADDRESSES6)), 52);
  assert.deepEqual(said(), [2, '2001:db8::1', 56_324, '2001:db8::ff', 443]);
  assert.equal(read(v2(0x21, 0x31, Buffer.alloc(216, 'p'))), 232);
  assert.deepEqual(said(), [2, 'unix', 0, 'unix', 0]);
  const own = [
    v2(0x20, 0x00, Buffer.alloc(0)),
    v2(0x20, 0x11, ADDRESSES4),
    v2(0x20, 0x00, Buffer.alloc(500, 1)),
    v2(0x21, 0x00, Buffer.alloc(0)),
    v2(0x21, 0x00, Buffer.alloc(40, 7)),
    v2(0x21, 0x12, ADDRESSES4),
    v2(0x21, 0x10, ADDRESSES4),
    v2(0x21, 0x32, Buffer.alloc(216)),
  ];
  for (const bytes of own) {
    assert.equal(read(Buffer.concat([bytes, Buffer.from('x')])), bytes.length, bytes.toString('hex'));
    assert.deepEqual(said(), [2, null]);
  }
});

test('readProxyHeader() passes over values it has no use for, and refuses those that do not fit', () => {
  const extra = Buffer.concat([tlv(0x02, Buffer.from('shop.example')), tlv(0x04, Buffer.alloc(0)), tlv(0xee, Buffer.alloc(300))]);
  assert.equal(read(v2(0x21, 0x11, Buffer.concat([ADDRESSES4, extra]))), 28 + extra.length);
  assert.deepEqual(said(), [2, '192.0.2.1', 56_324, '198.51.100.7', 443]);
  for (const bad of [Buffer.from([4]), Buffer.from([4, 0]), Buffer.from([4, 0, 1]), Buffer.from([4, 0xff, 0xff, 0])])
    assert.equal(read(v2(0x21, 0x11, Buffer.concat([ADDRESSES4, bad]))), FAULT_PROXY_HEADER_MALFORMED, bad.toString('hex'));
  const wrong = [
    v2(0x11, 0x11, ADDRESSES4),
    v2(0x31, 0x11, ADDRESSES4),
    v2(0x22, 0x11, ADDRESSES4),
    v2(0x2f, 0x11, ADDRESSES4),
    v2(0x21, 0x41, ADDRESSES4),
    v2(0x21, 0x13, ADDRESSES4),
    v2(0x21, 0x11, ADDRESSES4.subarray(0, 11)),
    v2(0x21, 0x21, ADDRESSES4),
    v2(0x21, 0x31, Buffer.alloc(215)),
  ];
  for (const bytes of wrong) assert.equal(read(bytes), FAULT_PROXY_HEADER_MALFORMED, bytes.toString('hex'));
  assert.equal(read(v2(0x21, 0x11, ADDRESSES4, 65_535)), FAULT_PROXY_HEADER_TOO_LARGE);
  assert.equal(read(v2(0x21, 0x11, ADDRESSES4, PROXY_HEADER_BYTES_MAX - 16)), NEED_MORE);
  assert.equal(header.neededBytes, PROXY_HEADER_BYTES_MAX);
});

test('readProxyHeader() holds a header to its own sum', () => {
  const summed = (wrong: number): Buffer => {
    const bytes = v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(0x03, Buffer.alloc(4)), tlv(0x02, Buffer.from('a.example'))]));
    bytes.writeUInt32BE((crc32c(bytes, 0, bytes.length) ^ wrong) >>> 0, 31);
    return bytes;
  };
  assert.equal(read(summed(0)), 28 + 7 + 12);
  assert.equal(read(summed(1)), FAULT_PROXY_HEADER_CHECKSUM);
  const changed = summed(0);
  changed[17]! ^= 1;
  assert.equal(read(changed), FAULT_PROXY_HEADER_CHECKSUM);
  const twice = Buffer.concat([ADDRESSES4, tlv(0x03, Buffer.alloc(4)), tlv(0x03, Buffer.alloc(4))]);
  assert.equal(read(v2(0x21, 0x11, twice)), FAULT_PROXY_HEADER_MALFORMED);
  assert.equal(read(v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(0x03, Buffer.alloc(5))]))), FAULT_PROXY_HEADER_MALFORMED);
});

test('readProxyHeader() gives the same answer however the bytes come, and asks for no more than there will be', () => {
  for (const bytes of [
    Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n'),
    Buffer.from('PROXY UNKNOWN\r\n'),
    v2(0x21, 0x21, Buffer.concat([ADDRESSES6, tlv(0x02, Buffer.alloc(200))])),
    v2(0x20, 0x00, Buffer.alloc(0)),
  ]) {
    for (let have = 0; have < bytes.length; have++) {
      assert.equal(readProxyHeader(bytes, 0, have, header), NEED_MORE);
      assert.ok(header.neededBytes > have && header.neededBytes <= bytes.length, `${have}: ${header.neededBytes}`);
    }
    assert.equal(readProxyHeader(bytes, 0, bytes.length, header), bytes.length);
  }
});

test('writeProxyHeader() writes version 1 as the specification has it', () => {
  const line = (content: Partial<ProxyHeaderContent>): string => writeProxyHeader(1, { ...PLAIN, ...content }).toString('latin1');
  assert.equal(line({}), 'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n');
  const v6 = { clientAddress: '2001:db8::1', serverAddress: '::1' };
  assert.equal(line(v6), 'PROXY TCP6 2001:db8::1 ::1 56324 443\r\n');
  assert.equal(line({ serverAddress: '::1' }), 'PROXY TCP6 ::ffff:192.0.2.1 ::1 56324 443\r\n');
  assert.equal(line({ clientAddress: 'unix' }), 'PROXY UNKNOWN\r\n');
});

test('writeProxyHeader() writes version 2 with what is known of the TLS', () => {
  assert.equal(writeProxyHeader(2, PLAIN).toString('hex'), v2(0x21, 0x11, ADDRESSES4).toString('hex'));
  assert.equal(writeProxyHeader(2, { ...PLAIN, clientAddress: 'unix' }).toString('hex'), v2(0x21, 0x00, Buffer.alloc(0)).toString('hex'));
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', clientName: 'Ada', isVerified: true };
  const uniqueId = Buffer.from('0123456789abcdef');
  const bytes = writeProxyHeader(2, { ...PLAIN, tls, protocol: 'imap', authority: 'mail.example', uniqueId });
  const ssl = (flags: number, verify: number, ...values: Buffer[]): Buffer =>
    tlv(0x20, Buffer.concat([Buffer.from([flags, 0, 0, 0, verify]), ...values]));
  const version = tlv(0x21, Buffer.from('TLSv1.3'));
  const cipher = tlv(0x23, Buffer.from('TLS_AES_128_GCM_SHA256'));
  const name = tlv(0x22, Buffer.from('Ada'));
  const named = [tlv(0x01, Buffer.from('imap')), tlv(0x02, Buffer.from('mail.example')), tlv(0x05, uniqueId)];
  assert.equal(
    bytes.toString('hex'),
    v2(0x21, 0x11, Buffer.concat([ADDRESSES4, ...named, ssl(7, 0, version, cipher, name)])).toString('hex'),
  );
  const unverified = writeProxyHeader(2, { ...PLAIN, tls: { ...tls, isVerified: false } });
  assert.ok(unverified.includes(ssl(7, 1, version, cipher, name)));
  const anonymous = writeProxyHeader(2, { ...PLAIN, tls: { ...tls, clientName: null } });
  assert.ok(anonymous.includes(ssl(1, 1, version, cipher)));
});

test('readProxyHeader() reads back what writeProxyHeader() wrote', () => {
  const port = fc.nat(65_535);
  const text = fc.string({ maxLength: 400 });
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, address, port, port, text, text, text, fc.uint8Array({ maxLength: 128 }), fc.boolean(), (...given) => {
      const [clientAddress, serverAddress, clientPort, serverPort, authority, protocol, clientName, uniqueId, isVerified] = given;
      const tls = { version: 'TLSv1.2', cipher: 'x'.repeat(60), clientName, isVerified };
      const addresses = { clientAddress, serverAddress, clientPort, serverPort };
      for (const version of [1, 2] as const) {
        const bytes = writeProxyHeader(version, { ...addresses, tls, authority, protocol, uniqueId });
        assert.ok(bytes.length <= PROXY_HEADER_SENT_BYTES_MAX);
        assert.equal(readProxyHeader(bytes, 0, bytes.length, header), bytes.length);
        assert.equal(header.isRelayed, true);
        assert.deepEqual([header.clientPort, header.serverPort], [clientPort, serverPort]);
        const canonical = [header.clientAddress, header.serverAddress];
        // What was read is canonical: written and read again it stays.
        const again = writeProxyHeader(version, { ...PLAIN, clientAddress: canonical[0]!, serverAddress: canonical[1]! });
        readProxyHeader(again, 0, again.length, header);
        assert.deepEqual([header.clientAddress, header.serverAddress], canonical);
      }
    }),
  );
});

const ITERATIONS = 20_000;

test('readProxyHeader() survives damaged headers', (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`repeat: node src/net/proxy-protocol.fuzz.ts ${seed} ${ITERATIONS}`);
  fuzz(seed, ITERATIONS);
});
