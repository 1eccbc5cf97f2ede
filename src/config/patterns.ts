/**
 * Host and path patterns of a route: from what people write to what `route/` matches. Pure text.
 *
 *   host   shop.example.com   *.example.com   * (any)         path   /exact   /prefix*   /prefix/*
 */
import { isIPv4, isIPv6 } from 'node:net';
import { writeNormalPath } from '../route/normal-path.ts';
import { hostName } from './addresses.ts';
import { shown } from './wording.ts';

export interface PathPattern {
  /** As route/normal-path.ts makes it of requests, bytes as Latin-1. */
  readonly path: string;
  readonly isPrefix: boolean;
}

export const HOST_FORMS = "a host name as 'shop.example.com', or '*.example.com'";
export const SNI_FORMS = "a server name as 'mail.example.com', or '*.example.com'";
export const PATH_FORMS = "a path that begins with '/', as '/login', or with '*' at its end as '/api/*'";

/** Lower-case A-label host, `*.suffix`, or null for any; as `{ error }` what is wrong. IDN become A-labels. RFC 5890. */
export function parseHostPattern(text: string): { readonly host: string | null } | { readonly error: string } {
  if (text === '*') return { host: null };
  const wildcard = text.startsWith('*.');
  const rest = wildcard ? text.slice(2) : text;
  if (rest.includes('*')) return { error: `found ${shown(text)}: '*' may stand only for the first label; expected ${HOST_FORMS}` };
  if (text.includes('://') || text.includes('/')) return { error: `found ${shown(text)}, expected ${HOST_FORMS}, without scheme or path` };
  if (!wildcard && isIPv4(text)) return { host: text };
  if (!wildcard && text.startsWith('[') && text.endsWith(']') && isIPv6(text.slice(1, -1)))
    return { host: new URL(`http://${text}/`).hostname };
  if (/:\d+$/.test(text)) return { error: `found ${shown(text)}, expected ${HOST_FORMS}, without a port` };
  const name = hostName(rest);
  if (name === undefined) return { error: `found ${shown(text)}, expected ${HOST_FORMS}` };
  return { host: wildcard ? `*.${name}` : name };
}

/** Lower-case A-label server name, `*.suffix`, or null for any and none; as `{ error }` what is wrong. RFC 6066, section 3: never an address. */
export function parseNamePattern(text: string): { readonly sni: string | null } | { readonly error: string } {
  const found = parseHostPattern(text);
  if ('error' in found) return { error: found.error.replaceAll(HOST_FORMS, SNI_FORMS) };
  if (found.host !== null && /^[\d.[]/.test(found.host) && (isIPv4(found.host) || found.host.startsWith('[')))
    return { error: `found ${shown(text)}: a client names servers by name, never by address; expected ${SNI_FORMS}` };
  return { sni: found.host };
}

/** A path pattern, or as `{ error }` what is wrong. It is compared with paths as servers understand them, and so becomes one. RFC 3986, section 3.3. */
export function parsePathPattern(text: string): PathPattern | { readonly error: string } {
  if (!text.startsWith('/')) return { error: `found ${shown(text)}, expected ${PATH_FORMS}` };
  const star = text.indexOf('*');
  if (star >= 0 && star < text.length - 1) return { error: `found ${shown(text)}: '*' may stand only at the end; expected ${PATH_FORMS}` };
  const path = star < 0 ? text : text.slice(0, -1);
  if (/[?#]/.test(path)) return { error: `found ${shown(text)}: a route matches paths, not queries or fragments ('?', '#')` };
  if (/[^\x21-\x7e]/.test(path))
    return { error: `found ${shown(text)}: spaces and characters outside ASCII are written percent-encoded, as '${encoded(path)}'` };
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return { error: `found ${shown(text)}: '%' must be followed by two hexadecimal digits` };
  if (/%3f/i.test(path)) return { error: `found ${shown(text)}: a '?' in a path ('%3F') is not available yet` };
  // What stands behind the last slash of a prefix is only the beginning of a name: `/.*` is not `/*`.
  const whole = star < 0 ? path.length : path.lastIndexOf('/') + 1;
  return { path: normal(path.slice(0, whole)) + normal(`/_${path.slice(whole)}`).slice(2), isPrefix: star >= 0 };
}

function normal(path: string): string {
  const bytes = Buffer.from(path, 'latin1');
  const out = Buffer.alloc(bytes.length);
  return out.toString('latin1', 0, writeNormalPath(out, bytes, 0, bytes.length));
}

/** Whether every request that `later` matches is matched by `earlier` already. */
export function covers(earlier: CompiledMatch, later: CompiledMatch): boolean {
  return hostCovers(earlier.host, later.host) && pathCovers(earlier, later);
}

export interface CompiledMatch {
  readonly host: string | null;
  readonly path: string | null;
  readonly pathIsPrefix: boolean;
}

function hostCovers(earlier: string | null, later: string | null): boolean {
  if (earlier === null || earlier === later) return true;
  return later !== null && earlier.startsWith('*.') && later.endsWith(earlier.slice(1));
}

function pathCovers(earlier: CompiledMatch, later: CompiledMatch): boolean {
  if (earlier.path === null) return true;
  if (later.path === null) return earlier.pathIsPrefix && earlier.path === '/';
  return earlier.pathIsPrefix ? later.path.startsWith(earlier.path) : !later.pathIsPrefix && later.path === earlier.path;
}

function encoded(path: string): string {
  try {
    return encodeURI(path).slice(0, 60);
  } catch {
    return '%C3%A9';
  }
}
