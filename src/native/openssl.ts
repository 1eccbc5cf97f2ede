/**
 * OpenSSL's connections (SSL), behind handles: numbers with a generation, so that a stale one is caught here and never reaches C.
 *
 * Results of `negotiate`, `receive`, `transmit` and `end`: more than 0 for progress, 0 for would block, below 0 one of OPENSSL_*: what went
 * wrong is then in `opensslError()`.
 */
import { isIP } from 'node:net';
import { assert } from '../base/assert.ts';
import { HandleTable } from './ffi/handle-table.ts';
import { memcpy } from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { bindOpenssl, derOf, errorReason, errorText, nativeCopy, opensslVersion, ssl, takeError } from './ffi/openssl.ts';
import { type OpensslAsked, sessions, speakFor } from './ffi/openssl-callbacks.ts';
import type { Memory } from './memory.ts';
import { contextPointer } from './openssl-context.ts';

export type { OpensslAsked };
export { bindOpenssl, opensslVersion };

/** The connection is broken, by what the peer sent or by a refusal of ours: `opensslError()` says what. */
export const OPENSSL_FAILED = -1;
/** The peer has sent close_notify. */
export const OPENSSL_CLOSED = -2;
/** The socket is broken, or ended where TLS had not. */
export const OPENSSL_GONE = -3;

const connections = new HandleTable();
let error = 0;

// SSL_get_error, openssl/ssl.h.
const ERROR_SSL = 1;
const ERROR_WANT_READ = 2;
const ERROR_WANT_WRITE = 3;
const ERROR_SYSCALL = 5;
const ERROR_ZERO_RETURN = 6;
const SSL_R_UNEXPECTED_EOF_WHILE_READING = 294;
const SSL_CTRL_GET_NEGOTIATED_GROUP = 134;
const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4;

/** The error of the last call that failed; 0: OpenSSL gave none. */
export function opensslError(): number {
  return error;
}

/** libssl's reason in an error, `SSL_R_*`; 0: it is of another kind. */
export const opensslReason: (code: number) => number = errorReason;

/** OpenSSL's own words for an error, such as `no shared cipher`. Cold. */
export const opensslErrorText: (code: number) => string = errorText;

/** A server's connection on `fd`; 0 when there is no memory for it. The descriptor stays the caller's. */
export function openAccepting(context: number, fd: number): number {
  const pointer = openOn(context, fd);
  if (pointer === 0) return 0;
  ssl.SSL_set_accept_state(pointer);
  return connections.add(pointer);
}

function openOn(context: number, fd: number): number {
  const pointer = ssl.SSL_new(contextPointer(context));
  if (pointer === 0 || ssl.SSL_set_fd(pointer, fd) === 1) return pointer;
  ssl.SSL_free(pointer);
  return 0;
}

/** Whom a connection that we begin is to. */
export interface OpensslPeer {
  /** Told to the server (SNI); null: none is, as for an address. */
  readonly serverName: string | null;
  /** What its certificate must be for: a name, or an address; null: anything. */
  readonly identity: string | null;
  /** To be resumed; 0: none. */
  readonly session: number;
}

/** A client's connection on `fd`, which is connected; 0 when there is no memory for it. The descriptor stays the caller's. */
export function openConnecting(context: number, fd: number, { serverName, identity, session }: OpensslPeer): number {
  const pointer = openOn(context, fd);
  if (pointer === 0) return 0;
  ssl.SSL_set_connect_state(pointer);
  if (serverName !== null) {
    const text = nativeCopy(Buffer.from(`${serverName}\0`, 'latin1'));
    assert(ssl.SSL_ctrl(pointer, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, text.address) === 1, 'a name that fits');
  }
  if (identity !== null) setIdentity(pointer, identity);
  if (session !== 0) ssl.SSL_set_session(pointer, sessions.pointer(session));
  return connections.add(pointer);
}

function setIdentity(pointer: number, identity: string): void {
  if (isIP(identity) !== 0) assert(ssl.X509_VERIFY_PARAM_set1_ip_asc(ssl.SSL_get0_param(pointer), identity) === 1, 'an address');
  else {
    ssl.SSL_set_hostflags(pointer, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    assert(ssl.SSL_set1_host(pointer, identity) === 1, 'a name');
  }
}

/** A session is not resumed any more. */
export function closeSession(handle: number): void {
  ssl.SSL_SESSION_free(sessions.remove(handle));
}

/** DER of the peer's certificate, behind a handshake; null: it showed none. Cold. */
export function peerCertificate(handle: number): Uint8Array | null {
  const certificate = ssl.SSL_get0_peer_certificate(connections.pointer(handle));
  return certificate === 0 ? null : derOf(certificate);
}

export function closeConnection(handle: number): void {
  ssl.SSL_free(connections.remove(handle));
}

/** 1: the handshake is done. `asked` answers what OpenSSL asks meanwhile, as in the calls below. */
export function negotiate(handle: number, asked: OpensslAsked): number {
  const pointer = connections.pointer(handle);
  speakFor(asked);
  ssl.ERR_clear_error();
  const n = ssl.SSL_do_handshake(pointer);
  return n === 1 ? 1 : failure(pointer, n);
}

export function receiveTls(handle: number, asked: OpensslAsked, memory: Memory, offset: number, length: number): number {
  const pointer = connections.pointer(handle);
  speakFor(asked);
  ssl.ERR_clear_error();
  const n = ssl.SSL_read(pointer, (memory as NativeMemory).address + offset, length);
  return n > 0 ? n : failure(pointer, n);
}

export function transmitTls(handle: number, asked: OpensslAsked, memory: Memory, offset: number, length: number): number {
  const pointer = connections.pointer(handle);
  speakFor(asked);
  ssl.ERR_clear_error();
  const n = ssl.SSL_write(pointer, (memory as NativeMemory).address + offset, length);
  return n > 0 ? n : failure(pointer, n);
}

/** Sends close_notify. Only on a connection whose handshake is done, and that has not failed. */
export function endTls(handle: number, asked: OpensslAsked): number {
  const pointer = connections.pointer(handle);
  speakFor(asked);
  ssl.ERR_clear_error();
  // 0: ours is sent, the peer's has not come.
  const n = ssl.SSL_shutdown(pointer);
  return n >= 0 ? 1 : failure(pointer, n);
}

/** Whether the last call that would have blocked waits for room to write. */
export function lastWantedRoom(): boolean {
  return wantedRoom;
}

let wantedRoom = false;

function failure(pointer: number, result: number): number {
  const kind = ssl.SSL_get_error(pointer, result);
  switch (kind) {
    case ERROR_WANT_READ:
    case ERROR_WANT_WRITE:
      wantedRoom = kind === ERROR_WANT_WRITE;
      return 0;
    case ERROR_ZERO_RETURN:
      error = 0;
      return OPENSSL_CLOSED;
    case ERROR_SYSCALL:
      error = takeError();
      return OPENSSL_GONE;
    default:
      assert(kind === ERROR_SSL, 'OpenSSL waits for the socket alone');
      error = takeError();
      return errorReason(error) === SSL_R_UNEXPECTED_EOF_WHILE_READING ? OPENSSL_GONE : OPENSSL_FAILED;
  }
}

/** Whether bytes lie inside the library, decrypted or not. */
export function hasPending(handle: number): boolean {
  return ssl.SSL_has_pending(connections.pointer(handle)) === 1;
}

/** Empty record buffers go until they are needed. */
export function releaseBuffers(handle: number): void {
  ssl.SSL_free_buffers(connections.pointer(handle));
}

/** TLS version as on the wire. */
export function tlsVersion(handle: number): number {
  return ssl.SSL_version(connections.pointer(handle));
}

/** Cipher suite as on the wire; 0 before it is known. */
export function tlsSuite(handle: number): number {
  const pointer = connections.pointer(handle);
  // A handshake that broke off may have chosen one that was never used.
  const cipher = ssl.SSL_get_current_cipher(pointer) || ssl.SSL_get_pending_cipher(pointer);
  return cipher === 0 ? 0 : ssl.SSL_CIPHER_get_protocol_id(cipher) & 0xffff;
}

/** OpenSSL's numbers of groups, and its names for them. */
const groupNames = new Map<number, string>();

/** The group that the key was agreed on, by OpenSSL's name, which is IANA's; empty when there was none. */
export function tlsGroup(handle: number): string {
  const pointer = connections.pointer(handle);
  const id = ssl.SSL_ctrl(pointer, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, 0);
  if (id === 0) return '';
  let known = groupNames.get(id);
  if (known === undefined) {
    known = String(ssl.SSL_group_to_name(pointer, id));
    groupNames.set(id, known);
  }
  return known;
}

export function isResumed(handle: number): boolean {
  return ssl.SSL_session_reused(connections.pointer(handle)) === 1;
}

const view = new NativeMemory(16);
const name = new NativeMemory(256);

/** The protocol agreed by ALPN, or an empty string. */
export function agreedProtocol(handle: number): string {
  ssl.SSL_get0_alpn_selected(connections.pointer(handle), view.address, view.address + 8);
  const length = view.bytes.readUInt32LE(8);
  if (length === 0) return '';
  assert(length < name.length, 'the length of a protocol name has one byte');
  memcpy(name.address, Number(view.bytes.readBigUInt64LE(0)), length);
  return name.bytes.latin1Slice(0, length);
}

/** Connections open. */
export function opensslConnections(): number {
  return connections.size;
}
