/** Request ids: 32 hexadecimal digits, unique over workers, machines and restarts. 96 random bits a worker, and a count. */
import { randomFillSync } from 'node:crypto';
import { hexDigit, writeHex32 } from './text.ts';

export class RequestIds {
  readonly #prefix = new Uint8Array(24);
  #count = 0;

  constructor() {
    this.#renew();
  }

  #renew(): void {
    const random = randomFillSync(new Uint8Array(12));
    for (let i = 0; i < 12; i++) {
      this.#prefix[2 * i] = hexDigit(random[i]! >> 4);
      this.#prefix[2 * i + 1] = hexDigit(random[i]! & 15);
    }
  }

  /** Writes the next id into `out` (32 bytes). */
  next(out: Uint8Array): void {
    this.#count = (this.#count + 1) >>> 0;
    if (this.#count === 0) this.#renew();
    for (let i = 0; i < 24; i++) out[i] = this.#prefix[i]!;
    writeHex32(out, 24, this.#count);
  }
}
