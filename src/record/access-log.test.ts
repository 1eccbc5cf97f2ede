import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAULT_TLS_NO_SHARED_SUITE } from '../base/faults.ts';
import { LOG_LINE_BYTES_MAX, LOG_PENDING_BYTES_MAX } from '../base/limits.ts';
import { C_LOG_LINES, C_LOG_LINES_LOST, COUNTER_PLACES } from '../plan/counters.ts';
import { AccessLog, AccessRecord } from './access-log.ts';
import { HandshakeLog } from './handshake-log.ts';
import { LogWriter } from './log-writer.ts';

function withFile(use: (fd: number, read: () => string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-log-'));
  const path = join(directory, 'log');
  const fd = openSync(path, 'a');
  return use(fd, () => readFileSync(path, 'utf8')).finally(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
}

function end(writer: LogWriter): Promise<void> {
  return new Promise((resolve) => writer.end(resolve));
}

function record(path: string, agent: string): AccessRecord {
  const made = new AccessRecord();
  made.reset(1_000);
  made.requestId.fill(0x61);
  const source = Buffer.from(`GET shop.example ${path} ${agent}`, 'latin1');
  const pathStart = 17;
  const agentStart = pathStart + path.length + 1;
  made.keepRequest(source, 0, 3, 4, 16, pathStart, pathStart + path.length);
  made.keepUserAgent(source, agentStart, source.length);
  return made;
}

test('AccessLog writes one line of JSON for each request, whatever bytes it had', async () => {
  await withFile(async (fd, read) => {
    const counters = new Float64Array(COUNTER_PLACES);
    const writer = new LogWriter(fd, counters);
    const log = new AccessLog(writer);
    const awkward = '/a"b\\c\u00e9?x=1';
    const made = record(awkward, 'curl/8');
    made.status = 200;
    made.bytes = 12_345;
    made.upstream = ',"upstream":"127.0.0.1:9000"';
    log.write(made, ',"client":"192.0.2.1","tls":"TLSv1.3"', 1_001.2345, Date.UTC(2026, 0, 2, 3, 4, 5, 6));
    await end(writer);
    const lines = read().trimEnd().split('\n');
    assert.equal(lines.length, 1);
    assert.deepEqual(JSON.parse(lines[0]!), {
      time: '2026-01-02T03:04:05.006Z',
      client: '192.0.2.1',
      tls: 'TLSv1.3',
      method: 'GET',
      host: 'shop.example',
      path: awkward,
      userAgent: 'curl/8',
      status: 200,
      bytes: 12_345,
      durationMs: 1.235,
      upstream: '127.0.0.1:9000',
      requestId: 'a'.repeat(32),
    });
    assert.equal(counters[C_LOG_LINES], 1);
  });
});

test('AccessRecord cuts long values, keeps each once, and the line stays under its bound', async () => {
  await withFile(async (fd, read) => {
    const writer = new LogWriter(fd, new Float64Array(COUNTER_PLACES));
    const log = new AccessLog(writer);
    const made = record('/'.padEnd(20_000, '\u0001'), '"'.repeat(20_000));
    const source = Buffer.alloc(20_000, 0x80);
    for (let i = 0; i < 50; i++) made.keepReferer(source, 0, source.length);
    made.status = 400;
    log.write(made, `,"client":"${'f'.repeat(39)}","sni":"${'n'.repeat(255)}"`, 0, 0);
    await end(writer);
    const text = read();
    assert.ok(Buffer.byteLength(text) <= LOG_LINE_BYTES_MAX);
    const line = JSON.parse(text) as { path: string; userAgent: string };
    assert.equal(line.path.length, 512);
    assert.equal(line.userAgent.length, 160);
  });
});

test('LogWriter keeps every line over many batches, whole and in order', async () => {
  await withFile(async (fd, read) => {
    const counters = new Float64Array(COUNTER_PLACES);
    const writer = new LogWriter(fd, counters);
    for (let i = 0; i < 20_000; i++) {
      const batch = writer.reserve();
      assert.ok(batch !== null);
      writer.commit(batch, batch.at + batch.bytes.write(`line ${i}\n`, batch.at));
    }
    await end(writer);
    const lines = read().trimEnd().split('\n');
    assert.equal(lines.length, 20_000);
    lines.forEach((line, i) => {
      assert.equal(line, `line ${i}`);
    });
    assert.equal(counters[C_LOG_LINES], 20_000);
    assert.equal(counters[C_LOG_LINES_LOST], 0);
  });
});

test('LogWriter drops and counts lines past its bound, and lines a destination refuses', async () => {
  const counters = new Float64Array(COUNTER_PLACES);
  const full = openSync('/dev/full', 'w');
  const writer = new LogWriter(full, counters);
  const text = 'x'.repeat(1_000);
  let refused = 0;
  for (let i = 0; i < (2 * LOG_PENDING_BYTES_MAX) / text.length; i++) {
    const batch = writer.reserve();
    if (batch === null) refused++;
    else writer.commit(batch, batch.at + batch.bytes.write(`${text}\n`, batch.at));
  }
  assert.ok(refused > 0);
  await end(writer);
  closeSync(full);
  assert.equal(counters[C_LOG_LINES], 0);
  assert.equal(counters[C_LOG_LINES_LOST], Math.ceil((2 * LOG_PENDING_BYTES_MAX) / text.length));
});

test('HandshakeLog writes one line a failure, at a bounded rate, and says what it left out', async () => {
  await withFile(async (fd, read) => {
    const writer = new LogWriter(fd, new Float64Array(COUNTER_PLACES));
    const log = new HandshakeLog(writer);
    const failure = {
      fault: FAULT_TLS_NO_SHARED_SUITE,
      client: '192.0.2.1',
      listener: 'web',
      sni: 'shop.example',
      alpn: ['h2'],
      alert: null,
      alertFrom: null,
      offered: { suites: Array.from({ length: 600 }, (_, i) => `SUITE_NUMBER_${i}`) },
      library: 'S2N_ERR_CIPHER_NOT_SUPPORTED',
      durationUs: 12,
    } as const;
    for (let i = 0; i < 150; i++) log.failed(failure, 5_000);
    log.failed({ ...failure, offered: null }, 6_000);
    await end(writer);
    const lines = read()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.length, 101);
    assert.equal(lines[0]?.event, 'handshake');
    assert.equal(lines[0]?.ok, false);
    assert.equal(lines[0]?.reason, 'no_shared_suite');
    assert.equal(lines[0]?.side, 'client');
    assert.equal(lines[0]?.offered, null);
    assert.equal(lines[100]?.omitted, 50);
  });
});
