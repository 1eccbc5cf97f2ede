import assert from 'node:assert/strict';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAddress } from '../base/ip-address.ts';
import { AccessList } from './access-list.ts';
import { NetworkList } from './network-list.ts';

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
        const list = new NetworkList(mapped);
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
  const list = new NetworkList(entries);
  for (let i = 0; i < entries.length; i += 97) {
    const inside = entries[i]!.network.replace(/0\/24$/, '77').replace(/::\/48$/, '::77');
    assert.equal(list.lookUp(inside), entries[i]!.verdict, inside);
  }
  assert.equal(list.lookUp('203.0.113.1'), 0);
  assert.equal(list.lookUp('unix'), 0);
  assert.ok(list.bytes < 8_000_000, `${list.bytes} bytes`);
});

test('AccessList: friends alone, enemies alone, both', () => {
  const friends = new AccessList(['10.0.0.0/8', '2001:db8::/32'], []);
  assert.deepEqual(
    ['10.1.2.3', '192.0.2.1', '2001:db8::1', '2001:db9::1', '::ffff:10.1.1.1', 'unix'].map((address) => friends.allows(address)),
    [true, false, true, false, true, true],
  );
  const enemies = new AccessList([], ['192.0.2.0/24']);
  assert.deepEqual(
    ['192.0.2.1', '192.0.3.1', '::1'].map((address) => enemies.allows(address)),
    [false, true, true],
  );
  const both = new AccessList(['192.0.2.7/32'], ['192.0.2.0/24', '0.0.0.0/0']);
  assert.deepEqual(
    ['192.0.2.7', '192.0.2.8', '10.0.0.1', '::1'].map((address) => both.allows(address)),
    [true, false, false, true],
  );
  assert.equal(new AccessList(['10.0.0.1/32'], ['10.0.0.1/32']).allows('10.0.0.1'), false, 'a tie is a denial');
  assert.equal(new AccessList([], []).allows('10.0.0.1'), true);
});
