/**
 * The kinds of settings that the schema is made of: zod types whose errors are sentences of ours.
 * Each says what was found and what is allowed; what is designed but not built is refused by its name.
 */
import { z } from 'zod';
import { DURATION_FORMS, durationText, parseDuration, parseSize, SIZE_FORMS, sizeText } from './units.ts';
import { didYouMean, listed, nearest, shown, wrong } from './wording.ts';

/** Longest text a setting may hold. Characters. */
const TEXT_MAX = 4_096;

interface Issue {
  readonly code?: string | undefined;
  readonly input?: unknown;
  readonly keys?: readonly string[] | undefined;
}

/** The sentence for any issue of a setting that takes one kind of value. */
function expecting(expected: string) {
  return { error: (issue: Issue) => wrong(issue.input, expected) };
}

/**
 * A mapping with the settings of `shape`, and no others. `later` names what the design has and this version has not,
 * `elsewhere` what others call a setting of this section, and which it is.
 * Unknown keys give one issue with a sentence a line, in the order of its `keys` (see check.ts).
 */
export function section<Shape extends z.ZodRawShape>(
  shape: Shape,
  later: readonly string[] = [],
  expected?: string,
  elsewhere: Readonly<Record<string, string>> = {},
) {
  const names = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue: Issue) => {
      if (issue.code !== 'unrecognized_keys') return wrong(issue.input, expected ?? `a mapping of ${listed(names)}`);
      return (issue.keys ?? []).map((key) => unknownSetting(key, names, later, elsewhere)).join('\n');
    },
  });
}

function unknownSetting(
  key: string,
  names: readonly string[],
  later: readonly string[],
  elsewhere: Readonly<Record<string, string>>,
): string {
  const meant = Object.hasOwn(elsewhere, key) ? elsewhere[key] : undefined;
  if (meant !== undefined) return `unknown setting ${shown(key)}; it is called '${meant}' here`;
  if (later.includes(key)) return `'${key}' is not available yet`;
  if (key === '<<') return "merge keys ('<<') are not read; use an alias ('*name') for a value as a whole";
  const near = nearest(key, [...names, ...later]);
  if (near !== undefined && later.includes(near)) return `unknown setting ${shown(key)}; did you mean '${near}'? It is not available yet`;
  return `unknown setting ${shown(key)}${near === undefined ? `; allowed here: ${listed(names)}` : `; did you mean '${near}'?`}`;
}

/** A section that may also be written as the one value `key` stands for. */
export function shorthand<Schema extends z.ZodType>(key: string, schema: Schema) {
  return z.preprocess((value) => (typeof value === 'string' ? { [key]: value } : value), schema);
}

/** A list of `least` to `most` items. */
export function list<Item extends z.ZodType>(item: Item, expected: string, least: number, most: number) {
  return z
    .array(item, expecting(expected))
    .min(least, { error: (issue) => wrong(issue.input, expected) })
    .max(most, { error: (issue) => `found a list of ${Array.isArray(issue.input) ? issue.input.length : 'too many'}; ${most} at most` });
}

/** One of `values`. `later` names values of the design that this version has not; `told` says what is allowed where a list would be long. */
export function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
  later: readonly string[] = [],
  told: string = listed(values),
) {
  return z.enum(values, {
    error: ({ input }: Issue) => {
      const allowed = `allowed: ${told}`;
      if (typeof input !== 'string') return wrong(input, `one of ${told}`);
      if (later.includes(input)) return `'${input}' is not available yet; ${allowed}`;
      return `found ${shown(input)}, ${allowed}${didYouMean(input, values)}`;
    },
  });
}

/** One of a few numbers. */
export function choiceOfNumber(values: readonly number[]) {
  const error = expecting(`one of ${values.join(', ')}`);
  return z.number(error).refine((value) => values.includes(value), error);
}

export function flag() {
  return z.boolean(expecting('true or false'));
}

/** A whole number within its bounds, both included. */
export function count(least: number, most: number) {
  const error = expecting(`a whole number from ${least} to ${most}`);
  return z.number(error).int(error).min(least, error).max(most, error);
}

/** Text that `parse` turns into a value, or into the sentence that says what is wrong. */
export function parsed<Value extends object | number>(expected: string, parse: (text: string) => Value | string) {
  const error = expecting(expected);
  return z
    .string(error)
    .max(TEXT_MAX, { error: `found text of more than ${TEXT_MAX} characters, expected ${expected}` })
    .transform((text, context): Value => {
      const value = parse(text);
      if (typeof value !== 'string') return value;
      context.issues.push({ code: 'custom', message: value, input: text });
      return z.NEVER;
    });
}

/** A duration in milliseconds, within its bounds, both included. With `off`, that word is 0. */
export function duration(leastMs: number, mostMs: number, off = false) {
  const forms = off ? `${DURATION_FORMS}, or 'off'` : DURATION_FORMS;
  return parsed(forms, (text) => {
    if (off && text === 'off') return 0;
    const ms = parseDuration(text);
    if (ms === undefined) return wrong(text, forms);
    if (ms < leastMs || ms > mostMs) return wrong(text, `a duration from ${durationText(leastMs)} to ${durationText(mostMs)}`);
    return ms;
  });
}

/** A size in bytes, within its bounds, both included. */
export function size(leastBytes: number, mostBytes: number) {
  return parsed(SIZE_FORMS, (text) => {
    const bytes = parseSize(text);
    if (bytes === undefined) return wrong(text, SIZE_FORMS);
    if (bytes < leastBytes || bytes > mostBytes) return wrong(text, `a size from ${sizeText(leastBytes)} to ${sizeText(mostBytes)}`);
    return bytes;
  });
}

/** The name by which a listener or upstream appears in logs and metrics. */
export function itemName() {
  const expected = "a name of letters, digits, '-', '_' and '.', 64 at most, beginning with a letter or digit";
  return z.string(expecting(expected)).regex(/^[A-Za-z0-9][\w.-]{0,63}$/, expecting(expected));
}

/** A path to a file or directory, absolute or relative to the configuration file. Its existence is checked by whoever opens it. */
export function filePath(what: string) {
  const expected = `the path of ${what}`;
  return z.string(expecting(expected)).check((context) => {
    const text = context.value;
    const problem =
      text === '' || /[\0\r\n]/.test(text) || text.length > TEXT_MAX
        ? wrong(text === '' ? null : text, expected)
        : text.startsWith('~')
          ? `found ${shown(text)}: '~' is not expanded here; write the whole path`
          : undefined;
    if (problem !== undefined) context.issues.push({ code: 'custom', message: problem, input: text });
  });
}

/** A mapping of names to `value`. `nameProblem` gives the sentence for a name that cannot be, or undefined. */
export function mapping<Value extends z.ZodType>(
  value: Value,
  expected: string,
  most: number,
  nameProblem: (name: string) => string | undefined,
) {
  const key = z.string().check((context) => {
    const problem = nameProblem(context.value);
    if (problem !== undefined) context.issues.push({ code: 'custom', message: problem, input: context.value });
  });
  const error = (issue: Issue & { readonly issues?: readonly { readonly message: string }[] }) =>
    issue.code === 'invalid_key' ? (issue.issues?.[0]?.message ?? expected) : wrong(issue.input, expected);
  return z.record(key, value, { error }).check((context) => {
    const { length } = Object.keys(context.value);
    if (length > most) context.issues.push({ code: 'custom', message: `found ${length} entries; ${most} at most`, input: context.value });
  });
}

/** One line of text: Latin-1, no controls. */
export function line(what: string, most = TEXT_MAX) {
  const expected = `${what}, one line of Latin-1 text`;
  return z
    .string(expecting(expected))
    .max(most, { error: `found text of more than ${most} characters, expected ${expected}` })
    .regex(/^[\t\x20-\x7e\xa0-\xff]*$/, expecting(expected));
}

/** A setting with the sentence that says what it is: for whoever reads the code, the reference page, and editors. */
export function about<Schema extends z.ZodType>(sentence: string, schema: Schema): Schema {
  return schema.describe(sentence);
}
