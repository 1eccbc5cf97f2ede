/** What is refused, and in which words, is in test/golden/errors. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig, parseConfig } from './load.ts';

const GOOD = `listeners:
  - name: web
    address: "0.0.0.0:443"
    tls:
      certificates:
        - { certificate: shop.pem, key: shop.key }
    routes:
      - match: { host: shop.example.com, path: /api/* }
        to: api
      - to: web
upstreams:
  - name: web
    targets: ["10.0.0.1:8080"]
  - name: api
    targets: ["10.0.0.3:8080"]
`;

test('parseConfig() fills in every default', async () => {
  const { config } = await parseConfig(GOOD, '/etc/tollgate/site.yaml');
  assert.deepEqual(config.admin, { listen: { family: 4, ip: '127.0.0.1', port: 9901 } });
  assert.equal(config.workers, 'auto');
  assert.equal(config.runtime, undefined);
  assert.deepEqual(config.log, {
    level: 'info',
    access: { format: 'json', sample: 1, sampleErrors: true },
    error: { path: '-' },
    handshakes: { successes: 0 },
  });
  assert.deepEqual(config.timeouts, {
    handshake: 10_000,
    requestHead: 10_000,
    body: 60_000,
    idle: 75_000,
    tunnel: 3_600_000,
    close: 5_000,
    drain: 30_000,
  });
  const { limits, clients } = config;
  assert.deepEqual(limits, {
    connections: 100_000,
    memory: null,
    head: 32_768,
    fields: 100,
    target: 8_192,
    minimumRate: 64,
    minimumRateAfter: 30_000,
  });
  assert.deepEqual(clients, { ipv4Prefix: 32, ipv6Prefix: 64, exempt: [] });
  assert.deepEqual(config.listeners[0]?.socket, { backlog: 4_096, fastOpen: false, deferAccept: true, userTimeout: 0, keepAlive: 60 });
  assert.equal(config.listeners[0]?.tls?.policy, 'intermediate');
  assert.equal(config.listeners[0]?.tls?.tickets, true);
  assert.deepEqual(config.upstreams[0]?.timeouts, { connect: 5_000, handshake: 5_000, responseHead: 60_000, body: 60_000, idle: 60_000 });
  assert.equal(config.upstreams[0]?.idleConnections, 64);
});

test('parseConfig() starts relative paths at the file', async () => {
  const text = `${GOOD}log: { access: logs/access.json }\nruntime: run\nadmin: { listen: "unix:admin.sock" }\n`;
  const { config } = await parseConfig(text, '/etc/tollgate/site.yaml');
  assert.deepEqual(config.listeners[0]?.tls?.certificates, [{ certificate: '/etc/tollgate/shop.pem', key: '/etc/tollgate/shop.key' }]);
  assert.equal(config.log.access.path, '/etc/tollgate/logs/access.json');
  assert.equal(config.runtime, '/etc/tollgate/run');
  assert.deepEqual(config.admin.listen, { family: 0, path: '/etc/tollgate/admin.sock' });
});

test('parseConfig() takes the short forms', async () => {
  const text = GOOD.replace('["10.0.0.1:8080"]', '["10.0.0.1:8080", { address: "10.0.0.2:8080", weight: 3 }]');
  const { config } = await parseConfig(`${text}log: { access: off }\nadmin: { listen: off }\n`, 'site.yaml');
  assert.deepEqual(
    config.upstreams[0]?.targets.map(({ weight }) => weight),
    [1, 3],
  );
  assert.equal(config.log.access.path, 'off');
  assert.equal(config.admin.listen, null);
});

test('parseConfig() makes A-labels of international host names', async () => {
  const { config } = await parseConfig(GOOD.replace('shop.example.com', '"*.Bücher.Example."'), 'site.yaml');
  assert.equal(config.listeners[0]?.routes?.[0]?.match.host?.host, '*.xn--bcher-kva.example');
});

test('where() gives the place of a setting, or of the nearest one around it', async () => {
  const { where } = await parseConfig(GOOD, 'site.yaml');
  assert.deepEqual(where(['listeners', 0, 'routes', 1, 'to']), { file: 'site.yaml', line: 10, column: 13 });
  assert.deepEqual(where(['listeners', 0, 'socket', 'backlog']), { file: 'site.yaml', line: 2, column: 5 });
  assert.deepEqual(where(['limits']), { file: 'site.yaml', line: 1, column: 1 });
});

test('loadConfig() reads a byte order mark and CRLF', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-load-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'site.yaml');
  writeFileSync(path, `\ufeff${GOOD.replaceAll('\n', '\r\n')}`);
  assert.equal((await loadConfig(path)).config.listeners.length, 1);
});

test('loadConfig() loads every example', async () => {
  const directory = join(import.meta.dirname, '../../examples');
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml') && !name.startsWith('prometheus'));
  assert.ok(files.length >= 2);
  for (const file of files) assert.ok((await loadConfig(join(directory, file))).config.listeners.length > 0, file);
});
