/** Writes docs/metrics.md: how to read what is measured, and the list of all of it, made from the metrics themselves. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ROUTES_COUNTED_MAX, TARGETS_MAX } from '../src/base/limits.ts';
import type { Histogram, Metric } from '../src/observe/exposition.ts';
import { collectMetrics } from '../src/observe/metrics.ts';
import { TARGET_BOUNDS_S } from '../src/plan/counters.ts';
import type { Plan } from '../src/plan/plan.ts';
import { SharedTable, tableBytes } from '../src/plan/table.ts';

/** Values of a label that are listed one by one. */
const VALUES_SHOWN = 16;

/** Every family, of a Tollgate that has no configuration: what has labels of its own accord has its samples. */
function families(): readonly (Metric | Histogram)[] {
  const plan: Pick<Plan, 'id' | 'listeners' | 'upstreams' | 'certificates'> = { id: 1, listeners: [], upstreams: [], certificates: [] };
  return collectMetrics({
    plan: plan as Plan,
    table: SharedTable.create(new ArrayBuffer(tableBytes(1)), 1),
    version: '',
    startedMs: 0,
    changes: { applied: 0, refused: 0, lastAppliedMs: 0 },
    self: { residentBytes: 0, heapBytes: 0, cpuS: 0, descriptors: 0, descriptorsMax: 0 },
    workers: [],
  });
}

/** Labels whose values the configuration, or the machine, gives. */
const GIVEN: ReadonlySet<string> = new Set(['listener', 'route', 'upstream', 'target', 'worker', 'process', 'source', 'name', 'node']);

function labelsCell(family: Metric | Histogram): string {
  const all = family.kind === 'histogram' ? family.series : family.samples;
  return family.labels
    .map((label) => {
      const values = [...new Set(all.map(({ labels }) => labels[label] ?? ''))].filter((value) => value !== '');
      if (GIVEN.has(label) || values.length === 0) return `\`${label}\``;
      if (values.length > VALUES_SHOWN) return `\`${label}\` (${values.length} values)`;
      return `\`${label}\` (${values.map((value) => `\`${value}\``).join(', ')})`;
    })
    .join('; ');
}

function table(): string {
  const rows = families().map((family) => {
    const buckets = family.kind === 'histogram' ? ` Buckets up to ${family.bounds.join(', ')} s.` : '';
    return `| \`${family.name}\` | ${family.kind} | ${labelsCell(family)} | ${family.help}${buckets} |`;
  });
  return ['| name | kind | labels | |', '|---|---|---|---|', ...rows].join('\n');
}

function page(): string {
  return `<!-- Made by npm run generate, from the metrics themselves. -->

# Metrics

\`/metrics\` on the admin address (\`admin.listen\`) is Prometheus text. The supervisor makes it from memory that it shares with the workers: a
scrape asks no worker anything and costs no request a microsecond. The same numbers go to an OpenTelemetry collector where
\`telemetry.metrics\` is set (\`telemetry.md\`).

In \`examples/\`: \`prometheus.yaml\` (what to scrape), \`prometheus-alerts.yaml\` (rules, each with a test), \`grafana-dashboard.json\` (to be
imported; it asks for the data source).

## What makes labels, and how many

Nothing that a client says makes a label: no host, no path, no name in a ClientHello. Labels come from the configuration and from lists of our
own:

- \`listener\` and \`route\` are the names in the configuration, \`${ROUTES_COUNTED_MAX}\` routes at most; those beyond share \`route="other"\`. Requests that met no route
  (an unknown host, a malformed head, a client over its rate) are counted with both labels empty: the sum over routes is the sum of all.
- \`upstream\` and \`target\` are as written, ${TARGETS_MAX} targets at most. A target has three histograms of ${TARGET_BOUNDS_S.length + 1} buckets.
- \`source\` and \`name\` of a certificate are its file and its first name, for the 1,000 that expire first; \`tollgate_certificates\` counts all.
- \`suite\` and \`group\` have a value \`other\`; a \`group\` of \`none\` is a resumed session of TLS 1.2, or a key that RSA carried.
- \`reason\` is the reason of the logs, \`culprit\` who is to blame: \`client\`, \`upstream\`, \`us\`.
- \`process\` is \`supervisor\`, the number of a worker, or \`finishing\`: workers of an earlier program, or of more workers, that finish what they have.

## What keeps its count

A reload leaves the counts of routes and targets that stay; a route or target that comes begins at 0. A worker that dies leaves its counts to the
supervisor: no counter falls. A new supervisor that adopts the workers of one that was killed goes on with their counts; \`tollgate upgrade\` begins
at 0, as a start does, and \`tollgate_start_time_seconds\` says when.

## Some questions

| | |
|---|---|
| which target is slow | \`histogram_quantile(0.99, sum by (upstream, target, le) (rate(tollgate_target_first_byte_seconds_bucket[5m])))\` |
| how many sessions are resumed | \`sum(rate(tollgate_handshakes_total{resumed="true"}[5m])) / sum(rate(tollgate_handshakes_total[5m]))\` |
| why handshakes fail | \`topk(5, sum by (reason) (rate(tollgate_handshake_failures_total[5m])))\` |
| what the access rules and limits refuse | \`sum by (rule) (rate(tollgate_refused_total[5m]))\` |
| days left of certificates | \`sort((tollgate_certificate_expiry_seconds - time()) / 86400)\` |
| share of requests on kept-alive connections | \`rate(tollgate_upstream_reuses_total[5m]) / rate(tollgate_target_requests_total[5m])\` |

Refusals and failures of handshakes are faults too: they stand in \`tollgate_faults_total\` with everything else that went wrong, and in a metric
of their own, so that nobody has to know which reasons they are. Do not add the two. An upgraded connection (WebSocket) is in no duration.
Times are those of the loop's turns: exact to the length of a turn, most of the time well below a millisecond.

## All of them

${table()}
`;
}

/** What it holds, by path in the project. */
export function metricsPages(): ReadonlyMap<string, string> {
  return new Map([['docs/metrics.md', page()]]);
}

if (import.meta.main) {
  for (const [path, text] of metricsPages()) writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
}
