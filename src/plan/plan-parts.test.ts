import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan } from './plan.ts';
import { PlanParts, planParts, planWithoutParts } from './plan-parts.ts';

function planOf(id: number, certificates: number): { plan: Plan; blobs: Buffer[] } {
  const blobs: Buffer[] = [];
  const list = Array.from({ length: certificates }, (_, i) => ({
    source: `c${i}`,
    chainBlob: blobs.push(Buffer.from(`chain ${i}`)) - 1,
    keyBlob: blobs.push(Buffer.from(`key ${i}`)) - 1,
  }));
  return { plan: { id, certificates: list } as unknown as Plan, blobs };
}

function send({ plan, blobs }: { plan: Plan; blobs: Buffer[] }, to: PlanParts): void {
  for (const each of planParts(plan, blobs)) to.add(each.part, each.blobs);
}

test('planParts() hands a plan of many certificates over in small parts, PlanParts has it whole', () => {
  const sent = planOf(7, 1_000);
  // One that fits into no part comes in pieces.
  const large = Buffer.alloc(1_000_000, 'large');
  sent.blobs.push(large, large, Buffer.from('after'));
  const parts = [...planParts(sent.plan, sent.blobs)];
  for (const { part, blobs } of parts) {
    assert.ok(part.certificates.length <= 64 && blobs.length <= 128);
    assert.ok(blobs.reduce((sum, { length }) => sum + length, 0) <= 262_144);
  }
  const received = new PlanParts();
  send(sent, received);
  const { plan, blobs, memory } = received.take(planWithoutParts(sent.plan));
  assert.deepEqual(plan, sent.plan);
  assert.deepEqual(blobs.map(String), sent.blobs.map(String));
  assert.ok(blobs.every(({ buffer }) => memory.some((all) => all.buffer === buffer)));
});

test('planParts() of a plan without certificates are none', () => {
  const { plan } = planOf(1, 0);
  assert.deepEqual([...planParts(plan, [])], []);
  assert.deepEqual(new PlanParts().take(plan), { plan, blobs: [], memory: [] });
});

test('PlanParts forgets, zeroed, what came of another plan', () => {
  const parts = new PlanParts();
  send(planOf(1, 3), parts);
  send(planOf(2, 1), parts);
  const { plan, blobs } = parts.take(planWithoutParts(planOf(2, 1).plan));
  assert.deepEqual([plan.certificates.length, blobs.map(String)], [1, ['chain 0', 'key 0']]);
  send(planOf(3, 1), parts);
  assert.deepEqual(parts.take(planOf(4, 0).plan).blobs, []);
});
