/**
 * The supervisor's listening sockets: one for each address and worker slot, opened before any worker starts, all or none. They outlive
 * workers, so that a port is never given up while Tollgate runs.
 */
import { rmSync } from 'node:fs';
import { TollgateError } from '../base/tollgate-error.ts';
import { addressTaken, boundPort, closeFd, openListenSocket } from '../native/listen-sockets.ts';
import { addressText, type ListenAddress, type ListenerPlan, type Plan } from '../plan/plan.ts';
import { answers } from './runtime-directory.ts';

export interface SocketSet {
  readonly address: string;
  /** By worker slot. A Unix socket is one, the same for every slot. */
  readonly fds: readonly number[];
}

/** Opens what `plan` listens on. Returns the plan with ports chosen by the kernel filled in, and the sockets. Throws `listen` with one sentence. */
export async function openSockets(plan: Plan, workers: number): Promise<{ readonly plan: Plan; readonly sockets: readonly SocketSet[] }> {
  const sockets: SocketSet[] = [];
  const listeners: ListenerPlan[] = [];
  try {
    for (const listener of plan.listeners) {
      const taken = addressTaken(listener.address);
      if (taken !== null && 'code' in taken) throw refusal(listener, listener.address, taken.code);
      const first = await openOne(listener, listener.address);
      const address = settled(listener.address, first);
      const fds = [first];
      sockets.push({ address: addressText(address), fds });
      while (fds.length < workers) fds.push(address.family === 0 ? first : await openOne(listener, address));
      listeners.push({ ...listener, address });
    }
  } catch (error) {
    closeSockets(sockets);
    throw error;
  }
  return { plan: { ...plan, listeners }, sockets };
}

export function closeSockets(sockets: readonly SocketSet[]): void {
  for (const { fds } of sockets) for (const fd of new Set(fds)) closeFd(fd);
}

function settled(address: ListenAddress, fd: number): ListenAddress {
  return address.family !== 0 && address.port === 0 ? { ...address, port: boundPort(fd) } : address;
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
