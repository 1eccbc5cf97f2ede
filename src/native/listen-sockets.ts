/** Listening sockets: opened by the supervisor, handed to workers over a socket pair as SCM_RIGHTS. */
import { readFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { assert } from '../base/assert.ts';
import type { HandoffTag } from '../plan/messages.ts';
import type { ListenAddress, SocketPlan } from '../plan/plan.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { peerPort, socketAddress } from './ffi/socket-address.ts';

/** How long the kernel holds a connection that says nothing, where `deferAccept` is set. Seconds; rounded up to its retransmission steps. */
const DEFER_ACCEPT_S = 5;
/** Descriptors one message carries at most (the kernel's SCM_MAX_FD is 253). */
const DESCRIPTORS_PER_MESSAGE = 250;
const TAG_BYTES_MAX = 16_384;

export type Opened = { readonly fd: number } | { readonly error: string; readonly code: string };

/** One listening socket with SO_REUSEPORT, non-blocking, CLOEXEC. Never throws: the error is for people, the code (`EADDRINUSE`) for programs. */
export function openListenSocket(address: ListenAddress, socket: SocketPlan): Opened {
  const family = address.family === 0 ? libc.AF_UNIX : address.family === 6 ? libc.AF_INET6 : libc.AF_INET;
  const fd = libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return failed('socket');
  const one = new NativeMemory(4);
  const set = (level: number, name: number, value: number): boolean => {
    one.bytes.writeInt32LE(value, 0);
    return libc.setsockopt(fd, level, name, one.address, 4) === 0;
  };
  if (address.family !== 0) {
    set(libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
    if (!set(libc.SOL_SOCKET, libc.SO_REUSEPORT, 1)) return failed('SO_REUSEPORT', fd);
    if (address.family === 6) set(libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, 1);
    // Inherited by every accepted connection, so that none needs a call of its own.
    set(libc.IPPROTO_TCP, libc.TCP_NODELAY, 1);
    if (socket.keepAliveS > 0) {
      set(libc.SOL_SOCKET, libc.SO_KEEPALIVE, 1);
      set(libc.IPPROTO_TCP, libc.TCP_KEEPIDLE, socket.keepAliveS);
    }
    if (socket.userTimeoutMs > 0) set(libc.IPPROTO_TCP, libc.TCP_USER_TIMEOUT, socket.userTimeoutMs);
    if (socket.deferAccept) set(libc.IPPROTO_TCP, libc.TCP_DEFER_ACCEPT, DEFER_ACCEPT_S);
    if (socket.fastOpen) set(libc.IPPROTO_TCP, libc.TCP_FASTOPEN, 256);
  }
  const at = socketAddress(address);
  if (libc.bind(fd, at.address, at.length) !== 0) return failed('bind', fd);
  if (libc.listen(fd, socket.backlog) !== 0) return failed('listen', fd);
  return { fd };
}

/**
 * Whether somebody listens on `address` already, as the error that says so, or null. SO_REUSEPORT would let two programs of one user share
 * a port without noticing: a socket without it would not.
 */
export function addressTaken(address: ListenAddress): Opened | null {
  if (address.family === 0) return null;
  const fd = libc.socket(address.family === 6 ? libc.AF_INET6 : libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return failed('socket');
  const one = new NativeMemory(4);
  one.bytes.writeInt32LE(1, 0);
  libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, one.address, 4);
  if (address.family === 6) libc.setsockopt(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, one.address, 4);
  const at = socketAddress(address);
  if (libc.bind(fd, at.address, at.length) !== 0) return failed('bind', fd);
  libc.close(fd);
  return null;
}

function failed(what: string, fd = -1): Opened {
  const error = libc.errno();
  if (fd >= 0) libc.close(fd);
  const code = getSystemErrorName(-error);
  return { error: `${what}: ${code}`, code };
}

/** Port of a bound TCP socket; 0 for a Unix one. */
export function boundPort(fd: number): number {
  const name = new NativeMemory(128);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(name.length, 0);
  return libc.getsockname(fd, name.address, length.address) === 0 ? peerPort(name.bytes) : 0;
}

export function closeFd(fd: number): void {
  libc.close(fd);
}

/** Whether the kernel lets servers take data with the SYN (bit 2 of net.ipv4.tcp_fastopen). */
export function isFastOpenActive(): boolean {
  try {
    return (Number(readFileSync('/proc/sys/net/ipv4/tcp_fastopen', 'utf8')) & 2) !== 0;
  } catch {
    return false;
  }
}

/** Two ends for handing descriptors over, message by message. */
export function openHandoffPair(): [number, number] {
  const pair = new NativeMemory(8);
  const result = libc.socketpair(libc.AF_UNIX, libc.SOCK_SEQPACKET | libc.SOCK_CLOEXEC, 0, pair.address);
  assert(result === 0, 'socketpair');
  return [pair.bytes.readInt32LE(0), pair.bytes.readInt32LE(4)];
}

/** struct msghdr, iovec and control message in one block, and what they point to. */
class Message {
  readonly header = new NativeMemory(56);
  readonly vector = new NativeMemory(16);
  readonly text = new NativeMemory(TAG_BYTES_MAX);
  readonly control = new NativeMemory(16 + DESCRIPTORS_PER_MESSAGE * 4 + 8);

  prepare(textBytes: number, controlBytes: number): void {
    this.vector.bytes.writeBigUInt64LE(BigInt(this.text.address), 0);
    this.vector.bytes.writeBigUInt64LE(BigInt(textBytes), 8);
    this.header.bytes.fill(0);
    this.header.bytes.writeBigUInt64LE(BigInt(this.vector.address), 16);
    this.header.bytes.writeBigUInt64LE(1n, 24);
    this.header.bytes.writeBigUInt64LE(BigInt(this.control.address), 32);
    this.header.bytes.writeBigUInt64LE(BigInt(controlBytes), 40);
  }
}

/** Sends `fds` with `tag` beside them. False when the other end is gone or full. The sender keeps its descriptors. */
export function sendSockets(channel: number, tag: HandoffTag, fds: readonly number[]): boolean {
  assert(fds.length > 0 && fds.length <= DESCRIPTORS_PER_MESSAGE, 'descriptors fit one message');
  const message = new Message();
  const textBytes = message.text.bytes.write(JSON.stringify(tag));
  assert(textBytes < TAG_BYTES_MAX, 'the tag fits');
  const used = 16 + fds.length * 4;
  message.control.bytes.writeBigUInt64LE(BigInt(used), 0);
  message.control.bytes.writeInt32LE(libc.SOL_SOCKET, 8);
  message.control.bytes.writeInt32LE(libc.SCM_RIGHTS, 12);
  fds.forEach((fd, i) => {
    message.control.bytes.writeInt32LE(fd, 16 + 4 * i);
  });
  message.prepare(textBytes, (used + 7) & ~7);
  return (libc.sendmsg(channel, message.header.address, libc.MSG_NOSIGNAL | libc.MSG_DONTWAIT) as number) === textBytes;
}

export interface ReceivedSockets {
  readonly tag: HandoffTag;
  readonly fds: readonly number[];
}

/** The next message, or null when none waits; `closed` when the other end is gone. */
export function receiveSockets(channel: number): ReceivedSockets | 'closed' | null {
  const message = new Message();
  message.prepare(TAG_BYTES_MAX, message.control.length);
  const n = libc.recvmsg(channel, message.header.address, libc.MSG_CMSG_CLOEXEC | libc.MSG_DONTWAIT) as number;
  if (n < 0) return libc.errno() === libc.EAGAIN ? null : 'closed';
  if (n === 0) return 'closed';
  const fds: number[] = [];
  const used = Number(message.control.bytes.readBigUInt64LE(0));
  for (let at = 16; at + 4 <= used; at += 4) fds.push(message.control.bytes.readInt32LE(at));
  const tag = JSON.parse(message.text.bytes.toString('utf8', 0, n)) as HandoffTag;
  return { tag, fds };
}

/** Sets CLOEXEC on a descriptor this process was born with. */
export function closeOnExec(fd: number): void {
  libc.fcntl(fd, libc.F_SETFD, libc.FD_CLOEXEC);
}
