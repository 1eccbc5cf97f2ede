/** nginx's values in Tollgate's words: times, sizes, texts with variables. Pure. */
import { durationText, sizeText } from '../units.ts';

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  y: 31_536_000_000,
};

/** Milliseconds of `60`, `60s`, `1h 30m`, `500ms`; undefined when `text` is no time. */
export function nginxTime(text: string): number | undefined {
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1_000;
  if (!/^(?:\d{1,12}(?:ms|[smhdwMy])?\s*)+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdwMy])?/g)) ms += Number(amount) * TIME_UNITS[unit ?? 's']!;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** Bytes of `8192`, `64k`, `1m`, `2g`; undefined when `text` is no size. */
export function nginxSize(text: string): number | undefined {
  const match = /^(\d{1,12})([kKmMgG]?)$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * { '': 1, k: 1_024, m: 1_048_576, g: 1_073_741_824 }[match[2]!.toLowerCase()]!;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A duration as Tollgate takes it, moved into its bounds. */
export function boundedDuration(ms: number, leastMs: number, mostMs: number): string {
  return durationText(Math.min(Math.max(ms, leastMs), mostMs));
}

export { sizeText };

/** What a text is written for: what is known of the request there. */
export interface TextContext {
  /** First name of the server; '' when it has none. */
  readonly serverName: string;
  /** '' when it is a Unix socket. */
  readonly port: string;
  readonly tls: boolean;
  /** What the server is told as Host by default; '' where no server is. */
  readonly proxyHost: string;
  /** In a response: what lies in the request's head is gone by then. */
  readonly inResponse: boolean;
}

const VARIABLES: Readonly<Record<string, string>> = {
  remote_addr: '{client.address}',
  realip_remote_addr: '{client.address}',
  request_id: '{request.id}',
  ssl_protocol: '{tls.version}',
  ssl_cipher: '{tls.cipher}',
  ssl_server_name: '{tls.sni}',
  upstream_addr: '{target}',
};
const REQUEST_VARIABLES: Readonly<Record<string, string>> = {
  host: '{request.host}',
  http_host: '{request.host}',
  scheme: '{request.scheme}',
  request_method: '{request.method}',
  request_uri: '{request.target}',
  uri: '{request.path}',
  document_uri: '{request.path}',
};

/** A template of Tollgate's, or the name of the variable that it has not. `asItCame`: nginx would put the path in decoded and resolved. */
export function nginxTemplate(
  text: string,
  context: TextContext,
): { readonly template: string; readonly asItCame: boolean } | { readonly unknown: string } {
  let unknown: string | undefined;
  let asItCame = false;
  // "$uri$is_args$args" is a long way to write $request_uri.
  const template = text
    .replaceAll(/\$(?:uri|document_uri)\$is_args\$(?:args|query_string)(?!\w)/g, '$request_uri')
    .replaceAll(/[{}]|\$(?:\{(\w+)\}|(\w+))/g, (match: string, braced: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare;
      if (name === undefined) return match + match;
      if (name === 'uri' || name === 'document_uri') asItCame = true;
      const value = variable(name, context);
      if (value === undefined) unknown ??= name;
      return value ?? '';
    });
  return unknown === undefined ? { template, asItCame } : { unknown };
}

function variable(name: string, { serverName, port, tls, proxyHost, inResponse }: TextContext): string | undefined {
  if (Object.hasOwn(VARIABLES, name)) return VARIABLES[name];
  if (name === 'scheme' && inResponse) return tls ? 'https' : 'http';
  if (Object.hasOwn(REQUEST_VARIABLES, name)) return inResponse ? undefined : REQUEST_VARIABLES[name];
  switch (name) {
    case 'server_name':
      return serverName;
    case 'server_port':
      return port === '' ? undefined : port;
    case 'proxy_host':
      return proxyHost === '' ? undefined : proxyHost;
    case 'https':
      return tls ? 'on' : '';
    default:
      return undefined;
  }
}

/** The literal text that a regular expression stands for, and how; undefined when it is more than a literal. */
export function literalOf(expression: string, foldsCase: boolean): { readonly path: string; readonly isPrefix: boolean } | undefined {
  if (!expression.startsWith('^/')) return undefined;
  let rest = expression.slice(1);
  const isExact = rest.endsWith('$') && !rest.endsWith('\\$');
  if (isExact) rest = rest.slice(0, -1);
  else rest = rest.replace(/(?:\.\*|\(\.\*\))$/, '');
  let path = '';
  for (let at = 0; at < rest.length; at++) {
    const character = rest[at]!;
    if (character === '\\') {
      const next = rest[++at];
      // `\d` and its like are classes; `\.` is a full stop.
      if (next === undefined || /[\w]/.test(next)) return undefined;
      path += next;
    } else if (/[.^$*+?()[\]{}|]/.test(character)) return undefined;
    else path += character;
  }
  return foldsCase && /[a-z]/i.test(path) ? undefined : { path, isPrefix: !isExact };
}
