/**
 * A distinguished name as text: RFC 4514, with what is not plain ASCII as hex pairs, so that it may stand in a header field, a log line or a
 * configuration. The same text as `openssl x509 -nameopt RFC2253`. Pure.
 */
import { DER_OID, DER_SEQUENCE, DER_SET, DerReader, hexText, oidText } from './der.ts';

/** Attributes of a name that are written out; more is malformed. */
const ATTRIBUTES_MAX = 64;

const COMMON_NAME = '2.5.4.3';
const TYPE_NAMES: Readonly<Record<string, string>> = Object.freeze({
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.42': 'GN',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
});

const UTF8_STRING = 0x0c;
const PRINTABLE_STRING = 0x13;
const TELETEX_STRING = 0x14;
const IA5_STRING = 0x16;
const NUMERIC_STRING = 0x12;
const UNIVERSAL_STRING = 0x1c;
const BMP_STRING = 0x1e;

/** The text of the Name (a SEQUENCE, header and all) in `bytes[at, end)`: last attribute first, as RFC 4514 wants. Null when it is malformed. */
export function nameText(bytes: Uint8Array, at: number, end: number): string | null {
  const outer = new DerReader(bytes, at, end);
  if (!outer.take(DER_SEQUENCE) || !outer.isAtEnd) return null;
  const sets = outer.inside();
  const parts: string[] = [];
  let count = 0;
  while (sets.next()) {
    if (sets.tag !== DER_SET || sets.start === sets.stop) return null;
    const set = sets.inside();
    const attributes: string[] = [];
    while (set.next()) {
      const text = set.tag === DER_SEQUENCE && ++count <= ATTRIBUTES_MAX ? attributeText(set.inside()) : null;
      if (text === null) return null;
      attributes.push(text);
    }
    if (set.failed) return null;
    parts.push(attributes.reverse().join('+'));
  }
  return sets.failed ? null : parts.reverse().join(',');
}

/** The common name in the Name `bytes`, the last where there are several; null when there is none that is a string. */
export function commonName(bytes: Uint8Array): string | null {
  const outer = new DerReader(bytes, 0, bytes.length);
  if (!outer.take(DER_SEQUENCE)) return null;
  const sets = outer.inside();
  let found: string | null = null;
  while (sets.next()) {
    const set = sets.inside();
    while (set.next()) {
      const pair = set.inside();
      if (!pair.take(DER_OID) || oidText(pair.bytes, pair.start, pair.stop) !== COMMON_NAME || !pair.next()) continue;
      found = stringBytes(pair)?.toString('utf8') ?? found;
    }
  }
  return found;
}

function attributeText(pair: DerReader): string | null {
  if (!pair.take(DER_OID)) return null;
  const type = oidText(pair.bytes, pair.start, pair.stop);
  if (type === '' || !pair.next() || !pair.isAtEnd || pair.failed) return null;
  const name = TYPE_NAMES[type];
  const value = name === undefined ? null : stringBytes(pair);
  // RFC 4514, section 2.4: what has no name, or is no string, goes as its encoding.
  return value === null ? `${name ?? type}=#${hexText(pair.whole()).toUpperCase()}` : `${name}=${escaped(value)}`;
}

/** UTF-8 of the string read last; null when it is none, or malformed. */
function stringBytes({ bytes, tag, start, stop }: DerReader): Buffer | null {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start);
  switch (tag) {
    case UTF8_STRING:
    case PRINTABLE_STRING:
    case IA5_STRING:
    case NUMERIC_STRING:
      return raw;
    case TELETEX_STRING:
      return Buffer.from(raw.latin1Slice(), 'utf8');
    case BMP_STRING:
      return raw.length % 2 === 0 ? Buffer.from(Buffer.from(raw).swap16().toString('utf16le'), 'utf8') : null;
    case UNIVERSAL_STRING: {
      if (raw.length % 4 !== 0) return null;
      let text = '';
      for (let i = 0; i < raw.length; i += 4) {
        const point = raw.readUInt32BE(i);
        if (point > 0x10ffff) return null;
        text += String.fromCodePoint(point);
      }
      return Buffer.from(text, 'utf8');
    }
    default:
      return null;
  }
}

/** Of each byte whether it may stand for itself, wherever it is. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte > 0x20 && byte <= 0x7e && !',+"\\<>;#'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

/** RFC 4514, section 2.4. */
function escaped(value: Buffer): string {
  if (value.every((byte) => PLAIN[byte] === 1)) return value.latin1Slice();
  let text = '';
  const last = value.length - 1;
  for (let i = 0; i <= last; i++) {
    const byte = value[i]!;
    const char = String.fromCharCode(byte);
    if (byte < 0x20 || byte > 0x7e) text += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    else if (',+"\\<>;'.includes(char) || (byte === 0x20 && (i === 0 || i === last)) || (byte === 0x23 && i === 0)) text += `\\${char}`;
    else text += char;
  }
  return text;
}
