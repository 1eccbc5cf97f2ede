/**
 * Networks with a verdict each; the longest prefix that holds an address decides. Built once from canonical text, then only read.
 *
 * Nested networks are flattened into ranges that do not overlap, sorted: a look-up is a binary search (17 steps for 100,000 networks), and
 * memory is one or four words and a byte a range.
 */
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

export class NetworkList {
  readonly #v4: Ranges;
  readonly #v6: Ranges;
  readonly #words = new Uint32Array(4);

  /** Throws RangeError for what is no network. */
  constructor(entries: readonly NetworkEntry[]) {
    const v4: Range[] = [];
    const v6: Range[] = [];
    for (const { network, verdict } of entries) {
      const slash = network.indexOf('/');
      const prefix = Number(network.slice(slash + 1));
      const family = slash < 0 ? 0 : readAddress(network.slice(0, slash), this.#words);
      // A mapped network is written as IPv6 with its 96 bits in front.
      const isV4 = family === 4;
      const bits = isV4 ? 32 : 128;
      const own = isV4 && network.includes(':') ? prefix - 96 : prefix;
      if (family === 0 || !(own >= 0 && own <= bits)) throw new RangeError(`no network: ${network.slice(0, 60)}`);
      const [a, b, c, d] = this.#words as unknown as [number, number, number, number];
      const start = isV4 ? BigInt(d) : (BigInt(a) << 96n) | (BigInt(b) << 64n) | (BigInt(c) << 32n) | BigInt(d);
      const size = 1n << BigInt(bits - own);
      (isV4 ? v4 : v6).push({ start: start - (start % size), end: start - (start % size) + size - 1n, prefix: own, verdict });
    }
    this.#v4 = flatten(v4, 1);
    this.#v6 = flatten(v6, 4);
  }

  /** Verdict for an address as text; 0: in no network, or no address. */
  lookUp(address: string): number {
    const family = readAddress(address, this.#words);
    if (family === 0) return 0;
    return family === 4 ? find4(this.#v4, this.#words[3]!) : find6(this.#v6, this.#words);
  }

  /** Bytes the ranges take. */
  get bytes(): number {
    return [this.#v4, this.#v6].reduce((sum, ranges) => sum + ranges.starts.byteLength + ranges.verdicts.byteLength, 0);
  }
}

/** Where ranges begin (most significant word first), and the verdict from there to the next one's beginning. */
interface Ranges {
  readonly starts: Uint32Array;
  readonly verdicts: Uint8Array;
  readonly count: number;
}

function flatten(ranges: Range[], words: 1 | 4): Ranges {
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
  const packed = new Uint32Array(starts.length * words);
  starts.forEach((start, i) => {
    for (let word = 0; word < words; word++) packed[i * words + word] = Number((start >> BigInt(32 * (words - 1 - word))) & 0xffffffffn);
  });
  return { starts: packed, verdicts: Uint8Array.from(verdicts), count: starts.length };
}

function find4({ starts, verdicts, count }: Ranges, address: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : verdicts[low - 1]!;
}

function find6({ starts, verdicts, count }: Ranges, words: Uint32Array): number {
  let low = 0;
  let high = count;
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
