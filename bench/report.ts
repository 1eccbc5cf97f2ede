/** What a run found, as text for a terminal and as the page bench/RESULTS.md. Pure. */
import { median } from './statistics.ts';

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly goal: number | null;
  /** Figures by contender, one a round. */
  readonly figures: ReadonlyMap<string, readonly number[]>;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly date: string;
  readonly versions: readonly string[];
  readonly rounds: number;
}

/** Median ratio of `name` to nginx over the rounds, each round's pair measured side by side. Null without both. */
export function ratio(result: CaseResult, name: string): number | null {
  const own = result.figures.get(name);
  const nginx = result.figures.get('nginx');
  if (own === undefined || nginx === undefined || own.length === 0 || own.length !== nginx.length) return null;
  return median(own.map((figure, round) => figure / nginx[round]!));
}

export function shown(figure: number): string {
  if (Number.isNaN(figure)) return '-';
  return figure >= 100 ? figure.toFixed(0) : figure >= 10 ? figure.toFixed(1) : figure.toFixed(2);
}

function names(results: readonly CaseResult[]): string[] {
  return [...new Set(results.flatMap((result) => [...result.figures.keys()]))];
}

/** The table that the README copies. */
export function table(results: readonly CaseResult[]): string {
  const all = names(results);
  const others = all.filter((name) => name !== 'nginx');
  const head = ['case', ...all, ...others.map((name) => `${name} : nginx`), 'goal'];
  const rows = results.map((result) => [
    `${result.title} (${result.unit})`,
    ...all.map((name) => shown(median(result.figures.get(name) ?? []))),
    ...others.map((name) => ratio(result, name)?.toFixed(2) ?? '-'),
    result.goal === null ? '' : `${result.goal.toFixed(2)}`,
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** The whole page. */
export function page(results: readonly CaseResult[], machine: Machine): string {
  const all = names(results);
  const spread = results.map((result) => [
    result.name,
    ...all.map((name) => {
      const figures = result.figures.get(name) ?? [];
      return figures.length === 0 ? '-' : `${shown(median(figures))} (${shown(Math.min(...figures))}..${shown(Math.max(...figures))})`;
    }),
  ]);
  return `# Measured

Made by \`npm run bench\`. Lower is better everywhere. Figures are medians of ${machine.rounds} rounds, interleaved; a ratio is the median of the
rounds' ratios, each of a pair measured one behind the other. CPU is user and system time of all the proxy's processes. Proxy on one core,
load and origin on the other. Access logs on for all, the same certificate, the same forwarded fields. Absolute figures are this machine's;
ratios travel better.

- machine: ${machine.cpu}, ${machine.cores} cores; Linux ${machine.kernel}
- date: ${machine.date}
${machine.versions.map((version) => `- ${version}`).join('\n')}

${table(results)}

## Spread

${[['case', ...all], ['---', ...all.map(() => '---')], ...spread].map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
}
