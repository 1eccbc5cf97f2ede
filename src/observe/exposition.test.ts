import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exposition } from './exposition.ts';

test('exposition() escapes what labels and help may hold', () => {
  const samples = [
    { labels: { a: 'back\\slash "quoted"\nline', b: '' }, value: 0.5 },
    { labels: {}, value: Number.POSITIVE_INFINITY },
    { labels: {}, value: Number.NEGATIVE_INFINITY },
    { labels: {}, value: Number.NaN },
    { labels: {}, value: 2 ** 60 },
  ];
  assert.equal(
    exposition([{ kind: 'gauge', name: 'g', help: 'A "help"\nwith \\.', labels: ['a', 'b'], samples }]),
    [
      '# HELP g A "help"\\nwith \\\\.',
      '# TYPE g gauge',
      'g{a="back\\\\slash \\"quoted\\"\\nline",b=""} 0.5',
      'g +Inf',
      'g -Inf',
      'g NaN',
      'g 1152921504606847000',
      '',
    ].join('\n'),
  );
});

test('exposition() makes buckets cumulative, the last of them the count', () => {
  const series = [
    { labels: { target: 'a' }, counts: [4, 0, 1], sum: 3.5 },
    { labels: {}, counts: [0, 0, 0], sum: 0 },
  ];
  assert.equal(
    exposition([{ kind: 'histogram', name: 'h', help: 'H.', labels: ['target'], bounds: [0.5, 1], series }]),
    [
      '# HELP h H.',
      '# TYPE h histogram',
      'h_bucket{target="a",le="0.5"} 4',
      'h_bucket{target="a",le="1"} 4',
      'h_bucket{target="a",le="+Inf"} 5',
      'h_sum{target="a"} 3.5',
      'h_count{target="a"} 5',
      'h_bucket{le="0.5"} 0',
      'h_bucket{le="1"} 0',
      'h_bucket{le="+Inf"} 0',
      'h_sum 0',
      'h_count 0',
      '',
    ].join('\n'),
  );
});
