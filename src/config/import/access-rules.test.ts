import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AccessRule, accessOf, ruleNetwork } from './access-rules.ts';

function covers(network: string, address: string): boolean {
  if (network === 'all') return true;
  const list = new BlockList();
  const [start = '', bits] = network.split('/');
  const family = start.includes(':') ? 'ipv6' : 'ipv4';
  list.addSubnet(start, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** As guard/access-list.ts decides. */
function allows(access: ReturnType<typeof accessOf>, address: string): boolean {
  if (access === undefined) return true;
  assert.ok(access !== null);
  const { allow = [], deny = [] } = access;
  const bits = (network: string): number => Number(network.split('/')[1] ?? 128);
  const longest = (list: readonly string[]): number => Math.max(-1, ...list.filter((network) => covers(network, address)).map(bits));
  const [allowed, denied] = [longest(allow), longest(deny)];
  if (allowed < 0 && denied < 0) return deny.length > 0 || allow.length === 0;
  return allowed > denied;
}

const v4 = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 7, max: 32 }))
  .map(([a, b, bits]) => `10.${a}.0.${b}/${bits}`);
const v6 = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 30, max: 128 })).map(([a, bits]) => `2001:db8::${a}/${bits}`);
const rules = fc.array(fc.record({ verdict: fc.constantFrom('allow', 'deny'), network: fc.oneof(v4, v6, fc.constant('all')) }), {
  maxLength: 8,
});

test('accessOf() lets in whom the first rule that matches lets in', () => {
  fc.assert(
    fc.property(rules, (written) => {
      const list = written.map(
        ({ verdict, network }): AccessRule => ({ verdict: verdict as 'allow' | 'deny', network: ruleNetwork(network)! }),
      );
      const access = accessOf(list);
      for (const address of [
        '10.0.0.0',
        '10.0.0.1',
        '10.1.0.2',
        '10.3.0.3',
        '11.0.0.1',
        '192.0.2.1',
        '2001:db8::',
        '2001:db8::2',
        '2001:db9::1',
        '::1',
      ]) {
        const first = list.find(({ network }) => covers(network, address));
        assert.equal(allows(access, address), first?.verdict !== 'deny', `${address}: ${JSON.stringify(access)}`);
      }
    }),
  );
});

test('accessOf() is as short as a person would write it', () => {
  const of = (...list: readonly string[]) =>
    accessOf(list.map((text) => ({ verdict: text.split(' ')[0] as 'allow' | 'deny', network: ruleNetwork(text.split(' ')[1]!)! })));
  assert.deepEqual(of('allow 10.0.0.0/8', 'allow 192.0.2.1', 'deny all'), { allow: ['10.0.0.0/8', '192.0.2.1'] });
  assert.deepEqual(of('deny 10.1.2.3/8', 'allow all'), { deny: ['10.0.0.0/8'] });
  assert.deepEqual(of('deny 192.0.2.1'), { deny: ['192.0.2.1'] });
  assert.deepEqual(of('deny all'), { deny: ['0.0.0.0/0', '::/0'] });
  assert.equal(of('allow all', 'deny 192.0.2.1'), undefined);
  assert.equal(of(), undefined);
  assert.equal(accessOf(Array.from({ length: 901 }, (_, i) => ({ verdict: 'deny', network: `10.0.${i >> 8}.${i & 255}/32` }))), null);
});

test('ruleNetwork() clears bits behind the prefix, and refuses what is no network', () => {
  assert.deepEqual(['10.1.2.3/8', '2001:db8::1/32', '192.0.2.1', '::1', 'all'].map(ruleNetwork), [
    '10.0.0.0/8',
    '2001:db8::/32',
    '192.0.2.1/32',
    '::1/128',
    'all',
  ]);
  for (const text of ['', 'unix:', '10.0.0.0/33', '10.0.0/8', '::/129', 'fe80::1%eth0', '10.0.0.0/8/8', 'host', '10.0.0.0/x'])
    assert.equal(ruleNetwork(text), undefined, text);
});
