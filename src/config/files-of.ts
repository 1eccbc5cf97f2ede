/** The files that a configuration is made of: those that were read for it, and those that its settings name. */
import type { LoadedConfig } from './check.ts';
import type { Config } from './schema.ts';

/** Absolute paths, each once; a directory stands for what is in it. */
export function filesOf({ config, sources, secretFiles }: LoadedConfig): readonly string[] {
  const files = [...sources.map(({ path }) => path), ...secretFiles];
  for (const listener of config.listeners) {
    for (const { certificate, key, directory } of listener.tls?.certificates ?? []) {
      files.push(...[certificate, key, directory].filter((path) => path !== undefined));
    }
    for (const rules of [listener.tls, ...(listener.tls?.names ?? [])]) files.push(...(rules?.clientCertificates?.authorities ?? []));
    files.push(...Object.values(listener.errorPages), ...listsOf(listener.access));
    for (const { respond, basicAuth, access } of listener.routes ?? []) {
      if (respond?.file !== undefined) files.push(respond.file);
      if (basicAuth !== undefined) files.push(basicAuth.users);
      files.push(...listsOf(access));
    }
  }
  return [...new Set(files)];
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

function listsOf(access: Config['listeners'][number]['access']): string[] {
  return [access?.allowFile, access?.denyFile].filter((file) => file !== undefined);
}
