/**
 * What a client is told of each failure of its handshake, by the engine that serves it: test/handshake-failures.test.ts and
 * certificate-failures.test.ts hold both against it, and docs/handshake-failures.md shows it. Data; nothing on the event path reads it.
 */
import * as faults from '../base/faults.ts';
import { isBlinded } from './blinding.ts';

export interface HandshakeFailure {
  readonly fault: number;
  /** For an operator: what has happened. */
  readonly about: string;
  /** Alerts that the client may get (RFC 8446, section 6); none: the connection just ends. Null: this engine has no such failure. */
  readonly s2n: readonly number[] | null;
  readonly openssl: readonly number[] | null;
  /** The connection is closed 10 to 30 s later, so that the time tells nothing. */
  readonly isBlinded: boolean;
}

function row(fault: number, about: string, s2n: readonly number[] | null, openssl: readonly number[] | null): HandshakeFailure {
  return Object.freeze({ fault, about, s2n, openssl, isBlinded: isBlinded(fault) });
}

/** Refused by the look at the hello, before any engine: the same for both. */
function early(fault: number, about: string): HandshakeFailure {
  const { alert } = faults.faultOf(fault);
  const alerts = alert === 0 ? [] : [alert];
  return row(fault, about, alerts, alerts);
}

/** For its certificate: by OpenSSL, which serves all listeners that ask for one. Behind the handshake, where the list came late, no alert goes. */
function certificate(fault: number, about: string, ...alerts: readonly number[]): HandshakeFailure {
  return row(fault, about, null, alerts);
}

export const HANDSHAKE_FAILURES: readonly HandshakeFailure[] = Object.freeze([
  early(faults.FAULT_HELLO_PLAIN_HTTP, 'HTTP without TLS; it is answered with a plain 400'),
  early(faults.FAULT_HELLO_NOT_TLS, 'the first bytes are no ClientHello of any kind'),
  early(faults.FAULT_HELLO_SSLV2, 'a hello of SSL 2.0'),
  early(faults.FAULT_HELLO_MALFORMED, 'a ClientHello that is none: lengths, records, fields'),
  early(faults.FAULT_HELLO_TOO_LARGE, 'a ClientHello of more than 16 KiB, or in more records than anybody needs'),
  early(faults.FAULT_HELLO_TIMEOUT, 'part of a hello, and no more within `timeouts.handshake`'),
  early(faults.FAULT_HELLO_GONE, 'part of a hello, then the end'),
  early(faults.FAULT_HELLO_UNKNOWN_NAME, 'no certificate is for that name, on a listener that is `strict`'),
  early(faults.FAULT_HELLO_NO_SHARED_VERSION, 'it speaks none of the versions that the policy has: older ones, or newer ones alone'),
  early(faults.FAULT_HELLO_BELOW_VERSION, 'it speaks older versions than `minimumVersion`'),
  early(faults.FAULT_HELLO_NOT_POST_QUANTUM, 'it offers no group with ML-KEM, and `requirePostQuantum` wants one'),
  early(faults.FAULT_HELLO_NO_SHARED_PROTOCOL, 'it offers protocols by ALPN, and none of those of the listener'),
  row(faults.FAULT_TLS_NO_SHARED_SUITE, 'no suite is shared that the certificate and the groups allow', [40], [40]),
  row(faults.FAULT_TLS_NO_SHARED_GROUP, 'no group is shared', [40, 109], [40, 109]),
  row(faults.FAULT_TLS_NO_SHARED_SIGNATURE, 'no signature scheme is shared that a key of the certificates can use', [40, 109], [40, 109]),
  row(
    faults.FAULT_TLS_FALLBACK,
    'it says that it speaks newer versions (TLS_FALLBACK_SCSV): somebody may have kept them from it',
    [86],
    [86],
  ),
  row(
    faults.FAULT_TLS_CLIENT_ALERT,
    'it has ended the handshake with an alert of its own, `alert` in the line: it does not like our certificate, say',
    [],
    [],
  ),
  row(faults.FAULT_TLS_CLIENT_GONE, 'it has ended its connection in the middle', [], [50]),
  row(faults.FAULT_TLS_TIMEOUT, 'it has not come to an end within `timeouts.handshake`', [], []),
  row(faults.FAULT_TLS_MALFORMED, 'it does not keep to the protocol', [10, 22, 47, 50], [10, 22, 47, 50, 70]),
  row(faults.FAULT_TLS_DECRYPT, 'a record that does not decrypt', [], [20]),
  row(faults.FAULT_TLS_BAD_FINISHED, 'its Finished does not fit: what the two have seen of the handshake differs', [], [51]),
  row(faults.FAULT_TLS_INTERNAL, 'the TLS library could not, or does not take our certificate', [80], [80]),
  row(faults.FAULT_MEMORY, 'there is no memory for another session', [80], [80]),
  certificate(faults.FAULT_TLS_CERTIFICATE_MISSING, 'it shows no certificate, and must', 40, 116),
  certificate(faults.FAULT_TLS_CERTIFICATE_EXPIRED, 'its certificate has expired', 45),
  certificate(faults.FAULT_TLS_CERTIFICATE_NOT_YET_VALID, 'its certificate is not valid yet', 42),
  certificate(faults.FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER, 'its certificate leads to none of the `authorities`', 48),
  certificate(faults.FAULT_TLS_CERTIFICATE_CHAIN_LENGTH, 'more intermediates than `depth`, or than one of them allows', 48),
  certificate(faults.FAULT_TLS_CERTIFICATE_REVOKED, 'its certificate is revoked', 44),
  certificate(faults.FAULT_TLS_CERTIFICATE_UNSUITABLE, 'its certificate is not for clients, or too weak', 43),
  certificate(faults.FAULT_TLS_CERTIFICATE_INVALID, 'a signature of its certificates, or its own, is wrong', 42, 51),
  certificate(faults.FAULT_TLS_CERTIFICATE_NOT_ALLOWED, 'its certificate is none of those that are allowed', 42),
  certificate(faults.FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 'nobody says whether its certificate is revoked'),
]);
