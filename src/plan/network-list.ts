/**
 * Networks with a verdict each; the longest prefix that holds an address decides. Made once from canonical text, then only read: one block of
 * bytes, so that who made it can hand it to who looks up.
 *
 * Nested networks are flattened into ranges that do not overlap, sorted: a look-up is a binary search (17 steps for 100,000 networks), and
 * memory is one or four words and a byte a range.
 *
 *   words: ranges of IPv4 | ranges of IPv6 | where each of IPv4 begins | where each of IPv6 begins, four words, the most significant first
 *   bytes: the verdict from there to the next one's beginning, of IPv4 | of IPv6
 */
import { assert } from '../base/assert.ts';
import { readAddress } from '../base/ip-address.ts';

export interface NetworkEntry {
  /** `192.0.2.0/24`, `2001:db8::/32`, as the configuration's checks write it. */
  readonly network: string;
  /** 1 to 255. Of equal networks the larger verdict wins. */
  readonly verdict: number;
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
  readonly prefix: number;
  readonly verdict: number;
}

const HEADER_WORDS = 2;
const WORD_BYTES = 4;

/** A list of `entries`, as NetworkList reads it. Throws RangeError for what is no network. */
export function packNetworks(entries: readonly NetworkEntry[]): ArrayBuffer {
  const v4: Range[] = [];
  const v6: Range[] = [];
  const words = new Uint32Array(4);
  for (const { network, verdict } of entries) {
    const slash = network.indexOf('/');
    const prefix = Number(network.slice(slash + 1));
    const family = slash < 0 ? 0 : readAddress(network.slice(0, slash), words);
    // A mapped network is written as IPv6 with its 96 bits in front.
    const isV4 = family === 4;
    const bits = isV4 ? 32 : 128;
    const own = isV4 && network.includes(':') ? prefix - 96 : prefix;
    if (family === 0 || !(own >= 0 && own <= bits)) throw new RangeError(`no network: ${network.slice(0, 60)}`);
    const [a, b, c, d] = words as unknown as [number, number, number, number];
    const start = isV4 ? BigInt(d) : (BigInt(a) << 96n) | (BigInt(b) << 64n) | (BigInt(c) << 32n) | BigInt(d);
    const size = 1n << BigInt(bits - own);
    (isV4 ? v4 : v6).push({ start: start - (start % size), end: start - (start % size) + size - 1n, prefix: own, verdict });
  }
  const flat4 = flatten(v4, 1);
  const flat6 = flatten(v6, 4);
  const memory = new ArrayBuffer(bytesOf(flat4.verdicts.length, flat6.verdicts.length));
  new Uint32Array(memory, 0, HEADER_WORDS).set([flat4.verdicts.length, flat6.verdicts.length]);
  const { starts4, starts6, verdicts4, verdicts6 } = new Views(memory);
  pack(flat4.starts, 1, starts4);
  pack(flat6.starts, 4, starts6);
  verdicts4.set(flat4.verdicts);
  verdicts6.set(flat6.verdicts);
  return memory;
}

function bytesOf(count4: number, count6: number): number {
  return WORD_BYTES * (HEADER_WORDS + count4 + 4 * count6) + count4 + count6;
}

class Views {
  readonly starts4: Uint32Array;
  readonly starts6: Uint32Array;
  readonly verdicts4: Uint8Array;
  readonly verdicts6: Uint8Array;

  constructor(memory: ArrayBuffer) {
    const [count4 = 0, count6 = 0] = new Uint32Array(memory, 0, HEADER_WORDS);
    assert(memory.byteLength === bytesOf(count4, count6), 'a list of networks is as long as it says');
    const behind = WORD_BYTES * (HEADER_WORDS + count4 + 4 * count6);
    this.starts4 = new Uint32Array(memory, WORD_BYTES * HEADER_WORDS, count4);
    this.starts6 = new Uint32Array(memory, WORD_BYTES * (HEADER_WORDS + count4), 4 * count6);
    this.verdicts4 = new Uint8Array(memory, behind, count4);
    this.verdicts6 = new Uint8Array(memory, behind + count4, count6);
  }
}

export class NetworkList {
  readonly #views: Views;
  readonly #words = new Uint32Array(4);

  /** `memory`: what packNetworks made, kept. */
  constructor(memory: ArrayBuffer) {
    this.#views = new Views(memory);
  }

  /** Of a few networks that are known here. Throws RangeError for what is no network. */
  static of(entries: readonly NetworkEntry[]): NetworkList {
    return new NetworkList(packNetworks(entries));
  }

  /** Verdict for an address as text; 0: in no network, or no address. */
  lookUp(address: string): number {
    const family = readAddress(address, this.#words);
    if (family === 0) return 0;
    const { starts4, starts6, verdicts4, verdicts6 } = this.#views;
    return family === 4 ? find4(starts4, verdicts4, this.#words[3]!) : find6(starts6, verdicts6, this.#words);
  }
}

/** Ranges that do not overlap, by where they begin. */
interface Flat {
  readonly starts: readonly bigint[];
  readonly verdicts: readonly number[];
}

function flatten(ranges: Range[], words: 1 | 4): Flat {
  // Outer before inner; of equal ones the larger verdict last, so that it covers the other.
  ranges.sort((one, other) =>
    one.start < other.start ? -1 : one.start > other.start ? 1 : one.prefix - other.prefix || one.verdict - other.verdict,
  );
  const starts: bigint[] = [];
  const verdicts: number[] = [];
  const put = (start: bigint, verdict: number): void => {
    const last = starts.length - 1;
    if (last >= 0 && starts[last] === start) verdicts[last] = verdict;
    else if ((verdicts[last] ?? 0) !== verdict) {
      starts.push(start);
      verdicts.push(verdict);
    }
  };
  const open: Range[] = [];
  const closeBefore = (start: bigint | null): void => {
    while (open.length > 0 && (start === null || open[open.length - 1]!.end < start)) {
      const { end } = open.pop()!;
      put(end + 1n, open.at(-1)?.verdict ?? 0);
    }
  };
  for (const range of ranges) {
    closeBefore(range.start);
    put(range.start, range.verdict);
    open.push(range);
  }
  closeBefore(null);
  // The end of the last address of all is no address.
  const limit = 1n << BigInt(words * 32);
  while (starts.length > 0 && starts.at(-1)! >= limit) {
    starts.pop();
    verdicts.pop();
  }
  return { starts, verdicts };
}

function pack(starts: readonly bigint[], words: 1 | 4, into: Uint32Array): void {
  starts.forEach((start, i) => {
    for (let word = 0; word < words; word++) into[i * words + word] = Number((start >> BigInt(32 * (words - 1 - word))) & 0xffffffffn);
  });
}

function find4(starts: Uint32Array, verdicts: Uint8Array, address: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : verdicts[low - 1]!;
}

function find6(starts: Uint32Array, verdicts: Uint8Array, words: Uint32Array): number {
  let low = 0;
  let high = verdicts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAtMost(starts, middle * 4, words)) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : verdicts[low - 1]!;
}

function isAtMost(starts: Uint32Array, at: number, words: Uint32Array): boolean {
  for (let word = 0; word < 4; word++) {
    const one = starts[at + word]!;
    const other = words[word]!;
    if (one !== other) return one < other;
  }
  return true;
}
