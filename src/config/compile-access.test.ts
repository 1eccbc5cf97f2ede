import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkList } from '../plan/network-list.ts';
import { ACCESS_ALLOWED, ACCESS_DENIED } from '../plan/plan.ts';
import { accessOf } from './compile-access.ts';

async function compiled(allow: readonly string[], deny: readonly string[]): Promise<{ verdicts: number[]; openToOthers: boolean }> {
  const blobs: Buffer[] = [];
  const fail = (): never => assert.fail('nothing is wrong');
  const warn = (): void => assert.ok(allow.length + deny.length === 0);
  const report = { error: fail, warn, addBlob: (bytes: Buffer) => blobs.push(bytes) - 1 };
  const plan = await accessOf({ allow: [...allow], deny: [...deny] }, ['access'], report);
  const list = new NetworkList(Uint8Array.from(blobs[plan!.networksBlob]!).buffer);
  const verdicts = ['10.0.0.1', '10.0.0.9', '192.0.2.1', '2001:db8::1'].map((address) => list.lookUp(address));
  return { verdicts, openToOthers: plan!.openToOthers };
}

test('accessOf() puts both lists into one, and closes the door to others where only friends are listed', async () => {
  const [yes, no] = [ACCESS_ALLOWED, ACCESS_DENIED];
  assert.deepEqual(await compiled(['10.0.0.0/8', '2001:db8::/32'], []), { verdicts: [yes, yes, 0, yes], openToOthers: false });
  assert.deepEqual(await compiled(['10.0.0.9/32'], ['10.0.0.0/8']), { verdicts: [no, yes, 0, 0], openToOthers: true });
  assert.deepEqual(await compiled([], []), { verdicts: [0, 0, 0, 0], openToOthers: true });
});
