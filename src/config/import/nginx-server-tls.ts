/** nginx's proxy_ssl_* at a place that forwards by https, as an upstream's `tls`. */
import { isIP } from 'node:net';
import { hostName } from '../addresses.ts';
import type { DraftServerTls } from './draft.ts';
import { type NginxContext, namesFile, nginxPath } from './nginx-context.ts';
import type { Scope } from './nginx-scope.ts';
import type { Directive } from './nginx-syntax.ts';

/** `proxyHost`: host and port behind `https://`; `isBlock`: it is the name of an upstream block. `at`: the directive that asks for TLS. */
export function nginxServerTls(scope: Scope, context: NginxContext, at: Directive, proxyHost: string, isBlock: boolean): DraftServerTls {
  const { notes } = context;
  const tls: DraftServerTls = {};
  const path = (name: string): string | undefined => {
    const directive = scope.last(name);
    const [text = ''] = directive?.args ?? [];
    if (directive === undefined || text === '') return undefined;
    if (namesFile(text) && !/^(?:data|engine|store):/.test(text)) return nginxPath(context, text);
    notes.add('untranslated', directive, 'certificates and keys are files with a name that is known beforehand', null, tls);
    return undefined;
  };
  const verifies = scope.last('proxy_ssl_verify')?.args[0] === 'on';
  const named = scope.last('proxy_ssl_server_name')?.args[0] === 'on';
  const name = serverName(scope, context, proxyHost.replace(/:\d+$/, ''), isBlock && (verifies || named), tls);
  if (name !== undefined) tls.serverName = name;
  const authorities = path('proxy_ssl_trusted_certificate');
  const depth = Number(scope.last('proxy_ssl_verify_depth')?.args[0] ?? 1);
  if (verifies) {
    if (authorities !== undefined) tls.authorities = authorities;
    tls.depth = Number.isInteger(depth) ? Math.min(Math.max(depth, 0), 15) : 1;
  }
  const certificate = path('proxy_ssl_certificate');
  const key = path('proxy_ssl_certificate_key');
  if (certificate !== undefined && key !== undefined) Object.assign(tls, { certificate, key });
  const protocols = scope.last('proxy_ssl_protocols')?.args;
  if (protocols?.length === 1 && protocols[0] === 'TLSv1.3') tls.policy = 'modern';
  if (!verifies) {
    tls.insecureSkipVerification = true;
    notes.add(
      'differs',
      scope.last('proxy_ssl_verify') ?? at,
      'whoever answers is believed there as here, and check warns of it',
      "name the server's authorities in place of insecureSkipVerification",
      tls,
    );
  }
  return tls;
}

/** `wantsOwn`: what proxy_pass says is the name, and not what the targets are called. */
function serverName(scope: Scope, { notes }: NginxContext, host: string, wantsOwn: boolean, tls: object): string | undefined {
  const directive = scope.last('proxy_ssl_name');
  const written = directive?.args[0] ?? '$proxy_host';
  if (written !== '$proxy_host' && written !== '$proxy_host:$proxy_port') {
    const own = isIP(written) === 0 ? hostName(written) : written;
    if (own !== undefined) return own;
    notes.add('untranslated', directive!, 'the name of a server is known beforehand', 'set tls.serverName of the upstream', tls);
    return undefined;
  }
  return wantsOwn ? hostName(host) : undefined;
}
