/**
 * The configuration of another program becomes one of ours, as YAML, with a list of what did not come along. Reads files; writes none. What
 * comes out has passed the check of every configuration.
 */
import { TollgateError } from '../../base/tollgate-error.ts';
import { ConfigError } from '../findings.ts';
import { parseConfig } from '../load.ts';
import { type Draft, keepAdminApart } from './draft.ts';
import { translateHaproxy } from './haproxy.ts';
import { type ImportKind, kindOfFile } from './kind-of-file.ts';
import { translateNginx } from './nginx.ts';
import { readNginxFiles } from './nginx-files.ts';
import { type ImportNote, Notes } from './notes.ts';
import { readSourceText } from './source-text.ts';
import { writeYaml } from './write-yaml.ts';

export interface Imported {
  readonly kind: ImportKind;
  /** A whole configuration. */
  readonly yaml: string;
  readonly notes: readonly ImportNote[];
  /** Notes beyond the bound. */
  readonly lost: number;
  readonly listeners: number;
  readonly upstreams: number;
}

/** Reads `file`; `kind` null: what it looks like. Throws TollgateError when nothing can be made of it. */
export async function importConfig(file: string, kind: ImportKind | null): Promise<Imported> {
  const text = await readSourceText(file, file);
  const from = kind ?? kindOfFile(file, text);
  if (from === null) {
    throw new TollgateError(
      'import_unreadable',
      `${file} looks neither like nginx's configuration nor like HAProxy's; say which with --from`,
    );
  }
  const notes = new Notes();
  const draft =
    from === 'nginx' ? translateNginx(await readNginxFiles(file, text, notes), notes) : await translateHaproxy(file, text, notes);
  if (draft.listeners.length === 0) {
    const { first } = notes;
    const reason = first === undefined ? '' : ` (${first.file}:${first.line}: ${first.what}: ${first.why})`;
    throw new TollgateError('import_empty', `${file} has nothing that Tollgate could listen for${reason}`);
  }
  keepAdminApart(draft);
  const yaml = writeYaml(ordered(draft), notes, [`Made from ${file.replaceAll(/\p{Cc}/gu, '?')} by tollgate config import.`]);
  try {
    await parseConfig(yaml, 'the result');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new TollgateError('import_failed', `what was made of ${file} does not pass the check:\n${error.message}`, error);
  }
  const { list, lost } = notes;
  return { kind: from, yaml, notes: list, lost, listeners: draft.listeners.length, upstreams: draft.upstreams.length };
}

/** Sections as docs/configuration.md has them. */
function ordered({ admin, workers, user, group, log, timeouts, limits, clients, listeners, upstreams }: Draft): Draft {
  return {
    ...(admin === undefined ? {} : { admin }),
    ...(workers === undefined ? {} : { workers }),
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
    ...(log === undefined ? {} : { log }),
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(limits === undefined ? {} : { limits }),
    ...(clients === undefined ? {} : { clients }),
    listeners,
    upstreams,
  };
}
