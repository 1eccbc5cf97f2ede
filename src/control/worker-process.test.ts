import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerVariables } from './worker-process.ts';

test('workerVariables() hands nothing on but where compiled code is kept', () => {
  assert.deepEqual(workerVariables({ HOME: '/root', TOLLGATE_TOKEN: 'secret', NODE_OPTIONS: '--inspect' }), {});
  assert.deepEqual(workerVariables({ NODE_COMPILE_CACHE: '' }), {});
  assert.deepEqual(workerVariables({ HOME: '/root', NODE_COMPILE_CACHE: '/var/cache/tollgate' }), {
    NODE_COMPILE_CACHE: '/var/cache/tollgate',
  });
});
