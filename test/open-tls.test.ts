/**
 * TLS behind its handshake, with records made by hand: at their limits and beyond, in both directions; the end of a connection, told late or
 * not at all; and the end of those that must not tell by their time what was wrong with a record.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { httpOrigin } from './support/origin.ts';
import { RecordSealer, type SealedVersion } from './support/record-sealer.ts';
import { Tollgate, until } from './support/tollgate.ts';

/** RFC 8446, section 5.1. */
const PLAINTEXT_BYTES_MAX = 1 << 14;
/** Sections 5.2 of RFC 8446 and 6.2.3 of RFC 5246. */
const SEALED_BYTES_MAX = { 'TLSv1.3': PLAINTEXT_BYTES_MAX + 256, 'TLSv1.2': PLAINTEXT_BYTES_MAX + 2_048 };
/** What AES-128-GCM adds: a tag and a type, or a tag and a nonce. */
const ADDED_BYTES = { 'TLSv1.3': 17, 'TLSv1.2': 24 };
const ANSWER = 'x'.repeat(200_000);

/** A request of exactly so many bytes. */
function request(bytes: number, more = 'Connection: close\r\n'): Buffer {
  const head = (length: number): string => `POST / HTTP/1.1\r\nHost: localhost\r\n${more}Content-Length: ${length}\r\n\r\n`;
  const body = bytes - head(10_000).length;
  return Buffer.from(head(body) + 'b'.repeat(body));
}

async function start(t: TestContext, engine: string): Promise<Tollgate> {
  const origin = await httpOrigin(t, (incoming, response) => {
    incoming.resume();
    incoming.on('end', () => response.end(ANSWER));
  });
  return await Tollgate.start(t, { to: origin.port, tls: `engine: ${engine}` });
}

interface Limit {
  readonly send: (client: RecordSealer) => void;
  /** The fault that is counted, and the alert that OpenSSL says; null: it is answered. */
  readonly s2n: string | null;
  readonly openssl: readonly [reason: string, alert: number] | null;
}

const OVERFLOW = ['malformed', 22] as const;
const both = (reason: string, alert: number): Pick<Limit, 's2n' | 'openssl'> => ({ s2n: reason, openssl: [reason, alert] });
const ANSWERED = { s2n: null, openssl: null };

function limits(version: SealedVersion): Readonly<Record<string, Limit>> {
  const most = SEALED_BYTES_MAX[version];
  const common = {
    'as much as goes into a record': { ...ANSWERED, send: (client: RecordSealer) => client.send(request(PLAINTEXT_BYTES_MAX)) },
    'more than a record may say that it has': {
      // What s2n asks of a record of TLS 1.2 is that it decrypts.
      s2n: version === 'TLSv1.2' ? 'decrypt_error' : 'malformed',
      openssl: OVERFLOW,
      send: (client: RecordSealer) => client.sendNoise(most + 1),
    },
  };
  if (version === 'TLSv1.2') {
    return {
      ...common,
      'a byte too many': { s2n: null, openssl: OVERFLOW, send: (client) => client.send(request(PLAINTEXT_BYTES_MAX + 1)) },
      // OpenSSL knows how much this cipher adds at most.
      'noise as long as may be': { s2n: 'decrypt_error', openssl: OVERFLOW, send: (client) => client.sendNoise(most) },
      noise: { ...both('decrypt_error', 20), send: (client) => client.sendNoise(PLAINTEXT_BYTES_MAX + ADDED_BYTES[version]) },
    };
  }
  return {
    ...common,
    'a byte too many': { ...both(...OVERFLOW), send: (client) => client.send(request(PLAINTEXT_BYTES_MAX + 1)) },
    'a record that is full by its padding': {
      ...ANSWERED,
      send: (client) => client.send(request(12_000), PLAINTEXT_BYTES_MAX - 12_000),
    },
    'noise as long as may be': { ...both('decrypt_error', 20), send: (client) => client.sendNoise(most) },
  };
}

/** Faults of clients, by reason. */
async function faults(tollgate: Tollgate): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const [sample, value] of await tollgate.metrics()) {
    const reason = /^tollgate_faults_total\{reason="(\w+)",culprit="client"\}$/.exec(sample)?.[1];
    if (reason !== undefined && value > 0) counts.set(reason, value);
  }
  return counts;
}

for (const engine of ['s2n', 'openssl'] as const) {
  test(`${engine}: records at their limits are taken and sent, and those beyond are refused with a reason and an alert`, async (t) => {
    const tollgate = await start(t, engine);
    const expected = new Map<string, number>();
    let blinded = 0;
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const [name, limit] of Object.entries(limits(version))) {
        const client = await RecordSealer.open(tollgate.port, version);
        t.after(() => client.close());
        limit.send(client);
        const { [engine]: outcome } = limit;
        if (outcome === null) {
          await until(() => client.ended);
          assert.ok(client.received.startsWith('HTTP/1.1 200 ') && client.received.endsWith(ANSWER), `${version}: ${name}`);
          // Ours are full, and no fuller.
          assert.equal(Math.max(...client.came), PLAINTEXT_BYTES_MAX + ADDED_BYTES[version]);
          continue;
        }
        const [reason, alert] = typeof outcome === 'string' ? [outcome, null] : outcome;
        expected.set(reason, (expected.get(reason) ?? 0) + 1);
        await until(async () => (await faults(tollgate)).get(reason) === expected.get(reason));
        if (alert !== null) {
          await until(() => client.failure !== null);
          assert.match(client.failure!.message, new RegExp(`alert number ${alert}\\b`), `${version}: ${name}`);
        }
        if (reason === 'decrypt_error') blinded++;
        else await until(() => client.ended);
        assert.equal(client.received, '');
      }
    }
    assert.deepEqual(await faults(tollgate), expected);
    const metrics = await tollgate.metrics();
    assert.equal(metrics.get('tollgate_blinded_connections'), blinded);
    assert.equal((await tollgate.status()).connections.open, blinded);
  });

  test(`${engine}: an end that is told late, or in the middle, or not at all`, async (t) => {
    const tollgate = await start(t, engine);
    const open = async (): Promise<number> => (await tollgate.status()).connections.open;
    for (const [at, version] of (['TLSv1.2', 'TLSv1.3'] as const).entries()) {
      // It ends its direction at once, and hears all the same.
      const early = await RecordSealer.open(tollgate.port, version);
      early.send(request(1_000, ''));
      early.sayGoodbye();
      early.below.end();
      await until(() => early.ended);
      assert.ok(early.received.endsWith(ANSWER), version);
      // It talks on behind our end, and says its own then.
      const late = await RecordSealer.open(tollgate.port, version);
      late.send(request(1_000));
      await until(() => late.ended);
      assert.ok(late.received.endsWith(ANSWER), version);
      late.send(request(1_000));
      late.sayGoodbye();
      late.below.end();
      await until(async () => (await open()) === 0);
      // What comes behind its own end is nobody's.
      const more = await RecordSealer.open(tollgate.port, version);
      more.sayGoodbye();
      more.send(request(1_000));
      await until(() => more.ended);
      assert.equal(more.received, '');
      more.close();
      await until(async () => (await open()) === 0);
      assert.equal((await faults(tollgate)).get('truncated') ?? 0, at);
      // It goes without a word: between requests, where that is nobody's loss, and in one.
      const idle = await RecordSealer.open(tollgate.port, version);
      idle.send(request(1_000, ''));
      await until(() => idle.received.endsWith(ANSWER));
      idle.below.end();
      const half = await RecordSealer.open(tollgate.port, version);
      half.send(request(1_000).subarray(0, 900));
      half.below.end();
      await until(async () => (await faults(tollgate)).get('truncated') === at + 1);
      await until(async () => (await open()) === 0);
      for (const client of [early, late, idle, half]) client.close();
    }
    const counted = await faults(tollgate);
    assert.deepEqual([counted.get('truncated'), counted.get('request_truncated')], [2, 2]);
  });
}
