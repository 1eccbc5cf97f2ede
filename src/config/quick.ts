/**
 * A configuration without a file: one HTTPS listener in front of one server, from two options of the command line.
 * The certificate is the caller's affair. What it makes passes the same schema as a file.
 */
import { checkConfig, type LoadedConfig } from './check.ts';
import { ConfigError, type Finding, type Place } from './findings.ts';
import type { ConfigInput } from './schema.ts';

export interface QuickOptions {
  /** Listen address, as `:8443`, `localhost:8443`, `0.0.0.0:443`, or a bare port (of all addresses); default `localhost:8443`. */
  readonly from?: string;
  /** Target or targets, as `127.0.0.1:3000`, or `:3000` or a bare port of this machine. (The demo passes the address of its own origin.) */
  readonly to: string | readonly string[];
  /** What `localCertificate()` answered. */
  readonly certificate: { readonly certificatePath: string; readonly keyPath: string };
  /** Admin address, or `off`; default `127.0.0.1:9901`. */
  readonly admin?: string;
  readonly workers?: number | 'auto';
}

const FILE = 'command line';

/** Throws ConfigError that names the option at fault. */
export function quickConfig(options: QuickOptions): LoadedConfig {
  const targets = typeof options.to === 'string' ? [options.to] : [...options.to];
  const value: ConfigInput = {
    ...(options.admin === undefined ? {} : { admin: { listen: options.admin } }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    listeners: [
      {
        name: 'quick',
        address: /^\d+$/.test(options.from ?? '') ? `:${options.from}` : (options.from ?? 'localhost:8443'),
        tls: { certificates: [{ certificate: options.certificate.certificatePath, key: options.certificate.keyPath }] },
        routes: [{ to: 'server' }],
      },
    ],
    upstreams: [{ name: 'server', targets: targets.map(ownMachine) }],
  };
  const where = (): Place => ({ file: FILE, line: 0, column: 0 });
  try {
    return checkConfig({
      file: FILE,
      directoryOf: () => process.cwd(),
      sources: [],
      secretFiles: [],
      readAtMs: Date.now(),
      written: value,
      value,
      where,
      whereKey: where,
      errors: [],
    });
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError('config_invalid', error.findings.map(named), [], error) : error;
  }
}

/** `3000` and `:3000` are ports of this machine. */
function ownMachine(target: string): string {
  const port = /^:?(\d+)$/.exec(target);
  return port === null ? target : `127.0.0.1:${port[1]}`;
}

const OPTIONS: readonly (readonly [prefix: string, option: string])[] = [
  ['listeners[0].address', '--from'],
  ['upstreams[0].targets', '--to'],
  ['admin.listen', '--admin'],
  ['workers', '--workers'],
];

/** The option that gave the setting, in the setting's place. */
function named(finding: Finding): Finding {
  const option = OPTIONS.find(([prefix]) => finding.setting.startsWith(prefix));
  return option === undefined ? finding : { ...finding, setting: option[1] };
}
