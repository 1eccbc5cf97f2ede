/**
 * The schema read as data: what every setting is, takes and defaults to. Made of it are the reference page, the JSON Schema that editors
 * complete from, and a configuration with every default filled in.
 */
import { z } from 'zod';
import { schema } from './schema.ts';

/** What is left of a setting's schema once its wrappings are taken off. */
interface Bare {
  readonly inner: z.core.$ZodType;
  readonly description: string;
  /** As a person would write it; undefined: none. */
  readonly fallback: unknown;
  readonly optional: boolean;
  readonly nullable: boolean;
  /** The one value that may stand for the whole section is put in its place by this. */
  readonly expand: ((value: unknown) => unknown) | null;
}

function bare(type: z.core.$ZodType): Bare {
  let inner = type;
  let description = '';
  let fallback: unknown;
  let optional = false;
  let nullable = false;
  let expand: Bare['expand'] = null;
  for (;;) {
    description ||= z.globalRegistry.get(inner)?.description ?? '';
    const def = inner._zod.def as z.core.$ZodTypeDef & { readonly [name: string]: unknown };
    if (def.type === 'prefault' || def.type === 'default') {
      fallback ??= def.defaultValue;
      inner = def.innerType as z.core.$ZodType;
    } else if (def.type === 'optional') {
      optional = true;
      inner = def.innerType as z.core.$ZodType;
    } else if (def.type === 'nullable') {
      nullable = true;
      inner = def.innerType as z.core.$ZodType;
    } else if (def.type === 'pipe') {
      const [from, to] = [def.in, def.out] as [z.core.$ZodType, z.core.$ZodType];
      if (from._zod.def.type === 'transform') {
        expand = (from._zod.def as unknown as { transform: (value: unknown) => unknown }).transform;
        inner = to;
      } else inner = from;
    } else return { inner, description, fallback, optional, nullable, expand };
  }
}

function defOf<Def>(type: z.core.$ZodType): Def {
  return type._zod.def as unknown as Def;
}

/** Of a setting that may be a section or something else, the section's. */
function shapeOf(type: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | null {
  if (type._zod.def.type === 'union') {
    const section = defOf<{ options: z.core.$ZodType[] }>(type).options.find(({ _zod }) => _zod.def.type === 'object');
    return section === undefined ? null : shapeOf(section);
  }
  return type._zod.def.type === 'object' ? defOf<{ shape: Record<string, z.core.$ZodType> }>(type).shape : null;
}

/** What a setting takes, in the words of its own errors. */
function allowed(type: z.core.$ZodType): string {
  const said = (value: unknown): string => {
    const issue = z.safeParse(type as z.ZodType, value).error?.issues[0];
    return issue === undefined || issue.path.length > 0 ? '' : issue.message;
  };
  const sentence = said(Number.NaN);
  const text = /(?:expected|allowed:) (.*)$/s.exec(sentence)?.[1] ?? '';
  // A duration's and a size's bounds are only told to who passes them.
  const bounds = /expected (?:a duration|a size) (from .*)$/.exec(said('999999d') || said('999999GiB'))?.[1];
  return bounds === undefined ? text : `${text}; ${bounds}`;
}

// --- defaults filled in -----------------------------------------------------------------------------------------------

/** `value`, a configuration as it is written, with every default in it. */
export function withDefaults(value: unknown): unknown {
  return filled(schema, value);
}

function filled(type: z.core.$ZodType, given: unknown): unknown {
  const { inner, fallback, nullable, expand } = bare(type);
  if (given === undefined && fallback === undefined) return undefined;
  const value = expand === null ? (given ?? fallback) : expand(given ?? fallback);
  if (value === null) return nullable ? (given ?? fallback) : value;
  const shape = shapeOf(inner);
  if (shape !== null && isMapping(value)) {
    const result: Record<string, unknown> = {};
    for (const [key, member] of Object.entries(shape)) {
      const each = filled(member, value[key]);
      if (each !== undefined) result[key] = each;
    }
    return result;
  }
  const { def } = inner._zod;
  if (def.type === 'array' && Array.isArray(value))
    return value.map((item) => filled(defOf<{ element: z.core.$ZodType }>(inner).element, item));
  if (def.type === 'record' && isMapping(value)) {
    const { valueType } = defOf<{ valueType: z.core.$ZodType }>(inner);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(valueType, item)]));
  }
  return value;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// --- the JSON Schema --------------------------------------------------------------------------------------------------

type Json = Record<string, unknown>;

const INCLUDE = 'Files that are one configuration with this: a path, or a list of them, with * and ? in the last part.';
/** A variable may stand for any value. */
const VARIABLE: Json = { type: 'string', pattern: '\\$\\{.+\\}' };

/** https://json-schema.org/draft/2020-12/schema */
export function jsonSchema(): Json {
  const root = jsonOf(schema);
  const properties = root.properties as Json;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Tollgate configuration',
    ...root,
    // Another file may have them.
    required: [],
    properties: {
      include: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }], description: INCLUDE },
      ...properties,
    },
    $defs: { variable: VARIABLE },
  };
}

function jsonOf(type: z.core.$ZodType): Json {
  const { inner, description, fallback, nullable, expand } = bare(type);
  let json = plainJson(inner);
  if (expand !== null) json = { anyOf: [...short(expand), json] };
  if (nullable) json = { anyOf: [json, { type: 'null' }] };
  return {
    ...json,
    ...(description === '' ? {} : { description }),
    ...(fallback === undefined || isMapping(fallback) ? {} : { default: fallback }),
  };
}

/** The short forms that a section takes: whatever is made something else. */
function short(expand: (value: unknown) => unknown): Json[] {
  const forms: Json[] = [];
  if (expand('x') !== 'x') forms.push({ type: 'string' });
  if (expand(true) !== true) forms.push({ type: 'boolean' });
  return forms;
}

function plainJson(type: z.core.$ZodType): Json {
  const shape = type._zod.def.type === 'union' ? null : shapeOf(type);
  if (shape !== null) {
    const required = Object.entries(shape).flatMap(([key, member]) => {
      const { fallback, optional } = bare(member);
      return fallback === undefined && !optional ? [key] : [];
    });
    const properties = Object.fromEntries(Object.entries(shape).map(([key, member]) => [key, jsonOf(member)]));
    return { type: 'object', properties, ...(required.length === 0 ? {} : { required }), additionalProperties: false };
  }
  const { def } = type._zod;
  switch (def.type) {
    case 'array':
      return { type: 'array', items: jsonOf(defOf<{ element: z.core.$ZodType }>(type).element) };
    case 'record':
      return { type: 'object', additionalProperties: jsonOf(defOf<{ valueType: z.core.$ZodType }>(type).valueType) };
    case 'enum':
      return { anyOf: [{ enum: Object.values(defOf<{ entries: Record<string, string> }>(type).entries) }, { $ref: '#/$defs/variable' }] };
    case 'boolean':
      return { anyOf: [{ type: 'boolean' }, { $ref: '#/$defs/variable' }] };
    case 'number':
      return { anyOf: [{ type: 'number' }, { $ref: '#/$defs/variable' }] };
    case 'literal':
      return { enum: defOf<{ values: unknown[] }>(type).values };
    case 'union':
      return { anyOf: defOf<{ options: z.core.$ZodType[] }>(type).options.map(jsonOf) };
    default:
      return { type: 'string' };
  }
}

// --- the reference page -----------------------------------------------------------------------------------------------

export interface Setting {
  /** `listeners[].routes[].match.host`. */
  readonly path: string;
  readonly description: string;
  /** What it takes. */
  readonly takes: string;
  /** As it is written; empty: none. */
  readonly fallback: string;
  readonly required: boolean;
}

/** Every setting, in the order of the schema, sections before what is in them. */
export function settings(): readonly Setting[] {
  const found: Setting[] = [];
  visit(schema, '', found);
  return found;
}

function visit(type: z.core.$ZodType, path: string, found: Setting[]): void {
  const { inner, description, fallback, optional } = bare(type);
  const { def } = inner._zod;
  if (path !== '') {
    found.push({
      path,
      description,
      takes: allowed(type),
      fallback:
        fallback === undefined || isMapping(fallback) || (Array.isArray(fallback) && fallback.length === 0) ? '' : JSON.stringify(fallback),
      required: !optional && fallback === undefined && !path.endsWith(']'),
    });
  }
  const shape = shapeOf(inner);
  for (const [key, member] of Object.entries(shape ?? {})) visit(member, path === '' ? key : `${path}.${key}`, found);
  if (def.type !== 'array') return;
  const { element } = defOf<{ element: z.core.$ZodType }>(inner);
  const members = shapeOf(bare(element).inner);
  for (const [key, member] of Object.entries(members ?? {})) visit(member, `${path}[].${key}`, found);
}

/** docs/configuration.md. */
export function referencePage(): string {
  const lines = [
    '# Configuration',
    '',
    'Every setting, made from the schema that checks them (`npm run generate`). `tollgate check FILE` says what is wrong with a file, all at',
    'once and with its place; `tollgate config show --effective FILE` shows it with every default.',
    '',
    'Editors complete and check a file that begins with `# yaml-language-server: $schema=` and the path of `docs/tollgate.schema.json`.',
    '',
    '- Durations and sizes have units: `500ms`, `30s`, `1m30s`, `64KiB`. Relative paths start at the file they stand in.',
    '- `${NAME}` is a variable of the environment, `${NAME:-default}` one that may be missing, `${file:PATH}` what a file holds (a secret: it is',
    '  shown nowhere). `$${` is the characters themselves. In `{ ... }` and `[ ... ]` such a value is written in quotes.',
    `- \`include\`: ${INCLUDE} Lists (listeners, upstreams) are appended, sections are merged, and a setting that two files have is an error.`,
    '- The same may be written in TypeScript, as `tollgate.config.ts`: `export default defineConfig({ ... })`, `defineConfig` from `tollgate`. It is',
    '  evaluated in a process that can read files and nothing else (no writing, no network, no other process; as root, it is the user `nobody`),',
    '  for 20 s and 256 MiB at most, and gives data back. What it prints goes nowhere.',
    '',
    '`tollgate check` finds what would bite later. Errors are what keeps the file from being run anywhere; it exits 1. Warnings are what works but',
    'should not stay (a certificate that expired, is not yet valid, does not cover a host, whose chain is incomplete or in the wrong order; a',
    'route that is never taken; an upstream that nothing leads to), and what is wrong on this machine, for the file may be for another: a port in',
    'use and by whom, a low port without rights, an address that is not here, a target that takes no connections, a log or a runtime directory',
    'that its `user` may not write, a file that a reload as that user could not read (by owners and modes; access lists are not looked at). Ports of',
    'the instance that runs in the same runtime directory are its own. Notes need nothing done. `--offline` looks no name up and connects to',
    'nobody; `--json` has everything, each finding with file, line, column, setting and message.',
  ];
  const all = settings();
  for (const { path, description } of all) {
    const members = all.filter((each) => parentOf(each.path) === path);
    if (members.length === 0) continue;
    lines.push('', `## ${path}`, '', ...(description === '' ? [] : [description, '']));
    lines.push('| setting | takes | default | |', '|---|---|---|---|');
    for (const each of members) lines.push(row(each, each.path.slice(path.length).replace(/^(\[\])?\./, '')));
  }
  const top = all.filter(({ path }) => !path.includes('.'));
  const begin = lines.findIndex((line) => line.startsWith('## '));
  lines.splice(
    begin,
    0,
    '## The file',
    '',
    '| setting | takes | default | |',
    '|---|---|---|---|',
    ...top.map((each) => row(each, each.path)),
    '',
  );
  return `${lines.join('\n')}\n`;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('.'))).replace(/\[\]$/, '');
}

function row({ takes, fallback, required, description }: Setting, name: string): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const value = fallback === '' ? (required ? '**required**' : '') : `\`${cell(fallback).replace(/^"(.*)"$/, '$1')}\``;
  return `| \`${name}\` | ${cell(takes)} | ${value} | ${cell(description)} |`;
}
