import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_ACCESS_DENIED, FAULT_CONNECT_REFUSED, FAULT_RESET, FAULT_RESPONSE_TRUNCATED } from '../base/faults.ts';
import type { SpanRecord, UpstreamRecord } from '../plan/span-record.ts';
import type { Histogram, Metric } from './exposition.ts';
import { encodeMetrics, encodeSpans } from './otlp-encode.ts';
import { attributesOf, readMetrics, readTraces } from './test-otlp.ts';

const SOURCE = { resource: { 'service.name': 'shop' }, version: '1.2.3' };
const START_MS = 1_750_000_000_000.25;

const UPSTREAM: UpstreamRecord = {
  span: 'b7ad6b7169203331',
  target: '10.0.0.1:8080',
  reused: false,
  resends: 0,
  startMs: START_MS + 1,
  connectedMs: START_MS + 1.5,
  firstByteMs: START_MS + 2,
  endMs: START_MS + 3,
  status: 200,
};

const RECORD: SpanRecord = {
  trace: '0af7651916cd43dd8448eb211c80319c',
  span: '00f067aa0ba902b7',
  parent: '53995c3f42cd8ad8',
  startMs: START_MS,
  endMs: START_MS + 4,
  listener: 'web',
  route: 'web/1',
  method: 'GET',
  scheme: 'https',
  authority: 'shop.example:8443',
  path: '/cart',
  minor: 1,
  status: 200,
  client: '192.0.2.7',
  peer: '198.51.100.2',
  tls: '1.3',
  bytes: 1_234,
  fault: 0,
  upstream: UPSTREAM,
};

const encoded = (record: Partial<SpanRecord>) => readTraces(encodeSpans([{ ...RECORD, ...record }], SOURCE)).spans;

test('encodeSpans() is OTLP as its JSON mapping has it: ids in hexadecimal, 64-bit integers as text, enumerations as numbers', () => {
  const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
  const int = (key: string, intValue: string) => ({ key, value: { intValue } });
  const server = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: '00f067aa0ba902b7',
    parentSpanId: '53995c3f42cd8ad8',
    flags: 0x301,
    name: 'GET web/1',
    kind: 2,
    startTimeUnixNano: '1750000000000250000',
    endTimeUnixNano: '1750000000004250000',
    attributes: [
      text('http.request.method', 'GET'),
      text('url.scheme', 'https'),
      text('url.path', '/cart'),
      text('server.address', 'shop.example'),
      int('server.port', '8443'),
      int('http.response.status_code', '200'),
      text('client.address', '192.0.2.7'),
      text('network.peer.address', '198.51.100.2'),
      text('network.protocol.name', 'http'),
      text('network.protocol.version', '1.1'),
      text('tls.protocol.name', 'tls'),
      text('tls.protocol.version', '1.3'),
      int('http.response.size', '1234'),
      text('tollgate.listener', 'web'),
      text('tollgate.route', 'web/1'),
    ],
  };
  const client = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parentSpanId: '00f067aa0ba902b7',
    flags: 0x101,
    name: 'GET',
    kind: 3,
    startTimeUnixNano: '1750000000001250000',
    endTimeUnixNano: '1750000000003250000',
    attributes: [
      text('http.request.method', 'GET'),
      text('url.full', 'http://10.0.0.1:8080/cart'),
      text('server.address', '10.0.0.1'),
      int('server.port', '8080'),
      int('http.response.status_code', '200'),
      text('network.protocol.name', 'http'),
      text('network.protocol.version', '1.1'),
      text('tollgate.target', '10.0.0.1:8080'),
      { key: 'tollgate.connection.reused', value: { boolValue: false } },
    ],
    events: [
      { timeUnixNano: '1750000000001750000', name: 'tollgate.connected' },
      { timeUnixNano: '1750000000002250000', name: 'tollgate.first_byte' },
    ],
  };
  const json = encodeSpans([RECORD], SOURCE);
  assert.deepEqual(JSON.parse(json), {
    resourceSpans: [
      {
        resource: { attributes: [text('service.name', 'shop')] },
        scopeSpans: [{ scope: { name: 'tollgate', version: '1.2.3' }, spans: [server, client] }],
      },
    ],
  });
  assert.equal(readTraces(json).spans.length, 2);
});

test('encodeSpans() leaves out what is not known: no parent, no target, no answer, no TLS', () => {
  const spans = encoded({ parent: '', upstream: null, status: 0, tls: '', route: '', authority: '', path: '' });
  assert.equal(spans.length, 1);
  const [span] = spans;
  assert.equal(span!.parentSpanId, undefined);
  assert.equal(span!.flags, 0x101);
  assert.equal(span!.name, 'GET');
  assert.equal(span!.status, undefined);
  const attributes = attributesOf(span!.attributes);
  for (const key of [
    'http.response.status_code',
    'tls.protocol.version',
    'server.address',
    'server.port',
    'error.type',
    'tollgate.route',
  ]) {
    assert.ok(!Object.hasOwn(attributes, key), key);
  }
});

test('encodeSpans() says whose failure it was', () => {
  const outcome = (record: Partial<SpanRecord>) =>
    encoded(record).map(({ status, attributes }) => [status?.code ?? 0, attributesOf(attributes)['error.type'] ?? null]);
  assert.deepEqual(outcome({ status: 404, upstream: { ...UPSTREAM, status: 404 } }), [
    [0, null],
    [2, '404'],
  ]);
  assert.deepEqual(outcome({ status: 500, upstream: { ...UPSTREAM, status: 500 } }), [
    [2, '500'],
    [2, '500'],
  ]);
  assert.deepEqual(outcome({ status: 403, fault: FAULT_ACCESS_DENIED, upstream: null }), [[0, 'access_denied']]);
  assert.deepEqual(outcome({ status: 502, fault: FAULT_CONNECT_REFUSED, upstream: { ...UPSTREAM, status: 0 } }), [
    [2, 'connect_refused'],
    [2, 'connect_refused'],
  ]);
  assert.deepEqual(outcome({ status: 200, fault: FAULT_RESPONSE_TRUNCATED }), [
    [2, 'response_truncated'],
    [2, 'response_truncated'],
  ]);
  assert.deepEqual(outcome({ status: 0, fault: FAULT_RESET, upstream: { ...UPSTREAM, status: 0 } }), [
    [0, 'reset'],
    [0, null],
  ]);
});

test('encodeSpans() takes addresses and methods apart', () => {
  const of = (record: Partial<SpanRecord>, index: number) => attributesOf(encoded(record)[index]!.attributes);
  const v6 = of({ authority: '[2001:db8::1]:444', upstream: { ...UPSTREAM, target: '[fd00::2]:81' } }, 0);
  assert.deepEqual([v6['server.address'], v6['server.port']], ['2001:db8::1', '444']);
  const target = of({ upstream: { ...UPSTREAM, target: '[fd00::2]:81' } }, 1);
  assert.deepEqual([target['server.address'], target['server.port'], target['url.full']], ['fd00::2', '81', 'http://[fd00::2]:81/cart']);
  const unix = of({ upstream: { ...UPSTREAM, target: 'unix:/run/app.sock', resends: 1, reused: true, connectedMs: 0 } }, 1);
  assert.deepEqual(
    [unix['server.address'], unix['network.transport'], unix['http.request.resend_count'], unix['tollgate.connection.reused']],
    ['/run/app.sock', 'unix', '1', true],
  );
  assert.ok(!Object.hasOwn(unix, 'url.full') && !Object.hasOwn(unix, 'server.port'));
  assert.deepEqual([of({ authority: 'a' }, 0)['server.address'], of({ authority: '[::1]' }, 0)['server.address']], ['a', '::1']);
  const [other] = encoded({ method: 'PROPFIND' });
  assert.equal(other!.name, 'HTTP web/1');
  const attributes = attributesOf(other!.attributes);
  assert.deepEqual([attributes['http.request.method'], attributes['http.request.method_original']], ['_OTHER', 'PROPFIND']);
});

test('encodeSpans() never ends a span before it began', () => {
  const [span] = encoded({ endMs: START_MS - 1 });
  assert.equal(span!.startTimeUnixNano, '1750000000000250000');
  assert.equal(span!.endTimeUnixNano, '1750000000000250000');
});

test('encodeMetrics() makes cumulative sums that begin at the start, gauges, and a histogram with its bounds', () => {
  const metrics: (Metric | Histogram)[] = [
    {
      name: 'tollgate_responses_total',
      help: 'Heads.',
      kind: 'counter',
      labels: ['class'],
      samples: [
        { labels: { class: '2xx' }, value: 3 },
        { labels: { class: '5xx' }, value: 2 ** 60 },
      ],
    },
    {
      name: 'tollgate_resident_bytes',
      help: 'Memory.',
      kind: 'gauge',
      labels: ['worker'],
      samples: [
        { labels: {}, value: Number.NaN },
        { labels: { worker: '1' }, value: Number.NEGATIVE_INFINITY },
      ],
    },
    { name: 'tollgate_empty', help: '', kind: 'gauge', labels: [], samples: [] },
    { name: 'tollgate_quiet_seconds', help: '', kind: 'histogram', labels: ['target'], bounds: [1], series: [] },
    {
      name: 'tollgate_request_duration_seconds',
      help: 'Time.',
      kind: 'histogram',
      labels: ['target'],
      bounds: [0.5, 1],
      series: [
        { labels: { target: 'a' }, counts: [4, 0, 1], sum: 3.5 },
        { labels: { target: 'b' }, counts: [0, 0, 0], sum: 0 },
      ],
    },
  ];
  const json = encodeMetrics(metrics, SOURCE, START_MS, START_MS + 30_000);
  readMetrics(json);
  const start = { startTimeUnixNano: '1750000000000250000' };
  const now = { timeUnixNano: '1750000030000250000' };
  const label = (key: string, stringValue: string) => [{ key, value: { stringValue } }];
  assert.deepEqual(JSON.parse(json), {
    resourceMetrics: [
      {
        resource: { attributes: label('service.name', 'shop') },
        scopeMetrics: [
          {
            scope: { name: 'tollgate', version: '1.2.3' },
            metrics: [
              {
                name: 'tollgate_responses_total',
                description: 'Heads.',
                unit: '',
                sum: {
                  dataPoints: [
                    { attributes: label('class', '2xx'), ...start, ...now, asDouble: 3 },
                    { attributes: label('class', '5xx'), ...start, ...now, asDouble: 2 ** 60 },
                  ],
                  aggregationTemporality: 2,
                  isMonotonic: true,
                },
              },
              {
                name: 'tollgate_resident_bytes',
                description: 'Memory.',
                unit: 'By',
                gauge: {
                  dataPoints: [
                    { attributes: [], ...now, asDouble: 'NaN' },
                    { attributes: label('worker', '1'), ...now, asDouble: '-Infinity' },
                  ],
                },
              },
              {
                name: 'tollgate_request_duration_seconds',
                description: 'Time.',
                unit: 's',
                histogram: {
                  dataPoints: [
                    {
                      attributes: label('target', 'a'),
                      ...start,
                      ...now,
                      count: '5',
                      sum: 3.5,
                      bucketCounts: ['4', '0', '1'],
                      explicitBounds: [0.5, 1],
                    },
                    {
                      attributes: label('target', 'b'),
                      ...start,
                      ...now,
                      count: '0',
                      sum: 0,
                      bucketCounts: ['0', '0', '0'],
                      explicitBounds: [0.5, 1],
                    },
                  ],
                  aggregationTemporality: 2,
                },
              },
            ],
          },
        ],
      },
    ],
  });
});

test('the reader of these tests refuses what the mapping does not have', () => {
  const json = encodeSpans([RECORD], SOURCE);
  for (const [from, to] of [
    ['"intValue":"200"', '"intValue":200'],
    ['"kind":2', '"kind":"SPAN_KIND_SERVER"'],
    ['"startTimeUnixNano":"1750000000000250000"', '"startTimeUnixNano":1750000000000250000'],
    ['"traceId":"0af7651916cd43dd8448eb211c80319c"', '"traceId":"CvdlGRbNQ92ESOshHIAxnA=="'],
    ['"traceId"', '"trace_id"'],
    ['"spanId":"00f067aa0ba902b7"', '"spanId":"0000000000000000"'],
  ] as const) {
    assert.ok(json.includes(from), from);
    assert.throws(() => readTraces(json.replace(from, to)), TypeError, to);
  }
});
