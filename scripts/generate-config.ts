/** Writes the pages that are made of the configuration's schema: docs/configuration.md and docs/tollgate.schema.json. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchema, referencePage } from '../src/config/describe.ts';

/** What they hold, by path in the project. */
export function configPages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/configuration.md', referencePage()],
    ['docs/tollgate.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`],
  ]);
}

if (import.meta.main) {
  for (const [path, text] of configPages()) writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
}
