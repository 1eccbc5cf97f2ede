import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { C_LIMIT_CLIENTS } from '../plan/counters.ts';
import type { ClientsPlan } from '../plan/plan.ts';
import { CLIENT_SLOTS, SharedTable, tableBytes } from '../plan/table.ts';
import { ClientTable, NOBODY } from './client-table.ts';

const LIMITS: ClientsPlan = {
  connections: 3,
  handshakes: { perSecond: 10, burst: 5 },
  requests: { perSecond: 100, burst: 1 },
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  exempt: [],
};

function tables(workers: number, limits: Partial<ClientsPlan> = {}) {
  const shared = SharedTable.create(new ArrayBuffer(tableBytes(workers)), workers);
  shared.clients.key.set([0x1234567, -99]);
  return {
    shared,
    tables: Array.from(
      { length: workers },
      (_, worker) => new ClientTable(shared.clients, worker, shared.worker(worker).counters, { ...LIMITS, ...limits }),
    ),
  };
}

test('a client is an IPv4 address, or the /64 of an IPv6 address', () => {
  const {
    tables: [table],
  } = tables(1);
  const one = table!.find('192.0.2.1', 0);
  assert.equal(table!.find('192.0.2.1', 5), one);
  assert.equal(table!.find('::ffff:192.0.2.1', 5), one);
  assert.notEqual(table!.find('192.0.2.2', 5), one);
  const six = table!.find('2001:db8:1:2::1', 0);
  assert.equal(table!.find('2001:db8:1:2:ffff::9', 0), six);
  assert.notEqual(table!.find('2001:db8:1:3::1', 0), six);
  assert.equal(table!.find('unix', 0), NOBODY);
  assert.ok(table!.open(NOBODY) && table!.takeHandshake(NOBODY, 0) && table!.takeRequest(NOBODY, 0));
});

test('open connections are counted over all workers, and a dead worker’s are forgotten', () => {
  const { shared, tables: all } = tables(2);
  const [a, b] = all as [ClientTable, ClientTable];
  const place = a.find('192.0.2.1', 0);
  assert.equal(b.find('192.0.2.1', 0), place, 'all workers know the same place');
  assert.deepEqual([a.open(place), b.open(place), a.open(place), b.open(place)], [true, true, true, false]);
  assert.equal(a.connections(place), 3);
  b.close(place);
  assert.equal(a.open(place), true);
  shared.fold(0);
  assert.equal(b.connections(place), 0);
  assert.throws(() => b.close(place));
});

test('workers that count at the same time never pass the bound, and reach it', async () => {
  const MOST = 500;
  const memory = new SharedArrayBuffer(tableBytes(3));
  SharedTable.create(memory, 3);
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    (async () => {
      const { SharedTable } = await import(workerData.table);
      const { ClientTable } = await import(workerData.guard);
      const shared = SharedTable.open(workerData.memory);
      const table = new ClientTable(shared.clients, workerData.worker, shared.worker(workerData.worker).counters, workerData.limits);
      const place = table.find('192.0.2.1', 0);
      let opened = 0;
      for (let i = 0; i < 200_000; i++) {
        if (table.open(place)) opened++;
        if (opened > 0 && i % 3 === 0) { table.close(place); opened--; }
      }
      while (table.open(place)) opened++;
      parentPort.postMessage(opened);
    })();`;
  const opened = await Promise.all(
    [0, 1, 2].map(
      (worker) =>
        new Promise<number>((resolve, reject) => {
          const workerData = {
            memory,
            worker,
            table: new URL('../plan/table.ts', import.meta.url).href,
            guard: new URL('./client-table.ts', import.meta.url).href,
            limits: { ...LIMITS, connections: MOST },
          };
          new Worker(source, { eval: true, workerData }).once('message', resolve).once('error', reject);
        }),
    ),
  );
  assert.equal(
    opened.reduce((a, b) => a + b),
    MOST,
  );
});

test('everybody’s connections have one bound', () => {
  const { shared, tables: all } = tables(2);
  const [a, b] = all as [ClientTable, ClientTable];
  assert.deepEqual([a.enter(2), b.enter(2), a.enter(2)], [true, true, false]);
  b.leave();
  assert.equal(a.enter(2), true);
  shared.fold(0);
  assert.deepEqual([b.enter(2), b.enter(2), b.enter(2)], [true, true, false]);
});

test('a burst passes, then the rate holds, over all workers', () => {
  const { tables: all } = tables(2);
  const [a, b] = all as [ClientTable, ClientTable];
  const place = a.find('192.0.2.1', 1_000);
  const burst = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? a : b).takeHandshake(place, 1_000));
  assert.deepEqual(burst, [true, true, true, true, true, false, false, false]);
  assert.equal(a.takeHandshake(place, 1_090), false);
  assert.equal(a.takeHandshake(place, 1_101), true);
  assert.equal(a.takeHandshake(place, 1_102), false);
  let passed = 0;
  for (let ms = 2_000; ms < 12_000; ms += 7) if (b.takeHandshake(place, ms)) passed++;
  assert.ok(passed >= 100 && passed <= 106, `${passed} in ten seconds of ten a second`);
});

test('slow rates with a burst, and fast ones, are kept', () => {
  for (const [perSecond, burst] of [
    [1 / 3_600, 4],
    [1 / 60, 1_000],
    [50_000, 10],
    [100_000, 1_000_000],
  ] as const) {
    const {
      tables: [table],
    } = tables(1, { handshakes: { perSecond, burst } });
    const place = table!.find('192.0.2.1', 5_000);
    let passed = 0;
    while (table!.takeHandshake(place, 5_000)) passed++;
    assert.equal(passed, burst, `${perSecond}/s`);
    assert.equal(table!.takeHandshake(place, 5_000 + 1_100 / perSecond + 1), true);
  }
});

test('the clock may wrap: nobody is locked out for hours', () => {
  const {
    tables: [table],
  } = tables(1);
  for (const start of [2 ** 31 / 256 - 20, 2 ** 32 / 256 - 20, 40 * 86_400_000]) {
    const place = table!.find('192.0.2.1', start);
    let passed = 0;
    for (let ms = start; ms < start + 1_000; ms += 10) if (table!.takeRequest(place, ms)) passed++;
    assert.ok(passed >= 95, `${passed} at ${start}`);
  }
});

test('many clients: places of the quiet are given on, and the rest share a bound', () => {
  const {
    shared,
    tables: [table],
  } = tables(1);
  let overflow = 0;
  for (let i = 0; i < 200_000; i++) {
    const place = table!.find(`${10 + (i >> 24)}.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`, 1_000);
    if (place >= CLIENT_SLOTS) overflow++;
    table!.takeHandshake(place, 1_000);
  }
  assert.ok(overflow > 100_000 && shared.counter(C_LIMIT_CLIENTS) === overflow);
  let held = 0;
  for (let i = 0; i < CLIENT_SLOTS; i++) if (shared.clients.tags[i] !== 0) held++;
  assert.ok(held > CLIENT_SLOTS * 0.99, `${held} places are in use`);
  // In the overflow the limit is one for all.
  const place = table!.find('172.16.0.1', 1_000);
  assert.ok(place >= CLIENT_SLOTS);
  assert.equal(table!.takeHandshake(place, 1_000), false);
  // A second later everybody has paid, and newcomers find room.
  assert.ok(table!.find('172.16.0.1', 2_000) < CLIENT_SLOTS);
});
