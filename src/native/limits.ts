/** What the kernel allows this process, and what it knows of the clock. Asked, not read from files: a worker may. */
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';

const limit = new NativeMemory(16);
const SPACE = 0x20;
const ZERO = 0x30;

/** Descriptors this process may have open now (`ulimit -n`); it may be moved while it runs. Infinity: any number. */
export function descriptorLimit(): number {
  if (libc.getrlimit(libc.RLIMIT_NOFILE, limit.address) !== 0) return 0;
  const soft = limit.bytes.readBigUInt64LE(0);
  return soft > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(soft);
}

/** adjtimex(2) gives this when the clock is not kept by anybody. */
const TIME_ERROR = 5;
const STA_UNSYNC = 0x40;
// struct timex: modes, offset, freq, maxerror, esterror, status, ...
const TIMEX_BYTES = 256;
const STATUS_AT = 40;

/** Whether somebody keeps the wall clock right, as the kernel was told; null when it does not say (a container may not ask). */
export function isClockKept(): boolean | null {
  const timex = new NativeMemory(TIMEX_BYTES);
  const state = libc.adjtimex(timex.address) as number;
  if (state < 0) return null;
  return state !== TIME_ERROR && (timex.bytes.readInt32LE(STATUS_AT) & STA_UNSYNC) === 0;
}

/** What this process has in memory, read from a descriptor that stays open: asking costs none. proc(5), /proc/pid/statm. */
export class ResidentMemory {
  readonly #fd = libc.open('/proc/self/statm', libc.O_CLOEXEC, 0) as number;
  readonly #pageBytes = Number(libc.sysconf(libc.SC_PAGESIZE));
  readonly #text = new NativeMemory(128);

  /** 0 when the kernel does not say. */
  bytes(): number {
    const { bytes, address, length } = this.#text;
    const n = libc.pread(this.#fd, address, length, 0) as number;
    // The second of several numbers.
    let i = 0;
    while (i < n && bytes[i] !== SPACE) i++;
    let pages = 0;
    for (i++; i < n && bytes[i] !== SPACE; i++) pages = pages * 10 + bytes[i]! - ZERO;
    return pages * this.#pageBytes;
  }
}
