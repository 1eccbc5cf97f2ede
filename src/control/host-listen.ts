/** Whether an address can be listened on here, and who has it when it is taken. Binds and lets go; what /proc does not show is left out. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { addressTaken } from '../native/listen-sockets.ts';
import { addressText, type ListenAddress } from '../plan/plan.ts';
import { look, obstacle, who } from './host-files.ts';
import { answers } from './runtime-directory.ts';
import type { User } from './user.ts';

/** State of a listening socket in /proc/net/tcp. proc(5). */
const LISTENS = '0A';

export interface ListenHolder {
  readonly pid: number;
  /** Of the program. */
  readonly name: string;
}

export interface ListenContext {
  /** Whether a holder is the instance that the check is for. */
  readonly isOurs: (holder: ListenHolder) => boolean;
  /** Low ports are no question then, but for what the kernel itself says of us. */
  readonly startedByRoot: boolean;
  /** Who makes sockets in directories; null: that is not known. */
  readonly user: User | null;
}

export interface ListenProblem {
  readonly severity: 'warning' | 'note';
  readonly message: string;
}

/** Why `address` could not be listened on; null: it could, or we do already. */
export async function listenProblem(address: ListenAddress, context: ListenContext): Promise<ListenProblem | null> {
  if (address.family === 0) return await socketProblem(address.path, context);
  const warning = (message: string): ListenProblem => ({ severity: 'warning', message });
  const failed = addressTaken(address);
  if (failed === null || 'fd' in failed) return null;
  const text = addressText(address);
  switch (failed.code) {
    case 'EADDRINUSE':
      return taken(address, text, context);
    case 'EACCES': {
      const holders = holdersOf(address);
      if (holders.length > 0) return taken(address, text, context);
      // Root starts it, and may.
      if (context.startedByRoot && process.geteuid?.() !== 0) return null;
      const least = readText('/proc/sys/net/ipv4/ip_unprivileged_port_start').trim();
      const who = `this user (uid ${process.geteuid?.() ?? '?'}) may bind no port below ${least === '' ? '1024' : least}`;
      return warning(`${text}: ${who} (net.ipv4.ip_unprivileged_port_start); start as root with 'user', or with CAP_NET_BIND_SERVICE`);
    }
    case 'EADDRNOTAVAIL':
      return warning(`${address.ip} is no address of this machine`);
    default:
      return warning(`${text} cannot be had here (${failed.code})`);
  }
}

function taken(address: Extract<ListenAddress, { port: number }>, text: string, { isOurs }: ListenContext): ListenProblem | null {
  const holders = holdersOf(address);
  if (holders.some(isOurs)) return null;
  const [first] = holders;
  if (first === undefined) return { severity: 'warning', message: `${text} is in use by another program` };
  // Sockets that systemd opened for a service are handed to it.
  if (first.pid === 1)
    return { severity: 'note', message: `${first.name} (pid 1) listens on ${text}: as it should if that is our socket unit` };
  return { severity: 'warning', message: `${text} is in use by ${first.name} (pid ${first.pid})` };
}

async function socketProblem(path: string, { user, isOurs }: ListenContext): Promise<ListenProblem | null> {
  const directory = dirname(path);
  const around = look(directory);
  const warning = (message: string): ListenProblem => ({ severity: 'warning', message });
  if (around === undefined || around?.isDirectory() === false) return warning(`there is no directory ${directory} for the socket ${path}`);
  const stats = look(path);
  if (stats?.isSocket() === false) return warning(`${path} is there already, and is no socket`);
  if (stats?.isSocket() === true && (await answers(path))) {
    return processes(inodesOfUnix(path)).some(isOurs) ? null : warning(`unix:${path} is in use by another program`);
  }
  const closed = user === null ? null : obstacle(directory, user, 'write');
  return closed === null ? null : warning(`${who(user!)} may not make the socket ${path}: the directory ${closed} is closed to it`);
}

/** Who listens where a socket for `address` would. */
function holdersOf(address: Extract<ListenAddress, { port: number }>): readonly ListenHolder[] {
  const port = address.port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readText(file).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [ip = '', at] = (fields[1] ?? '').split(':');
      if (at !== port || fields[3] !== LISTENS || !meets(address.ip, ip)) continue;
      inodes.add(fields[9] ?? '');
    }
  }
  return processes(inodes);
}

/** Whether a socket bound to `held`, as /proc/net writes it, is in the way of one for `wanted`. */
function meets(wanted: string, held: string): boolean {
  // An IPv6 socket for all addresses may be one for IPv4 too: /proc does not say.
  if (/^0+$/.test(held)) return held.length === 32 || !wanted.includes(':');
  if (wanted === '0.0.0.0' || wanted === '::') return (held.length === 32) === wanted.includes(':');
  return hexOf(wanted) === held;
}

/** An address as /proc/net has it: words of 32 bits in the machine's order, which is little-endian where we run. */
function hexOf(ip: string): string {
  const bytes = ip.includes(':') ? bytesOf6(ip) : ip.split('.').map(Number);
  let text = '';
  for (let word = 0; word < bytes.length; word += 4) {
    for (let at = word + 3; at >= word; at--) text += bytes[at]!.toString(16).toUpperCase().padStart(2, '0');
  }
  return text;
}

/** `ip` is canonical (RFC 5952). */
function bytesOf6(ip: string): number[] {
  const [head = '', tail = ''] = ip.split('::');
  const [front, back] = [head, tail].map((part) => part.split(':').filter((word) => word !== '')) as [string[], string[]];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back].flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]);
}

function inodesOfUnix(path: string): ReadonlySet<string> {
  const lines = readText('/proc/net/unix').split('\n');
  return new Set(lines.filter((line) => line.endsWith(` ${path}`)).map((line) => line.trim().split(/\s+/)[6] ?? ''));
}

/** Processes that hold one of the sockets, as far as we may see. */
function processes(inodes: ReadonlySet<string>): readonly ListenHolder[] {
  if (inodes.size === 0) return [];
  const found: ListenHolder[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const holds = readdirSync(`/proc/${pid}/fd`).some((fd) => {
        const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode !== undefined && inodes.has(inode);
      });
      if (holds) found.push({ pid: Number(pid), name: readText(`/proc/${pid}/comm`).trim() });
    } catch {
      // Another user's, or gone.
    }
  }
  return found.sort((one, other) => one.pid - other.pid);
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
