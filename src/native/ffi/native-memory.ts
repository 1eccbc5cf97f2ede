/** What a `Memory` (../memory.ts) is inside this room: a Buffer and where it lies. */
import koffi from 'koffi';

export class NativeMemory {
  readonly bytes: Buffer;
  readonly length: number;
  /** Valid while `bytes` lives: keep the NativeMemory, never the address alone. */
  readonly address: number;

  constructor(length: number) {
    // Below 128 bytes koffi hands out an address that does not stay; Node's pool must not be shared with the kernel either.
    this.bytes = Buffer.from(new ArrayBuffer(Math.max(length, 128)), 0, length);
    this.length = length;
    this.address = Number(koffi.address(this.bytes));
  }
}
