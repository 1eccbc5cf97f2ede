/** Listening sockets: opened and tuned by the supervisor. */
import { getSystemErrorName } from 'node:util';
import type { ListenAddress, SocketPlan } from '../plan/plan.ts';
import { addFileFlags } from './ffi/file-flags.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { peerPort, peerText, socketAddress } from './ffi/socket-address.ts';

/** How long the kernel holds a connection that says nothing, where `deferAccept` is set. Seconds; rounded up to its retransmission steps. */
const DEFER_ACCEPT_S = 5;
/** Connections that may wait with data in their SYN. */
const FAST_OPEN_QUEUE = 256;

export type Opened = { readonly fd: number } | { readonly error: string; readonly code: string };

/** One listening socket with SO_REUSEPORT, non-blocking, CLOEXEC. Never throws: the error is for people, the code (`EADDRINUSE`) for programs. */
export function openListenSocket(address: ListenAddress, socket: SocketPlan): Opened {
  const family = address.family === 0 ? libc.AF_UNIX : address.family === 6 ? libc.AF_INET6 : libc.AF_INET;
  const fd = libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return failed('socket');
  if (address.family !== 0) {
    setOption(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
    if (!setOption(fd, libc.SOL_SOCKET, libc.SO_REUSEPORT, 1)) return failed('SO_REUSEPORT', fd);
    if (address.family === 6) setOption(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, 1);
  }
  const at = socketAddress(address);
  if (libc.bind(fd, at.address, at.length) !== 0) return failed('bind', fd);
  tuneListenSocket(fd, address, socket);
  if (libc.listen(fd, socket.backlog) !== 0) return failed('listen', fd);
  return { fd };
}

/** Applies settings to a socket, listening already or not. Accepted connections inherit them, so that none needs a call of its own. */
export function tuneListenSocket(fd: number, address: ListenAddress, socket: SocketPlan): void {
  if (address.family === 0) return;
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_NODELAY, 1);
  setOption(fd, libc.SOL_SOCKET, libc.SO_KEEPALIVE, socket.keepAliveS > 0 ? 1 : 0);
  if (socket.keepAliveS > 0) setOption(fd, libc.IPPROTO_TCP, libc.TCP_KEEPIDLE, socket.keepAliveS);
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_USER_TIMEOUT, socket.userTimeoutMs);
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_DEFER_ACCEPT, socket.deferAccept ? DEFER_ACCEPT_S : 0);
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_FASTOPEN, socket.fastOpen ? FAST_OPEN_QUEUE : 0);
}

/** Changes the settings of a socket that listens; its queue stays as it is. */
export function retuneListenSocket(fd: number, address: ListenAddress, socket: SocketPlan): void {
  tuneListenSocket(fd, address, socket);
  libc.listen(fd, socket.backlog);
}

function setOption(fd: number, level: number, name: number, value: number): boolean {
  const one = new NativeMemory(4);
  one.bytes.writeInt32LE(value, 0);
  return libc.setsockopt(fd, level, name, one.address, 4) === 0;
}

/**
 * Whether somebody listens on `address` already, as the error that says so, or null. SO_REUSEPORT would let two programs of one user share
 * a port without noticing: a socket without it would not.
 */
export function addressTaken(address: ListenAddress): Opened | null {
  if (address.family === 0) return null;
  const fd = libc.socket(address.family === 6 ? libc.AF_INET6 : libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return failed('socket');
  setOption(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
  if (address.family === 6) setOption(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, 1);
  const at = socketAddress(address);
  if (libc.bind(fd, at.address, at.length) !== 0) return failed('bind', fd);
  libc.close(fd);
  return null;
}

function failed(what: string, fd = -1): Opened {
  const error = libc.errno();
  if (fd >= 0) libc.close(fd);
  const code = getSystemErrorName(-error);
  return { error: `${what}: ${code}`, code };
}

/** Port of a bound TCP socket; 0 for a Unix one. */
export function boundPort(fd: number): number {
  const name = new NativeMemory(128);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(name.length, 0);
  return libc.getsockname(fd, name.address, length.address) === 0 ? peerPort(name.bytes) : 0;
}

/** What a listening socket is bound to; null for what is none. Families other than ours are none. */
export function boundAddress(fd: number): ListenAddress | null {
  const name = new NativeMemory(128);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(4, 0);
  const listens =
    libc.getsockopt(fd, libc.SOL_SOCKET, libc.SO_ACCEPTCONN, name.address, length.address) === 0 && name.bytes.readInt32LE(0) === 1;
  length.bytes.writeInt32LE(name.length, 0);
  if (!listens || libc.getsockname(fd, name.address, length.address) !== 0) return null;
  const family = name.bytes.readUInt16LE(0);
  if (family === libc.AF_UNIX) {
    const path = name.bytes.toString('utf8', 2, Math.max(2, length.bytes.readInt32LE(0))).replace(/\0.*$/s, '');
    return path === '' ? null : { family: 0, path };
  }
  if (family !== libc.AF_INET && family !== libc.AF_INET6) return null;
  return { family: family === libc.AF_INET ? 4 : 6, ip: peerText(name.bytes), port: peerPort(name.bytes) };
}

export function closeFd(fd: number): void {
  libc.close(fd);
}

/** Accepting on it never waits from here on: for a socket that somebody else opened. It holds for all who have the socket. */
export function neverBlock(fd: number): void {
  addFileFlags(fd, libc.O_NONBLOCK);
}

/** Sets CLOEXEC on a descriptor this process was born with. */
export function closeOnExec(fd: number): void {
  libc.fcntl(fd, libc.F_SETFD, libc.FD_CLOEXEC);
}
