import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Machine, SYSCTLS, type Sysctl } from './machine.ts';
import { judgeMachine, type MachineFinding, type Wanted } from './machine-judgement.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_000 * DAY_MS;

const GOOD: Readonly<Partial<Record<Sysctl, string>>> = {
  'fs.file-max': '1000000',
  'fs.file-nr': '1000\t0\t1000000',
  'fs.nr_open': '1048576',
  'kernel.core_pattern': 'core',
  'net.core.somaxconn': '4096',
  'net.ipv4.ip_local_port_range': '1024\t65535',
  'net.ipv4.ip_local_reserved_ports': '',
  'net.ipv4.ip_unprivileged_port_start': '1024',
  'net.ipv4.tcp_available_congestion_control': 'reno cubic',
  'net.ipv4.tcp_available_ulp': 'espintcp mptcp tls',
  'net.ipv4.tcp_congestion_control': 'cubic',
  'net.ipv4.tcp_fastopen': '3',
  'net.ipv4.tcp_max_syn_backlog': '4096',
  'net.ipv4.tcp_rmem': '4096\t131072\t6291456',
  'net.ipv4.tcp_slow_start_after_idle': '0',
  'net.ipv4.tcp_syncookies': '1',
  'net.ipv4.tcp_tw_reuse': '1',
  'net.ipv4.tcp_wmem': '4096\t16384\t4194304',
  'net.ipv6.conf.all.disable_ipv6': '0',
};

const WANTED: Wanted = {
  workers: 4,
  connections: 50_000,
  memoryBytesMax: null,
  listeners: [{ name: 'web', address: { family: 4, ip: '0.0.0.0', port: 8443 }, backlog: 4_096, fastOpen: true }],
  targets: [{ family: 4, ip: '10.0.0.1', port: 8080 }],
  certificates: [{ source: 'shop.pem', notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 60 * DAY_MS }],
};

function machine(changes: Partial<Machine> = {}, sysctls: Partial<Record<Sysctl, string | null>> = {}): Machine {
  return {
    kernel: '6.1.0-18-amd64',
    bindsLowPorts: false,
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, { ...GOOD, ...sysctls }[name] ?? null])) as Machine['sysctls'],
    descriptors: { max: 524_288, runs: false },
    cores: { all: 4, usable: 4, quota: null },
    memory: { bytes: 16 * 1_024 ** 3, maxBytes: null, availableBytes: 8 * 1_024 ** 3 },
    clockKept: true,
    clockSource: 'tsc',
    hugePages: 'always [madvise] never',
    disks: [{ purpose: 'access log', path: '/var/log', bytes: 1e9, freeBytes: 5e8, freeFiles: 100_000, writable: true }],
    ...changes,
  };
}

/** The one finding of `topic`. */
function about(topic: string, of: Machine, wanted: Partial<Wanted> = {}): MachineFinding {
  const found = judgeMachine(of, { ...WANTED, ...wanted }, NOW_MS).filter((each) => each.topic === topic);
  assert.equal(found.length, 1, topic);
  return found[0]!;
}

test('judgeMachine() finds nothing to change on a machine that is fine, and tells of each thing', () => {
  const findings = judgeMachine(machine(), WANTED, NOW_MS);
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== 'ok'),
    [],
  );
  assert.equal(new Set(findings.map(({ topic }) => topic)).size, findings.length);
  for (const finding of findings) assert.ok(finding.found.length > 0 && finding.change === null && finding.sysctls.length === 0);
});

test('judgeMachine() concludes nothing from what cannot be read', () => {
  const nothing = machine(
    { descriptors: { max: null, runs: false }, clockKept: null, clockSource: null, hugePages: null, disks: [] },
    Object.fromEntries(SYSCTLS.map((name) => [name, null])),
  );
  const listeners = WANTED.listeners.map((each) => ({ ...each, fastOpen: false }));
  assert.deepEqual(
    judgeMachine(nothing, { ...WANTED, listeners }, NOW_MS).filter(({ severity }) => severity === 'warn' || severity === 'problem'),
    [],
  );
});

test('judgeMachine() gives what to change, why, and the setting itself', () => {
  const cases: readonly [
    topic: string,
    severity: string,
    sysctls: readonly string[],
    sysctls: Partial<Record<Sysctl, string | null>>,
    wanted?: Partial<Wanted>,
  ][] = [
    ['backlog', 'warn', ['net.core.somaxconn = 4096'], { 'net.core.somaxconn': '128' }],
    ['open files', 'warn', ['fs.file-max = 202000'], { 'fs.file-max': '90000' }],
    ['open files', 'problem', ['fs.file-max = 202000'], { 'fs.file-max': '1050' }],
    ['half-open connections', 'warn', ['net.ipv4.tcp_syncookies = 1'], { 'net.ipv4.tcp_syncookies': '0' }],
    ['half-open connections', 'note', ['net.ipv4.tcp_max_syn_backlog = 4096'], { 'net.ipv4.tcp_max_syn_backlog': '128' }],
    ['local ports', 'note', ['net.ipv4.ip_local_port_range = 1024 65535'], { 'net.ipv4.ip_local_port_range': '32768 60999' }],
    ['local ports', 'warn', ['net.ipv4.ip_local_port_range = 1024 65535'], { 'net.ipv4.ip_local_port_range': '40000 40009' }],
    ['local ports', 'warn', [], { 'net.ipv4.ip_local_reserved_ports': '2000-65000,80' }],
    ['closed connections', 'note', ['net.ipv4.tcp_tw_reuse = 1'], { 'net.ipv4.tcp_tw_reuse': '2' }],
    ['TCP Fast Open', 'warn', ['net.ipv4.tcp_fastopen = 3'], { 'net.ipv4.tcp_fastopen': '1' }],
    [
      'connection tracking',
      'warn',
      ['net.netfilter.nf_conntrack_max = 200000'],
      { 'net.netfilter.nf_conntrack_max': '65536', 'net.netfilter.nf_conntrack_count': '10' },
    ],
    [
      'connection tracking',
      'problem',
      ['net.netfilter.nf_conntrack_max = 200000'],
      { 'net.netfilter.nf_conntrack_max': '65536', 'net.netfilter.nf_conntrack_count': '60000' },
    ],
    ['congestion control', 'note', ['net.ipv4.tcp_congestion_control = cubic'], { 'net.ipv4.tcp_congestion_control': 'reno' }],
    ['socket buffers', 'note', ['net.ipv4.tcp_wmem = 4096 16384 4194304'], { 'net.ipv4.tcp_wmem': '4096 16384 65536' }],
    ['slow start', 'note', ['net.ipv4.tcp_slow_start_after_idle = 0'], { 'net.ipv4.tcp_slow_start_after_idle': '1' }],
    [
      'IPv6',
      'problem',
      ['net.ipv6.conf.all.disable_ipv6 = 0'],
      { 'net.ipv6.conf.all.disable_ipv6': '1' },
      { targets: [{ family: 6, ip: '2001:db8::1', port: 80 }] },
    ],
    [
      'low ports',
      'problem',
      ['net.ipv4.ip_unprivileged_port_start = 80'],
      {},
      { listeners: [443, 80].map((port) => ({ ...WANTED.listeners[0]!, address: { family: 4, ip: '0.0.0.0', port } })) },
    ],
  ];
  for (const [topic, severity, sysctls, change, wanted] of cases) {
    const finding = about(topic, machine({}, change), wanted);
    assert.equal(finding.severity, severity, `${topic} ${JSON.stringify(change)}`);
    assert.deepEqual(finding.sysctls, sysctls, topic);
    assert.ok(finding.why !== null && (sysctls.length > 0 || finding.change !== null), topic);
  }
});

test('judgeMachine() counts descriptors for each worker, and raises the bound of the bound where that is lower', () => {
  const short = about('descriptors', machine({ descriptors: { max: 4_096, runs: true } }), { connections: 3_000_000 });
  assert.equal(short.severity, 'warn');
  assert.match(short.found, /^4096 for a worker that runs /);
  assert.match(short.why ?? '', /enough for 8064,/);
  assert.match(short.change ?? '', /^LimitNOFILE=1500064 /);
  assert.deepEqual(short.sysctls, ['fs.nr_open = 1500064']);
  assert.equal(short.inactive, 'limits.connections 3000000: descriptors are enough for 8064 (ulimit -n 4096 for each worker)');
  assert.equal(about('descriptors', machine({ descriptors: { max: 256, runs: false } })).severity, 'problem');
  assert.equal(about('descriptors', machine({ descriptors: { max: Number.POSITIVE_INFINITY, runs: false } })).severity, 'ok');
});

test('judgeMachine() judges cores and memory by what a container leaves', () => {
  const cores = about('cores', machine({ cores: { all: 16, usable: 16, quota: 1.5 } }));
  assert.equal(cores.severity, 'warn');
  assert.match(cores.change ?? '', /^workers: 1,/);
  assert.equal(about('cores', machine({ cores: { all: 16, usable: 2, quota: 0.5 } }), { workers: 1 }).severity, 'ok');
  const memory = { bytes: 16 * 1_024 ** 3, availableBytes: null };
  assert.equal(about('memory', machine({ memory: { ...memory, maxBytes: 512 * 1_024 ** 2 } })).severity, 'warn');
  assert.equal(about('memory', machine({ memory: { ...memory, maxBytes: 256 * 1_024 ** 2 } })).severity, 'problem');
  const beyond = about('memory', machine({ memory: { ...memory, maxBytes: 2 * 1_024 ** 3 } }), { memoryBytesMax: 3 * 1_024 ** 3 });
  assert.match(beyond.why ?? '', /^limits.memory is 3072 MiB: /);
});

test('judgeMachine() tells of clocks, kernels, disks and certificates', () => {
  assert.equal(about('time', machine({ clockKept: false })).severity, 'warn');
  assert.equal(about('time', machine({ clockKept: null })).severity, 'note');
  assert.equal(about('clock source', machine({ clockSource: 'hpet' })).severity, 'note');
  assert.equal(about('huge pages', machine({ hugePages: '[always] madvise never' })).severity, 'note');
  assert.equal(about('kernel', machine({ kernel: '3.10.0-1160.el7' })).severity, 'problem');
  assert.equal(about('kernel', machine({ kernel: '4.18.0-553.el8' })).severity, 'ok');
  const disk = { purpose: 'access log', path: '/var/log', bytes: 1e9, freeBytes: 5e8, freeFiles: 100_000, writable: true };
  for (const [change, severity] of [
    [{ freeBytes: 5e7 }, 'warn'],
    [{ freeBytes: 1e7 }, 'problem'],
    [{ freeFiles: 0 }, 'problem'],
    [{ freeFiles: null }, 'ok'],
    [{ writable: false }, 'warn'],
  ] as const) {
    assert.equal(about('disk: access log', machine({ disks: [{ ...disk, ...change }] })).severity, severity, JSON.stringify(change));
  }
  for (const [days, severity] of [
    [-1, 'problem'],
    [3, 'warn'],
    [30, 'ok'],
  ] as const) {
    const certificate = { source: 'a.pem', notBeforeMs: 0, notAfterMs: NOW_MS + days * DAY_MS + 1 };
    assert.equal(about('certificate', machine(), { certificates: [certificate] }).severity, severity, `${days} days`);
  }
  const early = { source: 'a.pem', notBeforeMs: NOW_MS + 1, notAfterMs: NOW_MS + DAY_MS };
  assert.equal(about('certificate', machine(), { certificates: [early] }).severity, 'problem');
});
