/**
 * The configuration file as one schema: the source of its types, its defaults and its error messages.
 * Knows nothing of files, of YAML, or of one setting's relation to another (see references.ts).
 *
 * What the design has and this version has not stands in the `later` lists, so that it is refused by name.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import {
  BODY_BYTES_MAX,
  FIELDS_MAX,
  HEAD_BYTES_MAX,
  LISTENERS_MAX,
  PAGE_BYTES_MAX,
  REQUEST_BUFFER_BYTES_MAX,
  RESPONSE_BUFFER_BYTES_MAX,
  TARGET_BYTES_MAX,
  TARGETS_MAX,
  WORKERS_MAX,
} from '../base/limits.ts';
import { isTypePattern } from '../http/compression-rules.ts';
import type { ListenAddress } from '../plan/plan.ts';
import { hostName, LISTEN_FORMS, parseListenAddress, parseTargetAddress, TARGET_FORMS } from './addresses.ts';
import { fieldEdits, fieldNames, template } from './fields.ts';
import { log } from './logging.ts';
import { networkList } from './networks.ts';
import { HOST_FORMS, PATH_FORMS, parseHostPattern, parsePathPattern } from './patterns.ts';
import {
  choice,
  choiceOfNumber,
  count,
  duration,
  filePath,
  flag,
  itemName,
  line,
  list,
  mapping,
  parsed,
  section,
  shorthand,
  size,
} from './settings.ts';
import { parseRate, RATE_FORMS } from './units.ts';
import { shown, wrong } from './wording.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TYPE_PATTERN_FORMS = "a media type as 'text/html', 'text/*', '*/*+json' or '!text/event-stream'";
/** Shortest deadline: below it, ordinary networks would already break. */
const DEADLINE_MS_MIN = 10;

/** Where the admin interface listens when nothing is said. */
export const ADMIN_ADDRESS = '127.0.0.1:9901';

const admin = section(
  {
    /** Where metrics, health and status are served; null: nowhere. */
    listen: parsed(`${LISTEN_FORMS}, or 'off'`, (text): { address: ListenAddress | null } | string => {
      if (text === 'off') return { address: null };
      const spec = parseListenAddress(text);
      // Forms that mean both families stand for IPv4 here: one socket serves everybody who asks.
      return typeof spec === 'string' ? spec : { address: spec.addresses[0]! };
    })
      .transform(({ address }) => address)
      .prefault(ADMIN_ADDRESS),
  },
  ['tls', 'token', 'tokens', 'auth'],
);

const certificate = section(
  {
    certificate: filePath('a PEM file with the certificate and its chain, leaf first'),
    key: filePath('a PEM file with the private key'),
  },
  ['ocsp', 'pkcs11', 'passphrase', 'names'],
);

const tls = section(
  {
    policy: choice(['intermediate', 'modern'], ['old', 'fips', 'custom']).prefault('intermediate'),
    certificates: list(certificate, 'a list of certificates, each a mapping of certificate, key', 1, 10_000),
    /** Session tickets, by which a client that returns saves a whole handshake. */
    tickets: flag().prefault(true),
  },
  [
    'clients',
    'clientCertificates',
    'acme',
    'alpn',
    'library',
    'engine',
    'ciphers',
    'versions',
    'groups',
    'passthrough',
    'ocsp',
    'earlyData',
    'requireName',
  ],
);

const match = section(
  {
    host: parsed(HOST_FORMS, (text) => unwrapped(parseHostPattern(text))).optional(),
    path: parsed(PATH_FORMS, (text) => unwrapped(parsePathPattern(text))).optional(),
  },
  ['method', 'headers', 'header', 'query', 'sni', 'client', 'protocol'],
);

/** Who may come in: the longest prefix decides, a tie is a denial. With `allow` alone, nobody else may. */
const access = section({
  allow: networkList().prefault([]),
  deny: networkList().prefault([]),
  /** Files with a network a line; '#' begins a comment. */
  allowFile: filePath('a file with a network a line').optional(),
  denyFile: filePath('a file with a network a line').optional(),
});

const responseBody = section({
  /** Larger ones are 502, or cut when their head has gone out. */
  max: size(0, BODY_BYTES_MAX).optional(),
  /** How much of it may wait for a slow client, so that the server is done with sooner. */
  buffer: size(0, RESPONSE_BUFFER_BYTES_MAX).prefault('0B'),
});

const requestBody = section({
  /** Larger ones are 413. */
  max: size(0, BODY_BYTES_MAX).optional(),
  /** Bodies up to this size are whole before the server sees the request: a slow client then costs the server nothing. */
  buffer: size(0, REQUEST_BUFFER_BYTES_MAX).prefault('0B'),
});

const REDIRECT_EXPECTED = "'https', or a mapping of to, status";

const redirect = shorthand(
  'to',
  section(
    {
      /** Where to; `https` is the same place by TLS. */
      to: template('a URL with variables', false),
      status: choiceOfNumber([301, 302, 303, 307, 308]).prefault(308),
    },
    [],
    REDIRECT_EXPECTED,
  ),
);

const respond = section({
  status: count(200, 599).prefault(200),
  /** The body itself, or the file that has it. */
  body: z
    .string({ error: (issue) => wrong(issue.input, 'text') })
    .max(PAGE_BYTES_MAX)
    .optional(),
  file: filePath('the file with the body').optional(),
  type: line('a media type', 256).prefault('text/plain; charset=utf-8'),
});

const basicAuth = section({
  realm: line('a realm', 128).prefault('restricted'),
  /** A file as htpasswd makes it: 'user:hash' a line. */
  users: filePath('a file of users and password hashes'),
});

const forwardAuth = section({
  /** The upstream that is asked. */
  to: itemName(),
  /** What it is asked for. */
  path: line('a path', 1_024)
    .regex(/^\/[!-~]*$/, { error: (issue) => wrong(issue.input, "a path that begins with '/'") })
    .prefault('/'),
  /** Fields of its answer that go on with the request; a client's own of these names are dropped. */
  copyToRequest: fieldNames().prefault([]),
  /** Fields of its answer that go to the client with the response. */
  copyToResponse: fieldNames().prefault([]),
});

const typePattern = z
  .string({ error: (issue) => wrong(issue.input, TYPE_PATTERN_FORMS) })
  .refine(isTypePattern, { error: (issue) => wrong(issue.input, TYPE_PATTERN_FORMS) });

const COMPRESS_EXPECTED = 'true, false, or a mapping of codings, types, minimum, withSecrets';

/** `true` is the defaults. */
const compress = z.preprocess(
  (value) => (value === true ? {} : value === false ? null : value),
  section(
    {
      codings: list(choice(['zstd', 'br', 'gzip']), 'a list of codings, best first', 1, 3).prefault(['zstd', 'br', 'gzip']),
      types: list(typePattern, 'a list of media types', 1, 64).optional(),
      /** Shorter bodies go as they are. */
      minimum: size(0, 1_048_576).prefault('1KiB'),
      /** Also answers to requests with cookies or authorization: only where no secret and no echo of the request share a page (BREACH). */
      withSecrets: flag().prefault(false),
    },
    [],
    COMPRESS_EXPECTED,
  ).nullable(),
);

const route = section(
  {
    /** What logs call it; default: the listener's name and the route's place. */
    name: itemName().optional(),
    match: match.prefault({}),
    /** One of `to`, `redirect` and `respond`. */
    to: itemName().optional(),
    redirect: redirect.optional(),
    respond: respond.optional(),
    /** Host that the server is told: `keep` the client's, or a name with or without port. */
    host: parsed("'keep', or a host as 'app.internal' or 'app.internal:8080'", parseSentHost).optional(),
    headers: section({ request: fieldEdits(false).optional(), response: fieldEdits(true).optional() }).prefault({}),
    /** Location and cookies of a server that believes it is asked over http. */
    mend: flag().prefault(true),
    requestBody: requestBody.prefault({}),
    responseBody: responseBody.prefault({}),
    access: access.optional(),
    basicAuth: basicAuth.optional(),
    forwardAuth: forwardAuth.optional(),
    compress: compress.optional(),
  },
  ['rewrite', 'rateLimit', 'timeouts', 'retries', 'mirror'],
);

const HSTS_EXPECTED = "a duration as '365d', or a mapping of maxAge, includeSubDomains, preload";

const hsts = shorthand(
  'maxAge',
  section(
    { maxAge: duration(0, 3_650 * DAY_MS), includeSubDomains: flag().prefault(false), preload: flag().prefault(false) },
    [],
    HSTS_EXPECTED,
  ),
);

/** `404`, `503` or a class as `5xx`, each to the file with the page. */
const errorPages = mapping(filePath('a page'), 'a mapping of statuses to files', 64, (name) =>
  /^([45]\d\d|[45]xx)$/.test(name) ? undefined : `found ${shown(name)}, expected a status from 400 to 599, '4xx' or '5xx'`,
);

const socket = section({
  /** Connections that wait in the kernel until they are accepted. */
  backlog: count(1, 65_535).prefault(4_096),
  fastOpen: flag().prefault(false),
  /** Wakes a worker only when a client's first bytes are there. Silent clients then count against the kernel's patience, not `timeouts.handshake`. */
  deferAccept: flag().prefault(true),
  /** How long bytes may stay unacknowledged before the kernel gives the connection up. 0: the kernel's own patience. */
  userTimeout: duration(SECOND_MS, HOUR_MS, true).prefault('off'),
  /** Quiet time before TCP asks whether the other side is still there. 0: never. */
  keepAlive: duration(SECOND_MS, 9 * HOUR_MS, true)
    .transform((ms) => Math.ceil(ms / SECOND_MS))
    .prefault('1m'),
});

const listener = section(
  {
    name: itemName(),
    address: parsed(LISTEN_FORMS, parseListenAddress),
    protocol: choice(['http'], ['tcp', 'udp', 'http2', 'http3']).prefault('http'),
    tls: tls.optional(),
    routes: list(route, 'a list of routes, each a mapping of match and one of to, redirect, respond', 1, 10_000).optional(),
    /** In place of routes: everything is sent elsewhere. */
    redirect: redirect.optional(),
    /** What servers are told of the client. */
    forwarded: choice(['x-forwarded', 'rfc7239', 'both', 'off']).prefault('x-forwarded'),
    /** Proxies in front of this listener, whose word about the client is believed. */
    trustedProxies: networkList().prefault([]),
    traceparent: flag().prefault(false),
    hsts: hsts.optional(),
    errorPages: errorPages.prefault({}),
    access: access.optional(),
    socket: socket.prefault({}),
  },
  ['proxyProtocol', 'rateLimit', 'http2', 'trust', 'limits', 'timeouts', 'guard'],
);

const TARGET_EXPECTED = `${TARGET_FORMS}, or a mapping of address, weight`;

const target = shorthand(
  'address',
  section(
    {
      address: parsed(TARGET_FORMS, parseTargetAddress),
      /** Its share of the requests, next to the others'. */
      weight: count(1, 256).prefault(1),
    },
    ['tls', 'backup', 'slowStart', 'zone', 'drain'],
    TARGET_EXPECTED,
  ),
);

const OWN_ADDRESS_FORMS = 'an IP address of this machine, or one of each family';

const ownAddress = z.string({ error: (issue) => wrong(issue.input, OWN_ADDRESS_FORMS) }).check((context) => {
  if (isIPv4(context.value) || (isIPv6(context.value) && !context.value.includes('%'))) return;
  context.issues.push({ code: 'custom', message: wrong(context.value, OWN_ADDRESS_FORMS), input: context.value });
});

const upstream = section(
  {
    name: itemName(),
    targets: list(target, 'a list of targets', 1, TARGETS_MAX),
    balance: choice(['round-robin'], ['least-connections', 'random', 'hash', 'consistent-hash', 'sticky']).prefault('round-robin'),
    /** Idle connections kept for reuse, per target and worker; 0: none is kept. */
    idleConnections: count(0, 10_000).prefault(64),
    /** Our own address on connections to it: one, or one of each family. */
    sourceAddress: z
      .preprocess((value) => (typeof value === 'string' ? [value] : value), list(ownAddress, OWN_ADDRESS_FORMS, 0, 2))
      .prefault([]),
    timeouts: section({
      connect: duration(DEADLINE_MS_MIN, HOUR_MS).prefault('5s'),
      /** From the last byte of the request to the first of the response. */
      responseHead: duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
      /** Longest silence within a response body, or while the target takes no bytes. */
      body: duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
      /** Quiet time after which a kept connection is closed. */
      idle: duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
    }).prefault({}),
  },
  ['tls', 'health', 'healthCheck', 'retries', 'protocol', 'queue', 'connections', 'breaker', 'proxyProtocol', 'resolve', 'sticky'],
);

const timeouts = section({
  /** From accept to the end of the handshake. */
  handshake: duration(DEADLINE_MS_MIN, HOUR_MS).prefault('10s'),
  /** From the first byte of a request head to its last. */
  requestHead: duration(DEADLINE_MS_MIN, HOUR_MS).prefault('10s'),
  /** Longest silence within a request body, or while the client takes no bytes. */
  body: duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
  /** Quiet time on a kept-alive client connection. */
  idle: duration(DEADLINE_MS_MIN, DAY_MS).prefault('75s'),
  /** Quiet time in a tunnel (an upgraded connection, such as WebSocket). */
  tunnel: duration(DEADLINE_MS_MIN, 7 * DAY_MS).prefault('1h'),
  /** How long a closing connection may wait for the client to take its last bytes. */
  close: duration(DEADLINE_MS_MIN, HOUR_MS).prefault('5s'),
  /** How long open exchanges may go on after a stop is asked for. */
  drain: duration(0, DAY_MS).prefault('30s'),
});

const rate = shorthand(
  'rate',
  section(
    {
      rate: parsed(RATE_FORMS, (text) => parseRate(text) ?? wrong(text, RATE_FORMS)),
      /** How many may come at once after a quiet time. Default: those of two seconds. */
      burst: count(1, 1_000_000).optional(),
    },
    [],
    `${RATE_FORMS}, or a mapping of rate, burst`,
  ),
);

/** What one client may have, over all workers. A client is an address, or the network it may choose addresses from. */
const clients = section({
  connections: count(1, 1_000_000).optional(),
  handshakes: rate.optional(),
  requests: rate.optional(),
  ipv4Prefix: count(8, 32).prefault(32),
  ipv6Prefix: count(16, 128).prefault(64),
  /** Networks without these limits; trusted proxies are without them anyway, and their clients' requests are counted instead. */
  exempt: networkList().prefault([]),
});

const limits = section({
  /** Open client connections, over all workers. */
  connections: count(1, 10_000_000).prefault(100_000),
  /** Requests on one connection; then it is closed. */
  requestsPerConnection: count(1, 1_000_000_000).optional(),
  /** Bytes a second that a client must send of a body, or take of an answer, while it is waited for; 'off' for any. */
  minimumRate: z.union([z.literal('off').transform(() => 0), size(1, 1_048_576)]).prefault('64B'),
  /** Quiet start before that counts. */
  minimumRateAfter: duration(SECOND_MS, HOUR_MS).prefault('30s'),
  /** Largest head of a request or response. */
  head: size(1_024, HEAD_BYTES_MAX).prefault('32KiB'),
  /** Field lines in one head. */
  fields: count(8, FIELDS_MAX).prefault(100),
  /** Longest request target. */
  target: size(256, TARGET_BYTES_MAX).prefault('8KiB'),
}).check((context) => {
  const { head, target: targetBytes } = context.value;
  if (targetBytes < head) return;
  context.issues.push({
    code: 'custom',
    path: ['target'],
    message: 'the longest target must be smaller than the largest head',
    input: targetBytes,
  });
});

/** The whole file. */
export const schema = section(
  {
    admin: admin.prefault({}),
    /** Processes that carry traffic; `auto`: one per core. */
    workers: workers().prefault('auto'),
    /** Directory of the control socket. */
    runtime: filePath('a directory').optional(),
    /** Started as root it becomes this user, who can still bind low ports. */
    user: itemName().optional(),
    /** Default: the user's own. */
    group: itemName().optional(),
    /** Files that change are read again by themselves. */
    watch: flag().prefault(false),
    log: log.prefault({}),
    listeners: list(listener, 'a list of listeners', 1, LISTENERS_MAX),
    upstreams: list(upstream, 'a list of upstreams', 0, TARGETS_MAX).prefault([]),
    timeouts: timeouts.prefault({}),
    limits: limits.prefault({}),
    clients: clients.prefault({}),
  },
  ['store', 'cluster', 'acme', 'guard', 'access', 'tls', 'tracing', 'alerts', 'include', 'telemetry', 'metrics'],
);

/** A configuration that passed the schema: no default is missing, durations are milliseconds, sizes bytes. */
export type Config = z.output<typeof schema>;
/** A configuration as it is written. */
export type ConfigInput = z.input<typeof schema>;

function workers() {
  const expected = `'auto' or a whole number from 1 to ${WORKERS_MAX}`;
  const error = (issue: { input?: unknown }) => wrong(issue.input, expected);
  return z.union([z.literal('auto'), z.int({ error }).min(1, { error }).max(WORKERS_MAX, { error })], { error });
}

/** Host for the server; null keeps the client's. */
function parseSentHost(text: string): { readonly host: string | null } | string {
  if (text === 'keep') return { host: null };
  const [, name = '', port] = /^(\[[0-9a-fA-F:.]+\]|[^:]+)(:\d{1,5})?$/.exec(text) ?? [];
  const valid = name.startsWith('[') ? isIPv6(name.slice(1, -1)) : hostName(name) !== undefined;
  if (!valid || Number(port?.slice(1) ?? 1) > 65_535)
    return `found ${shown(text)}, expected 'keep', or a host as 'app.internal' or 'app.internal:8080'`;
  return { host: `${name.startsWith('[') ? name.toLowerCase() : hostName(name)!}${port ?? ''}` };
}

function unwrapped<Value extends object>(value: Value | { readonly error: string }): Value | string {
  return 'error' in value ? value.error : value;
}
