/**
 * What checking a configuration finds: errors and warnings, each with its place. Knows nothing of schemas or files;
 * how findings look on a terminal is the command line's affair, `findingText` being the one plain form.
 */
import { TollgateError } from '../base/tollgate-error.ts';

/** Longest text by which a setting is named. Characters. */
const SETTING_TEXT_MAX = 160;

/** Where in which file. `line` and `column` count from 1; both are 0 when no line can be blamed (the file is missing, a command-line option). */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Finding extends Place {
  /** A note is worth knowing, and needs nothing done. */
  readonly severity: 'error' | 'warning' | 'note';
  /** The setting blamed, as `listeners[0].tls.policy`; empty when it is the file as a whole. */
  readonly setting: string;
  /** What was found, what is allowed, and the nearest right name when one is misspelt. */
  readonly message: string;
}

/** Keys and indices from the root of a configuration to one setting. */
export type SettingPath = readonly (string | number)[];

/** A configuration that cannot be run. `findings` holds every error at once, in the order of the file; `warnings` what was noticed on the way. */
export class ConfigError extends TollgateError {
  override name = 'ConfigError';
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];

  /** `findings` must not be empty. Its message is all of them, a line each. */
  constructor(
    code: 'config_invalid' | 'config_unreadable',
    findings: readonly Finding[],
    warnings: readonly Finding[] = [],
    cause?: unknown,
  ) {
    const sorted = inFileOrder(findings);
    super(code, sorted.map(findingText).join('\n'), cause);
    this.findings = sorted;
    this.warnings = inFileOrder(warnings);
  }
}

/** One line: `site.yaml:12:15: listeners[0].tls.policy: found 'moderne', ...`. Warnings and notes say that they are. */
export function findingText(finding: Finding): string {
  const place = finding.line > 0 ? `${finding.file}:${finding.line}:${finding.column}` : finding.file;
  const setting = finding.setting === '' ? '' : `${finding.setting}: `;
  return `${place}: ${finding.severity === 'error' ? '' : `${finding.severity}: `}${setting}${finding.message}`;
}

/** `listeners[0].tls.policy` of `['listeners', 0, 'tls', 'policy']`. Names that are not plain words are quoted. */
export function settingText(path: SettingPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]{0,63}$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.slice(0, 64))}]`;
  }
  return text.length <= SETTING_TEXT_MAX ? text : `${text.slice(0, SETTING_TEXT_MAX - 3)}...`;
}

/** File by file, in the order in which they come up. */
export function inFileOrder(findings: readonly Finding[]): readonly Finding[] {
  const files = [...new Set(findings.map(({ file }) => file))];
  return [...findings].sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column);
}
