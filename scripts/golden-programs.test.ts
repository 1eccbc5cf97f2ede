/**
 * Configurations that are programs, and what becomes of those that do what they must not. Each is a process of its own, some take all the time
 * they are given, and none becomes another user: so they run side by side, apart from the other goldens.
 */
import { test } from 'node:test';
import { GoldenGround } from './golden-case.ts';
import { assertGolden, errorGoldens } from './goldens.ts';

test('golden programs', { concurrency: 2 }, async (t) => {
  const ground = await GoldenGround.make();
  t.after(() => ground.end());
  const programs = errorGoldens().filter(({ name }) => name.startsWith('errors/program/'));
  await Promise.all(programs.map((golden) => t.test(golden.name, async () => await assertGolden(golden, ground))));
});
