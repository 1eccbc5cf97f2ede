/**
 * What a new supervisor takes over: listening sockets, the shared table, workers, ticket keys. From the workers of one that was killed, or
 * from one that runs and is to be succeeded (`tollgate upgrade`).
 *
 * Both ways the descriptors come over handoff channels that are opened to us. A worker of another version is not adopted: its sockets are,
 * and it is told to finish what it has.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { HandoffListener, receiveDescriptors } from '../native/handoff.ts';
import { closeFd } from '../native/listen-sockets.ts';
import { openSharedMemory } from '../native/shared-memory.ts';
import type { Log } from '../observe/log.ts';
import type { FromWorker, TicketKey, WorkerHello } from '../plan/messages.ts';
import type { ListenAddress, Plan } from '../plan/plan.ts';
import { S_GENERATION, SharedTable } from '../plan/table.ts';
import { ask } from './control-client.ts';
import type { ControlServer, WorkerLink, WorkerListener } from './control-server.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { SocketPart } from './socket-keeper.ts';

/** Workers look for a new supervisor every second at least: those that have not come by then hang. Milliseconds. */
const ORPHANS_MS = 3_000;
const HANDOFF_MS = 5_000;
const ANSWER_MS = 10_000;
const LOOK_MS = 5;

export interface InheritedWorker {
  readonly hello: WorkerHello;
  readonly link: WorkerLink;
  /** A channel to it. */
  readonly handoff: number;
  /** Its messages go here, once somebody is in charge of it. */
  listen(listener: WorkerListener): void;
}

export interface Inheritance {
  /** The plan that was run: targets keep their places in the table. */
  readonly previous: Plan | null;
  readonly sockets: readonly SocketPart[];
  readonly admin: { readonly address: ListenAddress; readonly fd: number } | null;
  readonly table: { readonly fd: number; readonly table: SharedTable } | null;
  readonly keys: { readonly keys: readonly TicketKey[]; readonly secrets: readonly Uint8Array[] } | null;
  /** Workers to be adopted, and workers to be told to finish. */
  readonly workers: readonly InheritedWorker[];
  readonly outgoing: readonly InheritedWorker[];
  /** The supervisor that is succeeded is told so. */
  readonly predecessor: Predecessor | null;
}

/** A supervisor that runs and is about to leave. */
export interface Predecessor {
  succeeded(): Promise<void>;
  failed(message: string): Promise<void>;
}

/** Waits for the workers of a killed supervisor, and takes over what they hold. Null when none came. */
export async function inheritFromWorkers(
  control: ControlServer,
  directory: string,
  expected: readonly ProcessIdentity[],
  log: Log,
): Promise<Inheritance | null> {
  const orphans = new Map<number, Orphan>();
  control.events = {
    onWorker: (hello, link) => {
      if (!hello.orphan || !expected.some(({ pid }) => pid === hello.pid)) return null;
      const orphan = new Orphan(hello, link);
      orphans.set(hello.pid, orphan);
      return orphan;
    },
    onCommand: () => Promise.reject(new TollgateError('starting', 'tollgate is being started')),
  };
  await until(() => orphans.size === expected.length, ORPHANS_MS);
  // Each to the seat it had.
  const all = [...orphans.values()].filter(({ link }) => link !== null).sort((a, b) => a.hello.row - b.hello.row);
  if (all.length === 0) return null;
  const serving = all.filter(({ hello }) => !hello.draining);
  const received = await collect(directory, (path) => {
    for (const orphan of serving) orphan.link?.send({ type: 'handoff', path, share: orphan === serving[0] });
    return serving.map(({ hello }) => hello.pid);
  });
  serving[0]?.link?.send({ type: 'describe' });
  const previous = await (serving[0]?.plan ?? null);
  const table = openTable(received.tableFd);
  const isOurs = ({ hello }: Orphan): boolean =>
    !hello.draining &&
    table !== null &&
    hello.version === tollgateVersion() &&
    received.channels.has(hello.pid) &&
    table.table.rows[hello.row + 1]?.state[S_GENERATION] === hello.generation;
  const inherited = (orphan: Orphan): InheritedWorker => ({
    hello: orphan.hello,
    link: orphan.link!,
    handoff: received.channels.get(orphan.hello.pid) ?? -1,
    listen: (listener) => orphan.listen(listener),
  });
  const workers = all.filter(isOurs).map(inherited);
  const outgoing = all.filter((orphan) => !isOurs(orphan)).map(inherited);
  log.info({ adopted: workers.length, finishing: outgoing.length }, 'workers of an earlier supervisor were found');
  return { previous, sockets: received.sockets, admin: received.admin, table, keys: null, workers, outgoing, predecessor: null };
}

/** Has the supervisor that runs in `directory` hand over what it holds. Throws when it does not. */
export async function inheritFromSupervisor(directory: string): Promise<Inheritance> {
  const { pid } = process;
  let answer: { pid: number; plan: Plan; keys: readonly TicketKey[] } | null = null;
  let secrets: readonly Buffer[] = [];
  const received = await collect(directory, async (path) => {
    const { value, blobs } = await ask(directory, { type: 'succeed', pid, path }, ANSWER_MS);
    answer = value as { pid: number; plan: Plan; keys: readonly TicketKey[] };
    secrets = blobs;
    return [answer.pid];
  });
  if (received.channels.size === 0) throw new TollgateError('succession', 'the running tollgate does not hand over its sockets');
  for (const channel of received.channels.values()) closeFd(channel);
  if (received.tableFd >= 0) closeFd(received.tableFd);
  const { plan, keys } = answer!;
  return {
    previous: plan,
    sockets: received.sockets,
    admin: received.admin,
    table: null,
    keys: { keys, secrets },
    workers: [],
    outgoing: [],
    predecessor: {
      succeeded: async () => void (await ask(directory, { type: 'succeeded', pid }, ANSWER_MS)),
      failed: async (message) => void (await ask(directory, { type: 'failed', pid, message }, ANSWER_MS)),
    },
  };
}

/** A worker without a supervisor, until somebody takes charge of it. What it says before is kept. */
class Orphan implements WorkerListener {
  readonly hello: WorkerHello;
  link: WorkerLink | null;
  readonly plan: Promise<Plan | null>;
  readonly #described = Promise.withResolvers<Plan | null>();
  #listener: WorkerListener | null = null;

  constructor(hello: WorkerHello, link: WorkerLink) {
    this.hello = hello;
    this.link = link;
    this.plan = this.#described.promise;
  }

  listen(listener: WorkerListener): void {
    this.#listener = listener;
    if (this.link === null) listener.onClose();
  }

  onMessage(message: FromWorker, blobs: readonly Uint8Array[]): void {
    if (message.type === 'running') this.#described.resolve(message.plan);
    else this.#listener?.onMessage(message, blobs);
  }

  onClose(): void {
    this.link = null;
    this.#described.resolve(null);
    this.#listener?.onClose();
  }
}

interface Received {
  readonly sockets: readonly SocketPart[];
  readonly tableFd: number;
  readonly admin: { readonly address: ListenAddress; readonly fd: number } | null;
  /** Channels whose sender has said all, by its process. */
  readonly channels: ReadonlyMap<number, number>;
}

/** Listens for handoff channels and reads them, until every process that `invite` names has said all, or the time is over. */
async function collect(directory: string, invite: (path: string) => readonly number[] | Promise<readonly number[]>): Promise<Received> {
  const listener = new HandoffListener(join(directory, `handoff.${process.pid}`));
  const open = new Set<number>();
  const sockets: SocketPart[] = [];
  const channels = new Map<number, number>();
  let tableFd = -1;
  let admin: Received['admin'] = null;
  const readAll = (): void => {
    for (let channel = listener.accept(); channel >= 0; channel = listener.accept()) open.add(channel);
    for (const channel of open) {
      for (;;) {
        const message = receiveDescriptors(channel);
        if (message === null) break;
        if (message === 'closed') {
          open.delete(channel);
          closeFd(channel);
          break;
        }
        const { tag, fds } = message;
        if (tag.kind === 'sockets') sockets.push({ address: tag.address, slots: tag.slots, fds });
        else if (tag.kind === 'table' && tableFd < 0) tableFd = fds[0] ?? -1;
        else if (tag.kind === 'admin' && admin === null && fds.length === 1) admin = { address: tag.address, fd: fds[0]! };
        else if (tag.kind === 'end') {
          open.delete(channel);
          channels.set(tag.pid, channel);
          break;
        } else for (const fd of fds) closeFd(fd);
      }
    }
  };
  try {
    const invited = await invite(listener.path);
    await until(() => {
      readAll();
      return invited.every((pid) => channels.has(pid));
    }, HANDOFF_MS);
  } finally {
    listener.close();
    for (const channel of open) closeFd(channel);
  }
  return { sockets, tableFd, admin, channels };
}

function openTable(fd: number): Inheritance['table'] {
  if (fd < 0) return null;
  try {
    return { fd, table: SharedTable.open(openSharedMemory(fd)) };
  } catch {
    // Laid out by another version.
    closeFd(fd);
    return null;
  }
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  while (!condition() && performance.now() < endMs) await sleep(LOOK_MS);
}
