/** HAProxy's bind lines: addresses, and what is spoken there. Looks into folders of certificates, since Tollgate names each file. */
import { access, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileProblem } from '../../base/bounded-file.ts';
import { CERTIFICATES_MAX } from '../../base/limits.ts';
import { TollgateError } from '../../base/tollgate-error.ts';
import type { DraftTls } from './draft.ts';
import type { Line } from './haproxy-syntax.ts';
import { bindAddress } from './haproxy-values.ts';
import type { Notes } from './notes.ts';
import { readSourceText } from './source-text.ts';

/** Options of a bind line that have a value behind them. */
const WITH_VALUE = [
  ...[
    'crt',
    'ca-file',
    'ca-verify-file',
    'ca-sign-file',
    'ca-sign-pass',
    'crl-file',
    'crt-list',
    'alpn',
    'npn',
    'ciphers',
    'ciphersuites',
    'ssl-min-ver',
    'ssl-max-ver',
  ],
  ...[
    'verify',
    'name',
    'maxconn',
    'mode',
    'user',
    'group',
    'uid',
    'gid',
    'nice',
    'process',
    'thread',
    'interface',
    'backlog',
    'curves',
    'ecdhe',
    'tcp-ut',
    'mss',
  ],
  ...[
    'id',
    'level',
    'severity-output',
    'tls-ticket-keys',
    'crt-ignore-err',
    'ca-ignore-err',
    'proto',
    'namespace',
    'shards',
    'ocsp-update',
    'sigalgs',
    'client-sigalgs',
  ],
  ...['guid-prefix', 'idle-ping', 'tcp-md5sig', 'cc'],
];
const QUIET = [
  ...[
    'name',
    'user',
    'group',
    'uid',
    'gid',
    'mode',
    'nice',
    'process',
    'thread',
    'id',
    'level',
    'severity-output',
    'shards',
    'ocsp-update',
    'ssl-max-ver',
  ],
  ...[
    'strict-sni',
    'defer-accept',
    'v4v6',
    'v6only',
    'transparent-proxy',
    'no-sslv3',
    'no-tlsv10',
    'no-tlsv11',
    'prefer-client-ciphers',
    'ca-ignore-err',
    'crt-ignore-err',
    'ca-file',
    'crl-file',
  ],
];

const CLIENT_CERTIFICATES = "see the listener's tls.clientCertificates";
const PROXY_PROTOCOL = "name them in the listener's proxyProtocol";

export interface Bind {
  readonly line: Line;
  readonly address: string;
  readonly tls: DraftTls | null;
  /** Clients must show a certificate, which Tollgate does not ask for. */
  readonly closed: boolean;
  readonly backlog: number | null;
  readonly fastOpen: boolean;
}

export interface BindContext {
  readonly notes: Notes;
  /** Where relative paths of certificates start. */
  readonly certificateBase: string;
  /** Words of ssl-default-bind-options. */
  readonly defaults: readonly string[];
}

/** The sockets of one line. */
export async function readBind(line: Line, context: BindContext): Promise<readonly Bind[]> {
  const { notes } = context;
  const [, addresses = '', ...rest] = line.words;
  const options = readOptions(rest);
  const has = (name: string): boolean => options.some((option) => option.name === name);
  const value = (name: string): string | undefined => options.find((option) => option.name === name)?.value;
  let tls: DraftTls | null = null;
  if (has('ssl')) {
    const certificates = await certificatesOf(line, options, context);
    if (certificates.length === 0) {
      notes.add('untranslated', line, 'it has no certificate that could be taken over: there is no listener for it');
      return [];
    }
    tls = { certificates };
    const least = value('ssl-min-ver') ?? defaultOf(context.defaults, 'ssl-min-ver');
    const onlyNewest = least === 'TLSv1.3' || has('force-tlsv13') || context.defaults.includes('force-tlsv13');
    if (onlyNewest) tls.policy = 'modern';
    else if (least !== undefined && least !== 'TLSv1.2')
      notes.add('differs', line, 'TLS 1.0 and 1.1 are not spoken: the policy is intermediate, TLS 1.2 and 1.3');
    if (has('strict-sni')) tls.strict = true;
    if (has('no-tls-tickets') || context.defaults.includes('no-tls-tickets')) tls.tickets = false;
  }
  const verify = value('verify');
  const closed = tls !== null && verify === 'required';
  if (closed) notes.add('untranslated', line, 'client certificates are not translated: everybody is answered 403', CLIENT_CERTIFICATES);
  else if (verify === 'optional') notes.add('untranslated', line, 'client certificates are not translated', CLIENT_CERTIFICATES);
  for (const { name, value: given } of options) {
    if (name === 'alpn' || name === 'npn') {
      if (given.split(',').includes('h2')) notes.add('untranslated', line, 'HTTP/2 is not spoken');
    } else if (name === 'accept-proxy' || name === 'accept-netscaler-cip')
      notes.add('untranslated', line, 'PROXY headers are read from named networks alone: others that send one are refused', PROXY_PROTOCOL);
    else if (name === 'ciphers' || name === 'ciphersuites' || name === 'curves' || name === 'ecdhe')
      notes.add('untranslated', line, `${name} are those of tls.policy`);
    else if (
      !QUIET.includes(name) &&
      ![
        'ssl',
        'crt',
        'crt-list',
        'verify',
        'ssl-min-ver',
        'force-tlsv12',
        'force-tlsv13',
        'no-tls-tickets',
        'tls-ticket-keys',
        'backlog',
        'tfo',
      ].includes(name)
    ) {
      notes.add('untranslated', line, `${name} has no counterpart`);
    }
  }
  const backlog = value('backlog');
  return addresses.split(',').flatMap((text) => {
    const range = /:(\d+)-(\d+)$/.test(text);
    const address = range ? null : bindAddress(text, !has('v6only'));
    if (address === null) {
      notes.add(
        'untranslated',
        line,
        range ? 'a listener has one port' : `${text} is no address to listen at`,
        range ? 'write a listener for each' : null,
      );
      return [];
    }
    return [
      {
        line,
        address,
        tls,
        closed,
        backlog: /^\d{1,5}$/.test(backlog ?? '') ? Math.min(Math.max(Number(backlog), 1), 65_535) : null,
        fastOpen: has('tfo'),
      },
    ];
  });
}

interface Option {
  readonly name: string;
  readonly value: string;
}

function readOptions(words: readonly string[]): readonly Option[] {
  const options: Option[] = [];
  for (let at = 0; at < words.length; at++) {
    const name = words[at]!;
    options.push({ name, value: WITH_VALUE.includes(name) ? (words[++at] ?? '') : '' });
  }
  return options;
}

function defaultOf(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

async function certificatesOf(
  line: Line,
  options: readonly Option[],
  { notes, certificateBase }: BindContext,
): Promise<DraftTls['certificates']> {
  const found: DraftTls['certificates'] = [];
  const add = async (path: string): Promise<void> => {
    // HAProxy's files hold certificate and key; a key beside it is taken as well.
    const beside = [`${path}.key`, path.replace(/\.(?:crt|pem)$/, '.key')].filter((each) => each !== path);
    const exists = await Promise.all(beside.map(async (each) => await isFile(each)));
    const key = beside.find((_, i) => exists[i]);
    if (found.length >= CERTIFICATES_MAX || found.some(({ certificate }) => certificate === path)) return;
    found.push(key === undefined ? { certificate: path } : { certificate: path, key });
  };
  for (const { name, value } of options) {
    const path = resolve(certificateBase, value);
    if (name === 'crt-list') for (const each of await listed(path, certificateBase, line, notes)) await add(each);
    if (name !== 'crt') continue;
    if (!(await isFolder(path))) {
      await add(path);
      continue;
    }
    const { certificates, others } = await filesOf(path, line, notes);
    // A directory of Tollgate's is of *.pem and *.crt, and watched.
    if (certificates.length > 0 && !others) found.push({ directory: path });
    else for (const each of certificates) await add(each);
  }
  return found;
}

/** `others`: some have names that a directory of Tollgate's leaves out. */
async function filesOf(
  folder: string,
  line: Line,
  notes: Notes,
): Promise<{ readonly certificates: readonly string[]; readonly others: boolean }> {
  try {
    const all = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
    const names = all.filter((name) => !/\.(?:key|ocsp|issuer|sctl)$/.test(name));
    const paths = names.slice(0, CERTIFICATES_MAX).map((name) => join(folder, name));
    const isPlain = await Promise.all(paths.map(async (path) => await isFile(path)));
    const certificates = paths.filter((_, i) => isPlain[i]);
    const others = certificates.some((path) => !/\.(?:pem|crt)$/.test(path)) || all.some((name) => /\.(?:pem|crt)\.key$/.test(name));
    return { certificates, others };
  } catch (error) {
    notes.add('untranslated', line, fileProblem(folder, error));
    return { certificates: [], others: false };
  }
}

/** A crt-list: a file a line, with settings and names behind it. */
async function listed(path: string, base: string, line: Line, notes: Notes): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readSourceText(path, path);
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    notes.add('untranslated', line, error.message);
    return [];
  }
  return text.split('\n').flatMap((row, index) => {
    const words = row.trim();
    if (words === '' || words.startsWith('#')) return [];
    const [file = ''] = words.split(/\s+/, 1);
    if (words !== file)
      notes.add('differs', { file: path, line: index + 1, text: words }, 'a certificate is chosen by the names that stand in it');
    return [resolve(base, file)];
  });
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  return await access(path).then(
    async () => (await stat(path)).isFile(),
    () => false,
  );
}
