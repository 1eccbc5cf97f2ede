/**
 * A path as servers understand it: percent-encodings decoded (once), empty segments and `.` left out, `..` resolved. RFC 3986, section 6.2.2.
 * For choosing a route alone; nothing written here is ever sent.
 */

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;

/** Whether the path in `buf[start, end)` (up to a "?") is in this form already: nearly all are. */
export function isNormalPath(buf: Uint8Array, start: number, end: number): boolean {
  let before = 0;
  for (let i = start; i < end; i++) {
    const byte = buf[i]!;
    if (byte === QUESTION) return true;
    if (byte === PERCENT || byte === BACKSLASH) return false;
    if (before === SLASH && (byte === SLASH || byte === DOT)) return false;
    before = byte;
  }
  return true;
}

/**
 * Writes the path in `buf[start, end)` (up to a "?") into `out`, which has room for as many bytes. Percent signs that no two hexadecimal
 * digits follow stand for themselves. `%2F` becomes a slash, and so does a backslash: some servers see one, and a rule must hold for them.
 * Returns the length.
 */
export function writeNormalPath(out: Uint8Array, buf: Uint8Array, start: number, end: number): number {
  let decoded = 0;
  for (let i = start; i < end && buf[i] !== QUESTION; i++) {
    let byte = buf[i]!;
    if (byte === PERCENT && i + 2 < end) {
      const high = hexValue(buf[i + 1]!);
      const low = hexValue(buf[i + 2]!);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        i += 2;
      }
    }
    out[decoded++] = byte === BACKSLASH ? SLASH : byte;
  }
  const isRooted = decoded > 0 && out[0] === SLASH;
  let to = 0;
  let at = 0;
  while (at < decoded) {
    if (out[at] === SLASH) at++;
    const from = at;
    while (at < decoded && out[at] !== SLASH) at++;
    const length = at - from;
    const isLast = at >= decoded;
    if (length === 2 && out[from] === DOT && out[from + 1] === DOT) {
      while (to > 0 && out[to - 1] !== SLASH) to--;
      if (to > 0) to--;
      if (isLast) out[to++] = SLASH;
    } else if (length === 0 || (length === 1 && out[from] === DOT)) {
      if (isLast) out[to++] = SLASH;
    } else {
      if (isRooted || to > 0) out[to++] = SLASH;
      for (let i = 0; i < length; i++) out[to++] = out[from + i]!;
    }
  }
  return to;
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
