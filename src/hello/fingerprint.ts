/**
 * Fingerprints of a client, computed from its hello: JA4 (FoxIO, the TLS client part) and JA3 (Salesforce). They tell programs apart, not
 * people. Cold: a hash is worth its time only where it is written down.
 */
import { createHash } from 'node:crypto';
import type { ClientHello } from './client-hello.ts';
import { isGrease } from './names.ts';

const EXTENSION_SERVER_NAME = 0x0000;
const EXTENSION_ALPN = 0x0010;
const HASH_CHARACTERS = 12;
const NOTHING = '0'.repeat(HASH_CHARACTERS);
const COUNT_MAX = 99;

/** JA4 over TCP, as `t13d1516h2_8daaf6152771_e5627efa2ab1`. */
export function ja4(hello: ClientHello): string {
  const suites = values(hello.suites, hello.suiteCount).map(hex).sort();
  const types = values(hello.extensions, hello.extensionCount);
  const extensions = types
    .filter((type) => type !== EXTENSION_SERVER_NAME && type !== EXTENSION_ALPN)
    .map(hex)
    .sort();
  const schemes = values(hello.schemes, hello.schemeCount).map(hex);
  const name = types.includes(EXTENSION_SERVER_NAME) ? 'd' : 'i';
  const head = `t${version(hello)}${name}${counted(suites.length)}${counted(types.length)}${protocol(hello)}`;
  const signed = schemes.length === 0 ? '' : `_${schemes.join(',')}`;
  return `${head}_${hash(suites.join(','))}_${extensions.length === 0 ? NOTHING : hash(`${extensions.join(',')}${signed}`)}`;
}

/** JA3: the MD5 of the hello's numbers in the client's order. */
export function ja3(hello: ClientHello): string {
  return createHash('md5').update(ja3Text(hello)).digest('hex');
}

/** What JA3 hashes. */
export function ja3Text(hello: ClientHello): string {
  const lists = [
    values(hello.suites, hello.suiteCount),
    values(hello.extensions, hello.extensionCount),
    values(hello.groups, hello.groupCount),
    Array.from(hello.pointFormats.subarray(0, hello.pointFormatCount)),
  ];
  return [hello.legacyVersion, ...lists.map((list) => list.join('-'))].join(',');
}

/** The highest version that supported_versions lists, else the hello's own. */
function version(hello: ClientHello): string {
  const highest = hello.versionsListed ? Math.max(0, ...values(hello.versions, hello.versionCount)) : hello.legacyVersion;
  switch (highest) {
    case 0x0304:
      return '13';
    case 0x0303:
      return '12';
    case 0x0302:
      return '11';
    case 0x0301:
      return '10';
    case 0x0300:
      return 's3';
    case 0x0002:
      return 's2';
    default:
      return '00';
  }
}

/** First and last character of the first protocol; of its hexadecimal form when one of them is no letter or digit. */
function protocol(hello: ClientHello): string {
  if (hello.alpnCount === 0) return '00';
  const first = hello.alpn.subarray(hello.alpnStarts[0], hello.alpnEnds[0]);
  const ends = String.fromCharCode(first[0]!, first.at(-1)!);
  if (/^[0-9A-Za-z]{2}$/.test(ends)) return ends;
  const text = first.toString('hex');
  return `${text[0]}${text.at(-1)}`;
}

function values(list: Uint16Array, count: number): number[] {
  return Array.from(list.subarray(0, count)).filter((value) => !isGrease(value));
}

function hex(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function counted(count: number): string {
  return String(Math.min(count, COUNT_MAX)).padStart(2, '0');
}

function hash(text: string): string {
  return text === '' ? NOTHING : createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);
}
