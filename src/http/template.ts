/**
 * Text with variables in braces, as header values and redirects have it: `https://{request.host}{request.target}`. Owns the names of the
 * variables and the form of a template; what a variable's value is, the caller knows.
 */
import type { TemplatePlan } from '../base/field-edits-plan.ts';
import { writeText } from './write-bytes.ts';

/** Variables by number: their place in this list. What is known when a response is written comes first. */
export const VARIABLES = [
  'client.address',
  'tls.version',
  'tls.cipher',
  'tls.sni',
  'request.id',
  'listener',
  'route',
  'target',
  'request.method',
  'request.scheme',
  'request.host',
  'request.path',
  'request.target',
] as const;

export const V_CLIENT_ADDRESS = 0;
export const V_TLS_VERSION = 1;
export const V_TLS_CIPHER = 2;
export const V_TLS_SNI = 3;
export const V_REQUEST_ID = 4;
export const V_LISTENER = 5;
export const V_ROUTE = 6;
export const V_TARGET = 7;
export const V_REQUEST_METHOD = 8;
export const V_REQUEST_SCHEME = 9;
export const V_REQUEST_HOST = 10;
export const V_REQUEST_PATH = 11;
export const V_REQUEST_TARGET = 12;

/** Variables from this number on are gone when the response comes: they lie in the request's head. */
export const V_REQUEST_ONLY = V_REQUEST_METHOD;

/** Where the values come from. Writes one into `buf[at, end)`; returns the position behind it, or -1 when there is no room. */
export interface TemplateValues {
  writeVariable(variable: number, buf: Uint8Array, at: number, end: number): number;
}

/** Of whom nothing is known. */
export const NO_VALUES: TemplateValues = { writeVariable: (_variable, _buf, at) => at };

const NAMES: ReadonlyMap<string, number> = new Map(VARIABLES.map((name, number) => [name, number]));

/** Reads a template. `{{` and `}}` stand for braces. The template, or one sentence that says what is wrong. */
export function parseTemplate(text: string): TemplatePlan | string {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if ((character === '{' || character === '}') && text[at + 1] === character) {
      literal += character;
      at++;
    } else if (character === '}') {
      return `a '}' without '{' before it; write '}}' for the character itself`;
    } else if (character === '{') {
      const end = text.indexOf('}', at);
      if (end < 0) return `a '{' without '}' behind it; write '{{' for the character itself`;
      const name = text.slice(at + 1, end);
      const number = NAMES.get(name);
      if (number === undefined) return `no variable is named '${name.slice(0, 40)}'; there are: ${VARIABLES.join(', ')}`;
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(number);
      at = end;
    } else literal += character;
  }
  if (literal !== '' || parts.length === 0) parts.push(literal);
  return parts;
}

/** Writes the template into `buf[at, end)`: Latin-1. The position behind it, or -1 when there is no room. */
export function writeTemplate(template: TemplatePlan, values: TemplateValues, buf: Uint8Array, at: number, end: number): number {
  let to = at;
  for (let i = 0; i < template.length; i++) {
    const part = template[i]!;
    if (typeof part === 'number') {
      to = values.writeVariable(part, buf, to, end);
      if (to < 0) return -1;
    } else {
      if (to + part.length > end) return -1;
      to = writeText(buf, to, part);
    }
  }
  return to;
}
