/** The other end of a service manager's socket, for tests: a real datagram socket that takes what is sent to it. */
import { rmSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import * as libc from './ffi/libc.ts';
import { Message } from './ffi/message.ts';
import { NOTIFY_BYTES_MAX, notifyAddress } from './notify-socket.ts';

const DESCRIPTORS_MAX = 8;

export interface Notification {
  readonly text: string;
  readonly fds: readonly number[];
}

export class NotifyReceiver {
  readonly address: string;
  readonly #fd: number;

  /** Listens on `address`, a path or `@` and a name. */
  constructor(address: string) {
    this.address = address;
    this.#fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, 0) as number;
    const at = notifyAddress(address);
    assert(libc.bind(this.#fd, at.address, at.length) === 0, 'bind');
  }

  /** The next datagram, or null when none waits. Its descriptors are the caller's. */
  receive(): Notification | null {
    const message = new Message(NOTIFY_BYTES_MAX + 1, DESCRIPTORS_MAX);
    const n = libc.recvmsg(this.#fd, message.incoming(), libc.MSG_CMSG_CLOEXEC) as number;
    return n < 0 ? null : { text: message.text.bytes.toString('utf8', 0, n), fds: message.descriptors() };
  }

  close(): void {
    libc.close(this.#fd);
    if (this.address.startsWith('/')) rmSync(this.address, { force: true });
  }
}
