/** sockaddr in bytes, both ways. Kernel's layout, the same on x64 and arm64. */
import { isIPv4, isIPv6 } from 'node:net';
import { assert } from '../../base/assert.ts';
import { ipv4Text, ipv6Text, writeAddress } from '../../base/ip-address.ts';
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
    writeAddress(ip, v4.bytes, 4);
    return v4;
  }
  assert(isIPv6(ip) && !ip.includes('%'), 'an IPv6 address');
  const v6 = new NativeMemory(28);
  v6.bytes.writeUInt16LE(AF_INET6, 0);
  v6.bytes.writeUInt16BE(endpoint.port ?? 0, 2);
  if (writeAddress(ip, v6.bytes, 8) === 4) {
    // Written as `::ffff:192.0.2.1`.
    v6.bytes.copyWithin(20, 8, 12);
    v6.bytes.fill(0, 8, 18);
    v6.bytes.fill(0xff, 18, 20);
  }
  return v6;
}

/** The address in a sockaddr as text: `192.0.2.1`, `2001:db8::1` (IPv4-mapped ones as IPv4), `unix` for a Unix peer. */
export function peerText(bytes: Buffer): string {
  const family = bytes.readUInt16LE(0);
  if (family === AF_INET) return ipv4Text(bytes, 4);
  return family === AF_INET6 ? ipv6Text(bytes, 8) : 'unix';
}

export function peerPort(bytes: Buffer): number {
  const family = bytes.readUInt16LE(0);
  return family === AF_INET || family === AF_INET6 ? bytes.readUInt16BE(2) : 0;
}
