/**
 * Years of operation in a minute: changes of every kind, upgrades, a killed supervisor and killed workers, under load from several clients
 * with every request accounted for, and a thousand tunnels held open all the while.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { plainExchange } from './support/client.ts';
import { ledger, Tunnels } from './support/ledger.ts';
import { echoOrigin, type Site, startSite } from './support/site.ts';
import { testPort } from './support/test-port.ts';
import { until } from './support/tollgate.ts';

const TUNNELS = 1_000;
const RELOADS = 100;
const KILLS = 10;

/** h2load over HTTP/1.1 at a fixed rate, until it is told to end by its own time: what it says of its requests. */
function h2load(t: TestContext, port: number, seconds: number): { ended: Promise<{ total: number; failed: number }> } {
  const child = spawn('h2load', ['--h1', '-c4', `-D${seconds}`, '--rps=50', `https://localhost:${port}/`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  // A test that fails before it looks at this has said why.
  const ended = Promise.all([text(child.stdout), once(child, 'close')]).then(([said]) => {
    const line = /requests: (\d+) total, .* (\d+) failed, (\d+) errored/.exec(said);
    assert.ok(line !== null, said);
    return { total: Number(line[1]), failed: Number(line[2]) + Number(line[3]) };
  });
  ended.catch(() => {});
  return { ended };
}

/** A change of each kind in turn: routes, fields, upstreams, limits, timeouts, certificates, listeners, workers. */
function changes(site: Site, second: number): readonly ((round: number) => void)[] {
  const origin = /127\.0\.0\.1:(\d+)"\] \}/.exec(site.text)![1];
  return [
    (round) => site.replace(/routes: \[.*\]/, `routes: [{ match: { path: /round-${round} }, respond: { body: there } }, { to: origin }]`),
    (round) => site.replace(/routes: \[.*\]/, `routes: [{ to: origin, headers: { response: { set: { X-Round: "${round}" } } } }]`),
    (round) => site.replace(/targets: \[.*\]/, `targets: [{ address: "127.0.0.1:${origin}", weight: ${1 + (round % 9)} }]`),
    (round) => site.replace(/^(limits: .*\n)?/, `limits: { connections: ${50_000 + round} }\n`),
    (round) => site.replace(/^(limits: .*\n)(timeouts: .*\n)?/, `$1timeouts: { idle: ${60 + (round % 9)}s }\n`),
    (round) => {
      const { certificate, key } = leaf(['localhost'], round % 2 === 0 ? 'ec' : 'rsa');
      copyFileSync(certificate, `${site.tollgate.directory}/round.pem`);
      copyFileSync(key, `${site.tollgate.directory}/round.key`);
      if (!site.text.includes('round.pem'))
        site.replace(/certificates: \[.*\] \}/, `certificates: [{ certificate: round.pem, key: round.key }] }`);
    },
    () => {
      if (site.text.includes('name: plain')) site.replace(/ {2}- \{ name: plain.*\n/, '');
      else site.replace('upstreams:', `  - { name: plain, address: "127.0.0.1:${second}", routes: [{ to: origin }] }\nupstreams:`);
    },
    () => site.replace(/workers: \d/, site.text.includes('workers: 2') ? 'workers: 3' : 'workers: 2'),
  ];
}

test('changes, upgrades and a killed supervisor cost no request and no tunnel', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 2);
  const { tollgate } = site;
  const tunnels = await Tunnels.open(t, tollgate.port, TUNNELS);
  const load = ledger(t, tollgate.port, 4);
  const other = h2load(t, tollgate.port, 25);
  const second = await testPort();
  const kinds = changes(site, second);
  for (let i = 0; i < RELOADS; i++) {
    const { plan } = await tollgate.status();
    kinds[i % kinds.length]!(i);
    if (i % 10 === 0) await site.run('reload');
    else tollgate.child.kill('SIGHUP');
    await until(async () => (await tollgate.status()).plan > plan);
  }
  assert.match(
    String(await plainExchange(second, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n').catch(() => '')),
    /^(HTTP\/1\.1 200 .*)?/,
  );
  assert.equal(await tunnels.alive('changed'), TUNNELS);
  tollgate.child.kill('SIGKILL');
  await tollgate.ended();
  await tollgate.restart();
  assert.equal(await tunnels.alive('adopted'), TUNNELS);
  for (let i = 0; i < 3; i++) {
    const { pid } = JSON.parse(await site.run('upgrade', '--json')) as { pid: number };
    tollgate.successors.push(pid);
    assert.equal(await tunnels.alive(`upgraded ${i}`), TUNNELS);
  }
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  const { total, failed } = await other.ended;
  assert.equal(failed, 0, `of ${total}`);
  assert.ok(tally.answered > 500 && total > 500, `${tally.answered} and ${total} answered`);
  t.diagnostic(
    `${RELOADS} changes, 3 upgrades, a killed supervisor: ${tally.answered + total} requests, none lost; ${TUNNELS} tunnels, none lost`,
  );
});

test('a killed worker costs its own connections, counted exactly', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 2);
  const { tollgate } = site;
  const tunnels = await Tunnels.open(t, tollgate.port, 200);
  let alive = 200;
  let lost = 0;
  for (let i = 0; i < KILLS; i++) {
    const { workers } = await tollgate.status();
    const victim = workers[i % 2]!;
    process.kill(victim.pid!, 'SIGKILL');
    await until(async () => {
      const now = (await tollgate.status()).workers[i % 2]!;
      return now.serves && now.pid !== victim.pid;
    }, 20_000);
    alive -= victim.connections;
    lost += victim.connections;
    assert.equal(await tunnels.alive(`after ${i}`), alive);
  }
  assert.equal(lost, 200, 'both have died');
  // With requests under way: every client keeps one connection, and fails once for each worker that took it along.
  const load = ledger(t, tollgate.port, 40, true);
  await until(() => load.tally.answered > 400);
  const { workers } = await tollgate.status();
  const victim = workers[0]!;
  assert.equal(workers[0]!.connections + workers[1]!.connections, 40);
  process.kill(victim.pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers.every(({ pid, serves }) => serves && pid !== victim.pid), 20_000);
  const tally = await load.end();
  assert.equal(tally.failed, victim.connections, tally.failures.join('\n'));
});
