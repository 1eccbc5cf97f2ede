/**
 * What a process may do, given up step by step: a supervisor that was started as root becomes a user that can still bind low ports; a
 * worker keeps nothing. Capabilities belong to the calling thread, which is the one that binds and starts processes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';

const BIND = 1 << libc.CAP_NET_BIND_SERVICE;
/** How much sooner than its supervisor a worker is ended: of 1,000, which stand for all memory there is. */
const OOM_SCORE = 300;

/** No new privileges by exec, no memory image for other processes or the disk. */
export function keepNothing(): void {
  libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  hideMemory();
}

/**
 * Out of memory, the kernel ends this process before the one that started it: of those the other can start another one. Before
 * `hideMemory`, behind which these files are root's.
 */
export function goBeforeParent(): void {
  try {
    const inherited = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
    writeFileSync('/proc/self/oom_score_adj', String(Math.min(1_000, inherited + OOM_SCORE)));
  } catch {
    // A /proc that is not to be written to: the kernel chooses by size.
  }
}

/** Keys are in this memory: no core dump, no debugger of the same user. */
export function hideMemory(): void {
  libc.prctl(libc.PR_SET_DUMPABLE, 0, 0, 0, 0);
  const limit = new NativeMemory(16);
  limit.bytes.fill(0);
  libc.setrlimit(libc.RLIMIT_CORE, limit.address);
}

/** Whether this thread may bind ports below 1024. */
export function mayBindLowPorts(): boolean {
  const { header, data } = capabilitySets();
  return libc.capget(header.address, data.address) === 0 && (data.bytes.readUInt32LE(0) & BIND) !== 0;
}

/**
 * Root becomes `uid` with `gid` and `groups`, and keeps CAP_NET_BIND_SERVICE at most. Throws when the kernel refuses: nothing must go on as
 * root then.
 */
export function becomeUser(uid: number, gid: number, groups: readonly number[]): void {
  const could = mayBindLowPorts();
  libc.prctl(libc.PR_SET_KEEPCAPS, 1, 0, 0, 0);
  process.setgroups!([...groups]);
  process.setgid!(gid);
  process.setuid!(uid);
  libc.prctl(libc.PR_SET_KEEPCAPS, 0, 0, 0, 0);
  setCapabilities(could ? BIND : 0, 0);
  if (process.getuid!() !== uid || process.geteuid!() !== uid) throw new Error('the user was not changed');
}

/** Whoever started us may have let its children bind low ports: ours may not. */
export function passNothingOn(): void {
  libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/** Runs `start`, which starts a process that may bind low ports where this one may. */
export function passingOn<Result>(start: () => Result): Result {
  if (!mayBindLowPorts() || process.getuid!() === 0) return start();
  setCapabilities(BIND, BIND);
  libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_RAISE, libc.CAP_NET_BIND_SERVICE, 0, 0);
  try {
    return start();
  } finally {
    passNothingOn();
    setCapabilities(BIND, 0);
  }
}

/** struct __user_cap_header_struct for this thread, and two __user_cap_data_struct: effective, permitted, inheritable. */
function capabilitySets(): { readonly header: NativeMemory; readonly data: NativeMemory } {
  const header = new NativeMemory(8);
  header.bytes.writeUInt32LE(libc.CAPABILITY_VERSION_3, 0);
  header.bytes.writeInt32LE(0, 4);
  const data = new NativeMemory(24);
  data.bytes.fill(0);
  return { header, data };
}

function setCapabilities(permitted: number, inheritable: number): void {
  const { header, data } = capabilitySets();
  data.bytes.writeUInt32LE(permitted, 0);
  data.bytes.writeUInt32LE(permitted, 4);
  data.bytes.writeUInt32LE(inheritable, 8);
  if (libc.capset(header.address, data.address) !== 0) throw new Error(`capabilities cannot be given up (errno ${libc.errno()})`);
}
