/**
 * Framing of the control socket, for both ends: a JSON message, with byte strings (certificates, keys) beside it.
 *
 *   u32 total bytes behind this field | u32 JSON bytes | JSON | blobs, one after the other
 *
 * The JSON's `blobs` member holds their lengths. Blobs are handed over as views of one Buffer, zeroed when the receiver is done.
 */
import { FRAME_BYTES_MAX } from '../base/limits.ts';

export interface Frame<Message> {
  readonly message: Message;
  readonly blobs: readonly Buffer[];
}

/** One frame as bytes. The caller zeroes what it must. */
export function writeFrame(message: object, blobs: readonly Uint8Array[] = []): Buffer {
  const json = Buffer.from(JSON.stringify({ message, blobs: blobs.map((blob) => blob.length) }));
  const total = 4 + json.length + blobs.reduce((sum, blob) => sum + blob.length, 0);
  if (total > FRAME_BYTES_MAX) throw new RangeError('the frame is larger than FRAME_BYTES_MAX');
  // Not from Node's pool: keys in a frame must not share a slab with strangers.
  const frame = Buffer.alloc(4 + total);
  frame.writeUInt32LE(total, 0);
  frame.writeUInt32LE(json.length, 4);
  let at = 8 + json.copy(frame, 8);
  for (const blob of blobs) {
    frame.set(blob, at);
    at += blob.length;
  }
  return frame;
}

/** Joins what a socket delivers into frames, in memory of each frame's own size. Throws on nonsense: the connection is then of no use. */
export class FrameReader<Message> {
  readonly #size = Buffer.alloc(4);
  #sizeBytes = 0;
  #body: Buffer | null = null;
  #bodyBytes = 0;
  readonly #bytesMax: number;

  /** `bytesMax` bounds one frame, and with it the memory a peer can make us take. */
  constructor(bytesMax: number = FRAME_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Takes bytes, calls `each` for every frame completed. A frame's blobs are zeroed when `each` returns: who needs them copies them. */
  push(bytes: Buffer, each: (frame: Frame<Message>) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#body === null) {
        at += this.#takeSize(bytes, at);
        continue;
      }
      const taken = bytes.copy(this.#body, this.#bodyBytes, at);
      at += taken;
      this.#bodyBytes += taken;
      if (this.#bodyBytes < this.#body.length) return;
      const body = this.#body;
      this.#body = null;
      try {
        each(parse<Message>(body));
      } finally {
        body.fill(0);
      }
    }
  }

  #takeSize(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#size, this.#sizeBytes, at);
    this.#sizeBytes += taken;
    if (this.#sizeBytes === 4) {
      const total = this.#size.readUInt32LE(0);
      if (total < 4 || total > this.#bytesMax) throw new RangeError('a frame of impossible size');
      this.#sizeBytes = 0;
      this.#bodyBytes = 0;
      this.#body = Buffer.alloc(total);
    }
    return taken;
  }
}

function parse<Message>(body: Buffer): Frame<Message> {
  const jsonBytes = body.readUInt32LE(0);
  if (jsonBytes > body.length - 4) throw new RangeError('a frame whose JSON is longer than itself');
  const { message, blobs } = JSON.parse(body.toString('utf8', 4, 4 + jsonBytes)) as { message: Message; blobs: number[] };
  if (typeof message !== 'object' || message === null || !Array.isArray(blobs)) throw new TypeError('a frame without a message');
  const views: Buffer[] = [];
  let at = 4 + jsonBytes;
  for (const length of blobs) {
    if (!Number.isInteger(length) || length < 0 || at + length > body.length)
      throw new RangeError('a frame whose blobs are longer than itself');
    views.push(body.subarray(at, at + length));
    at += length;
  }
  if (at !== body.length) throw new RangeError('a frame longer than its contents');
  return { message, blobs: views };
}
