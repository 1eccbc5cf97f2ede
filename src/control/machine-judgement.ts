/**
 * What a machine means for Tollgate: for each thing what is there, whether it is fine, and what to change and why. Pure: a machine and
 * what is wanted of it in, findings out. What is unknown is passed over: no finding is a guess.
 */
import type { ListenAddress, Plan, TargetAddress } from '../plan/plan.ts';
import { addressText } from '../plan/plan.ts';
import type { Machine, Sysctl } from './machine.ts';

/** note: could be better, or is to be known. warn: will bite under load. problem: bites now. */
export type Severity = 'ok' | 'note' | 'warn' | 'problem';

export interface MachineFinding {
  readonly topic: string;
  readonly severity: Severity;
  readonly found: string;
  /** Null when there is nothing to change. */
  readonly why: string | null;
  readonly change: string | null;
  /** Kernel settings that make the change, as sysctl.conf(5) has them. */
  readonly sysctls: readonly string[];
  /** What is configured and not in force because of it, for `tollgate status`. */
  readonly inactive: string | null;
}

/** What is asked of the machine. */
export interface Wanted {
  readonly workers: number;
  readonly connections: number;
  /** `limits.memory`; null: what there is. */
  readonly memoryBytesMax: number | null;
  readonly listeners: readonly {
    readonly name: string;
    readonly address: ListenAddress;
    readonly backlog: number;
    readonly fastOpen: boolean;
  }[];
  /** Every target's first place. */
  readonly targets: readonly TargetAddress[];
  readonly certificates: readonly { readonly source: string; readonly notBeforeMs: number; readonly notAfterMs: number }[];
}

export function wantedBy(plan: Plan, workers: number): Wanted {
  return {
    workers,
    connections: plan.limits.connectionsMax,
    memoryBytesMax: plan.limits.memoryBytesMax,
    listeners: plan.listeners.map(({ name, address, socket }) => ({ name, address, backlog: socket.backlog, fastOpen: socket.fastOpen })),
    targets: plan.upstreams.flatMap(({ targets }) => targets.flatMap(({ addresses }) => addresses.slice(0, 1))),
    certificates: plan.certificates,
  };
}

/** Fewer than so many connections are no service. */
const CONNECTIONS_MIN = 1_000;
/** Descriptors of one proxied connection: the client's and the server's. */
const DESCRIPTORS_PER_CONNECTION = 2;
/** Those of a worker without connections. */
const DESCRIPTORS_BASE = 64;
/** A worker without connections, and one idle TLS connection. Bytes. */
const WORKER_BYTES = 90 * 1_048_576;
const CONNECTION_BYTES = 10 * 1_024;
/** Node 26 runs on nothing older. */
const KERNEL_MIN = [4, 18] as const;
const DISK_SHARE_WARN = 0.1;
const DISK_SHARE_PROBLEM = 0.02;
const DISK_FILES_MIN = 1_000;
/** What one fast and distant client can have under way. Bytes. */
const BUFFER_BYTES_MIN = 4 * 1_048_576;
const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS_WARN = 14;
/** Clocks that are read without a system call. */
const FAST_CLOCKS = ['tsc', 'kvm-clock', 'arch_sys_counter', 'hyperv_clocksource_tsc_page'];

type Judge = (machine: Machine, wanted: Wanted, nowMs: number) => MachineFinding | MachineFinding[] | null;

/** All there is to say, in the order of the judges below. */
export function judgeMachine(machine: Machine, wanted: Wanted, nowMs: number): readonly MachineFinding[] {
  return JUDGES.flatMap((judge) => judge(machine, wanted, nowMs) ?? []);
}

function fine(topic: string, found: string): MachineFinding {
  return { topic, severity: 'ok', found, why: null, change: null, sysctls: [], inactive: null };
}

interface Complaint {
  readonly why: string;
  readonly change?: string;
  readonly sysctls?: readonly string[];
  readonly inactive?: string;
}

function complaint(topic: string, severity: Exclude<Severity, 'ok'>, found: string, what: Complaint): MachineFinding {
  const { why, change = null, sysctls = [], inactive = null } = what;
  return { topic, severity, found, why, change, sysctls, inactive };
}

function number({ sysctls }: Machine, name: Sysctl): number | null {
  const text = sysctls[name];
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

/** The numbers of a setting that has several. */
function numbers({ sysctls }: Machine, name: Sysctl): readonly number[] {
  return (sysctls[name] ?? '')
    .split(/\s+/)
    .filter((part) => /^\d+$/.test(part))
    .map(Number);
}

function descriptors(machine: Machine, wanted: Wanted): MachineFinding | null {
  const { max, runs } = machine.descriptors;
  if (max === null) return null;
  const found = `${max === Number.POSITIVE_INFINITY ? 'any number' : max} for ${runs ? 'a worker that runs' : 'each process started from here'} (ulimit -n)`;
  const needed = Math.ceil((wanted.connections * DESCRIPTORS_PER_CONNECTION) / wanted.workers) + DESCRIPTORS_BASE;
  if (needed <= max) return fine('descriptors', found);
  const possible = Math.max(0, Math.floor(((max - DESCRIPTORS_BASE) * wanted.workers) / DESCRIPTORS_PER_CONNECTION));
  const open = number(machine, 'fs.nr_open');
  return complaint('descriptors', possible < CONNECTIONS_MIN ? 'problem' : 'warn', found, {
    why: `limits.connections is ${wanted.connections}, and a connection needs two; they are enough for ${possible}, and who comes then is refused`,
    change: `LimitNOFILE=${needed} in the unit (systemctl edit tollgate), "* - nofile ${needed}" in /etc/security/limits.conf for a login; or a lower limits.connections`,
    sysctls: open !== null && open < needed ? [`fs.nr_open = ${needed}`] : [],
    inactive: `limits.connections ${wanted.connections}: descriptors are enough for ${possible} (ulimit -n ${max} for each worker)`,
  });
}

function files(machine: Machine, wanted: Wanted): MachineFinding | null {
  const most = number(machine, 'fs.file-max');
  const used = numbers(machine, 'fs.file-nr')[0];
  if (most === null || used === undefined) return null;
  const needed = used + wanted.connections * DESCRIPTORS_PER_CONNECTION;
  const found = `${used} open in the whole machine, ${most} at most (fs.file-max)`;
  if (needed <= most) return fine('open files', found);
  return complaint('open files', used > 0.9 * most ? 'problem' : 'warn', found, {
    why: `limits.connections ${wanted.connections} needs ${wanted.connections * DESCRIPTORS_PER_CONNECTION} more; past it no program of this machine opens anything`,
    sysctls: [`fs.file-max = ${2 * needed}`],
  });
}

function backlog(machine: Machine, wanted: Wanted): MachineFinding | null {
  const most = number(machine, 'net.core.somaxconn');
  if (most === null) return null;
  const found = `${most} connections may wait to be accepted (net.core.somaxconn)`;
  const longest = Math.max(0, ...wanted.listeners.map((each) => each.backlog));
  const cut = wanted.listeners.filter((each) => each.backlog > most).map(({ name }) => name);
  if (cut.length === 0) return fine('backlog', found);
  return complaint('backlog', 'warn', found, {
    why: `${cut.join(', ')} asks for ${longest}; when a burst fills the queue, connections are dropped and clients wait a second or more`,
    sysctls: [`net.core.somaxconn = ${longest}`],
    inactive: `backlog of ${cut.join(', ')}: cut to ${most} by the kernel (net.core.somaxconn)`,
  });
}

function synBacklog(machine: Machine): MachineFinding | null {
  const cookies = number(machine, 'net.ipv4.tcp_syncookies');
  const most = number(machine, 'net.ipv4.tcp_max_syn_backlog');
  if (cookies === null || most === null) return null;
  const found = `SYN cookies ${cookies === 0 ? 'off' : 'on'} (net.ipv4.tcp_syncookies), ${most} half-open connections (net.ipv4.tcp_max_syn_backlog)`;
  if (cookies === 0) {
    return complaint('half-open connections', 'warn', found, {
      why: 'a flood of SYNs fills the queue, and nobody else gets in',
      sysctls: ['net.ipv4.tcp_syncookies = 1'],
    });
  }
  if (most >= 1_024) return fine('half-open connections', found);
  return complaint('half-open connections', 'note', found, {
    why: 'past it connections are answered with cookies, which lose window scaling and other options of TCP',
    sysctls: ['net.ipv4.tcp_max_syn_backlog = 4096'],
  });
}

function ports(machine: Machine, wanted: Wanted): MachineFinding | null {
  const [first, last] = numbers(machine, 'net.ipv4.ip_local_port_range');
  if (first === undefined || last === undefined) return null;
  const each = Math.max(0, last - first + 1 - reserved(machine.sysctls['net.ipv4.ip_local_reserved_ports'] ?? '', first, last));
  const targets = new Set(wanted.targets.filter(({ family }) => family !== 0).map(addressText)).size;
  const found = `${each} for each target (net.ipv4.ip_local_port_range ${first} ${last})`;
  if (targets === 0) {
    if (each >= 16_384 || wanted.targets.length > 0) return fine('local ports', found);
  } else if (each * targets >= wanted.connections) return fine('local ports', `${found}, ${each * targets} for ${targets} of them`);
  const wide = first > 1_024 || last < 65_535;
  return complaint('local ports', each < 4_096 ? 'warn' : 'note', found, {
    why: `so many connections can a target have at once, those of the last minute included; limits.connections is ${wanted.connections}. Past it requests are answered 503`,
    ...(wide ? { sysctls: ['net.ipv4.ip_local_port_range = 1024 65535'] } : {}),
    change: `${wide ? '' : 'the range is as wide as it can be: '}more targets (or more ports of one), a second sourceAddress, or a Unix socket for a target on this machine`,
  });
}

/** Ports of `first`..=`last` that `ip_local_reserved_ports` (`8080,9000-9010`) takes away. */
function reserved(text: string, first: number, last: number): number {
  let count = 0;
  for (const part of text.split(',')) {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (from !== undefined) count += Math.max(0, Math.min(Number(to ?? from), last) - Math.max(Number(from), first) + 1);
  }
  return count;
}

function timeWait(machine: Machine): MachineFinding | null {
  const reuse = number(machine, 'net.ipv4.tcp_tw_reuse');
  if (reuse === null) return null;
  const found = `${['ports of closed connections wait a minute', 'ports of closed connections are used again', 'ports of closed connections are used again on loopback alone'][reuse] ?? reuse} (net.ipv4.tcp_tw_reuse ${reuse})`;
  if (reuse === 1) return fine('closed connections', found);
  return complaint('closed connections', 'note', found, {
    why: 'Tollgate keeps connections to targets, so that few are closed; with targets that close each of them, ports run out at some hundred requests a second',
    sysctls: ['net.ipv4.tcp_tw_reuse = 1'],
  });
}

function fastOpen(machine: Machine, wanted: Wanted): MachineFinding | null {
  const bits = number(machine, 'net.ipv4.tcp_fastopen');
  const wants = wanted.listeners.filter((each) => each.fastOpen);
  const found =
    bits === null ? 'not in this kernel' : `${(bits & 2) === 0 ? 'not for servers' : 'for servers too'} (net.ipv4.tcp_fastopen ${bits})`;
  if (bits !== null && (bits & 2) !== 0) return fine('TCP Fast Open', found);
  if (wants.length === 0) return fine('TCP Fast Open', `${found}; no listener asks for it`);
  return complaint('TCP Fast Open', 'warn', found, {
    why: `${wants.map(({ name }) => name).join(', ')} asks for it, and the kernel does not let servers`,
    sysctls: [`net.ipv4.tcp_fastopen = ${(bits ?? 1) | 2}`],
    inactive: 'TCP Fast Open: the kernel does not let servers (net.ipv4.tcp_fastopen lacks 2)',
  });
}

function tracking(machine: Machine, wanted: Wanted): MachineFinding | null {
  const most = number(machine, 'net.netfilter.nf_conntrack_max');
  const count = number(machine, 'net.netfilter.nf_conntrack_count');
  if (most === null || count === null) return fine('connection tracking', 'not loaded');
  const needed = wanted.connections * DESCRIPTORS_PER_CONNECTION;
  const found = `${count} of ${most} connections (net.netfilter.nf_conntrack_max)`;
  if (count < 0.8 * most && needed <= most) return fine('connection tracking', found);
  return complaint('connection tracking', count >= 0.8 * most ? 'problem' : 'warn', found, {
    why: `the firewall follows each connection, and drops packets of new ones when its table is full; limits.connections ${wanted.connections} needs ${needed}`,
    sysctls: [`net.netfilter.nf_conntrack_max = ${2 * needed}`],
    change: 'or no tracking for these ports at all: "notrack" in a raw prerouting and output chain',
  });
}

function lowPorts(machine: Machine, wanted: Wanted): MachineFinding | null {
  const first = number(machine, 'net.ipv4.ip_unprivileged_port_start') ?? 1_024;
  const low = wanted.listeners.flatMap(({ address }) => (address.family !== 0 && address.port < first ? [address.port] : []));
  if (low.length === 0) return null;
  const lowest = Math.min(...low);
  const found = `${[...new Set(low)].join(', ')} wanted; ${machine.bindsLowPorts ? 'this user may' : `this user may bind ${first} and above`}`;
  if (machine.bindsLowPorts) return fine('low ports', found);
  return complaint('low ports', 'problem', found, {
    why: 'a start as this user fails',
    change:
      'start as root with user: in the configuration, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit (examples/), or this kernel setting',
    sysctls: [`net.ipv4.ip_unprivileged_port_start = ${lowest}`],
  });
}

function ipv6(machine: Machine, wanted: Wanted): MachineFinding | null {
  const off = machine.sysctls['net.ipv6.conf.all.disable_ipv6'];
  const uses = [...wanted.listeners.map(({ address }) => address), ...wanted.targets].filter(({ family }) => family === 6).map(addressText);
  const there = off === '0';
  const found = there ? 'there' : off === null ? 'not in this kernel' : 'switched off (net.ipv6.conf.all.disable_ipv6)';
  if (there || uses.length === 0) return fine('IPv6', found);
  return complaint('IPv6', 'problem', found, {
    why: `${uses.slice(0, 3).join(', ')} cannot be reached, or listened on`,
    sysctls: off === null ? [] : ['net.ipv6.conf.all.disable_ipv6 = 0'],
    change:
      off === null
        ? 'boot without ipv6.disable=1, or take the address out of the configuration'
        : 'or take the address out of the configuration',
  });
}

function cores(machine: Machine, wanted: Wanted): MachineFinding {
  const { all, usable, quota } = machine.cores;
  const has = Math.min(usable, quota ?? usable);
  const found = `${all}, of which ${Number(has.toFixed(1))} ${has === 1 ? 'is' : 'are'} ours${quota === null ? '' : " (the container's quota)"}; ${wanted.workers} workers`;
  if (wanted.workers <= Math.max(1, Math.ceil(has))) return fine('cores', found);
  return complaint('cores', 'warn', found, {
    why: 'workers that share a core wait for each other, and under a quota all of them stand still together',
    change: `workers: ${Math.max(1, Math.floor(has))}, or a larger quota (CPUQuota= in the unit, --cpus for a container)`,
  });
}

function memory(machine: Machine, wanted: Wanted): MachineFinding {
  const { bytes, maxBytes, availableBytes } = machine.memory;
  const has = Math.min(bytes, maxBytes ?? bytes);
  const needed = wanted.workers * WORKER_BYTES + wanted.connections * CONNECTION_BYTES;
  const found = `${mebibytes(has)}${maxBytes === null ? '' : " (the container's bound)"}${availableBytes === null ? '' : `, ${mebibytes(availableBytes)} free in the machine`}`;
  const idle = wanted.workers * WORKER_BYTES;
  if ((wanted.memoryBytesMax ?? 0) > has) {
    return complaint('memory', 'warn', found, {
      why: `limits.memory is ${mebibytes(wanted.memoryBytesMax ?? 0)}: the kernel ends a worker before newcomers are refused`,
      change: 'limits.memory: auto, or a size that leaves a tenth of it',
    });
  }
  if (needed <= 0.9 * has) return fine('memory', found);
  return complaint('memory', idle > 0.9 * has ? 'problem' : 'warn', found, {
    why: `${wanted.workers} workers take ${mebibytes(idle)}, and limits.connections ${wanted.connections} idle TLS connections ${mebibytes(needed - idle)} more; past limits.memory new ones are refused`,
    change: 'more memory (MemoryMax= in the unit, --memory for a container), fewer workers, or a lower limits.connections',
  });
}

function mebibytes(bytes: number): string {
  return bytes >= 10 * 1_024 ** 3 ? `${(bytes / 1_024 ** 3).toFixed(0)} GiB` : `${Math.ceil(bytes / 1_048_576)} MiB`;
}

function time({ clockKept }: Machine): MachineFinding {
  if (clockKept === null)
    return complaint('time', 'note', 'the kernel does not say whether the clock is kept', {
      why: 'a container may not ask; look on its host',
    });
  if (clockKept) return fine('time', 'the clock is kept');
  return complaint('time', 'warn', 'nobody keeps the clock (adjtimex: unsynchronised)', {
    why: 'certificates, tickets and log lines go by it; when it is wrong by days, certificates that are valid are refused',
    change: 'apt-get install systemd-timesyncd, or chrony; in a virtual machine or container its host may keep it without telling',
  });
}

function clockSource({ clockSource: source }: Machine): MachineFinding | null {
  if (source === null) return null;
  if (FAST_CLOCKS.includes(source)) return fine('clock source', source);
  return complaint('clock source', 'note', source, {
    why: 'the loop reads the clock several times a request, and with this one each is a system call or worse',
    change: 'see /sys/devices/system/clocksource/clocksource0/available_clocksource; tsc where it is stable',
  });
}

function kernelTls({ sysctls }: Machine): MachineFinding {
  const loaded = (sysctls['net.ipv4.tcp_available_ulp'] ?? '').split(' ').includes('tls');
  return {
    ...fine('kernel TLS', `${loaded ? 'loaded' : 'not loaded'}; not used`),
    inactive: 'kernel TLS: not used; the TLS library encrypts in this process',
  };
}

function kernel({ kernel: version }: Machine): MachineFinding | null {
  const [major, minor] = version.split('.').map(Number);
  if (major === undefined || minor === undefined) return null;
  const [wantMajor, wantMinor] = KERNEL_MIN;
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return fine('kernel', version);
  return complaint('kernel', 'problem', version, { why: `node needs Linux ${KERNEL_MIN.join('.')}`, change: 'a newer kernel' });
}

function congestion({ sysctls }: Machine): MachineFinding | null {
  const used = sysctls['net.ipv4.tcp_congestion_control'];
  if (used === null) return null;
  if (used === 'bbr' || used === 'cubic') return fine('congestion control', used);
  const has = (sysctls['net.ipv4.tcp_available_congestion_control'] ?? '').split(' ');
  return complaint('congestion control', 'note', used, {
    why: 'cubic and bbr are what the field uses towards the Internet',
    sysctls: [`net.ipv4.tcp_congestion_control = ${has.includes('bbr') ? 'bbr' : 'cubic'}`],
  });
}

function buffers(machine: Machine): MachineFinding | null {
  const receive = numbers(machine, 'net.ipv4.tcp_rmem')[2];
  const send = numbers(machine, 'net.ipv4.tcp_wmem')[2];
  if (receive === undefined || send === undefined) return null;
  const found = `${receive} bytes to receive, ${send} to send, at most (net.ipv4.tcp_rmem, tcp_wmem)`;
  if (Math.min(receive, send) >= BUFFER_BYTES_MIN) return fine('socket buffers', found);
  return complaint('socket buffers', 'note', found, {
    why: `a client 100 ms away gets ${(Math.min(receive, send) / 100_000).toFixed(0)} MB/s at most`,
    sysctls: [
      ...(receive < BUFFER_BYTES_MIN ? [`net.ipv4.tcp_rmem = 4096 131072 ${BUFFER_BYTES_MIN}`] : []),
      ...(send < BUFFER_BYTES_MIN ? [`net.ipv4.tcp_wmem = 4096 16384 ${BUFFER_BYTES_MIN}`] : []),
    ],
  });
}

function slowStart(machine: Machine): MachineFinding | null {
  const again = number(machine, 'net.ipv4.tcp_slow_start_after_idle');
  if (again === null) return null;
  if (again === 0) return fine('slow start', 'kept connections keep their pace (net.ipv4.tcp_slow_start_after_idle 0)');
  return complaint('slow start', 'note', 'kept connections begin slowly again after a pause (net.ipv4.tcp_slow_start_after_idle 1)', {
    why: 'the first large answer on a connection that was quiet takes some round trips more',
    sysctls: ['net.ipv4.tcp_slow_start_after_idle = 0'],
  });
}

function hugePages({ hugePages: text }: Machine): MachineFinding | null {
  const used = /\[(\w+)\]/.exec(text ?? '')?.[1];
  if (used === undefined) return null;
  if (used !== 'always') return fine('huge pages', used);
  return complaint('huge pages', 'note', 'always', {
    why: 'memory of many small connections is rounded up to 2 MiB pieces, and looking for them makes pauses',
    change: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (at boot: transparent_hugepage=madvise)',
  });
}

function coreDumps({ sysctls }: Machine): MachineFinding | null {
  const pattern = sysctls['kernel.core_pattern'];
  if (pattern === null) return null;
  return fine('core dumps', `${pattern === '' ? 'none' : pattern}; none of Tollgate, which has keys in its memory and forbids them`);
}

function disks({ disks: all }: Machine): MachineFinding[] {
  return all.map(({ purpose, path, bytes, freeBytes, freeFiles, writable }) => {
    const topic = `disk: ${purpose}`;
    const share = freeBytes / bytes;
    const found = `${path}: ${mebibytes(freeBytes)} of ${mebibytes(bytes)} free${freeFiles === null ? '' : `, ${freeFiles} files`}`;
    if (!writable) {
      return complaint(topic, 'warn', `${found}; this user may not write there`, {
        why: 'Tollgate must, as the user it runs as',
        change: `chown ${path} to that user, or run this as the user`,
      });
    }
    const full = share < DISK_SHARE_PROBLEM || freeFiles === 0;
    if (!full && share >= DISK_SHARE_WARN && (freeFiles ?? DISK_FILES_MIN) >= DISK_FILES_MIN) return fine(topic, found);
    return complaint(topic, full ? 'problem' : 'warn', found, {
      why: 'on a full disk log lines are lost (and counted), and no configuration is kept or tried; requests go on',
      change: 'make room, or rotate more often (examples/logrotate)',
    });
  });
}

function certificates(_machine: Machine, wanted: Wanted, nowMs: number): MachineFinding[] {
  return wanted.certificates.flatMap(({ source, notBeforeMs, notAfterMs }) => {
    const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
    if (notBeforeMs > nowMs) {
      return complaint('certificate', 'problem', `${source}: not valid before ${new Date(notBeforeMs).toISOString()}`, {
        why: 'clients refuse it; or the clock of this machine is wrong',
      });
    }
    if (notAfterMs <= nowMs)
      return complaint('certificate', 'problem', `${source}: has expired`, { why: 'clients refuse it', change: 'renew it' });
    if (days < CERTIFICATE_DAYS_WARN)
      return complaint('certificate', 'warn', `${source}: ${days} days left`, { why: 'clients refuse it then', change: 'renew it' });
    return fine('certificate', `${source}: ${days} days left`);
  });
}

const JUDGES: readonly Judge[] = [
  kernel,
  cores,
  memory,
  descriptors,
  files,
  backlog,
  synBacklog,
  ports,
  timeWait,
  tracking,
  lowPorts,
  ipv6,
  fastOpen,
  kernelTls,
  congestion,
  buffers,
  slowStart,
  time,
  clockSource,
  hugePages,
  coreDumps,
  disks,
  certificates,
];
