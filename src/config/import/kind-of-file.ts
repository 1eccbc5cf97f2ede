/** Which program a configuration is for: told by its words, and by its name when they do not. */
import { basename } from 'node:path';

export const IMPORT_KINDS = ['nginx', 'haproxy'] as const;
export type ImportKind = (typeof IMPORT_KINDS)[number];

/** Lines that are looked at. */
const LINES_MAX = 2_000;

/** Null: it looks like neither, or like both. */
export function kindOfFile(path: string, text: string): ImportKind | null {
  let nginx = 0;
  let haproxy = 0;
  for (const line of text.split('\n', LINES_MAX)) {
    const words = line.replace(/#.*/, '').trim();
    if (
      /^(?:global|defaults|frontend|backend|listen|userlist|peers|resolvers|cache|program|mailers|ring|http-errors)(?:\s+[\w.:*-]+)*$/.test(
        words,
      )
    )
      haproxy++;
    else if (/[;{}]$/.test(words)) nginx++;
  }
  if (nginx > 0 && haproxy === 0) return 'nginx';
  if (haproxy > 0 && nginx <= haproxy) return 'haproxy';
  const name = basename(path).toLowerCase();
  if (name.includes('haproxy') || name.endsWith('.cfg')) return haproxy > 0 ? 'haproxy' : null;
  return name.includes('nginx') && nginx > 0 ? 'nginx' : null;
}
