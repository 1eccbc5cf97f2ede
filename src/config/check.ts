/**
 * One checked configuration out of values read from anywhere: schema, references, absolute paths.
 * All errors at once, each at its place. Opens no file.
 */
import { resolve } from 'node:path';
import type { z } from 'zod';
import type { ListenAddress, TargetAddress } from '../plan/plan.ts';
import { type TargetSpec, UNIX_PATH_BYTES_MAX } from './addresses.ts';
import type { SourceFile } from './assemble.ts';
import type { ClientCertificateSettings } from './client-certificates.ts';
import { ConfigError, type Finding, type Place, type SettingPath, settingText } from './findings.ts';
import { checkReferences } from './references.ts';
import { type Config, schema } from './schema.ts';
import { nearest } from './wording.ts';

/** A configuration that passed the schema: every default filled in, every path absolute. */
export interface LoadedConfig {
  /** The file as the caller named it, or `command line`. */
  readonly file: string;
  readonly config: Config;
  /** Where `path` was written, or the nearest setting around it that was. */
  readonly where: (path: SettingPath) => Place;
  /** Where relative paths of a setting start; absolute. */
  readonly directoryOf: (path: SettingPath) => string;
  /** As it was written: without defaults, variables by their names. */
  readonly written: unknown;
  /** With variables put in. */
  readonly value: unknown;
  /** Every file that was read for it, with what was in it. */
  readonly sources: readonly SourceFile[];
  /** Files whose contents are values, absolute. */
  readonly secretFiles: readonly string[];
  /** When reading began. Unix time, milliseconds. */
  readonly readAtMs: number;
}

/** Values on their way to a LoadedConfig. */
export interface Source {
  readonly file: string;
  /** Where relative paths of a setting start; absolute. */
  readonly directoryOf: (path: SettingPath) => string;
  readonly sources: readonly SourceFile[];
  readonly secretFiles: readonly string[];
  readonly readAtMs: number;
  readonly value: unknown;
  readonly written: unknown;
  readonly where: (path: SettingPath) => Place;
  readonly whereKey: (path: SettingPath) => Place;
  /** What reading found already; makes the check fail, after it has found the rest. */
  readonly errors: readonly Finding[];
}

/** Throws ConfigError with every error at once. */
export function checkConfig(source: Source): LoadedConfig {
  const findings = [...source.errors];
  const blame = (place: Place, path: SettingPath, message: string): void => {
    findings.push({ file: place.file, line: place.line, column: place.column, severity: 'error', setting: settingText(path), message });
  };
  const result = schema.safeParse(source.value);
  const issues = (result.error?.issues ?? []).flatMap(deepest).map((issue) => ({
    ...issue,
    path: issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part)),
  }));
  const unknown = issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : []));
  for (const issue of issues) {
    const { path } = issue;
    // Who misspelt a name is told so; that the right one is missing goes without saying.
    if (issue.message.startsWith('missing;') && unknown.some((other) => isMisspeltAs(other, path))) continue;
    if (issue.code === 'unrecognized_keys') {
      const sentences = issue.message.split('\n');
      issue.keys.forEach((key, index) => {
        blame(source.whereKey([...path, key]), [...path, key], sentences[index] ?? issue.message);
      });
    } else {
      blame(source.where(path), path, issue.message);
    }
  }
  for (const { path, message } of checkReferences(source.value, (at) => source.where(at).line)) {
    if (message.startsWith('missing;') && unknown.some((other) => isMisspeltAs(other, path))) continue;
    blame(source.where(path), path, message);
  }
  const config = result.success ? absolute(result.data, source, blame) : undefined;
  if (findings.length > 0 || config === undefined) throw new ConfigError('config_invalid', unrepeated(findings));
  const { file, where, directoryOf, written, value, sources, secretFiles, readAtMs } = source;
  return { file, config, where, directoryOf, written, value, sources, secretFiles, readAtMs };
}

/** Of a setting that has several forms, what is wrong inside of the one that was meant; else its own sentence. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find((form) => form.some(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'));
  return meant === undefined ? [issue] : meant.map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
}

function isMisspeltAs(found: SettingPath, wanted: SettingPath): boolean {
  const last = wanted.length - 1;
  if (found.length !== wanted.length || found.some((part, index) => index < last && part !== wanted[index])) return false;
  return nearest(String(found[last]), [String(wanted[last])]) !== undefined;
}

/** One place gets one sentence about one setting: a value refused while reading needs no second refusal as missing. */
function unrepeated(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return findings.filter((finding) => {
    const key = `${finding.line}:${finding.column}:${finding.setting}`;
    const repeated = finding.setting !== '' && seen.has(key);
    seen.add(key);
    return !repeated;
  });
}

/** Paths of authorities and revocation lists, absolute. */
function clientFiles(clients: ClientCertificateSettings | undefined, at: (path: string) => string): object {
  if (clients === undefined) return {};
  const { revocation } = clients;
  return {
    clientCertificates: {
      ...clients,
      ...(clients.authorities === undefined ? {} : { authorities: clients.authorities.map(at) }),
      ...(revocation === undefined
        ? {}
        : { revocation: { ...revocation, crl: revocation.crl.map((place) => (place.startsWith('http:') ? place : at(place))) } }),
    },
  };
}

/** Paths of authorities, and of what is shown to servers, absolute. */
function serverFiles(tls: Config['upstreams'][number]['tls'], at: (path: string) => string): object {
  if (tls === undefined || tls === null) return {};
  const { authorities, certificate, key } = tls;
  return {
    tls: {
      ...tls,
      ...(authorities === undefined ? {} : { authorities: authorities.map(at) }),
      ...(certificate === undefined ? {} : { certificate: at(certificate) }),
      ...(key === undefined ? {} : { key: at(key) }),
    },
  };
}

type Blame = (place: Place, path: SettingPath, message: string) => void;

function absolute(config: Config, source: Source, blame: Blame): Config {
  const at = (text: string, path: SettingPath): string => resolve(source.directoryOf(path), text);
  const socket = <Address extends ListenAddress | TargetAddress>(address: Address, path: SettingPath): Address => {
    if (address.family !== 0) return address;
    const moved = at(address.path, path);
    const bytes = Buffer.byteLength(moved);
    if (bytes > UNIX_PATH_BYTES_MAX)
      blame(
        source.where(path),
        path,
        `the path of a Unix socket may have ${UNIX_PATH_BYTES_MAX} bytes, and '${moved.slice(0, 60)}...' has ${bytes}`,
      );
    return { ...address, path: moved };
  };
  const lists = (from: Config['listeners'][number]['access'], path: SettingPath) => {
    if (from === undefined) return {};
    const { allowFile, denyFile } = from;
    return {
      access: {
        ...from,
        ...(allowFile === undefined ? {} : { allowFile: at(allowFile, [...path, 'access']) }),
        ...(denyFile === undefined ? {} : { denyFile: at(denyFile, [...path, 'access']) }),
      },
    };
  };
  const { access: accessLog, error: errorLog } = config.log;
  const receiver = (to: TargetSpec): TargetSpec =>
    'host' in to.address ? to : { ...to, address: socket(to.address, ['log', 'access', 'syslog']) };
  const { listen } = config.admin;
  return {
    ...config,
    admin: { listen: listen === null ? null : socket(listen, ['admin', 'listen']) },
    ...(config.runtime === undefined ? {} : { runtime: at(config.runtime, ['runtime']) }),
    log: {
      ...config.log,
      access: {
        ...accessLog,
        ...(accessLog.path === undefined
          ? {}
          : { path: accessLog.path === '-' || accessLog.path === 'off' ? accessLog.path : at(accessLog.path, ['log', 'access']) }),
        ...(accessLog.syslog === undefined ? {} : { syslog: { ...accessLog.syslog, to: receiver(accessLog.syslog.to) } }),
      },
      error: { ...errorLog, path: errorLog.path === '-' ? '-' : at(errorLog.path, ['log', 'error']) },
    },
    listeners: config.listeners.map((listener, index) => {
      const here = ['listeners', index];
      return {
        ...listener,
        address: { ...listener.address, addresses: listener.address.addresses.map((address) => socket(address, [...here, 'address'])) },
        ...lists(listener.access, here),
        errorPages: Object.fromEntries(Object.entries(listener.errorPages).map(([status, file]) => [status, at(file, here)])),
        ...(listener.passthrough === undefined
          ? {}
          : { passthrough: listener.passthrough.map((entry) => ({ ...entry, ...lists(entry.access, here) })) }),
        ...(listener.routes === undefined
          ? {}
          : {
              routes: listener.routes.map((route) => {
                const file = route.respond?.file;
                const respond = file === undefined ? {} : { respond: { ...route.respond!, file: at(file, here) } };
                const basicAuth =
                  route.basicAuth === undefined ? {} : { basicAuth: { ...route.basicAuth, users: at(route.basicAuth.users, here) } };
                return { ...route, ...respond, ...basicAuth, ...lists(route.access, here) };
              }),
            }),
        ...(listener.tls === undefined
          ? {}
          : {
              tls: {
                ...listener.tls,
                ...(listener.tls.library === undefined ? {} : { library: at(listener.tls.library, here) }),
                ...clientFiles(listener.tls.clientCertificates, (path) => at(path, here)),
                names: listener.tls.names.map((each) => ({ ...each, ...clientFiles(each.clientCertificates, (path) => at(path, here)) })),
                certificates: listener.tls.certificates.map(({ certificate, key, directory }) => ({
                  ...(certificate === undefined ? {} : { certificate: at(certificate, here) }),
                  ...(key === undefined ? {} : { key: at(key, here) }),
                  ...(directory === undefined ? {} : { directory: at(directory, here) }),
                })),
              },
            }),
      };
    }),
    upstreams: config.upstreams.map((upstream, index) => ({
      ...upstream,
      ...serverFiles(upstream.tls, (path) => at(path, ['upstreams', index])),
      targets: upstream.targets.map((target, place) => {
        const { address } = target.address;
        if ('host' in address) return target;
        return { ...target, address: { ...target.address, address: socket(address, ['upstreams', index, 'targets', place]) } };
      }),
    })),
  };
}
