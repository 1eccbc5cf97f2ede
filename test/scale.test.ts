/** Many connections, many requests: everybody is served, and nothing is left behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { Client } from './support/client.ts';
import { nginxOrigin } from './support/origin.ts';
import { descriptors, LONG, residentBytes, Tollgate, until } from './support/tollgate.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

test('1,000 connections at once are all served', async (t) => {
  const origin = await nginxOrigin(t, "location / { return 200 'served'; }");
  const tollgate = await Tollgate.start(t, { to: origin, workers: 2 });
  const clients: Client[] = [];
  for (let i = 0; i < 1_000; i += 50) {
    clients.push(...(await Promise.all(Array.from({ length: 50 }, () => new Client(tollgate.port).open()))));
  }
  assert.equal((await tollgate.status()).connections.open, 1_000);
  for (let round = 1; round <= 3; round++) {
    for (const client of clients) client.send(REQUEST);
    await Promise.all(clients.map((client) => client.wait(() => client.text.split('served').length === round + 1)));
  }
  for (const client of clients) client.close();
  await until(async () => (await tollgate.status()).connections.open === 0);
  assert.equal((await tollgate.metrics()).get('tollgate_requests_total'), 3_000);
});

test('after 20,000 requests descriptors are back where they were, and memory is level within 10 %', async (t) => {
  const origin = await nginxOrigin(t, "location / { return 200 'served'; } keepalive_requests 1000000; ");
  const tollgate = await Tollgate.start(t, { to: origin });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const load = (requests: number, ...more: readonly string[]): void => {
    const report = execFileSync('h2load', ['--h1', '-n', String(requests), '-c', '50', ...more, `https://127.0.0.1:${tollgate.port}/`], {
      encoding: 'utf8',
    });
    assert.match(report, new RegExp(`requests: ${requests} total, ${requests} started, ${requests} done, ${requests} succeeded, 0 failed`));
  };
  const handshakes = (count: number): void => {
    execFileSync('ab', ['-q', '-n', String(count), '-c', '20', `https://127.0.0.1:${tollgate.port}/`], { stdio: 'pipe' });
  };
  const settled = async (): Promise<void> => {
    await until(async () => (await tollgate.status()).connections.open === 0);
  };
  // Compiled code, pools and the young generation take their size in the first thousands.
  const warm = LONG ? 100_000 : 20_000;
  load(warm);
  handshakes(2_000);
  load(warm);
  await settled();
  const idle = (await tollgate.metrics()).get('tollgate_upstream_idle_connections')!;
  const before = { descriptors: descriptors(worker) - idle, memory: residentBytes(worker) };
  load(LONG ? 2_000_000 : 20_000);
  handshakes(2_000);
  await settled();
  const left = (await tollgate.metrics()).get('tollgate_upstream_idle_connections')!;
  assert.equal(descriptors(worker) - left, before.descriptors);
  const memory = residentBytes(worker);
  assert.ok(memory < before.memory * 1.1, `${before.memory} bytes before, ${memory} after`);
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_log_lines_lost_total'), 0);
  assert.equal(metrics.get('tollgate_requests_open'), 0);
});
