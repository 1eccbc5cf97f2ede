/**
 * This process as a service of systemd: tells it what goes on, has it keep the listening sockets over a crash, and takes the sockets that it
 * gave. Where there is no systemd nothing here does anything.
 */
import { boundAddress, closeFd, neverBlock } from '../native/listen-sockets.ts';
import type { Log } from '../observe/log.ts';
import { addressText } from '../plan/plan.ts';
import type { SocketPart, SocketSet } from './socket-keeper.ts';
import { listenDescriptors, notify, removeStored, startWatchdog, storeDescriptor } from './systemd.ts';

/** What a socket is kept under, with its slot and its address. */
const STORED = /^tollgate-(\d{1,3})-[0-9a-f]+$/;

export class Service {
  readonly #log: Log;
  readonly #stored = new Set<string>();
  #endWatchdog: () => void = () => {};

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Sockets that systemd opened, or kept for us. Who opened them once is not asked: they are told apart by what they are bound to. Those of
   * a socket unit are one for each address, whatever the number of workers.
   */
  sockets(): readonly SocketPart[] {
    const parts: SocketPart[] = [];
    for (const { name, fd } of listenDescriptors()) {
      const address = boundAddress(fd);
      if (address === null) {
        this.#log.warn({ name, fd }, 'systemd gave a descriptor that is no listening socket; it is closed');
        closeFd(fd);
        continue;
      }
      // systemd has taken the flag from a socket unit's (NonBlocking=no): a worker that another was quicker than would wait for ever.
      neverBlock(fd);
      const slot = STORED.exec(name);
      if (slot !== null) this.#stored.add(name);
      parts.push({ address, slots: [Number(slot?.[1] ?? 0)], fds: [fd], shared: slot === null });
    }
    return parts;
  }

  ready(text: string): void {
    this.#tell(() => notify({ READY: 1, STATUS: text }));
    this.#endWatchdog();
    this.#endWatchdog = startWatchdog((error) => this.#warn(error));
  }

  /** Runs a change that systemd is told of. */
  async reloading<Result>(change: () => Promise<Result>, text: () => string): Promise<Result> {
    this.#tell(() => notify({ RELOADING: 1 }));
    try {
      return await change();
    } finally {
      this.#tell(() => notify({ READY: 1, STATUS: text() }));
    }
  }

  /** `pid` is the service's main process from now on; it speaks for it. */
  handTo(pid: number): void {
    this.#endWatchdog();
    this.#tell(() => notify({ MAINPID: pid }));
  }

  /** Has exactly these sockets kept for the next process, should this one and all its workers die. */
  keep(sets: readonly SocketSet[]): void {
    const wanted = new Map<string, number>();
    for (const { address, fds } of sets) {
      new Set(fds).forEach((fd) => {
        wanted.set(`tollgate-${fds.indexOf(fd)}-${Buffer.from(addressText(address)).toString('hex')}`.slice(0, 255), fd);
      });
    }
    for (const [name, fd] of wanted) if (!this.#stored.has(name) && this.#tell(() => storeDescriptor(name, fd))) this.#stored.add(name);
    for (const name of this.#stored) if (!wanted.has(name) && this.#tell(() => removeStored(name))) this.#stored.delete(name);
  }

  stopping(): void {
    this.keep([]);
    this.#tell(() => notify({ STOPPING: 1 }));
    this.#endWatchdog();
  }

  #tell(say: () => boolean): boolean {
    try {
      return say();
    } catch (error) {
      this.#warn(error);
      return false;
    }
  }

  #warn(error: unknown): void {
    this.#log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'systemd could not be told');
  }
}
