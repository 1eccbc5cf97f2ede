/**
 * A connection's bytes, whether TLS hides behind them or not: the same read and write either way.
 * Results: more than 0, bytes; 0, would block (an event will follow); below 0, a fault of base/faults.ts.
 */
import type { Memory } from '../native/memory.ts';

export interface Stream {
  /** Reads into memory[offset, offset + length). FAULT_EOF: the peer has ended its direction, properly. */
  read(memory: Memory, offset: number, length: number): number;
  /** Takes as much as it can. What it does not take must be offered again, unchanged, when it is writable. */
  write(memory: Memory, offset: number, length: number): number;
  /**
   * Bytes that a further `read` may give without an event: what lies inside the TLS library, or was left in the socket.
   * False only when certain. An end of data behind the last bytes is not told here: the event's mask told it (READ_HANGUP).
   */
  mayHaveMore(): boolean;
  /** What is written now is the last before `end`: it may wait for it, and both go out together. */
  holdForEnd(): void;
  /** Ends our direction (close_notify, then FIN). More than 0: done. `closing`: the descriptor is closed next, which sends the FIN. */
  end(closing: boolean): number;
  /** Behind a fault: how long to wait before the descriptor is closed, so that the time tells nothing. Milliseconds, 0 for most faults. */
  blindingMs(): number;
  /** Gives everything back but the descriptor. The stream is not to be used again. */
  release(): void;
  /** Memory of the beginning may go: the connection stays. */
  settle(): void;
  /** Memory beyond the object itself may go: nothing is under way, and has not been for a while. */
  rest(): void;
}

/** A stream that has to agree with its peer before it carries anything. */
export interface HandshakeStream extends Stream {
  /** One step. More than 0: done; 0: would block; below 0: a fault, final. */
  handshake(): number;
  /** Behind a step that would block: it waits for room to write, and not for bytes alone. */
  awaitsRoom(): boolean;
  /** Behind a finished handshake: whether an earlier one saved it the most of its work. */
  resumed(): boolean;
}
