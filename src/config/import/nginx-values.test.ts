import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate } from '../../http/template.ts';
import { literalOf, nginxSize, nginxTemplate, nginxTime } from './nginx-values.ts';

test('nginxTime() reads seconds, units and sums, and nothing else', () => {
  const times: Readonly<Record<string, number | undefined>> = {
    '60': 60_000,
    '1m': 60_000,
    '1h 30m': 5_400_000,
    '1h30m': 5_400_000,
    '500ms': 500,
    '1M': 2_592_000_000,
    '0': 0,
    '': undefined,
    x: undefined,
    '-1': undefined,
    '1.5s': undefined,
    '9999999999999999y': undefined,
  };
  for (const [text, ms] of Object.entries(times)) assert.equal(nginxTime(text), ms, text);
});

test('nginxSize() reads bytes and units', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['8192', 8_192],
    ['64k', 65_536],
    ['1M', 1_048_576],
    ['2g', 2_147_483_648],
    ['1.5m', undefined],
    ['', undefined],
    ['1t', undefined],
  ] as const) {
    assert.equal(nginxSize(text), bytes, text);
  }
});

test('nginxTemplate() gives what Tollgate reads as the same text', () => {
  const context = { serverName: 'a.test', port: '8443', tls: true, proxyHost: 'up', inResponse: false };
  const of = (text: string, inResponse = false) => {
    const result = nginxTemplate(text, { ...context, inResponse });
    if ('template' in result) assert.notEqual(typeof parseTemplate(result.template), 'string', result.template);
    return 'template' in result ? result.template : { unknown: result.unknown };
  };
  assert.equal(of('https://$host$request_uri'), 'https://{request.host}{request.target}');
  assert.equal(of('${scheme}://${host}x{y}'), '{request.scheme}://{request.host}x{{y}}');
  assert.equal(of('$uri$is_args$args'), '{request.target}');
  assert.equal(of('$server_name:$server_port $proxy_host $https'), 'a.test:8443 up on');
  assert.equal(of('100$ and $'), '100$ and $');
  assert.deepEqual(of('$cookie_a'), { unknown: 'cookie_a' });
  assert.deepEqual(of('$request_uri', true), { unknown: 'request_uri' });
  assert.equal(of('$scheme $remote_addr', true), 'https {client.address}');
  assert.deepEqual(of('$constructor'), { unknown: 'constructor' });
});

test('literalOf() takes expressions that are no more than a text', () => {
  assert.deepEqual(literalOf('^/api/', false), { path: '/api/', isPrefix: true });
  assert.deepEqual(literalOf('^/a\\.b\\-c$', false), { path: '/a.b-c', isPrefix: false });
  assert.deepEqual(literalOf('^/a/(.*)', false), { path: '/a/', isPrefix: true });
  assert.deepEqual(literalOf('^/1/$', true), { path: '/1/', isPrefix: false });
  for (const text of ['/api', '^/a.b', '^/a|b', '^/(a|b)', '^/\\d+', '^/a+', '\\.php$', '^', '^/a\\$b[c]', '^/a\\'])
    assert.equal(literalOf(text, false), undefined, text);
  assert.equal(literalOf('^/a', true), undefined);
});
