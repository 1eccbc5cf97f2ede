/**
 * Descriptors on their way from process to process: SCM_RIGHTS over SOCK_SEQPACKET sockets, each message a tag and its descriptors.
 * A supervisor makes a pair for a worker it starts, and listens where processes of another supervisor are to connect.
 */
import { rmSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { HandoffTag } from '../plan/messages.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { socketAddress } from './ffi/socket-address.ts';

/** Descriptors one message carries at most (the kernel's SCM_MAX_FD is 253). */
export const DESCRIPTORS_PER_MESSAGE = 200;
const TAG_BYTES_MAX = 16_384;
const BACKLOG = 64;

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

/** Sends `fds` with `tag` beside them, DESCRIPTORS_PER_MESSAGE at most. False when the other end is gone or full. The sender keeps its descriptors. */
export function sendDescriptors(channel: number, tag: HandoffTag, fds: readonly number[]): boolean {
  assert(fds.length <= DESCRIPTORS_PER_MESSAGE, 'descriptors fit one message');
  const message = new Message();
  const textBytes = message.text.bytes.write(JSON.stringify(tag));
  assert(textBytes < TAG_BYTES_MAX, 'the tag fits');
  const used = fds.length === 0 ? 0 : 16 + fds.length * 4;
  message.control.bytes.writeBigUInt64LE(BigInt(used), 0);
  message.control.bytes.writeInt32LE(libc.SOL_SOCKET, 8);
  message.control.bytes.writeInt32LE(libc.SCM_RIGHTS, 12);
  fds.forEach((fd, i) => {
    message.control.bytes.writeInt32LE(fd, 16 + 4 * i);
  });
  message.prepare(textBytes, (used + 7) & ~7);
  return (libc.sendmsg(channel, message.header.address, libc.MSG_NOSIGNAL | libc.MSG_DONTWAIT) as number) === textBytes;
}

export interface Received {
  readonly tag: HandoffTag;
  readonly fds: readonly number[];
}

/** The next message, or null when none waits; `closed` when the other end is gone. */
export function receiveDescriptors(channel: number): Received | 'closed' | null {
  const message = new Message();
  message.prepare(TAG_BYTES_MAX, message.control.length);
  const n = libc.recvmsg(channel, message.header.address, libc.MSG_CMSG_CLOEXEC | libc.MSG_DONTWAIT) as number;
  if (n < 0) return libc.errno() === libc.EAGAIN ? null : 'closed';
  if (n === 0) return 'closed';
  const fds: number[] = [];
  const controlBytes = Number(message.header.bytes.readBigUInt64LE(40));
  const used = controlBytes < 16 ? 0 : Number(message.control.bytes.readBigUInt64LE(0));
  for (let at = 16; at + 4 <= used; at += 4) fds.push(message.control.bytes.readInt32LE(at));
  const tag = JSON.parse(message.text.bytes.toString('utf8', 0, n)) as HandoffTag;
  return { tag, fds };
}

/** A place where handoff channels are opened to. */
export class HandoffListener {
  readonly path: string;
  #fd: number;

  /** Listens on `path`, for this user alone. Throws when it cannot. */
  constructor(path: string) {
    this.path = path;
    rmSync(path, { force: true });
    const at = socketAddress({ family: 0, path });
    this.#fd = libc.socket(libc.AF_UNIX, libc.SOCK_SEQPACKET | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC, 0) as number;
    const before = process.umask(0o177);
    const bound = libc.bind(this.#fd, at.address, at.length) === 0 && libc.listen(this.#fd, BACKLOG) === 0;
    const error = libc.errno();
    process.umask(before);
    if (!bound) throw new Error(`the handoff socket ${path} cannot be had (errno ${error})`);
  }

  /** The next channel, or -1 when none waits. */
  accept(): number {
    return Math.max(-1, libc.accept4(this.#fd, 0, 0, libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK) as number);
  }

  close(): void {
    if (this.#fd < 0) return;
    libc.close(this.#fd);
    this.#fd = -1;
    rmSync(this.path, { force: true });
  }
}

/** A channel to whoever listens on `path`; -1 when nobody does. */
export function connectHandoff(path: string): number {
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_SEQPACKET | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return -1;
  const at = socketAddress({ family: 0, path });
  if (libc.connect(fd, at.address, at.length) === 0) return fd;
  libc.close(fd);
  return -1;
}
