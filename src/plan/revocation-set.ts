/**
 * The serial numbers that one issuer has revoked, as one block of memory that the supervisor fills once and every worker reads: pure
 * arithmetic on 32-bit words. Serials stand in buckets by a hash of theirs, so a look-up reads one bucket of some four rows, whatever the
 * length of the list. A million serials of 16 bytes take 17 MB.
 *
 *   header | rows of `width` words, bucket after bucket | where each bucket begins, and the last ends
 *
 * A row is the serial number as a big-endian number of `width` words. Whoever publishes a list holds the issuer's key: nobody else can
 * choose what falls into one bucket.
 */
import { assert } from '../base/assert.ts';

const MAGIC = 0x7467_7273;
const LAYOUT = 1;
const H_MAGIC = 0;
const H_LAYOUT = 1;
const H_ENTRIES = 2;
/** Words of a row. */
const H_WIDTH = 3;
const H_BUCKET_BITS = 4;
/** Word at which the buckets' table begins. */
const H_BUCKETS_AT = 5;
const HEADER_WORDS = 16;
/** Longest serial number (RFC 5280, section 4.1.2.2), in words. */
const WIDTH_MAX = 5;
const WORD_BYTES = 4;
/** Rows a bucket has on average: between half of this and this. */
const ROWS_PER_BUCKET = 4;
const BUCKET_BITS_MAX = 24;

/** Most entries of one list. */
export const REVOKED_ENTRIES_MAX = 8_000_000;

function bucketBitsFor(entries: number): number {
  let bits = 0;
  while (bits < BUCKET_BITS_MAX && ROWS_PER_BUCKET * 2 ** bits < entries) bits++;
  return bits;
}

/** Memory that `entries` of any length fit into while a set is made. Bytes. */
export function revocationSetBytesMax(entries: number): number {
  return WORD_BYTES * (HEADER_WORDS + entries * WIDTH_MAX + 2 ** bucketBitsFor(entries) + 1);
}

function mix(words: Uint32Array, at: number, width: number): number {
  let hash = 0x2545_f491;
  for (let i = 0; i < width; i++) {
    hash = Math.imul(hash ^ words[at + i]!, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Fills a set, in place: nothing else is allocated that grows with the list, but for a table of the buckets. */
export class RevocationSetBuilder {
  readonly #words: Uint32Array;
  readonly #entriesMax: number;
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }
  #width = 1;

  /** `memory`: zeroed, revocationSetBytesMax(entriesMax) bytes. */
  constructor(memory: ArrayBuffer, entriesMax: number) {
    assert(entriesMax <= REVOKED_ENTRIES_MAX && memory.byteLength >= revocationSetBytesMax(entriesMax), 'memory for every entry');
    this.#words = new Uint32Array(memory);
    this.#entriesMax = entriesMax;
  }

  /** Adds a serial number, `bytes[start, end)` without leading zeros; one that is too long for a certificate is passed over. */
  add(bytes: Uint8Array, start: number, end: number): void {
    if (end - start > WIDTH_MAX * WORD_BYTES) return;
    assert(this.#entries < this.#entriesMax, 'entries within bounds');
    const at = HEADER_WORDS + this.#entries++ * WIDTH_MAX;
    this.#width = Math.max(this.#width, wordsOf(this.#words, at, WIDTH_MAX, bytes, start, end));
  }

  /** Puts every row into its bucket and writes the header. Returns the bytes used, from the memory's beginning. */
  finish(): number {
    const words = this.#words;
    const width = this.#width;
    const entries = this.#entries;
    this.#narrow();
    const bits = bucketBitsFor(entries);
    const buckets = 2 ** bits;
    const shift = 32 - bits;
    const next = new Uint32Array(buckets + 1);
    for (let i = 0, at = HEADER_WORDS; i < entries; i++, at += width) next[bucketOf(words, at, width, shift) + 1]!++;
    const bucketsAt = HEADER_WORDS + entries * width;
    let sum = 0;
    for (let b = 0; b <= buckets; b++) {
      sum += next[b]!;
      next[b] = sum;
      words[bucketsAt + b] = sum;
    }
    // Each swap puts one row where it belongs.
    for (let b = 0; b < buckets; b++) {
      const end = words[bucketsAt + b + 1]!;
      while (next[b]! < end) {
        const at = HEADER_WORDS + next[b]! * width;
        const home = bucketOf(words, at, width, shift);
        const place = next[home]!++;
        if (home !== b) swap(words, at, HEADER_WORDS + place * width, width);
      }
    }
    words[H_MAGIC] = MAGIC;
    words[H_LAYOUT] = LAYOUT;
    words[H_ENTRIES] = entries;
    words[H_WIDTH] = width;
    words[H_BUCKET_BITS] = bits;
    words[H_BUCKETS_AT] = bucketsAt;
    return WORD_BYTES * (bucketsAt + buckets + 1);
  }

  /** Rows were written as wide as any; most issuers need less. */
  #narrow(): void {
    const words = this.#words;
    const width = this.#width;
    if (width === WIDTH_MAX) return;
    for (let i = 0, to = HEADER_WORDS; i < this.#entries; i++, to += width) {
      const from = HEADER_WORDS + i * WIDTH_MAX + WIDTH_MAX - width;
      for (let k = 0; k < width; k++) words[to + k] = words[from + k]!;
    }
  }
}

/** A finished set, read. Allocates nothing after it is made. */
export class RevocationSet {
  readonly entries: number;
  readonly #words: Uint32Array;
  readonly #width: number;
  readonly #shift: number;
  readonly #bucketsAt: number;
  readonly #row = new Uint32Array(WIDTH_MAX);

  /** Throws an Error when `memory` holds no set of this layout. */
  constructor(memory: ArrayBuffer) {
    const words = new Uint32Array(memory, 0, Math.floor(memory.byteLength / WORD_BYTES));
    if (words.length < HEADER_WORDS || words[H_MAGIC] !== MAGIC || words[H_LAYOUT] !== LAYOUT) throw new Error('not a revocation set');
    const entries = words[H_ENTRIES]!;
    const width = words[H_WIDTH]!;
    const bits = words[H_BUCKET_BITS]!;
    const bucketsAt = words[H_BUCKETS_AT]!;
    const sound = width >= 1 && width <= WIDTH_MAX && bits <= BUCKET_BITS_MAX && bucketsAt === HEADER_WORDS + entries * width;
    if (!sound || words.length < bucketsAt + 2 ** bits + 1) throw new Error('a revocation set that is cut short');
    this.entries = entries;
    this.#words = words;
    this.#width = width;
    this.#shift = 32 - bits;
    this.#bucketsAt = bucketsAt;
  }

  /** Whether `serial` (big-endian, without leading zeros) is in the list. */
  has(serial: Uint8Array): boolean {
    const words = this.#words;
    const width = this.#width;
    const row = this.#row;
    if (serial.length > width * WORD_BYTES) return false;
    row.fill(0);
    wordsOf(row, 0, width, serial, 0, serial.length);
    const bucket = this.#bucketsAt + bucketOf(row, 0, width, this.#shift);
    const end = HEADER_WORDS + words[bucket + 1]! * width;
    for (let at = HEADER_WORDS + words[bucket]! * width; at < end; at += width) {
      let i = 0;
      while (i < width && words[at + i] === row[i]) i++;
      if (i === width) return true;
    }
    return false;
  }
}

function bucketOf(words: Uint32Array, at: number, width: number, shift: number): number {
  return shift === 32 ? 0 : mix(words, at, width) >>> shift;
}

/** Writes a number of bytes as `width` words that are zero before; returns the words it needs. */
function wordsOf(words: Uint32Array, at: number, width: number, bytes: Uint8Array, start: number, end: number): number {
  let word = at + width - 1;
  for (let i = end; i > start; i -= WORD_BYTES) {
    let value = bytes[i - 1]!;
    if (i - 2 >= start) value |= bytes[i - 2]! << 8;
    if (i - 3 >= start) value |= bytes[i - 3]! << 16;
    if (i - 4 >= start) value |= bytes[i - 4]! << 24;
    words[word--] = value;
  }
  return Math.ceil((end - start) / WORD_BYTES);
}

function swap(words: Uint32Array, one: number, other: number, width: number): void {
  for (let i = 0; i < width; i++) {
    const word = words[one + i]!;
    words[one + i] = words[other + i]!;
    words[other + i] = word;
  }
}
