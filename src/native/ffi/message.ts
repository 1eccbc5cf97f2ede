/** struct msghdr with one part of text and room for descriptors (SCM_RIGHTS), and what it points to. recvmsg(2), cmsg(3). */
import { assert } from '../../base/assert.ts';
import { SCM_RIGHTS, SOL_SOCKET } from './libc.ts';
import { NativeMemory } from './native-memory.ts';

/** struct cmsghdr: length, level, type. Bytes. */
const CONTROL_HEAD_BYTES = 16;
const DESCRIPTOR_BYTES = 4;

export class Message {
  readonly text: NativeMemory;
  readonly #header = new NativeMemory(56);
  readonly #vector = new NativeMemory(16);
  readonly #control: NativeMemory;
  readonly #descriptorsMax: number;
  /** Whom it goes to; kept while the header points at it. */
  #to: NativeMemory | null = null;

  constructor(textBytesMax: number, descriptorsMax: number) {
    this.text = new NativeMemory(textBytesMax);
    this.#control = new NativeMemory(CONTROL_HEAD_BYTES + descriptorsMax * DESCRIPTOR_BYTES + 8);
    this.#descriptorsMax = descriptorsMax;
  }

  /** For sending: `textBytes` of `text`, and `fds`. `to`: a sockaddr, where the socket is not connected. Gives what sendmsg is to be told. */
  outgoing(textBytes: number, fds: readonly number[], to: NativeMemory | null = null): number {
    assert(fds.length <= this.#descriptorsMax, 'descriptors fit one message');
    const { bytes } = this.#control;
    const used = fds.length === 0 ? 0 : CONTROL_HEAD_BYTES + fds.length * DESCRIPTOR_BYTES;
    bytes.writeBigUInt64LE(BigInt(used), 0);
    bytes.writeInt32LE(SOL_SOCKET, 8);
    bytes.writeInt32LE(SCM_RIGHTS, 12);
    fds.forEach((fd, i) => {
      bytes.writeInt32LE(fd, CONTROL_HEAD_BYTES + DESCRIPTOR_BYTES * i);
    });
    return this.#prepare(textBytes, (used + 7) & ~7, to);
  }

  /** For receiving, as much as there is room for. Gives what recvmsg is to be told. */
  incoming(): number {
    return this.#prepare(this.text.length, this.#control.length, null);
  }

  /** The descriptors that came with what was received. */
  descriptors(): number[] {
    const controlBytes = Number(this.#header.bytes.readBigUInt64LE(40));
    const used = controlBytes < CONTROL_HEAD_BYTES ? 0 : Number(this.#control.bytes.readBigUInt64LE(0));
    const fds: number[] = [];
    for (let at = CONTROL_HEAD_BYTES; at + DESCRIPTOR_BYTES <= used; at += DESCRIPTOR_BYTES) fds.push(this.#control.bytes.readInt32LE(at));
    return fds;
  }

  #prepare(textBytes: number, controlBytes: number, to: NativeMemory | null): number {
    const header = this.#header.bytes.fill(0);
    this.#to = to;
    if (this.#to !== null) {
      header.writeBigUInt64LE(BigInt(this.#to.address), 0);
      header.writeUInt32LE(this.#to.length, 8);
    }
    this.#vector.bytes.writeBigUInt64LE(BigInt(this.text.address), 0);
    this.#vector.bytes.writeBigUInt64LE(BigInt(textBytes), 8);
    header.writeBigUInt64LE(BigInt(this.#vector.address), 16);
    header.writeBigUInt64LE(1n, 24);
    header.writeBigUInt64LE(BigInt(this.#control.address), 32);
    header.writeBigUInt64LE(BigInt(controlBytes), 40);
    return this.#header.address;
  }
}
