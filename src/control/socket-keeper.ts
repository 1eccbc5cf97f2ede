/**
 * The supervisor's listening sockets: one for each address and slot. They outlive workers, and the supervisor itself: a port is never given
 * up while Tollgate runs, and no socket is closed while somebody may wait in its queue, unless its listener is gone.
 *
 * A change is made in two steps: `prepare` opens what is new, all or nothing; `commit` closes what is no longer wanted.
 */
import { rmSync } from 'node:fs';
import { TollgateError } from '../base/tollgate-error.ts';
import { addressTaken, boundPort, closeFd, openListenSocket, retuneListenSocket } from '../native/listen-sockets.ts';
import { addressText, type ListenAddress, type ListenerPlan, type Plan } from '../plan/plan.ts';
import { answers } from './runtime-directory.ts';

export interface SocketSet {
  readonly address: ListenAddress;
  /** By slot. A Unix socket is one, the same for every slot. */
  readonly fds: readonly number[];
}

/** Some slots' sockets of one address. */
export interface SocketPart {
  readonly address: ListenAddress;
  readonly slots: readonly number[];
  readonly fds: readonly number[];
  /** One socket for every slot, opened by somebody else. */
  readonly shared?: boolean;
}

export interface Prepared {
  /** The plan with ports chosen by the kernel filled in. */
  readonly plan: Plan;
  /** What was opened, to be handed to the workers that run. */
  readonly opened: readonly SocketPart[];
}

export class SocketKeeper {
  /** By `addressText`. */
  readonly #sets = new Map<string, { readonly address: ListenAddress; readonly fds: number[]; readonly shared: boolean }>();
  /** Ports the kernel chose, by listener: the same in every later plan. */
  readonly #chosen = new Map<string, ListenAddress>();
  #slots = 0;

  /** Slots of every address: never fewer than before. */
  get slots(): number {
    return this.#slots;
  }

  get sets(): readonly SocketSet[] {
    return [...this.#sets.values()];
  }

  /** Takes over sockets that other processes opened, before anything is prepared. What is held already, and what has holes, is closed. */
  inherit(parts: readonly SocketPart[]): void {
    for (const { address, slots, fds, shared = false } of parts) {
      const key = addressText(address);
      const set = this.#sets.get(key) ?? { address, fds: [], shared };
      this.#sets.set(key, set);
      slots.forEach((slot, i) => {
        if (set.fds[slot] !== undefined) closeFd(fds[i]!);
        else set.fds[slot] = fds[i]!;
      });
    }
    for (const [key, { fds }] of this.#sets) {
      this.#slots = Math.max(this.#slots, fds.length);
      if (fds.length > 0 && !fds.includes(undefined as never) && Object.keys(fds).length === fds.length) continue;
      for (const fd of fds) if (fd !== undefined) closeFd(fd);
      this.#sets.delete(key);
    }
  }

  /**
   * Opens what `plan` listens on and is not open yet, `slots` of each at least. Throws `listen` with one sentence, and everything as it was.
   * With `dry` nothing is opened: it only says whether it could be.
   */
  async prepare(plan: Plan, slots: number, dry = false): Promise<Prepared> {
    const width = Math.max(slots, this.#slots);
    const opened: { address: ListenAddress; slots: number[]; fds: number[] }[] = [];
    const listeners: ListenerPlan[] = [];
    try {
      for (const listener of plan.listeners) {
        let address = this.#chosen.get(`${listener.name} ${addressText(listener.address)}`) ?? listener.address;
        const held = this.#sets.get(addressText(address));
        if (held === undefined) {
          const taken = addressTaken(address);
          if (taken !== null && 'code' in taken) throw refusal(listener, address, taken.code);
        }
        const part = { address, slots: [] as number[], fds: [] as number[] };
        if (!dry) opened.push(part);
        for (let slot = held?.fds.length ?? 0; slot < width && !dry; slot++) {
          const shared = address.family === 0 || held?.shared === true ? (held?.fds[0] ?? part.fds[0]) : undefined;
          part.fds.push(shared ?? (await openOne(listener, address)));
          part.slots.push(slot);
          if (address.family === 0 || address.port !== 0) continue;
          address = { ...address, port: boundPort(part.fds[0]!) };
          this.#chosen.set(`${listener.name} ${addressText(listener.address)}`, address);
        }
        part.address = address;
        listeners.push({ ...listener, address });
      }
    } catch (error) {
      for (const { address, fds } of opened) {
        const held = this.#sets.get(addressText(address));
        closeAll(fds.filter((fd) => held?.fds.includes(fd) !== true));
      }
      throw error;
    }
    for (const { address, fds } of opened) {
      const key = addressText(address);
      const set = this.#sets.get(key) ?? { address, fds: [], shared: false };
      set.fds.push(...fds);
      this.#sets.set(key, set);
    }
    if (!dry) this.#slots = width;
    return { plan: { ...plan, listeners }, opened: opened.filter(({ fds }) => fds.length > 0) };
  }

  /** Closes what `plan` does not listen on, and applies its settings to the rest. */
  commit(plan: Plan): void {
    const wanted = new Map(plan.listeners.map((listener) => [addressText(listener.address), listener]));
    for (const [key, { address, fds }] of this.#sets) {
      const listener = wanted.get(key);
      if (listener !== undefined) {
        for (const fd of new Set(fds)) retuneListenSocket(fd, address, listener.socket);
        continue;
      }
      closeAll(fds);
      this.#sets.delete(key);
      if (address.family === 0) rmSync(address.path, { force: true });
    }
  }

  /** Gives up this process's copies; a Unix socket's file stays, because others may hold it. */
  close(): void {
    for (const { fds } of this.#sets.values()) closeAll(fds);
    this.#sets.clear();
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of new Set(fds)) closeFd(fd);
}

async function openOne(listener: ListenerPlan, address: ListenAddress): Promise<number> {
  let opened = openListenSocket(address, listener.socket);
  if ('code' in opened && opened.code === 'EADDRINUSE' && address.family === 0 && !(await answers(address.path))) {
    // What a dead process left behind.
    rmSync(address.path, { force: true });
    opened = openListenSocket(address, listener.socket);
  }
  if ('fd' in opened) return opened.fd;
  throw refusal(listener, address, opened.code);
}

function refusal(listener: ListenerPlan, address: ListenAddress, code: string): TollgateError {
  return new TollgateError('listen', `listener ${listener.name} cannot have ${addressText(address)}: ${reason(code, address)}`);
}

function reason(code: string, address: ListenAddress): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another process has it; choose another port, or stop that process';
    case 'EACCES':
      return address.family === 0
        ? 'its directory does not let this user'
        : 'ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'EAFNOSUPPORT':
      return 'this machine has no IPv6';
    case 'ENOENT':
      return 'its directory does not exist';
    default:
      return code;
  }
}
