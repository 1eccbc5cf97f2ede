/** The files that a configuration is made of: those that were read for it, and those that its settings name. */
import type { LoadedConfig } from './check.ts';
import type { Config } from './schema.ts';

/** Absolute paths, each once. */
export function filesOf({ config, sources, secretFiles }: LoadedConfig): readonly string[] {
  const files = [...sources.map(({ path }) => path), ...secretFiles];
  for (const listener of config.listeners) {
    for (const { certificate, key } of listener.tls?.certificates ?? []) files.push(certificate, key);
    files.push(...(listener.tls?.clientCertificates?.authorities ?? []));
    files.push(...Object.values(listener.errorPages), ...listsOf(listener.access));
    for (const { respond, basicAuth, access } of listener.routes ?? []) {
      if (respond?.file !== undefined) files.push(respond.file);
      if (basicAuth !== undefined) files.push(basicAuth.users);
      files.push(...listsOf(access));
    }
  }
  return [...new Set(files)];
}

function listsOf(access: Config['listeners'][number]['access']): string[] {
  return [access?.allowFile, access?.denyFile].filter((file) => file !== undefined);
}
