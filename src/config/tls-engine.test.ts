import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schema } from './schema.ts';
import { chooseEngine, fastEngineProblem } from './tls-engine.ts';

test('chooseEngine() takes openssl where the fast engine cannot be had, and says why', () => {
  const { listeners } = schema.parse({
    listeners: [{ name: 'web', address: ':443', tls: { certificates: [{ certificate: 'a.pem', key: 'a.key' }] }, redirect: 'https' }],
  });
  assert.deepEqual(chooseEngine(listeners[0]!.tls!, 'it is gone'), {
    engine: 'openssl',
    reason: 'the fast engine cannot be had',
    problem: null,
  });
});

test('fastEngineProblem() says when there is no package to look for the engine in', () => {
  const missing = (): string => {
    throw new Error('no such module');
  };
  assert.equal(fastEngineProblem(missing), 'its package cannot be read (no such module)');
});
