/** TLS towards a target, as far as this room sees it: somebody makes the streams, and hears how they fare. */
import type { HandshakeStream } from '../net/stream.ts';

export interface TargetTls<Session extends HandshakeStream = HandshakeStream> {
  /** From the first byte of a handshake to its end. Milliseconds. */
  readonly handshakeMs: number;
  /** A stream on a socket that is connected; null: there is none to be had. The descriptor stays the caller's. */
  open(fd: number): Session | null;
  /** Why the last `open` gave null. */
  readonly fault: number;
  /** The handshake of `stream` came to nothing. */
  onFailed(stream: Session, fault: number, durationMs: number): void;
  /** `stream`, whose handshake was done, is about to be released. */
  onClosing(stream: Session): void;
}
