/**
 * Finds ClientHellos in a capture file (pcap, pcapng): the first bytes of each TCP stream, put in order, as far as a hello can reach. Pure:
 * bytes in, bytes out. What is no TCP over IP, and what lies behind a hello, is passed over; a file that is no capture is said to be none.
 */
import { HELLO_WIRE_BYTES_MAX } from './client-hello.ts';

/** Streams looked at in one file: more of them, and the rest is left out. */
const STREAMS_MAX = 10_000;
/** Segments kept for one stream: a hello in single bytes is nobody's capture. */
const SEGMENTS_MAX = 256;

export interface CapturedHello {
  /** `192.0.2.1:50000 > 192.0.2.2:443` */
  readonly stream: string;
  /** The stream from its beginning. A hello, perhaps; perhaps cut. */
  readonly bytes: Buffer;
}

interface Stream {
  /** Sequence number of the first byte: behind a SYN, or the lowest seen. */
  start: number;
  hasStart: boolean;
  readonly segments: { readonly sequence: number; readonly payload: Buffer }[];
}

const LINK_NULL = 0;
const LINK_ETHERNET = 1;
const LINK_RAW = 101;
const LINK_LOOP = 108;
const LINK_SLL = 113;
const LINK_IPV4 = 228;
const LINK_IPV6 = 229;
const LINK_SLL2 = 276;
const PROTOCOL_TCP = 6;
const TYPE_HANDSHAKE = 22;

/** Streams of a capture that begin with a TLS handshake record, in the order of their first packet; null: the file is no capture. */
export function capturedHellos(file: Buffer): CapturedHello[] | null {
  const streams = new Map<string, Stream>();
  const isCapture = readPcap(file, streams) || readPcapng(file, streams);
  if (!isCapture) return null;
  const found: CapturedHello[] = [];
  for (const [stream, { start, hasStart, segments }] of streams) {
    const bytes = joined(segments, hasStart ? start : null);
    if (bytes.length > 0 && bytes[0] === TYPE_HANDSHAKE) found.push({ stream, bytes });
  }
  return found;
}

/** The segments behind each other from `start` (null: from the lowest), as far as none is missing. */
function joined(segments: Stream['segments'], start: number | null): Buffer {
  if (segments.length === 0) return Buffer.alloc(0);
  const first =
    start ?? segments.reduce((lowest, { sequence }) => (((sequence - lowest) | 0) < 0 ? sequence : lowest), segments[0]!.sequence);
  // Sequence numbers wrap: RFC 9293, section 3.4.
  const placed = segments.map(({ sequence, payload }) => ({ at: (sequence - first) | 0, payload })).sort((a, b) => a.at - b.at);
  const parts: Buffer[] = [];
  let end = 0;
  for (const { at, payload } of placed) {
    if (at > end) break;
    const fresh = payload.subarray(end - at);
    if (fresh.length === 0 || end - at > payload.length) continue;
    parts.push(fresh);
    end += fresh.length;
    if (end >= HELLO_WIRE_BYTES_MAX) break;
  }
  return Buffer.concat(parts).subarray(0, HELLO_WIRE_BYTES_MAX);
}

/** The classic form: 24 bytes of head, then packets behind 16 bytes each. Either byte order, micro- or nanoseconds. */
function readPcap(file: Buffer, streams: Map<string, Stream>): boolean {
  if (file.length < 24) return false;
  const magic = file.readUInt32BE(0);
  const isBig = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  if (!isBig && magic !== 0xd4c3b2a1 && magic !== 0x4d3cb2a1) return false;
  const u32 = reader(file, isBig);
  const link = u32(20) & 0xffff;
  for (let at = 24; at + 16 <= file.length; ) {
    const length = u32(at + 8);
    const end = at + 16 + length;
    if (end > file.length) break;
    readPacket(file.subarray(at + 16, end), link, streams);
    at = end;
  }
  return true;
}

/** Blocks: a section's head says the byte order, interfaces say the link, enhanced and simple packets hold the bytes. */
function readPcapng(file: Buffer, streams: Map<string, Stream>): boolean {
  if (file.length < 28 || file.readUInt32BE(0) !== 0x0a0d0d0a) return false;
  let isBig = false;
  const links: number[] = [];
  for (let at = 0; at + 12 <= file.length; ) {
    const isSection = file.readUInt32BE(at) === 0x0a0d0d0a;
    if (isSection) {
      isBig = file.readUInt32BE(at + 8) === 0x1a2b3c4d;
      links.length = 0;
    }
    const u32 = reader(file, isBig);
    const type = isSection ? 0 : u32(at);
    const length = u32(at + 4);
    if (length < 12 || at + length > file.length) break;
    const body = file.subarray(at + 8, at + length - 4);
    if (type === 1 && body.length >= 4) links.push(isBig ? body.readUInt16BE(0) : body.readUInt16LE(0));
    else if (type === 6 && body.length >= 20) {
      const captured = reader(body, isBig)(12);
      readPacket(body.subarray(20, 20 + captured), links[reader(body, isBig)(0)] ?? LINK_ETHERNET, streams);
    } else if (type === 3 && body.length >= 4) readPacket(body.subarray(4), links[0] ?? LINK_ETHERNET, streams);
    at += length;
  }
  return true;
}

function reader(bytes: Buffer, isBig: boolean): (at: number) => number {
  return (at) => (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
}

function readPacket(packet: Buffer, link: number, streams: Map<string, Stream>): void {
  const at = ipAt(packet, link);
  if (at < 0 || packet.length < at + 20) return;
  const version = packet[at]! >>> 4;
  if (version === 4) readIpv4(packet.subarray(at), streams);
  else if (version === 6) readIpv6(packet.subarray(at), streams);
}

/** Where the IP head begins, or -1. */
function ipAt(packet: Buffer, link: number): number {
  switch (link) {
    case LINK_NULL:
    case LINK_LOOP:
      return 4;
    case LINK_ETHERNET: {
      let at = 12;
      // 802.1Q and its kin put four bytes in between, perhaps twice.
      while (packet.length >= at + 2 && [0x8100, 0x88a8].includes(packet.readUInt16BE(at))) at += 4;
      return at + 2;
    }
    case LINK_RAW:
    case LINK_IPV4:
    case LINK_IPV6:
      return 0;
    case LINK_SLL:
      return 16;
    case LINK_SLL2:
      return 20;
    default:
      return -1;
  }
}

function readIpv4(packet: Buffer, streams: Map<string, Stream>): void {
  const head = (packet[0]! & 15) * 4;
  const total = Math.min(packet.readUInt16BE(2) || packet.length, packet.length);
  const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (packet[9] !== PROTOCOL_TCP || isFragment || head < 20 || total < head + 20) return;
  const address = (from: number): string => packet.subarray(from, from + 4).join('.');
  readTcp(packet.subarray(head, total), address(12), address(16), streams);
}

/** Without extension heads: nobody's TCP has any. */
function readIpv6(packet: Buffer, streams: Map<string, Stream>): void {
  if (packet.length < 60 || packet[6] !== PROTOCOL_TCP) return;
  const total = Math.min(40 + (packet.readUInt16BE(4) || packet.length), packet.length);
  const address = (from: number): string =>
    `[${packet
      .subarray(from, from + 16)
      .toString('hex')
      .replaceAll(/(....)(?!$)/g, '$1:')}]`;
  readTcp(packet.subarray(40, total), address(8), address(24), streams);
}

function readTcp(segment: Buffer, from: string, to: string, streams: Map<string, Stream>): void {
  const head = (segment[12]! >>> 4) * 4;
  if (head < 20 || segment.length < head) return;
  const key = `${from}:${segment.readUInt16BE(0)} > ${to}:${segment.readUInt16BE(2)}`;
  const sequence = segment.readUInt32BE(4);
  const isSyn = (segment[13]! & 2) !== 0;
  let stream = streams.get(key);
  if (isSyn || stream === undefined) {
    if (stream === undefined && streams.size >= STREAMS_MAX) return;
    // A port used again begins another stream; the hello of the first is the one that is kept.
    if (stream === undefined || stream.segments.length === 0) {
      stream = { start: (sequence + 1) >>> 0, hasStart: isSyn, segments: [] };
      streams.set(key, stream);
    } else return;
  }
  const payload = segment.subarray(head);
  if (payload.length > 0 && !isSyn && stream.segments.length < SEGMENTS_MAX) stream.segments.push({ sequence, payload });
}
