/**
 * Private keys from DER to PEM without ever being a string: strings cannot be zeroed, buffers can. RFC 7468.
 */

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
const NEWLINE = 0x0a;
const LINE_CHARACTERS = 64;

/** PEM of a PKCS #8 key, in memory of its own; the caller zeroes both. */
export function keyPem(pkcs8: Uint8Array): Buffer {
  const head = Buffer.from('-----BEGIN PRIVATE KEY-----\n');
  const tail = Buffer.from('-----END PRIVATE KEY-----\n');
  const characters = Math.ceil(pkcs8.length / 3) * 4;
  const pem = Buffer.alloc(head.length + characters + Math.ceil(characters / LINE_CHARACTERS) + tail.length);
  let at = head.copy(pem);
  let column = 0;
  for (let from = 0; from < pkcs8.length; from += 3) {
    const left = pkcs8.length - from;
    const triple = (pkcs8[from]! << 16) | ((pkcs8[from + 1] ?? 0) << 8) | (pkcs8[from + 2] ?? 0);
    pem[at++] = ALPHABET[triple >> 18]!;
    pem[at++] = ALPHABET[(triple >> 12) & 63]!;
    pem[at++] = left > 1 ? ALPHABET[(triple >> 6) & 63]! : PADDING;
    pem[at++] = left > 2 ? ALPHABET[triple & 63]! : PADDING;
    column += 4;
    if (column === LINE_CHARACTERS || left <= 3) {
      pem[at++] = NEWLINE;
      column = 0;
    }
  }
  tail.copy(pem, at);
  return pem;
}
