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
  CERTIFICATES_MAX,
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
import { clientCertificates } from './client-certificates.ts';
import { fieldEdits, fieldNames, template } from './fields.ts';
import { log } from './logging.ts';
import { networkList } from './networks.ts';
import { HOST_FORMS, PATH_FORMS, parseHostPattern, parseNamePattern, parsePathPattern, SNI_FORMS } from './patterns.ts';
import { policy } from './policy-setting.ts';
import { serverTls } from './server-tls.ts';
import {
  about,
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
import { attributes, COLLECTOR, ENDPOINT_FORMS, headerValues, parseEndpoint, share } from './telemetry.ts';
import { chainFile, keyFile, protocolNames } from './tls-settings.ts';
import { parseRate, RATE_FORMS } from './units.ts';
import { shown, wrong } from './wording.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Keys of tickets change every hour: what lives shorter would have none to be made with. */
const TICKET_LIFETIME_MS_MIN = 3 * HOUR_MS;
const TYPE_PATTERN_FORMS = "a media type as 'text/html', 'text/*', '*/*+json' or '!text/event-stream'";
/** Shortest deadline: below it, ordinary networks would already break. */
const DEADLINE_MS_MIN = 10;

/** Below it no worker can run; above it no machine is. */
const MEMORY_BYTES_MIN = 64 * 1_048_576;
const MEMORY_BYTES_MAX = 64 * 1_024 ** 4;
const MEMORY_EXPECTED = "a size as '2GiB', from 64MiB on, or 'auto'";
const RATE_BYTES_EXPECTED = "a size in a second from 1B to 1MiB, or 'off'";

/** Where the admin interface listens when nothing is said. */
export const ADMIN_ADDRESS = '127.0.0.1:9901';

const admin = section(
  {
    listen: about(
      'Where metrics, health and status are served; null: nowhere.',
      parsed(`${LISTEN_FORMS}, or 'off'`, (text): { address: ListenAddress | null } | string => {
        if (text === 'off') return { address: null };
        const spec = parseListenAddress(text);
        // Forms that mean both families stand for IPv4 here: one socket serves everybody who asks.
        return typeof spec === 'string' ? spec : { address: spec.addresses[0]! };
      })
        .transform(({ address }) => address)
        .prefault(ADMIN_ADDRESS),
    ),
  },
  ['tls', 'token', 'tokens', 'auth'],
);

const certificate = section(
  {
    certificate: about('The certificate and its chain, leaf first.', chainFile()),
    key: keyFile(),
    directory: about(
      'Instead of both, a directory: each NAME.pem or NAME.crt in it, with the key in the same file or in NAME.key, and each directory in it that has fullchain.pem and privkey.pem. Watched for changes.',
      filePath('a directory of PEM files').optional(),
    ),
  },
  ['ocsp', 'pkcs11', 'passphrase', 'names'],
).check((context) => {
  const { certificate: file, key, directory } = context.value;
  const problem = (setting: string, message: string): void => {
    context.issues.push({ code: 'custom', message, path: [setting], input: context.value });
  };
  if (directory !== undefined && (file !== undefined || key !== undefined)) {
    problem('directory', "it has certificates and keys, and stands without 'certificate' and 'key'");
  } else if (directory === undefined && file === undefined) {
    problem('certificate', "missing; expected a PEM file with the certificate and its chain, or 'directory'");
  }
});

const minimumVersion = () =>
  z
    .union([z.literal(1.2), z.literal(1.3), z.literal('1.2'), z.literal('1.3')], { error: (issue) => wrong(issue.input, '1.2 or 1.3') })
    .transform((version): number => (Number(version) === 1.2 ? 0x0303 : 0x0304));

const ticketLifetime = () => duration(TICKET_LIFETIME_MS_MIN, DAY_MS);

/** A name that clients ask for: what SNI can say. */
function serverName(text: string): { readonly host: string } | string {
  const parsed = unwrapped(parseHostPattern(text));
  if (typeof parsed === 'string') return parsed;
  return parsed.host === null || isIPv4(parsed.host) || parsed.host.startsWith('[')
    ? `found ${shown(text)}, expected ${HOST_FORMS}`
    : { host: parsed.host };
}

/** What names have for themselves. */
const nameRules = section({
  match: about(
    "Names that clients ask for: 'shop.example.com', '*.example.com', or a list of them.",
    z.preprocess(
      (value) => (typeof value === 'string' ? [value] : value),
      list(parsed(HOST_FORMS, serverName), 'a name, or a list of names', 1, 1_000),
    ),
  ),
  policy: about("As the listener's.", policy().optional()),
  minimumVersion: about("As the listener's, unless these names have a policy of their own.", minimumVersion().optional()),
  requirePostQuantum: about("As the listener's, unless these names have a policy of their own.", flag().optional()),
  report: about("As the listener's.", policy().optional()),
  tickets: about("As the listener's.", flag().optional()),
  ticketLifetime: about("As the listener's.", ticketLifetime().optional()),
  clientCertificates: about("As the listener's.", clientCertificates.optional()),
});

const tls = section(
  {
    policy: about(
      'What is offered: versions, cipher suites, groups, signature schemes (docs/policies.md). A name without a version is the newest; own lists are served by openssl.',
      policy().prefault('intermediate'),
    ),
    minimumVersion: about('What a client must speak at least, where that is more than the policy wants.', minimumVersion().optional()),
    requirePostQuantum: about('Refuses clients that offer no group with ML-KEM. Default: as the policy has it.', flag().optional()),
    report: about('A policy that is not served: clients that it would refuse are counted and logged.', policy().optional()),
    certificates: about(
      'Certificates, chosen by the name a client asks for; the first is for those who ask for none, or an unknown one.',
      list(certificate, 'a list of certificates, each a mapping of certificate, key', 1, CERTIFICATES_MAX),
    ),
    engine: about(
      'The TLS library: `s2n` is the fast one, `openssl` the complete one; `auto`: the fast one unless a setting needs the other.',
      choice(['auto', 's2n', 'openssl']).prefault('auto'),
    ),
    library: about(
      "Another libssl (OpenSSL 3.0 or newer) in place of node's own, for every listener on openssl: all that name one name the same.",
      filePath('a libssl').optional(),
    ),
    compressCertificates: about('Certificates go compressed to clients that read that (RFC 8879); needs openssl.', flag().prefault(false)),
    tickets: about('Session tickets, by which a client that returns saves a whole handshake.', flag().prefault(true)),
    ticketLifetime: about(
      'No session is resumed longer than this after the handshake, or the resumption, that gave the ticket.',
      ticketLifetime().prefault('24h'),
    ),
    clientCertificates: about('Certificates that clients show.', clientCertificates.optional()),
    strict: about(
      'Clients that ask for no name, or one that no certificate is for, are refused (unrecognized_name).',
      flag().prefault(false),
    ),
    names: about('What is otherwise for some names.', list(nameRules, 'a list of names with settings of their own', 0, 1_000).prefault([])),
    alpn: about(
      'Protocols offered by ALPN, best first, on a listener of protocol tcp; none: a client is asked for none. What an http listener speaks is known.',
      protocolNames().optional(),
    ),
  },
  ['clients', 'acme', 'ocsp', 'earlyData', 'requireName'],
);

const sniPattern = parsed(SNI_FORMS, (text) => unwrapped(parseNamePattern(text)));

const match = section(
  {
    host: about('Host of the request; without it, any.', parsed(HOST_FORMS, (text) => unwrapped(parseHostPattern(text))).optional()),
    path: about(
      'Path of the request, or its beginning; without it, any.',
      parsed(PATH_FORMS, (text) => unwrapped(parsePathPattern(text))).optional(),
    ),
    sni: about('On a listener of protocol tcp: the server name the client asked for; without it, any and none.', sniPattern.optional()),
    alpn: about('On a listener of protocol tcp: protocols of ALPN, one of which was agreed.', protocolNames().optional()),
  },
  ['method', 'headers', 'header', 'query', 'client', 'protocol'],
);

/** Who may come in: the longest prefix decides, a tie is a denial. With `allow` alone, nobody else may. */
const access = section({
  allow: about('Networks that may come in; with these alone, nobody else may.', networkList().prefault([])),
  deny: about('Networks that may not.', networkList().prefault([])),
  allowFile: about("Files with a network a line; '#' begins a comment.", filePath('a file with a network a line').optional()),
  denyFile: about('As allowFile, of networks that may not come in.', filePath('a file with a network a line').optional()),
});

const responseBody = section({
  max: about('Larger ones are 502, or cut when their head has gone out.', size(0, BODY_BYTES_MAX).optional()),
  buffer: about(
    'How much of it may wait for a slow client, so that the server is done with sooner.',
    size(0, RESPONSE_BUFFER_BYTES_MAX).prefault('0B'),
  ),
});

const requestBody = section({
  max: about('Larger ones are 413.', size(0, BODY_BYTES_MAX).optional()),
  buffer: about(
    'Bodies up to this size are whole before the server sees the request: a slow client then costs the server nothing.',
    size(0, REQUEST_BUFFER_BYTES_MAX).prefault('0B'),
  ),
});

const REDIRECT_EXPECTED = "'https', or a mapping of to, status";

const redirect = shorthand(
  'to',
  section(
    {
      to: about('Where to; `https` is the same place by TLS.', template('a URL with variables', false)),
      status: about('Status of the answer.', choiceOfNumber([301, 302, 303, 307, 308]).prefault(308)),
    },
    [],
    REDIRECT_EXPECTED,
  ),
);

const respond = section({
  status: about('Status of the answer.', count(200, 599).prefault(200)),
  body: about(
    'The body itself, or the file that has it.',
    z
      .string({ error: (issue) => wrong(issue.input, 'text') })
      .refine((text) => Buffer.byteLength(text) <= PAGE_BYTES_MAX, { error: `found text of more than ${PAGE_BYTES_MAX} bytes` })
      .optional(),
  ),
  file: about('A file with the body.', filePath('the file with the body').optional()),
  type: about('Media type of the body.', line('a media type', 256).prefault('text/plain; charset=utf-8')),
});

const basicAuth = section({
  realm: about('What the client is told the password is for.', line('a realm', 128).prefault('restricted')),
  users: about("A file as htpasswd makes it: 'user:hash' a line.", filePath('a file of users and password hashes')),
});

const forwardAuth = section({
  to: about('The upstream that is asked.', itemName()),
  path: about(
    'What it is asked for.',
    line('a path', 1_024)
      .regex(/^\/[!-~]*$/, { error: (issue) => wrong(issue.input, "a path that begins with '/'") })
      .prefault('/'),
  ),
  copyToRequest: about(
    "Fields of its answer that go on with the request; a client's own of these names are dropped.",
    fieldNames().prefault([]),
  ),
  copyToResponse: about('Fields of its answer that go to the client with the response.', fieldNames().prefault([])),
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
      codings: about(
        "Codings, best first; the client's wishes decide among them.",
        list(choice(['zstd', 'br', 'gzip']), 'a list of codings, best first', 1, 3).prefault(['zstd', 'br', 'gzip']),
      ),
      types: about(
        'Media types that are compressed. Default: texts and what compresses like them.',
        list(typePattern, 'a list of media types', 1, 64).optional(),
      ),
      minimum: about('Shorter bodies go as they are.', size(0, 1_048_576).prefault('1KiB')),
      withSecrets: about(
        'Also answers to requests with cookies or authorization: only where no secret and no echo of the request share a page (BREACH).',
        flag().prefault(false),
      ),
    },
    [],
    COMPRESS_EXPECTED,
  ).nullable(),
);

const route = section(
  {
    name: about("What logs call it; default: the listener's name and the route's place.", itemName().optional()),
    match: about('Which requests it is for: all of them, unless it says.', match.prefault({})),
    to: about('One of `to`, `redirect` and `respond`.', itemName().optional()),
    redirect: about('The client is sent elsewhere.', redirect.optional()),
    respond: about('Tollgate answers by itself.', respond.optional()),
    host: about(
      "Host that the server is told: `keep` the client's, or a name with or without port.",
      parsed("'keep', or a host as 'app.internal' or 'app.internal:8080'", parseSentHost).optional(),
    ),
    headers: about(
      "Fields that are set, added and removed: the request's on their way to the server, the response's on their way back.",
      section({
        request: about('Of the request, on its way to the server.', fieldEdits(false).optional()),
        response: about('Of the response, on its way back; of a redirect, or a fixed answer, too.', fieldEdits(true).optional()),
      }).prefault({}),
    ),
    mend: about('Location and cookies of a server that believes it is asked over http.', flag().prefault(true)),
    requestBody: about('Bounds of request bodies.', requestBody.prefault({})),
    responseBody: about('Bounds of response bodies.', responseBody.prefault({})),
    access: about('Who may: networks, the longest prefix decides.', access.optional()),
    basicAuth: about('Passwords (RFC 7617).', basicAuth.optional()),
    forwardAuth: about('A server that is asked about each request first.', forwardAuth.optional()),
    compress: about('Compression of responses; true is the defaults.', compress.optional()),
  },
  ['rewrite', 'rateLimit', 'timeouts', 'retries', 'mirror'],
);

const passthrough = section({
  name: about("What logs call it; default: the listener's name and its place.", itemName().optional()),
  match: about(
    'Which connections it is for: all of them, unless it says.',
    section({
      sni: about('Server name that the ClientHello asks for; without it, any and none.', sniPattern.optional()),
      alpn: about('Protocols of ALPN, one of which the client offers.', protocolNames().optional()),
    }).prefault({}),
  ),
  to: about('The upstream that terminates the TLS.', itemName()),
  access: about('Who may: networks, the longest prefix decides.', access.optional()),
});

const proxyProtocol = section({
  from: about('Proxies whose connections begin with a PROXY header, version 1 or 2, all of them.', networkList(1)),
  required: about('Nobody else may connect. Otherwise others are served as themselves, and may send no header.', flag().prefault(false)),
});

const HSTS_EXPECTED = "a duration as '365d', or a mapping of maxAge, includeSubDomains, preload";

const hsts = shorthand(
  'maxAge',
  section(
    {
      maxAge: about('How long a browser remembers it.', duration(0, 3_650 * DAY_MS)),
      includeSubDomains: about('For the names below this one too.', flag().prefault(false)),
      preload: about('Asks browsers to know it beforehand.', flag().prefault(false)),
    },
    [],
    HSTS_EXPECTED,
  ),
);

/** `404`, `503` or a class as `5xx`, each to the file with the page. */
const errorPages = mapping(filePath('a page'), 'a mapping of statuses to files', 64, (name) =>
  /^([45]\d\d|[45]xx)$/.test(name) ? undefined : `found ${shown(name)}, expected a status from 400 to 599, '4xx' or '5xx'`,
);

const socket = section({
  backlog: about('Connections that wait in the kernel until they are accepted.', count(1, 65_535).prefault(4_096)),
  fastOpen: about('Takes data with the first packet (TCP Fast Open), where the kernel lets servers.', flag().prefault(false)),
  deferAccept: about(
    "Wakes a worker only when a client's first bytes are there. Silent clients then count against the kernel's patience, not `timeouts.handshake`.",
    flag().prefault(true),
  ),
  userTimeout: about(
    "How long bytes may stay unacknowledged before the kernel gives the connection up. 0: the kernel's own patience.",
    duration(SECOND_MS, HOUR_MS, true).prefault('off'),
  ),
  keepAlive: about(
    'Quiet time before TCP asks whether the other side is still there. 0: never.',
    duration(SECOND_MS, 9 * HOUR_MS, true)
      .transform((ms) => Math.ceil(ms / SECOND_MS))
      .prefault('1m'),
  ),
});

const listener = section(
  {
    name: about('What logs and metrics call it.', itemName()),
    address: about('Where it listens.', parsed(LISTEN_FORMS, parseListenAddress)),
    protocol: about(
      'What clients speak; `tcp`: whatever it is, it is carried to the target as it is (docs/tcp.md).',
      choice(['http', 'tcp'], ['udp', 'http2', 'http3']).prefault('http'),
    ),
    tls: about('With it, clients speak TLS.', tls.optional()),
    passthrough: about(
      'TLS that goes through untouched, by the server name and the protocols of its ClientHello; the first that matches decides, before anything is terminated.',
      list(passthrough, 'a list of mappings of match, to', 1, 10_000).optional(),
    ),
    proxyProtocol: about('Proxies in front that tell the address of their client in a PROXY header.', proxyProtocol.optional()),
    routes: about(
      'What is done with requests; the first that matches a request decides.',
      list(route, 'a list of routes, each a mapping of match and one of to, redirect, respond', 1, 10_000).optional(),
    ),
    redirect: about('In place of routes: everything is sent elsewhere.', redirect.optional()),
    forwarded: about('What servers are told of the client.', choice(['x-forwarded', 'rfc7239', 'both', 'off']).prefault('x-forwarded')),
    trustedProxies: about('Proxies in front of this listener, whose word about the client is believed.', networkList().prefault([])),
    traceparent: about('Continues a trace of W3C Trace Context, or begins one.', flag().prefault(false)),
    hsts: about('Strict-Transport-Security (RFC 6797) in every answer.', hsts.optional()),
    errorPages: about('Pages in place of our own few words, by status or class.', errorPages.prefault({})),
    access: about('Who may connect: networks, the longest prefix decides.', access.optional()),
    socket: about('Settings of the listening socket.', socket.prefault({})),
  },
  ['rateLimit', 'http2', 'trust', 'limits', 'timeouts', 'guard'],
);

const TARGET_EXPECTED = `${TARGET_FORMS}, or a mapping of address, weight`;

const target = shorthand(
  'address',
  section(
    {
      address: about(
        'Where it is: an address, or a name that is looked up again when its time is over.',
        parsed(TARGET_FORMS, parseTargetAddress),
      ),
      weight: about("Its share of the requests, next to the others'.", count(1, 256).prefault(1)),
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
    name: about('What routes, logs and metrics call it.', itemName()),
    targets: about('The servers.', list(target, 'a list of targets', 1, TARGETS_MAX)),
    balance: about(
      'How requests are shared among the targets.',
      choice(['round-robin'], ['least-connections', 'random', 'hash', 'consistent-hash', 'sticky']).prefault('round-robin'),
    ),
    idleConnections: about('Idle connections kept for reuse, per target and worker; 0: none is kept.', count(0, 10_000).prefault(64)),
    proxyProtocol: about(
      'Each connection begins with a PROXY header of this version, with the address of its client; it is then kept for nobody else. v2 tells of the TLS too.',
      choice(['v1', 'v2']).optional(),
    ),
    tls: about(
      'TLS towards its targets, whose certificates are verified (docs/tls-to-servers.md); true is the defaults. Without it: none.',
      serverTls.optional(),
    ),
    sourceAddress: about(
      'Our own address on connections to it: one, or one of each family.',
      z.preprocess((value) => (typeof value === 'string' ? [value] : value), list(ownAddress, OWN_ADDRESS_FORMS, 0, 2)).prefault([]),
    ),
    timeouts: about(
      'Deadlines of connections to its targets.',
      section({
        connect: about('Until a connection is made.', duration(DEADLINE_MS_MIN, HOUR_MS).prefault('5s')),
        handshake: about('From there until TLS is agreed on.', duration(DEADLINE_MS_MIN, HOUR_MS).prefault('5s')),
        responseHead: about(
          'From the last byte of the request to the first of the response.',
          duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
        ),
        body: about(
          'Longest silence within a response body, or while the target takes no bytes.',
          duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
        ),
        idle: about('Quiet time after which a kept connection is closed.', duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m')),
      }).prefault({}),
    ),
  },
  ['health', 'healthCheck', 'retries', 'protocol', 'queue', 'connections', 'breaker', 'resolve', 'sticky'],
);

const timeouts = section({
  handshake: about('From accept to the end of the handshake.', duration(DEADLINE_MS_MIN, HOUR_MS).prefault('10s')),
  requestHead: about('From the first byte of a request head to its last.', duration(DEADLINE_MS_MIN, HOUR_MS).prefault('10s')),
  body: about(
    'Longest silence within a request body, or while the client takes no bytes.',
    duration(DEADLINE_MS_MIN, DAY_MS).prefault('1m'),
  ),
  idle: about('Quiet time on a kept-alive client connection.', duration(DEADLINE_MS_MIN, DAY_MS).prefault('75s')),
  tunnel: about(
    'Quiet time in a tunnel: an upgraded connection (WebSocket), or one of protocol tcp.',
    duration(DEADLINE_MS_MIN, 7 * DAY_MS).prefault('1h'),
  ),
  close: about(
    'How long a closing connection may wait for the client to take its last bytes.',
    duration(DEADLINE_MS_MIN, HOUR_MS).prefault('5s'),
  ),
  drain: about('How long open exchanges may go on after a stop is asked for.', duration(0, DAY_MS).prefault('30s')),
});

const rate = shorthand(
  'rate',
  section(
    {
      rate: about(
        'Events in a second, a minute or an hour.',
        parsed(RATE_FORMS, (text) => parseRate(text) ?? wrong(text, RATE_FORMS)),
      ),
      burst: about('How many may come at once after a quiet time. Default: those of two seconds.', count(1, 1_000_000).optional()),
    },
    [],
    `${RATE_FORMS}, or a mapping of rate, burst`,
  ),
);

/** What one client may have, over all workers. A client is an address, or the network it may choose addresses from. */
const clients = section({
  connections: about('Open connections.', count(1, 1_000_000).optional()),
  handshakes: about('TLS handshakes begun.', rate.optional()),
  requests: about('Requests.', rate.optional()),
  ipv4Prefix: about('Bits of an IPv4 address that tell one client from another.', count(8, 32).prefault(32)),
  ipv6Prefix: about('Bits of an IPv6 address that tell one client from another.', count(16, 128).prefault(64)),
  exempt: about(
    "Networks without these limits; trusted proxies are without them anyway, and their clients' requests are counted instead.",
    networkList().prefault([]),
  ),
});

const limits = section({
  connections: about('Open client connections, over all workers.', count(1, 10_000_000).prefault(100_000)),
  memory: about(
    "Resident memory, over all workers, past which new connections are refused; 'auto' for nine tenths of what the machine or container has.",
    z
      .union([z.literal('auto').transform(() => null), size(MEMORY_BYTES_MIN, MEMORY_BYTES_MAX)], {
        error: (issue) => wrong(issue.input, MEMORY_EXPECTED),
      })
      .prefault('auto'),
  ),
  requestsPerConnection: about('Requests on one connection; then it is closed.', count(1, 1_000_000_000).optional()),
  minimumRate: about(
    "Bytes a second that a client must send of a body, or take of an answer, while it is waited for; 'off' for any.",
    z
      .union([z.literal('off').transform(() => 0), size(1, 1_048_576)], { error: (issue) => wrong(issue.input, RATE_BYTES_EXPECTED) })
      .prefault('64B'),
  ),
  minimumRateAfter: about('Quiet start before that counts.', duration(SECOND_MS, HOUR_MS).prefault('30s')),
  head: about('Largest head of a request or response.', size(1_024, HEAD_BYTES_MAX).prefault('32KiB')),
  fields: about('Field lines in one head.', count(8, FIELDS_MAX).prefault(100)),
  target: about('Longest request target.', size(256, TARGET_BYTES_MAX).prefault('8KiB')),
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

/** OpenTelemetry over OTLP/HTTP. */
const telemetry = section({
  endpoint: about(
    'Base URL of the collector: `/v1/traces` and `/v1/metrics` are put behind it.',
    parsed(ENDPOINT_FORMS, parseEndpoint).prefault(COLLECTOR),
  ),
  headers: about('Sent with every request to the collector: what it wants to see before it believes us.', headerValues().prefault({})),
  traces: about(
    'Absent: no traces.',
    section({
      sample: about('Share of the traces that begin here.', share().prefault('1%')),
      parentBased: about("Where a listener continues traces, the caller's decision is ours.", flag().prefault(true)),
    }).optional(),
  ),
  metrics: about(
    'Absent: no metrics.',
    section({ interval: about('How often they are sent.', duration(SECOND_MS, DAY_MS).prefault('30s')) }).optional(),
  ),
  resource: about('What sends: attributes of everything that goes out.', attributes().prefault({})),
}).check((context) => {
  const { traces, metrics } = context.value;
  if (traces !== undefined || metrics !== undefined) return;
  context.issues.push({ code: 'custom', message: "nothing is sent: it needs 'traces', 'metrics' or both", input: context.value });
});

/** The whole file. */
export const schema = section(
  {
    admin: about('The address of metrics, health and status.', admin.prefault({})),
    workers: about('Processes that carry traffic; `auto`: one per core.', workers().prefault('auto')),
    runtime: about('Directory of the control socket.', filePath('a directory').optional()),
    user: about('Started as root it becomes this user, who can still bind low ports.', itemName().optional()),
    group: about("Default: the user's own.", itemName().optional()),
    watch: about('Files that change are read again by themselves.', flag().prefault(false)),
    log: about('Logs: docs/logs.md.', log.prefault({})),
    listeners: about('Where clients come in.', list(listener, 'a list of listeners', 1, LISTENERS_MAX)),
    upstreams: about('Groups of servers that requests go to.', list(upstream, 'a list of upstreams', 0, TARGETS_MAX).prefault([])),
    timeouts: about("Deadlines of clients' connections.", timeouts.prefault({})),
    limits: about('Bounds of what clients may have all together, and of one request.', limits.prefault({})),
    clients: about(
      'What one client may have, over all workers; a client is an address, or the network it may choose addresses from.',
      clients.prefault({}),
    ),
    telemetry: about('Traces and metrics for an OpenTelemetry collector (docs/telemetry.md). Without it: off.', telemetry.optional()),
  },
  ['store', 'cluster', 'acme', 'guard', 'access', 'tls', 'tracing', 'alerts', 'include', 'metrics'],
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
