/**
 * Addresses as they are written in a configuration: where to listen, and where a target is.
 * Text in, data or one sentence out. Looks no name up and touches no socket.
 *
 *   listen   0.0.0.0:443   [::]:443   :443 (all addresses)   localhost:8443 (both loopbacks)   unix:/run/web.sock
 *   target   10.0.0.1:8080   [fd00::1]:8080   app.internal:8080   unix:/run/app.sock
 */
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import type { ListenAddress, TargetAddress } from '../plan/plan.ts';
import { shown } from './wording.ts';

export interface ListenSpec {
  /** As written. */
  readonly text: string;
  /** One socket each. */
  readonly addresses: readonly ListenAddress[];
  /** `:443` and `localhost:443` mean IPv6 too, but only where the machine has it. */
  readonly ipv6Optional: boolean;
}

export interface TargetSpec {
  /** As written. */
  readonly text: string;
  /** An address, or the name to look up. */
  readonly address: TargetAddress | { readonly host: string; readonly port: number };
}

export const LISTEN_FORMS = "an address as '0.0.0.0:443', '[::]:443', ':443' (all addresses), 'localhost:8443' or 'unix:/path'";
export const TARGET_FORMS = "an address as '10.0.0.1:8080', '[fd00::1]:8080', 'app.internal:8080' or 'unix:/path'";

/** Longest path of a Unix socket, its final zero not counted. Bytes. unix(7). */
export const UNIX_PATH_BYTES_MAX = 107;

/** The sockets `text` asks for, or what is wrong with it. Port 0 lets the kernel choose, for one socket. */
export function parseListenAddress(text: string): ListenSpec | string {
  const parts = split(text, LISTEN_FORMS);
  if (typeof parts === 'string') return parts;
  if ('path' in parts) return { text, addresses: [{ family: 0, path: parts.path }], ipv6Optional: false };
  const { host, port } = parts;
  if (host === '' || host === 'localhost') {
    const v4: ListenAddress = { family: 4, ip: host === '' ? '0.0.0.0' : '127.0.0.1', port };
    const v6: ListenAddress = { family: 6, ip: host === '' ? '::' : '::1', port };
    // Two sockets would get two different ports from the kernel.
    return { text, addresses: port === 0 ? [v4] : [v4, v6], ipv6Optional: true };
  }
  const address = ipAddress(host, port);
  if (address !== undefined) return { text, addresses: [address], ipv6Optional: false };
  return `found ${shown(text)}, expected ${LISTEN_FORMS}; a listener needs an IP address, not a name`;
}

/** Where `text` points, or what is wrong with it. */
export function parseTargetAddress(text: string): TargetSpec | string {
  const parts = split(text, TARGET_FORMS);
  if (typeof parts === 'string') return parts;
  if ('path' in parts) return { text, address: { family: 0, path: parts.path } };
  const { host, port } = parts;
  if (port === 0) return `found ${shown(text)}: port 0 cannot be connected to`;
  const address = ipAddress(host, port);
  if (address !== undefined) {
    if (address.ip === '0.0.0.0' || address.ip === '::')
      return `found ${shown(text)}: ${address.ip} is every address and no target; write 127.0.0.1 for this machine`;
    return { text, address };
  }
  if (host === '') return `found ${shown(text)}, which names no host; expected ${TARGET_FORMS}`;
  if (/^[\d.]+$/.test(host)) return `found ${shown(text)}: ${shown(host)} is not an IPv4 address`;
  const name = hostName(host);
  if (name === undefined) return `found ${shown(text)}: ${shown(host)} is not a host name; expected ${TARGET_FORMS}`;
  return { text, address: { host: name, port } };
}

/** `host` as lower-case A-labels without a final dot, or undefined when it cannot be a DNS name. RFC 1123, RFC 5890. */
export function hostName(host: string): string | undefined {
  // The URL host parser behind domainToASCII() drops line ends and decodes percent signs; nothing of that is meant here.
  if (host.length === 0 || host.length > 1_024 || /[^\w.\-\u{80}-\u{10ffff}]/u.test(host)) return undefined;
  // Underscores are no host names by the letter, yet common inside Docker and Kubernetes.
  const ascii = /^[\w.-]+$/.test(host) ? host.toLowerCase() : domainToASCII(host);
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (name.length === 0 || name.length > 253) return undefined;
  const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
  return name.split('.').every((part) => label.test(part)) ? name : undefined;
}

function split(text: string, forms: string): { host: string; port: number } | { path: string } | string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return `found ${shown(text)}, which is a URL; expected ${forms}, without '${text.slice(0, text.indexOf('//') + 2)}' and without a path`;
  }
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    if (path === '') return `found 'unix:' without a path`;
    if (path.startsWith('@')) return `found ${shown(text)}: abstract Unix sockets are not available yet; expected a path`;
    if (path.includes('\0')) return 'found a path with a zero byte in it';
    return { path };
  }
  if (isIPv6(text))
    return `found ${shown(text)} without a port; an IPv6 address is written in brackets, as '[${text.includes('%') ? '::1' : text}]:443'`;
  const match = /^(\[[^\]]*\]|[^:[\]]*):(\d{1,6})$/.exec(text);
  if (match === null) {
    if (isIPv4(text) || hostName(text) !== undefined) return `found ${shown(text)} without a port; expected ${forms}`;
    return `found ${shown(text)}, expected ${forms}`;
  }
  const port = Number(match[2]);
  if (port > 65_535) return `found ${shown(text)}: port ${match[2]} is above 65535`;
  const host = match[1]!;
  if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) return `found ${shown(text)}: ${shown(host)} is not an IPv6 address in brackets`;
  if (host.includes('%')) return `found ${shown(text)}: IPv6 zones ('%eth0') are not available yet`;
  return { host, port };
}

function ipAddress(host: string, port: number): Extract<ListenAddress, { family: 4 | 6 }> | undefined {
  if (isIPv4(host)) return { family: 4, ip: host, port };
  if (!host.startsWith('[')) return undefined;
  // The URL parser writes IPv6 in its one canonical form (RFC 5952), so that equal addresses compare equal.
  return { family: 6, ip: new URL(`http://${host}/`).hostname.slice(1, -1), port };
}
