/** What a listener's protocol demands of its other settings: those of HTTP have no meaning for bytes that are carried as they are, and back. */
import type { SettingPath } from './findings.ts';
import { items, member } from './raw-values.ts';
import type { ReferenceProblem } from './references.ts';
import { listed, shown } from './wording.ts';

/** Settings of a listener, and of a route, that have no meaning where bytes are carried as they are. */
export const HTTP_LISTENER = ['redirect', 'forwarded', 'trustedProxies', 'traceparent', 'hsts', 'errorPages'] as const;
export const HTTP_ROUTE = [
  'redirect',
  'respond',
  'host',
  'headers',
  'mend',
  'requestBody',
  'responseBody',
  'basicAuth',
  'forwardAuth',
  'compress',
] as const;

/** Problems of the listener at `path`. */
export function checkProtocol(listener: unknown, path: SettingPath): readonly ReferenceProblem[] {
  return member(listener, 'protocol') === 'tcp' ? tcp(listener, path) : http(listener, path);
}

function http(listener: unknown, path: SettingPath): ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  if (member(member(listener, 'tls'), 'alpn') !== undefined)
    problems.push({ path: [...path, 'tls', 'alpn'], message: 'what an http listener speaks is known; this is for protocol: tcp' });
  items(member(listener, 'routes')).forEach((route, at) => {
    for (const key of ['sni', 'alpn']) {
      if (member(member(route, 'match'), key) === undefined) continue;
      const message = "requests are matched by host and path; connections that are passed through, by 'passthrough'";
      problems.push({ path: [...path, 'routes', at, 'match', key], message });
    }
  });
  return problems;
}

function tcp(listener: unknown, path: SettingPath): ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  const refuse = (at: SettingPath, message: string): void => void problems.push({ path: [...path, ...at], message });
  const tls = member(listener, 'tls');
  const offered = member(tls, 'alpn');
  const protocols = typeof offered === 'string' ? [offered] : items(offered);
  for (const key of HTTP_LISTENER) {
    if (member(listener, key) !== undefined) refuse([key], `'${key}' is a setting of HTTP, and this listener's protocol is tcp`);
  }
  if (serverMaySpeakFirst(listener) && member(member(listener, 'socket'), 'deferAccept') === true)
    refuse(['socket', 'deferAccept'], 'without TLS the server may be the one to speak first: nobody may wait for the client');
  items(member(listener, 'routes')).forEach((route, at) => {
    for (const key of HTTP_ROUTE) {
      if (member(route, key) !== undefined)
        refuse(['routes', at, key], `'${key}' is a setting of HTTP, and this listener's protocol is tcp`);
    }
    const match = member(route, 'match');
    for (const key of ['host', 'path']) {
      if (member(match, key) === undefined) continue;
      const instead = key === 'host' ? "; the name of TLS is 'sni'" : '';
      refuse(['routes', at, 'match', key], `'${key}' is of requests, and this listener's protocol is tcp${instead}`);
    }
    for (const key of ['sni', 'alpn']) {
      if (member(match, key) !== undefined && tls === undefined) refuse(['routes', at, 'match', key], 'without TLS no client says it');
    }
    const alpn = member(match, 'alpn');
    const missing = (typeof alpn === 'string' ? [alpn] : items(alpn)).filter((name) => !protocols.includes(name));
    if (tls !== undefined && missing.length > 0) {
      const names = listed(missing.map((name) => shown(name)));
      refuse(['routes', at, 'match', 'alpn'], `never agreed: 'tls.alpn' does not offer ${names}`);
    }
  });
  return problems;
}

/** Whether nobody on the tcp listener has to begin with a ClientHello. */
export function serverMaySpeakFirst(listener: unknown): boolean {
  return member(listener, 'tls') === undefined && member(listener, 'passthrough') === undefined;
}
