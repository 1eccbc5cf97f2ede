/**
 * The secrets of one listener's handshakes, written to a file for a while because an operator asked for it: lines of SSLKEYLOGFILE, with
 * which a capture can be read. Bounded in time and in bytes. While nobody asks, a handshake pays one comparison.
 */
import { writeSync } from 'node:fs';
import { listenToKeys } from '../native/key-lines.ts';
import { closeDescriptor } from '../native/sockets.ts';
import type { TlsContext } from '../tls/engine.ts';
import type { Site } from './site.ts';

export class KeyLog {
  /** On the reactor's clock. */
  readonly untilMs: number;
  readonly #fd: number;
  readonly #listener: string;
  #bytesLeft: number;
  /** Contexts that tell secrets because of us. */
  readonly #contexts = new Set<TlsContext>();
  #wanted = false;

  /** `fd`: appended to, ours to close. `bytesMax`: what may be written. */
  constructor(fd: number, listener: string, bytesMax: number, untilMs: number) {
    this.#fd = fd;
    this.#listener = listener;
    this.#bytesLeft = bytesMax;
    this.untilMs = untilMs;
    listenToKeys((line) => this.#take(line));
  }

  /** Before a session of `site` begins on `context`. */
  watch(site: Site, context: TlsContext): void {
    if (site.name !== this.#listener || this.#contexts.has(context)) return;
    this.#contexts.add(context);
    context.tellKeys(true);
  }

  /** Before a step of a handshake of `site`: contexts are shared with listeners of the same rules, which nobody asked about. */
  attend(site: Site): void {
    this.#wanted = site.name === this.#listener;
  }

  #take(line: Uint8Array): void {
    if (!this.#wanted || line.length > this.#bytesLeft) return;
    this.#bytesLeft -= line.length;
    try {
      writeSync(this.#fd, line);
    } catch {
      // A full disk: half a line helps nobody, and neither do more of them.
      this.#bytesLeft = 0;
    }
  }

  close(): void {
    listenToKeys(null);
    for (const context of this.#contexts) context.tellKeys(false);
    this.#contexts.clear();
    closeDescriptor(this.#fd);
  }
}
