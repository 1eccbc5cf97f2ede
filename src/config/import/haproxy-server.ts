/** HAProxy's server lines, as targets. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { hostName } from '../addresses.ts';
import type { DraftServerTls, DraftTarget } from './draft.ts';
import type { Line } from './haproxy-syntax.ts';
import { targetAddress } from './haproxy-values.ts';
import type { Notes } from './notes.ts';

const WEIGHT_MAX = 256;
/** Options with a value behind them. */
const WITH_VALUE = [
  ...[
    'weight',
    'inter',
    'fastinter',
    'downinter',
    'rise',
    'fall',
    'maxconn',
    'minconn',
    'maxqueue',
    'cookie',
    'port',
    'addr',
    'agent-port',
    'agent-addr',
  ],
  ...[
    'agent-inter',
    'agent-send',
    'slowstart',
    'track',
    'id',
    'source',
    'usesrc',
    'interface',
    'on-error',
    'on-marked-down',
    'on-marked-up',
    'observe',
  ],
  ...[
    'error-limit',
    'check-sni',
    'check-alpn',
    'check-proto',
    'ca-file',
    'crl-file',
    'crt',
    'ciphers',
    'ciphersuites',
    'sni',
    'verify',
    'verifyhost',
    'alpn',
    'npn',
  ],
  ...[
    'proto',
    'ssl-min-ver',
    'ssl-max-ver',
    'curves',
    'sigalgs',
    'resolvers',
    'resolve-prefer',
    'resolve-net',
    'resolve-opts',
    'init-addr',
    'namespace',
  ],
  ...[
    'pool-max-conn',
    'pool-purge-delay',
    'pool-low-conn',
    'max-reuse',
    'tcp-ut',
    'ws',
    'redir',
    'socks4',
    'log-proto',
    'shard',
    'hash-key',
    'proxy-v2-options',
  ],
];
/** Options that are spoken of together: servers are not asked whether they live. */
const CHECKS = [
  'check',
  'agent-check',
  'check-ssl',
  'check-send-proxy',
  'check-sni',
  'check-alpn',
  'check-proto',
  'track',
  'observe',
  'slowstart',
];
const QUIET = [
  ...[
    'inter',
    'fastinter',
    'downinter',
    'rise',
    'fall',
    'port',
    'addr',
    'agent-port',
    'agent-addr',
    'agent-inter',
    'agent-send',
    'id',
    'on-error',
    'on-marked-down',
  ],
  ...[
    'on-marked-up',
    'error-limit',
    'resolvers',
    'resolve-prefer',
    'resolve-net',
    'resolve-opts',
    'init-addr',
    'verify',
    'ca-file',
    'crl-file',
    'sni',
    'alpn',
  ],
  ...[
    'ciphers',
    'ciphersuites',
    'ssl-min-ver',
    'ssl-max-ver',
    'verifyhost',
    'crt',
    'pool-max-conn',
    'pool-purge-delay',
    'pool-low-conn',
    'max-reuse',
    'minconn',
  ],
  ...[
    'maxqueue',
    'no-check',
    'no-ssl',
    'no-backup',
    'enabled',
    'stick',
    'non-stick',
    'cookie',
    'no-send-proxy',
    'no-send-proxy-v2',
    'force-tlsv12',
    'force-tlsv13',
    'no-sslv3',
  ],
  ...['no-tlsv10', 'no-tlsv11', 'tfo', 'weight'],
];

export interface HaproxyServers {
  readonly targets: readonly DraftTarget[];
  /** Undefined: without TLS. */
  readonly tls: DraftServerTls | undefined;
}

/** Where relative paths of authorities, and of certificates, start. */
export interface HaproxyBases {
  readonly authorities: string;
  readonly certificates: string;
}

/** Targets of `lines` (server lines); `defaults` are the words of default-server lines, in order. What their TLS is, the first one says. */
export function readServers(lines: readonly Line[], defaults: readonly string[], bases: HaproxyBases, notes: Notes): HaproxyServers {
  const main: DraftTarget[] = [];
  const spare: DraftTarget[] = [];
  let tls: { readonly of: DraftServerTls | undefined; readonly key: string } | null = null;
  for (const line of lines) {
    const [, , written = '', ...own] = line.words;
    const options = readOptions([...defaults, ...own]);
    const drop = (why: string): void => notes.add('untranslated', line, `${why}: it is left out`);
    const address = targetAddress(written);
    if (address === null) drop('it is no address with a port that Tollgate can reach');
    else if (['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl', 'send-proxy-v2-ssl-cn'].some((name) => options.has(name)))
      drop('the PROXY protocol is a setting of a whole upstream (proxyProtocol)');
    else if (options.get('proto') === 'h2' || options.get('proto') === 'fcgi') drop('servers are spoken to by HTTP/1.1');
    else if (options.has('disabled')) drop('it is disabled');
    else if (options.get('weight') === '0') drop('its weight is 0');
    else {
      const own = serverTls(options, bases);
      const key = JSON.stringify(own ?? null);
      tls ??= { of: own, key };
      if (tls.key !== key) {
        drop('its TLS is another than that of the first server, and an upstream has one');
        tellOptions(line, options, notes);
        continue;
      }
      if (own !== undefined) tellTls(line, options, own, notes);
      const weight = Number(options.get('weight') ?? 1);
      const target: DraftTarget = Number.isInteger(weight) && weight > 1 ? { address, weight: Math.min(weight, WEIGHT_MAX) } : { address };
      if (options.has('backup')) {
        notes.add(
          'untranslated',
          line,
          'there are no servers for the time when all others are gone',
          'add it to the targets, or point to it then',
        );
        spare.push(target);
      } else main.push(target);
    }
    tellOptions(line, options, notes);
  }
  return { targets: main.length > 0 ? main : spare, tls: tls?.of };
}

/** Undefined: it is spoken to without. */
function serverTls(options: ReadonlyMap<string, string>, bases: HaproxyBases): DraftServerTls | undefined {
  if (!options.has('ssl') || options.has('no-ssl')) return undefined;
  const tls: DraftServerTls = {};
  const verifies = options.get('verify') !== 'none';
  const name = serverName(options);
  if (name !== undefined) tls.serverName = name;
  const authorities = options.get('ca-file');
  if (verifies && authorities !== undefined && !authorities.startsWith('@')) tls.authorities = resolve(bases.authorities, authorities);
  const certificate = options.get('crt');
  if (certificate !== undefined) tls.certificate = resolve(bases.certificates, certificate);
  if (options.has('force-tlsv13') || options.get('ssl-min-ver') === 'TLSv1.3') tls.policy = 'modern';
  if (!verifies) tls.insecureSkipVerification = true;
  return tls;
}

/** Undefined: none is said, or it is another for each request. */
function serverName(options: ReadonlyMap<string, string>): string | undefined {
  const named = options.get('verifyhost') ?? /^str\((.*)\)$/.exec(options.get('sni') ?? '')?.[1];
  return named === undefined ? undefined : isIP(named) === 0 ? hostName(named) : named;
}

function tellTls(line: Line, options: ReadonlyMap<string, string>, tls: DraftServerTls, notes: Notes): void {
  const { serverName: name, insecureSkipVerification } = tls;
  if (options.has('sni') && name === undefined)
    notes.add('untranslated', line, 'the name of a server is known beforehand', 'set tls.serverName of the upstream');
  if (insecureSkipVerification === true) {
    const instead = "name the server's authorities in place of insecureSkipVerification";
    notes.add('differs', line, 'whoever answers is believed there as here, and check warns of it', instead);
  } else if (name === undefined) {
    notes.add(
      'differs',
      line,
      "the server's certificate must be for its name",
      'set tls.serverName where that is another than its address',
    );
  }
  if (options.has('crl-file')) notes.add('untranslated', line, 'what servers show is not looked up among what was revoked');
}

function tellOptions(line: Line, options: ReadonlyMap<string, string>, notes: Notes): void {
  if (CHECKS.some((name) => options.has(name))) notes.add('untranslated', line, 'servers are not asked whether they live');
  if (options.has('cookie'))
    notes.add('untranslated', line, 'requests are shared by turns (round robin)', 'sessions must not depend on the server');
  if (options.has('maxconn')) notes.add('untranslated', line, 'connections of a server are not counted');
  if (options.has('source')) notes.add('untranslated', line, '', "see an upstream's sourceAddress");
  const told = [
    'ssl',
    'send-proxy',
    'send-proxy-v2',
    'send-proxy-v2-ssl',
    'send-proxy-v2-ssl-cn',
    'proto',
    'disabled',
    'backup',
    'maxconn',
    'source',
    ...CHECKS,
    ...QUIET,
  ];
  for (const name of options.keys()) if (!told.includes(name)) notes.add('untranslated', line, `${name} has no counterpart`);
}

function readOptions(words: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const name = words[at]!;
    options.set(name, WITH_VALUE.includes(name) ? (words[++at] ?? '') : '');
  }
  return options;
}
