/**
 * The difference between two configurations, a line each, in the words of who wrote them: `~ upstreams.web.targets[1].weight: 1 -> 3`,
 * `+ listeners.plain`, `- routes.api`. Entries of a list that have names are told apart by them. What only the files behind the settings
 * say (certificates, lists, addresses of names) is told from the plans.
 */
import type { Plan } from '../plan/plan.ts';

/** Lines at most; the rest is counted. */
const LINES_MAX = 200;
const VALUE_MAX = 80;

export interface Configured {
  /** As it was written. */
  readonly value: unknown;
  readonly plan: Plan;
}

/** Empty when nothing differs. */
export function difference(before: Configured, after: Configured): readonly string[] {
  const lines: string[] = [];
  walk('', before.value, after.value, lines);
  behindTheFiles(before.plan, after.plan, lines);
  if (lines.length <= LINES_MAX) return lines;
  return [...lines.slice(0, LINES_MAX), `and ${lines.length - LINES_MAX} more`];
}

function walk(path: string, before: unknown, after: unknown, lines: string[]): void {
  if (Object.is(before, after)) return;
  if (isMapping(before) && isMapping(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      walk(path === '' ? key : `${path}.${key}`, before[key], after[key], lines);
    }
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    walkList(path, before, after, lines);
    return;
  }
  if (before === undefined) lines.push(`+ ${path}${shown(after)}`);
  else if (after === undefined) lines.push(`- ${path}${shown(before)}`);
  else lines.push(`~ ${path}: ${text(before)} -> ${text(after)}`);
}

function walkList(path: string, before: readonly unknown[], after: readonly unknown[], lines: string[]): void {
  const names = [...before, ...after].map(nameOf);
  if (names.includes(undefined)) {
    for (let i = 0; i < Math.max(before.length, after.length); i++) walk(`${path}[${i}]`, before[i], after[i], lines);
    return;
  }
  const old = new Map(before.map((each) => [nameOf(each)!, each]));
  const now = new Map(after.map((each) => [nameOf(each)!, each]));
  for (const name of new Set([...old.keys(), ...now.keys()])) walk(`${path}.${name}`, old.get(name), now.get(name), lines);
  const kept = (list: readonly unknown[], other: ReadonlyMap<string, unknown>): string =>
    list
      .map((each) => nameOf(each)!)
      .filter((name) => other.has(name))
      .join(', ');
  const [from, to] = [kept(before, now), kept(after, old)];
  if (from !== to) lines.push(`~ ${path}: order ${cut(from)} -> ${cut(to)}`);
}

function behindTheFiles(before: Plan, after: Plan, lines: string[]): void {
  const certificates = new Map(before.certificates.map((each) => [each.source, each]));
  for (const { source, fingerprint, notAfterMs } of after.certificates) {
    const old = certificates.get(source);
    if (old === undefined || old.fingerprint === fingerprint) continue;
    lines.push(`~ ${source}: another certificate, valid until ${new Date(notAfterMs).toISOString().slice(0, 10)}`);
  }
  if (lines.length > 0) return;
  // Where bytes lie beside the plan says nothing of what they are.
  const content = (key: string, value: unknown): unknown =>
    key.endsWith('Blob') || (key === 'certificate' && typeof value === 'number') ? undefined : value;
  const parts = (plan: Plan): [string, string][] => [
    ...plan.listeners.map(({ name, address: _, ...rest }): [string, string] => [`listeners.${name}`, JSON.stringify(rest, content)]),
    ...plan.upstreams.map((each): [string, string] => [`upstreams.${each.name}`, JSON.stringify(each, content)]),
    ['clients', JSON.stringify(plan.clients)],
  ];
  const old = new Map(parts(before));
  for (const [name, now] of parts(after)) {
    if (old.get(name) !== now) lines.push(`~ ${name}: what its files or names say`);
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string | undefined {
  return isMapping(value) && typeof value.name === 'string' ? value.name : undefined;
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? '' : `: ${text(value)}`;
}

function text(value: unknown): string {
  return cut(typeof value === 'string' ? value : JSON.stringify(value));
}

function cut(value: string): string {
  return value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX - 3)}...` : value;
}
