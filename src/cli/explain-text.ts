/** What `tollgate explain` prints for people. */

import { KNOWN_CLIENTS } from '../hello/known-clients.ts';
import type { ListenerExplanation } from '../observe/explain.ts';
import type { Explanation } from '../observe/explain-hello.ts';
import { columns } from '../observe/status.ts';

export function explanationText(about: string, explanation: Explanation): string {
  const { host, ja4, unreadable, listeners } = explanation;
  const lines = [`${about}, for ${host === '' ? 'no host' : host}${ja4 === null ? '' : `  (JA4 ${ja4})`}`];
  if (unreadable !== null) lines.push(`  refused by every listener: ${unreadable}`);
  else if (listeners.length === 0) lines.push('  no listener speaks TLS');
  for (const each of listeners) lines.push(...listenerLines(each));
  return `${lines.join('\n')}\n`;
}

function listenerLines(each: ListenerExplanation): string[] {
  const by = each.policy === null ? '' : `  ${each.policy} (${each.engine})`;
  const head = `  ${each.listener}  ${each.address}${each.passedThrough ? '' : by}`;
  if (!each.ok) {
    return [
      `${head}  refused: ${each.reason}`,
      `    because ${each.why}`,
      ...each.remedies.map((remedy) => `    would change it: ${remedy}`),
    ];
  }
  const route = each.route === null ? 'none' : `${each.route} (${each.action}${each.upstream === null ? '' : ` to ${each.upstream}`})`;
  const notes = each.notes.map((note) => `    note: ${note}`);
  if (each.passedThrough) return [`${head}  passed through`, ...columns([['route', route]]).map((line) => `    ${line}`), ...notes];
  const { certificate } = each;
  const rows = [
    ['certificate', `${certificate!.source} (${certificate!.keyType})`],
    ['version', each.version!],
    ['suite', each.suite!],
    ['group', each.group ?? 'none: RSA key exchange'],
    ['signature', each.signatureScheme ?? 'none, or as old versions prescribe'],
    ['protocol', each.alpn ?? 'none agreed'],
    ['route', route],
  ];
  return [`${head}  served`, ...columns(rows).map((line) => `    ${line}`), ...notes];
}

export function clientsText(): string {
  return `${columns(KNOWN_CLIENTS.map(({ id, about }) => [id, about])).join('\n')}\n`;
}
