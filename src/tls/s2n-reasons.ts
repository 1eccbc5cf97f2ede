/** What s2n's errors mean to us. Its names are stable where its numbers are not, so the table is by name, filled as numbers come up. */
import {
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_TLS_BAD_FINISHED,
  FAULT_TLS_CLIENT_ALERT,
  FAULT_TLS_CLIENT_GONE,
  FAULT_TLS_DECRYPT,
  FAULT_TLS_FALLBACK,
  FAULT_TLS_INTERNAL,
  FAULT_TLS_MALFORMED,
  FAULT_TLS_NO_SHARED_GROUP,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
  FAULT_TLS_RENEGOTIATION,
} from '../base/faults.ts';
import {
  S2N_ERR_T_ALERT,
  S2N_ERR_T_CLOSED,
  S2N_ERR_T_INTERNAL,
  S2N_ERR_T_IO,
  S2N_ERR_T_PROTO,
  S2N_ERR_T_USAGE,
  s2nErrorKind,
  s2nErrorName,
} from '../native/s2n.ts';

const BY_NAME: Readonly<Record<string, number>> = {
  S2N_ERR_CIPHER_NOT_SUPPORTED: FAULT_TLS_NO_SHARED_SUITE,
  S2N_ERR_NO_SUPPORTED_CIPHER: FAULT_TLS_NO_SHARED_SUITE,
  S2N_ERR_PROTOCOL_VERSION_UNSUPPORTED: FAULT_HELLO_NO_SHARED_VERSION,
  S2N_ERR_UNKNOWN_PROTOCOL_VERSION: FAULT_HELLO_NO_SHARED_VERSION,
  S2N_ERR_PROTOCOL_DOWNGRADE_DETECTED: FAULT_HELLO_NO_SHARED_VERSION,
  S2N_ERR_FALLBACK_DETECTED: FAULT_TLS_FALLBACK,
  S2N_ERR_INVALID_SUPPORTED_GROUP_STATE: FAULT_TLS_NO_SHARED_GROUP,
  S2N_ERR_ECDHE_UNSUPPORTED_CURVE: FAULT_TLS_NO_SHARED_GROUP,
  S2N_ERR_INVALID_SUPPORTED_GROUP: FAULT_TLS_NO_SHARED_GROUP,
  S2N_ERR_NO_SUPPORTED_GROUP: FAULT_TLS_NO_SHARED_GROUP,
  S2N_ERR_MISSING_EXTENSION: FAULT_TLS_NO_SHARED_GROUP,
  S2N_ERR_NO_VALID_SIGNATURE_SCHEME: FAULT_TLS_NO_SHARED_SIGNATURE,
  S2N_ERR_INVALID_SIGNATURE_SCHEME: FAULT_TLS_NO_SHARED_SIGNATURE,
  S2N_ERR_INVALID_SIGNATURE_ALGORITHM: FAULT_TLS_NO_SHARED_SIGNATURE,
  S2N_ERR_EMPTY_SIGNATURE_SCHEME: FAULT_TLS_NO_SHARED_SIGNATURE,
  S2N_ERR_DECRYPT: FAULT_TLS_DECRYPT,
  S2N_ERR_VERIFY_FINISHED: FAULT_TLS_BAD_FINISHED,
  S2N_ERR_NO_RENEGOTIATION: FAULT_TLS_RENEGOTIATION,
  // The length of a record that can be none.
  S2N_ERR_INTEGER_OVERFLOW: FAULT_TLS_MALFORMED,
};

/** Alerts for errors whose fault says too little (RFC 8446, section 6.2). */
const ALERTS_BY_NAME: Readonly<Record<string, number>> = {
  S2N_ERR_BAD_MESSAGE: 10,
  S2N_ERR_INTEGER_OVERFLOW: 22,
  S2N_ERR_RECORD_LIMIT: 22,
  S2N_ERR_ECDHE_SERIALIZING: 47,
  S2N_ERR_ECDHE_SHARED_SECRET: 47,
  S2N_ERR_MISSING_EXTENSION: 109,
};

const known = new Map<number, number>();

/** The fault for one of s2n's error numbers. Every number has one: what is not named is told by its kind. */
export function faultOfS2n(errno: number): number {
  let fault = known.get(errno);
  if (fault === undefined) {
    fault = BY_NAME[s2nErrorName(errno)] ?? faultOfKind(s2nErrorKind(errno));
    known.set(errno, fault);
  }
  return fault;
}

/** The alert that a client should be told, or -1: it has gone, or spoke first. s2n sends none. */
export function alertOfS2n(errno: number): number {
  return ALERTS_BY_NAME[s2nErrorName(errno)] ?? ALERTS_BY_FAULT.get(faultOfS2n(errno)) ?? -1;
}

const ALERTS_BY_FAULT: ReadonlyMap<number, number> = new Map([
  [FAULT_HELLO_NO_SHARED_VERSION, 70],
  [FAULT_TLS_NO_SHARED_SUITE, 40],
  [FAULT_TLS_NO_SHARED_GROUP, 40],
  [FAULT_TLS_NO_SHARED_SIGNATURE, 40],
  [FAULT_TLS_FALLBACK, 86],
  [FAULT_TLS_MALFORMED, 50],
  [FAULT_TLS_INTERNAL, 80],
]);

function faultOfKind(kind: number): number {
  switch (kind) {
    case S2N_ERR_T_IO:
    case S2N_ERR_T_CLOSED:
      return FAULT_TLS_CLIENT_GONE;
    case S2N_ERR_T_ALERT:
      return FAULT_TLS_CLIENT_ALERT;
    case S2N_ERR_T_PROTO:
      return FAULT_TLS_MALFORMED;
    case S2N_ERR_T_INTERNAL:
    case S2N_ERR_T_USAGE:
      return FAULT_TLS_INTERNAL;
    default:
      return FAULT_TLS_INTERNAL;
  }
}
