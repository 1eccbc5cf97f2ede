import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOG_FIELDS_USUAL } from '../plan/log-plan.ts';
import { compileAccessLog, compileErrorLog } from './compile-logs.ts';
import { parseConfig } from './load.ts';

const REST = 'listeners: [{ name: a, address: ":443", routes: [{ to: b }] }]\nupstreams: [{ name: b, targets: ["10.0.0.1:80"] }]\n';

async function parsed(log: string) {
  return (await parseConfig(`${log}\n${REST}`, '/etc/tollgate/site.yaml')).config.log;
}

async function access(log: string) {
  return await compileAccessLog(await parsed(log), async (host) => {
    assert.equal(host, 'logs.example.com');
    return [{ address: '2001:db8::5', family: 6 }];
  });
}

test('compileAccessLog() fills in every default', async () => {
  assert.deepEqual(await access(''), {
    destination: { kind: 'standard' },
    format: { kind: 'json', fields: LOG_FIELDS_USUAL },
    sample: 1,
    sampleErrors: true,
  });
  assert.deepEqual((await access('log: { access: logs/a.log }'))?.destination, { kind: 'file', path: '/etc/tollgate/logs/a.log' });
  assert.equal(await access('log: { access: off }'), null);
  assert.deepEqual(compileErrorLog(await parsed('log: { level: warn, error: { path: e.log, format: text } }')), {
    destination: { kind: 'file', path: '/etc/tollgate/e.log' },
    format: 'text',
    level: 'warn',
    handshakeSuccesses: 0,
  });
  assert.equal(compileErrorLog(await parsed('log: { handshakes: { successes: 1% } }')).handshakeSuccesses, 0.01);
});

test('compileAccessLog() knows formats, keys, shares and receivers', async () => {
  assert.deepEqual((await access('log: { access: { format: common, sample: 1/100 } }'))?.format, { kind: 'common' });
  assert.equal((await access('log: { access: { sample: 12.5% } }'))?.sample, 0.125);
  assert.equal((await access('log: { access: { sample: 1/100, sampleErrors: false } }'))?.sampleErrors, false);
  assert.deepEqual((await access('log: { access: { fields: [status, user] } }'))?.format, { kind: 'json', fields: ['status', 'user'] });
  const byName = (await access('log: { access: { syslog: "logs.example.com:514" } }'))?.destination;
  assert.ok(byName?.kind === 'syslog');
  assert.deepEqual([byName.address, byName.priority, byName.name], [{ family: 6, ip: '2001:db8::5', port: 514 }, 190, 'tollgate']);
  assert.match(byName.host, /^[!-~]{1,64}$/);
  const unix = (await access('log: { access: { syslog: { to: "unix:/dev/log", facility: daemon, severity: notice } } }'))?.destination;
  assert.ok(unix?.kind === 'syslog');
  assert.deepEqual([unix.address, unix.priority], [{ family: 0, path: '/dev/log' }, 29]);
});
