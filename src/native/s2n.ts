/**
 * s2n-tls out of the aws-crt package's native file, behind handles: numbers with a generation, so that a stale one is caught here and
 * never reaches C. Load it last in a process, and no native addon after it: a later dlopen of one aborts node.
 *
 * Results of `negotiate`, `receive`, `transmit` and `endTls`: more than 0 for progress, 0 for would block, S2N_FAILED below 0 with the
 * error's number in `s2nErrno()`.
 */
import koffi from 'koffi';
import { assert } from '../base/assert.ts';
import { SPARE_SESSIONS_MAX } from '../base/limits.ts';
import { HandleTable } from './ffi/handle-table.ts';
import { s2nKeyLines } from './ffi/key-lines.ts';
import { setenv } from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { BIO_RECEIVE, BIO_SEND, closeSocketBio, FLIGHT, openSocketBio, readFlight } from './ffi/s2n-io.ts';
import type { Memory } from './memory.ts';
import { S2N_SYMBOLS } from './s2n-symbols.ts';

export const S2N_FAILED = -1;
/** The peer has sent close_notify. */
export const S2N_CLOSED = -2;
/** Kinds of error: s2n's `s2n_error_type`. */
export const S2N_ERR_T_IO = 1;
export const S2N_ERR_T_CLOSED = 2;
export const S2N_ERR_T_BLOCKED = 3;
export const S2N_ERR_T_ALERT = 4;
export const S2N_ERR_T_PROTO = 5;
export const S2N_ERR_T_INTERNAL = 6;
export const S2N_ERR_T_USAGE = 7;
/** s2n keeps the kind in the bits above these (`S2N_ERR_NUM_VALUE_BITS`). */
const KIND_SHIFT = 26;

type Native = (...values: (number | string | boolean)[]) => number;
type Bindings = Record<keyof typeof S2N_SYMBOLS, Native>;

let s2n: Bindings;
let errnoView: Int32Array;
let blocked: NativeMemory;
const configs = new HandleTable();
const connections = new HandleTable();
/** The BIO that is a connection's socket, by the place of its handle. */
const sockets: number[] = [];
const spares: number[] = [];
/** Connections that were not kept because there were spares enough. */
let sparesRefused = 0;

/** Loads and initialises the library. Throws one error that names the file, and the first function it lacks. */
export function loadS2n(path: string): void {
  assert(s2n === undefined, 'the library is loaded once');
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(path);
  } catch (cause) {
    throw new Error(`the TLS library ${path} cannot be loaded`, { cause });
  }
  const bound: Partial<Bindings> = {};
  for (const [name, signature] of Object.entries(S2N_SYMBOLS)) {
    try {
      bound[name as keyof Bindings] = library.func(signature) as Native;
    } catch {
      throw new Error(`the TLS library ${path} does not export ${name}: it is not the version Tollgate was made for`);
    }
  }
  // Locking its memory would take more than an ordinary RLIMIT_MEMLOCK allows. `process.env` does not reach C.
  setenv('S2N_DONT_MLOCK', '1', 1);
  const loaded = bound as Bindings;
  if (loaded.s2n_init() !== 0) throw new Error(`the TLS library ${path} does not start`);
  s2n = loaded;
  errnoView = new Int32Array(koffi.view(loaded.s2n_errno_location(), 4));
  blocked = new NativeMemory(8);
}

/** The last call's error. Read it before the next call: that overwrites it. */
export function s2nErrno(): number {
  return errnoView[0]!;
}

/** Kind of an error, one of S2N_ERR_T_*. */
export function s2nErrorKind(errno: number): number {
  return errno >>> KIND_SHIFT;
}

/** The error's name, such as `S2N_ERR_CIPHER_NOT_SUPPORTED`. Cold. */
export function s2nErrorName(errno: number): string {
  return String(s2n.s2n_strerror_name(errno));
}

export interface S2nCertificate {
  readonly chainPem: Uint8Array;
  /** Never kept; the caller zeroes it. */
  readonly keyPem: Uint8Array;
}

export interface S2nConfigOptions {
  /** One of s2n's named security policies. */
  readonly policy: string;
  /** The first of each key type is that type's default. */
  readonly certificates: readonly S2nCertificate[];
  readonly alpn: readonly string[];
  readonly tickets: boolean;
  /** How long a ticket key encrypts, and how long it decrypts after that. Seconds. */
  readonly ticketEncryptS: number;
  readonly ticketDecryptS: number;
  readonly blindingSMax: number;
}

const chains = new Map<number, number[]>();

/** A server's configuration. Throws an Error that carries s2n's name for what it did not like; nothing is left behind. */
export function openConfig(options: S2nConfigOptions): number {
  const config = s2n.s2n_config_new_minimal();
  if (config === 0) throw new Error(`s2n_config_new_minimal: ${s2nErrorName(s2nErrno())}`);
  const owned: number[] = [];
  try {
    must('policy', s2n.s2n_config_set_cipher_preferences(config, options.policy));
    for (const certificate of options.certificates) {
      const chain = s2n.s2n_cert_chain_and_key_new();
      owned.push(chain);
      const chainPem = native(certificate.chainPem);
      const keyPem = native(certificate.keyPem);
      try {
        must(
          'certificate',
          s2n.s2n_cert_chain_and_key_load_pem_bytes(chain, chainPem.address, chainPem.length, keyPem.address, keyPem.length),
        );
      } finally {
        keyPem.bytes.fill(0);
      }
      must('certificate', s2n.s2n_config_add_cert_chain_and_key_to_store(config, chain));
    }
    for (const name of options.alpn) {
      const protocol = native(Buffer.from(name, 'latin1'));
      must('ALPN', s2n.s2n_config_append_protocol_preference(config, protocol.address, protocol.length));
    }
    must('blinding', s2n.s2n_config_set_max_blinding_delay(config, options.blindingSMax));
    must('tickets', s2n.s2n_config_set_session_tickets_onoff(config, options.tickets ? 1 : 0));
    if (options.tickets) {
      must('tickets', s2n.s2n_config_set_ticket_encrypt_decrypt_key_lifetime(config, options.ticketEncryptS));
      must('tickets', s2n.s2n_config_set_ticket_decrypt_key_lifetime(config, options.ticketDecryptS));
      // What a session may last, whatever its key may: 15 hours unless it is said.
      must('tickets', s2n.s2n_config_set_session_state_lifetime(config, options.ticketEncryptS + options.ticketDecryptS));
    }
  } catch (error) {
    s2n.s2n_config_free(config);
    for (const chain of owned) s2n.s2n_cert_chain_and_key_free(chain);
    throw error;
  }
  const handle = configs.add(config);
  chains.set(handle, owned);
  return handle;
}

function must(what: string, result: number): void {
  if (result < 0) throw new Error(`${what}: ${s2nErrorName(s2nErrno())}`);
}

function native(bytes: Uint8Array): NativeMemory {
  const memory = new NativeMemory(bytes.length);
  memory.bytes.set(bytes);
  return memory;
}

/** Adds a ticket key. `name` has 16 bytes, `secret` 32; the caller zeroes it. Throws when the key is too old, or known already. */
export function addTicketKey(config: number, name: Uint8Array, secret: Uint8Array, fromS: number): void {
  const nameMemory = native(name);
  const secretMemory = native(secret);
  try {
    must(
      'ticket key',
      s2n.s2n_config_add_ticket_crypto_key(
        configs.pointer(config),
        nameMemory.address,
        nameMemory.length,
        secretMemory.address,
        secretMemory.length,
        fromS,
      ),
    );
  } finally {
    secretMemory.bytes.fill(0);
  }
}

/**
 * Shows an OCSP response with certificate `index` of a configuration, or none when it is empty. In place: s2n keeps it beside the chain and
 * copies it into a handshake when it is that message's turn, and nothing else runs within its calls. False when s2n would not.
 */
export function setOcspResponse(config: number, index: number, response: Uint8Array): boolean {
  const chain = chains.get(config)?.[index];
  assert(chain !== undefined, 'a certificate of the configuration');
  const memory = native(response);
  return s2n.s2n_cert_chain_and_key_set_ocsp_data(chain, response.length === 0 ? 0 : memory.address, response.length) === 0;
}

/** Whether handshakes on `handle` tell their secrets (native/key-lines.ts). */
export function tellKeys(handle: number, on: boolean): void {
  must('key log', s2n.s2n_config_set_key_log_cb(configs.pointer(handle), on ? s2nKeyLines() : 0, 0));
}

/** Frees a configuration. No open connection may use it still. */
export function closeConfig(handle: number): void {
  s2n.s2n_config_free(configs.remove(handle));
  for (const chain of chains.get(handle) ?? []) s2n.s2n_cert_chain_and_key_free(chain);
  chains.delete(handle);
}

/**
 * A server's connection on `fd`, from the spares when there is one; 0 when there is no memory for it. The descriptor stays the caller's.
 * What it writes is to be taken by `takeFlight`, behind each call that may have written, until `writeDirectly`.
 */
export function openTls(config: number, fd: number): number {
  const pointer = spares.length > 0 ? spares.pop()! : s2n.s2n_connection_new(0);
  if (pointer === 0) return 0;
  const socket = openSocketBio(fd);
  let ok = socket === 0 ? -1 : s2n.s2n_connection_set_config(pointer, configs.pointer(config));
  ok |= s2n.s2n_connection_set_recv_cb(pointer, BIO_RECEIVE);
  ok |= s2n.s2n_connection_set_recv_ctx(pointer, socket);
  ok |= s2n.s2n_connection_set_send_cb(pointer, BIO_SEND);
  ok |= s2n.s2n_connection_set_send_ctx(pointer, FLIGHT);
  ok |= s2n.s2n_connection_set_blinding(pointer, 1);
  ok |= s2n.s2n_connection_set_recv_buffering(pointer, true);
  ok |= s2n.s2n_connection_prefer_throughput(pointer);
  if (ok !== 0) {
    // Each of them allocates; none can fail for another reason.
    s2n.s2n_connection_free(pointer);
    if (socket !== 0) closeSocketBio(socket);
    return 0;
  }
  const handle = connections.add(pointer);
  sockets[HandleTable.placeOf(handle)] = socket;
  return handle;
}

/** Ends the handle's life and keeps the connection for another. True when it was kept, false when there were spares enough. */
export function closeTls(handle: number): boolean {
  const pointer = connections.remove(handle);
  closeSocketBio(sockets[HandleTable.placeOf(handle)]!);
  if (spares.length < SPARE_SESSIONS_MAX && s2n.s2n_connection_wipe(pointer) === 0) {
    spares.push(pointer);
    return true;
  }
  s2n.s2n_connection_free(pointer);
  sparesRefused++;
  return false;
}

/** 1: the handshake is done. */
export function negotiate(handle: number): number {
  if (s2n.s2n_negotiate(connections.pointer(handle), blocked.address) === 0) return 1;
  return failure();
}

/** Moves what a connection has written into memory[offset, length). Its number of bytes: 0 when there is nothing more, or no room. */
export function takeFlight(memory: Memory, offset: number): number {
  return readFlight((memory as NativeMemory).address + offset, memory.length - offset);
}

/** From here on the connection writes to its socket. */
export function writeDirectly(handle: number): void {
  s2n.s2n_connection_set_send_ctx(connections.pointer(handle), sockets[HandleTable.placeOf(handle)]!);
}

export function receiveTls(handle: number, memory: Memory, offset: number, length: number): number {
  const n = s2n.s2n_recv(connections.pointer(handle), (memory as NativeMemory).address + offset, length, blocked.address);
  if (n > 0) return n;
  return n === 0 ? S2N_CLOSED : failure();
}

export function transmitTls(handle: number, memory: Memory, offset: number, length: number): number {
  const n = s2n.s2n_send(connections.pointer(handle), (memory as NativeMemory).address + offset, length, blocked.address);
  return n >= 0 ? n : failure();
}

/** Sends close_notify. */
export function endTls(handle: number): number {
  return s2n.s2n_shutdown_send(connections.pointer(handle), blocked.address) === 0 ? 1 : failure();
}

const BLOCKED = 0;
function failure(): number {
  return errnoView[0]! >>> KIND_SHIFT === S2N_ERR_T_BLOCKED ? BLOCKED : S2N_FAILED;
}

/** Bytes read from the socket and not yet decrypted. */
export function bufferedTls(handle: number): number {
  return s2n.s2n_peek_buffered(connections.pointer(handle));
}

/** The handshake's memory goes. Once, when it is done. */
export function freeHandshake(handle: number): void {
  s2n.s2n_connection_free_handshake(connections.pointer(handle));
}

/** Empty record buffers go until they are needed. */
export function releaseBuffers(handle: number): void {
  s2n.s2n_connection_release_buffers(connections.pointer(handle));
}

/** How long s2n wants a failed connection to be kept before it is closed. Milliseconds. */
export function blindingMs(handle: number): number {
  return Number(s2n.s2n_connection_get_delay(connections.pointer(handle))) / 1e6;
}

/** TLS version as on the wire: 0x0303, 0x0304; 0 before it is known. */
export function tlsVersion(handle: number): number {
  const version = s2n.s2n_connection_get_actual_protocol_version(connections.pointer(handle));
  return version === 34 ? 0x0304 : version === 33 ? 0x0303 : version === 32 ? 0x0302 : version === 31 ? 0x0301 : 0;
}

/** Cipher suite as on the wire. */
export function tlsSuite(handle: number): number {
  if (s2n.s2n_connection_get_cipher_iana_value(connections.pointer(handle), blocked.address, blocked.address + 1) !== 0) return 0;
  return blocked.bytes.readUInt16BE(0);
}

/** Names of groups by their place in the library, where they stay. */
const groupNames = new Map<number, string>();

/** The group that the key was agreed on, by the library's name, which is IANA's; empty when there was none. */
export function tlsGroup(handle: number): string {
  if (s2n.s2n_connection_get_key_exchange_group(connections.pointer(handle), blocked.address) !== 0) return '';
  const address = blocked.bytes.readUInt32LE(0) + 2 ** 32 * blocked.bytes.readUInt32LE(4);
  const known = groupNames.get(address);
  if (known !== undefined) return known;
  const name = String(koffi.decode(address, 'char', -1));
  groupNames.set(address, name);
  return name;
}

export function isResumed(handle: number): boolean {
  return s2n.s2n_connection_is_session_resumed(connections.pointer(handle)) === 1;
}

/** The peer's fatal alert, or -1. */
export function peerAlert(handle: number): number {
  return s2n.s2n_connection_get_alert(connections.pointer(handle));
}

/** The protocol agreed by ALPN, or an empty string. Cold. */
export function agreedProtocol(handle: number): string {
  const name: unknown = s2n.s2n_get_application_protocol(connections.pointer(handle));
  return typeof name === 'string' ? name : '';
}

/** TLS connections open, and kept for reuse. */
export function tlsCounts(): { open: number; spare: number; sparesRefused: number } {
  return { open: connections.size, spare: spares.length, sparesRefused };
}
