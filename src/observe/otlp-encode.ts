/**
 * Spans and metrics as the JSON of OTLP 1 (opentelemetry-proto, ExportTraceServiceRequest and ExportMetricsServiceRequest). Pure: no clock, no
 * network.
 *
 * The mapping is that of protobuf to JSON with OTLP's exceptions (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): names in
 * lowerCamelCase, trace and span ids in hexadecimal, enumerations as numbers, 64-bit integers as decimal strings. Attributes follow the semantic
 * conventions for HTTP spans (https://opentelemetry.io/docs/specs/semconv/http/http-spans/); what they have no name for begins with `tollgate.`.
 */
import { faultOf } from '../base/faults.ts';
import type { SpanRecord, UpstreamRecord } from '../plan/span-record.ts';
import type { Histogram, Metric } from './exposition.ts';

const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const STATUS_ERROR = 2;
const CUMULATIVE = 2;
// Bits of `flags`, behind those of W3C Trace Context: it is known whether the parent lies in another process, and it does.
const FLAG_SAMPLED = 0x001;
const FLAG_KNOWS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

/** Methods that the conventions know; others become `_OTHER`. RFC 9110 and RFC 5789. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/** Who sends. */
export interface OtlpSource {
  /** Attributes of the resource, in order. */
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly boolValue: boolean };
}

/** Body of a POST to /v1/traces: a server span for each record, and a client span where it went to a target. */
export function encodeSpans(records: readonly SpanRecord[], source: OtlpSource): string {
  const spans = records.flatMap((record) => {
    const server = serverSpan(record);
    return record.upstream === null ? [server] : [server, clientSpan(record, record.upstream)];
  });
  return JSON.stringify({ resourceSpans: [{ resource: resourceOf(source), scopeSpans: [{ scope: scopeOf(source), spans }] }] });
}

/** Body of a POST to /v1/metrics. Counters and histograms have counted since `startMs`. Times are Unix milliseconds. */
export function encodeMetrics(families: readonly (Metric | Histogram)[], source: OtlpSource, startMs: number, nowMs: number): string {
  const times = { startTimeUnixNano: unixNano(startMs), timeUnixNano: unixNano(nowMs) };
  const metrics = families.flatMap((family) => {
    const { name, help } = family;
    const data = family.kind === 'histogram' ? histogramData(family, times) : sampleData(family, times);
    return data === null ? [] : [{ name, description: help, unit: unitOf(name), ...data }];
  });
  const scopeMetrics = [{ scope: scopeOf(source), metrics }];
  return JSON.stringify({ resourceMetrics: [{ resource: resourceOf(source), scopeMetrics }] });
}

interface Times {
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
}

/** Null: there is nothing to tell yet. */
function sampleData({ kind, samples }: Metric, times: Times): object | null {
  if (samples.length === 0) return null;
  const { timeUnixNano } = times;
  const dataPoints = samples.map(({ labels, value }) => ({
    attributes: textAttributes(labels),
    ...(kind === 'gauge' ? { timeUnixNano } : times),
    asDouble: doubleOf(value),
  }));
  return kind === 'gauge' ? { gauge: { dataPoints } } : { sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } };
}

function histogramData({ bounds, series }: Histogram, times: Times): object | null {
  if (series.length === 0) return null;
  const dataPoints = series.map(({ labels, counts, sum }) => ({
    attributes: textAttributes(labels),
    ...times,
    count: String(counts.reduce((total, count) => total + count, 0)),
    sum,
    bucketCounts: counts.map(String),
    explicitBounds: bounds,
  }));
  return { histogram: { dataPoints, aggregationTemporality: CUMULATIVE } };
}

function serverSpan(record: SpanRecord): object {
  const { method, authority, fault, status } = record;
  const { address, port } = hostAndPort(authority);
  const culprit = fault === 0 ? null : faultOf(fault).culprit;
  const failed = status >= 500 || (culprit !== null && culprit !== 'client');
  const attributes = [
    ...methodAttributes(method),
    text('url.scheme', record.scheme),
    text('url.path', record.path),
    ...textIf('server.address', address),
    ...intIf('server.port', port),
    ...intIf('http.response.status_code', status),
    ...textIf('client.address', record.client),
    ...textIf('network.peer.address', record.peer),
    text('network.protocol.name', 'http'),
    text('network.protocol.version', `1.${record.minor}`),
    ...(record.tls === '' ? [] : [text('tls.protocol.name', 'tls'), text('tls.protocol.version', record.tls)]),
    ...textIf('error.type', fault !== 0 ? faultOf(fault).reason : status >= 500 ? String(status) : ''),
    int('http.response.size', record.bytes),
    text('tollgate.listener', record.listener),
    ...textIf('tollgate.route', record.route),
  ];
  return {
    traceId: record.trace,
    spanId: record.span,
    ...(record.parent === '' ? {} : { parentSpanId: record.parent }),
    flags: FLAG_SAMPLED | FLAG_KNOWS_REMOTE | (record.parent === '' ? 0 : FLAG_IS_REMOTE),
    name: record.route === '' ? spanMethod(method) : `${spanMethod(method)} ${record.route}`,
    kind: KIND_SERVER,
    startTimeUnixNano: unixNano(record.startMs),
    endTimeUnixNano: unixNano(Math.max(record.startMs, record.endMs)),
    attributes,
    ...(failed ? { status: { code: STATUS_ERROR } } : {}),
  };
}

function clientSpan(record: SpanRecord, upstream: UpstreamRecord): object {
  const { method, fault } = record;
  const { target, status } = upstream;
  const isUnix = target.startsWith('unix:');
  const { address, port } = isUnix ? { address: target.slice('unix:'.length), port: 0 } : hostAndPort(target);
  // What the client or we broke off is no failure of the server, and nobody knows what would have become of it.
  const reason = fault !== 0 && faultOf(fault).culprit === 'upstream' ? faultOf(fault).reason : status >= 400 ? String(status) : '';
  const attributes = [
    ...methodAttributes(method),
    ...(isUnix ? [] : [text('url.full', `http://${target}${record.path}`)]),
    text('server.address', address),
    ...intIf('server.port', port),
    ...(isUnix ? [text('network.transport', 'unix')] : []),
    ...intIf('http.response.status_code', status),
    ...intIf('http.request.resend_count', upstream.resends),
    text('network.protocol.name', 'http'),
    text('network.protocol.version', '1.1'),
    ...textIf('error.type', reason),
    text('tollgate.target', target),
    { key: 'tollgate.connection.reused', value: { boolValue: upstream.reused } },
  ];
  const events = [...eventIf('tollgate.connected', upstream.connectedMs), ...eventIf('tollgate.first_byte', upstream.firstByteMs)];
  return {
    traceId: record.trace,
    spanId: upstream.span,
    parentSpanId: record.span,
    flags: FLAG_SAMPLED | FLAG_KNOWS_REMOTE,
    name: spanMethod(method),
    kind: KIND_CLIENT,
    startTimeUnixNano: unixNano(upstream.startMs),
    endTimeUnixNano: unixNano(Math.max(upstream.startMs, upstream.endMs)),
    attributes,
    ...(events.length === 0 ? {} : { events }),
    ...(reason === '' ? {} : { status: { code: STATUS_ERROR } }),
  };
}

function resourceOf({ resource }: OtlpSource): object {
  return { attributes: textAttributes(resource) };
}

function scopeOf({ version }: OtlpSource): object {
  return { name: 'tollgate', version };
}

function spanMethod(method: string): string {
  return METHODS.has(method) ? method : 'HTTP';
}

function methodAttributes(method: string): Attribute[] {
  if (METHODS.has(method)) return [text('http.request.method', method)];
  return [text('http.request.method', '_OTHER'), text('http.request.method_original', method)];
}

/** `name`, `name:8443`, `[::1]:8443`; brackets are left out. Port 0: none is named. */
function hostAndPort(authority: string): { readonly address: string; readonly port: number } {
  const [, host = authority, port = '0'] = /^(.*?)(?::(\d{1,5}))?$/s.exec(authority) ?? [];
  return { address: host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host, port: Number(port) };
}

function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } };
}

function textIf(key: string, value: string): Attribute[] {
  return value === '' ? [] : [text(key, value)];
}

function int(key: string, value: number): Attribute {
  return { key, value: { intValue: String(value) } };
}

function intIf(key: string, value: number): Attribute[] {
  return value === 0 ? [] : [int(key, value)];
}

function textAttributes(values: Readonly<Record<string, string>>): Attribute[] {
  return Object.entries(values).map(([key, value]) => text(key, value));
}

function eventIf(name: string, ms: number): object[] {
  return ms === 0 ? [] : [{ timeUnixNano: unixNano(ms), name }];
}

/** Unit by UCUM, from the name that Prometheus has for it. */
function unitOf(name: string): string {
  if (/_seconds(_total|_max)?$/.test(name)) return 's';
  return /_bytes(_total)?$/.test(name) ? 'By' : '';
}

/** JSON has no number for these; protobuf's mapping has words. */
function doubleOf(value: number): number | string {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/** Unix milliseconds as nanoseconds: more digits than a number has. */
function unixNano(ms: number): string {
  const whole = Math.floor(ms);
  return String(BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1_000_000)));
}
