import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRandom } from '../base/test-random.ts';
import { HELLO_WIRE_BYTES_MAX } from './client-hello.ts';
import { writeClientHello } from './hello-writer.ts';
import { KNOWN_CLIENTS } from './known-clients.ts';
import { capturedHellos } from './pcap.ts';

const hello = writeClientHello(KNOWN_CLIENTS[0]!, { name: 'shop.example' });

function tcp(sequence: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(50_000, 0);
  head.writeUInt16BE(443, 2);
  head.writeUInt32BE(sequence >>> 0, 4);
  head[12] = 0x50;
  head[13] = flags;
  return Buffer.concat([head, payload]);
}

function ipv4(segment: Buffer): Buffer {
  const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
  ip.writeUInt16BE(20 + segment.length, 2);
  return Buffer.concat([ip, segment]);
}

function ipv6(segment: Buffer): Buffer {
  const ip = Buffer.alloc(40);
  ip[0] = 0x60;
  ip.writeUInt16BE(segment.length, 4);
  ip[6] = 6;
  ip[23] = 1;
  ip[39] = 2;
  return Buffer.concat([ip, segment]);
}

function ethernet(packet: Buffer, type: readonly number[]): Buffer {
  return Buffer.concat([Buffer.alloc(12), Buffer.from(type), packet]);
}

function pcap(link: number, packets: readonly Buffer[], isBig = false): Buffer {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    if (isBig) bytes.writeUInt32BE(value);
    else bytes.writeUInt32LE(value);
    return bytes;
  };
  const parts = [u32(0xa1b2c3d4), u32(0), u32(0), u32(0), u32(65_535), u32(link)];
  for (const packet of packets) parts.push(u32(0), u32(0), u32(packet.length), u32(packet.length), packet);
  return Buffer.concat(parts);
}

function pcapng(link: number, packets: readonly Buffer[]): Buffer {
  const block = (type: number, body: Buffer): Buffer => {
    const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
    const bytes = Buffer.alloc(12 + padded.length);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(bytes.length, 4);
    padded.copy(bytes, 8);
    bytes.writeUInt32LE(bytes.length, bytes.length - 4);
    return bytes;
  };
  const section = Buffer.alloc(16);
  section.writeUInt32LE(0x1a2b3c4d, 0);
  const description = Buffer.alloc(8);
  description.writeUInt16LE(link, 0);
  const enhanced = packets.map((packet) => {
    const head = Buffer.alloc(20);
    head.writeUInt32LE(packet.length, 12);
    head.writeUInt32LE(packet.length, 16);
    return block(6, Buffer.concat([head, packet]));
  });
  return Buffer.concat([block(0x0a0d0d0a, section), block(1, description), ...enhanced]);
}

function only(file: Buffer): Buffer {
  const found = capturedHellos(file);
  assert.equal(found?.length, 1);
  return found![0]!.bytes;
}

test('capturedHellos() joins segments in any order, told twice, over the wrap of sequence numbers', () => {
  const start = 0xffff_fff0;
  const [a, b] = [hello.subarray(0, 100), hello.subarray(60)];
  const packets = [tcp(start - 1, 2, Buffer.alloc(0)), tcp(start + 60, 0x18, b), tcp(start, 0x18, a), tcp(start, 0x18, a)].map(ipv4);
  assert.deepEqual(only(pcap(101, packets)), hello);
});

test('capturedHellos() reads both byte orders, pcapng, Ethernet with VLANs, cooked packets and IPv6', () => {
  const four = ipv4(tcp(7, 0x18, hello));
  const six = ipv6(tcp(7, 0x18, hello));
  assert.deepEqual(only(pcap(1, [ethernet(four, [8, 0])], true)), hello);
  assert.deepEqual(only(pcap(1, [ethernet(four, [0x81, 0, 0, 5, 8, 0])])), hello);
  assert.deepEqual(only(pcap(113, [Buffer.concat([Buffer.alloc(16), four])])), hello);
  assert.deepEqual(only(pcap(276, [Buffer.concat([Buffer.alloc(20), six])])), hello);
  assert.deepEqual(only(pcapng(1, [ethernet(six, [0x86, 0xdd])])), hello);
});

test('capturedHellos() stops where a segment is missing, and passes over streams of something else', () => {
  const gap = pcap(101, [tcp(6, 2, Buffer.alloc(0)), tcp(7, 0x18, hello.subarray(0, 50)), tcp(100, 0x18, hello.subarray(93))].map(ipv4));
  assert.deepEqual(only(gap), hello.subarray(0, 50));
  assert.deepEqual(capturedHellos(pcap(101, [ipv4(tcp(7, 0x18, Buffer.from('GET / HTTP/1.1\r\n')))])), []);
  assert.equal(capturedHellos(Buffer.from('no capture at all, but some text')), null);
  assert.equal(capturedHellos(Buffer.alloc(0)), null);
});

test('capturedHellos() bounds what it keeps of one stream', () => {
  const large = Buffer.alloc(1_400, 22);
  const packets = Array.from({ length: 40 }, (_, i) => ipv4(tcp(7 + i * large.length, 0x18, large)));
  assert.equal(only(pcap(101, packets)).length, HELLO_WIRE_BYTES_MAX);
});

test('capturedHellos() takes any bytes without a throw', () => {
  const seed = Date.now() % 2 ** 31;
  const random = new TestRandom(seed);
  const files = [pcap(101, [ipv4(tcp(7, 0x18, hello))]), pcapng(1, [ethernet(ipv6(tcp(7, 0x18, hello)), [0x86, 0xdd])])];
  for (let i = 0; i < 3_000; i++) {
    const file = Buffer.from(random.of(files));
    for (let changes = 1 + random.below(6); changes > 0; changes--) file[random.below(file.length)] = random.below(256);
    const cut = file.subarray(0, random.once(3) ? random.below(file.length) : file.length);
    assert.doesNotThrow(() => capturedHellos(cut), `seed ${seed}, file ${i}`);
  }
});
