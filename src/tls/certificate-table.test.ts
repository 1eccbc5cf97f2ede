import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POLICY_RULES } from '../hello/policy-rules.ts';
import type { ListenerPlan, Plan, TlsPlan } from '../plan/plan.ts';
import { CertificateTable } from './certificate-table.ts';
import type { ContextOptions, TlsContext, TlsEngine } from './engine.ts';
import { deriveTicketKey, TicketKeyRing } from './ticket-keys.ts';

/** Contexts that remember what they were made of. Choosing among them is what is tested; engines have their own contract. */
class RecordingEngine implements TlsEngine {
  readonly name = 's2n';
  readonly library = 'none';
  readonly made: { options: ContextOptions; keys: string[]; staples: string[]; retired: boolean }[] = [];
  context(options: ContextOptions): TlsContext {
    if (options.certificates.some((each) => each.plan.source === 'broken')) throw new Error('certificate: broken');
    const entry = { options, keys: [] as string[], staples: [] as string[], retired: false };
    this.made.push(entry);
    return Object.assign(
      {
        session: () => {
          throw new Error('no session in this test');
        },
        staple: (fingerprint: string, response: Uint8Array) => void entry.staples.push(`${fingerprint} ${response.length}`),
        addTicketKey: (name: string) => void entry.keys.push(name),
        retire: () => {
          entry.retired = true;
        },
      },
      { entry },
    );
  }
}

function build(engine: RecordingEngine, names: readonly (readonly string[])[], sources: readonly string[] = []) {
  const tls: TlsPlan = {
    engine: 's2n',
    engineReason: '',
    policy: 'intermediate',
    rules: POLICY_RULES.intermediate,
    certificates: names.map((_, i) => i),
    tickets: true,
    alpn: ['http/1.1'],
    compressCertificates: false,
    clients: null,
  };
  const certificates = names.map((each, i) => ({
    fingerprint: `f${i}`,
    names: each,
    notBeforeMs: 0,
    notAfterMs: 1,
    source: sources[i] ?? 'fine',
    chainBlob: 2 * i,
    keyBlob: 2 * i + 1,
  }));
  const blobs = names.flatMap(() => [Buffer.from('chain'), Buffer.from('key')]);
  const keys = new TicketKeyRing();
  keys.replace(
    [
      { name: 'new', fromS: 2 },
      { name: 'old', fromS: 1 },
    ],
    [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
  );
  return new CertificateTable(engine, { certificates } as unknown as Plan, { name: 'web' } as ListenerPlan, tls, blobs, keys, null);
}

function fingerprints(context: TlsContext): string[] {
  const { entry } = context as TlsContext & { entry: { options: ContextOptions } };
  return entry.options.certificates.map((each) => each.plan.fingerprint);
}

test('CertificateTable takes the exact name, then a wildcard of one label, then the first certificate', () => {
  const table = build(new RecordingEngine(), [['default.test'], ['*.example'], ['shop.example']]);
  for (const [name, expected] of [
    ['shop.example', 'f2'],
    ['other.example', 'f1'],
    ['a.b.example', 'f0'],
    ['example', 'f0'],
    ['.example', 'f0'],
    ['stranger.org', 'f0'],
    [null, 'f0'],
  ] as const) {
    assert.deepEqual(fingerprints(table.find(name)), [expected], String(name));
  }
});

test('CertificateTable gives certificates of one name one context, and names of one certificate the same', () => {
  const engine = new RecordingEngine();
  const table = build(engine, [['a.test', 'b.test'], ['a.test']]);
  assert.deepEqual(fingerprints(table.find('a.test')), ['f0', 'f1']);
  assert.deepEqual(fingerprints(table.find('b.test')), ['f0']);
  assert.equal(table.find('b.test'), table.find(null));
  assert.equal(engine.made.length, 2);
  for (const each of engine.made) assert.deepEqual(each.keys, ['old', 'new'], 'oldest first');
  assert.equal(new Set(engine.made.map((each) => each.options.ruleSet)).size, 2);
});

test('CertificateTable.staple() tells every context', () => {
  const engine = new RecordingEngine();
  build(engine, [['a.test'], ['b.test']]).staple('f1', Buffer.from('response'));
  assert.ok(engine.made.length > 1);
  for (const each of engine.made) assert.deepEqual(each.staples, ['f1 8']);
});

test('CertificateTable retires what it made when one certificate is refused', () => {
  const engine = new RecordingEngine();
  assert.throws(() => build(engine, [['a.test'], ['b.test']], ['fine', 'broken']), /broken/);
  assert.ok(engine.made.length > 0 && engine.made.every((each) => each.retired));
});

test('deriveTicketKey() gives every rule set its own key, the same each time', () => {
  const master = Buffer.alloc(32, 7);
  const key = deriveTicketKey(master, 'web intermediate f0', 48);
  assert.equal(key.length, 48);
  assert.deepEqual(key, deriveTicketKey(master, 'web intermediate f0', 48));
  assert.notDeepEqual(key, deriveTicketKey(master, 'web intermediate f1', 48));
  assert.notDeepEqual(key, deriveTicketKey(Buffer.alloc(32, 8), 'web intermediate f0', 48));
});
