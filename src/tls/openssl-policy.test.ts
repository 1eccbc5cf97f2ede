/** What own lists may name, against the names that the library has. What they then allow is shown by test/policies.test.ts. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { groupName, schemeName, suiteName } from '../hello/names.ts';
import { SERVABLE_GROUPS, SERVABLE_SCHEMES, SERVABLE_SUITES } from '../hello/servable.ts';
import { bindOpenssl } from '../native/openssl.ts';
import { knownNames, suiteNames } from '../native/openssl-context.ts';

before(() => bindOpenssl(null));

test('the library has everything that own lists may name', () => {
  const suites = suiteNames();
  assert.deepEqual(SERVABLE_SUITES.filter((suite) => !suites.has(suite)).map(suiteName), []);
  assert.ok(SERVABLE_SUITES.length > 40);
  assert.deepEqual(knownNames('groups', SERVABLE_GROUPS.map(groupName)), SERVABLE_GROUPS.map(groupName));
  assert.deepEqual(knownNames('schemes', SERVABLE_SCHEMES.map(schemeName)), SERVABLE_SCHEMES.map(schemeName));
});
