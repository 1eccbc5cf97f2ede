/**
 * Descriptors on their way from process to process: SCM_RIGHTS over SOCK_SEQPACKET sockets, each message a tag and its descriptors.
 * A supervisor makes a pair for a worker it starts, and listens where processes of another supervisor are to connect.
 */
import { rmSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { HandoffTag } from '../plan/messages.ts';
import * as libc from './ffi/libc.ts';
import { Message } from './ffi/message.ts';
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

/** Sends `fds` with `tag` beside them, DESCRIPTORS_PER_MESSAGE at most. False when the other end is gone or full. The sender keeps its descriptors. */
export function sendDescriptors(channel: number, tag: HandoffTag, fds: readonly number[]): boolean {
  const message = new Message(TAG_BYTES_MAX, DESCRIPTORS_PER_MESSAGE);
  const textBytes = message.text.bytes.write(JSON.stringify(tag));
  assert(textBytes < TAG_BYTES_MAX, 'the tag fits');
  return (libc.sendmsg(channel, message.outgoing(textBytes, fds), libc.MSG_NOSIGNAL | libc.MSG_DONTWAIT) as number) === textBytes;
}

export interface Received {
  readonly tag: HandoffTag;
  readonly fds: readonly number[];
}

/** The next message, or null when none waits; `closed` when the other end is gone. */
export function receiveDescriptors(channel: number): Received | 'closed' | null {
  const message = new Message(TAG_BYTES_MAX, DESCRIPTORS_PER_MESSAGE);
  const n = libc.recvmsg(channel, message.incoming(), libc.MSG_CMSG_CLOEXEC | libc.MSG_DONTWAIT) as number;
  if (n < 0) return libc.errno() === libc.EAGAIN ? null : 'closed';
  if (n === 0) return 'closed';
  const tag = JSON.parse(message.text.bytes.toString('utf8', 0, n)) as HandoffTag;
  return { tag, fds: message.descriptors() };
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
