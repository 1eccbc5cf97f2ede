/** HAProxy's values in Tollgate's words: times, addresses, log-format texts. Pure. */
import { parseListenAddress, parseTargetAddress } from '../addresses.ts';

const TIME_UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `30s`, `5000`, `1h`; undefined when `text` is no time. */
export function haproxyTime(text: string): number | undefined {
  const match = /^(\d{1,12})(us|ms|s|m|h|d)?$/.exec(text);
  if (match === null) return undefined;
  const ms = Math.ceil(Number(match[1]) * TIME_UNITS[match[2] ?? 'ms']!);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** One address of a bind line; `dual`: one of all IPv6 addresses takes IPv4 as well, as Linux has it. Null when Tollgate has no form for it. */
export function bindAddress(text: string, dual: boolean): string | null {
  let address = text.replace(/^(?:ipv4|ipv6|tcp4|tcp6|tcp)@/, '');
  if (/^unix@|^\//.test(address)) return `unix:${address.replace(/^unix@/, '')}`;
  if (/@|^abns|^fd/.test(address)) return null;
  if (/^(?:\*)?:\d+$/.test(address))
    address = `${/^(?:ipv6|tcp6)@/.test(text) ? '[::]' : '0.0.0.0'}:${address.slice(address.indexOf(':') + 1)}`;
  const bare = /^([0-9a-fA-F:]*:[0-9a-fA-F:.]*):(\d+)$/.exec(address);
  // ":::443" is port 443 of "::".
  if (bare !== null && !address.startsWith('[')) address = `[${bare[1]}]:${bare[2]}`;
  if (dual && /^\[::\]:\d+$/.test(address)) address = address.slice(4);
  const spec = parseListenAddress(address.replace(/^localhost:/, '127.0.0.1:'));
  if (typeof spec === 'string') return null;
  const [first] = spec.addresses;
  if (first === undefined || first.family === 0 || address.startsWith(':')) return address;
  return first.family === 6 ? `[${first.ip}]:${first.port}` : `${first.ip}:${first.port}`;
}

/** A server's address with its port, or null. */
export function targetAddress(text: string): string | null {
  let address = text.replace(/^(?:ipv4|ipv6|tcp4|tcp6|tcp)@/, '');
  if (/^unix@|^\//.test(address)) address = `unix:${address.replace(/^unix@/, '')}`;
  const bare = /^([0-9a-fA-F:]*:[0-9a-fA-F:.]*):(\d+)$/.exec(address);
  if (bare !== null && !address.startsWith('[')) address = `[${bare[1]}]:${bare[2]}`;
  return typeof parseTargetAddress(address) === 'string' ? null : address;
}

const SAMPLES: Readonly<Record<string, string>> = {
  src: '{client.address}',
  ssl_fc_protocol: '{tls.version}',
  ssl_fc_cipher: '{tls.cipher}',
  ssl_fc_sni: '{tls.sni}',
  'unique-id': '{request.id}',
  uuid: '{request.id}',
  'uuid()': '{request.id}',
  fe_name: '{listener}',
};
const REQUEST_SAMPLES: Readonly<Record<string, string>> = {
  'hdr(host)': '{request.host}',
  'req.hdr(host)': '{request.host}',
  'hdr(host),lower': '{request.host}',
  'req.hdr(host),lower': '{request.host}',
  path: '{request.path}',
  url: '{request.target}',
  pathq: '{request.target}',
  'capture.req.uri': '{request.target}',
  method: '{request.method}',
};
const LOG_WORDS: Readonly<Record<string, string>> = {
  ci: '{client.address}',
  ID: '{request.id}',
  f: '{listener}',
  sslv: '{tls.version}',
  sslc: '{tls.cipher}',
};

/** A template of Tollgate's, or what it has no variable for. */
export function haproxyTemplate(
  text: string,
  { port, tls, inResponse }: { readonly port: string; readonly tls: boolean; readonly inResponse: boolean },
): { readonly template: string } | { readonly unknown: string } {
  let unknown: string | undefined;
  const template = text.replaceAll(
    /[{}]|%%|%(?:\[([^\]]*)\]|\{[^}]*\}|(\w+))/g,
    (match, sample: string | undefined, word: string | undefined) => {
      if (match === '%%') return '%';
      if (match === '{' || match === '}') return match + match;
      const name = sample?.replaceAll(/\s/g, '').replaceAll(/\((Host|HOST)\)/g, '(host)');
      let value: string | undefined;
      if (name !== undefined) {
        if (Object.hasOwn(SAMPLES, name)) value = SAMPLES[name];
        else if (Object.hasOwn(REQUEST_SAMPLES, name)) value = inResponse ? undefined : REQUEST_SAMPLES[name];
        else if (name === 'dst_port') value = port === '' ? undefined : port;
        else if (name === 'ssl_fc') value = tls ? '1' : '0';
        else if (/^str\([^(){}]*\)$/.test(name)) value = sample!.trim().slice(4, -1);
      } else if (word !== undefined && Object.hasOwn(LOG_WORDS, word)) value = LOG_WORDS[word];
      if (value === undefined) unknown ??= match;
      return value ?? '';
    },
  );
  return unknown === undefined ? { template } : { unknown };
}
