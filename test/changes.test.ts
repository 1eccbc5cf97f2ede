/** What runs is changed while it runs: nobody loses a connection, and what goes wrong changes nothing. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startTimeOf } from '../src/control/process-identity.ts';
import { exchange, plainExchange } from './support/client.ts';
import { ledger, Tunnels } from './support/ledger.ts';
import { httpOrigin } from './support/origin.ts';
import { echoOrigin, startSite } from './support/site.ts';
import { testPort } from './support/test-port.ts';
import { descriptors, residentBytes, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

test('listeners and workers come and go under load; tunnels live on, and no request fails', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port);
  const { tollgate } = site;
  const tunnels = await Tunnels.open(t, tollgate.port, 20);
  const load = ledger(t, tollgate.port, 6);
  const second = await testPort();
  site.replace('upstreams:', `  - { name: plain, address: "127.0.0.1:${second}", routes: [{ to: origin }] }\nupstreams:`);
  assert.match(await site.run('reload', '--dry-run'), /^\+ listeners\.plain\nconfiguration \d+ would run/);
  await assert.rejects(plainExchange(second, CLOSE).then((answer) => assert.match(String(answer), /200/)));
  assert.match(await site.run('reload'), /^\+ listeners\.plain\nconfiguration \d+ runs/);
  assert.match(String(await plainExchange(second, CLOSE)), /^HTTP\/1\.1 200 /);
  site.replace('workers: 2', 'workers: 4');
  assert.match(await site.run('reload'), /^~ workers: 2 -> 4\n/);
  assert.equal((await tollgate.status()).workers.filter(({ serves }) => serves).length, 4);
  site.replace('workers: 4', 'workers: 1');
  assert.match(await site.run('reload'), /^~ workers: 4 -> 1\n/);
  assert.equal((await tollgate.status()).workers.length, 1);
  assert.equal(await tunnels.alive('after fewer workers'), 20);
  site.replace(/ {2}- \{ name: plain.*\n/, '');
  await site.run('reload');
  await assert.rejects(plainExchange(second, CLOSE).then((answer) => assert.match(String(answer), /200/)));
  // The socket's own settings change in place.
  site.replace('    routes: [{ to: origin }]', '    socket: { backlog: 100 }\n    routes: [{ to: origin }]');
  for (const backlog of [200, 300, 400]) {
    await site.run('reload');
    site.replace(/backlog: \d+/, `backlog: ${backlog}`);
  }
  assert.equal(await tunnels.alive('after all'), 20);
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  assert.ok(tally.answered > 100);
  tunnels.close();
  // With their last tunnels the workers that lost their seats are gone.
  await until(async () => (await tollgate.status()).finishing.length === 0);
});

test('the program is replaced by itself: no request fails, tunnels live on, and who cannot start changes nothing', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port);
  const { tollgate } = site;
  const tunnels = await Tunnels.open(t, tollgate.port, 20);
  const load = ledger(t, tollgate.port, 6);
  const first = await tollgate.status();
  const good = site.text;
  site.write(good.replace('routes: [{ to: origin }]', 'routes: [{ to: nobody }]'));
  const refused = await site.attempt('upgrade');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /the successor does not serve: /);
  assert.equal((await tollgate.status()).pid, first.pid);
  site.write(good);
  const pids = [first.pid];
  for (let i = 0; i < 3; i++) {
    assert.match(await site.run('upgrade'), /tollgate serves as pid \d+/);
    const { pid } = await tollgate.status();
    assert.ok(!pids.includes(pid));
    pids.push(pid);
    tollgate.successors.push(pid);
    assert.equal(await tunnels.alive(`after upgrade ${i}`), 20);
  }
  await until(() => pids.slice(0, 3).every((pid) => startTimeOf(pid) === null));
  assert.deepEqual(await tollgate.ended(), { code: 0, signal: null });
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  // Who finishes says what it has left.
  const left = async (): Promise<number> =>
    (await tollgate.status()).finishing.reduce((sum, { connections }) => sum + (connections ?? 0), 0);
  await until(async () => (await left()) === 20);
  const status = await tollgate.status();
  // It is a whole supervisor: it reloads, and ends when it is told, those that finish with it.
  assert.match(await site.run('reload'), /nothing differs/);
  assert.match(await site.run('stop'), /drains/);
  tunnels.close();
  await until(() => startTimeOf(status.pid) === null && !existsSync(`${tollgate.directory}/run/control.sock`), 40_000);
  assert.deepEqual(
    status.finishing.map(({ pid }) => startTimeOf(pid)),
    status.finishing.map(() => null),
  );
});

test('what ran is kept, and runs again', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 1);
  const { tollgate } = site;
  const body = async (): Promise<string> => (await exchange(tollgate.port, CLOSE)).split('\r\n\r\n')[1] ?? '';
  for (const word of ['one', 'two']) {
    site.replace(/routes: \[.*\]/, `routes: [{ respond: { body: ${word} } }]`);
    await site.run('reload');
    assert.equal(await body(), word);
  }
  interface Entry {
    id: number;
    runs: boolean;
    author: { by: string };
    difference: string[];
  }
  const history = async (): Promise<Entry[]> => JSON.parse(await site.run('history', '--json')) as Entry[];
  assert.deepEqual(
    (await history()).map(({ author, runs, difference }) => [author.by, runs, difference.at(-1) ?? '']),
    [
      ['reload', true, '~ listeners.web.routes[0].respond.body: one -> two'],
      ['reload', false, '+ listeners.web.routes[0].respond'],
      ['start', false, ''],
    ],
  );
  await site.run('rollback');
  assert.equal(await body(), 'one');
  await site.run('rollback');
  assert.equal(await body(), 'ok', 'each goes one further back');
  await site.run('rollback', String((await history()).find(({ difference }) => difference.at(-1)?.includes('one -> two'))!.id));
  assert.equal(await body(), 'two');
  assert.match((await site.attempt('rollback', '4711')).stderr, /there is no configuration 4711/);
  assert.match(await site.run('history'), /rollback\).*runs/);
  // A bad file changes nothing, and says all that is wrong with it.
  const good = site.text;
  site.write(good.replace('name: web', 'name: web\n    colour: red').replace('workers: 1', 'workers: many'));
  const refused = await site.attempt('reload');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /workers: found 'many'[\s\S]*unknown setting 'colour'/);
  assert.equal(await body(), 'two');
  site.write(good.replace('  run\n', '  elsewhere\n').replace(/runtime: .*/, 'runtime: /tmp/elsewhere'));
  assert.match((await site.attempt('reload')).stderr, /runtime cannot be changed while running/);
  // A port that is taken is told before anything is changed.
  const other = await httpOrigin(t, (_request, response) => response.end());
  site.write(good.replace('upstreams:', `  - { name: more, address: "127.0.0.1:${other.port}", redirect: https }\nupstreams:`));
  assert.match((await site.attempt('reload', '--dry-run')).stderr, /listener more cannot have 127\.0\.0\.1:\d+: another process has it/);
  assert.match((await site.attempt('reload')).stderr, /listener more cannot have/);
  assert.equal(await body(), 'two');
  const metrics = await tollgate.metrics();
  assert.equal(metrics.get('tollgate_config_changes_total{result="applied"}'), 5);
  assert.equal(metrics.get('tollgate_config_changes_total{result="refused"}'), 5);
});

test('a trial is taken back when nobody confirms it, when things get worse, and when the supervisor dies', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 1);
  const { tollgate } = site;
  const body = async (): Promise<string> => (await exchange(tollgate.port, CLOSE)).split('\r\n\r\n')[1] ?? '';
  const good = site.text;
  const respond = (status: number, text: string): void => {
    site.write(good.replace(/routes: \[.*\]/, `routes: [{ respond: { status: ${status}, body: ${text} } }]`));
  };
  respond(200, 'tried');
  assert.match(await site.run('apply', '--confirm', '2s'), /taken back at .* unless/);
  assert.equal(await body(), 'tried');
  assert.match((await site.attempt('reload')).stderr, /is being tried/);
  await until(async () => (await body()) === 'ok');
  assert.match(tollgate.errors, /nobody confirmed it/);
  assert.match((await site.attempt('confirm')).stderr, /nothing waits to be confirmed/);

  await site.run('apply', '--confirm', '1h');
  assert.match(await site.run('confirm'), /stays/);
  assert.equal(await body(), 'tried');
  assert.match((await site.attempt('apply', '--confirm', 'soon')).stderr, /expected a time/);

  for (let i = 0; i < 30; i++) await body();
  respond(500, 'broken');
  await site.run('apply', '--confirm', '1h');
  await until(async () => {
    for (let i = 0; i < 10; i++) await body();
    return (await body()) === 'tried';
  });
  assert.match(tollgate.errors, /of answers are 5xx/);

  respond(200, 'unconfirmed');
  await site.run('apply', '--confirm', '1h');
  assert.equal(await body(), 'unconfirmed');
  tollgate.child.kill('SIGKILL');
  await tollgate.ended();
  await tollgate.restart();
  assert.match(tollgate.errors, /nobody had confirmed/);
  assert.equal(await body(), 'tried');
});

test('files that change are read again by themselves, and SIGHUP does so at once', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 1, 'watch: true');
  const { tollgate } = site;
  const body = async (): Promise<string> => (await exchange(tollgate.port, CLOSE)).split('\r\n\r\n')[1] ?? '';
  const page = `${tollgate.directory}/page.html`;
  writeFileSync(page, 'one');
  site.replace(/routes: \[.*\]/, 'routes: [{ respond: { file: page.html } }]');
  await until(async () => (await body()) === 'one');
  writeFileSync(page, 'second');
  await until(async () => (await body()) === 'second');
  site.replace('name: web', 'name: 7 7');
  await until(() => tollgate.errors.includes('files changed, but nothing was'));
  assert.equal(await body(), 'second');
  site.replace('name: 7 7', 'name: web2');
  site.replace('watch: true', 'watch: false');
  tollgate.child.kill('SIGHUP');
  await until(async () => (await tollgate.status()).listeners[0]!.name === 'web2');
});

test('after 200 changes memory and descriptors are level', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 1);
  const { tollgate } = site;
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const second = await testPort();
  const texts = [
    site.text.replace('upstreams:', `  - { name: plain, address: "127.0.0.1:${second}", routes: [{ to: origin }] }\nupstreams:`),
    site.text.replace('{ to: origin }', '{ to: origin, compress: true, access: { deny: [10.0.0.0/8] } }'),
  ];
  let plan = (await tollgate.status()).plan;
  const change = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      site.write(texts[i % 2]!);
      tollgate.child.kill('SIGHUP');
      await until(async () => (await tollgate.status()).plan > plan);
      plan = (await tollgate.status()).plan;
    }
  };
  // The first changes warm caches up, as they should.
  await change(60);
  const before = [residentBytes(worker), residentBytes(tollgate.child.pid!)];
  const open = [descriptors(worker), descriptors(tollgate.child.pid!)];
  await change(140);
  const after = [residentBytes(worker), residentBytes(tollgate.child.pid!)];
  for (const [i, bytes] of after.entries()) assert.ok(bytes < before[i]! * 1.15, `${before[i]} -> ${bytes} bytes`);
  for (const [i, count] of [descriptors(worker), descriptors(tollgate.child.pid!)].entries()) {
    assert.ok(Math.abs(count - open[i]!) <= 4, `${open[i]} -> ${count} descriptors`);
  }
});
