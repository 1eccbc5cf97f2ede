/**
 * HalfSipHash-2-4 with a 64-bit result (Aumasson and Bernstein, https://github.com/veorq/SipHash): a keyed hash of a few words. Who does not
 * know the key cannot choose inputs that meet.
 */

/** Hashes the first `count` words of `message` with the 64-bit key `k0`, `k1` into `out[0]` and `out[1]`. */
export function halfSipHash(k0: number, k1: number, message: ArrayLike<number>, count: number, out: Int32Array): void {
  let v0 = k0;
  let v1 = k1 ^ 0xee;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  // Two rounds a word, the last of which is the length in bytes; then four and four that end it.
  for (let round = -2 * (count + 1); round < 8; round++) {
    const index = count + 1 + (round >> 1);
    const word = round >= 0 ? 0 : index < count ? message[index]! : count << 26;
    if (round < 0 && (round & 1) === 0) v3 ^= word;
    else if (round === 0) v2 ^= 0xee;
    else if (round === 4) {
      out[0] = v1 ^ v3;
      v1 ^= 0xdd;
    }
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round < 0 && (round & 1) !== 0) v0 ^= word;
  }
  out[1] = v1 ^ v3;
}
