/** Networks as they are written in a configuration: `10.0.0.0/8`, `2001:db8::/32`, or one address. Text in, canonical text or one sentence out; files of them. */
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { list } from './settings.ts';
import { shown, wrong } from './wording.ts';

export const NETWORK_FORMS = "a network as '10.0.0.0/8', '2001:db8::/32', or one address";
const NETWORKS_MAX = 1_000;

/** Canonical text of a network, or one sentence that says what is wrong. Bits behind the prefix must be zero: they hint at a typing error. */
export function parseNetwork(text: string): { readonly network: string } | string {
  const [address = '', prefixText, more] = text.split('/');
  const v4 = isIPv4(address);
  if ((!v4 && !isIPv6(address)) || address.includes('%') || more !== undefined) return `found ${shown(text)}, expected ${NETWORK_FORMS}`;
  const bits = v4 ? 32 : 128;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return `found ${shown(text)}, expected ${NETWORK_FORMS}`;
  const prefix = Number(prefixText ?? bits);
  if (prefix > bits) return `found ${shown(text)}: the prefix of an IPv${v4 ? 4 : 6} network is ${bits} at most`;
  const words = addressWords(address);
  for (let bit = prefix; bit < bits; bit++) {
    if (((words[Math.floor(bit / 16)]! >> (15 - (bit % 16))) & 1) === 1)
      return `found ${shown(text)}: bits behind the prefix are set; the network is ${networkOf(words, prefix, v4)}/${prefix}`;
  }
  return { network: `${v4 ? address : new URL(`http://[${address}]/`).hostname.slice(1, -1)}/${prefix}` };
}

/** As parseNetwork, for who has set bits behind the prefix and means the network; undefined when `text` is none. */
export function maskedNetwork(text: string): string | undefined {
  const [address = '', prefixText, more] = text.split('/');
  const v4 = isIPv4(address);
  const prefix = Number(prefixText ?? (v4 ? 32 : 128));
  if ((!v4 && !isIPv6(address)) || address.includes('%') || more !== undefined) return undefined;
  if ((prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) || prefix > (v4 ? 32 : 128)) return undefined;
  return `${networkOf(addressWords(address), prefix, v4)}/${prefix}`;
}

/** Whether every address of `narrow` is one of `wide`; both as maskedNetwork gives them. */
export function networkCovers(wide: string, narrow: string): boolean {
  const [wideAddress = '', widePrefix] = wide.split('/');
  const [narrowAddress = '', narrowPrefix] = narrow.split('/');
  const v4 = isIPv4(wideAddress);
  if (v4 !== isIPv4(narrowAddress) || Number(widePrefix) > Number(narrowPrefix)) return false;
  return networkOf(addressWords(narrowAddress), Number(widePrefix), v4) === wideAddress;
}

/** Two words of 16 bits for IPv4, eight for IPv6. */
function addressWords(address: string): number[] {
  if (isIPv4(address)) {
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  }
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array.from({ length: zeros }, () => '0'), ...back].map((word) => Number.parseInt(word, 16));
}

function networkOf(words: readonly number[], prefix: number, v4: boolean): string {
  const kept = words.map((word, i) => word & (0xffff << Math.max(0, Math.min(16, 16 * (i + 1) - prefix))) & 0xffff);
  if (v4) return kept.map((word) => `${word >> 8}.${word & 255}`).join('.');
  return new URL(`http://[${kept.map((word) => word.toString(16)).join(':')}]/`).hostname.slice(1, -1);
}

/** Largest file of networks: some 250,000 of them. Bytes. */
const FILE_BYTES_MAX = 8 * 1_048_576;
const FILE_NETWORKS_MAX = 250_000;
const PROBLEMS_MAX = 10;

/** The networks of a file: one a line, '#' begins a comment. Throws TollgateError that names the first wrong lines. */
export async function readNetworkFile(path: string): Promise<readonly string[]> {
  const { bytes } = await readBoundedFile(path, FILE_BYTES_MAX);
  const networks: string[] = [];
  const problems: string[] = [];
  for (const [index, line] of bytes.toString('latin1').split('\n').entries()) {
    const text = line.replace(/#.*/, '').trim();
    if (text === '') continue;
    const found = parseNetwork(text);
    if (typeof found === 'string') problems.push(`line ${index + 1}: ${found}`);
    else networks.push(found.network);
    if (problems.length === PROBLEMS_MAX) break;
  }
  if (problems.length > 0) throw new TollgateError('networks_invalid', `${path}: ${problems.join('; ')}`);
  if (networks.length > FILE_NETWORKS_MAX)
    throw new TollgateError('networks_invalid', `${path}: ${networks.length} networks; ${FILE_NETWORKS_MAX} at most`);
  return networks;
}

/** A list of networks, canonical; `least` of them at least. */
export function networkList(least = 0) {
  const network = z.string({ error: (issue) => wrong(issue.input, NETWORK_FORMS) }).transform((text, context): string => {
    const found = parseNetwork(text);
    if (typeof found !== 'string') return found.network;
    context.issues.push({ code: 'custom', message: found, input: text });
    return z.NEVER;
  });
  return list(network, `a list, each ${NETWORK_FORMS}`, least, NETWORKS_MAX);
}
