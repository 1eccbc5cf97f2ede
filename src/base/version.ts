/** Tollgate's own version, from its package.json: for the control plane. */
import { readFileSync } from 'node:fs';

let known: string | null = null;

export function tollgateVersion(): string {
  known ??= String((JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version?: unknown }).version);
  return known;
}
