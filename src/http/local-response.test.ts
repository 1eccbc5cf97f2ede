import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULTS } from '../base/faults.ts';
import { LOCAL_STATUSES, localResponse, plainHttpOnTlsPort } from './local-response.ts';
import { FRAMING_LENGTH, FRAMING_NONE, METHOD_GET, METHOD_HEAD } from './message-head.ts';
import { fieldsOf, readResponse } from './test-heads.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('localResponse() answers every status of the fault table', () => {
  for (const row of FAULTS) if (row.status !== 0) assert.ok(localResponse(row.status, true, false).length > 0, row.reason);
});

test('localResponse() is a whole response by our own reader', () => {
  for (const status of LOCAL_STATUSES) {
    for (const close of [false, true]) {
      const text = latin1(localResponse(status, close, false));
      const reading = readResponse(text, METHOD_GET);
      assert.equal(reading.head.status, status);
      assert.equal(reading.head.framing, FRAMING_LENGTH);
      assert.equal(reading.code + reading.head.contentLength, text.length);
      assert.equal(reading.head.keepAlive, !close);
    }
  }
});

// RFC 9110, section 9.3.2.
test('localResponse() to HEAD has the same fields and no body', () => {
  for (const status of LOCAL_STATUSES) {
    const text = latin1(localResponse(status, true, true));
    const reading = readResponse(text, METHOD_HEAD);
    assert.equal(reading.code, text.length);
    assert.equal(reading.head.framing, FRAMING_NONE);
    assert.deepEqual(fieldsOf(reading), fieldsOf(readResponse(latin1(localResponse(status, true, false)))));
  }
});

// RFC 9110, section 15.5.6.
test('localResponse() names the allowed methods in a 405', () => {
  assert.match(latin1(localResponse(405, true, false)), /\r\nAllow: GET, HEAD, /);
});

test('localResponse() makes each answer once', () => {
  assert.equal(localResponse(502, false, false), localResponse(502, false, false));
});

test('localResponse() has no answer for other statuses', () => {
  assert.throws(() => localResponse(200, false, false));
});

test('plainHttpOnTlsPort() is a 400 that says https and closes', () => {
  const text = latin1(plainHttpOnTlsPort());
  const reading = readResponse(text);
  assert.equal(reading.head.status, 400);
  assert.equal(reading.head.keepAlive, false);
  assert.equal(reading.code + reading.head.contentLength, text.length);
  assert.match(text, /This port speaks TLS\. Use https:\/\//);
});
