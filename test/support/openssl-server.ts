/** A TLS server on OpenSSL, as node has it, with a policy's lists in OpenSSL's words. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type SecureVersion, type Server } from 'node:tls';
import { groupName, schemeName } from '../../src/hello/names.ts';
import type { Policy } from '../../src/hello/policy.ts';
import { SUITE_NAMES } from '../../src/hello/suite-names.ts';
import type { ProbeCertificate } from './probe-server.ts';

/** Names of suites as OpenSSL has them, by number. */
const NAMES: ReadonlyMap<number, string> = new Map(
  execFileSync('openssl', ['ciphers', '-V', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => {
      const [, high, low, name] = /^\s*0x(..),0x(..) - (\S+)/.exec(line) ?? [];
      return [Number.parseInt(`${high}${low}`, 16), name!] as const;
    }),
);

/** SHA-1, MD5 and SHA-224, which OpenSSL's own floor forbids. */
const isWeak = (scheme: number): boolean => scheme >>> 8 < 4;

export async function opensslServer(policy: Policy, certificates: readonly ProbeCertificate[]): Promise<{ server: Server; port: number }> {
  const newSuites = policy.suites.filter((suite) => suite >>> 8 === 0x13).map((suite) => SUITE_NAMES.get(suite));
  const oldSuites = policy.suites.filter((suite) => suite >>> 8 !== 0x13).flatMap((suite) => NAMES.get(suite) ?? []);
  const level = policy.minVersion < 0x0303 || policy.signatureSchemes.some(isWeak) ? ['@SECLEVEL=0'] : [];
  const server = createServer({
    cert: certificates.map(({ chainPem }) => Buffer.from(chainPem)),
    key: certificates.map(({ keyPem }) => Buffer.from(keyPem)),
    ciphers: [...newSuites, ...oldSuites, ...level].join(':'),
    ecdhCurve: policy.groups.map(groupName).join(':'),
    sigalgs: policy.signatureSchemes.map(opensslScheme).join(':'),
    minVersion: nodeVersion(policy.minVersion),
    maxVersion: nodeVersion(policy.maxVersion),
    honorCipherOrder: true,
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** SHA-224 has no name of its own there. */
function opensslScheme(scheme: number): string {
  if (scheme === 0x0301) return 'RSA+SHA224';
  return scheme === 0x0303 ? 'ECDSA+SHA224' : schemeName(scheme);
}

function nodeVersion(version: number): SecureVersion {
  return version === 0x0304 ? 'TLSv1.3' : version === 0x0303 ? 'TLSv1.2' : version === 0x0302 ? 'TLSv1.1' : 'TLSv1';
}
