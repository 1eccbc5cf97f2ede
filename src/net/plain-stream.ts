/** A stream without TLS: the socket itself. */
import type { Memory } from '../native/memory.ts';
import { cork, receive, shutdownWrite, transmit } from '../native/sockets.ts';
import type { Stream } from './stream.ts';

export class PlainStream implements Stream {
  #fd: number;
  /** A read that was not filled has emptied the socket; the next arrival makes an event. */
  #more = true;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(memory: Memory, offset: number, length: number): number {
    const n = receive(this.#fd, memory, offset, length);
    this.#more = n === length;
    return n;
  }

  write(memory: Memory, offset: number, length: number): number {
    // A short count means that the socket is full, and that the kernel will tell when it is not.
    return transmit(this.#fd, memory, offset, length);
  }

  mayHaveMore(): boolean {
    return this.#more;
  }

  holdForEnd(): void {
    cork(this.#fd);
  }

  end(closing: boolean): number {
    if (!closing) shutdownWrite(this.#fd);
    return 1;
  }

  blindingMs(): number {
    return 0;
  }

  release(): void {
    this.#fd = -1;
  }

  settle(): void {}

  rest(): void {}
}
