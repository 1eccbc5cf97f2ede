/** What an operator sees and does while it runs: connections, a close look, the live screen. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { ConnectionView } from '../src/plan/messages.ts';
import { Client } from './support/client.ts';
import { ledger, Tunnels } from './support/ledger.ts';
import { echoOrigin, startSite } from './support/site.ts';
import { PROGRAM, until } from './support/tollgate.ts';

const GET =
  'GET /path?token=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c2VjcmV0OnNlY3JldA==\r\nCookie: session=secret-cookie\r\n\r\n';

test('connections are listed over all workers, and ended by id, client and listener', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 2);
  const { tollgate } = site;
  interface Answer {
    total: number;
    list: ConnectionView[];
  }
  const list = async (...args: readonly string[]): Promise<Answer> =>
    JSON.parse(await site.run('connections', '--json', ...args)) as Answer;
  const tunnels = await Tunnels.open(t, tollgate.port, 10);
  const idle = await new Client(tollgate.port, { localAddress: '127.0.0.9' } as never).open();
  await idle.send(GET).until('ok');
  const all = await list();
  assert.equal(all.total, 11);
  assert.deepEqual(
    all.list.filter(({ state }) => state === 'idle').map(({ client, listener, sni, requests }) => ({ client, listener, sni, requests })),
    [{ client: '127.0.0.9', listener: 'web', sni: 'localhost', requests: 1 }],
  );
  assert.equal(all.list.filter(({ state, client }) => state === 'tunnel' && client === '127.0.0.1').length, 10);
  assert.equal(new Set(all.list.map(({ id }) => id)).size, 11);
  assert.deepEqual([(await list('--most', '3')).total, (await list('--most', '3')).list.length], [11, 3]);
  assert.equal((await list('--client', '127.0.0.8/30')).total, 1);
  assert.match(
    await site.run('connections', '--client', '127.0.0.9'),
    /127\.0\.0\.9 +web +idle +[\d.]+ s +1 requests +localhost\n1 in all\n$/,
  );
  const [first] = all.list.filter(({ state }) => state === 'tunnel');
  assert.equal((await list(first!.id, '--close')).total, 1);
  await until(() => tunnels.clients.filter((client) => client.ended || client.closed).length === 1);
  assert.equal(await tunnels.alive('nine'), 9);
  await site.run('connections', '--client', '127.0.0.9', '--close');
  await idle.wait(() => idle.ended || idle.closed);
  assert.match(await site.run('connections', '--listener', 'web', '--close'), /9 ended\n$/);
  await until(async () => (await tollgate.status()).connections.open === 0);
  assert.equal((await list()).total, 0);
  assert.match((await site.attempt('connections', '--close')).stderr, /name what is to be ended/);
  assert.match((await site.attempt('connections', '--client', 'nonsense')).stderr, /found 'nonsense', expected a network/);
});

test('what a client or a route does is logged closely for a while, without a secret', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 2);
  const { tollgate } = site;
  const lines = (): Record<string, unknown>[] =>
    tollgate.errors
      .split('\n')
      .filter((line) => line.includes('"event":"debug"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const request = async (localAddress: string): Promise<void> => {
    const client = await new Client(tollgate.port, { localAddress } as never).open();
    await client.send(GET).until('ok');
    client.close();
  };
  await request('127.0.0.5');
  assert.match(await site.run('debug', '--client', '127.0.0.5', '--for', '1m'), /the error log tells closely for 60 s/);
  await request('127.0.0.5');
  await request('127.0.0.6');
  await until(() => lines().length === 2);
  const [handshake, answered] = lines();
  assert.deepEqual(
    [handshake!.what, handshake!.client, handshake!.sni, handshake!.tls],
    ['handshake', '127.0.0.5', 'localhost', 'TLSv1.3'],
  );
  assert.deepEqual(
    [answered!.what, answered!.route, answered!.method, answered!.path, answered!.status, answered!.onConnection],
    ['request', 'web/1', 'GET', '/path?token=1', 200, 1],
  );
  await site.run('debug', 'off');
  await site.run('debug', '--route', 'web/1', '--for', '1m');
  await request('127.0.0.6');
  await until(() => lines().length === 3);
  assert.equal(lines()[2]!.client, '127.0.0.6');
  // A worker that is replaced meanwhile looks as closely.
  const { workers } = await tollgate.status();
  for (const { pid } of workers) process.kill(pid!, 'SIGKILL');
  await until(async () => (await tollgate.status()).workers.every(({ serves, restarts }) => serves && restarts === 1));
  await request('127.0.0.6');
  await until(() => lines().length === 4);
  await site.run('debug', '--client', '127.0.0.6', '--for', '1s');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await request('127.0.0.6');
  await until(() => tollgate.accessLog().length >= 5);
  assert.equal(lines().length, 4, 'the time is over');
  for (const secret of ['secret-cookie', 'c2VjcmV0OnNlY3JldA', 'Authorization']) assert.equal(tollgate.errors.includes(secret), false);
  assert.match((await site.attempt('debug')).stderr, /name a --client, a --route, or both/);
  assert.match((await site.attempt('debug', 'on')).stderr, /'on' is not known/);
});

test('the live screen shows what goes on, follows the size of the terminal, and gives it back', async (t) => {
  const site = await startSite(t, (await echoOrigin(t)).port, 1);
  const { tollgate } = site;
  const session = `tollgate-${process.pid}`;
  const tmux = (...args: readonly string[]): string => execFileSync('tmux', ['-L', session, ...args], { encoding: 'utf8' });
  tmux('new-session', '-d', '-x', '100', '-y', '30', 'sh');
  t.after(() => tmux('kill-server'));
  const shown = (): string => tmux('capture-pane', '-p');
  const type = (text: string): string => tmux('send-keys', text, 'Enter');
  type(`${process.execPath} ${PROGRAM} status --watch --runtime ${tollgate.directory}/run; echo left with $?`);
  await until(() => shown().includes('LISTENERS') && shown().includes('q ends'), 20_000);
  assert.match(shown(), /a second: 0 requests/);
  const load = ledger(t, tollgate.port, 2);
  await until(() => /a second: [1-9]\d* requests/.test(shown()), 20_000);
  await load.end();
  tmux('resize-window', '-x', '60', '-y', '12');
  await until(() => /and \d+ lines more/.test(shown()), 20_000);
  tmux('resize-window', '-x', '100', '-y', '40');
  tollgate.child.kill('SIGTERM');
  await until(() => shown().includes('no tollgate runs in'), 20_000);
  tmux('send-keys', 'q');
  await until(() => shown().includes('left with 0'), 20_000);
  assert.equal(shown().includes('q ends'), false, 'the screen that was there before is back');
  const away = await site.attempt('status', '--watch');
  assert.match(away.stderr, /--watch needs a terminal/);
});
