import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULTS } from '../base/faults.ts';
import { PAGE_BYTES_MAX } from '../base/limits.ts';
import { FieldEdits } from './field-edits.ts';
import {
  ANSWER_FIELDS_MAX,
  AnswerForm,
  DATE_BYTES,
  LOCAL_STATUSES,
  LocalAnswers,
  plainHttpOnTlsPort,
  writeAnswer,
} from './local-answers.ts';
import { FRAMING_LENGTH, FRAMING_NONE, METHOD_GET, METHOD_HEAD } from './message-head.ts';
import { fieldsOf, readResponse } from './test-heads.ts';

const answers = new LocalAnswers();

function written(from: LocalAnswers, status: number, change: Partial<AnswerForm> = {}): string {
  const form = new AnswerForm();
  form.date = Buffer.from('Sun, 06 Nov 1994 08:49:37 GMT');
  Object.assign(form, change);
  const buf = Buffer.alloc(PAGE_BYTES_MAX + 4_096);
  return buf.latin1Slice(0, writeAnswer(buf, 0, buf.length, from.get(status), form));
}

test('there is an answer for every status of the fault table', () => {
  for (const row of FAULTS) if (row.status !== 0) assert.equal(answers.get(row.status).status, row.status, row.reason);
  assert.throws(() => answers.get(200));
});

test('every answer is a whole response by our own reader, with a Date', () => {
  for (const status of LOCAL_STATUSES) {
    for (const close of [false, true]) {
      const text = written(answers, status, { close });
      const reading = readResponse(text, METHOD_GET);
      assert.equal(reading.head.status, status);
      assert.equal(reading.head.framing, FRAMING_LENGTH);
      assert.equal(reading.code + reading.head.contentLength, text.length);
      assert.equal(reading.head.keepAlive, !close);
      assert.match(text, /\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n/);
    }
  }
  assert.equal('Sun, 06 Nov 1994 08:49:37 GMT'.length, DATE_BYTES);
});

// RFC 9110, section 9.3.2.
test('an answer to HEAD has the same fields and no body', () => {
  for (const status of LOCAL_STATUSES) {
    const text = written(answers, status, { close: true, headOnly: true });
    const reading = readResponse(text, METHOD_HEAD);
    assert.equal(reading.code, text.length);
    assert.equal(reading.head.framing, FRAMING_NONE);
    assert.deepEqual(fieldsOf(reading), fieldsOf(readResponse(written(answers, status, { close: true }))));
  }
});

test('a client of HTTP/1.0 is told of a connection that stays', () => {
  assert.match(written(answers, 404, { clientMinor: 0 }), /\r\nConnection: keep-alive\r\n/);
  assert.match(written(answers, 404, { clientMinor: 0, close: true }), /\r\nConnection: close\r\n/);
});

// RFC 9110, section 15.5.6.
test('a 405 names the allowed methods', () => {
  assert.match(written(answers, 405), /\r\nAllow: GET, HEAD, /);
});

test('pages take the place of our words, and fields go into every answer', () => {
  const own = new LocalAnswers(
    [{ status: 502, contentType: 'text/html; charset=utf-8', body: '<p>Grüße</p>' }],
    'Strict-Transport-Security: max-age=9\r\n',
  );
  const text = written(own, 502);
  assert.match(text, /\r\nContent-Type: text\/html; charset=utf-8\r\nContent-Length: 14\r\n/);
  assert.equal(Buffer.from(text, 'latin1').toString('utf8').endsWith('<p>Grüße</p>'), true);
  for (const status of LOCAL_STATUSES) assert.match(written(own, status), /\r\nStrict-Transport-Security: max-age=9\r\n/);
  assert.match(written(own, 503), /\r\nRetry-After: 1\r\n/);
});

test('an answer that does not fit is refused', () => {
  const big = new LocalAnswers([{ status: 404, contentType: 'text/plain', body: 'x'.repeat(500) }]);
  assert.equal(writeAnswer(Buffer.alloc(500), 0, 500, big.get(404), new AnswerForm()), -1);
});

test('an answer of the configuration has the fields it is given, without those it is not to have, and room for its body', () => {
  const own = new LocalAnswers([], 'Strict-Transport-Security: max-age=9\r\n');
  const without = new Set(['content-type', 'strict-transport-security']);
  const answer = own.make(200, 'text/plain', 'ok', '', without);
  const edits = new FieldEdits({ remove: [], set: [{ name: 'Content-Type', value: ['text/x'] }], add: [{ name: 'X-A', value: ['1'] }] });
  const form = new AnswerForm();
  form.date = Buffer.from('Sun, 06 Nov 1994 08:49:37 GMT');
  const buf = Buffer.alloc(400);
  const text = buf.latin1Slice(0, writeAnswer(buf, 0, buf.length, answer, form, edits));
  const reading = readResponse(text);
  assert.equal(reading.code + reading.head.contentLength, text.length);
  assert.deepEqual(
    fieldsOf(reading).map(([name]) => name),
    ['Content-Length', 'Content-Type', 'X-A', 'Date'],
  );
  // To the last byte: what is written at all is written whole.
  const least = text.length + ANSWER_FIELDS_MAX - 'Date: \r\n\r\n'.length - DATE_BYTES;
  assert.equal(writeAnswer(buf, 0, least, answer, form, edits), text.length);
  assert.equal(writeAnswer(buf, 0, least - 3, answer, form, edits), -1);
  assert.doesNotMatch(Buffer.from(own.redirect(301, without).opening).toString('latin1'), /Strict/);
});

test('plainHttpOnTlsPort() is a 400 that says https and closes', () => {
  const text = Buffer.from(plainHttpOnTlsPort()).toString('latin1');
  const reading = readResponse(text);
  assert.equal(reading.head.status, 400);
  assert.equal(reading.head.keepAlive, false);
  assert.equal(reading.code + reading.head.contentLength, text.length);
  assert.match(text, /This port speaks TLS\. Use https:\/\//);
});
