/**
 * Compresses one response body as it passes, on the threads of libuv's pool, in bounded memory and with back-pressure on both sides. Owns
 * node:zlib's stream and what lies in it; knows no heads, no chunks and no connections.
 *
 * The reactor's callbacks run outside Node's callback scope: what a stream puts off with process.nextTick from there waits for the next
 * timer, up to a tenth of a second. So nothing here leans on flowing mode, `resume()` or 'end', which do that. Output is taken with
 * `read()`, at once: when zlib's completion says that there is some (that runs inside Node's scope), and when the owner can take more.
 */
import {
  type BrotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  type Gzip,
  type ZstdCompress,
} from 'node:zlib';
import { assert } from '../base/assert.ts';
import { READ_BYTES } from '../base/limits.ts';
import { CODING_BROTLI, CODING_GZIP, CODING_ZSTD } from '../http/compression-rules.ts';

/** Compressors at work in one worker. Each takes up to 2 MiB; past the bound a response goes out uncompressed. */
export const COMPRESSORS_MAX = 128;
/** Most bytes given to the owner at once. */
export const COMPRESSED_BYTES_MAX = 32_768;

/** zlib's window of 32 KiB and its tables: 256 KiB, as deflate's memory goes. Level 5 is where more time stops to pay. */
const GZIP = Object.freeze({ level: 5, memLevel: 8, chunkSize: COMPRESSED_BYTES_MAX });
/** Quality 4 is the last one fast enough for what is made on the fly. A window of 256 KiB. */
const BROTLI = Object.freeze({
  chunkSize: COMPRESSED_BYTES_MAX,
  params: Object.freeze({ [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 }),
});
/** A window of 512 KiB: far below the 8 MiB that RFC 9659 allows, since memory is what bounds us. */
const ZSTD = Object.freeze({
  chunkSize: COMPRESSED_BYTES_MAX,
  params: Object.freeze({
    [constants.ZSTD_c_compressionLevel]: 3,
    [constants.ZSTD_c_windowLog]: 19,
    [constants.ZSTD_c_hashLog]: 17,
    [constants.ZSTD_c_chainLog]: 16,
  }),
});

type Encoder = Gzip | BrotliCompress | ZstdCompress;

/**
 * Who owns a compressor. The calls come from the loop, or from within `write`, `resume` (never from `pause`, `destroy` or the constructor);
 * any of the compressor's methods may be called from within them.
 */
export interface CompressorOwner {
  /** Compressed bytes, COMPRESSED_BYTES_MAX at most, valid until this returns. With `last`, there is nothing behind them; they may be none. */
  onCompressed(bytes: Uint8Array, last: boolean): void;
  /** What was written has been taken: `write` may be called again. Not behind the last write. */
  onCompressorDrained(): void;
  /** It failed (out of memory). Nothing comes any more; the response cannot be made whole. */
  onCompressorFault(): void;
}

/** How many compressors a worker has at work. One a worker. */
export class CompressorSlots {
  open = 0;
  /** Responses that went uncompressed because all slots were taken. */
  refused = 0;
  readonly most: number;

  constructor(most = COMPRESSORS_MAX) {
    this.most = most;
  }
}

export class Compressor {
  /**
   * A compressor to `coding` (CODING_GZIP, CODING_BROTLI or CODING_ZSTD), or null when all slots are taken.
   *
   * `flushing`: whenever the owner has nothing more to write after `onCompressorDrained`, all that was written goes out, so that an answer
   * made bit by bit is not held back. For bodies whose length is not known; it costs some bytes a flush.
   */
  static open(coding: number, flushing: boolean, slots: CompressorSlots, owner: CompressorOwner): Compressor | null {
    if (slots.open >= slots.most) {
      slots.refused++;
      return null;
    }
    return new Compressor(coding, flushing, slots, owner);
  }

  readonly #slots: CompressorSlots;
  readonly #encoder: Encoder;
  readonly #flushing: boolean;
  readonly #flushKind: number;
  readonly #finishKind: number;
  /** Null once nothing more is to be told. */
  #owner: CompressorOwner | null;
  #pending = 0;
  /** Written since the last flush. */
  #unflushed = false;
  #ended = false;
  /** The encoder has put out everything. */
  #isWhole = false;
  #paused = false;
  #pumping = false;
  readonly #onTaken: (error?: Error | null) => void;
  readonly #onFinished: (error?: Error | null) => void;

  private constructor(coding: number, flushing: boolean, slots: CompressorSlots, owner: CompressorOwner) {
    this.#encoder = encoderOf(coding);
    this.#flushing = flushing;
    this.#flushKind = flushKindOf(coding);
    this.#finishKind = finishKindOf(coding);
    this.#slots = slots;
    this.#owner = owner;
    slots.open++;
    this.#onTaken = (error) => {
      // Of an error, 'error' tells.
      if (error === null || error === undefined) this.#taken();
    };
    this.#onFinished = (error) => {
      if (error !== null && error !== undefined) return;
      this.#isWhole = true;
      this.#pump();
    };
    this.#encoder.on('readable', () => this.#pump());
    this.#encoder.on('error', () => this.#fail());
  }

  /** Bytes written that the encoder has not taken in yet. While there are any, `write` may not be called: read nothing from the source. */
  get pendingBytes(): number {
    return this.#pending;
  }

  /** Gives it the next bytes of the body (copied; READ_BYTES at most). With `last` there are no more; then they may be none. */
  write(bytes: Uint8Array, last: boolean): void {
    assert(this.#pending === 0 && !this.#ended, 'the compressor has taken what was written before');
    assert(bytes.length <= READ_BYTES, 'one read at most is given to the compressor at once');
    if (this.#owner === null) return;
    this.#ended = last;
    if (last) {
      // Not `end()`: zlib's streams say 'finish' before their last output, and 'end' comes by process.nextTick.
      if (bytes.length > 0) this.#encoder.write(Buffer.from(bytes));
      this.#encoder.flush(this.#finishKind, this.#onFinished);
      return;
    }
    if (bytes.length === 0) return;
    this.#pending = bytes.length;
    this.#unflushed = true;
    this.#encoder.write(Buffer.from(bytes), this.#onTaken);
  }

  /** Holds output back. The encoder stops by itself when its own bounded room is full. */
  pause(): void {
    this.#paused = true;
  }

  /** Goes on with output. What waits comes from within this call. */
  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** Ends it, whole or not, and frees its memory. Nothing is told after this. Idempotent. */
  destroy(): void {
    if (this.#owner === null) return;
    this.#owner = null;
    this.#slots.open--;
    // A piece under way on a thread is finished there first; zlib sees to that.
    this.#encoder.destroy();
  }

  #taken(): void {
    this.#pending = 0;
    const owner = this.#owner;
    if (owner === null || this.#ended) return;
    owner.onCompressorDrained();
    if (!this.#flushing || !this.#unflushed || this.#pending > 0 || this.#ended || this.#owner === null) return;
    this.#unflushed = false;
    this.#encoder.flush(this.#flushKind);
  }

  /** Hands out what there is, as long as the owner takes it. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const encoder = this.#encoder;
    while (!this.#paused && this.#owner !== null) {
      const length = Math.min(encoder.readableLength, COMPRESSED_BYTES_MAX);
      if (length === 0 && !this.#isWhole) break;
      const bytes: Buffer | null = length === 0 ? NOTHING : (encoder.read(length) as Buffer | null);
      if (bytes === null) break;
      const last = this.#isWhole && encoder.readableLength === 0;
      const owner = this.#owner;
      if (last) this.destroy();
      owner.onCompressed(bytes, last);
    }
    this.#pumping = false;
  }

  #fail(): void {
    const owner = this.#owner;
    if (owner === null) return;
    this.destroy();
    owner.onCompressorFault();
  }
}

const NOTHING = Buffer.alloc(0);

function encoderOf(coding: number): Encoder {
  switch (coding) {
    case CODING_GZIP:
      return createGzip(GZIP);
    case CODING_BROTLI:
      return createBrotliCompress(BROTLI);
    default:
      assert(coding === CODING_ZSTD, 'a coding we can make');
      return createZstdCompress(ZSTD);
  }
}

/** The flush that puts out everything and forgets nothing of what was learned. */
function flushKindOf(coding: number): number {
  if (coding === CODING_GZIP) return constants.Z_SYNC_FLUSH;
  return coding === CODING_BROTLI ? constants.BROTLI_OPERATION_FLUSH : constants.ZSTD_e_flush;
}

function finishKindOf(coding: number): number {
  if (coding === CODING_GZIP) return constants.Z_FINISH;
  return coding === CODING_BROTLI ? constants.BROTLI_OPERATION_FINISH : constants.ZSTD_e_end;
}
