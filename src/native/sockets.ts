/**
 * The system calls of the event path: non-blocking, one call each, results as numbers.
 * More than 0: bytes, or a descriptor. 0: would block. Below 0: a fault of base/faults.ts. Every descriptor is CLOEXEC.
 */
import {
  FAULT_CONNECT_REFUSED,
  FAULT_CONNECT_SOURCE,
  FAULT_CONNECT_TIMEOUT,
  FAULT_CONNECT_UNREACHABLE,
  FAULT_DESCRIPTORS,
  FAULT_EOF,
  FAULT_IO,
  FAULT_LOCAL_PORTS,
  FAULT_RESET,
  WOULD_BLOCK,
} from '../base/faults.ts';
import type { TargetAddress } from '../plan/plan.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { peerPort, peerText, socketAddress } from './ffi/socket-address.ts';
import type { Memory } from './memory.ts';

const peer = new NativeMemory(128);
const peerLength = new NativeMemory(4);
const option = new NativeMemory(4);
/** On or off, and seconds. */
const linger = new NativeMemory(8);

/** Where a socket connects to, made once per target. */
export interface Destination {
  readonly family: 0 | 4 | 6;
  readonly address: Memory;
  /** Our own address there; null: the kernel's choice. */
  readonly source: Memory | null;
}

/** `source`: our own address on the way there, of the same family. */
export function destination(target: TargetAddress, source: string | null = null): Destination {
  const { family } = target;
  const own = source === null || family === 0 ? null : socketAddress({ family, ip: source, port: 0 });
  return { family, address: socketAddress(target), source: own };
}

/** Accepts one connection, non-blocking. A descriptor, 0 when none waits, FAULT_DESCRIPTORS when out of them, FAULT_IO otherwise. */
export function accept(listener: number): number {
  peerLength.bytes.writeInt32LE(peer.length, 0);
  const fd = libc.accept4(listener, peer.address, peerLength.address, libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC) as number;
  if (fd >= 0) return fd;
  switch (libc.errno()) {
    case libc.EAGAIN:
    case libc.EINTR:
    case libc.ECONNABORTED:
      return WOULD_BLOCK;
    case libc.EMFILE:
    case libc.ENFILE:
    case libc.ENOBUFS:
    case libc.ENOMEM:
      return FAULT_DESCRIPTORS;
    default:
      return FAULT_IO;
  }
}

/** Address of the connection accepted last, without port: `192.0.2.1`, `2001:db8::1`, `unix`. */
export function acceptedAddress(): string {
  return peerText(peer.bytes);
}

export function acceptedPort(): number {
  return peerPort(peer.bytes);
}

export function receive(fd: number, memory: Memory, offset: number, length: number): number {
  const n = libc.recv(fd, (memory as NativeMemory).address + offset, length, libc.MSG_DONTWAIT) as number;
  if (n > 0) return n;
  return n === 0 ? FAULT_EOF : ioFault();
}

/** As `receive`, but the bytes stay in the socket. */
export function peek(fd: number, memory: Memory, offset: number, length: number): number {
  const n = libc.recv(fd, (memory as NativeMemory).address + offset, length, libc.MSG_DONTWAIT | libc.MSG_PEEK) as number;
  if (n > 0) return n;
  return n === 0 ? FAULT_EOF : ioFault();
}

export function transmit(fd: number, memory: Memory, offset: number, length: number): number {
  return send(fd, memory, offset, length, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL);
}

/** As `transmit`, when more follows soon: the kernel keeps a part of a segment for it, for a fifth of a second at most. */
export function transmitMore(fd: number, memory: Memory, offset: number, length: number): number {
  return send(fd, memory, offset, length, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL | libc.MSG_MORE);
}

function send(fd: number, memory: Memory, offset: number, length: number, flags: number): number {
  const n = libc.send(fd, (memory as NativeMemory).address + offset, length, flags) as number;
  if (n > 0) return n;
  return n === 0 ? WOULD_BLOCK : ioFault();
}

function ioFault(): number {
  switch (libc.errno()) {
    case libc.EAGAIN:
    case libc.EINTR:
      return WOULD_BLOCK;
    case libc.ECONNRESET:
    case libc.EPIPE:
      return FAULT_RESET;
    case libc.ETIMEDOUT:
      return FAULT_RESET;
    default:
      return FAULT_IO;
  }
}

/** Begins to connect. A descriptor whose first writable event settles it (`connected`), or a fault. */
export function openConnection(to: Destination): number {
  const family = to.family === 0 ? libc.AF_UNIX : to.family === 6 ? libc.AF_INET6 : libc.AF_INET;
  const fd = libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC, 0) as number;
  // Without IPv6 in this kernel no address of it can be reached; everything else is ours to have run out of.
  if (fd < 0) return libc.errno() === libc.EAFNOSUPPORT ? FAULT_CONNECT_UNREACHABLE : FAULT_DESCRIPTORS;
  if (to.family !== 0) setNoDelay(fd);
  if (to.source !== null) {
    // The port is chosen by connect, when the other end is known: one port of ours can then serve many targets. Linux 4.2.
    setOption(fd, libc.IPPROTO_IP, libc.IP_BIND_ADDRESS_NO_PORT, 1);
    if (libc.bind(fd, (to.source as NativeMemory).address, to.source.length) !== 0) {
      libc.close(fd);
      return FAULT_CONNECT_SOURCE;
    }
  }
  if (libc.connect(fd, (to.address as NativeMemory).address, to.address.length) === 0) return fd;
  const error = libc.errno();
  // A Unix socket whose queue is full says EAGAIN: there is no event for that, so it counts as refused.
  if (error === libc.EINPROGRESS) return fd;
  libc.close(fd);
  return connectFault(error);
}

/** How a connection begun by `openConnection` ended: 1 established, or a fault. */
export function connected(fd: number): number {
  peerLength.bytes.writeInt32LE(4, 0);
  if (libc.getsockopt(fd, libc.SOL_SOCKET, libc.SO_ERROR, option.address, peerLength.address) !== 0) return FAULT_IO;
  const error = option.bytes.readInt32LE(0);
  return error === 0 ? 1 : connectFault(error);
}

function connectFault(error: number): number {
  switch (error) {
    case libc.ECONNREFUSED:
    case libc.ECONNRESET:
    case libc.EAGAIN:
    case 2: // ENOENT: the Unix socket is not there.
    case libc.EACCES:
      return FAULT_CONNECT_REFUSED;
    case libc.ETIMEDOUT:
      return FAULT_CONNECT_TIMEOUT;
    case libc.EHOSTUNREACH:
    case libc.ENETUNREACH:
      return FAULT_CONNECT_UNREACHABLE;
    case libc.EADDRNOTAVAIL:
      return FAULT_LOCAL_PORTS;
    default:
      return FAULT_IO;
  }
}

function setOption(fd: number, level: number, name: number, value: number): boolean {
  option.bytes.writeInt32LE(value, 0);
  return libc.setsockopt(fd, level, name, option.address, 4) === 0;
}

export function setNoDelay(fd: number): void {
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_NODELAY, 1);
}

/** Holds partial segments back until the end of the stream pushes them (or 200 ms are over): the last bytes travel with the end. */
export function cork(fd: number): void {
  setOption(fd, libc.IPPROTO_TCP, libc.TCP_CORK, 1);
}

/** No readable event below this many bytes. 1 is the kernel's default. */
export function setReceiveLowWater(fd: number, bytes: number): void {
  setOption(fd, libc.SOL_SOCKET, libc.SO_RCVLOWAT, bytes);
}

/** Where the other end of an accepted connection has connected to. `unix` for a Unix socket. Cold. */
export function localEndpoint(fd: number): { readonly address: string; readonly port: number } {
  const name = new NativeMemory(128);
  peerLength.bytes.writeInt32LE(name.length, 0);
  if (libc.getsockname(fd, name.address, peerLength.address) !== 0) return { address: 'unix', port: 0 };
  return { address: peerText(name.bytes), port: peerPort(name.bytes) };
}

/** The close of this descriptor is a reset: the peer learns that it has not heard all. */
export function resetOnClose(fd: number): void {
  linger.bytes.writeInt32LE(1, 0);
  libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_LINGER, linger.address, 8);
}

/** Ends our direction: the peer reads an end of data, and may go on sending. */
export function shutdownWrite(fd: number): void {
  libc.shutdown(fd, 1);
}

export function closeDescriptor(fd: number): void {
  libc.close(fd);
}

/** A descriptor held back, so that one can be given up when there are no more (see net/listener.ts). -1 when there is none. */
export function reserveDescriptor(): number {
  return libc.open('/dev/null', libc.O_CLOEXEC, 0) as number;
}
