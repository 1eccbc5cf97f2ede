/** sockaddr in bytes, both ways. Kernel's layout, the same on x64 and arm64. */
import { isIPv4, isIPv6 } from 'node:net';
import { assert } from '../../base/assert.ts';
import { AF_INET, AF_INET6, AF_UNIX } from './libc.ts';
import { NativeMemory } from './native-memory.ts';

export interface Endpoint {
  readonly family: 0 | 4 | 6;
  readonly ip?: string;
  readonly port?: number;
  readonly path?: string;
}

/** Longest path of a Unix socket, without its NUL. Bytes. */
export const UNIX_PATH_BYTES_MAX = 107;

/** A sockaddr for `endpoint`; its `length` is what the kernel is to be told. */
export function socketAddress(endpoint: Endpoint): NativeMemory {
  if (endpoint.family === 0) {
    const path = Buffer.from(endpoint.path ?? '');
    assert(path.length > 0 && path.length <= UNIX_PATH_BYTES_MAX && !path.includes(0), 'a Unix socket path that fits');
    const unix = new NativeMemory(3 + path.length);
    unix.bytes.writeUInt16LE(AF_UNIX, 0);
    path.copy(unix.bytes, 2);
    return unix;
  }
  const ip = endpoint.ip ?? '';
  if (endpoint.family === 4) {
    assert(isIPv4(ip), 'an IPv4 address');
    const v4 = new NativeMemory(16);
    v4.bytes.writeUInt16LE(AF_INET, 0);
    v4.bytes.writeUInt16BE(endpoint.port ?? 0, 2);
    ip.split('.').forEach((part, i) => {
      v4.bytes[4 + i] = Number(part);
    });
    return v4;
  }
  assert(isIPv6(ip) && !ip.includes('%'), 'an IPv6 address');
  const v6 = new NativeMemory(28);
  v6.bytes.writeUInt16LE(AF_INET6, 0);
  v6.bytes.writeUInt16BE(endpoint.port ?? 0, 2);
  ipv6Groups(ip).forEach((group, i) => {
    v6.bytes.writeUInt16BE(group, 8 + 2 * i);
  });
  return v6;
}

function ipv6Groups(text: string): number[] {
  let ip = text;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(ip);
  if (dotted !== null) {
    const [, head, a, b, c, d] = dotted;
    ip = `${head}${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`;
  }
  const [left = '', right] = ip.split('::');
  const front = left === '' ? [] : left.split(':');
  const back = right === undefined || right === '' ? [] : right.split(':');
  const middle = right === undefined ? [] : new Array<string>(8 - front.length - back.length).fill('0');
  return [...front, ...middle, ...back].map((group) => Number.parseInt(group, 16));
}

/** The address in `memory` as text: `192.0.2.1`, `2001:db8::1` (IPv4-mapped ones as IPv4), `unix` for a Unix peer. */
export function peerText(bytes: Buffer): string {
  const family = bytes.readUInt16LE(0);
  if (family === AF_INET) return `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`;
  if (family !== AF_INET6) return 'unix';
  let mapped = bytes[18] === 0xff && bytes[19] === 0xff;
  for (let i = 8; i < 18 && mapped; i++) mapped = bytes[i] === 0;
  if (mapped) return `${bytes[20]}.${bytes[21]}.${bytes[22]}.${bytes[23]}`;
  return ipv6Text(bytes, 8);
}

export function peerPort(bytes: Buffer): number {
  const family = bytes.readUInt16LE(0);
  return family === AF_INET || family === AF_INET6 ? bytes.readUInt16BE(2) : 0;
}

/** RFC 5952: the longest run of zero groups, if longer than one, becomes `::`. */
function ipv6Text(bytes: Buffer, at: number): string {
  let best = -1;
  let bestRun = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && bytes.readUInt16BE(at + 2 * (i + run)) === 0) run++;
    if (run > bestRun) {
      best = i;
      bestRun = run;
    }
    if (run > 0) i += run - 1;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      text += '::';
      i += bestRun - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += bytes.readUInt16BE(at + 2 * i).toString(16);
  }
  return text;
}
