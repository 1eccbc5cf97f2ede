/** The files that a configuration is made of: those that were read for it, and those that its settings name. */
import { machineAuthorities } from './authorities.ts';
import type { LoadedConfig } from './check.ts';
import type { SettingPath } from './findings.ts';
import type { Config } from './schema.ts';

export interface NamedFile {
  /** Absolute. */
  readonly file: string;
  readonly setting: SettingPath;
}

/** Absolute paths, each once; a directory stands for what is in it. */
export function filesOf(loaded: LoadedConfig): readonly string[] {
  const { config, sources, secretFiles } = loaded;
  return [...new Set([...sources.map(({ path }) => path), ...secretFiles, ...namedFiles(config).map(({ file }) => file)])];
}

/** What its settings name, as often as they do. */
export function namedFiles({ listeners, upstreams }: Config): readonly NamedFile[] {
  const files: NamedFile[] = [];
  const add = (file: string | undefined, ...setting: SettingPath): void => {
    if (file !== undefined) files.push({ file, setting });
  };
  for (const [index, { tls, errorPages, access, routes = [], passthrough = [] }] of listeners.entries()) {
    const here = ['listeners', index];
    for (const [at, { certificate, key, directory }] of (tls?.certificates ?? []).entries()) {
      add(certificate, ...here, 'tls', 'certificates', at, 'certificate');
      add(key, ...here, 'tls', 'certificates', at, 'key');
      add(directory, ...here, 'tls', 'certificates', at, 'directory');
    }
    add(tls?.library, ...here, 'tls', 'library');
    for (const [at, rules] of [tls, ...(tls?.names ?? [])].entries()) {
      const path = at === 0 ? [...here, 'tls'] : [...here, 'tls', 'names', at - 1];
      for (const [number, file] of (rules?.clientCertificates?.authorities ?? []).entries()) {
        add(file, ...path, 'clientCertificates', 'authorities', number);
      }
      for (const [number, place] of (rules?.clientCertificates?.revocation?.crl ?? []).entries()) {
        if (!place.startsWith('http:')) add(place, ...path, 'clientCertificates', 'revocation', 'crl', number);
      }
    }
    for (const [status, file] of Object.entries(errorPages)) add(file, ...here, 'errorPages', status);
    add(access?.allowFile, ...here, 'access', 'allowFile');
    add(access?.denyFile, ...here, 'access', 'denyFile');
    for (const [at, entry] of passthrough.entries()) {
      add(entry.access?.allowFile, ...here, 'passthrough', at, 'access', 'allowFile');
      add(entry.access?.denyFile, ...here, 'passthrough', at, 'access', 'denyFile');
    }
    for (const [at, route] of routes.entries()) {
      const path = [...here, 'routes', at];
      add(route.respond?.file, ...path, 'respond', 'file');
      add(route.basicAuth?.users, ...path, 'basicAuth', 'users');
      add(route.access?.allowFile, ...path, 'access', 'allowFile');
      add(route.access?.denyFile, ...path, 'access', 'denyFile');
    }
  }
  for (const [index, { tls }] of upstreams.entries()) {
    if (tls === undefined || tls === null) continue;
    const path = ['upstreams', index, 'tls'];
    for (const [number, file] of (tls.authorities ?? []).entries()) add(file, ...path, 'authorities', number);
    if (tls.authorities === undefined && !tls.insecureSkipVerification) add(machineAuthorities() ?? undefined, ...path);
    add(tls.certificate, ...path, 'certificate');
    add(tls.key, ...path, 'key');
  }
  return files;
}

/** Directories that are watched in any case: programs put certificates there. */
export function certificateDirectoriesOf({ config }: LoadedConfig): readonly string[] {
  return [
    ...new Set(
      config.listeners.flatMap(({ tls }) =>
        (tls?.certificates ?? []).flatMap(({ directory }) => (directory === undefined ? [] : [directory])),
      ),
    ),
  ];
}
