/**
 * A reader of OTLP's JSON that takes nothing it need not: unknown names, numbers where text belongs, ids of the wrong length are errors that name
 * their place. Field names and kinds are those of opentelemetry-proto 1 as its JSON mapping has them, as far as we send them.
 */

export interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string; readonly boolValue?: boolean };
}

export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly status?: { readonly code: number };
}

export interface OtlpPoint {
  readonly attributes: readonly OtlpAttribute[];
  readonly startTimeUnixNano?: string;
  readonly timeUnixNano: string;
  readonly asDouble: number | string;
  readonly count: string;
  readonly sum: number;
  readonly bucketCounts: readonly string[];
  readonly explicitBounds: readonly number[];
}

export interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly gauge?: { readonly dataPoints: readonly OtlpPoint[] };
  readonly sum?: { readonly dataPoints: readonly OtlpPoint[]; readonly aggregationTemporality: number; readonly isMonotonic: boolean };
  readonly histogram?: { readonly dataPoints: readonly OtlpPoint[]; readonly aggregationTemporality: number };
}

type Check = (value: unknown, path: string) => void;

interface Shape {
  readonly required: Readonly<Record<string, Check>>;
  readonly optional?: Readonly<Record<string, Check>>;
  /** Exactly one of these is there. */
  readonly oneOf?: Readonly<Record<string, Check>>;
}

function fail(path: string, expected: string, value: unknown): never {
  throw new TypeError(`${path}: expected ${expected}, found ${JSON.stringify(value)?.slice(0, 80)}`);
}

function matching(pattern: RegExp, expected: string): Check {
  return (value, path) => {
    if (typeof value !== 'string' || !pattern.test(value)) fail(path, expected, value);
  };
}

function message(shape: Shape): Check {
  const known = { ...shape.required, ...shape.optional, ...shape.oneOf };
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(path, 'a message', value);
    const members = value as Readonly<Record<string, unknown>>;
    for (const [name, member] of Object.entries(members)) {
      const check = Object.hasOwn(known, name) ? known[name] : undefined;
      if (check === undefined) fail(`${path}.${name}`, 'no such field', member);
      check(member, `${path}.${name}`);
    }
    for (const name of Object.keys(shape.required)) if (!Object.hasOwn(members, name)) fail(`${path}.${name}`, 'a value', undefined);
    const given = Object.keys(shape.oneOf ?? {}).filter((name) => Object.hasOwn(members, name));
    if (shape.oneOf !== undefined && given.length !== 1) fail(path, `one of ${Object.keys(shape.oneOf)}`, given);
  };
}

function repeated(item: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) fail(path, 'a list', value);
    for (const [index, member] of value.entries()) item(member, `${path}[${index}]`);
  };
}

function oneOfNumbers(least: number, most: number): Check {
  return (value, path) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) fail(path, `${least} to ${most}`, value);
  };
}

const text: Check = (value, path) => {
  if (typeof value !== 'string') fail(path, 'text', value);
};
const name: Check = matching(/./, 'text that is not empty');
const bool: Check = (value, path) => {
  if (typeof value !== 'boolean') fail(path, 'true or false', value);
};
const traceId = matching(/^(?!0+$)[0-9a-f]{32}$/, '16 bytes in hexadecimal');
const spanId = matching(/^(?!0+$)[0-9a-f]{16}$/, '8 bytes in hexadecimal');
const int64 = matching(/^-?(0|[1-9]\d{0,18})$/, 'an int64 as text');
const fixed64 = matching(/^(0|[1-9]\d{0,19})$/, 'a fixed64 as text');
/** Of this century. */
const time = matching(/^[1-9]\d{18}$/, 'nanoseconds since 1970 as text');
const uint32 = oneOfNumbers(0, 0xffffffff);
const double: Check = (value, path) => {
  if (typeof value !== 'number' && !['NaN', 'Infinity', '-Infinity'].includes(String(value))) fail(path, 'a number', value);
};

const anyValue = message({ required: {}, oneOf: { stringValue: text, intValue: int64, boolValue: bool, doubleValue: double } });
const listOfAttributes = repeated(message({ required: { key: name, value: anyValue } }));
const attributes: Check = (value, path) => {
  listOfAttributes(value, path);
  const keys = (value as OtlpAttribute[]).map(({ key }) => key);
  if (new Set(keys).size !== keys.length) fail(path, 'each key once', keys);
};
const resource = message({ required: { attributes } });
const scope = message({ required: { name, version: text } });
const span = message({
  required: {
    traceId,
    spanId,
    name,
    kind: oneOfNumbers(1, 5),
    startTimeUnixNano: time,
    endTimeUnixNano: time,
    attributes,
  },
  optional: {
    parentSpanId: spanId,
    flags: uint32,
    traceState: text,
    events: repeated(message({ required: { timeUnixNano: time, name }, optional: { attributes } })),
    status: message({ required: { code: oneOfNumbers(0, 2) }, optional: { message: text } }),
  },
});
const numberPoint = message({
  required: { attributes, timeUnixNano: time },
  optional: { startTimeUnixNano: time },
  oneOf: { asDouble: double, asInt: int64 },
});
const histogramPoint = message({
  required: {
    attributes,
    startTimeUnixNano: time,
    timeUnixNano: time,
    count: fixed64,
    sum: double,
    bucketCounts: repeated(fixed64),
    explicitBounds: repeated(double),
  },
});
const temporality = oneOfNumbers(1, 2);
const metric = message({
  required: { name, description: text, unit: text },
  oneOf: {
    gauge: message({ required: { dataPoints: repeated(numberPoint) } }),
    sum: message({ required: { dataPoints: repeated(numberPoint), aggregationTemporality: temporality, isMonotonic: bool } }),
    histogram: message({ required: { dataPoints: repeated(histogramPoint), aggregationTemporality: temporality } }),
  },
});
const tracesRequest = message({
  required: {
    resourceSpans: repeated(
      message({ required: { resource, scopeSpans: repeated(message({ required: { scope, spans: repeated(span) } })) } }),
    ),
  },
});
const metricsRequest = message({
  required: {
    resourceMetrics: repeated(
      message({ required: { resource, scopeMetrics: repeated(message({ required: { scope, metrics: repeated(metric) } })) } }),
    ),
  },
});

/** The spans of an ExportTraceServiceRequest, and the attributes of its resource. Throws what is wrong with it. */
export function readTraces(json: string): { readonly spans: readonly OtlpSpan[]; readonly resource: Readonly<Record<string, unknown>> } {
  const value: unknown = JSON.parse(json);
  tracesRequest(value, 'request');
  const { resourceSpans } = value as {
    resourceSpans: { resource: { attributes: OtlpAttribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
  };
  const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((each) => each.spans));
  for (const each of spans) {
    if (BigInt(each.endTimeUnixNano) < BigInt(each.startTimeUnixNano)) fail(each.name, 'an end behind the start', each);
  }
  return { spans, resource: attributesOf(resourceSpans[0]!.resource.attributes) };
}

/** The metrics of an ExportMetricsServiceRequest, and the attributes of its resource. Throws what is wrong with it. */
export function readMetrics(json: string): {
  readonly metrics: ReadonlyMap<string, OtlpMetric>;
  readonly resource: Readonly<Record<string, unknown>>;
} {
  const value: unknown = JSON.parse(json);
  metricsRequest(value, 'request');
  const { resourceMetrics } = value as {
    resourceMetrics: { resource: { attributes: OtlpAttribute[] }; scopeMetrics: { metrics: OtlpMetric[] }[] }[];
  };
  const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((each) => each.metrics));
  const metrics = new Map(all.map((each) => [each.name, each]));
  if (metrics.size !== all.length) fail('metrics', 'each name once', all.map((each) => each.name).sort());
  for (const { histogram } of all) {
    for (const { count, bucketCounts, explicitBounds } of histogram?.dataPoints ?? []) {
      if (bucketCounts.length !== explicitBounds.length + 1) fail('histogram', 'one bucket more than bounds', bucketCounts);
      if (explicitBounds.some((bound, i) => i > 0 && bound <= explicitBounds[i - 1]!)) fail('histogram', 'rising bounds', explicitBounds);
      if (bucketCounts.reduce((sum, each) => sum + BigInt(each), 0n) !== BigInt(count)) fail('histogram', 'the sum of its buckets', count);
    }
  }
  return { metrics, resource: attributesOf(resourceMetrics[0]!.resource.attributes) };
}

/** Attributes by their key. */
export function attributesOf(list: readonly OtlpAttribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
}
