/**
 * The field lines of an HTTP/1 head or trailer section, RFC 9112, section 5: one pass, two table loads a byte. Owns the syntax of lines;
 * what a field means is framing.ts's affair.
 */
import {
  FAULT_BARE_CR,
  FAULT_BARE_LF,
  FAULT_FIELD_LINE,
  FAULT_FIELD_NAME,
  FAULT_FIELD_VALUE,
  FAULT_OBS_FOLD,
  FAULT_TOO_MANY_FIELDS,
  NEED_MORE,
} from '../../base/faults.ts';
import { CR, FIELD_TEXT, HTAB, LF, SP, TOKEN } from '../characters.ts';
import { nameIdAt } from '../field-names.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_ID,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  type MessageHead,
} from '../message-head.ts';

const COLON = 0x3a;

/**
 * Reads field lines from `buf[start, limit)` up to and with the empty line that ends them, into `head.fields` and `head.fieldCount`.
 *
 * Returns the position behind the empty line, NEED_MORE, or a fault, which depends only on the bytes up to the offending one: a partial
 * section is refused as soon as a whole one would be. After NEED_MORE `head.headEnd` is where the unfinished line begins and
 * `head.fieldCount` counts the whole ones, so a reader whose bytes stay in place can go on from there.
 * A field line beyond `fieldsMax` (or what `head` holds) is FAULT_TOO_MANY_FIELDS.
 */
export function readFieldLines(buf: Uint8Array, start: number, limit: number, fieldsMax: number, head: MessageHead): number {
  const { fields } = head;
  const countMax = Math.min(fieldsMax, head.dropped.length);
  let count = 0;
  let at = 0;
  let p = start;
  let lineStart = start;
  for (;;) {
    lineStart = p;
    if (p >= limit) break;
    if (buf[p] === CR) {
      if (p + 1 >= limit) break;
      if (buf[p + 1] !== LF) return FAULT_BARE_CR;
      head.fieldCount = count;
      head.headEnd = p + 2;
      return p + 2;
    }
    while (p < limit && TOKEN[buf[p]!] !== 0) p++;
    if (p === lineStart) return faultAtLineStart(buf[p]!, count);
    if (count === countMax) return FAULT_TOO_MANY_FIELDS;
    if (p >= limit) break;
    if (buf[p] !== COLON) return faultInName(buf[p]!);
    const nameEnd = p++;
    while (p < limit && (buf[p] === SP || buf[p] === HTAB)) p++;
    const valueStart = p;
    while (p < limit && FIELD_TEXT[buf[p]!] !== 0) p++;
    if (p >= limit) break;
    if (buf[p] !== CR) return buf[p] === LF ? FAULT_BARE_LF : FAULT_FIELD_VALUE;
    if (p + 1 >= limit) break;
    if (buf[p + 1] !== LF) return FAULT_BARE_CR;
    let valueEnd = p;
    while (valueEnd > valueStart && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--;
    fields[at + FIELD_NAME_ID] = nameIdAt(buf, lineStart, nameEnd);
    fields[at + FIELD_NAME_START] = lineStart;
    fields[at + FIELD_NAME_END] = nameEnd;
    fields[at + FIELD_VALUE_START] = valueStart;
    fields[at + FIELD_VALUE_END] = valueEnd;
    at += FIELD_STRIDE;
    count++;
    p += 2;
  }
  head.fieldCount = count;
  head.headEnd = lineStart;
  return NEED_MORE;
}

/** A line that begins with no tchar. Whitespace continues the line before (obs-fold), or hides the first one, RFC 9112, section 2.2. */
function faultAtLineStart(byte: number, count: number): number {
  if (byte === LF) return FAULT_BARE_LF;
  if (byte === SP || byte === HTAB) return count > 0 ? FAULT_OBS_FOLD : FAULT_FIELD_LINE;
  return FAULT_FIELD_NAME;
}

/** No colon behind the name: the line ends too early, or there is a space before the colon, RFC 9112, section 5.1. */
function faultInName(byte: number): number {
  if (byte === LF) return FAULT_BARE_LF;
  return byte === CR ? FAULT_FIELD_LINE : FAULT_FIELD_NAME;
}
