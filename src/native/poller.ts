/** epoll: watch descriptors edge-triggered, take events in batches. Event data is descriptor and generation, because a descriptor is reused within one batch. */
import { assert } from '../base/assert.ts';
import { EVENTS_PER_TURN } from '../base/limits.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';

export const READABLE = 1;
export const WRITABLE = 4;
export const ERROR = 8;
export const HANGUP = 16;
export const READ_HANGUP = 0x2000;
const EDGE = 0x80000000;
const BYTES_ALONE = (READABLE | READ_HANGUP | EDGE) >>> 0;
const BOTH_WAYS = (BYTES_ALONE | WRITABLE) >>> 0;
const CTL_ADD = 1;
const CTL_DEL = 2;
const CTL_MOD = 3;

// struct epoll_event is packed on x64 alone (12 bytes); elsewhere it is aligned (16).
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA = EVENT_BYTES - 8;

export class Poller {
  readonly fd: number;
  readonly #one = new NativeMemory(16);
  readonly #events = new NativeMemory(EVENTS_PER_TURN * EVENT_BYTES);
  readonly #view: DataView;
  readonly #wake: number;
  readonly #count = new NativeMemory(8);
  #armed = false;

  constructor() {
    this.fd = libc.epollCreate(libc.EPOLL_CLOEXEC) as number;
    assert(this.fd >= 0, 'epoll_create1');
    this.#view = new DataView(this.#events.bytes.buffer, this.#events.bytes.byteOffset, this.#events.length);
    this.#wake = libc.eventfd(0, libc.EFD_NONBLOCK | libc.EFD_CLOEXEC) as number;
    assert(this.#wake >= 0, 'eventfd');
    this.#control(CTL_ADD, this.#wake, READABLE, 0);
    this.#count.bytes[0] = 1;
  }

  /** Reads and writes, edge-triggered. False when the kernel refuses. */
  watch(fd: number, generation: number): boolean {
    return this.#control(CTL_ADD, fd, BOTH_WAYS, generation);
  }

  /** Reads only, edge-triggered, until `awaitRoom`. */
  watchBytes(fd: number, generation: number): boolean {
    return this.#control(CTL_ADD, fd, BYTES_ALONE, generation);
  }

  /** Writes too from here on. An event comes at once where there is room already. */
  awaitRoom(fd: number, generation: number): boolean {
    return this.#control(CTL_MOD, fd, BOTH_WAYS, generation);
  }

  /** Reads only, level-triggered: for listeners, where what is left waits for the next turn. */
  watchLevel(fd: number, generation: number): boolean {
    return this.#control(CTL_ADD, fd, READABLE, generation);
  }

  unwatch(fd: number): void {
    this.#control(CTL_DEL, fd, 0, 0);
  }

  #control(operation: number, fd: number, mask: number, generation: number): boolean {
    const bytes = this.#one.bytes;
    bytes.writeUInt32LE(mask, 0);
    bytes.writeInt32LE(fd, DATA);
    bytes.writeInt32LE(generation, DATA + 4);
    return libc.epollCtl(this.fd, operation, fd, this.#one.address) === 0;
  }

  /**
   * Takes the events there are; when there are none, those that come within `waitMs`. Their number, 0 for none; the accessors below read them
   * until the next call.
   */
  take(waitMs: number): number {
    return libc.epollWait(this.fd, this.#events.address, EVENTS_PER_TURN, waitMs) as number;
  }

  maskOf(i: number): number {
    return this.#view.getUint32(i * EVENT_BYTES, true);
  }

  /** The wake-up descriptor reports as -1. */
  descriptorOf(i: number): number {
    const fd = this.#view.getInt32(i * EVENT_BYTES + DATA, true);
    return fd === this.#wake ? -1 : fd;
  }

  generationOf(i: number): number {
    return this.#view.getInt32(i * EVENT_BYTES + DATA + 4, true);
  }

  /** Makes the next turn come at once, without events, until disarmed: work was put off. Node's own timers run in between. */
  arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    libc.write(this.#wake, this.#count.address, 8);
  }

  disarm(): void {
    if (!this.#armed) return;
    this.#armed = false;
    libc.read(this.#wake, this.#count.address, 8);
    this.#count.bytes.writeBigUInt64LE(1n, 0);
  }
}
