/**
 * What OpenSSL asks while a call runs: six callbacks into JavaScript (about 0.1 us each), registered once. Whom they speak for is told
 * before each call that may ask (`speakFor`): there is one thread, and a call asks only for its own connection.
 */
import koffi from 'koffi';
import { assert } from '../../base/assert.ts';
import { abortOn } from '../loop.ts';
import type { Memory } from '../memory.ts';
import { HandleTable } from './handle-table.ts';
import { memcpy } from './libc.ts';
import type { NativeMemory } from './native-memory.ts';
import { derOf, ssl } from './openssl.ts';

/** Who answers for the connection that a call is for. */
export interface OpensslAsked {
  /** An alert went out: its description (RFC 8446, section 6). */
  onAlertSent(description: number, fatal: boolean): void;
  /** Our protocols, each behind its length. RFC 7301, section 3.1. */
  protocols(): Memory;
  /** Readies the key for a ticket; see openssl-tickets.ts. */
  onTicket(name: number, iv: number, cipher: number, mac: number, seals: boolean): number;
  /**
   * Judges a peer's certificates: DER, leaf first, as far as a path was found. `error`: what OpenSSL thinks of them (`X509_V_*`, 0 when
   * nothing is wrong). Returns 0, or the `X509_V_*` whose alert is to be sent.
   */
  onCertificates(chain: readonly Uint8Array[], error: number): number;
  /** The OCSP response to show with our certificate, whose DER `leaf` gives; null: none. RFC 6066, section 8. */
  onStatusRequest(leaf: () => Uint8Array): Memory | null;
  /** The peer has given a session to resume: a handle, the receiver's to close. */
  onSession(session: number): void;
  /** A ticket with this certificate in it (null: none) would be resumed. False: a whole handshake instead. */
  onResumption(leaf: Uint8Array | null): boolean;
}

/** SSL_SESSION, kept for a resumption. */
export const sessions: HandleTable = new HandleTable();
let asked: OpensslAsked | null = null;

export function speakFor(who: OpensslAsked): void {
  asked = who;
}

const SSL_CB_WRITE_ALERT = 0x4008;
const LEVEL_FATAL = 2;
const ALPN_OK = 0;
const ALPN_FATAL = 2;
const NEGOTIATED = 1;
const X509_V_ERR_UNSPECIFIED = 1;
// SSL_TICKET_STATUS and SSL_TICKET_RETURN.
const TICKET_SUCCESS = 5;
const TICKET_SUCCESS_RENEW = 6;
const TICKET_RETURN_IGNORE_RENEW = 2;
const TICKET_RETURN_USE = 3;
const TICKET_RETURN_USE_RENEW = 4;
const SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71;
// SSL_TLSEXT_ERR_OK and _NOACK.
const STATUS_OK = 0;
const STATUS_NONE = 3;

/** A callback's address. What it throws would vanish in C. */
function callback(prototype: string, run: (...values: number[]) => number): number {
  const guarded = (...values: number[]): number => {
    try {
      return run(...values);
    } catch (error) {
      return abortOn(error);
    }
  };
  return Number(koffi.register(guarded, koffi.pointer(koffi.proto(prototype))));
}

function who(): OpensslAsked {
  assert(asked !== null, 'OpenSSL asks within a call');
  return asked;
}

/** What a context is given; made when the first one is. */
export interface OpensslCallbacks {
  readonly info: number;
  readonly alpn: number;
  readonly ticketKey: number;
  readonly ticketUse: number;
  readonly verify: number;
  readonly status: number;
  readonly newSession: number;
}

let made: OpensslCallbacks | null = null;

export function callbacks(): OpensslCallbacks {
  made ??= {
    // const SSL *, int where, int ret
    info: callback('int OpensslInfo(intptr_t, int, int)', (_ssl, where, value) => {
      if (where === SSL_CB_WRITE_ALERT) who().onAlertSent(value! & 0xff, value! >>> 8 === LEVEL_FATAL);
      return 0;
    }),
    // SSL *, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned int inlen, void *arg
    alpn: callback('int OpensslAlpn(intptr_t, intptr_t, intptr_t, intptr_t, uint32_t, intptr_t)', (_ssl, out, outLength, list, length) => {
      const { address, length: ours } = who().protocols() as NativeMemory;
      return ssl.SSL_select_next_proto(out!, outLength!, address, ours, list!, length!) === NEGOTIATED ? ALPN_OK : ALPN_FATAL;
    }),
    // SSL *, unsigned char name[16], unsigned char iv[], EVP_CIPHER_CTX *, EVP_MAC_CTX *, int enc
    ticketKey: callback(
      'int OpensslTicketKey(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, int)',
      (_ssl, name, iv, cipher, mac, seals) => who().onTicket(name!, iv!, cipher!, mac!, seals === 1),
    ),
    // SSL *, SSL_SESSION *, const unsigned char *name, size_t, SSL_TICKET_STATUS, void *
    ticketUse: callback(
      'int OpensslTicketUse(intptr_t, intptr_t, intptr_t, intptr_t, int, intptr_t)',
      (_ssl, session, _name, _length, status) => {
        if (status !== TICKET_SUCCESS && status !== TICKET_SUCCESS_RENEW) return TICKET_RETURN_IGNORE_RENEW;
        const peer = ssl.SSL_SESSION_get0_peer(session!);
        if (!who().onResumption(peer === 0 ? null : derOf(peer))) return TICKET_RETURN_IGNORE_RENEW;
        return status === TICKET_SUCCESS ? TICKET_RETURN_USE : TICKET_RETURN_USE_RENEW;
      },
    ),
    // SSL *, void *
    status: callback('int OpensslStatus(intptr_t, intptr_t)', (connection) => {
      const response = who().onStatusRequest(() => derOf(ssl.SSL_get_certificate(connection!)));
      // OpenSSL frees what it is given.
      const copy = response === null ? 0 : ssl.CRYPTO_malloc(response.length, 0, 0);
      if (response === null || copy === 0) return STATUS_NONE;
      memcpy(copy, (response as NativeMemory).address, response.length);
      ssl.SSL_ctrl(connection!, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, response.length, copy);
      return STATUS_OK;
    }),
    // SSL *, SSL_SESSION *; 1: the reference is ours.
    newSession: callback('int OpensslNewSession(intptr_t, intptr_t)', (_ssl, session) => {
      who().onSession(sessions.add(session!));
      return 1;
    }),
    // X509_STORE_CTX *, void *
    verify: callback('int OpensslVerify(intptr_t, intptr_t)', (store) => {
      const found = ssl.X509_verify_cert(store!);
      const error = found === 1 ? 0 : ssl.X509_STORE_CTX_get_error(store!) || X509_V_ERR_UNSPECIFIED;
      const verdict = who().onCertificates(chainOf(ssl.X509_STORE_CTX_get0_chain(store!)), error);
      if (verdict === 0) return 1;
      ssl.X509_STORE_CTX_set_error(store!, verdict);
      return 0;
    }),
  };
  return made;
}

/** DER of a STACK_OF(X509). */
export function chainOf(stack: number): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const count = stack === 0 ? 0 : ssl.OPENSSL_sk_num(stack);
  for (let i = 0; i < count; i++) chain.push(derOf(ssl.OPENSSL_sk_value(stack, i)));
  return chain;
}
