/** What becomes of nginx's and HAProxy's configurations, whole: `npm run goldens` writes them. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importGoldens } from './import-goldens.ts';
import { sentencesOf } from './sentences.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

for (const { name, path, make } of importGoldens()) {
  test(`golden ${name}`, async () => {
    const text = await make();
    assert.equal(text, readFileSync(path, 'utf8'), 'run `npm run goldens`, and look through what changed');
    assert.doesNotMatch(text, /NOT IN THE FILE/, 'every remark stands in the file');
  });
}

/** Sentences that no golden says. */
const NEVER_SAID: Readonly<Record<string, readonly RegExp[]>> = {
  // Bounds: a golden that meets them would be large.
  'haproxy-rules.ts': [/ bytes at most$/, /^a route changes $/, / fields at most$/],
  'haproxy-syntax.ts': [/^: more than $/, / words in one line$/],
  'haproxy.ts': [/^its hosts and paths make more routes than $/, /: everybody is answered 501$/],
  'nginx-files.ts': [
    /^: more than $/,
    / directives in all files$/,
    /^files include each other more than $/,
    /^the files are more than $/,
    / MiB together$/,
  ],
  'nginx-location.ts': [/^too many networks/, /^put them into files/, /^a route changes $/, / fields of a kind at most$/],
  'nginx-rewrite.ts': [/ bytes at most$/],
  'nginx-server.ts': [/ locations in one server$/],
  'nginx-syntax.ts': [
    / directives in one file$/,
    / words in one directive$/,
    /^blocks stand in each other more than $/,
    /^a word of more than $/,
  ],
  'nginx.ts': [/ routes at one address; $/, / at most: those beyond were left out$/],
  'write-yaml.ts': [/ more, which found no room here$/],
  // What a translation that does not pass its check would be: a fault of ours.
  'import-config.ts': [/^the result$/, /^what was made of $/, /does not pass the check/],
  // Of the command's: commands.test.ts.
  'write-config.ts': [/^there is a file $/, / already; --force writes over it$/, / cannot be written \($/],
};

test('every sentence that an import can say is said in a golden', () => {
  const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
  const said = plain(
    importGoldens()
      .map(({ path }) => readFileSync(path, 'utf8'))
      .join('\n'),
  );
  const folder = join(ROOT, 'src/config/import');
  const files = globSync('*.ts', { cwd: folder }).filter((file) => !/\.(?:test|fuzz)\.ts$/.test(file));
  assert.ok(files.length > 20);
  const missing = files.flatMap((file) =>
    sentencesOf(readFileSync(join(folder, file), 'utf8'), ['assert', 'Error'])
      .filter(({ text }) => !said.includes(plain(text)) && !(NEVER_SAID[file] ?? []).some((pattern) => pattern.test(text)))
      .map(({ line, text }) => `${file}:${line}: ${text}`),
  );
  assert.deepEqual(missing, []);
});
