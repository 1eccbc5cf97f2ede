import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HANDSHAKE_FAULTS } from '../base/faults.ts';
import { C_DESCRIPTORS_MAX, C_FAULTS, C_RSS_BYTES, R_1XX, ROUTE_PLACES, T_REQUESTS, TARGET_PLACES } from '../plan/counters.ts';
import type { Plan } from '../plan/plan.ts';
import { ROUTE_NONE, ROUTE_OTHER, S_STATE, SharedTable, STATE_DRAINING, STATE_SERVING, tableBytes } from '../plan/table.ts';
import type { Labels } from './exposition.ts';
import { collectMetrics, type MetricsSource } from './metrics.ts';

function source(plan: object = {}, workers: MetricsSource['workers'] = []): MetricsSource {
  return {
    plan: { id: 1, listeners: [], upstreams: [], certificates: [], ...plan } as unknown as Plan,
    table: SharedTable.create(new ArrayBuffer(tableBytes(3)), 3),
    version: '1.2.3',
    startedMs: 0,
    changes: { applied: 0, refused: 0, lastAppliedMs: 0 },
    self: { residentBytes: 7, heapBytes: 0, cpuS: 0, descriptors: 0, descriptorsMax: 100 },
    workers,
  };
}

/** Values other than 0, by their labels in order. */
function values(from: MetricsSource, name: string): Record<string, number> {
  const family = collectMetrics(from).find((each) => each.name === name);
  assert.ok(family !== undefined && family.kind !== 'histogram');
  const key = (labels: Labels): string => Object.values(labels).join(' ');
  return Object.fromEntries(family.samples.filter(({ value }) => value !== 0).map(({ labels, value }) => [key(labels), value]));
}

test('collectMetrics() has the labels of a family in every sample, and no sample twice', () => {
  const target = (label: string, slot: number) => ({ label, slot });
  const plan = {
    listeners: [
      { name: 'web', routes: [{ name: 'a', slot: 0 }] },
      { name: 'web', routes: [{ name: 'a', slot: 0 }] },
    ],
    upstreams: [{ name: 'app', targets: [target('one', 0), target('one', 1)] }],
    certificates: [
      { source: 'a.pem', names: ['a'], notAfterMs: 1_000 },
      { source: 'a.pem', names: ['a'], notAfterMs: 2_000 },
    ],
  };
  const from = source(plan, [{ slot: 0, row: 0, pid: 1, ready: true, restarts: 0 }]);
  const names = new Set<string>();
  for (const family of collectMetrics(from)) {
    assert.equal(names.has(family.name), false, family.name);
    names.add(family.name);
    const all = (family.kind === 'histogram' ? family.series : family.samples).map(({ labels }) => labels);
    for (const labels of all) assert.deepEqual(Object.keys(labels), family.labels, family.name);
    assert.equal(new Set(all.map((labels) => JSON.stringify(labels))).size, all.length, family.name);
  }
  for (const [slot, value] of [
    [0, 2],
    [1, 3],
  ] as const) {
    from.table.worker(slot).targets[slot * TARGET_PLACES + T_REQUESTS] = value;
  }
  assert.deepEqual(values(from, 'tollgate_target_requests_total'), { 'app one': 5 });
  assert.deepEqual(values(from, 'tollgate_certificate_expiry_seconds'), { 'a.pem a': 1 });
});

test('collectMetrics() tells routes beyond the bound together, and requests that met none', () => {
  const routes = [
    { name: 'a', slot: 0 },
    { name: 'b', slot: ROUTE_OTHER },
    { name: 'c', slot: ROUTE_OTHER },
  ];
  const from = source({ listeners: [{ name: 'web', routes }] });
  for (const [slot, value] of [
    [0, 2],
    [ROUTE_OTHER, 3],
    [ROUTE_NONE, 4],
  ] as const) {
    from.table.worker(1).routes[slot * ROUTE_PLACES + R_1XX + 1] = value;
  }
  assert.deepEqual(values(from, 'tollgate_route_responses_total'), { 'web a 2xx': 2, ' other 2xx': 3, '  2xx': 4 });
});

test('collectMetrics() names the certificates that expire first, and counts all', () => {
  const certificates = Array.from({ length: 1_500 }, (_, i) => ({ source: `${i}.pem`, names: [], notAfterMs: 10_000_000 - 1_000 * i }));
  const from = source({ certificates });
  const told = values(from, 'tollgate_certificate_expiry_seconds');
  assert.equal(Object.keys(told).length, 1_000);
  assert.equal('1499.pem ' in told, true);
  assert.equal('0.pem ' in told, false);
  assert.deepEqual(values(from, 'tollgate_certificates'), { '': 1_500 });
});

test('collectMetrics() tells of each process, and of those that finish together', () => {
  const from = source({}, [
    { slot: 0, row: 1, pid: 1, ready: true, restarts: 0 },
    { slot: 1, row: null, pid: null, ready: false, restarts: 0 },
  ]);
  const states = [STATE_DRAINING, STATE_SERVING, STATE_DRAINING];
  states.forEach((state, row) => {
    from.table.worker(row).state[S_STATE] = state;
    from.table.worker(row).counters[C_RSS_BYTES] = 10 ** row;
    from.table.worker(row).counters[C_DESCRIPTORS_MAX] = 100;
  });
  assert.deepEqual(values(from, 'tollgate_process_resident_memory_bytes'), { supervisor: 7, '0': 10, finishing: 101 });
  assert.deepEqual(values(from, 'tollgate_process_max_fds'), { supervisor: 100, '0': 100, finishing: 200 });
});

test('collectMetrics() tells failures of handshakes apart from other faults', () => {
  const from = source();
  for (let code = 1; code < 160; code++) from.table.worker(0).counters[C_FAULTS + code] = 1;
  const failures = values(from, 'tollgate_handshake_failures_total');
  assert.equal(Object.keys(failures).length, HANDSHAKE_FAULTS.length);
  for (const reason of ['plain_http client', 'tls_internal us', 'bad_finished client']) assert.equal(failures[reason], 1, reason);
  for (const reason of ['request_line client', 'connect_source us', 'reset client', 'renegotiation client', 'truncated client'])
    assert.equal(reason in failures, false, reason);
});
