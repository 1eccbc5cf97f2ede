import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FAULT_BARE_CR,
  FAULT_BARE_LF,
  FAULT_FIELD_LINE,
  FAULT_FIELD_NAME,
  FAULT_FIELD_VALUE,
  FAULT_OBS_FOLD,
  FAULT_TOO_MANY_FIELDS,
  NEED_MORE,
} from '../../base/faults.ts';
import { FIELD_HOST } from '../field-names.ts';
import { MessageHead } from '../message-head.ts';
import { bufferOf, fieldsOf, HEAD_AT, type Reading } from '../test-heads.ts';
import { readFieldLines } from './field-lines.ts';

function read(text: string, fieldsMax = 10): Reading {
  const buf = bufferOf(text);
  const head = new MessageHead();
  return { code: readFieldLines(buf, HEAD_AT, HEAD_AT + text.length, fieldsMax, head), head, buf };
}

test('readFieldLines() reads names and trimmed values up to the empty line', () => {
  const text = 'Host:a\r\nx-empty:\r\nx-spaces: \t \r\nx-inner: \ta b\tc \t\r\nx-obs: \x80\xff\r\n\r\n';
  const reading = read(`${text}more`);
  assert.equal(reading.code, HEAD_AT + text.length);
  assert.equal(reading.head.headEnd, reading.code);
  assert.equal(reading.head.fields[0], FIELD_HOST);
  assert.deepEqual(fieldsOf(reading), [
    ['Host', 'a'],
    ['x-empty', ''],
    ['x-spaces', ''],
    ['x-inner', 'a b\tc'],
    ['x-obs', '\x80\xff'],
  ]);
});

test('readFieldLines() accepts no field at all', () => {
  assert.equal(read('\r\n').code, HEAD_AT + 2);
});

// RFC 9110, section 5.1; RFC 9112, section 5.1.
test('readFieldLines() refuses names that are no token', () => {
  for (const line of [': x', 'a b: x', 'a : x', 'a\t: x', 'a\0: x', '\0a: x', 'a(: x', '"a": x', 'a\x80: x', '=: x', '@: x', '[a]: x']) {
    assert.equal(read(`${line}\r\n\r\n`).code, FAULT_FIELD_NAME, JSON.stringify(line));
  }
});

test('readFieldLines() refuses a line without colon', () => {
  assert.equal(read('abc\r\n\r\n').code, FAULT_FIELD_LINE);
});

// RFC 9110, section 5.5.
test('readFieldLines() refuses every control in a value', () => {
  for (let byte = 0; byte < 128; byte++) {
    if (byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte !== 127)) continue;
    assert.equal(read(`a: x${String.fromCharCode(byte)}y\r\n\r\n`).code, FAULT_FIELD_VALUE, String(byte));
  }
});

// RFC 9112, section 2.2.
test('readFieldLines() refuses a bare LF wherever it stands', () => {
  for (const text of ['\n', 'a\n', 'a: x\n\r\n', 'a:\n', 'a: x\r\n\n', 'a: x\ny\r\n\r\n'])
    assert.equal(read(text).code, FAULT_BARE_LF, JSON.stringify(text));
});

test('readFieldLines() refuses a bare CR wherever it stands', () => {
  for (const text of ['\rx', 'a: x\ry\r\n\r\n', 'a: x\r\r\n\r\n', 'a: x\r\n\rx'])
    assert.equal(read(text).code, FAULT_BARE_CR, JSON.stringify(text));
});

// RFC 9112, section 5.2.
test('readFieldLines() refuses folded lines', () => {
  for (const text of ['a: x\r\n y\r\n\r\n', 'a: x\r\n\ty\r\n\r\n', 'a: x\r\n \r\n\r\n'])
    assert.equal(read(text).code, FAULT_OBS_FOLD, JSON.stringify(text));
});

// RFC 9112, section 2.2: it would be folded into the start line.
test('readFieldLines() refuses whitespace in front of the first line', () => {
  assert.equal(read(' a: x\r\n\r\n').code, FAULT_FIELD_LINE);
  assert.equal(read('\ta: x\r\n\r\n').code, FAULT_FIELD_LINE);
});

test('readFieldLines() counts to fieldsMax', () => {
  const lines = 'a: 1\r\n'.repeat(10);
  assert.ok(read(`${lines}\r\n`).code > 0);
  assert.equal(read(`${lines}a`).code, FAULT_TOO_MANY_FIELDS);
  assert.equal(read('a: 1\r\n'.repeat(200), 100_000).code, FAULT_TOO_MANY_FIELDS);
});

test('readFieldLines() tells after NEED_MORE where to go on', () => {
  const whole = 'a: 1\r\nbb: 2\r\n';
  for (const rest of ['', 'c', 'c:', 'c: 3', 'c: 3\r', '\r']) {
    const reading = read(whole + rest);
    assert.equal(reading.code, NEED_MORE);
    assert.equal(reading.head.fieldCount, 2);
    assert.equal(reading.head.headEnd, HEAD_AT + whole.length);
  }
});
