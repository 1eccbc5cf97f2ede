/**
 * Every way in which a handshake can fail, made with raw bytes against the real program on both engines: the answer on the wire, whether the
 * end was put off, the reason and the alert of the event. src/tls/handshake-failures.ts says what is expected; docs/ shows it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EngineName } from '../src/base/engine-name.ts';
import { faultOf } from '../src/base/faults.ts';
import { checkFile } from '../src/config/check-report.ts';
import { ClientHello, readClientHello } from '../src/hello/client-hello.ts';
import { explainHello } from '../src/observe/explain-hello.ts';
import { HANDSHAKE_FAILURES } from '../src/tls/handshake-failures.ts';
import { FAILING_HANDSHAKES, failingListener, play, type Seen } from './support/failing-handshakes.ts';
import { Tollgate, until } from './support/tollgate.ts';

/** A record of TLS 1.3 that holds an alert, and nothing else, is this long. */
const SEALED_ALERT_BYTES = 19;
/** Rows that other tests prove, or that no bytes bring about. */
const ELSEWHERE = ['tls_internal', 'memory', 'bad_finished'];

const readHello = new ClientHello();

function isHello(bytes: Buffer): boolean {
  return readClientHello(bytes, 0, bytes.length, readHello) === bytes.length;
}

/** The alert on the wire; -1: one that cannot be read from here; null: none. */
function alertIn({ bytes }: Seen): number | null {
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) {
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] === 21 && length === 2) return bytes[at + 6]!;
    if (bytes[at] === 23 && length === SEALED_ALERT_BYTES) return -1;
  }
  return null;
}

for (const engine of ['s2n', 'openssl'] as const satisfies readonly EngineName[]) {
  test(`${engine}: every way to fail has its reason, its alert on the wire and in the event, and its end`, async (t) => {
    const tollgate = await Tollgate.start(t, {
      // Failures have a line whatever the level is.
      log: 'level: error',
      config: `timeouts: { handshake: 3s }
listeners:
${failingListener(engine)}upstreams: [{ name: app, targets: ["127.0.0.1:1"] }]
`,
    });
    const cases = Object.entries(FAILING_HANDSHAKES);
    const addressOf = (i: number): string => `127.0.1.${i + 1}`;
    const seen = await Promise.all(cases.map(async ([, { steps }], i) => await play(tollgate.port, addressOf(i), steps)));
    t.after(() => {
      for (const { socket } of seen) socket.destroy();
    });
    await until(() => tollgate.handshakes().length >= cases.length);
    const lines = new Map(tollgate.handshakes().map((line) => [line.client, line]));
    const got = cases.map(([name], i) => {
      const { reason, alert } = lines.get(addressOf(i)) ?? {};
      return [name, reason, alert];
    });
    assert.deepEqual(
      got,
      cases.map(([name, { [engine]: expected }]) => [name, ...expected]),
    );
    // Whom the hello alone dooms, `tollgate explain` tells so beforehand.
    const { checked } = await checkFile(join(tollgate.directory, 'tollgate.yaml'));
    const doomed = cases.filter(([, { steps }]) => steps.length === 1 && Buffer.isBuffer(steps[0]) && isHello(steps[0]));
    assert.ok(checked !== null && doomed.length >= 15);
    for (const [
      name,
      {
        steps,
        [engine]: [reason],
      },
    ] of doomed) {
      const { listeners } = explainHello(checked.plan, steps[0] as Buffer, null, '/', Date.now());
      assert.equal(listeners[0]?.reason, reason, name);
    }
    const isBlinded = (reason: unknown): boolean => HANDSHAKE_FAILURES.some((row) => row.isBlinded && faultOf(row.fault).reason === reason);
    // Who is not blinded sees the end; who is waits on.
    await until(() => seen.every(({ ended }, i) => ended || isBlinded(got[i]![1])));
    const blinded = seen.filter((_, i) => isBlinded(got[i]![1]));
    assert.ok(blinded.length >= 2 && blinded.every(({ ended }) => !ended));
    assert.equal((await tollgate.metrics()).get('tollgate_blinded_connections'), blinded.length);
    for (const [i, [name, reason, alert]] of got.entries()) {
      const line = lines.get(addressOf(i))!;
      const row = HANDSHAKE_FAILURES.find(({ fault }) => faultOf(fault).reason === reason);
      if (line.alertFrom === 'client') continue;
      const allowed = row?.[engine] ?? [];
      assert.ok(alert === null || allowed.includes(Number(alert)), `${name}: ${alert} is in the table`);
      const wire = alertIn(seen[i]!);
      // What OpenSSL says to a client that has gone nobody may get.
      if (reason !== 'client_gone')
        assert.ok(wire === alert || (wire === -1 && alert !== null), `${name}: ${wire} on the wire, ${alert} told`);
    }
    // No row that nothing has shown.
    const shown = new Set(got.map(([, reason]) => reason));
    const rows = HANDSHAKE_FAILURES.map((row) => ({ row, reason: faultOf(row.fault).reason }));
    const unseen = rows.filter(({ row, reason }) => row.s2n !== null && !shown.has(reason) && !ELSEWHERE.includes(reason));
    assert.deepEqual(unseen, []);
    const metrics = await tollgate.metrics();
    assert.equal(metrics.get('tollgate_handshakes_open') ?? 0, 0);
    assert.equal((await tollgate.status()).workers.length, 1);
  });
}
