/**
 * What there is of the machine, read once and judged elsewhere (machine-judgement.ts): plain data, so that a machine nobody has can be judged
 * in a test. Changes nothing, asks for no rights; what cannot be read is null, and nothing is concluded from it.
 */
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { isClockKept } from '../native/limits.ts';
import { mayBindLowPorts } from '../native/privileges.ts';

/** Kernel settings that are judged, as sysctl(8) names them. */
export const SYSCTLS = [
  'fs.file-max',
  'fs.file-nr',
  'fs.nr_open',
  'kernel.core_pattern',
  'net.core.somaxconn',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_available_congestion_control',
  'net.ipv4.tcp_available_ulp',
  'net.ipv4.tcp_congestion_control',
  'net.ipv4.tcp_fastopen',
  'net.ipv4.tcp_max_syn_backlog',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_slow_start_after_idle',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_tw_reuse',
  'net.ipv4.tcp_wmem',
  'net.ipv6.conf.all.disable_ipv6',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_max',
] as const;

export type Sysctl = (typeof SYSCTLS)[number];

export interface Disk {
  /** What lies there, for people. */
  readonly purpose: string;
  readonly path: string;
  readonly bytes: number;
  readonly freeBytes: number;
  /** Files that can still be made; null: the file system does not count them. */
  readonly freeFiles: number | null;
  readonly writable: boolean;
}

export interface Machine {
  /** `6.1.0-18-amd64`. */
  readonly kernel: string;
  /** Whether this process may bind ports below `net.ipv4.ip_unprivileged_port_start`. */
  readonly bindsLowPorts: boolean;
  readonly sysctls: Readonly<Record<Sysctl, string | null>>;
  /** Descriptors that a process may have open: of a running worker, else of one that is started from here. */
  readonly descriptors: { readonly max: number | null; readonly runs: boolean };
  readonly cores: {
    /** In the machine, and those a process may use by its affinity and its container's quota. */
    readonly all: number;
    readonly usable: number;
    /** CPU time the container gives, in cores; null: as much as there is. */
    readonly quota: number | null;
  };
  readonly memory: {
    readonly bytes: number;
    /** The container's bound; null: none. */
    readonly maxBytes: number | null;
    readonly availableBytes: number | null;
  };
  /** Whether somebody keeps the wall clock right; null: the kernel does not say. */
  readonly clockKept: boolean | null;
  readonly clockSource: string | null;
  /** As /sys has it: `always [madvise] never`. */
  readonly hugePages: string | null;
  readonly disks: readonly Disk[];
}

export interface MachineOptions {
  /** Process id of a worker that runs; null: none does. */
  readonly worker?: number | null;
  /** Whether the kernel is asked about the clock: a call that a service's sandbox may answer by ending the process. */
  readonly asksClock?: boolean;
  /** Places that are written to. They need not exist yet. */
  readonly places?: readonly { readonly purpose: string; readonly path: string }[];
}

export function readMachine({ worker = null, asksClock = true, places = [] }: MachineOptions = {}): Machine {
  const sysctl = (name: Sysctl): string | null => readText(`/proc/sys/${name.replaceAll('.', '/')}`);
  const groups = controlGroups(readText('/proc/self/cgroup') ?? '');
  return {
    kernel: release(),
    bindsLowPorts: mayBindLowPorts(),
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, sysctl(name)])) as Machine['sysctls'],
    descriptors: { max: descriptorsOf(worker ?? 'self'), runs: worker !== null },
    cores: { all: cpus().length, usable: availableParallelism(), quota: least(groups.cpu.map(cpuQuota)) },
    memory: {
      bytes: totalmem(),
      maxBytes: least(groups.memory.map((path) => wholeNumber(readText(path)))),
      availableBytes: availableMemory(readText('/proc/meminfo') ?? ''),
    },
    clockKept: asksClock ? isClockKept() : null,
    clockSource: readText('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
    hugePages: readText('/sys/kernel/mm/transparent_hugepage/enabled'),
    disks: places.flatMap(({ purpose, path }) => readDisk(purpose, path) ?? []),
  };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function descriptorsOf(pid: number | 'self'): number | null {
  // Node raises what it is given to what it may have: the second number.
  const found = /^Max open files +\S+ +(\d+|unlimited)/m.exec(readText(`/proc/${pid}/limits`) ?? '')?.[1];
  return found === undefined ? null : found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found);
}

/** Files of the control groups above this process that may bound it: a container sees its own as the root. cgroups(7), both versions. */
export function controlGroups(text: string): { readonly cpu: readonly string[]; readonly memory: readonly string[] } {
  const cpu: string[] = [];
  const memory: string[] = [];
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const above of pathsAbove(path)) {
      if (controllers === '') {
        cpu.push(`/sys/fs/cgroup${above}cpu.max`);
        memory.push(`/sys/fs/cgroup${above}memory.max`);
      } else if (controllers.split(',').includes('memory')) memory.push(`/sys/fs/cgroup/memory${above}memory.limit_in_bytes`);
    }
  }
  return { cpu, memory };
}

function pathsAbove(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, i) => `/${parts.slice(0, i).join('/')}${i === 0 ? '' : '/'}`);
}

/** `50000 100000` is half a core. */
function cpuQuota(path: string): number | null {
  const [quota, period] = (readText(path) ?? '').split(' ').map(Number);
  return quota === undefined || period === undefined || !(quota > 0) || !(period > 0) ? null : quota / period;
}

/** What has no bound says `max`, or a number beyond every memory. */
function wholeNumber(text: string | null): number | null {
  const value = /^\d+$/.test(text ?? '') ? Number(text) : Number.POSITIVE_INFINITY;
  return value < totalmem() ? value : null;
}

function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function availableMemory(text: string): number | null {
  const kilobytes = /^MemAvailable: +(\d+) kB/m.exec(text)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1_024;
}

/** The disk that `path` lies on, or will. */
function readDisk(purpose: string, path: string): Disk | null {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { blocks, bavail, bsize, files, ffree } = statfsSync(at);
      // Pipes and devices are no disks; some file systems count neither blocks nor files.
      if (blocks === 0) return null;
      return {
        purpose,
        path,
        bytes: blocks * bsize,
        freeBytes: bavail * bsize,
        freeFiles: files === 0 ? null : ffree,
        writable: isWritable(at),
      };
    } catch {
      if (at === dirname(at)) return null;
    }
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
