/**
 * Every way in which work on the data plane can fail, as numbers below zero, and the one table that says what each means.
 *
 * A function on the event path returns more than 0 for progress, 0 for "would block" or "need more", and one of these
 * for a fault. Nothing is allocated and nothing is thrown. A fault without a row here fails the tests.
 *
 * The names are part of the interface: they are the `reason` in logs and the `reason` label in metrics.
 */

/** No progress now; an event will say when to try again. */
export const WOULD_BLOCK = 0;
/** A reader needs bytes it has not been given. */
export const NEED_MORE = 0;

// Transport, -1 .. -19.
export const FAULT_EOF = -1;
export const FAULT_RESET = -2;
export const FAULT_IO = -3;
export const FAULT_CONNECT_REFUSED = -4;
export const FAULT_CONNECT_UNREACHABLE = -5;
export const FAULT_CONNECT_TIMEOUT = -6;
export const FAULT_DESCRIPTORS = -7;
export const FAULT_IDLE_TIMEOUT = -8;
export const FAULT_SHUTDOWN = -9;
export const FAULT_CONNECT_SOURCE = -10;
export const FAULT_LOCAL_PORTS = -11;
export const FAULT_MEMORY = -12;
export const FAULT_PROXY_HEADER_MISSING = -13;
export const FAULT_PROXY_HEADER_MALFORMED = -14;
export const FAULT_PROXY_HEADER_CHECKSUM = -15;
export const FAULT_PROXY_HEADER_TOO_LARGE = -16;
export const FAULT_PROXY_HEADER_TIMEOUT = -17;
export const FAULT_PROXY_HEADER_GONE = -18;
export const FAULT_PROXY_HEADER_REQUIRED = -19;

// ClientHello, before any TLS library is involved, -20 .. -39.
export const FAULT_HELLO_PLAIN_HTTP = -20;
export const FAULT_HELLO_NOT_TLS = -21;
export const FAULT_HELLO_SSLV2 = -22;
export const FAULT_HELLO_MALFORMED = -23;
export const FAULT_HELLO_TOO_LARGE = -24;
export const FAULT_HELLO_TIMEOUT = -25;
export const FAULT_HELLO_GONE = -26;
export const FAULT_HELLO_UNKNOWN_NAME = -27;
export const FAULT_HELLO_NO_SHARED_VERSION = -28;
export const FAULT_HELLO_NO_SHARED_PROTOCOL = -29;
export const FAULT_HELLO_BELOW_VERSION = -30;
export const FAULT_HELLO_NOT_POST_QUANTUM = -31;

// TLS, from an engine, -40 .. -69.
export const FAULT_TLS_NO_SHARED_SUITE = -41;
export const FAULT_TLS_NO_SHARED_GROUP = -42;
export const FAULT_TLS_NO_SHARED_SIGNATURE = -43;
export const FAULT_TLS_CLIENT_ALERT = -44;
export const FAULT_TLS_CLIENT_GONE = -45;
export const FAULT_TLS_MALFORMED = -46;
export const FAULT_TLS_DECRYPT = -47;
export const FAULT_TLS_TIMEOUT = -48;
export const FAULT_TLS_TRUNCATED = -49;
export const FAULT_TLS_INTERNAL = -50;
export const FAULT_TLS_BAD_FINISHED = -51;
export const FAULT_TLS_RENEGOTIATION = -52;
export const FAULT_TLS_CERTIFICATE_MISSING = -53;
export const FAULT_TLS_CERTIFICATE_EXPIRED = -54;
export const FAULT_TLS_CERTIFICATE_NOT_YET_VALID = -55;
export const FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER = -56;
export const FAULT_TLS_CERTIFICATE_REVOKED = -57;
export const FAULT_TLS_CERTIFICATE_UNSUITABLE = -58;
export const FAULT_TLS_CERTIFICATE_INVALID = -59;
export const FAULT_TLS_CERTIFICATE_NOT_ALLOWED = -60;
export const FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN = -61;
export const FAULT_TLS_CERTIFICATE_CHAIN_LENGTH = -62;
export const FAULT_TLS_FALLBACK = -63;

// HTTP messages from a client, -70 .. -119.
export const FAULT_REQUEST_LINE = -70;
export const FAULT_REQUEST_TARGET = -71;
export const FAULT_REQUEST_VERSION = -72;
export const FAULT_METHOD = -73;
export const FAULT_FIELD_LINE = -74;
export const FAULT_FIELD_NAME = -75;
export const FAULT_FIELD_VALUE = -76;
export const FAULT_OBS_FOLD = -77;
export const FAULT_BARE_LF = -78;
export const FAULT_BARE_CR = -79;
export const FAULT_HEAD_TOO_LARGE = -80;
export const FAULT_TOO_MANY_FIELDS = -81;
export const FAULT_TARGET_TOO_LONG = -82;
export const FAULT_HOST = -83;
export const FAULT_CONTENT_LENGTH = -84;
export const FAULT_TRANSFER_ENCODING = -85;
export const FAULT_LENGTH_AND_CODING = -86;
export const FAULT_CODING_UNKNOWN = -87;
export const FAULT_CHUNK_SIZE = -88;
export const FAULT_CHUNK_EXTENSION = -89;
export const FAULT_CHUNK_END = -90;
export const FAULT_TRAILER = -91;
export const FAULT_EXPECT = -92;
export const FAULT_CONNECT_METHOD = -93;
export const FAULT_H2_PREFACE = -94;
export const FAULT_HOST_DISAGREES = -95;
export const FAULT_REQUEST_HEAD_TIMEOUT = -96;
export const FAULT_REQUEST_BODY_TIMEOUT = -97;
export const FAULT_REQUEST_TRUNCATED = -98;
export const FAULT_METHOD_UNKNOWN = -99;
export const FAULT_UPGRADE = -100;
export const FAULT_BODY_TOO_LARGE = -101;
export const FAULT_REQUEST_BODY_SLOW = -102;
export const FAULT_LENGTH_REQUIRED = -103;

// Messages and connections of an upstream, -120 .. -159.
export const FAULT_STATUS_LINE = -120;
export const FAULT_RESPONSE_FRAMING = -121;
export const FAULT_RESPONSE_HEAD = -122;
export const FAULT_RESPONSE_CHUNK = -123;
export const FAULT_RESPONSE_TRUNCATED = -124;
export const FAULT_RESPONSE_HEAD_TIMEOUT = -125;
export const FAULT_RESPONSE_BODY_TIMEOUT = -126;
export const FAULT_UPSTREAM_GONE = -127;
export const FAULT_NO_TARGET = -128;
export const FAULT_RESPONSE_UNASKED = -129;
export const FAULT_RESPONSE_SWITCH = -130;
export const FAULT_UPSTREAM_CONNECTIONS = -131;
export const FAULT_RESPONSE_TOO_LARGE = -132;
// TLS towards a server, before a request was sent.
export const FAULT_SERVER_TLS_ALERT = -140;
export const FAULT_SERVER_TLS_HANDSHAKE = -141;
export const FAULT_SERVER_TLS_GONE = -142;
export const FAULT_SERVER_CERTIFICATE_EXPIRED = -143;
export const FAULT_SERVER_CERTIFICATE_NOT_YET_VALID = -144;
export const FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER = -145;
export const FAULT_SERVER_CERTIFICATE_REVOKED = -146;
export const FAULT_SERVER_CERTIFICATE_NAME = -147;
export const FAULT_SERVER_CERTIFICATE_INVALID = -148;
export const FAULT_SERVER_CERTIFICATE_NOT_ALLOWED = -149;
export const FAULT_SERVER_CERTIFICATE_PIN = -150;
export const FAULT_SERVER_TLS_TIMEOUT = -151;
export const FAULT_SERVER_NOT_TLS = -152;
// And behind its handshake.
export const FAULT_SERVER_TLS_TRUNCATED = -153;
export const FAULT_SERVER_TLS_BROKEN = -154;

// Our own decisions, -160 .. -179.
export const FAULT_NO_ROUTE = -160;
export const FAULT_DRAINING = -161;
export const FAULT_CONNECTIONS_MAX = -162;
export const FAULT_CLIENT_SLOW = -163;
export const FAULT_MISDIRECTED = -164;
export const FAULT_ACCESS_DENIED = -165;
export const FAULT_CLIENT_CONNECTIONS = -166;
export const FAULT_CLIENT_HANDSHAKES = -167;
export const FAULT_CLIENT_REQUESTS = -168;
export const FAULT_UNAUTHORIZED = -169;
export const FAULT_VERIFIER_BUSY = -170;

/** Who a fault lies with. */
export type Culprit = 'client' | 'upstream' | 'us';
/** Whether the same request may be tried on another connection. `reused`: only when a kept connection died before answering. */
export type Retry = 'never' | 'always' | 'reused';
export type FaultLevel = 'debug' | 'info' | 'warn' | 'error';

export interface FaultRow {
  readonly code: number;
  /** Stable, snake_case; the `reason` of logs and metrics. */
  readonly reason: string;
  readonly culprit: Culprit;
  readonly retry: Retry;
  /** TLS alert description we send in plain text (RFC 8446, section 6); 0: none, or left to the engine. */
  readonly alert: number;
  /** HTTP status answered when a response can still be sent; 0: just close. */
  readonly status: number;
  readonly level: FaultLevel;
}

function row(
  code: number,
  reason: string,
  culprit: Culprit,
  status: number,
  level: FaultLevel,
  alert = 0,
  retry: Retry = 'never',
): FaultRow {
  return Object.freeze({ code, reason, culprit, retry, alert, status, level });
}

export const FAULTS: readonly FaultRow[] = Object.freeze([
  row(FAULT_EOF, 'eof', 'client', 0, 'debug'),
  row(FAULT_RESET, 'reset', 'client', 0, 'debug'),
  row(FAULT_IO, 'io', 'us', 502, 'warn'),
  row(FAULT_CONNECT_REFUSED, 'connect_refused', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_CONNECT_UNREACHABLE, 'connect_unreachable', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_CONNECT_TIMEOUT, 'connect_timeout', 'upstream', 504, 'warn', 0, 'always'),
  row(FAULT_DESCRIPTORS, 'descriptors', 'us', 503, 'error'),
  row(FAULT_IDLE_TIMEOUT, 'idle_timeout', 'client', 0, 'debug'),
  row(FAULT_SHUTDOWN, 'shutdown', 'us', 0, 'info'),
  row(FAULT_CONNECT_SOURCE, 'connect_source', 'us', 502, 'error'),
  // Ports are counted for each target: another one may have some left.
  row(FAULT_LOCAL_PORTS, 'local_ports', 'us', 503, 'error', 0, 'always'),
  row(FAULT_MEMORY, 'memory', 'us', 503, 'error', 80),
  row(FAULT_PROXY_HEADER_MISSING, 'proxy_header_missing', 'client', 0, 'warn'),
  row(FAULT_PROXY_HEADER_MALFORMED, 'proxy_header_malformed', 'client', 0, 'warn'),
  row(FAULT_PROXY_HEADER_CHECKSUM, 'proxy_header_checksum', 'client', 0, 'warn'),
  row(FAULT_PROXY_HEADER_TOO_LARGE, 'proxy_header_too_large', 'client', 0, 'warn'),
  row(FAULT_PROXY_HEADER_TIMEOUT, 'proxy_header_timeout', 'client', 0, 'warn'),
  row(FAULT_PROXY_HEADER_GONE, 'proxy_header_gone', 'client', 0, 'debug'),
  row(FAULT_PROXY_HEADER_REQUIRED, 'proxy_header_required', 'client', 0, 'info'),

  row(FAULT_HELLO_PLAIN_HTTP, 'plain_http', 'client', 400, 'info'),
  row(FAULT_HELLO_NOT_TLS, 'not_tls', 'client', 0, 'info'),
  row(FAULT_HELLO_SSLV2, 'sslv2', 'client', 0, 'info', 70),
  row(FAULT_HELLO_MALFORMED, 'malformed_hello', 'client', 0, 'info', 50),
  row(FAULT_HELLO_TOO_LARGE, 'hello_too_large', 'client', 0, 'info', 50),
  row(FAULT_HELLO_TIMEOUT, 'hello_timeout', 'client', 0, 'info'),
  row(FAULT_HELLO_GONE, 'hello_gone', 'client', 0, 'debug'),
  row(FAULT_HELLO_UNKNOWN_NAME, 'unknown_name', 'client', 0, 'info', 112),
  row(FAULT_HELLO_NO_SHARED_VERSION, 'no_shared_version', 'client', 0, 'info', 70),
  row(FAULT_HELLO_NO_SHARED_PROTOCOL, 'no_shared_protocol', 'client', 0, 'info', 120),
  row(FAULT_HELLO_BELOW_VERSION, 'below_minimum_version', 'client', 0, 'info', 70),
  row(FAULT_HELLO_NOT_POST_QUANTUM, 'not_post_quantum', 'client', 0, 'info', 40),

  row(FAULT_TLS_NO_SHARED_SUITE, 'no_shared_suite', 'client', 0, 'info', 40),
  row(FAULT_TLS_NO_SHARED_GROUP, 'no_shared_group', 'client', 0, 'info'),
  row(FAULT_TLS_NO_SHARED_SIGNATURE, 'no_shared_signature_scheme', 'client', 0, 'info', 40),
  row(FAULT_TLS_CLIENT_ALERT, 'client_alert', 'client', 0, 'info'),
  row(FAULT_TLS_CLIENT_GONE, 'client_gone', 'client', 0, 'info'),
  row(FAULT_TLS_MALFORMED, 'malformed', 'client', 0, 'info'),
  row(FAULT_TLS_DECRYPT, 'decrypt_error', 'client', 0, 'warn'),
  row(FAULT_TLS_TIMEOUT, 'handshake_timeout', 'client', 0, 'info'),
  row(FAULT_TLS_TRUNCATED, 'truncated', 'client', 0, 'debug'),
  row(FAULT_TLS_INTERNAL, 'tls_internal', 'us', 0, 'error', 80),
  row(FAULT_TLS_BAD_FINISHED, 'bad_finished', 'client', 0, 'warn'),
  row(FAULT_TLS_RENEGOTIATION, 'renegotiation', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_MISSING, 'certificate_missing', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_EXPIRED, 'certificate_expired', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_NOT_YET_VALID, 'certificate_not_yet_valid', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_UNKNOWN_ISSUER, 'certificate_unknown_issuer', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_REVOKED, 'certificate_revoked', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_UNSUITABLE, 'certificate_unsuitable', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_INVALID, 'certificate_invalid', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_NOT_ALLOWED, 'certificate_not_allowed', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_STATUS_UNKNOWN, 'certificate_status_unknown', 'client', 0, 'info'),
  row(FAULT_TLS_CERTIFICATE_CHAIN_LENGTH, 'certificate_chain_length', 'client', 0, 'info'),
  row(FAULT_TLS_FALLBACK, 'inappropriate_fallback', 'client', 0, 'info'),

  row(FAULT_REQUEST_LINE, 'request_line', 'client', 400, 'info'),
  row(FAULT_REQUEST_TARGET, 'request_target', 'client', 400, 'info'),
  row(FAULT_REQUEST_VERSION, 'request_version', 'client', 505, 'info'),
  row(FAULT_METHOD, 'method', 'client', 400, 'info'),
  row(FAULT_FIELD_LINE, 'field_line', 'client', 400, 'info'),
  row(FAULT_FIELD_NAME, 'field_name', 'client', 400, 'info'),
  row(FAULT_FIELD_VALUE, 'field_value', 'client', 400, 'info'),
  row(FAULT_OBS_FOLD, 'obs_fold', 'client', 400, 'info'),
  row(FAULT_BARE_LF, 'bare_lf', 'client', 400, 'info'),
  row(FAULT_BARE_CR, 'bare_cr', 'client', 400, 'info'),
  row(FAULT_HEAD_TOO_LARGE, 'head_too_large', 'client', 431, 'info'),
  row(FAULT_TOO_MANY_FIELDS, 'too_many_fields', 'client', 431, 'info'),
  row(FAULT_TARGET_TOO_LONG, 'target_too_long', 'client', 414, 'info'),
  row(FAULT_HOST, 'host', 'client', 400, 'info'),
  row(FAULT_CONTENT_LENGTH, 'content_length', 'client', 400, 'info'),
  row(FAULT_TRANSFER_ENCODING, 'transfer_encoding', 'client', 400, 'info'),
  row(FAULT_LENGTH_AND_CODING, 'length_and_coding', 'client', 400, 'info'),
  row(FAULT_CODING_UNKNOWN, 'coding_unknown', 'client', 501, 'info'),
  row(FAULT_CHUNK_SIZE, 'chunk_size', 'client', 400, 'info'),
  row(FAULT_CHUNK_EXTENSION, 'chunk_extension', 'client', 400, 'info'),
  row(FAULT_CHUNK_END, 'chunk_end', 'client', 400, 'info'),
  row(FAULT_TRAILER, 'trailer', 'client', 400, 'info'),
  row(FAULT_EXPECT, 'expect', 'client', 417, 'info'),
  row(FAULT_CONNECT_METHOD, 'connect_method', 'client', 405, 'info'),
  row(FAULT_H2_PREFACE, 'h2_preface', 'client', 400, 'info'),
  row(FAULT_HOST_DISAGREES, 'host_disagrees', 'client', 400, 'info'),
  row(FAULT_REQUEST_HEAD_TIMEOUT, 'request_head_timeout', 'client', 408, 'info'),
  row(FAULT_REQUEST_BODY_TIMEOUT, 'request_body_timeout', 'client', 408, 'info'),
  row(FAULT_REQUEST_TRUNCATED, 'request_truncated', 'client', 400, 'info'),
  row(FAULT_METHOD_UNKNOWN, 'method_unknown', 'client', 501, 'info'),
  row(FAULT_UPGRADE, 'upgrade', 'client', 400, 'info'),
  row(FAULT_BODY_TOO_LARGE, 'body_too_large', 'client', 413, 'info'),
  row(FAULT_REQUEST_BODY_SLOW, 'request_body_slow', 'client', 408, 'info'),
  row(FAULT_LENGTH_REQUIRED, 'length_required', 'client', 411, 'info'),

  row(FAULT_STATUS_LINE, 'status_line', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_FRAMING, 'response_framing', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_HEAD, 'response_head', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_CHUNK, 'response_chunk', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_TRUNCATED, 'response_truncated', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_HEAD_TIMEOUT, 'response_head_timeout', 'upstream', 504, 'warn'),
  row(FAULT_RESPONSE_BODY_TIMEOUT, 'response_body_timeout', 'upstream', 504, 'warn'),
  row(FAULT_UPSTREAM_GONE, 'upstream_gone', 'upstream', 502, 'warn', 0, 'reused'),
  row(FAULT_NO_TARGET, 'no_target', 'upstream', 503, 'warn'),
  row(FAULT_RESPONSE_UNASKED, 'response_unasked', 'upstream', 502, 'warn'),
  row(FAULT_RESPONSE_SWITCH, 'response_switch', 'upstream', 502, 'warn'),
  row(FAULT_UPSTREAM_CONNECTIONS, 'upstream_connections', 'us', 503, 'warn'),
  row(FAULT_RESPONSE_TOO_LARGE, 'response_too_large', 'upstream', 502, 'warn'),
  row(FAULT_SERVER_TLS_ALERT, 'server_tls_alert', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_TLS_HANDSHAKE, 'server_tls_handshake', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_TLS_GONE, 'server_tls_gone', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_EXPIRED, 'server_certificate_expired', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_NOT_YET_VALID, 'server_certificate_not_yet_valid', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER, 'server_certificate_unknown_issuer', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_REVOKED, 'server_certificate_revoked', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_NAME, 'server_certificate_name', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_INVALID, 'server_certificate_invalid', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_NOT_ALLOWED, 'server_certificate_not_allowed', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_CERTIFICATE_PIN, 'server_certificate_pin', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_TLS_TIMEOUT, 'server_tls_timeout', 'upstream', 504, 'warn', 0, 'always'),
  row(FAULT_SERVER_NOT_TLS, 'server_not_tls', 'upstream', 502, 'warn', 0, 'always'),
  row(FAULT_SERVER_TLS_TRUNCATED, 'server_tls_truncated', 'upstream', 502, 'warn'),
  row(FAULT_SERVER_TLS_BROKEN, 'server_tls_broken', 'upstream', 502, 'warn'),

  row(FAULT_NO_ROUTE, 'no_route', 'client', 404, 'info'),
  row(FAULT_DRAINING, 'draining', 'us', 503, 'info'),
  row(FAULT_CONNECTIONS_MAX, 'connections_max', 'us', 0, 'warn'),
  row(FAULT_CLIENT_SLOW, 'client_slow', 'client', 0, 'info'),
  row(FAULT_MISDIRECTED, 'misdirected', 'client', 421, 'info'),
  row(FAULT_ACCESS_DENIED, 'access_denied', 'client', 403, 'info'),
  row(FAULT_CLIENT_CONNECTIONS, 'client_connections', 'client', 0, 'info'),
  row(FAULT_CLIENT_HANDSHAKES, 'client_handshakes', 'client', 0, 'info'),
  row(FAULT_CLIENT_REQUESTS, 'client_requests', 'client', 429, 'info'),
  row(FAULT_UNAUTHORIZED, 'unauthorized', 'client', 401, 'info'),
  row(FAULT_VERIFIER_BUSY, 'verifier_busy', 'us', 503, 'warn'),
]);

/** Those that end a handshake: of the ClientHello, and of the TLS engines, but for two that end open connections alone. */
export const HANDSHAKE_FAULTS: readonly FaultRow[] = Object.freeze(
  FAULTS.filter(({ code }) => code <= FAULT_HELLO_PLAIN_HTTP && code > FAULT_REQUEST_LINE).filter(
    ({ code }) => code !== FAULT_TLS_TRUNCATED && code !== FAULT_TLS_RENEGOTIATION,
  ),
);

/** Those of TLS towards a server: of its handshake, and of what came behind it. */
export const SERVER_TLS_FAULTS: readonly FaultRow[] = Object.freeze(FAULTS.filter(({ code }) => isServerTlsFault(code)));

/** Whether `code` is of TLS towards a server: it says more than that the server is gone. */
export function isServerTlsFault(code: number): boolean {
  return code <= FAULT_SERVER_TLS_ALERT && code > FAULT_NO_ROUTE;
}

/** One more than the largest `-code`: the size of tables indexed by `-code`. */
export const FAULT_CODES = 180;

const byCode: (FaultRow | undefined)[] = new Array(FAULT_CODES).fill(undefined);
for (const entry of FAULTS) byCode[-entry.code] = entry;

/** The row of `code`. A number that is no fault is a programmer's error and throws. */
export function faultOf(code: number): FaultRow {
  const entry = byCode[-code];
  if (entry === undefined) throw new RangeError('not a fault code');
  return entry;
}
