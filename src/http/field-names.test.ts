import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as names from './field-names.ts';

const { nameIdAt, nameRules, nameText, FIELD_UNKNOWN, FIELD_DISGUISED, NAME_IDS } = names;

function idOf(name: string): number {
  const buf = Buffer.from(`::${name}::`, 'latin1');
  return nameIdAt(buf, 2, 2 + name.length);
}

const known = Array.from({ length: NAME_IDS - 1 }, (_, i) => i + 1);

test('nameIdAt() finds every name in any case', () => {
  for (const id of known) {
    const name = nameText(id);
    assert.notEqual(name, '');
    assert.equal(idOf(name.toUpperCase()), id, name);
    assert.equal(idOf(name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())), id, name);
  }
});

test('FIELD_ constants and nameText() agree', () => {
  for (const [constant, id] of Object.entries(names)) {
    if (!constant.startsWith('FIELD_') || typeof id !== 'number' || id <= 0 || id === names.FIELD_X_FORWARDED_OTHER) continue;
    assert.equal(constant.slice('FIELD_'.length).toLowerCase().replaceAll('_', '-'), nameText(id));
  }
});

test('nameIdAt() knows nothing of names one byte off', () => {
  for (const id of known) {
    const name = nameText(id);
    if (id === names.FIELD_X_FORWARDED_OTHER) continue;
    const family = name.startsWith('x-forwarded-') ? names.FIELD_X_FORWARDED_OTHER : FIELD_UNKNOWN;
    assert.equal(idOf(`${name}x`), family, name);
    assert.equal(idOf(`${name.slice(0, -1)}!`), family, name);
    assert.equal(idOf(`!${name.slice(1)}`), FIELD_UNKNOWN, name);
  }
  assert.equal(idOf('x'), FIELD_UNKNOWN);
});

test('nameIdAt() counts every X-Forwarded- name to the family', () => {
  assert.equal(idOf('X-Forwarded-Anything'), names.FIELD_X_FORWARDED_OTHER);
  assert.equal(idOf(`X-Forwarded-${'long'.repeat(50)}`), names.FIELD_X_FORWARDED_OTHER);
  assert.equal(idOf('X-Forwarded'), FIELD_UNKNOWN);
});

// Applications that turn "-" into "_" (CGI, WSGI) cannot tell these from the real ones.
test('nameIdAt() tells framing and forwarding names spelt with "_" apart', () => {
  for (const name of [
    'Content_Length',
    'transfer_encoding',
    'Transfer_Encoding',
    'X_Forwarded_For',
    'X-Forwarded_For',
    'X_FORWARDED_ANY',
  ]) {
    assert.equal(idOf(name), FIELD_DISGUISED, name);
  }
  assert.equal(idOf('user_agent'), FIELD_UNKNOWN);
  assert.equal(idOf('sec_anything'), FIELD_UNKNOWN);
});

// RFC 9110, sections 6.5.1 and 7.6.1.
test('nameRules() keeps framing, routing and hop-by-hop names out of trailers', () => {
  for (const name of [
    'content-length',
    'transfer-encoding',
    'host',
    'connection',
    'te',
    'trailer',
    'authorization',
    'set-cookie',
    'content-type',
  ]) {
    assert.ok(nameRules(idOf(name)) & names.RULE_NO_TRAILER, name);
  }
  assert.equal(nameRules(FIELD_UNKNOWN), 0);
});

test('nameIdAt() never confuses two names, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[!#$%&'*+.^`|~0-9A-Za-z-]{1,40}$/), (name) => {
      const lower = name.toLowerCase();
      const id = idOf(name);
      if (lower.length > 12 && lower.startsWith('x-forwarded-')) return nameText(id).startsWith('x-forwarded-');
      return id === FIELD_UNKNOWN ? known.every((other) => nameText(other) !== lower) : nameText(id) === lower;
    }),
  );
});
