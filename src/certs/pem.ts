/**
 * PEM blocks as bytes (RFC 7468): finds them without turning a file into a string, since the file may hold a private key.
 * Does not decode them.
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
    if (close < 0 || !bytes.subarray(labelAt, labelEnd).equals(bytes.subarray(endLabel, close))) return [...blocks, undefined];
    at = close + DASHES.length;
    blocks.push({ label: bytes.toString('latin1', labelAt, labelEnd), bytes: bytes.subarray(begin, at) });
  }
}

/** `blocks` one after the other, a line each end, in memory of its own. */
export function joinPem(blocks: readonly PemBlock[]): Buffer {
  const joined = Buffer.alloc(blocks.reduce((sum, block) => sum + block.bytes.length + 1, 0));
  let at = 0;
  for (const { bytes } of blocks) {
    joined.set(bytes, at);
    at += bytes.length;
    joined[at++] = 0x0a;
  }
  return joined;
}
