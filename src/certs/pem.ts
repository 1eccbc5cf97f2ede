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

/** What a block that is no secret holds; what is no base64 in it is passed over. */
export function derOf({ label, bytes }: PemBlock): Uint8Array {
  const from = BEGIN.length + label.length + DASHES.length;
  return Buffer.from(bytes.latin1Slice(from, bytes.length - from + 2), 'base64');
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
