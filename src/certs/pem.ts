/**
 * PEM blocks as bytes (RFC 7468): finds them without turning a file into a string, since the file may hold a private key.
 */

export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`, ... */
  readonly label: string;
  /** The block with its two boundary lines, a view of the bytes searched. */
  readonly bytes: Buffer;
}

/** Boundaries are looked for on short lines only. */
const LABEL_BYTES_MAX = 64;

const BEGIN = Buffer.from('-----BEGIN ');
const END = Buffer.from('-----END ');
const DASHES = Buffer.from('-----');

/** The blocks of `bytes` in their order; what stands around them is passed over. A block without an end gives `undefined` as the last entry. */
export function pemBlocks(bytes: Buffer): readonly (PemBlock | undefined)[] {
  const blocks: (PemBlock | undefined)[] = [];
  let at = 0;
  for (;;) {
    const begin = bytes.indexOf(BEGIN, at);
    if (begin < 0) return blocks;
    const labelAt = begin + BEGIN.length;
    const labelEnd = bytes.indexOf(DASHES, labelAt);
    const end = labelEnd < 0 ? -1 : bytes.indexOf(END, labelEnd);
    if (end < 0 || labelEnd - labelAt > LABEL_BYTES_MAX) return [...blocks, undefined];
    const endLabel = end + END.length;
    const close = bytes.indexOf(DASHES, endLabel);
    if (close < 0 || bytes.compare(bytes, endLabel, close, labelAt, labelEnd) !== 0) return [...blocks, undefined];
    at = close + DASHES.length;
    blocks.push({ label: bytes.toString('latin1', labelAt, labelEnd), bytes: bytes.subarray(begin, at) });
  }
}

/** Of each byte its value in base64 (RFC 4648, section 4), white space, or neither. */
const SPACE = 64;
const NONE = 65;
const SEXTETS = new Uint8Array(256).fill(NONE);
for (const [i, digit] of [...Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')].entries()) SEXTETS[digit] = i;
for (const space of Buffer.from(' \t\r\n')) SEXTETS[space] = SPACE;
const PADDING = 0x3d;

/**
 * What a block holds, in memory of its own: no byte of it was ever text. Empty when that is no base64, strictly: a library that is given the
 * block must not find in it what was not found here.
 */
export function derOf({ label, bytes }: PemBlock): Buffer {
  const end = bytes.length - END.length - label.length - DASHES.length;
  const der = Buffer.alloc(Math.ceil(((end - BEGIN.length - label.length - DASHES.length) * 3) / 4));
  let length = 0;
  let digits = 0;
  let padding = 0;
  let bits = 0;
  for (let i = BEGIN.length + label.length + DASHES.length; i < end; i++) {
    const sextet = SEXTETS[bytes[i]!]!;
    if (sextet === SPACE) continue;
    if (bytes[i] === PADDING) padding++;
    else if (sextet === NONE || padding > 0) return Buffer.alloc(0);
    digits++;
    bits = (bits << 6) | (sextet & 63);
    if ((digits & 3) !== 0) continue;
    der[length++] = bits >> 16;
    der[length++] = bits >> 8;
    der[length++] = bits;
    bits = 0;
  }
  if ((digits & 3) !== 0 || padding > 2) return Buffer.alloc(0);
  return der.subarray(0, length - padding);
}

/** `blocks` one after the other, a line each end: into `all`, from `at` on; by itself, in memory of its own. */
export function joinPem(blocks: readonly PemBlock[], all: Buffer = Buffer.alloc(joinedBytes(blocks)), from = 0): Buffer {
  let at = from;
  for (const { bytes } of blocks) {
    all.set(bytes, at);
    at += bytes.length;
    all[at++] = 0x0a;
  }
  return all.subarray(from, at);
}

export function joinedBytes(blocks: readonly PemBlock[]): number {
  return blocks.reduce((sum, { bytes }) => sum + bytes.length + 1, 0);
}
