/** One worker process, started by this supervisor or taken over from one that is gone. The supervisor decides; this starts, tells and ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DESCRIPTORS_PER_MESSAGE, openHandoffPair, sendDescriptors } from '../native/handoff.ts';
import { closeFd } from '../native/listen-sockets.ts';
import type { RevocationListView } from '../plan/client-certificates.ts';
import type { HandoffTag, ToWorker } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';
import { planParts, planWithoutParts } from '../plan/plan-parts.ts';
import type { WorkerLink } from './control-server.ts';
import type { LogFiles } from './log-files.ts';
import { isProcess, startTimeOf } from './process-identity.ts';
import type { SocketPart } from './socket-keeper.ts';

/**
 * V8's young generation. What a worker allocates per event dies at once: with room for many turns of it a scavenge finds next to nothing
 * alive and is over in a fraction of a millisecond. MiB.
 */
const SEMI_SPACE_MIB = 16;
/** SIGUSR1 would open Node's inspector. Compiled code is kept: a worker lives for months. */
const WORKER_FLAGS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning', `--max-semi-space-size=${SEMI_SPACE_MIB}`];
/** How often a process that is not our child is looked for once it has gone silent, and how long. Milliseconds. */
const LOOK_MS = 50;
const GONE_MS = 5_000;

export interface WorkerEnvironment {
  /** Where it finds this supervisor, and where the next one. */
  readonly controlPath: string;
  readonly lastingPath: string;
  readonly tableFd: number;
  readonly logs: LogFiles;
  /** More flags for node, from TOLLGATE_NODE_FLAGS: profiling and tracing. */
  readonly flags: readonly string[];
}

export class WorkerProcess {
  readonly row: number;
  readonly generation: number;
  readonly pid: number;
  readonly startedMs = performance.now();
  /** It has adopted the plan, and may accept. */
  ready = false;
  /** Socket slots it was told to accept from. */
  accepts: readonly number[] = [];
  link: WorkerLink | null = null;
  /** While it drains: connections it has left, as it last said. */
  connections: number | null = null;
  readonly #onExit: (how: string) => void;
  readonly #child: ChildProcess | null;
  #handoff: number;
  #startTime = '';
  #ended = false;

  private constructor(
    row: number,
    generation: number,
    pid: number,
    child: ChildProcess | null,
    handoff: number,
    onExit: (how: string) => void,
  ) {
    this.row = row;
    this.generation = generation;
    this.pid = pid;
    this.#child = child;
    this.#handoff = handoff;
    this.#onExit = onExit;
    void this.startTime;
  }

  /** See ProcessIdentity; '' when there is no such process, or that cannot be found out for now. */
  get startTime(): string {
    if (this.#startTime !== '') return this.#startTime;
    try {
      this.#startTime = startTimeOf(this.pid) ?? '';
    } catch {
      // Asked again: descriptors come back.
    }
    return this.#startTime;
  }

  /** Starts a process and hands it the sockets. `onExit` is called once, with what ended it, and not before this returns. */
  static start(
    row: number,
    generation: number,
    environment: WorkerEnvironment,
    sockets: readonly SocketPart[],
    onExit: (how: string) => void,
  ): WorkerProcess {
    const [ours, theirs] = openHandoffPair();
    const script = fileURLToPath(new URL(`../worker/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
    const { controlPath, lastingPath, flags } = environment;
    const child = spawn(process.execPath, [...WORKER_FLAGS, ...flags, script, String(row), String(generation), controlPath, lastingPath], {
      stdio: ['ignore', 'inherit', 'inherit', theirs, environment.tableFd],
      env: workerVariables(process.env),
    });
    closeFd(theirs);
    const worker = new WorkerProcess(row, generation, child.pid ?? 0, child, ours, onExit);
    child.once('error', (error) => worker.#end(error.message));
    // One turn later: what it said last may still lie in the control socket.
    child.once('exit', (code, signal) => setImmediate(() => worker.#end(signal === null ? `exit ${code}` : signal)));
    worker.hand(sockets);
    worker.handLogs(environment.logs);
    return worker;
  }

  /** Takes over a process that said hello. `handoff`: a channel to it. */
  static adopt(row: number, generation: number, pid: number, handoff: number, onExit: (how: string) => void): WorkerProcess {
    return new WorkerProcess(row, generation, pid, null, handoff, onExit);
  }

  /** Started by this process. */
  get isChild(): boolean {
    return this.#child !== null;
  }

  /** Hands sockets over; the supervisor keeps its copies. */
  hand(sockets: readonly SocketPart[]): void {
    for (const { address, slots, fds } of sockets) {
      for (let at = 0; at < fds.length; at += DESCRIPTORS_PER_MESSAGE) {
        const to = at + DESCRIPTORS_PER_MESSAGE;
        if (sendDescriptors(this.#handoff, { kind: 'sockets', address, slots: slots.slice(at, to) }, fds.slice(at, to))) continue;
        // It does not take what it needs: another one will.
        this.kill('SIGKILL');
        return;
      }
    }
  }

  /** Before the plan that they belong to is told. */
  handLogs({ tags }: LogFiles): void {
    if (this.#handoff < 0) return;
    for (const { tag, fd } of tags) sendDescriptors(this.#handoff, tag, [fd]);
  }

  handKeyLog(tag: HandoffTag, fd: number): void {
    if (this.#handoff >= 0) sendDescriptors(this.#handoff, tag, [fd]);
  }

  /** Before whoever waits for it is told. */
  handList(view: RevocationListView, fd: number): void {
    if (this.#handoff >= 0) sendDescriptors(this.#handoff, { kind: 'list', view }, [fd]);
  }

  tell(message: ToWorker, blobs?: readonly Uint8Array[]): void {
    this.link?.send(message, blobs);
  }

  /** Has it run `plan`; it copies what it needs of `blobs`. */
  tellPlan(plan: Plan, blobs: readonly Uint8Array[]): void {
    for (const each of planParts(plan, blobs)) this.tell(each.part, each.blobs);
    this.tell({ type: 'plan', plan: planWithoutParts(plan) });
  }

  /** The control connection ended. A child's end is told by the system; another process's is looked for. */
  onLinkClosed(): void {
    this.link = null;
    if (this.#child !== null || this.#ended) return;
    const untilMs = performance.now() + GONE_MS;
    const look = (): void => {
      if (this.#ended || this.link !== null) return;
      if (!isProcess(this.pid, this.startTime)) this.#end('it was started by another supervisor');
      else {
        if (performance.now() > untilMs) this.kill('SIGKILL');
        setTimeout(look, LOOK_MS);
      }
    };
    look();
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#ended) return;
    if (this.#child !== null) this.#child.kill(signal);
    else if (isProcess(this.pid, this.startTime, false)) process.kill(this.pid, signal);
  }

  /** It goes on without us: its end is somebody else's affair. */
  release(): void {
    this.#ended = true;
    this.#child?.unref();
    this.#closeHandoff();
  }

  #closeHandoff(): void {
    if (this.#handoff >= 0) closeFd(this.#handoff);
    this.#handoff = -1;
  }

  #end(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closeHandoff();
    this.ready = false;
    this.link?.close();
    this.link = null;
    this.#onExit(how);
  }
}

/**
 * What a worker has of our environment: nothing. But where whoever started us has node keep compiled code (in a checkout, each start is mostly
 * compiling), the worker's is kept there too: what we have trusted ourselves.
 */
export function workerVariables({ NODE_COMPILE_CACHE: directory = '' }: NodeJS.ProcessEnv): Record<string, string> {
  return directory === '' ? {} : { NODE_COMPILE_CACHE: directory };
}
