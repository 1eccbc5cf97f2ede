/**
 * What is known of nginx's directives that have no translation: those for which nothing is to be done, because Tollgate does the same by itself
 * or has no use for it, and what is said about the others.
 */

/** Nothing is lost with these. A name that ends in `_` is the beginning of names. */
const QUIET: readonly string[] = [
  ...[
    'daemon',
    'pid',
    'events',
    'lock_file',
    'master_process',
    'worker_rlimit_nofile',
    'worker_cpu_affinity',
    'worker_priority',
    'load_module',
  ],
  ...['types', 'types_hash_', 'default_type', 'server_names_hash_', 'variables_hash_', 'map_hash_', 'sendfile', 'sendfile_', 'tcp_nopush'],
  ...['tcp_nodelay', 'server_tokens', 'server_name_in_redirect', 'port_in_redirect', 'absolute_redirect', 'log_format', 'log_not_found'],
  ...['gzip_', 'brotli_', 'proxy_http_version', 'proxy_buffer_size', 'proxy_buffers', 'proxy_busy_buffers_size', 'proxy_headers_hash_'],
  ...[
    'proxy_socket_keepalive',
    'proxy_max_temp_file_size',
    'proxy_temp_',
    'client_body_temp_path',
    'client_body_buffer_size',
    'client_header_buffer_size',
  ],
  ...['connection_pool_size', 'request_pool_size', 'output_buffers', 'reset_timedout_connection', 'resolver', 'resolver_', 'merge_slashes'],
  ...[
    'ssl_prefer_server_ciphers',
    'ssl_session_cache',
    'ssl_session_timeout',
    'ssl_session_ticket_key',
    'ssl_dhparam',
    'ssl_buffer_size',
    'ssl_ecdh_curve',
  ],
  ...[
    'index',
    'autoindex',
    'autoindex_',
    'etag',
    'open_file_',
    'aio',
    'directio',
    'if_modified_since',
    'charset',
    'fastcgi_',
    'uwsgi_',
    'scgi_',
  ],
  ...[
    'zone',
    'limit_req_log_level',
    'limit_conn_log_level',
    'keepalive_disable',
    'auth_delay',
    'proxy_pass_header',
    'set_real_ip_from',
    'real_ip_',
  ],
  ...[
    'client_body_in_file_only',
    'client_body_in_single_buffer',
    'http2_',
    'preread_buffer_size',
    'recursive_error_pages',
    'msie_',
    'underscores_in_headers',
  ],
  ...[
    'limit_req_zone',
    'limit_conn_zone',
    'auth_request_set',
    'internal',
    'quic_',
    'http3_',
    'ssl_early_data',
    'accept_mutex',
    'thread_pool',
  ],
  ...['ssl_client_certificate', 'ssl_verify_depth', 'ssl_crl', 'ssl_certificate_cache', 'ssl_certificate_key', 'limit_rate_after'],
  // Responses are fetched and shown by themselves.
  ...['ssl_stapling', 'ssl_stapling_', 'ssl_trusted_certificate'],
];

/** These are read where they are in force; where nobody looks, they are not. */
const READ: readonly string[] = [
  ...[
    'proxy_ssl_certificate',
    'proxy_ssl_certificate_key',
    'proxy_ssl_name',
    'proxy_ssl_protocols',
    'proxy_ssl_server_name',
    'proxy_ssl_session_reuse',
    'proxy_ssl_trusted_certificate',
    'proxy_ssl_verify',
    'proxy_ssl_verify_depth',
  ],
  ...[
    'client_max_body_size',
    'gzip',
    'brotli',
    'proxy_pass',
    'proxy_set_header',
    'proxy_hide_header',
    'add_header',
    'proxy_redirect',
    'proxy_read_timeout',
  ],
  ...[
    'proxy_send_timeout',
    'proxy_connect_timeout',
    'proxy_pass_request_headers',
    'proxy_pass_request_body',
    'allow',
    'deny',
    'auth_basic',
    'auth_basic_user_file',
  ],
  ...[
    'auth_request',
    'satisfy',
    'ssl',
    'ssl_protocols',
    'ssl_certificate',
    'ssl_session_tickets',
    'ssl_verify_client',
    'return',
    'server_name',
    'keepalive_requests',
  ],
];

const NO_FILES = 'Tollgate serves no files';

const ADVICE: Readonly<Record<string, readonly [why: string, instead: string | null]>> = {
  root: [NO_FILES, 'put a web server behind it'],
  alias: [NO_FILES, 'put a web server behind it'],
  try_files: [NO_FILES, 'put a web server behind it'],
  error_page: ['its pages are files of the web server', "name a file in the listener's errorPages"],
  stream: ['TCP and UDP of nginx are not read', 'see protocol: tcp of a listener'],
  mail: ['mail is not spoken', null],
  map: ['values are not computed from others', null],
  geo: ['values are not computed from addresses', "a route's access holds networks"],
  split_clients: ['values are not computed from others', null],
  server: ['no location leads to its group, and so it was left out', null],
  set: ['there are no variables of your own', null],
  proxy_cache: ['nothing is cached', 'put a cache behind it'],
  proxy_cache_path: ['nothing is cached', 'put a cache behind it'],
  proxy_buffering: ['an answer goes on as it comes', "a route's responseBody.buffer lets some of it wait for a slow client"],
  proxy_request_buffering: ['a request goes on as it comes', "a route's requestBody.buffer holds small ones until they are whole"],
  proxy_next_upstream: ['requests are not tried again', null],
  proxy_next_upstream_tries: ['requests are not tried again', null],
  proxy_next_upstream_timeout: ['requests are not tried again', null],
  proxy_intercept_errors: ['answers of servers are theirs', null],
  proxy_cookie_path: ['paths of cookies are left alone', null],
  proxy_cookie_domain: ['a Domain that only the server knows is taken out by itself (mend)', null],
  proxy_cookie_flags: ['cookies get Secure on listeners with TLS (mend)', null],
  proxy_bind: ['', "see an upstream's sourceAddress"],
  proxy_method: ['methods are left alone', null],
  proxy_ignore_client_abort: ['who goes away ends the request', null],
  proxy_limit_rate: ['', null],
  sub_filter: ['bodies are left alone', null],
  large_client_header_buffers: ['', 'see limits.head and limits.target'],
  ignore_invalid_headers: ['a request with a malformed field is refused', null],
  chunked_transfer_encoding: ['', null],
  proxy_ssl_ciphers: ['cipher suites are those of the policy', "choose one in the upstream's tls.policy"],
  proxy_ssl_crl: ['what servers show is not looked up among what was revoked', null],
  proxy_ssl_conf_command: ['TLS settings are those of the policy', "choose one in the upstream's tls.policy"],
  proxy_ssl_password_file: ['encrypted keys are not read', "decrypt it with 'openssl pkey -in OLD -out NEW'"],
  ssl_ciphers: ['cipher suites are those of tls.policy', 'choose a policy: modern or intermediate'],
  ssl_conf_command: ['TLS settings are those of tls.policy', null],
  ssl_password_file: ['encrypted keys are not read', "decrypt it with 'openssl pkey -in OLD -out NEW'"],
  ssl_reject_handshake: ['', 'see tls.strict of a listener'],
  http2: ['HTTP/2 is not spoken', null],
  http3: ['HTTP/3 is not spoken', null],
  least_conn: ['requests are shared by turns (round robin)', null],
  ip_hash: ['requests are shared by turns (round robin)', 'sessions must not depend on the server'],
  hash: ['requests are shared by turns (round robin)', 'sessions must not depend on the server'],
  random: ['requests are shared by turns (round robin)', null],
  sticky: ['requests are shared by turns (round robin)', 'sessions must not depend on the server'],
  limit_rate: ['', null],
  limit_except: ['methods do not choose a route', null],
  limit_req: ['limits of one client hold for all sites together', 'see clients.requests'],
  limit_conn: ['limits of one client hold for all sites together', 'see clients.connections'],
  limit_req_status: ['one request too many is 429', null],
  limit_conn_status: ['one connection too many is closed', null],
  mirror: ['requests are not mirrored', null],
  lingering_close: ['', 'see timeouts.close'],
  lingering_time: ['', 'see timeouts.close'],
  lingering_timeout: ['', 'see timeouts.close'],
  send_timeout: ['', 'see timeouts.body'],
  worker_shutdown_timeout: ['', 'see timeouts.drain'],
  env: ['', '${NAME} stands for a variable of the environment'],
  expires: ["fields of answers are the server's", 'set Cache-Control in headers.response'],
  dav_methods: [NO_FILES, 'put a web server behind it'],
  grpc_pass: ['gRPC needs HTTP/2, which is not spoken', null],
};

/** Whether nothing is lost with the directive `name`. */
export function isQuiet(name: string): boolean {
  return READ.includes(name) || QUIET.some((each) => (each.endsWith('_') ? name.startsWith(each) : name === each));
}

/** Why `name` has no translation, and what to do instead. */
export function adviceOn(name: string): readonly [why: string, instead: string | null] {
  const known = Object.hasOwn(ADVICE, name) ? ADVICE[name] : undefined;
  if (known !== undefined) return known;
  if (/_by_lua(?:_block|_file)?$/.test(name)) return ['programs are not run', null];
  if (name.startsWith('proxy_cache_')) return ['nothing is cached', null];
  if (name.startsWith('grpc_')) return ADVICE.grpc_pass!;
  return ['there is nothing like it', null];
}

/** What nginx keeps clients out with, and Tollgate does not have. */
export function isGuard(name: string): boolean {
  return /^(?:auth_jwt|auth_ldap|auth_gssapi|auth_pam|limit_except|valid_referers|secure_link|access_by_lua|modsecurity|geoip2?|app_protect|naxsi|securityrules|basicrule|checkrule)/i.test(
    name,
  );
}
