/**
 * IP addresses as text, as bytes on the wire, and as numbers: four words of 32 bits, of which an IPv4 address takes the last. One text for
 * each address, the same everywhere it is shown or compared: RFC 5952, and IPv4 for what is mapped into IPv6.
 */

/** Reads `text` into `out` (4 words). 4 or 6: the family; an IPv4-mapped IPv6 address is IPv4. 0: no address, `out` is undefined. */
export function readAddress(text: string, out: Uint32Array): 0 | 4 | 6 {
  const { length } = text;
  let colon = false;
  for (let i = 0; i < length && !colon; i++) colon = text.charCodeAt(i) === COLON;
  if (!colon) {
    const word = readIpv4(text, 0, length);
    if (word < 0) return 0;
    out[0] = out[1] = 0;
    out[2] = 0;
    out[3] = word;
    return 4;
  }
  if (!readIpv6(text, out)) return 0;
  if (out[0] !== 0 || out[1] !== 0 || out[2] !== 0xffff) return 6;
  out[2] = 0;
  return 4;
}

const COLON = 0x3a;
const DOT = 0x2e;

/** The address in text[start, end), or -1. */
function readIpv4(text: string, start: number, end: number): number {
  let word = 0;
  let part = 0;
  let digits = 0;
  let parts = 0;
  for (let i = start; i <= end; i++) {
    const code = i < end ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (digits === 0 || part > 255 || parts === 4) return -1;
      word = word * 256 + part;
      parts++;
      part = 0;
      digits = 0;
    } else {
      if (code < 0x30 || code > 0x39 || digits === 3) return -1;
      part = part * 10 + code - 0x30;
      digits++;
    }
  }
  return parts === 4 ? word : -1;
}

const groups = new Uint16Array(8);

function readIpv6(text: string, out: Uint32Array): boolean {
  const { length } = text;
  let count = 0;
  /** Groups in front of "::", or -1. */
  let gap = -1;
  let i = 0;
  if (length >= 2 && text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    i = 2;
  }
  while (i < length) {
    if (count === 8) return false;
    let value = 0;
    let digits = 0;
    const start = i;
    for (; i < length; i++) {
      const digit = hexValue(text.charCodeAt(i));
      if (digit < 0) break;
      if (++digits > 4) return false;
      value = value * 16 + digit;
    }
    if (i < length && text.charCodeAt(i) === DOT) {
      const word = readIpv4(text, start, length);
      if (word < 0 || count > 6) return false;
      groups[count++] = word >>> 16;
      groups[count++] = word & 0xffff;
      break;
    }
    if (digits === 0) return false;
    groups[count++] = value;
    if (i === length) break;
    if (text.charCodeAt(i) !== COLON) return false;
    i++;
    if (i < length && text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false;
      gap = count;
      i++;
    } else if (i === length) return false;
  }
  if (gap < 0 ? count !== 8 : count > 7) return false;
  const moved = 8 - count;
  for (let word = 0; word < 4; word++)
    out[word] = ((groupAt(2 * word, gap, count, moved) << 16) | groupAt(2 * word + 1, gap, count, moved)) >>> 0;
  return true;
}

/** Group `index` of the whole address: those behind the gap stand `moved` places further on. */
function groupAt(index: number, gap: number, count: number, moved: number): number {
  if (gap < 0 || index < gap) return groups[index]!;
  return index < gap + moved ? 0 : groups[index - moved < count ? index - moved : 0]!;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** The 4 bytes from `at` on as text. */
export function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** The 16 bytes from `at` on as text: the longest run of zero groups, if longer than one, becomes `::`. RFC 5952, section 4.2. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  let mapped = bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
  for (let i = 0; i < 10 && mapped; i++) mapped = bytes[at + i] === 0;
  if (mapped) return ipv4Text(bytes, at + 12);
  let best = -1;
  let bestRun = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && bytes[at + 2 * (i + run)] === 0 && bytes[at + 2 * (i + run) + 1] === 0) run++;
    if (run > bestRun) {
      best = i;
      bestRun = run;
    }
    if (run > 0) i += run - 1;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      text += '::';
      i += bestRun - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += ((bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!).toString(16);
  }
  return text;
}

const words = new Uint32Array(4);

/** Writes the address in `text` at `at`, in network order. Its bytes: 4, 16, or 0 for what is no address. */
export function writeAddress(text: string, to: Uint8Array, at: number): 0 | 4 | 16 {
  const family = readAddress(text, words);
  if (family === 0) return 0;
  const first = family === 4 ? 3 : 0;
  for (let word = first, place = at; word < 4; word++, place += 4) {
    const value = words[word]!;
    to[place] = value >>> 24;
    to[place + 1] = value >>> 16;
    to[place + 2] = value >>> 8;
    to[place + 3] = value;
  }
  return family === 4 ? 4 : 16;
}
