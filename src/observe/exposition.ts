/**
 * Prometheus text, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format), of metrics that were counted
 * elsewhere. Pure. Escapes what a configuration may hold; knows no metric by name.
 */

export type Labels = Readonly<Record<string, string>>;

/** A counter or gauge, and what it has counted by its labels. No two samples have the same. */
export interface Metric {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: readonly { readonly labels: Labels; readonly value: number }[];
}

export interface Histogram {
  readonly kind: 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of the buckets, but for the last, which has none. */
  readonly bounds: readonly number[];
  readonly series: readonly HistogramSeries[];
}

export interface HistogramSeries {
  readonly labels: Labels;
  /** By bucket, each without those below it; one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export const EXPOSITION_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function exposition(families: readonly (Metric | Histogram)[]): string {
  const lines: string[] = [];
  for (const family of families) {
    const { name, help, kind } = family;
    lines.push(`# HELP ${name} ${escaped(help, false)}`, `# TYPE ${name} ${kind}`);
    if (family.kind === 'histogram') for (const series of family.series) pushSeries(lines, family, series);
    else for (const { labels, value } of family.samples) lines.push(`${name}${labelText(labels)} ${numberText(value)}`);
  }
  return `${lines.join('\n')}\n`;
}

function pushSeries(lines: string[], { name, bounds }: Histogram, { labels, counts, sum }: HistogramSeries): void {
  const own = pairs(labels);
  const before = own === '' ? '' : `${own},`;
  let count = 0;
  counts.forEach((each, bucket) => {
    count += each;
    lines.push(`${name}_bucket{${before}le="${numberText(bounds[bucket] ?? Number.POSITIVE_INFINITY)}"} ${count}`);
  });
  lines.push(`${name}_sum${labelText(labels)} ${numberText(sum)}`, `${name}_count${labelText(labels)} ${count}`);
}

function labelText(labels: Labels): string {
  const own = pairs(labels);
  return own === '' ? '' : `{${own}}`;
}

function pairs(labels: Labels): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escaped(labels[name]!, true)}"`;
  return text;
}

function escaped(text: string, quotes: boolean): string {
  if (!/[\\\n"]/.test(text)) return text;
  const plain = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return quotes ? plain.replaceAll('"', '\\"') : plain;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
