/**
 * Every bound of the data plane in one place, with its unit, checked against each other at load.
 * A setting may move some of them (see `config/schema.ts`); none may be removed.
 */
import { assert } from './assert.ts';

/** Largest ClientHello handshake message looked at, joined over its records. Bytes. RFC 8446 allows 2^24; no client comes near. */
export const HELLO_BYTES_MAX = 16_384;
/** Looked at for it in the socket: with its record headers, several of them. Bytes. */
export const HELLO_PEEK_BYTES = HELLO_BYTES_MAX + 2_048;
/** Largest PROXY header that is read; what is known of senders stays below 1 KiB unless they put a certificate into it. Bytes. */
export const PROXY_HEADER_BYTES_MAX = 16_384;
/** Largest request or response head, request line included. Bytes. */
export const HEAD_BYTES_MAX = 32_768;
/** Longest request target. Bytes. RFC 9110, section 4.1 recommends at least 8,000. */
export const TARGET_BYTES_MAX = 16_384;
/** Field lines in one head. */
export const FIELDS_MAX = 128;
/** Longest chunk-size line, extensions included. Bytes. */
export const CHUNK_LINE_BYTES_MAX = 256;
/** Bytes of chunk-size lines in one body beyond what its data pays for (16 a chunk, and twice the data). Past it the sender is wasting our time. */
export const CHUNK_OVERHEAD_BYTES_MAX = 16_384;
/** Options in the Connection fields of one message, other than the usual ones. */
export const CONNECTION_OPTIONS_MAX = 32;
/** Longest host in a Host field, without port: the longest name of DNS, with its final dot. Bytes. */
export const HOST_BYTES_MAX = 254;
/** Longest request method. Bytes. */
export const METHOD_BYTES_MAX = 32;
/** Largest trailer section. Bytes. */
export const TRAILER_BYTES_MAX = 8_192;
/** Largest bound that can be set on a body. Bytes. */
export const BODY_BYTES_MAX = Number.MAX_SAFE_INTEGER;
/** Largest page of our own: an error page, a fixed response. Bytes. */
export const PAGE_BYTES_MAX = 32_768;
/** Largest request body that is held until it is whole: with the largest head it fits into one read. Bytes. */
export const REQUEST_BUFFER_BYTES_MAX = 98_304;
/** Most of a response that may wait for one slow client. Bytes. */
export const RESPONSE_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes read from a connection in one call. */
export const READ_BYTES = 131_072;
/** Room in front of what is read, so that a rewritten head or a chunk line can be put there without moving the body. Bytes. */
export const HEADROOM_BYTES = 36_864;
/** Room behind what is read, for the end of a chunk. Bytes. */
export const TAILROOM_BYTES = 16_384;
/** Bytes moved for one connection in one turn before others get theirs. */
export const TURN_BYTES_MAX = 262_144;
/** New handshakes begun in one turn of the loop, so that open connections never wait behind a flood. */
export const HANDSHAKES_PER_TURN = 8;
/** Connections accepted from one listener in one turn. */
export const ACCEPTS_PER_TURN = 64;
/** Events taken from the kernel in one call. */
export const EVENTS_PER_TURN = 512;
/** What clients may not take of a worker's descriptors, so that those who are in can be served: targets need some. A share, and at least so many. */
export const RESERVED_DESCRIPTORS_SHARE = 1 / 8;
export const RESERVED_DESCRIPTORS_MIN = 16;
/** Descriptors a worker can watch; the size of its slot tables. */
export const DESCRIPTORS_MAX = 1_048_576;
/** Connections that may wait out a blinding delay at once in one worker; past it they are closed at once. */
export const BLINDED_MAX = 1_024;
/** Longest blinding delay that is honoured. Milliseconds. */
export const BLINDING_MS_MAX = 30_000;
/** Servers whose TLS session one context keeps to resume it; past it the oldest goes. */
export const SERVER_SESSIONS_MAX = 1_024;
/** TLS connections kept for reuse in one worker. */
export const SPARE_SESSIONS_MAX = 1_024;
/** Workers one supervisor runs. */
export const WORKERS_MAX = 256;
/** Targets over all upstreams; the shared table has this many rows a worker. */
export const TARGETS_MAX = 1_024;
/** Routes over all listeners that are counted each by itself; those beyond share a place. */
export const ROUTES_COUNTED_MAX = 1_024;
/** Addresses of one target that are tried. */
export const ADDRESSES_MAX = 8;
/** Listeners of one configuration. */
export const LISTENERS_MAX = 256;
/** Certificates of one configuration. */
export const CERTIFICATES_MAX = 20_000;
/** Largest frame on the control socket: a plan with its certificates. Bytes. */
export const FRAME_BYTES_MAX = 256 * 1024 * 1024;
/** Log bytes waiting for a slow destination in one worker; past it lines are dropped and counted. */
export const LOG_PENDING_BYTES_MAX = 4 * 1024 * 1024;
/** Longest log line. Bytes. Longer values are cut before it is reached. The kernel's PIPE_BUF: a line in one write is whole in any pipe. */
export const LOG_LINE_BYTES_MAX = 4_096;
/** Sampled requests that wait in one worker for the supervisor; past it they are dropped and counted. */
export const SPANS_PENDING_MAX = 2_048;
/** Sampled requests that wait in the supervisor for the collector; past it they are dropped and counted. A KiB or two each. */
export const SPANS_QUEUED_MAX = 4_096;
/** Bytes on their way from a worker to the supervisor before spans wait in the worker. */
export const CONTROL_PENDING_BYTES_MAX = 262_144;

/** Largest part of a head that tells a server of a client's certificate. Bytes. */
export const CLIENT_FIELDS_BYTES_MAX = 16_384;
/** Answers about revocation that a worker remembers; past it the oldest go. */
export const VERDICTS_MAX = 16_384;
/** Certificates whose reading a listener remembers; past it the oldest go. */
export const IDENTITIES_MAX = 1_024;
/** Questions about revocation that a worker may have open; past it revocation is not known. */
export const QUESTIONS_MAX = 1_024;
/** Revocation lists held at once. */
export const REVOCATION_LISTS_MAX = 1_024;

assert(HEADROOM_BYTES >= HEAD_BYTES_MAX + 4_096, 'headroom holds the largest head with the fields we add');
assert(READ_BYTES >= HEAD_BYTES_MAX, 'one read can hold the largest head');
assert(REQUEST_BUFFER_BYTES_MAX + HEAD_BYTES_MAX <= READ_BYTES, 'a held request fits into the scratch');
assert(TARGET_BYTES_MAX < HEAD_BYTES_MAX, 'the longest target fits into a head');
assert(TURN_BYTES_MAX >= READ_BYTES, 'a turn moves at least one read');
