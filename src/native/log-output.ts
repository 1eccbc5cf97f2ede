/** Writing log lines where fs.write does not do: pipes and sockets that must not block, datagrams, and the lock between workers. */
import { FAULT_IO, WOULD_BLOCK } from '../base/faults.ts';
import type { TargetAddress } from '../plan/plan.ts';
import { addFileFlags } from './ffi/file-flags.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { socketAddress } from './ffi/socket-address.ts';
import type { Memory } from './memory.ts';

/** Datagrams in one call. */
const DATAGRAMS = 64;
const MESSAGE_BYTES = 64;
const LINE_END = 0x0a;
/** Where in the table's file, far behind its end, the byte lies that is locked. */
const LOCK_PLACE = 2 ** 40;

/** One write to a pipe or terminal that is non-blocking, or to a stream socket: bytes, 0 when it is full, FAULT_IO when nobody reads it. */
export function writeOutput(fd: number, socket: boolean, memory: Memory, offset: number, length: number): number {
  const at = (memory as NativeMemory).address + offset;
  const n = (socket ? libc.send(fd, at, length, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL) : libc.write(fd, at, length)) as number;
  if (n >= 0) return n;
  const error = libc.errno();
  return error === libc.EAGAIN || error === libc.EINTR ? WOULD_BLOCK : FAULT_IO;
}

/** A non-blocking datagram socket for `address`; -1 when there can be none. */
export function openDatagramSocket(address: TargetAddress): number {
  const family = address.family === 0 ? libc.AF_UNIX : address.family === 6 ? libc.AF_INET6 : libc.AF_INET;
  return libc.socket(family, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC, 0) as number;
}

/** Has what is written through this descriptor, by whoever shares it, go to the end of the file. */
export function setAppending(fd: number): void {
  addFileFlags(fd, libc.O_APPEND);
}

/** Lines to one address, a datagram each. The address goes with every datagram: a receiver that was started again is found again. */
export class DatagramSender {
  readonly #to: NativeMemory;
  readonly #messages = new NativeMemory(DATAGRAMS * MESSAGE_BYTES);
  readonly #vectors = new NativeMemory(DATAGRAMS * 16);

  constructor(address: TargetAddress) {
    this.#to = socketAddress(address);
    for (let i = 0; i < DATAGRAMS; i++) {
      const at = i * MESSAGE_BYTES;
      this.#messages.bytes.writeBigUInt64LE(BigInt(this.#to.address), at);
      this.#messages.bytes.writeUInt32LE(this.#to.length, at + 8);
      this.#messages.bytes.writeBigUInt64LE(BigInt(this.#vectors.address + 16 * i), at + 16);
      this.#messages.bytes.writeBigUInt64LE(1n, at + 24);
    }
  }

  /** Sends lines of memory[start, end), as many as one call takes. Bytes of the lines sent, newlines included; 0 when none can be sent now. */
  send(fd: number, memory: Memory, start: number, end: number): number {
    const { bytes, address } = memory as NativeMemory;
    let count = 0;
    for (let at = start; at < end && count < DATAGRAMS; count++) {
      const stop = bytes.indexOf(LINE_END, at);
      writePointer(this.#vectors.bytes, 16 * count, address + at);
      writePointer(this.#vectors.bytes, 16 * count + 8, stop - at);
      at = stop + 1;
    }
    const sent = libc.sendmmsg(fd, this.#messages.address, count, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL) as number;
    let bytesSent = 0;
    for (let i = 0; i < sent; i++) bytesSent += this.#vectors.bytes.readUInt32LE(16 * i + 8) + 1;
    return bytesSent;
  }
}

function writePointer(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/**
 * A lock that one process at a time holds, of those that share a file (the table's memory): given back by the kernel when its holder dies.
 * It never waits. fcntl(2): a process must not close any descriptor of that file while it holds the lock.
 */
export class ProcessLock {
  readonly #fd: number;
  readonly #request = new NativeMemory(32);
  /** Such a lock does not keep a process out of its own. */
  #held = false;

  constructor(fd: number) {
    this.#fd = fd;
    this.#request.bytes.writeBigInt64LE(BigInt(LOCK_PLACE), 8);
    this.#request.bytes.writeBigInt64LE(1n, 16);
  }

  /** False: somebody else has it. */
  take(): boolean {
    if (this.#held) return false;
    this.#request.bytes.writeInt16LE(libc.F_WRLCK, 0);
    this.#held = libc.fcntlLock(this.#fd, libc.F_SETLK, this.#request.address) === 0;
    return this.#held;
  }

  give(): void {
    this.#held = false;
    this.#request.bytes.writeInt16LE(libc.F_UNLCK, 0);
    libc.fcntlLock(this.#fd, libc.F_SETLK, this.#request.address);
  }
}
