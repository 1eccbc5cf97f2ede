import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate, V_REQUEST_HOST, V_REQUEST_TARGET, VARIABLES, writeTemplate } from './template.ts';

test('a template is read into texts and variables', () => {
  assert.deepEqual(parseTemplate('https://{request.host}:8443{request.target}'), ['https://', V_REQUEST_HOST, ':8443', V_REQUEST_TARGET]);
  assert.deepEqual(parseTemplate(''), ['']);
  assert.deepEqual(parseTemplate('{{a}}'), ['{a}']);
  assert.deepEqual(parseTemplate('}}{{'), ['}{']);
});

test('what is no template is one sentence', () => {
  assert.match(parseTemplate('{request.host') as string, /'\{' without '\}'/);
  assert.match(parseTemplate('a}') as string, /'\}' without '\{'/);
  assert.match(parseTemplate('{sni}') as string, /no variable is named 'sni'; there are: client\.address/);
});

test('a template is written within its bounds or not at all', () => {
  const values = {
    writeVariable: (variable: number, buf: Uint8Array, at: number, end: number): number => {
      const name = VARIABLES[variable]!;
      if (at + name.length > end) return -1;
      return at + Buffer.from(buf.buffer).latin1Write(name, at);
    },
  };
  const buf = Buffer.from(new ArrayBuffer(64));
  const plan = parseTemplate('<{route}>') as (string | number)[];
  assert.equal(buf.latin1Slice(0, writeTemplate(plan, values, buf, 0, 64)), '<route>');
  assert.equal(writeTemplate(plan, values, buf, 0, 7), 7);
  for (let end = 0; end < 7; end++) assert.equal(writeTemplate(plan, values, buf, 0, end), -1);
});
