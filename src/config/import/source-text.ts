/** Text files of other programs: read whole within a bound, and known to be text. */
import { readBoundedFile } from '../../base/bounded-file.ts';
import { TollgateError } from '../../base/tollgate-error.ts';

/** Largest file that is read. Bytes. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;

/** The text of `path`; `shown` names it in errors. Comments in Latin-1 are common in old files, so what is no UTF-8 is read as that. */
export async function readSourceText(path: string, shown: string): Promise<string> {
  const { bytes } = await readBoundedFile(path, SOURCE_BYTES_MAX);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    text = bytes.toString('latin1');
  }
  const control = /[^\P{Cc}\t\n\r\f\u0080-\u009f]/u.exec(text);
  if (control === null) return text.replaceAll('\r\n', '\n');
  const line = text.slice(0, control.index).split('\n').length;
  const code = control[0].codePointAt(0)!.toString(16).padStart(4, '0').toUpperCase();
  throw new TollgateError('import_unreadable', `${shown}:${line}: a control character (U+${code}); is it a text file?`);
}
