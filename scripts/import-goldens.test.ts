/** What becomes of nginx's and HAProxy's configurations, whole: `node scripts/node.js scripts/import-goldens.ts` writes them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { importGoldens } from './import-goldens.ts';

for (const { name, path, make } of importGoldens()) {
  test(`golden import of ${name}`, async () => {
    const text = await make();
    assert.equal(text, readFileSync(path, 'utf8'), 'run scripts/import-goldens.ts, and look through what changed');
    assert.doesNotMatch(text, /NOT IN THE FILE/, 'every remark stands in the file');
  });
}
