/** CRC-32C (Castagnoli), RFC 3720, appendix B.4: polynomial 0x1edc6f41, bits reflected. */

const table = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  table[byte] = value >>> 0;
}

/** Begins a sum, or goes on with one that bytes were taken into already. */
export function crc32c(bytes: Uint8Array, start: number, end: number, before = 0): number {
  let sum = ~before;
  for (let i = start; i < end; i++) sum = table[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}
