/** One worker slot: the process in it, and what is known of it. The supervisor decides; this starts, tells and ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closeFd, openHandoffPair, sendSockets } from '../native/listen-sockets.ts';
import type { ToWorker } from '../plan/messages.ts';
import type { WorkerLink } from './control-server.ts';
import type { SocketSet } from './listen-sockets.ts';
import type { LogFiles } from './log-files.ts';
import { RestartDelay } from './restart-delay.ts';

/**
 * V8's young generation. What a worker allocates per event dies at once: with room for many turns of it a scavenge finds next to nothing
 * alive and is over in a fraction of a millisecond. MiB.
 */
const SEMI_SPACE_MIB = 16;
/** SIGUSR1 would open Node's inspector. Compiled code is kept: a worker lives for months. */
const WORKER_FLAGS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning', `--max-semi-space-size=${SEMI_SPACE_MIB}`];
/** Descriptors in one message on the handoff pair (the kernel takes 253). */
const SOCKETS_PER_MESSAGE = 200;

export interface WorkerEnvironment {
  readonly controlPath: string;
  readonly tableFd: number;
  readonly logs: LogFiles;
  /** More flags for node, from TOLLGATE_NODE_FLAGS: profiling and tracing. */
  readonly flags: readonly string[];
}

export class WorkerProcess {
  readonly slot: number;
  readonly delay = new RestartDelay();
  generation = 0;
  startedMs = 0;
  restarts = 0;
  /** It has adopted the plan, and accepts. */
  ready = false;
  /** Slots it accepts for besides its own. */
  covers: readonly number[] = [];
  link: WorkerLink | null = null;
  #child: ChildProcess | null = null;
  #handoff = -1;

  constructor(slot: number) {
    this.slot = slot;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts a process and hands it the sockets. `onExit` is called once, with what ended it. */
  start(environment: WorkerEnvironment, sockets: readonly SocketSet[], onExit: (how: string) => void): void {
    const [ours, theirs] = openHandoffPair();
    this.generation++;
    this.startedMs = performance.now();
    this.ready = false;
    this.covers = [];
    const script = fileURLToPath(new URL(`../worker/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
    const child = spawn(
      process.execPath,
      [...WORKER_FLAGS, ...environment.flags, script, String(this.slot), String(this.generation), environment.controlPath],
      { stdio: ['ignore', 'inherit', 'inherit', theirs, environment.tableFd], env: {} },
    );
    this.#child = child;
    closeFd(theirs);
    for (const { address, fds } of sockets) {
      for (let at = 0; at < fds.length; at += SOCKETS_PER_MESSAGE) {
        const part = fds.slice(at, at + SOCKETS_PER_MESSAGE);
        sendSockets(ours, { kind: 'sockets', address, slots: part.map((_, i) => at + i) }, part);
      }
    }
    this.#handoff = ours;
    this.handLogs(environment.logs);
    let ended = false;
    const end = (how: string): void => {
      if (ended) return;
      ended = true;
      closeSync(ours);
      this.#handoff = -1;
      this.#child = null;
      this.ready = false;
      this.link?.close();
      this.link = null;
      onExit(how);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(signal === null ? `exit ${code}` : signal));
  }

  tell(message: ToWorker, blobs?: readonly Uint8Array[]): void {
    this.link?.send(message, blobs);
  }

  /** Before the plan that they belong to is told. False when the worker cannot take them. */
  handLogs(logs: LogFiles): boolean {
    if (this.#handoff < 0) return false;
    return logs.tags.every(({ tag, fd }) => sendSockets(this.#handoff, tag, [fd]));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
}
