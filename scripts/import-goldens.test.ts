/** What becomes of nginx's and HAProxy's configurations, whole: `npm run goldens` writes them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { importGoldens } from './import-goldens.ts';

for (const { name, path, make } of importGoldens()) {
  test(`golden ${name}`, async () => {
    const text = await make();
    assert.equal(text, readFileSync(path, 'utf8'), 'run `npm run goldens`, and look through what changed');
    assert.doesNotMatch(text, /NOT IN THE FILE/, 'every remark stands in the file');
  });
}
