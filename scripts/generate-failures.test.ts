import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as faults from '../src/base/faults.ts';
import { HANDSHAKE_FAILURES } from '../src/tls/handshake-failures.ts';
import { failurePages } from './generate-failures.ts';

test('the page of failures is that of this table (npm run generate)', () => {
  for (const [path, text] of failurePages()) assert.equal(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), text, path);
});

test('HANDSHAKE_FAILURES has every fault that ends a handshake, once', () => {
  const reasons = (codes: readonly number[]): string[] => codes.map((code) => faults.faultOf(code).reason).sort();
  assert.deepEqual(
    reasons(HANDSHAKE_FAILURES.map(({ fault }) => fault)),
    reasons([...faults.HANDSHAKE_FAULTS.map(({ code }) => code), faults.FAULT_MEMORY]),
  );
});
