/**
 * Takes the chunked coding off a body, in place, RFC 9112, section 7.1. Owns the state between two reads, a few numbers, and the trailer
 * lines when there are any. Must not know whose body it is, but for the fault it reports.
 *
 *   state          on                       goes to
 *   SIZE_FIRST     hex digit                SIZE
 *   SIZE           hex digit                SIZE
 *                  ";" / CR                 EXTENSION / LINE_END
 *                  whitespace               BEFORE_SEMICOLON
 *   EXTENSION ...  one state for each place in chunk-ext, see #extension()
 *   LINE_END       LF                       DATA, or TRAILER_FIRST behind the chunk of size 0
 *   DATA           all bytes of the chunk   DATA_CR, DATA_LF, SIZE_FIRST
 *   TRAILER_FIRST  CR / other               FINAL_LF / TRAILER
 *   TRAILER        LF of a line             TRAILER, or DONE behind the empty line
 *   FINAL_LF       LF                       DONE
 *
 * Everything else is a fault, and stays one until reset(). A bare LF, a bare CR and a space without an extension are each a known way to
 * make two programs see different chunks.
 */
import { FAULT_CHUNK_END, FAULT_CHUNK_EXTENSION, FAULT_CHUNK_SIZE, FAULT_RESPONSE_CHUNK, FAULT_TRAILER } from '../../base/faults.ts';
import { CHUNK_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX, FIELDS_MAX, TRAILER_BYTES_MAX } from '../../base/limits.ts';
import { CR, FIELD_TEXT, HEX, HTAB, LF, SP, TOKEN } from '../characters.ts';
import { FIELD_DISGUISED, nameRules, RULE_NO_TRAILER } from '../field-names.ts';
import { MessageHead } from '../message-head.ts';
import { copyBytes } from '../write-bytes.ts';
import { readFieldLines } from './field-lines.ts';

const SIZE_FIRST = 0;
const SIZE = 1;
const BEFORE_SEMICOLON = 2;
const EXTENSION = 3;
const EXTENSION_NAME = 4;
const AFTER_NAME = 5;
const EXTENSION_VALUE = 6;
const VALUE_TOKEN = 7;
const VALUE_QUOTED = 8;
const VALUE_ESCAPE = 9;
const VALUE_QUOTED_END = 10;
const LINE_END = 11;
const DATA = 12;
const DATA_CR = 13;
const DATA_LF = 14;
const TRAILER_FIRST = 15;
const TRAILER = 16;
const FINAL_LF = 17;
const DONE = 18;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const SIZE_DIGITS_MAX = 16;
/** Bytes of a size line that every chunk may have without being asked why. */
const LINE_BYTES_FREE = 16;
const TRAILER_BYTES_FIRST = 256;
const NOTHING = new Uint8Array(0);

/** Holds one trailer line while it is looked at; empty between calls. */
const line = new MessageHead(1);

export class ChunkedDecoder {
  /** Decoded bytes that the last decode() left at its `start`. */
  dataBytes = 0;
  /** The body has ended, trailers included. */
  done = false;
  /** The trailer lines that may be forwarded, whole, each with its line end, in the first `trailerBytes` bytes. Valid until reset(). */
  trailers: Uint8Array = NOTHING;
  trailerBytes = 0;

  #state = SIZE_FIRST;
  /** Bytes of the chunk still to come; its size while the line is read. */
  #remaining = 0;
  #digits = 0;
  /** Bytes of the size line so far. */
  #lineBytes = 0;
  /** Bytes of size lines that no data paid for. */
  #overheadBytes = 0;
  /** All bytes of the trailer section so far, and its lines. */
  #trailerRead = 0;
  #trailerLines = 0;
  /** Where the unfinished line ends that begins at `trailerBytes` in `trailers`. */
  #trailerEnd = 0;
  #fault = 0;
  readonly #isRequest: boolean;

  /** A decoder of request bodies reports FAULT_CHUNK_... and FAULT_TRAILER, one of response bodies FAULT_RESPONSE_CHUNK. */
  constructor(isRequest = true) {
    this.#isRequest = isRequest;
  }

  /** Ready for the next body. */
  reset(): void {
    this.dataBytes = 0;
    this.done = false;
    this.trailers = NOTHING;
    this.trailerBytes = 0;
    this.#state = SIZE_FIRST;
    this.#remaining = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    this.#overheadBytes = 0;
    this.#trailerRead = 0;
    this.#trailerLines = 0;
    this.#trailerEnd = 0;
    this.#fault = 0;
  }

  /**
   * Decodes `buf[start, end)`: afterwards the data lies at `buf[start, start + dataBytes)`, and what is between there and the bytes consumed
   * is undefined. Returns the bytes consumed, all of them unless the body ended (`done`), or a fault, which every further call repeats. Data in
   * front of a fault is in `dataBytes`, and not to be trusted to belong together. Never keeps `buf`.
   */
  decode(buf: Uint8Array, start: number, end: number): number {
    this.dataBytes = 0;
    if (this.#fault < 0) return this.#fault;
    let to = start;
    let p = start;
    while (p < end && this.#state !== DONE) {
      if (this.#state === DATA) {
        const bytes = Math.min(this.#remaining, end - p);
        if (to !== p) copyBytes(buf, to, p, p + bytes);
        to += bytes;
        p += bytes;
        this.#remaining -= bytes;
        if (this.#remaining === 0) this.#state = DATA_CR;
        continue;
      }
      const fault = this.#state === TRAILER ? this.#trailer(buf[p++]!) : this.#step(buf[p++]!);
      if (fault < 0) {
        this.#fault = this.#isRequest ? fault : FAULT_RESPONSE_CHUNK;
        this.dataBytes = to - start;
        return this.#fault;
      }
    }
    this.dataBytes = to - start;
    this.done = this.#state === DONE;
    return p - start;
  }

  /** One byte outside data and trailers. 0, or a fault. */
  #step(byte: number): number {
    const state = this.#state;
    if (state <= LINE_END && ++this.#lineBytes > CHUNK_LINE_BYTES_MAX) return FAULT_CHUNK_EXTENSION;
    switch (state) {
      case SIZE_FIRST:
      case SIZE:
        return this.#size(byte);
      case LINE_END:
        return byte === LF ? this.#endLine() : FAULT_CHUNK_EXTENSION;
      case DATA_CR:
        this.#state = DATA_LF;
        return byte === CR ? 0 : FAULT_CHUNK_END;
      case DATA_LF:
        this.#state = SIZE_FIRST;
        return byte === LF ? 0 : FAULT_CHUNK_END;
      case TRAILER_FIRST:
        if (byte === CR) {
          this.#state = FINAL_LF;
          return 0;
        }
        this.#state = TRAILER;
        return this.#trailer(byte);
      case FINAL_LF:
        this.#state = DONE;
        return byte === LF ? 0 : FAULT_TRAILER;
      default:
        return this.#extension(byte);
    }
  }

  #size(byte: number): number {
    const digit = HEX[byte]!;
    if (digit !== 255) {
      this.#state = SIZE;
      this.#remaining = this.#remaining * 16 + digit;
      if (++this.#digits > SIZE_DIGITS_MAX || this.#remaining > Number.MAX_SAFE_INTEGER) return FAULT_CHUNK_SIZE;
      return 0;
    }
    if (this.#state === SIZE_FIRST) return FAULT_CHUNK_SIZE;
    if (byte === CR) this.#state = LINE_END;
    else if (byte === SEMICOLON) this.#state = EXTENSION;
    else if (byte === SP || byte === HTAB) this.#state = BEFORE_SEMICOLON;
    else return FAULT_CHUNK_SIZE;
    return 0;
  }

  /** One byte of chunk-ext, RFC 9112, section 7.1.1: checked, and dropped, for it ends at this hop. */
  #extension(byte: number): number {
    const isSpace = byte === SP || byte === HTAB;
    const isToken = TOKEN[byte] !== 0;
    switch (this.#state) {
      case BEFORE_SEMICOLON:
        if (isSpace) return 0;
        if (byte !== SEMICOLON) return FAULT_CHUNK_EXTENSION;
        this.#state = EXTENSION;
        return 0;
      case EXTENSION:
        if (isSpace) return 0;
        this.#state = EXTENSION_NAME;
        return isToken ? 0 : FAULT_CHUNK_EXTENSION;
      case EXTENSION_NAME:
        if (isToken) return 0;
        if (byte === EQUALS) this.#state = EXTENSION_VALUE;
        else if (isSpace) this.#state = AFTER_NAME;
        else return this.#endExtension(byte);
        return 0;
      case AFTER_NAME:
        if (isSpace) return 0;
        if (byte === EQUALS) this.#state = EXTENSION_VALUE;
        else if (byte === SEMICOLON) this.#state = EXTENSION;
        else return FAULT_CHUNK_EXTENSION;
        return 0;
      case EXTENSION_VALUE:
        if (isSpace) return 0;
        this.#state = byte === QUOTE ? VALUE_QUOTED : VALUE_TOKEN;
        return isToken || byte === QUOTE ? 0 : FAULT_CHUNK_EXTENSION;
      case VALUE_TOKEN:
        return isToken ? 0 : this.#endExtension(byte);
      case VALUE_QUOTED:
        if (byte === QUOTE) this.#state = VALUE_QUOTED_END;
        else if (byte === BACKSLASH) this.#state = VALUE_ESCAPE;
        return FIELD_TEXT[byte] !== 0 ? 0 : FAULT_CHUNK_EXTENSION;
      case VALUE_ESCAPE:
        this.#state = VALUE_QUOTED;
        return FIELD_TEXT[byte] !== 0 ? 0 : FAULT_CHUNK_EXTENSION;
      default:
        return this.#endExtension(byte);
    }
  }

  #endExtension(byte: number): number {
    if (byte === CR) this.#state = LINE_END;
    else if (byte === SEMICOLON) this.#state = EXTENSION;
    else if (byte === SP || byte === HTAB) this.#state = BEFORE_SEMICOLON;
    else return FAULT_CHUNK_EXTENSION;
    return 0;
  }

  /** Behind the size line. A sender of long lines around little data would have us read hundreds of bytes for one, so that is bounded as well. */
  #endLine(): number {
    const overhead = this.#overheadBytes + this.#lineBytes - LINE_BYTES_FREE - 2 * this.#remaining;
    this.#overheadBytes = Math.max(overhead, 0);
    if (overhead > CHUNK_OVERHEAD_BYTES_MAX) return FAULT_CHUNK_EXTENSION;
    this.#state = this.#remaining > 0 ? DATA : TRAILER_FIRST;
    this.#lineBytes = 0;
    this.#digits = 0;
    return 0;
  }

  /** One byte of a trailer section that is not empty: lines are gathered behind those already kept, and looked at when whole. */
  #trailer(byte: number): number {
    if (++this.#trailerRead > TRAILER_BYTES_MAX) return FAULT_TRAILER;
    if (this.#trailerEnd === this.trailers.length) this.#growTrailers();
    const { trailers } = this;
    trailers[this.#trailerEnd++] = byte;
    if (byte !== LF) return 0;
    const end = readFieldLines(trailers, this.trailerBytes, this.#trailerEnd, 1, line);
    if (end < 0) return FAULT_TRAILER;
    if (end > 0) {
      this.#state = DONE;
      return 0;
    }
    // A line of text that is no whole field cannot be: it would have been a fault.
    if (++this.#trailerLines > FIELDS_MAX) return FAULT_TRAILER;
    const id = line.fields[0]!;
    if (id !== FIELD_DISGUISED && (nameRules(id) & RULE_NO_TRAILER) === 0) this.trailerBytes = this.#trailerEnd;
    else this.#trailerEnd = this.trailerBytes;
    return 0;
  }

  #growTrailers(): void {
    const grown = new Uint8Array(Math.max(TRAILER_BYTES_FIRST, Math.min(this.trailers.length * 2, TRAILER_BYTES_MAX)));
    grown.set(this.trailers);
    this.trailers = grown;
  }
}
