import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from './compile.ts';
import { ConfigError, findingText } from './findings.ts';
import { parseConfig } from './load.ts';
import type { Config } from './schema.ts';

const REST = `
listeners:
  - { name: web, address: "127.0.0.1:8080", routes: [{ to: app }] }
upstreams:
  - { name: app, targets: ["127.0.0.1:3000"] }
`;

async function read(telemetry: string): Promise<Config['telemetry']> {
  return (await parseConfig(`telemetry: ${telemetry}${REST}`, 'site.yaml')).config.telemetry;
}

async function refusal(telemetry: string): Promise<string[]> {
  try {
    await read(telemetry);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.findings.map(findingText);
  }
  return assert.fail(`${telemetry} was taken`);
}

test('telemetry is off unless it is configured, and its defaults are a collector on this machine', async () => {
  const off = await parseConfig(REST, 'site.yaml');
  assert.equal(off.config.telemetry, undefined);
  assert.equal((await compile(off, { planId: 1 })).plan.tracing, null);
  const settings = (await read('{ traces: {}, metrics: {} }'))!;
  assert.equal(settings.endpoint.href, 'http://127.0.0.1:4318/');
  assert.deepEqual(settings.traces, { sample: 0.01, parentBased: true });
  assert.deepEqual(settings.metrics, { interval: 30_000 });
  assert.deepEqual([settings.headers, settings.resource], [{}, {}]);
});

test('telemetry: the plan has the share and who decides, and neither the collector nor its headers', async () => {
  const text = `telemetry: { endpoint: "https://otlp.example/base", headers: { Authorization: Bearer of-secrets }, traces: { sample: 12.5%, parentBased: false } }${REST}`;
  const { plan, warnings } = await compile(await parseConfig(text, 'site.yaml'), { planId: 1 });
  assert.deepEqual(plan.tracing, { rate: 0.125, parentBased: false });
  assert.doesNotMatch(JSON.stringify(plan), /of-secrets|otlp\.example/);
  assert.deepEqual(warnings, []);
  const metrics = await compile(await parseConfig(`telemetry: { metrics: {} }${REST}`, 'site.yaml'), { planId: 1 });
  assert.equal(metrics.plan.tracing, null);
});

test('telemetry: a share is a percentage or a number from 0 to 1', async () => {
  for (const [text, share] of [
    ['0', 0],
    ['1', 1],
    ['0.25', 0.25],
    ['0%', 0],
    ['100%', 1],
    ['"0.5 %"', 0.005],
  ] as const) {
    assert.equal((await read(`{ traces: { sample: ${text} } }`))?.traces?.sample, share, text);
  }
  const forms = "expected a percentage as '1%', or a number from 0 to 1";
  for (const [text, found] of [
    ['101%', "'101%'"],
    ['-1%', "'-1%'"],
    ['1.5', '1.5'],
    ['-0.1', '-0.1'],
    ['"0.1"', "'0.1'"],
    ['often', "'often'"],
    ['true', 'true'],
    ['.nan', 'NaN'],
    ['[1]', 'a list'],
  ] as const) {
    assert.deepEqual(await refusal(`{ traces: { sample: ${text} } }`), [
      `site.yaml:1:32: telemetry.traces.sample: found ${found}, ${forms}`,
    ]);
  }
});

test('telemetry: an endpoint is a URL that paths can be put behind', async () => {
  const forms = "expected the URL of a collector as 'http://127.0.0.1:4318' or 'https://otlp.example.com/base'";
  for (const [text, sentence] of [
    ['127.0.0.1:4318', `found '127.0.0.1:4318', ${forms}`],
    ['"grpc://a:4317"', `found 'grpc://a:4317', ${forms}`],
    ['"http:///x"', `found 'http:///x', ${forms}`],
    ['"http://a:99999"', `found 'http://a:99999', ${forms}`],
    ['4318', `found 4318, ${forms}`],
    ['"http://me:word@a"', "a name or password in the URL would end up in logs; write them as 'headers'"],
    ['"http://a/?key=word"', "the paths of OTLP are put behind the URL, so it has no '?' and no '#'"],
    ['"http://a:4318/v1/traces"', "found 'http://a:4318/v1/traces': leave out '/v1/traces', which is put behind it"],
  ] as const) {
    assert.deepEqual(await refusal(`{ endpoint: ${text}, metrics: {} }`), [`site.yaml:1:24: telemetry.endpoint: ${sentence}`]);
  }
});

test('telemetry: headers that leave the machine without TLS are worth a warning', async () => {
  const warnings = async (endpoint: string): Promise<readonly string[]> => {
    const text = `telemetry: { endpoint: "${endpoint}", metrics: {}, headers: { x-key: secret } }${REST}`;
    return (await compile(await parseConfig(text, 'site.yaml'), { planId: 1 })).warnings.map(findingText);
  };
  for (const endpoint of ['https://otlp.example', 'http://localhost:4318', 'http://127.0.0.2:4318', 'http://[::1]:4318']) {
    assert.deepEqual(await warnings(endpoint), [], endpoint);
  }
  const [warning] = await warnings('http://otlp.example:4318');
  assert.match(warning!, /telemetry\.headers: they are sent to 'otlp\.example' without TLS/);
});
