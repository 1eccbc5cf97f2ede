/**
 * A rule set as OpenSSL knows it (SSL_CTX), behind handles with a generation. Made in full or not at all; the connections made of it keep it
 * in C for as long as they need it.
 */
import { HandleTable } from './ffi/handle-table.ts';
import { opensslKeyLines } from './ffi/key-lines.ts';
import type { NativeMemory } from './ffi/native-memory.ts';
import { must, nativeCopy, readCertificates, readKey, ssl } from './ffi/openssl.ts';
import { callbacks } from './ffi/openssl-callbacks.ts';
import type { Memory } from './memory.ts';

export interface OpensslCertificate {
  readonly chainPem: Uint8Array;
  /** Never kept; the caller zeroes it. */
  readonly keyPem: Uint8Array;
}

export interface OpensslClientRules {
  /** Without a certificate no handshake is finished. */
  readonly required: boolean;
  /** PEM of the authorities that are trusted, intermediate ones too. */
  readonly caPem: Uint8Array;
  /** Certificates between leaf and authority, at most. */
  readonly depth: number;
}

export interface OpensslPolicyOptions {
  /** As on the wire. */
  readonly versionMin: number;
  readonly versionMax: number;
  /** OpenSSL's names, joined by `:`, best first. Suites of TLS 1.2 and older, and those of TLS 1.3. */
  readonly suites12: string;
  readonly suites13: string;
  readonly groups: string;
  readonly schemes: string;
  /** 0..=5; 2 asks for 112 bits of everything: RSA keys of 2048. */
  readonly securityLevel: number;
}

export interface OpensslClientContextOptions extends OpensslPolicyOptions {
  /** Shown to servers that ask; null: none. */
  readonly certificate: OpensslCertificate | null;
  /** PEM of the authorities that are trusted; null: none. */
  readonly caPem: Uint8Array | null;
  readonly depth: number;
  readonly alpn: readonly string[];
}

export interface OpensslContextOptions extends OpensslPolicyOptions {
  /** One of each kind of key. */
  readonly certificates: readonly OpensslCertificate[];
  readonly alpn: readonly string[];
  readonly tickets: boolean;
  readonly ticketLifetimeS: number;
  /** Sessions of one are worth nothing to another. 32 bytes at most. */
  readonly sessionContext: Uint8Array;
  /** Certificates are sent compressed to clients that can read that (RFC 8879), where the library does it. */
  readonly compressCertificates: boolean;
  /** Null: clients are not asked for a certificate. */
  readonly clients: OpensslClientRules | null;
}

const contexts = new HandleTable();

// openssl/ssl.h.
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_MAX_CERT_LIST = 51;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_SIGALGS_LIST = 98;
const SSL_CTRL_SET_CLIENT_SIGALGS_LIST = 102;
const SSL_CTRL_SET_DH_AUTO = 118;
const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const SSL_SESS_CACHE_OFF = 0;
const SSL_SESS_CACHE_CLIENT = 0x01;
const SSL_SESS_CACHE_NO_INTERNAL = 0x300;
const MODE_ENABLE_PARTIAL_WRITE = 0x01;
const MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x02;
const MODE_NO_AUTO_CHAIN = 0x08;
const MODE_RELEASE_BUFFERS = 0x10;
const MODE = MODE_ENABLE_PARTIAL_WRITE | MODE_ACCEPT_MOVING_WRITE_BUFFER | MODE_NO_AUTO_CHAIN | MODE_RELEASE_BUFFERS;
const OP_NO_TICKET = 2 ** 14;
const OP_NO_COMPRESSION = 2 ** 17;
const OP_CIPHER_SERVER_PREFERENCE = 2 ** 22;
const OP_NO_RENEGOTIATION = 2 ** 30;
const OP_NO_TX_CERTIFICATE_COMPRESSION = 2 ** 32;
const OP_NO_RX_CERTIFICATE_COMPRESSION = 2 ** 33;
const VERIFY_PEER = 1;
const VERIFY_FAIL_IF_NO_PEER_CERT = 2;
/** A chain may end at a trusted intermediate: who lists an authority trusts it. */
const X509_V_FLAG_PARTIAL_CHAIN = 0x8_0000;
/** Largest chain that a peer may send. Bytes; OpenSSL's default is 100 KiB. */
const CHAIN_BYTES_MAX = 65_536;

/** A server's context. Throws an Error that says what OpenSSL did not like, certificates as `certificate: ...`; nothing is left behind. */
export function openContext(options: OpensslContextOptions): number {
  ssl.ERR_clear_error();
  const context = ssl.SSL_CTX_new(ssl.TLS_server_method());
  must('SSL_CTX_new', context !== 0);
  try {
    setPolicy(context, options);
    setReading(context);
    for (const certificate of options.certificates) addCertificate(context, certificate);
    setTickets(context, options);
    setCompression(context, options.compressCertificates);
    ssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, callbacks().status);
    ssl.SSL_CTX_set_info_callback(context, callbacks().info);
    if (options.clients !== null) setClients(context, options.clients);
  } catch (error) {
    ssl.SSL_CTX_free(context);
    throw error;
  }
  if (options.alpn.length > 0) ssl.SSL_CTX_set_alpn_select_cb(context, callbacks().alpn, 0);
  return contexts.add(context);
}

/** A context for connections that we begin. Throws as `openContext` does. */
export function openClientContext(options: OpensslClientContextOptions): number {
  ssl.ERR_clear_error();
  const context = ssl.SSL_CTX_new(ssl.TLS_client_method());
  must('SSL_CTX_new', context !== 0);
  try {
    setPolicy(context, options);
    setReading(context);
    if (options.certificate !== null) addCertificate(context, options.certificate);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL, 0);
    ssl.SSL_CTX_sess_set_new_cb(context, callbacks().newSession);
    setCompression(context, false);
    ssl.SSL_CTX_set_info_callback(context, callbacks().info);
    trust(context, 'authorities', options.caPem, options.depth, () => true);
    // The callback judges; without it OpenSSL would let in whoever comes.
    ssl.SSL_CTX_set_verify(context, VERIFY_PEER, 0);
    if (options.alpn.length > 0) {
      const protocols = protocolList(options.alpn) as NativeMemory;
      must('ALPN', ssl.SSL_CTX_set_alpn_protos(context, protocols.address, protocols.length) === 0);
    }
  } catch (error) {
    ssl.SSL_CTX_free(context);
    throw error;
  }
  return contexts.add(context);
}

/** Trusts the authorities of `caPem` beside those that `context` trusts already. Throws as `openClientContext` does. */
export function trustAuthorities(context: number, caPem: Uint8Array): void {
  addAuthorities(contexts.pointer(context), 'authorities', caPem, () => true);
}

/** Whether handshakes on `handle` tell their secrets (native/key-lines.ts). */
export function tellContextKeys(handle: number, on: boolean): void {
  ssl.SSL_CTX_set_keylog_callback(contexts.pointer(handle), on ? opensslKeyLines() : 0);
}

/** Frees a context. Connections made of it may live on. */
export function closeContext(handle: number): void {
  ssl.SSL_CTX_free(contexts.remove(handle));
}

/** For `openssl.ts`. */
export function contextPointer(handle: number): number {
  return contexts.pointer(handle);
}

function setReading(context: number): void {
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, MODE, 0);
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, 0);
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, CHAIN_BYTES_MAX, 0);
}

function setPolicy(context: number, options: OpensslPolicyOptions): void {
  ssl.SSL_CTX_set_security_level(context, options.securityLevel);
  must('versions', ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, options.versionMin, 0) === 1);
  must('versions', ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, options.versionMax, 0) === 1);
  if (options.suites12 !== '') must('cipher suites', ssl.SSL_CTX_set_cipher_list(context, options.suites12) === 1);
  must('cipher suites', ssl.SSL_CTX_set_ciphersuites(context, options.suites13) === 1);
  setList(context, SSL_CTRL_SET_GROUPS_LIST, 'groups', options.groups);
  setList(context, SSL_CTRL_SET_SIGALGS_LIST, 'signature schemes', options.schemes);
  setList(context, SSL_CTRL_SET_CLIENT_SIGALGS_LIST, 'signature schemes', options.schemes);
  // For suites with DHE: a group as strong as the certificate.
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_DH_AUTO, 1, 0);
  ssl.SSL_CTX_set_options(context, OP_NO_RENEGOTIATION + OP_CIPHER_SERVER_PREFERENCE + OP_NO_COMPRESSION);
}

function setList(context: number, control: number, what: string, names: string): void {
  const memory = nativeCopy(Buffer.from(`${names}\0`, 'latin1'));
  must(what, ssl.SSL_CTX_ctrl(context, control, 0, memory.address) === 1);
}

function addCertificate(context: number, { chainPem, keyPem }: OpensslCertificate): void {
  const chain = readCertificates('certificate', chainPem);
  const rest = ssl.OPENSSL_sk_new_null();
  let key = 0;
  try {
    key = readKey('certificate', keyPem);
    for (const each of chain.slice(1)) ssl.OPENSSL_sk_push(rest, each);
    must('certificate', ssl.SSL_CTX_use_cert_and_key(context, chain[0]!, key, rest, 1) === 1);
  } finally {
    // The context has references of its own.
    ssl.OPENSSL_sk_free(rest);
    for (const each of chain) ssl.X509_free(each);
    if (key !== 0) ssl.EVP_PKEY_free(key);
  }
}

function setTickets(context: number, { tickets, ticketLifetimeS, sessionContext }: OpensslContextOptions): void {
  const memory = nativeCopy(sessionContext);
  must('session context', ssl.SSL_CTX_set_session_id_context(context, memory.address, memory.length) === 1);
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, 0);
  if (!tickets) {
    ssl.SSL_CTX_set_options(context, OP_NO_TICKET);
    must('tickets', ssl.SSL_CTX_set_num_tickets(context, 0) === 1);
    return;
  }
  ssl.SSL_CTX_set_timeout(context, ticketLifetimeS);
  // OpenSSL would send two; s2n sends one, and so does this.
  must('tickets', ssl.SSL_CTX_set_num_tickets(context, 1) === 1);
  ssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callbacks().ticketKey);
}

/** Compressed once, here. What clients compress is never read: it would be memory for the asking. */
function setCompression(context: number, compress: boolean): void {
  ssl.SSL_CTX_set_options(context, OP_NO_RX_CERTIFICATE_COMPRESSION);
  if (!compress) ssl.SSL_CTX_set_options(context, OP_NO_TX_CERTIFICATE_COMPRESSION);
  else must('certificate compression', ssl.SSL_CTX_compress_certs !== null && ssl.SSL_CTX_compress_certs(context, 0) >= 1);
}

function setClients(context: number, { required, caPem, depth }: OpensslClientRules): void {
  // Named in the request, so that a browser offers only what can succeed.
  trust(context, 'client authorities', caPem, depth, (each) => ssl.SSL_CTX_add_client_CA(context, each) === 1);
  ssl.SSL_CTX_set_verify(context, VERIFY_PEER | (required ? VERIFY_FAIL_IF_NO_PEER_CERT : 0), 0);
  ssl.SSL_CTX_set_session_ticket_cb(context, 0, callbacks().ticketUse, 0);
}

/** Whom a peer's certificate may come from. `also`: what else is done with each. */
function trust(context: number, what: string, caPem: Uint8Array | null, depth: number, also: (authority: number) => boolean): void {
  if (caPem !== null) addAuthorities(context, what, caPem, also);
  ssl.X509_STORE_set_flags(ssl.SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
  ssl.SSL_CTX_set_verify_depth(context, depth);
  ssl.SSL_CTX_set_cert_verify_callback(context, callbacks().verify, 0);
}

function addAuthorities(context: number, what: string, caPem: Uint8Array, also: (authority: number) => boolean): void {
  const store = ssl.SSL_CTX_get_cert_store(context);
  const authorities = readCertificates(what, caPem);
  try {
    for (const each of authorities) must(what, ssl.X509_STORE_add_cert(store, each) === 1 && also(each));
  } finally {
    for (const each of authorities) ssl.X509_free(each);
  }
}

/** Names of ALPN as a connection is asked for them: each behind its length. RFC 7301, section 3.1. Empty: there are none. */
export function protocolList(names: readonly string[]): Memory {
  return nativeCopy(Buffer.concat(names.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1'))));
}

/** Every suite the library has: OpenSSL's name by the number on the wire. Cold. */
export function suiteNames(): ReadonlyMap<number, string> {
  const context = ssl.SSL_CTX_new(ssl.TLS_server_method());
  must('SSL_CTX_new', context !== 0);
  const names = new Map<number, string>();
  try {
    ssl.SSL_CTX_set_cipher_list(context, 'ALL:COMPLEMENTOFALL:@SECLEVEL=0');
    ssl.SSL_CTX_set_ciphersuites(
      context,
      'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256',
    );
    const ciphers = ssl.SSL_CTX_get_ciphers(context);
    for (let i = 0; i < ssl.OPENSSL_sk_num(ciphers); i++) {
      const cipher = ssl.OPENSSL_sk_value(ciphers, i);
      names.set(ssl.SSL_CIPHER_get_protocol_id(cipher) & 0xffff, String(ssl.SSL_CIPHER_get_name(cipher)));
    }
  } finally {
    ssl.SSL_CTX_free(context);
    ssl.ERR_clear_error();
  }
  return names;
}

export type OpensslList = 'groups' | 'schemes';

/** Those of `names` that the library knows. Cold. */
export function knownNames(list: OpensslList, names: readonly string[]): string[] {
  const context = ssl.SSL_CTX_new(ssl.TLS_server_method());
  must('SSL_CTX_new', context !== 0);
  try {
    return names.filter((name) => {
      const memory = nativeCopy(Buffer.from(`${name}\0`, 'latin1'));
      const control = list === 'groups' ? SSL_CTRL_SET_GROUPS_LIST : SSL_CTRL_SET_SIGALGS_LIST;
      return ssl.SSL_CTX_ctrl(context, control, 0, memory.address) === 1;
    });
  } finally {
    ssl.SSL_CTX_free(context);
    ssl.ERR_clear_error();
  }
}

/** Whether the library sends certificates compressed. */
export function compressesCertificates(): boolean {
  return ssl.SSL_CTX_compress_certs !== null;
}
