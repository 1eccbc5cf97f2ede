/**
 * What systemd and a service say to each other: states and descriptors to be kept over NOTIFY_SOCKET (sd_notify(3)), sockets and kept
 * descriptors by LISTEN_FDS (sd_listen_fds(3)), the watchdog (sd_watchdog_enabled(3)).
 *
 * Without those variables nothing here does anything. It knows nothing of supervisors and plans.
 */
import { fstatSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { closeOnExec } from '../native/listen-sockets.ts';
import { sendNotification } from '../native/notify-socket.ts';

/** Assignments of sd_notify(3): `{ READY: 1, STATUS: 'serves' }`. RELOADING gets its MONOTONIC_USEC by itself. */
export type ServiceState = Readonly<Record<string, string | number>>;

export interface ListenDescriptor {
  /** FileDescriptorName= of the socket unit, or what it was stored under. */
  readonly name: string;
  readonly fd: number;
}

/** sd_listen_fds(3), SD_LISTEN_FDS_START. */
const FIRST_LISTEN_FD = 3;
/** Of one value: a status is a line that a person reads. Characters. */
const VALUE_CHARS_MAX = 1_000;
/** systemd's own bound for FDNAME. Characters. */
const NAME_CHARS_MAX = 255;
/** A timer's longest. Milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Tells the service manager: assignments, or text of them as sd_notify(3) takes it. False when there is none to tell. Throws TollgateError
 * `service_manager` when there is one and it cannot be reached. Blocks for a second at most.
 */
export function notify(state: ServiceState | string, env: NodeJS.ProcessEnv = process.env): boolean {
  return send(typeof state === 'string' ? state : stateText(state), [], env);
}

/**
 * Has the service manager keep a copy of `fd` under `name` (FileDescriptorStoreMax=), for the next process of this service: it comes back
 * by `listenDescriptors`. The caller keeps its own. Names are for several descriptors too. False and errors as with `notify`; a manager that
 * keeps nothing does not say so.
 */
export function storeDescriptor(name: string, fd: number, env: NodeJS.ProcessEnv = process.env): boolean {
  return send(`FDSTORE=1\nFDNAME=${checkedName(name)}`, [fd], env);
}

/** Has the service manager let go of all it keeps under `name`. False and errors as with `notify`. */
export function removeStored(name: string, env: NodeJS.ProcessEnv = process.env): boolean {
  return send(`FDSTOREREMOVE=1\nFDNAME=${checkedName(name)}`, [], env);
}

/**
 * The descriptors this process was given, in their order: sockets of socket units, and what was stored. They are CLOEXEC from here on, and
 * the variables are gone from `env`, so that no child takes them for its own. None when they were meant for another process.
 *
 * Throws TollgateError `listen_fds` when the variables are nonsense, or say more than there is; nothing was closed then.
 */
export function listenDescriptors(env: NodeJS.ProcessEnv = process.env, pid: number = process.pid): readonly ListenDescriptor[] {
  const { LISTEN_PID: owner, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env;
  for (const variable of ['LISTEN_PID', 'LISTEN_PIDFDID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[variable];
  if (owner === undefined || count === undefined) return [];
  if (wholeNumber(owner) === null) throw new TollgateError('listen_fds', `LISTEN_PID: expected a process number, found '${owner}'`);
  const descriptors = wholeNumber(count);
  if (descriptors === null) throw new TollgateError('listen_fds', `LISTEN_FDS: expected a number of descriptors, found '${count}'`);
  if (Number(owner) !== pid || descriptors === 0) return [];
  const named = names === undefined ? null : names.split(':');
  if (named !== null && named.length !== descriptors) {
    throw new TollgateError('listen_fds', `LISTEN_FDNAMES has ${named.length} names for ${descriptors} descriptors (LISTEN_FDS)`);
  }
  const found: ListenDescriptor[] = [];
  for (let i = 0; i < descriptors; i++) {
    const fd = FIRST_LISTEN_FD + i;
    try {
      fstatSync(fd);
    } catch (cause) {
      throw new TollgateError('listen_fds', `LISTEN_FDS is ${descriptors}, and descriptor ${fd} is not open`, cause);
    }
    found.push({ name: named?.[i] ?? 'unknown', fd });
  }
  for (const { fd } of found) closeOnExec(fd);
  return found;
}

/**
 * How often the watchdog is to be told that we live: half of what it waits (WATCHDOG_USEC). Milliseconds, 1 at least; null when nobody
 * watches this process. Throws TollgateError `watchdog` when the variable is nonsense.
 */
export function watchdogMs(env: NodeJS.ProcessEnv = process.env, pid: number = process.pid): number | null {
  const { WATCHDOG_USEC: us, WATCHDOG_PID: owner } = env;
  if (us === undefined || us === '') return null;
  const period = wholeNumber(us);
  if (period === null || period === 0) throw new TollgateError('watchdog', `WATCHDOG_USEC: expected microseconds, found '${us}'`);
  if (owner !== undefined && owner !== '' && Number(owner) !== pid) return null;
  return Math.max(1, Math.min(TIMER_MS_MAX, Math.floor(period / 2_000)));
}

/**
 * Tells the watchdog that we live, now and as often as it wants to hear it, from this thread's loop: a loop that hangs says nothing.
 * `onFailure` gets the error of every time it could not be told. Gives the function that ends it. Keeps no process alive.
 */
export function startWatchdog(
  onFailure: (error: unknown) => void,
  env: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
): () => void {
  const everyMs = watchdogMs(env, pid);
  if (everyMs === null) return () => {};
  const beat = (): void => {
    try {
      notify({ WATCHDOG: 1 }, env);
    } catch (error) {
      onFailure(error);
    }
  };
  beat();
  const timer = setInterval(beat, everyMs).unref();
  return () => clearInterval(timer);
}

/** `env` for a process that is to become the service's main process: it finds the manager, and takes nothing for its own that was ours. */
export function successorEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const { LISTEN_PID: _pid, LISTEN_PIDFDID: _id, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, WATCHDOG_PID: _watched, ...rest } = env;
  return rest;
}

function send(text: string, fds: readonly number[], env: NodeJS.ProcessEnv): boolean {
  const { NOTIFY_SOCKET: address } = env;
  if (address === undefined || address === '') return false;
  try {
    sendNotification(address, text, fds);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TollgateError('service_manager', `the service manager cannot be told (NOTIFY_SOCKET is '${address}'): ${reason}`, cause);
  }
  return true;
}

function stateText(state: ServiceState): string {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(state)) {
    assert(/^[A-Z][A-Z0-9_]*$/.test(name), 'the name of a state');
    // A value that begins another line would be an assignment of its own.
    lines.push(
      `${name}=${String(value)
        .replace(/\p{Cc}+/gu, ' ')
        .slice(0, VALUE_CHARS_MAX)}`,
    );
  }
  if (state.RELOADING !== undefined) lines.push(`MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
  return lines.join('\n');
}

/** sd_pid_notify_with_fds(3): printable ASCII without a colon. */
function checkedName(name: string): string {
  assert(name.length > 0 && name.length <= NAME_CHARS_MAX && /^[\x20-\x39\x3b-\x7e]+$/.test(name), 'a name for a descriptor');
  return name;
}

function wholeNumber(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
