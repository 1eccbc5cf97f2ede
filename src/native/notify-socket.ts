/** Datagrams to a service manager's socket, with descriptors beside the text: what sd_notify(3) and sd_pid_notify_with_fds(3) send. */
import { getSystemErrorName } from 'node:util';
import * as libc from './ffi/libc.ts';
import { Message } from './ffi/message.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { socketAddress, UNIX_PATH_BYTES_MAX } from './ffi/socket-address.ts';

/** systemd reads no more of one datagram (its NOTIFY_BUFFER_MAX). Bytes. */
export const NOTIFY_BYTES_MAX = 4_096;
/** What one datagram carries is one thing to be stored. */
const DESCRIPTORS_MAX = 1;
/** How long a full queue is waited for: a machine that boots has much to be told. Seconds. */
const SEND_S = 1;

/**
 * Sends `text` (NOTIFY_BYTES_MAX bytes at most) and `fds` (one at most) to `address`: an absolute path, or `@` and the name of an abstract
 * socket. The sender keeps its descriptors. Blocks for SEND_S at most. Throws an Error that says what is wrong with the address, or the
 * system's name of the error.
 */
export function sendNotification(address: string, text: string, fds: readonly number[] = []): void {
  const to = notifyAddress(address);
  const textBytes = Buffer.byteLength(text);
  if (textBytes === 0 || textBytes > NOTIFY_BYTES_MAX) throw new Error(`${textBytes} bytes cannot be sent at once`);
  const message = new Message(NOTIFY_BYTES_MAX, DESCRIPTORS_MAX);
  message.text.bytes.write(text);
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) throw new Error(`socket: ${getSystemErrorName(-libc.errno())}`);
  const patience = new NativeMemory(16);
  patience.bytes.writeBigInt64LE(BigInt(SEND_S), 0);
  patience.bytes.writeBigInt64LE(0n, 8);
  libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_SNDTIMEO, patience.address, patience.length);
  const sent = libc.sendmsg(fd, message.outgoing(textBytes, fds, to), libc.MSG_NOSIGNAL) as number;
  const error = libc.errno();
  libc.close(fd);
  if (sent !== textBytes) throw new Error(getSystemErrorName(-error));
}

/** The sockaddr of `address`. Throws an Error where it is none that can be reached. unix(7). */
export function notifyAddress(address: string): NativeMemory {
  const bytes = Buffer.from(address);
  if (bytes.includes(0) || bytes.length < 2 || bytes.length > UNIX_PATH_BYTES_MAX || (bytes[0] !== 0x2f && bytes[0] !== 0x40)) {
    throw new Error(`expected a path from / on, or @ and a name, ${UNIX_PATH_BYTES_MAX} bytes at most`);
  }
  if (bytes[0] === 0x2f) return socketAddress({ family: 0, path: address });
  // An abstract name is as long as it is told: no NUL ends it, and one begins it.
  const abstract = new NativeMemory(2 + bytes.length);
  abstract.bytes.writeUInt16LE(libc.AF_UNIX, 0);
  bytes.copy(abstract.bytes, 2);
  abstract.bytes[2] = 0;
  return abstract;
}
