/** A configuration as people may see it: whole, checked, and without its secrets. */
import { resolve } from 'node:path';
import type { LoadedConfig } from './check.ts';
import { withDefaults } from './describe.ts';
import type { SettingPath } from './findings.ts';
import { loadConfig } from './load.ts';
import { HTTP_LISTENER, HTTP_ROUTE, serverMaySpeakFirst } from './protocol-references.ts';
import { TCP_SETTINGS } from './references.ts';

/** Settings whose text is the path of a file or a directory, by their paths without numbers. */
export const PATH_SETTINGS: RegExp =
  /^(runtime|log\.(access|error)(\.path)?|listeners\[\]\.(errorPages\..*|tls\.(library|certificates\[\]\.(certificate|key|directory)|(names\[\]\.)?clientCertificates\.(authorities(\[\])?|revocation\.crl\[\]))|((routes|passthrough)\[\]\.)?access\.(allow|deny)File|routes\[\]\.(respond\.file|basicAuth\.users))|upstreams\[\]\.tls\.(certificate|key|authorities(\[\])?))$/;
/** Settings that may be a socket's path. */
const SOCKET_SETTINGS = /^(admin\.listen|listeners\[\]\.address|upstreams\[\]\.targets\[\](\.address)?|log\.access\.syslog(\.to)?)$/;
/** Keys, more often than not: a variable in one is shown by its name. */
const SECRET_SETTINGS = /^telemetry\.headers\./;
/** In the place of a path: where logs go, and where lists are fetched. */
const NO_PATHS = /^(-|off|http:.*)$/;

/**
 * Of `file` with all it includes. `effective`: with every default, with variables of the environment put in, and with whole paths, so that it
 * means the same wherever it is kept. Throws ConfigError.
 */
export async function showConfig(
  file: string,
  effective: boolean,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<unknown> {
  const loaded = await loadConfig(file, [], env);
  if (!effective) return loaded.written;
  const shown = withDefaults(withoutSecrets(loaded, loaded.value, loaded.written, []));
  withoutUseless(shown);
  return shown;
}

interface Shown {
  readonly listeners: readonly {
    readonly address: string;
    readonly protocol: string;
    readonly tls?: object;
    readonly passthrough?: object;
    readonly socket: Record<string, unknown>;
    readonly routes?: readonly Record<string, unknown>[];
  }[];
}

/** Takes out defaults of what a listener has no use for, and that would be refused there. */
function withoutUseless(shown: unknown): void {
  const drop = (from: object, keys: readonly string[]): void => {
    for (const key of keys) Reflect.deleteProperty(from, key);
  };
  for (const listener of (shown as Shown).listeners) {
    if (listener.address.startsWith('unix:')) drop(listener.socket, TCP_SETTINGS);
    if (listener.protocol !== 'tcp') continue;
    drop(listener, HTTP_LISTENER);
    for (const route of listener.routes ?? []) drop(route, HTTP_ROUTE);
    if (serverMaySpeakFirst(listener)) drop(listener.socket, ['deferAccept']);
  }
}

/** What came out of a file of its own stays there: its name is shown. */
function withoutSecrets(loaded: LoadedConfig, value: unknown, written: unknown, path: SettingPath): unknown {
  if (typeof written === 'string' && SECRET_SETTINGS.test(generalised(path))) return written;
  const whole = (text: string): string => resolve(loaded.directoryOf(path), text);
  if (typeof written === 'string' && /(?<!\$)\$\{file:/.test(written)) {
    return written.replaceAll(/(?<!\$)\$\{file:([^{}]*)\}/g, (_, name: string) => `\${file:${whole(name)}}`);
  }
  if (Array.isArray(value) && Array.isArray(written)) {
    return value.map((item, i) => withoutSecrets(loaded, item, written[i], [...path, i]));
  }
  if (typeof value !== 'object' || value === null || typeof written !== 'object' || written === null) {
    return typeof value === 'string' ? escaped(wholePath(value, path, whole)) : value;
  }
  const from = written as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(loaded, item, from[key], [...path, key])]));
}

function wholePath(text: string, path: SettingPath, whole: (text: string) => string): string {
  const setting = generalised(path);
  if (PATH_SETTINGS.test(setting)) return NO_PATHS.test(text) ? text : whole(text);
  return text.startsWith('unix:') && SOCKET_SETTINGS.test(setting) ? `unix:${whole(text.slice(5))}` : text;
}

/** `listeners[].tls.policy`. */
function generalised(path: SettingPath): string {
  return path.map((part, i) => (typeof part === 'number' ? '[]' : `${i === 0 ? '' : '.'}${part}`)).join('');
}

/** So that what is shown means the same when it is read again. */
function escaped(text: string): string {
  return text.replaceAll('${', '$$${');
}
