import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import { COUNTER_PLACES } from '../plan/counters.ts';
import { type AccessLogPlan, LOG_FIELDS, LOG_FIELDS_USUAL, type LogFormatPlan } from '../plan/log-plan.ts';
import { AccessLog } from './access-log.ts';
import { AccessRecord } from './access-record.ts';
import type { LoggedConnection } from './line-formats.ts';
import type { LogSink } from './log-sinks.ts';
import { LogWriter } from './log-writer.ts';
import { sampleOf } from './sample.ts';
import { KeptLog } from './test-kept-log.ts';

const CONNECTION: LoggedConnection = { address: '192.0.2.1', tlsVersion: 'TLSv1.3', cipher: '', sni: null };
const JSON_USUAL: LogFormatPlan = { kind: 'json', fields: LOG_FIELDS_USUAL };

function logTo(sink: LogSink, plan: Partial<AccessLogPlan>): { log: AccessLog; writer: LogWriter } {
  const writer = new LogWriter(sink, new Float64Array(COUNTER_PLACES));
  return {
    log: new AccessLog({ destination: { kind: 'standard' }, format: JSON_USUAL, sample: 1, sampleErrors: true, ...plan }, writer),
    writer,
  };
}

/** The line of `record` in `format`. */
function lineOf(record: AccessRecord, plan: Partial<AccessLogPlan>, connection = CONNECTION, client = connection.address): string {
  const sink = new KeptLog();
  const { log, writer } = logTo(sink, plan);
  log.write(record, connection, client, 1_001.2345, Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  writer.flush();
  return sink.text;
}

function record(path: string, agent: string): AccessRecord {
  const made = new AccessRecord();
  made.reset(1_000, true);
  made.requestId.fill(0x61);
  const source = Buffer.from(`GET shop.example ${path} ${agent}`, 'latin1');
  const pathStart = 17;
  const pathEnd = pathStart + path.length;
  made.keepRequestLine(source, 0, 3, pathStart, pathEnd, pathStart, pathEnd, 1);
  made.keepHost(source, 4, 16);
  made.keepUserAgent(source, pathEnd + 1, source.length);
  made.status = 200;
  made.bytesSent = 12_345;
  made.headBytes = 345;
  return made;
}

const AWKWARD = '/a"b\\c\u00e9\u007f?x=1';

test('AccessLog writes one line of JSON for each request, whatever bytes it had', () => {
  const made = record(AWKWARD, 'curl/8');
  made.upstream = 'bücher:9000';
  const text = lineOf(made, {});
  assert.ok(text.endsWith('}\n'));
  const line = JSON.parse(text) as object;
  assert.deepEqual(line, {
    time: '2026-01-02T03:04:05.006Z',
    client: '192.0.2.1',
    tls: 'TLSv1.3',
    method: 'GET',
    host: 'shop.example',
    path: AWKWARD,
    userAgent: 'curl/8',
    status: 200,
    bytes: 12_345,
    durationMs: 1.235,
    upstream: 'bücher:9000',
    requestId: 'a'.repeat(32),
  });
  assert.deepEqual(
    Object.keys(line),
    LOG_FIELDS_USUAL.filter((key) => key in line),
  );
});

test('AccessLog writes the keys that were asked for, in their order, and leaves out what is not there', () => {
  const made = record('/x', 'curl/8');
  const format: LogFormatPlan = { kind: 'json', fields: ['status', 'reason', 'path', 'bodyBytes', 'user', 'peer', 'protocol', 'client'] };
  assert.equal(
    lineOf(made, { format }, CONNECTION, '198.51.100.7'),
    '{"status":200,"path":"/x","bodyBytes":12000,"peer":"192.0.2.1","protocol":"HTTP/1.1","client":"198.51.100.7"}\n',
  );
  made.keepUser(Buffer.from('anna'), 0, 4);
  made.reason = 'reset';
  assert.equal(lineOf(made, { format: { kind: 'json', fields: ['reason', 'user'] } }), '{"reason":"reset","user":"anna"}\n');
  assert.equal(lineOf(made, { format: { kind: 'json', fields: ['referer'] } }), '{}\n');
});

test('AccessLog writes combined and common as nginx does', () => {
  const made = record(AWKWARD, 'a "b" \u00ff');
  const common = '192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /a\\x22b\\x5Cc\\xE9\\x7F?x=1 HTTP/1.1" 200 12000';
  assert.equal(lineOf(made, { format: { kind: 'common' } }), `${common}\n`);
  assert.equal(lineOf(made, { format: { kind: 'combined' } }), `${common} "-" "a \\x22b\\x22 \\xFF"\n`);
  const unread = new AccessRecord();
  unread.reset(1_000, true);
  unread.status = 400;
  assert.equal(lineOf(unread, { format: { kind: 'combined' } }), '192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "-" 400 0 "-" "-"\n');
});

test('AccessLog frames a line for syslog as RFC 5424 has it', () => {
  const destination = { kind: 'syslog', address: { family: 0, path: '/dev/log' }, priority: 190, host: 'gate', name: 'shop' } as const;
  const text = lineOf(record('/', ''), { destination, format: { kind: 'common' } });
  assert.match(text, new RegExp(`^<190>1 2026-01-02T03:04:05\\.006Z gate shop ${process.pid} access - 192\\.0\\.2\\.1 - - \\[.*\n$`));
});

test('AccessLog keeps every line under its bound, whole and ASCII, in every format', () => {
  const unit = fc.uint8Array({ minLength: 1, maxLength: 8 });
  const destination = {
    kind: 'syslog',
    address: { family: 0, path: '/dev/log' },
    priority: 191,
    host: 'h'.repeat(64),
    name: 'n'.repeat(48),
  } as const;
  const address = '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff';
  const connection = { address, tlsVersion: 'TLSv1.3', cipher: 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', sni: 's'.repeat(253) };
  fc.assert(
    fc.property(unit, fc.integer({ min: 0, max: 7 }), (bytes, shift) => {
      const source = Buffer.alloc(4_000, Buffer.from(bytes));
      const made = new AccessRecord();
      made.reset(0, true);
      made.requestId.fill(0x61);
      made.keepRequestLine(source, shift, 4_000, shift, 4_000, shift, 4_000, 1);
      for (const keep of [made.keepHost, made.keepUserAgent, made.keepReferer, made.keepUser]) keep.call(made, source, shift, 4_000);
      made.status = 599;
      made.bytesSent = Number.MAX_SAFE_INTEGER;
      made.reason = 'r'.repeat(40);
      made.upstream = '"'.repeat(300);
      for (const format of [{ kind: 'json', fields: LOG_FIELDS }, { kind: 'combined' }, { kind: 'common' }] as const) {
        const text = lineOf(made, { format, destination }, connection, `${address.slice(0, -1)}e`);
        assert.ok(text.length <= LOG_LINE_BYTES_MAX, `${text.length}`);
        assert.match(text, /^[ -~]*\n$/);
        if (format.kind === 'json') JSON.parse(text.slice(text.indexOf('{')));
      }
    }),
    { numRuns: 50 },
  );
});

test('AccessLog samples by the id of the request, and logs failures whatever it says', () => {
  const made = record('/', '');
  let kept = 0;
  for (let i = 0; i < 4_000; i++) {
    made.requestId.set(Buffer.from(i.toString(16).padStart(32, 'a')));
    const expected = sampleOf(made.requestId) < 0.25;
    if (expected) kept++;
    made.reason = '';
    made.status = 200;
    assert.equal(lineOf(made, { sample: 0.25 }) !== '', expected);
    if (i > 100) continue;
    made.status = 500;
    assert.notEqual(lineOf(made, { sample: 0.25 }), '');
    assert.equal(lineOf(made, { sample: 0.25, sampleErrors: false }) !== '', expected);
    made.status = 403;
    made.reason = 'access_denied';
    assert.notEqual(lineOf(made, { sample: 0.25 }), '');
  }
  assert.ok(kept > 800 && kept < 1_200, `${kept} of 4000`);
});
