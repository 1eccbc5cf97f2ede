/** What is known of HAProxy's keywords that have no translation: those for which nothing is to be done, and what is said about the others. */

/** Nothing is lost with these. A name that ends in `.` is the beginning of names. */
const QUIET: readonly string[] = [
  ...[
    'daemon',
    'chroot',
    'pidfile',
    'node',
    'description',
    'ulimit-n',
    'master-worker',
    'maxconnrate',
    'maxsslconn',
    'maxpipes',
    'spread-checks',
  ],
  ...[
    'tune.',
    'ca-base',
    'crt-base',
    'ssl-server-verify',
    'ssl-default-server-',
    'ssl-dh-param-file',
    'ssl-load-extra-files',
    'expose-fd',
    'localpeer',
  ],
  ...[
    'cpu-map',
    'nosplice',
    'noepoll',
    'busy-polling',
    'set-dumpable',
    'unix-bind',
    'hard-stop-after',
    'zero-warning',
    'h1-case-adjust',
    'thread-groups',
  ],
  ...[
    'mode',
    'bind',
    'server',
    'default-server',
    'acl',
    'use_backend',
    'default_backend',
    'timeout',
    'balance',
    'redirect',
    'http-request',
    'http-response',
    'maxconn',
  ],
  ...[
    'user',
    'group',
    'nbthread',
    'nbproc',
    'log',
    'ssl-default-bind-options',
    'compression',
    'monitor-uri',
    'http-reuse',
    'retries',
    'fullconn',
    'id',
  ],
  ...[
    'log-tag',
    'log-format',
    'log-format-sd',
    'unique-id-format',
    'unique-id-header',
    'load-balance',
    'max-keep-alive-queue',
    'disabled',
    'enabled',
    'backlog',
  ],
  ...['hash-type', 'declare', 'capture', 'stats', 'no', 'http-check', 'option'],
];

/** Options that Tollgate does by itself, or that change nothing a client or server could see. */
const QUIET_OPTIONS: readonly string[] = [
  ...[
    'forwardfor',
    'httplog',
    'dontlognull',
    'dontlog-normal',
    'log-separate-errors',
    'logasap',
    'http-server-close',
    'http-keep-alive',
    'httpclose',
    'forceclose',
  ],
  ...[
    'http-use-htx',
    'tcplog',
    'tcpka',
    'clitcpka',
    'srvtcpka',
    'http-no-delay',
    'socket-stats',
    'contstats',
    'splice-auto',
    'splice-request',
    'splice-response',
  ],
  ...[
    'prefer-last-server',
    'tcp-smart-accept',
    'tcp-smart-connect',
    'nolinger',
    'checkcache',
    'http-pretend-keepalive',
    'abortonclose',
    'http-use-proxy-header',
  ],
  ...['http-tunnel', 'idle-close-on-response', 'log-health-checks', 'allbackends', 'independent-streams'],
];

const NO_CHECKS: readonly [string, string | null] = ['servers are not asked whether they live', null];
const NO_STICK: readonly [string, string | null] = ['requests are shared by turns (round robin)', 'sessions must not depend on the server'];

const ADVICE: Readonly<Record<string, readonly [why: string, instead: string | null]>> = {
  errorfile: ['its files are whole answers', "put the page into a file of its own, and name it in the listener's errorPages"],
  errorloc: ['', "see the listener's errorPages"],
  errorloc302: ['', "see the listener's errorPages"],
  errorloc303: ['', "see the listener's errorPages"],
  errorfiles: ['', "see the listener's errorPages"],
  cookie: NO_STICK,
  'stick-table': ['there are no tables of your own', 'limits of one client: clients.connections, clients.requests'],
  stick: NO_STICK,
  appsession: NO_STICK,
  'server-template': ['a target is a name: all its addresses are used', 'write the name as a target'],
  'use-server': NO_STICK,
  'tcp-request': ['', 'see access of a listener, clients.connections, clients.requests'],
  'tcp-response': ['', null],
  'tcp-check': NO_CHECKS,
  'rate-limit': ['', 'see clients.requests'],
  'email-alert': ['', null],
  filter: ['there are no filters', null],
  source: ['', "see an upstream's sourceAddress"],
  'monitor fail': ['', null],
  monitor: ['', null],
  reqrep: ['', 'see headers.request'],
  reqadd: ['', 'see headers.request'],
  reqidel: ['', 'see headers.request'],
  rspadd: ['', 'see headers.response'],
  rspdel: ['', 'see headers.response'],
  rspidel: ['', 'see headers.response'],
  'ssl-default-bind-ciphers': ['cipher suites are those of tls.policy', 'choose a policy: modern or intermediate'],
  'ssl-default-bind-ciphersuites': ['cipher suites are those of tls.policy', 'choose a policy: modern or intermediate'],
  'ssl-default-bind-curves': ['groups are those of tls.policy', null],
  'lua-load': ['programs are not run', null],
  dispatch: ['', 'write it as a server'],
  transparent: ['', null],
};

const OPTION_ADVICE: Readonly<Record<string, readonly [why: string, instead: string | null]>> = {
  httpchk: NO_CHECKS,
  'tcp-check': NO_CHECKS,
  'ssl-hello-chk': NO_CHECKS,
  'mysql-check': NO_CHECKS,
  'redis-check': NO_CHECKS,
  redispatch: ['requests are not tried again', null],
  persist: NO_STICK,
  originalto: ['', null],
  'http-buffer-request': ['', "see a route's requestBody.buffer"],
  'accept-invalid-http-request': ['what is malformed is refused', null],
  'accept-invalid-http-response': ['what is malformed is refused', null],
};

/** Why a line has no translation, and what to do instead; null when nothing is lost with it. */
export function adviceOnLine(words: readonly string[]): readonly [why: string, instead: string | null] | null {
  const [first = '', second = ''] = words[0] === 'no' ? words.slice(1) : words;
  if (words[0] === 'no') return null;
  if (first === 'option') {
    if (QUIET_OPTIONS.includes(second)) return null;
    return Object.hasOwn(OPTION_ADVICE, second) ? OPTION_ADVICE[second]! : ['there is nothing like it', null];
  }
  if (first === 'http-check') return NO_CHECKS;
  if (first === 'stats') return ['figures are at the admin address: /metrics, /status', null];
  if (first === 'capture') return ['fields are not logged', 'log.access.fields chooses what is in a line'];
  if (QUIET.some((each) => (/[.-]$/.test(each) ? first.startsWith(each) : first === each))) return null;
  if (Object.hasOwn(ADVICE, first)) return ADVICE[first]!;
  return ['there is nothing like it', null];
}

/** Keywords whose lines are rules: read in frontends, backends and listen sections. */
const RULES: readonly string[] = ['http-request', 'http-response', 'redirect', 'acl', 'use_backend'];

/** Why a line of a defaults section does not come along, though it would elsewhere; null when that is no loss. */
export function adviceOnDefault(words: readonly string[]): readonly [why: string, instead: string | null] | null {
  return RULES.includes(words[0] ?? '')
    ? ['rules of defaults are not read', 'write them into the frontends and backends, and import again']
    : adviceOnLine(words);
}

/** Whether the line keeps clients out. */
export function isGuardLine(words: readonly string[]): boolean {
  return (
    /^(?:block|reqi?deny|rspi?deny|reqi?tarpit)$/.test(words[0] ?? '') ||
    (/^(?:tcp|http)-/.test(words[0] ?? '') && words.some((word) => /^(?:reject|deny|silent-drop|tarpit|auth)$/.test(word)))
  );
}
