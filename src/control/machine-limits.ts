/** What the machine does not let be as it is configured, as sentences: for `tollgate status`. Reads /proc; what cannot be read is no finding. */
import { readFileSync } from 'node:fs';
import { isFastOpenActive } from '../native/listen-sockets.ts';
import type { Plan } from '../plan/plan.ts';

/** Descriptors of one proxied connection: the client's and the server's. */
const DESCRIPTORS_PER_CONNECTION = 2;

export function machineLimits(plan: Plan, workers: number, read: (path: string) => string = readText): readonly string[] {
  const found: string[] = [];
  if (plan.listeners.some(({ socket }) => socket.fastOpen) && !isFastOpenActive()) {
    found.push('TCP Fast Open: the kernel does not let servers (net.ipv4.tcp_fastopen lacks 2)');
  }
  found.push('kernel TLS: not used; the TLS library encrypts in this process');
  const most = Number(read('/proc/sys/net/core/somaxconn'));
  const cut = plan.listeners.filter(({ socket }) => most > 0 && socket.backlog > most).map(({ name }) => name);
  if (cut.length > 0) found.push(`backlog of ${cut.join(', ')}: cut to ${most} by the kernel (net.core.somaxconn)`);
  const open = descriptorsMax(read);
  const needed = (plan.limits.connectionsMax * DESCRIPTORS_PER_CONNECTION) / workers;
  if (open > 0 && needed > open) {
    const possible = Math.floor((open * workers) / DESCRIPTORS_PER_CONNECTION);
    found.push(
      `limits.connections ${plan.limits.connectionsMax}: descriptors are enough for ${possible} (ulimit -n ${open} for each worker)`,
    );
  }
  return found;
}

/** Descriptors that this process may have open, and each worker it starts; 0: not known. */
export function descriptorsMax(read: (path: string) => string = readText): number {
  return Number(/^Max open files +(\d+)/m.exec(read('/proc/self/limits'))?.[1] ?? 0);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
