import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlGroups, readMachine, SYSCTLS } from './machine.ts';

test('readMachine() reads this machine, and what it cannot read is null', () => {
  const machine = readMachine({
    worker: process.pid,
    places: [
      { purpose: 'here', path: import.meta.dirname },
      { purpose: 'to be made', path: '/tmp/tollgate-is/not-there/yet' },
    ],
  });
  assert.match(machine.kernel, /^\d+\.\d+/);
  assert.deepEqual(Object.keys(machine.sysctls), [...SYSCTLS]);
  assert.match(machine.sysctls['net.core.somaxconn'] ?? '', /^\d+$/);
  assert.ok((machine.descriptors.max ?? 0) >= 16 && machine.descriptors.runs);
  assert.ok(machine.cores.usable >= 1 && machine.cores.all >= 1);
  assert.ok(machine.memory.bytes > (machine.memory.availableBytes ?? 0));
  assert.deepEqual(
    machine.disks.map(({ purpose, path }) => [purpose, path]),
    [
      ['here', import.meta.dirname],
      ['to be made', '/tmp/tollgate-is/not-there/yet'],
    ],
  );
  assert.equal(readMachine({ worker: 0x7fffffff }).descriptors.max, null);
});

test('controlGroups() names the bounds of a group and of all above it, in both versions', () => {
  assert.deepEqual(controlGroups('0::/system.slice/tollgate.service\n'), {
    cpu: ['', '/system.slice', '/system.slice/tollgate.service'].map((path) => `/sys/fs/cgroup${path}/cpu.max`),
    memory: ['', '/system.slice', '/system.slice/tollgate.service'].map((path) => `/sys/fs/cgroup${path}/memory.max`),
  });
  assert.deepEqual(controlGroups('5:cpu,cpuacct:/\n4:memory:/docker/1f\nnonsense').memory, [
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/memory/docker/memory.limit_in_bytes',
    '/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes',
  ]);
});
