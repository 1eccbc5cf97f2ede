import assert from 'node:assert/strict';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAddress } from '../base/ip-address.ts';
import { NetworkList, packNetworks } from '../plan/network-list.ts';
import { ACCESS_ALLOWED, ACCESS_DENIED, type Plan } from '../plan/plan.ts';
import { AccessList, AccessLists } from './access-list.ts';

const words = new Uint32Array(4);

function wordsOf(address: string): string {
  const family = readAddress(address, words);
  return family === 0 ? 'none' : `${family}:${[...words].map((word) => word.toString(16)).join(',')}`;
}

test('addresses become words', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '4:0,0,0,c0000201'],
    ['255.255.255.255', '4:0,0,0,ffffffff'],
    ['::', '6:0,0,0,0'],
    ['::1', '6:0,0,0,1'],
    ['2001:db8::1:2', '6:20010db8,0,0,10002'],
    ['1:2:3:4:5:6:7:8', '6:10002,30004,50006,70008'],
    ['1::', '6:10000,0,0,0'],
    ['::ffff:192.0.2.1', '4:0,0,0,c0000201'],
    ['::FFFF:c000:201', '4:0,0,0,c0000201'],
    ['64:ff9b::192.0.2.1', '6:64ff9b,0,0,c0000201'],
    ['1:2:3:4:5:6:7::', '6:10002,30004,50006,70000'],
  ];
  for (const [text, expected] of cases) assert.equal(wordsOf(text), expected, text);
});

test('only addresses are addresses, as Node sees them', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 }), fc.stringMatching(/^[0-9a-f:.]{0,24}$/)), (text) => {
      // Leading zeros of IPv4 are octal to some: Node refuses them, and the kernel never writes them.
      if (/(^|[.:])0\d/.test(text) && text.includes('.')) return;
      assert.equal(readAddress(text, words) !== 0, isIPv4(text) || (isIPv6(text) && !text.includes('%')), text);
    }),
    { numRuns: 2_000 },
  );
});

const network = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, prefix]) => `${ip}/${prefix}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([ip, prefix]) => `${ip}/${prefix}`),
);

/** The slow and obvious way: the longest network that holds the address. */
function slowly(entries: readonly { network: string; verdict: number }[], address: string): number {
  let best = -1;
  let verdict = 0;
  const family = (text: string) => (text.includes(':') ? 'ipv6' : 'ipv4');
  for (const entry of entries) {
    const [ip = '', prefix] = entry.network.split('/');
    if (family(ip) !== family(address)) continue;
    const block = new BlockList();
    block.addSubnet(ip, Number(prefix), family(ip));
    if (!block.check(address, family(address))) continue;
    if (Number(prefix) > best || (Number(prefix) === best && entry.verdict > verdict)) {
      best = Number(prefix);
      verdict = entry.verdict;
    }
  }
  return verdict;
}

test('the longest prefix decides, whatever the order of the networks', () => {
  const near = fc.tuple(fc.constantFrom('10.0.0.0', '10.0.0.128', '10.0.1.0', '10.128.0.0'), fc.integer({ min: 0, max: 32 }));
  const close = near.map(([ip, prefix]) => `${ip}/${prefix}`);
  fc.assert(
    fc.property(
      fc.array(fc.record({ network: fc.oneof(close, network), verdict: fc.integer({ min: 1, max: 3 }) }), { maxLength: 12 }),
      fc.array(
        fc.oneof(fc.ipV4(), fc.constantFrom('10.0.0.1', '10.0.0.129', '10.0.1.255', '10.200.0.1', '255.255.255.255', '2001:db8::1')),
      ),
      (entries, addresses) => {
        const mapped = entries.filter((entry) => !/^(::ffff:|0*:0*:0*:0*:0*:ffff:)/i.test(entry.network));
        const list = NetworkList.of(mapped);
        for (const address of addresses)
          assert.equal(list.lookUp(address), slowly(mapped, address), `${address} in ${JSON.stringify(mapped)}`);
      },
    ),
    { numRuns: 500 },
  );
});

test('100,000 networks, a look-up each, and what is not there', () => {
  const entries = Array.from({ length: 100_000 }, (_, i) => ({
    network:
      i % 2 === 0
        ? `${1 + (i >> 17)}.${(i >> 9) & 255}.${(i >> 1) & 255}.0/24`
        : `2001:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::/48`,
    verdict: 1 + (i % 3),
  }));
  const memory = packNetworks(entries);
  const list = new NetworkList(memory);
  for (let i = 0; i < entries.length; i += 97) {
    const inside = entries[i]!.network.replace(/0\/24$/, '77').replace(/::\/48$/, '::77');
    assert.equal(list.lookUp(inside), entries[i]!.verdict, inside);
  }
  assert.equal(list.lookUp('203.0.113.1'), 0);
  assert.equal(list.lookUp('unix'), 0);
  assert.ok(memory.byteLength < 8_000_000, `${memory.byteLength} bytes`);
});

/** Networks of all sizes, and what the slow way says of an address: a look into every size, the smallest first. */
function manyNetworks(count: number): { entries: { network: string; verdict: number }[]; slowly: (address: number) => number } {
  const bySize = Array.from({ length: 33 }, () => new Map<number, number>());
  const entries: { network: string; verdict: number }[] = [];
  let random = 1;
  while (entries.length < count) {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    const prefix = 9 + ((Math.imul(random, 40_503) >>> 0) % 24);
    const start = ((random >>> (32 - prefix)) << (32 - prefix)) >>> 0;
    const verdict = entries.length % 3 === 0 ? ACCESS_ALLOWED : ACCESS_DENIED;
    entries.push({ network: `${textOf(start)}/${prefix}`, verdict });
    const same = bySize[prefix]!;
    same.set(start, Math.max(verdict, same.get(start) ?? 0));
  }
  const slowly = (address: number): number => {
    for (let prefix = 32; prefix >= 9; prefix--) {
      const verdict = bySize[prefix]!.get(((address >>> (32 - prefix)) << (32 - prefix)) >>> 0);
      if (verdict !== undefined) return verdict;
    }
    return 0;
  };
  return { entries, slowly };
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join('.');
}

test('AccessLists.load() of 250,000 networks takes many small steps, and what it loads answers as the slow way does', () => {
  const { entries, slowly } = manyNetworks(250_000);
  const blob = new Uint8Array(packNetworks(entries));
  const access = { networksBlob: 0, fingerprint: '', openToOthers: true };
  const plan = { listeners: [{ access, routes: [{ access }], tcpRoutes: null, passthrough: [] }] } as unknown as Plan;
  const loading = AccessLists.load(plan, [blob]);
  let steps = 0;
  let step = loading.next();
  for (; step.done !== true; step = loading.next()) steps++;
  assert.equal(steps, Math.ceil(blob.length / 262_144), 'a quarter of a MiB each, and each list once');
  blob.fill(0);
  const list = step.value.find(access)!;
  assert.equal(step.value.find(null), null);
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: entries.length - 1 }), (anywhere, index) => {
      const [a = 0, b = 0, c = 0, d = 0] = entries[index]!.network.split(/[./]/).map(Number);
      for (const address of [anywhere, ((a << 24) | (b << 16) | (c << 8) | d) >>> 0])
        assert.equal(list.allows(textOf(address)), slowly(address) !== ACCESS_DENIED, textOf(address));
    }),
    { numRuns: 5_000 },
  );
});

function listOf(allow: readonly string[], deny: readonly string[], openToOthers: boolean): AccessList {
  const entries = [
    ...allow.map((network) => ({ network, verdict: ACCESS_ALLOWED })),
    ...deny.map((network) => ({ network, verdict: ACCESS_DENIED })),
  ];
  return new AccessList(NetworkList.of(entries), openToOthers);
}

test('AccessList: friends alone, enemies alone, both', () => {
  const friends = listOf(['10.0.0.0/8', '2001:db8::/32'], [], false);
  assert.deepEqual(
    ['10.1.2.3', '192.0.2.1', '2001:db8::1', '2001:db9::1', '::ffff:10.1.1.1', 'unix'].map((address) => friends.allows(address)),
    [true, false, true, false, true, true],
  );
  const enemies = listOf([], ['192.0.2.0/24'], true);
  assert.deepEqual(
    ['192.0.2.1', '192.0.3.1', '::1'].map((address) => enemies.allows(address)),
    [false, true, true],
  );
  const both = listOf(['192.0.2.7/32'], ['192.0.2.0/24', '0.0.0.0/0'], true);
  assert.deepEqual(
    ['192.0.2.7', '192.0.2.8', '10.0.0.1', '::1'].map((address) => both.allows(address)),
    [true, false, false, true],
  );
  assert.equal(listOf(['10.0.0.1/32'], ['10.0.0.1/32'], true).allows('10.0.0.1'), false, 'a tie is a denial');
  assert.equal(listOf([], [], true).allows('10.0.0.1'), true);
});
