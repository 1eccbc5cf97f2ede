import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan } from '../plan/plan.ts';
import { machineLimits } from './machine-limits.ts';

test('machineLimits() tells what the kernel cuts, and nothing where nothing can be read', () => {
  const socket = { backlog: 4_096, fastOpen: false, deferAccept: true, userTimeoutMs: 0, keepAliveS: 0 };
  const plan = { listeners: [{ name: 'web', socket }], limits: { connectionsMax: 1_000 } } as unknown as Plan;
  const files: Record<string, string> = {
    '/proc/sys/net/core/somaxconn': '128\n',
    '/proc/self/limits': 'Limit  Soft Hard\nMax open files            256                  512                  files\n',
  };
  assert.deepEqual(machineLimits(plan, 2, (path) => files[path]!).slice(1), [
    'backlog of web: cut to 128 by the kernel (net.core.somaxconn)',
    'limits.connections 1000: descriptors are enough for 256 (ulimit -n 256 for each worker)',
  ]);
  assert.deepEqual(
    machineLimits(plan, 2, () => '').map((line) => line.slice(0, 10)),
    ['kernel TLS'],
  );
});
