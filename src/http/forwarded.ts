/**
 * What proxies in front of us say of the client: X-Forwarded-For and its kin, and Forwarded (RFC 7239). Read only where the connection comes
 * from a proxy that the configuration trusts; who that is, the caller knows. Pure.
 *
 * Lists are read from the right: each entry was written by the hop behind it. The first that is not itself a trusted proxy is the client,
 * and what stands left of it anybody may have made up.
 */
import { isIP, isIPv4 } from 'node:net';
import { hostEndAt, portAt } from './authority.ts';
import {
  FIELD_FORWARDED,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PORT,
  FIELD_X_FORWARDED_PROTO,
} from './field-names.ts';
import { FIELD_NAME_ID, FIELD_STRIDE, FIELD_VALUE_END, FIELD_VALUE_START, type MessageHead } from './message-head.ts';

/** Entries of a list that are looked at. More is an attack or a loop. */
const HOPS_MAX = 32;

export interface ForwardedClient {
  /** The list as it came, to be extended: '' when there was none. Latin-1 without line ends. */
  readonly forwardedFor: string;
  /** The same of Forwarded. */
  readonly forwarded: string;
  /** The client's address as far as trust reaches, or null when nothing sound was said. */
  readonly client: string | null;
  readonly scheme: 'http' | 'https' | null;
  readonly host: string | null;
  readonly port: string | null;
}

/** Reads the forwarding fields of a request whose bytes are in `buf`. */
export function readForwarded(buf: Buffer, head: MessageHead, isTrusted: (address: string) => boolean): ForwardedClient {
  const forwardedFor = fieldValue(buf, head, FIELD_X_FORWARDED_FOR);
  const forwarded = fieldValue(buf, head, FIELD_FORWARDED);
  const elements = forwarded === '' ? [] : forwardedElements(forwarded);
  const hops =
    forwardedFor !== ''
      ? forwardedFor.split(',').map((each) => nodeAddress(each.trim()))
      : elements.map((element) => nodeAddress(element.get('for') ?? ''));
  const last = elements.at(-1);
  const scheme = lastOf(fieldValue(buf, head, FIELD_X_FORWARDED_PROTO)).toLowerCase() || (last?.get('proto') ?? '').toLowerCase();
  const host = lastOf(fieldValue(buf, head, FIELD_X_FORWARDED_HOST)) || (last?.get('host') ?? '');
  const port = lastOf(fieldValue(buf, head, FIELD_X_FORWARDED_PORT));
  return {
    forwardedFor,
    forwarded,
    client: clientOf(hops, isTrusted),
    scheme: scheme === 'http' || scheme === 'https' ? scheme : null,
    host: isAuthority(host) ? host : null,
    port: portAt(Buffer.from(port, 'latin1'), 0, port.length) > 0 ? port : null,
  };
}

function clientOf(hops: readonly (string | null)[], isTrusted: (address: string) => boolean): string | null {
  let client: string | null = null;
  for (let i = hops.length - 1, looked = 0; i >= 0 && looked < HOPS_MAX; i--, looked++) {
    const hop = hops[i]!;
    // Behind an entry that is no address ("unknown", an obfuscated name) nothing can be told: the trusted hop before it is all we know.
    if (hop === null) break;
    client = hop;
    if (!isTrusted(hop)) break;
  }
  return client;
}

/** All fields of that name as one list. */
function fieldValue(buf: Buffer, head: MessageHead, id: number): string {
  const { fields, fieldCount } = head;
  let value = '';
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    if (fields[at + FIELD_NAME_ID] !== id) continue;
    const each = buf.latin1Slice(fields[at + FIELD_VALUE_START]!, fields[at + FIELD_VALUE_END]!);
    if (each !== '') value = value === '' ? each : `${value}, ${each}`;
  }
  return value;
}

function lastOf(list: string): string {
  return list.slice(list.lastIndexOf(',') + 1).trim();
}

/** An address without port, brackets and IPv4 mapping, or null. `192.0.2.1:4711`, `"[2001:db8::1]:4711"`, `::ffff:192.0.2.1`. */
export function nodeAddress(text: string): string | null {
  let address = text;
  if (address.startsWith('[')) {
    const close = address.indexOf(']');
    if (close < 0 || !/^(:\d{1,5})?$/.test(address.slice(close + 1))) return null;
    address = address.slice(1, close);
    if (!address.includes(':')) return null;
  } else if (address.includes('.') && address.indexOf(':') === address.lastIndexOf(':') && address.includes(':')) {
    if (!/:\d{1,5}$/.test(address)) return null;
    address = address.slice(0, address.indexOf(':'));
  }
  if (isIP(address) === 0) return null;
  if (isIPv4(address)) return address;
  if (address.includes('%')) return null;
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return canonical;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function isAuthority(text: string): boolean {
  return text !== '' && hostEndAt(Buffer.from(text, 'latin1'), 0, text.length) > 0;
}

/** The elements of a Forwarded value, each a map of lower-case names to values without quotes; empty when any of it is malformed. RFC 7239, section 4. */
function forwardedElements(value: string): ReadonlyMap<string, string>[] {
  const pair = /\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=([!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*")\s*([;,]|$)/y;
  const elements: Map<string, string>[] = [];
  let element = new Map<string, string>();
  for (let at = 0; at < value.length; ) {
    pair.lastIndex = at;
    const found = pair.exec(value);
    if (found === null) return [];
    const [whole, name = '', raw = '', separator] = found;
    element.set(name.toLowerCase(), raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw);
    at += whole.length;
    if (separator === ';') continue;
    elements.push(element);
    element = new Map();
  }
  return elements;
}

/** One element for a client: `for=192.0.2.1;host="shop.example";proto=https`. RFC 7239, section 4; IPv6 addresses are quoted, section 6. */
export function forwardedElement(address: string, host: string, scheme: string): string {
  const node = address.includes(':') ? `"[${address}]"` : isIPv4(address) ? address : 'unknown';
  const quoted = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(host) ? host : `"${host.replace(/["\\]/g, '\\$&')}"`;
  return `for=${node};host=${quoted};proto=${scheme}`;
}
