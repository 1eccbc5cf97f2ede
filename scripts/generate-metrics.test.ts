import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { metricsPages } from './generate-metrics.ts';

test('the page of the metrics is that of these metrics (npm run generate)', () => {
  for (const [path, text] of metricsPages()) assert.equal(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), text, path);
});
