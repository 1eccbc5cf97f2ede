/** The files that a configuration is made of: those that were read for it, and those that its settings name. */
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
export function namedFiles({ listeners }: Config): readonly NamedFile[] {
  const files: NamedFile[] = [];
  const add = (file: string | undefined, ...setting: SettingPath): void => {
    if (file !== undefined) files.push({ file, setting });
  };
  for (const [index, { tls, errorPages, access, passthrough = [], routes = [] }] of listeners.entries()) {
    const here = ['listeners', index];
    for (const [at, { certificate, key, directory }] of (tls?.certificates ?? []).entries()) {
      add(certificate, ...here, 'tls', 'certificates', at, 'certificate');
      add(key, ...here, 'tls', 'certificates', at, 'key');
      add(directory, ...here, 'tls', 'certificates', at, 'directory');
    }
    for (const [status, file] of Object.entries(errorPages)) add(file, ...here, 'errorPages', status);
    const networks = (from: typeof access, ...path: SettingPath): void => {
      add(from?.allowFile, ...path, 'access', 'allowFile');
      add(from?.denyFile, ...path, 'access', 'denyFile');
    };
    networks(access, ...here);
    for (const [at, entry] of passthrough.entries()) networks(entry.access, ...here, 'passthrough', at);
    for (const [at, route] of routes.entries()) {
      const path = [...here, 'routes', at];
      add(route.respond?.file, ...path, 'respond', 'file');
      add(route.basicAuth?.users, ...path, 'basicAuth', 'users');
      networks(route.access, ...path);
    }
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
