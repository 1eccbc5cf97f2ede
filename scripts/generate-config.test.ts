import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { settings } from '../src/config/describe.ts';
import { configPages } from './generate-config.ts';

test('the pages of the configuration are those of this schema (npm run generate)', () => {
  for (const [path, text] of configPages()) assert.equal(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), text, path);
});

test('every setting says what it is, and what it takes', () => {
  for (const { path, description, takes } of settings()) {
    assert.notEqual(description, '', path);
    assert.notEqual(takes, '', path);
  }
});

type Json = Readonly<Record<string, unknown>>;

/** As far as our schema goes: a validator for editors' sake would be a dependency. Gives what does not fit. */
function misfits(value: unknown, schema: Json, root: Json, path = ''): string[] {
  if (typeof schema.$ref === 'string')
    return misfits(value, (root.$defs as Record<string, Json>)[schema.$ref.replace('#/$defs/', '')]!, root, path);
  if (Array.isArray(schema.anyOf)) {
    const tries = (schema.anyOf as Json[]).map((each) => misfits(value, each, root, path));
    return tries.find((each) => each.length === 0) ?? tries.flat();
  }
  if (Array.isArray(schema.enum)) return schema.enum.includes(value) ? [] : [`${path}: ${JSON.stringify(value)}`];
  const kind = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  if (schema.type !== undefined && schema.type !== kind) return [`${path}: ${kind} for ${String(schema.type)}`];
  if (typeof schema.pattern === 'string' && !new RegExp(schema.pattern).test(String(value))) return [`${path}: ${String(value)}`];
  if (kind === 'array')
    return (value as unknown[]).flatMap((item, i) => misfits(item, (schema.items ?? {}) as Json, root, `${path}[${i}]`));
  if (kind !== 'object') return [];
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const missing = ((schema.required ?? []) as string[])
    .filter((key) => !Object.hasOwn(value as object, key))
    .map((key) => `${path}.${key}: missing`);
  return [
    ...missing,
    ...Object.entries(value as object).flatMap(([key, item]) => {
      const member = properties[key] ?? schema.additionalProperties;
      if (member === false || member === undefined) return schema.additionalProperties === false ? [`${path}.${key}: unknown`] : [];
      return misfits(item, member as Json, root, `${path}.${key}`);
    }),
  ];
}

test('the JSON Schema takes the examples, and not what the schema itself refuses', () => {
  const schema = JSON.parse(configPages().get('docs/tollgate.schema.json')!) as Json;
  const folder = new URL('../examples/', import.meta.url);
  const examples = readdirSync(folder).filter((name) => name.endsWith('.yaml') && !name.startsWith('prometheus'));
  assert.ok(examples.length > 0);
  for (const name of examples) assert.deepEqual(misfits(parse(readFileSync(new URL(name, folder), 'utf8')), schema, schema), [], name);
  const good = { listeners: [{ name: 'a', address: ':443', redirect: 'https' }] };
  assert.deepEqual(misfits({ ...good, workers: '${WORKERS}', watch: true, include: 'a.yaml' }, schema, schema), []);
  for (const bad of [
    { ...good, colour: 'red' },
    { ...good, watch: 'yes' },
    { listeners: [{ name: 'a' }] },
    { listeners: {} },
    { ...good, log: { level: 'loud' } },
  ]) {
    assert.notDeepEqual(misfits(bad, schema, schema), [], JSON.stringify(bad));
  }
});
