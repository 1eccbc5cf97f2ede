import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyType } from '../base/key-type.ts';
import type { ListenerPlan, Plan, TlsPlan, TlsRulePlan } from '../plan/plan.ts';
import { CertificateTable, contextAt, problemAt } from './certificate-table.ts';
import { ContextPool } from './context-pool.ts';
import type { ContextOptions, TlsContext, TlsEngine } from './engine.ts';
import { deriveTicketKey, TicketKeyRing } from './ticket-keys.ts';

/** Contexts that remember what they were made of. Choosing among them is what is tested; engines have their own contract. */
class RecordingEngine implements TlsEngine {
  readonly name = 's2n';
  readonly library = 'none';
  /** Certificates and keys that it was given. */
  readonly seen: string[] = [];
  takesAll = false;
  readonly made: { options: ContextOptions; keys: string[]; staples: string[]; retired: boolean }[] = [];
  context(options: ContextOptions): TlsContext {
    if (!this.takesAll && options.certificates.some((each) => each.plan.source === 'broken')) throw new Error('certificate: broken');
    const entry = { options, keys: [] as string[], staples: [] as string[], retired: false };
    this.made.push(entry);
    for (const { chainPem, keyPem } of options.certificates)
      this.seen.push([chainPem, keyPem].map((bytes) => Buffer.from(bytes).toString('latin1')).join(' '));
    return Object.assign(
      {
        session: () => {
          throw new Error('no session in this test');
        },
        staple: (fingerprint: string, response: Uint8Array) => void entry.staples.push(`${fingerprint} ${response.length}`),
        addTicketKey: (name: string) => void entry.keys.push(name),
        tellKeys: () => {},
        retire: () => {
          entry.retired = true;
        },
      },
      { entry },
    );
  }
}

interface Given {
  readonly names: readonly string[];
  readonly source?: string;
  readonly from?: number;
  readonly until?: number;
  readonly keyType?: KeyType;
  /** Default: as all the others. */
  readonly algorithms?: string;
}

const NOW = 1_000;
const RULE = {
  names: [],
  policy: 'intermediate',
  minVersion: 0x0303,
  requirePostQuantum: false,
  report: null,
  tickets: true,
  ticketLifetimeS: 86_400,
  clients: null,
} as const;

function poolOf(): ContextPool {
  const keys = new TicketKeyRing();
  keys.replace(
    [
      { name: 'new', fromS: 2 },
      { name: 'old', fromS: 1 },
    ],
    [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
  );
  return new ContextPool(keys);
}

function build(
  engine: RecordingEngine,
  given: readonly Given[],
  {
    pool = poolOf(),
    strict = false,
    rules = [RULE] as readonly TlsRulePlan[],
    staples = new Map([['f0', Buffer.from('first')]]),
    blobs = given.flatMap(() => [Buffer.from('chain'), Buffer.from('key')]),
  } = {},
): CertificateTable & { steps: number } {
  const tls: TlsPlan = {
    engine: 's2n',
    engineReason: '',
    compressCertificates: false,
    certificates: given.map((_, i) => i),
    strict,
    alpn: ['http/1.1'],
    rules,
  };
  const certificates = given.map(({ names, source = 'fine', from = 0, until = 2 * NOW, keyType = 'p256', algorithms = keyType }, i) => ({
    fingerprint: `f${i}`,
    chainFingerprint: `c${i}`,
    keyType,
    algorithms,
    names,
    notBeforeMs: from,
    notAfterMs: until,
    source,
    chainBlob: 2 * i,
    keyBlob: 2 * i + 1,
  }));
  const parts = {
    engine,
    pool,
    plan: { certificates } as unknown as Plan,
    blobs,
    nowMs: NOW,
    judgeOf: () => () => 0,
    staples,
  };
  const work = CertificateTable.build(parts, { name: 'web' } as ListenerPlan, tls);
  for (let steps = 0; ; steps++) {
    const step = work.next();
    if (step.done === true) return Object.assign(step.value, { steps });
  }
}

/** Fingerprints of what serves `name` at `nowMs`. */
function serving(table: CertificateTable, name: string | null, nowMs = NOW): readonly string[] {
  const owner = table.find(name, nowMs);
  return owner === null ? ['nobody'] : fingerprints(contextAt(owner, nowMs)!);
}

function fingerprints(context: TlsContext): string[] {
  const { entry } = context as TlsContext & { entry: { options: ContextOptions } };
  return entry.options.certificates.map((each) => each.plan.fingerprint);
}

const SOME: readonly Given[] = [{ names: ['default.test'] }, { names: ['*.example'] }, { names: ['shop.example'] }];

test('CertificateTable takes the exact name, then a wildcard of one label, then the first certificate', () => {
  const table = build(new RecordingEngine(), SOME);
  for (const [name, expected] of [
    ['shop.example', 'f2'],
    ['other.example', 'f1'],
    ['a.b.example', 'f0'],
    ['example', 'f0'],
    ['.example', 'f0'],
    ['stranger.org', 'f0'],
    [null, 'f0'],
  ] as const) {
    assert.deepEqual(serving(table, name), [expected], String(name));
  }
});

test('a strict CertificateTable has nobody for strangers, and for who names nobody', () => {
  const table = build(new RecordingEngine(), SOME, { strict: true });
  assert.deepEqual(
    ['shop.example', 'other.example', 'a.b.example', 'stranger.org', null].map((name) => serving(table, name)[0]),
    ['f2', 'f1', 'nobody', 'nobody', 'nobody'],
  );
});

test('CertificateTable gives certificates of one name one context, and names of one certificate the same', () => {
  const engine = new RecordingEngine();
  const table = build(engine, [{ names: ['a.test', 'b.test'] }, { names: ['a.test'], keyType: 'rsa' }]);
  assert.deepEqual(serving(table, 'a.test'), ['f0', 'f1']);
  assert.deepEqual(serving(table, 'b.test'), ['f0']);
  assert.equal(table.find('b.test', NOW), table.find(null, NOW));
  assert.equal(engine.made.length, 2);
  for (const each of engine.made) assert.deepEqual(each.keys, ['old', 'new'], 'oldest first');
  assert.equal(new Set(engine.made.map((each) => each.options.ruleSet)).size, 2);
});

test('CertificateTable.staple() shows a response with its certificate, in contexts made before and behind', () => {
  const engine = new RecordingEngine();
  const staples = new Map([['f0', Buffer.from('first')]]);
  const table = build(engine, [{ names: ['a.test'] }, { names: ['b.test'] }], { staples });
  staples.set('f1', Buffer.from('response'));
  table.staple('f1', Buffer.from('response'));
  assert.deepEqual(
    engine.made.map((each) => each.staples),
    [['f0 5', 'f1 8']],
    'what is not made yet is shown nothing',
  );
  assert.deepEqual(serving(table, 'b.test'), ['f1']);
  assert.deepEqual(engine.made[1]?.staples, ['f1 8']);
});

test('CertificateTable makes the first context of each kind, and the others when they are asked for, once', () => {
  const engine = new RecordingEngine();
  const many = Array.from({ length: 1_000 }, (_, i) => ({ names: [`h${i}.test`] }));
  const rules = [RULE, { ...RULE, names: ['h7.test', 'h8.test'], policy: 'modern' }] as const;
  const table = build(engine, [...many, { names: ['odd.test'], algorithms: 'others' }], { rules });
  assert.ok(table.steps > 2 * many.length, 'a step for each certificate, and for each context');
  assert.deepEqual(
    engine.made.map(({ options }) => [options.policy, options.certificates[0]?.plan.fingerprint]),
    [
      ['intermediate@1', 'f0'],
      ['modern@1', 'f7'],
      ['intermediate@1', 'f1000'],
    ],
  );
  for (const _ of [1, 2]) for (const name of ['h500.test', 'h8.test', 'odd.test']) serving(table, name);
  assert.equal(engine.made.length, 5);
});

test('CertificateTable keeps certificates in memory of its own, and no key longer than it must', () => {
  const engine = new RecordingEngine();
  const blobs = Array.from({ length: 3 }, () => [Buffer.from('chain'), Buffer.from('key')]).flat();
  const table = build(engine, [{ names: ['a.test'] }, { names: ['b.test'] }, { names: ['c.test'] }], { blobs });
  for (const blob of blobs) blob.fill(0);
  serving(table, 'b.test');
  assert.deepEqual(engine.seen, ['chain key', 'chain key']);
  for (const _ of table.retire());
  const keys = engine.made.flatMap(({ options }) => options.certificates.map(({ keyPem }) => Buffer.from(keyPem).toString('latin1')));
  assert.deepEqual(keys, ['\0\0\0', '\0\0\0']);
});

test('a context that the library does not take is none, with its reason, and is tried again', () => {
  const engine = new RecordingEngine();
  const table = build(engine, [{ names: ['a.test'] }, { names: ['b.test'], source: 'broken' }]);
  const owner = table.find('b.test', NOW)!;
  assert.equal(contextAt(owner, NOW), null);
  assert.equal(problemAt(owner, NOW), 'certificate: broken');
  assert.deepEqual(serving(table, 'a.test'), ['f0'], 'others have theirs');
  engine.takesAll = true;
  assert.deepEqual(serving(table, 'b.test'), ['f1']);
});

test('CertificateTable takes the valid certificate of a kind, whatever the order, and changes when its time comes', () => {
  const engine = new RecordingEngine();
  const table = build(engine, [
    { names: ['a.test'], until: NOW - 1 },
    { names: ['a.test'], until: NOW + 50 },
    { names: ['a.test'], from: NOW + 40, until: NOW + 100 },
    { names: ['a.test'], keyType: 'rsa', from: NOW + 45 },
  ]);
  assert.deepEqual(serving(table, 'a.test', NOW), ['f1']);
  assert.deepEqual(serving(table, 'a.test', NOW + 44), ['f1']);
  assert.deepEqual(serving(table, 'a.test', NOW + 45), ['f1', 'f3']);
  assert.deepEqual(serving(table, 'a.test', NOW + 50), ['f2', 'f3']);
  assert.deepEqual(serving(table, 'a.test', NOW + 100), ['f3'], 'one kind alone, rather than one that has expired');
  assert.deepEqual(serving(table, 'a.test', 2 * NOW), ['f0', 'f3'], 'all have: better than nothing');
});

test('CertificateTable takes a wildcard that is valid before an exact name that is not, under the same rules alone', () => {
  const given = [{ names: ['a.test'], until: NOW }, { names: ['*.test'] }];
  assert.deepEqual(serving(build(new RecordingEngine(), given), 'a.test'), ['f1']);
  const rules = [RULE, { ...RULE, names: ['a.test'], policy: 'modern' }] as const;
  assert.deepEqual(serving(build(new RecordingEngine(), given, { rules }), 'a.test'), ['f0']);
});

test('CertificateTable gives names rules of their own, whichever certificate they have, and keeps them apart', () => {
  const engine = new RecordingEngine();
  const rules = [RULE, { ...RULE, names: ['pay.example', 'none.org'], policy: 'modern', tickets: false, ticketLifetimeS: 14_400 }] as const;
  const table = build(engine, SOME, { rules });
  const policy = (name: string): unknown => table.find(name, NOW)!.rule.policy;
  assert.deepEqual(['shop.example', 'pay.example', 'other.example', 'none.org', 'stranger.org'].map(policy), [
    'intermediate',
    'modern',
    'intermediate',
    'modern',
    'intermediate',
  ]);
  assert.deepEqual(serving(table, 'pay.example'), ['f1']);
  assert.deepEqual(serving(table, 'none.org'), ['f0']);
  const made = engine.made.find(({ options }) => options.policy === 'modern@1')!;
  assert.equal(made.options.tickets, false);
  assert.equal(made.options.ticketLifetimeS, 14_400);
  assert.ok(table.isMisdirected('other.example', 'pay.example', NOW), 'the same certificate, other rules');
  assert.ok(table.isMisdirected('pay.example', 'other.example', NOW));
  assert.ok(table.isMisdirected('none.org', 'stranger.org', NOW), 'nobody serves it, under other rules');
  assert.ok(!table.isMisdirected('other.example', 'third.example', NOW));
  assert.ok(!table.isMisdirected('other.example', 'shop.example', NOW), 'the wildcard is for it too');
  assert.ok(table.isMisdirected('default.test', 'shop.example', NOW), 'another certificate');
});

test('CertificateTable shares contexts with the table before it, and gives back what nobody wants', () => {
  const engine = new RecordingEngine();
  const pool = poolOf();
  const first = build(engine, SOME, { pool });
  for (const name of ['shop.example', 'other.example']) serving(first, name);
  const second = build(engine, [...SOME, { names: ['new.example'] }], { pool });
  serving(second, 'new.example');
  assert.equal(engine.made.length, 4);
  assert.deepEqual([...first.retire()].length, 3, 'a step for each');
  assert.equal(pool.size, 4);
  const third = build(engine, SOME.slice(0, 2), { pool });
  for (const _ of second.retire());
  assert.deepEqual(
    engine.made.map(({ retired, options }) => [options.certificates[0]?.plan.fingerprint, retired]),
    [
      ['f0', false],
      ['f2', true],
      ['f1', false],
      ['f3', true],
    ],
  );
  for (const _ of third.retire());
  assert.equal(pool.size, 0);
});

test('CertificateTable retires what it made when one certificate is refused', () => {
  const engine = new RecordingEngine();
  const pool = poolOf();
  assert.throws(
    () => build(engine, [{ names: ['a.test'] }, { names: ['b.test'], source: 'broken', algorithms: 'others' }], { pool }),
    /broken/,
  );
  assert.ok(engine.made.length > 0 && engine.made.every((each) => each.retired));
  assert.equal(pool.size, 0);
});

test('a context has the ticket keys of the time when it is used, added when it is used', () => {
  const engine = new RecordingEngine();
  const keys = new TicketKeyRing();
  const table = build(engine, [{ names: ['a.test'] }], { pool: new ContextPool(keys) });
  keys.replace([{ name: 'first', fromS: 1 }], [Buffer.alloc(32, 1)]);
  assert.deepEqual(engine.made[0]!.keys, []);
  const use = () => contextAt(table.find('a.test', NOW)!, NOW);
  use();
  use();
  assert.deepEqual(engine.made[0]!.keys, ['first']);
  keys.replace([{ name: 'second', fromS: 2 }], [Buffer.alloc(32, 2)]);
  use();
  assert.deepEqual(engine.made[0]!.keys, ['first', 'second']);
});

test('deriveTicketKey() gives every rule set its own key, the same each time', () => {
  const master = Buffer.alloc(32, 7);
  const key = deriveTicketKey(master, 'web intermediate f0', 48);
  assert.equal(key.length, 48);
  assert.deepEqual(key, deriveTicketKey(master, 'web intermediate f0', 48));
  assert.notDeepEqual(key, deriveTicketKey(master, 'web intermediate f1', 48));
  assert.notDeepEqual(key, deriveTicketKey(Buffer.alloc(32, 8), 'web intermediate f0', 48));
});
