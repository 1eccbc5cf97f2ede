/** A configuration as people may see it: whole, checked, and without its secrets. */
import { withDefaults } from './describe.ts';
import { loadConfig } from './load.ts';

/** Of `file` with all it includes; `effective`: with every default, and with variables of the environment put in. Throws ConfigError. */
export async function showConfig(file: string, effective: boolean): Promise<unknown> {
  const { written, value } = await loadConfig(file);
  return effective ? withDefaults(withoutSecrets(value, written)) : written;
}

/** What came out of a file of its own stays there: its name is shown. */
function withoutSecrets(value: unknown, written: unknown): unknown {
  if (typeof written === 'string' && /(?<!\$)\$\{file:/.test(written)) return written;
  if (Array.isArray(value) && Array.isArray(written)) return value.map((item, i) => withoutSecrets(item, written[i]));
  if (typeof value !== 'object' || value === null || typeof written !== 'object' || written === null) return escaped(value);
  const from = written as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, from[key])]));
}

/** So that what is shown means the same when it is read again. */
function escaped(value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('${', '$$${') : value;
}
