import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as names from './field-names.ts';

const { nameIdAt, nameRules, nameText, FIELD_UNKNOWN, FIELD_DISGUISED, NAME_IDS } = names;

function idOf(name: string): number {
  const buf = Buffer.from(`::${name}::`, 'latin1');
  return nameIdAt(buf, 2, 2 + name.length);
}

const families: readonly number[] = [names.FIELD_X_FORWARDED_OTHER, names.FIELD_X_CLIENT_CERT_DETAIL];
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
    if (!constant.startsWith('FIELD_') || typeof id !== 'number' || id <= 0 || families.includes(id)) continue;
    assert.equal(constant.slice('FIELD_'.length).toLowerCase().replaceAll('_', '-'), nameText(id));
  }
});

test('nameIdAt() knows nothing of names one byte off', () => {
  for (const id of known) {
    const name = nameText(id);
    if (families.includes(id) || id === names.FIELD_CLIENT_CERT_CHAIN) continue;
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

test('nameIdAt() counts every name that tells of a client certificate as ours', () => {
  for (const name of ['Client-Cert', 'Client-Cert-Chain', 'X-Client-Cert', 'X-Client-Cert-Subject', `x-client-cert-${'any'.repeat(50)}`]) {
    assert.ok(nameRules(idOf(name)) & names.RULE_OURS, name);
  }
  for (const name of ['Client_Cert', 'client-cert_chain', 'X_Client_Cert_Verify', 'X-Client-Cert_SAN'])
    assert.equal(idOf(name), FIELD_DISGUISED, name);
  for (const name of ['Client-Certificate', 'X-Client-Cer', 'X-Client-Certs', 'Client-Cert-Chains'])
    assert.equal(idOf(name), FIELD_UNKNOWN, name);
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
      if (lower.length > 14 && lower.startsWith('x-client-cert-')) return id === names.FIELD_X_CLIENT_CERT_DETAIL;
      return id === FIELD_UNKNOWN ? known.every((other) => nameText(other) !== lower) : nameText(id) === lower;
    }),
  );
});
