import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_SERVER_CERTIFICATE_NAME, FAULT_TLS_NO_SHARED_SUITE } from '../base/faults.ts';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import { COUNTER_PLACES } from '../plan/counters.ts';
import type { LogLevel } from '../plan/log-plan.ts';
import { TestAuthority } from '../x509/test-authority.ts';
import { type HandshakeEvent, HandshakeLog, type ServerFailure } from './handshake-log.ts';
import { LogWriter } from './log-writer.ts';
import { KeptLog } from './test-kept-log.ts';

const SUCCESS: HandshakeEvent = {
  fault: 0,
  alert: null,
  alertFrom: null,
  client: '192.0.2.1',
  listener: 'web',
  sni: 'shop.example',
  alpn: 'http/1.1',
  version: 'TLSv1.3',
  suite: 'TLS_AES_128_GCM_SHA256',
  group: 'X25519MLKEM768',
  resumed: false,
  ja4: 't13d1516h2_8daaf6152771_e5627efa2ab1',
  ja3: 'ada70206e40642a3e4461f35503241d5',
  offered: null,
  policy: null,
  allowed: null,
  library: '',
  certificate: null,
  durationUs: 12,
};
const FAILURE: HandshakeEvent = {
  ...SUCCESS,
  fault: FAULT_TLS_NO_SHARED_SUITE,
  alert: 40,
  alertFrom: 'us',
  alpn: null,
  version: null,
  suite: null,
  group: null,
  offered: { suites: ['TLS_RSA_WITH_RC4_128_SHA'] },
  policy: 'modern@1',
  allowed: { suites: ['TLS_AES_128_GCM_SHA256'] },
  library: 'S2N_ERR_CIPHER_NOT_SUPPORTED',
};

function logs(format: 'json' | 'text', level: LogLevel, successes: number) {
  const sink = new KeptLog();
  const writer = new LogWriter(sink, new Float64Array(COUNTER_PLACES));
  const log = new HandshakeLog(writer, format, level, successes);
  const text = (): string => {
    writer.flush();
    const { text } = sink;
    sink.text = '';
    return text;
  };
  const lines = () =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, text, lines };
}

test('HandshakeLog has the same keys for what succeeded and what failed', () => {
  const { log, lines } = logs('json', 'info', 1);
  log.write(SUCCESS, 5_000);
  log.write(FAILURE, 5_000);
  const [ok, failed] = lines();
  const keys = 'time event ok reason side alert alertFrom client listener sni alpn version suite group resumed ja4 ja3 durationUs'.split(
    ' ',
  );
  assert.deepEqual(Object.keys(ok!), keys);
  assert.deepEqual(Object.keys(failed!), [...keys, 'policy', 'library', 'allowed', 'offered']);
  assert.deepEqual([ok!.event, ok!.ok, ok!.reason, ok!.side, ok!.suite], ['handshake', true, null, null, 'TLS_AES_128_GCM_SHA256']);
  assert.deepEqual([failed!.event, failed!.ok, failed!.reason, failed!.side], ['handshake', false, 'no_shared_suite', 'client']);
});

test('HandshakeLog takes failures at a bounded rate, says what it left out, and successes never push them out', () => {
  const { log, lines } = logs('json', 'info', 1);
  for (let i = 0; i < 600; i++) if (log.takesSuccess(5_000)) log.write(SUCCESS, 5_000);
  for (let i = 0; i < 150; i++) if (log.takesFailure(5_000)) log.write(FAILURE, 5_000);
  assert.ok(log.takesFailure(6_000));
  log.write(FAILURE, 6_000);
  const written = lines();
  assert.equal(written.filter(({ ok }) => ok === true).length, 500);
  const failures = written.filter(({ ok }) => ok === false);
  assert.equal(failures.length, 101);
  assert.equal(failures[100]?.omitted, 50);
  assert.equal(failures[0]?.omitted, undefined);
});

test('HandshakeLog takes a share of the successes, none when it is off; a level hides them and reports, and never a failure', () => {
  const sampled = logs('json', 'info', 0.5).log;
  let taken = 0;
  for (let i = 0; i < 4_000; i++) if (sampled.takesSuccess(i * 1_000)) taken++;
  assert.ok(taken > 1_800 && taken < 2_200, `${taken} of 4000`);
  assert.equal(logs('json', 'info', 0).log.takesSuccess(0), false);
  for (const level of ['warn', 'error'] as const) {
    const quiet = logs('json', level, 1).log;
    assert.equal(quiet.takesSuccess(0), false);
    assert.equal(quiet.takesReport(0), false);
    assert.equal(quiet.takesFailure(0), true);
  }
});

test('HandshakeLog leaves out what was offered, then what was allowed, before a line is too long', () => {
  const { log, text } = logs('json', 'info', 1);
  const many = (bytes: number) => ({ suites: Array.from({ length: bytes / 20 }, (_, i) => `SUITE_NUMBER_${i}`) });
  log.write({ ...FAILURE, offered: many(8_000) }, 5_000);
  log.write({ ...FAILURE, offered: many(8_000), allowed: many(8_000) }, 5_000);
  const shown = text();
  for (const line of shown.trimEnd().split('\n')) assert.ok(line.length < LOG_LINE_BYTES_MAX);
  const [first, second] = shown
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual([first!.offered, first!.allowed], [null, FAILURE.allowed]);
  assert.deepEqual([second!.offered, second!.allowed], [null, undefined]);
});

test('HandshakeLog writes for people too', () => {
  const { log, text } = logs('text', 'info', 1);
  log.write(FAILURE, 8_000);
  log.write(SUCCESS, 8_000);
  log.writeReport(
    { fault: FAULT_TLS_NO_SHARED_SUITE, client: 'x', listener: 'web', sni: null, ja4: 'j', policy: 'a', report: 'b', offered: {} },
    8_000,
  );
  const [failed, done, report] = text().split('\n');
  assert.match(failed!, /^00:00:08 info: handshake failed reason=no_shared_suite side=client alert=40 alertFrom=us client=192\.0\.2\.1 /);
  assert.match(
    done!,
    /^00:00:08 info: handshake done client=192\.0\.2\.1 listener=web sni=shop\.example alpn=http\/1\.1 version=TLSv1\.3 /,
  );
  assert.match(
    report!,
    /^00:00:08 info: another policy would refuse reason=no_shared_suite client=x listener=web ja4=j policy=a report=b$/,
  );
});

test('HandshakeLog tells of a server with what it showed, and of one that showed too much without', () => {
  const server = new TestAuthority('/CN=Our CA').issue('/CN=shop', ['subjectAltName=DNS:shop.test']);
  const failure: ServerFailure = {
    fault: FAULT_SERVER_CERTIFICATE_NAME,
    upstream: 'api',
    target: '10.0.0.3:8443',
    serverName: 'bank.test',
    identity: 'bank.test',
    alert: 42,
    alertFrom: 'us',
    library: 'certificate verify failed',
    chain: [server.certificate.der, Uint8Array.of(1)],
    omitted: 3,
    durationUs: null,
  };
  const { log, text } = logs('json', 'warn', 0);
  log.writeServer(failure, 5_000);
  log.writeServer({ ...failure, serverName: 'n'.repeat(LOG_LINE_BYTES_MAX - 400), identity: null }, 5_000);
  const [shown, large, ...rest] = text().split('\n');
  assert.deepEqual(rest, ['']);
  const { certificate, ...line } = JSON.parse(shown!) as Record<string, unknown>;
  assert.deepEqual(line, {
    time: '1970-01-01T00:00:05.000Z',
    event: 'server-handshake',
    ok: false,
    reason: 'server_certificate_name',
    side: 'upstream',
    upstream: 'api',
    target: '10.0.0.3:8443',
    serverName: 'bank.test',
    wanted: 'bank.test',
    alert: 42,
    alertFrom: 'us',
    library: 'certificate verify failed',
    omittedOfTarget: 3,
  });
  const { serial, notBefore, notAfter, pin, ...who } = certificate as Record<string, unknown>;
  assert.deepEqual(who, { subject: 'CN=shop', issuer: 'CN=Our CA', names: ['shop.test'], chain: [''] });
  assert.match([serial, notBefore, notAfter, pin].join(' '), /^[0-9a-f]+ \d{4}-\S+Z \d{4}-\S+Z \S{43}=$/);
  assert.equal((JSON.parse(large!) as Record<string, unknown>).certificate, undefined);
  const people = logs('text', 'warn', 0);
  people.log.writeServer(failure, 8_000);
  assert.match(people.text(), /^00:00:08 warn: no TLS with a server reason=server_certificate_name side=upstream upstream=api /);
});
