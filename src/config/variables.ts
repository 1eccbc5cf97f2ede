/**
 * `${NAME}`, `${NAME:-default}` and `${file:PATH}` in the texts of a configuration: variables of the environment, and secrets that have files
 * of their own. Put in after the text was read as YAML, so that no value can be more than a value. `$${` is a literal `${`.
 */
import type { Finding, SettingPath } from './findings.ts';
import { settingText } from './findings.ts';
import { shown } from './wording.ts';

/** Longest text that a variable or a file may give. Characters. */
const VALUE_MAX = 65_536;
const REFERENCE = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface Variables {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the files hold, by path as written; the sentence that says why one cannot be read. */
  readonly files: ReadonlyMap<string, { readonly text: string } | { readonly problem: string }>;
}

/** Paths of `${file:...}` as they are written, each once. */
export function filesNamed(value: unknown): readonly string[] {
  const found = new Set<string>();
  each(value, (text) => {
    for (const [, reference] of text.matchAll(REFERENCE)) if (reference?.startsWith('file:') === true) found.add(reference.slice(5));
  });
  return [...found];
}

/** `value` with its variables put in, and what is wrong with them: a sentence for each setting. */
export function withVariables(
  value: unknown,
  variables: Variables,
): { readonly value: unknown; readonly problems: readonly { readonly path: SettingPath; readonly message: string }[] } {
  const problems: { path: SettingPath; message: string }[] = [];
  const put = (text: string, path: SettingPath): unknown => {
    if (!text.includes('${')) return text;
    let whole: string | null = null;
    const result = text.replaceAll(REFERENCE, (match, reference: string | undefined) => {
      if (match === '$${') return '${';
      const given =
        reference === undefined ? { problem: "'${' has no '}'; write '$${' for the characters themselves" } : look(reference, variables);
      if ('problem' in given) {
        problems.push({ path, message: given.problem });
        return '';
      }
      if (match === text) whole = given.text;
      return given.text;
    });
    // A setting that takes a number or a flag can have it from a variable, when that is all there is.
    return whole === null ? result : scalar(whole);
  };
  return { value: mapped(value, [], put), problems };
}

function look(reference: string, { env, files }: Variables): { readonly text: string } | { readonly problem: string } {
  if (reference.startsWith('file:')) return files.get(reference.slice(5)) ?? { problem: `${shown(reference)} cannot be read` };
  const at = reference.indexOf(':-');
  const name = at < 0 ? reference : reference.slice(0, at);
  if (!NAME.test(name)) {
    return {
      problem: `found ${shown(`\${${reference}}`)}, expected '\${NAME}', '\${NAME:-default}' or '\${file:PATH}'; write '$\${' for the characters themselves`,
    };
  }
  const value = env[name];
  if (value !== undefined && (value !== '' || at < 0)) {
    return value.length > VALUE_MAX ? { problem: `the variable ${name} has more than ${VALUE_MAX} characters` } : { text: value };
  }
  if (at >= 0) return { text: reference.slice(at + 2) };
  return { problem: `the variable ${name} is not set; '\${${name}:-default}' would do without` };
}

function scalar(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function mapped(value: unknown, path: SettingPath, put: (text: string, path: SettingPath) => unknown): unknown {
  if (typeof value === 'string') return put(value, path);
  if (Array.isArray(value)) return value.map((item, i) => mapped(item, [...path, i], put));
  if (typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) result[key] = mapped(item, [...path, key], put);
  return result;
}

function each(value: unknown, call: (text: string) => void): void {
  if (typeof value === 'string') call(value);
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) each(item, call);
}

/** As findings, at the places that `where` knows. */
export function variableFindings(
  problems: readonly { readonly path: SettingPath; readonly message: string }[],
  where: (path: SettingPath) => { readonly file: string; readonly line: number; readonly column: number },
): readonly Finding[] {
  return problems.map(({ path, message }) => ({ ...where(path), severity: 'error', setting: settingText(path), message }));
}
