/** What s2n's errors mean to us. Its names are stable where its numbers are not, so the table is by name, filled as numbers come up. */
import {
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
  FAULT_TLS_NO_SHARED_VERSION,
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
  S2N_ERR_PROTOCOL_VERSION_UNSUPPORTED: FAULT_TLS_NO_SHARED_VERSION,
  S2N_ERR_UNKNOWN_PROTOCOL_VERSION: FAULT_TLS_NO_SHARED_VERSION,
  S2N_ERR_PROTOCOL_DOWNGRADE_DETECTED: FAULT_TLS_NO_SHARED_VERSION,
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

/**
 * Whether a fault is one whose timing could tell an attacker something (a padding or MAC failure, CVE-2013-0169 and kin): only those
 * wait. s2n asks for 10 to 30 s on nearly every error; honouring that for plain mistakes would let anybody hold descriptors for nothing.
 */
export function isBlinded(fault: number): boolean {
  return fault === FAULT_TLS_DECRYPT || fault === FAULT_TLS_BAD_FINISHED;
}
