/** Settings about header fields: names that may be changed, values with variables. Text and zod types; knows no files. */
import { z } from 'zod';
import type { FieldEditsPlan, FieldPlan, TemplatePlan } from '../base/field-edits-plan.ts';
import { nameIdAt, nameRules, RULE_FRAMING, RULE_HOP, RULE_OURS } from '../http/field-names.ts';
import { parseTemplate, V_REQUEST_ONLY, VARIABLES } from '../http/template.ts';
import { about, line, list, mapping, section } from './settings.ts';
import { shown, wrong } from './wording.ts';

/** Changes of each kind in one place. */
const EDITS_MAX = 64;
const NAME_FORMS = 'a field name of letters, digits and dashes';

/** What is wrong with changing the field `name`, or undefined. */
export function fieldNameProblem(name: string): string | undefined {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/.test(name)) return `found ${shown(name)}, expected ${NAME_FORMS}`;
  const bytes = Buffer.from(name, 'latin1');
  const id = nameIdAt(bytes, 0, bytes.length);
  if (id < 0) return `${shown(name)} reads like a field about framing or forwarding to many servers`;
  const rules = nameRules(id);
  const lower = name.toLowerCase();
  if (lower === 'host') return `what the server is told as Host is set by the route's 'host'`;
  if (lower === 'trailer') return `${name} names fields behind the body, which go through as they come: it is not to be changed`;
  if (lower === 'traceparent') return `traceparent is set by the listener's 'traceparent'`;
  if ((rules & RULE_FRAMING) !== 0) return `${name} says where a message ends or goes: it is not to be changed`;
  if ((rules & RULE_HOP) !== 0) return `${name} is between two neighbours (hop by hop): it never goes through`;
  if ((rules & RULE_OURS) !== 0) return `${name} is written by tollgate itself; see the listener's 'forwarded' and 'trustedProxies'`;
  return undefined;
}

/** A value with variables in braces. `inResponse`: what lies in the request's head is gone by then. */
export function template(what: string, inResponse: boolean) {
  return line(what).transform((text, context): TemplatePlan => {
    const plan = parseTemplate(text);
    const gone =
      typeof plan !== 'string' && inResponse ? plan.find((part) => typeof part === 'number' && part >= V_REQUEST_ONLY) : undefined;
    if (typeof plan !== 'string' && gone === undefined) return plan;
    const message =
      typeof plan === 'string' ? plan : `{${VARIABLES[gone as number]}} is gone when the answer comes; use ${responseVariables()}`;
    context.issues.push({ code: 'custom', message, input: text });
    return z.NEVER;
  });
}

function responseVariables(): string {
  return VARIABLES.slice(0, V_REQUEST_ONLY).join(', ');
}

function fieldList(inResponse: boolean) {
  const expected = 'a mapping of field names to values';
  return mapping(template('a field value', inResponse), expected, EDITS_MAX, fieldNameProblem)
    .transform((values): readonly FieldPlan[] => Object.entries(values).map(([name, value]) => ({ name, value })))
    .prefault({});
}

/** Names of fields that may be changed, in lower case. */
export function fieldNames() {
  const name = z
    .string({ error: (issue) => wrong(issue.input, NAME_FORMS) })
    .check((context) => {
      const problem = fieldNameProblem(context.value);
      if (problem !== undefined) context.issues.push({ code: 'custom', message: problem, input: context.value });
    })
    .transform((text) => text.toLowerCase());
  return list(name, 'a list of field names', 0, EDITS_MAX);
}

/** Changes of the fields of requests or of answers; null when there are none. */
export function fieldEdits(inResponse: boolean) {
  return section({
    set: about('Fields that are replaced.', fieldList(inResponse)),
    add: about('Fields that are added to those there are.', fieldList(inResponse)),
    remove: about('Fields that are taken out.', fieldNames().prefault([])),
  }).transform((edits): FieldEditsPlan | null => (edits.set.length + edits.add.length + edits.remove.length === 0 ? null : edits));
}
