/** Puts a new configuration into a file: whole or not at all, and over another only when that is asked for. */
import { link, rename, unlink, writeFile } from 'node:fs/promises';
import { TollgateError } from '../../base/tollgate-error.ts';

/** Throws TollgateError: there is such a file already, or it cannot be written. */
export async function writeConfig(path: string, text: string, force: boolean): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o644 });
    try {
      // A link, unlike a rename, never replaces what is there.
      if (force) await rename(draft, path);
      else await link(draft, path);
    } finally {
      await unlink(draft).catch(() => {});
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !force)
      throw new TollgateError('output_exists', `there is a file ${path} already; --force writes over it`, error);
    throw new TollgateError('output_unwritable', `${path} cannot be written (${code ?? String(error)})`, error);
  }
}
