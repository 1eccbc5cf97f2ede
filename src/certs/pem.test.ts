import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derOf, pemBlocks } from './pem.ts';

test('derOf() reads what openssl would, and nothing else', () => {
  const read = (body: string): string => derOf(pemBlocks(Buffer.from(`-----BEGIN X-----${body}-----END X-----`))[0]!).toString('latin1');
  assert.equal(read('\nYWJj\nZGU=\n'), 'abcde');
  assert.equal(read('\r\nYW\r\n  JjZA=\t=\r\n'), 'abcd');
  assert.equal(read('\n\n'), '');
  for (const broken of ['YWJ', 'YWJjZ', 'YW%Jj', 'YWJj=ZGU', 'YQ==YWJj', 'Y===', '====', 'YWJj-ZGU', 'YWJj_', 'a: b\n\nYWJj']) {
    assert.equal(read(broken), '', broken);
  }
});
