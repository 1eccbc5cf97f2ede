/**
 * Which bytes may stand where in HTTP/1, as tables of 256 entries: one load decides, whatever the byte.
 * Owns character classes and nothing about messages.
 */

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;

/**
 * tchar, RFC 9110, section 5.6.2. A token's byte maps to itself in lower case, every other byte to 0: validity and case folding in one load.
 */
export const TOKEN = new Uint8Array(256);

/**
 * What a field value is made of, RFC 9110, section 5.5: VCHAR, obs-text, SP and HTAB map to 1, everything else (controls, DEL) to 0.
 * A reason phrase and the inside of a quoted string use the same set.
 */
export const FIELD_TEXT = new Uint8Array(256);

/** Plain byte of a request target. */
export const TARGET_PLAIN = 1;
/** "?": the path ends here. */
export const TARGET_QUESTION = 2;
/** "%": two hexadecimal digits follow in a path. */
export const TARGET_PERCENT = 3;
/**
 * Bytes of a request target: 0 may not appear. Wider than RFC 3986 by what browsers send unescaped (`"<>\^{|}` and the back quote);
 * never a space, a control, a byte from 0x80, or "#", since a fragment is not sent.
 */
export const TARGET = new Uint8Array(256);

/** Bytes of a host name: letters, digits, "-", "_", "~" are 1, "." is 2. Narrower than reg-name: no name in DNS has more. */
export const HOST_NAME = new Uint8Array(256);
export const HOST_DOT = 2;

/** Value of a hexadecimal digit, 255 for every other byte. */
export const HEX = new Uint8Array(256).fill(255);

for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(byte);
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(character)) TOKEN[byte] = character.toLowerCase().charCodeAt(0);
  if ((byte >= 0x20 && byte !== 0x7f) || byte === HTAB) FIELD_TEXT[byte] = 1;
  if (byte > 0x20 && byte < 0x7f && character !== '#') TARGET[byte] = TARGET_PLAIN;
  if (/^[0-9A-Za-z_~-]$/.test(character)) HOST_NAME[byte] = 1;
  if (/^[0-9A-Fa-f]$/.test(character)) HEX[byte] = Number.parseInt(character, 16);
}
TARGET[0x3f] = TARGET_QUESTION;
TARGET[0x25] = TARGET_PERCENT;
HOST_NAME[0x2e] = HOST_DOT;
