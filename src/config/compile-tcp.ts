/** Where connections go that are carried as they are: routes of tcp listeners, and TLS that is passed through. As plans. */
import type { NameMatch, TcpRoutePlan } from '../plan/plan.ts';
import { type AccessReport, accessOf } from './compile-access.ts';
import type { SettingPath } from './findings.ts';
import type { Config } from './schema.ts';

type Entry = NonNullable<Config['listeners'][number]['passthrough']>[number];
type Route = NonNullable<Config['listeners'][number]['routes']>[number];

/** The entries at `path`, in their order; logs call them after `prefix` unless they have names. */
export async function compileTcpRoutes(
  entries: readonly (Entry | Route)[],
  path: SettingPath,
  prefix: string,
  upstreams: ReadonlyMap<string, number>,
  report: AccessReport,
): Promise<readonly TcpRoutePlan[]> {
  const plans: TcpRoutePlan[] = [];
  for (const [at, entry] of entries.entries()) {
    const match: NameMatch = { sni: entry.match.sni?.sni ?? null, alpn: entry.match.alpn ?? [] };
    const before = plans.findIndex((earlier) => covers(earlier.match, match));
    if (before >= 0) report.warn([...path, at], `never taken: number ${before + 1} matches all its connections before it`);
    plans.push({
      name: entry.name ?? `${prefix}/${at + 1}`,
      match,
      upstream: upstreams.get(entry.to ?? '') ?? 0,
      access: await accessOf(entry.access, [...path, at, 'access'], report),
    });
  }
  return plans;
}

function covers(earlier: NameMatch, later: NameMatch): boolean {
  const { sni } = earlier;
  const name = sni === null || sni === later.sni || (sni.startsWith('*.') && (later.sni?.endsWith(sni.slice(1)) ?? false));
  const protocol = earlier.alpn.length === 0 || (later.alpn.length > 0 && later.alpn.every((each) => earlier.alpn.includes(each)));
  return name && protocol;
}
