/** What HAProxy says for the whole program or for all clients, in Tollgate's sections: workers, user, log, deadlines, connections. */
import { parseTargetAddress } from '../addresses.ts';
import { FACILITIES } from '../logging.ts';
import type { Draft } from './draft.ts';
import type { ProxySection } from './haproxy-section.ts';
import type { Line } from './haproxy-syntax.ts';
import { haproxyTime } from './haproxy-values.ts';
import { boundedDuration } from './nginx-values.ts';
import type { Notes } from './notes.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const ITEM_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

export function translateHaproxyGlobals(globals: readonly Line[], proxies: readonly ProxySection[], notes: Notes, draft: Draft): void {
  const setting = (name: string): Line | undefined => globals.findLast(({ words }) => words[0] === name);
  const threads = Number((setting('nbthread') ?? setting('nbproc'))?.words[1] ?? Number.NaN);
  if (Number.isInteger(threads) && threads > 0) draft.workers = Math.min(threads, 256);
  const user = setting('user')?.words[1] ?? '';
  const group = setting('group')?.words[1] ?? '';
  if (ITEM_NAME.test(user)) draft.user = user;
  if (ITEM_NAME.test(group)) draft.group = group;
  const connections = Number(setting('maxconn')?.words[1] ?? Number.NaN);
  if (Number.isInteger(connections) && connections > 0) draft.limits = { connections: Math.min(connections, 10_000_000) };

  const fronts = proxies.filter((proxy) => proxy.section.kind !== 'backend' && proxy.isHttp);
  for (const proxy of fronts)
    for (const line of proxy.lines('maxconn'))
      notes.add('untranslated', line, 'connections are counted over all listeners', 'see limits.connections');
  translateLog(
    [
      ...globals.filter(({ words }) => words[0] === 'log'),
      ...fronts.flatMap((proxy) => proxy.lines('log').filter(({ words }) => words[1] !== 'global')),
    ],
    notes,
    draft,
  );

  /** Of all frontends, the longest. */
  const longest = (name: string): number | undefined => {
    const lines = fronts.map((proxy) => proxy.setting('timeout', name)).filter((line) => line !== undefined);
    if (new Set(lines.map(({ words }) => words[2])).size > 1)
      for (const line of lines) notes.add('differs', line, 'one value holds for all listeners: the longest', 'see timeouts');
    const times = lines.map(({ words }) => haproxyTime(words[2] ?? '')).filter((ms) => ms !== undefined);
    return times.length === 0 ? undefined : Math.max(...times);
  };
  const client = longest('client');
  const head = longest('http-request');
  const idle = longest('http-keep-alive') ?? client;
  const tunnel = longest('tunnel') ?? client;
  const timeouts: NonNullable<Draft['timeouts']> = {};
  if (head !== undefined) timeouts.requestHead = boundedDuration(head, 10, HOUR_MS);
  if (client !== undefined) timeouts.body = boundedDuration(client, 10, DAY_MS);
  if (idle !== undefined) timeouts.idle = boundedDuration(idle, 10, DAY_MS);
  if (tunnel !== undefined) timeouts.tunnel = boundedDuration(tunnel, 10, 7 * DAY_MS);
  if (Object.keys(timeouts).length > 0) draft.timeouts = timeouts;
}

/** `log 192.0.2.1:514 local0`; `log stdout format raw local0`. There is one log: the first. */
function translateLog(lines: readonly Line[], notes: Notes, draft: Draft): void {
  for (const line of lines) {
    const [, to = '', ...rest] = line.words;
    const facility = rest.find((word) => (FACILITIES as readonly string[]).includes(word));
    if (draft.log !== undefined) {
      notes.add('untranslated', line, 'there is one access log', 'see log.access');
      continue;
    }
    if (to === 'stdout' || to === 'fd@1') draft.log = { access: '-' };
    else if (to === 'stderr' || to === 'fd@2' || to.startsWith('/') || to.startsWith('ring@'))
      notes.add('untranslated', line, 'a log goes to standard output, a file, or a receiver of RFC 5424', 'see log.access');
    else {
      const address = /:\d+$/.test(to.replace(/^(?:ipv4|ipv6|udp|udp4|udp6)@/, ''))
        ? to.replace(/^(?:ipv4|ipv6|udp|udp4|udp6)@/, '')
        : `${to}:514`;
      if (typeof parseTargetAddress(address) === 'string') {
        notes.add('untranslated', line, 'it is no receiver that Tollgate can reach', 'see log.access.syslog');
        continue;
      }
      draft.log = { access: { syslog: { to: address, ...(facility === undefined ? {} : { facility }) } } };
      notes.add('differs', line, 'datagrams have the form of RFC 5424, and a line is JSON');
    }
  }
}
