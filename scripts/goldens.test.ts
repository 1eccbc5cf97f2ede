/** Configurations and what becomes of them: plans, and every sentence that the configuration code can say. `npm run goldens` writes them. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { settings } from '../src/config/describe.ts';
import { loadConfig } from '../src/config/load.ts';
import { PATH_SETTINGS, showConfig } from '../src/config/show.ts';
import type { Plan } from '../src/plan/plan.ts';
import { GoldenGround, readCase } from './golden-case.ts';
import { assertGolden, ERRORS, errorGoldens, layPlans, PLAN_ENV, planFiles, planGoldens, planText } from './goldens.ts';
import { sentencesOf } from './sentences.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HOST = join(ROOT, 'test/golden/host');
let ground: GoldenGround;

before(async () => {
  ground = await GoldenGround.make();
});

after(() => ground.end());

// Programs have a file of their own: golden-programs.test.ts.
for (const golden of [...errorGoldens(), ...planGoldens()]) {
  if (!golden.name.startsWith('errors/program/')) test(`golden ${golden.name}`, async () => await assertGolden(golden, ground));
}

test('every setting is in a golden configuration', async () => {
  const used = new Set<string>();
  const walk = (value: unknown, path: string): void => {
    used.add(path);
    if (Array.isArray(value)) for (const item of value) walk(item, `${path}[]`);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) walk(item, path === '' ? key : `${path}.${key}`);
    }
  };
  for (const file of planFiles()) walk((await loadConfig(layPlans(ground, file).path, [], PLAN_ENV)).value, '');
  assert.ok(settings().length > 100);
  assert.deepEqual(
    settings().flatMap(({ path }) => (used.has(path) ? [] : [path])),
    [],
  );
});

for (const file of planFiles()) {
  test(`config show --effective of ${file} is the same configuration, wherever it is kept, and has no secret in it`, async () => {
    const { path } = layPlans(ground, file);
    const shown = stringify(await showConfig(path, true, PLAN_ENV));
    for (const secret of ['secret-of-a-file', PLAN_ENV.GOLDEN_TOKEN!, 'PRIVATE KEY', '$2b$12$'])
      assert.equal(shown.includes(secret), false);
    const elsewhere = join(ground.lay({ directives: [], files: [['shown.yaml', shown]] }), 'shown.yaml');
    const [before, after] = await Promise.all(
      [path, elsewhere].map(async (each) => {
        const { plan } = JSON.parse(await planText(await loadConfig(each, [], PLAN_ENV))) as { plan: Plan };
        // A target is called as it was written.
        return JSON.stringify(plan, (key, value) => (key === 'label' ? String(value).replace(/^unix:.*\//, 'unix:') : value), 2);
      }),
    );
    assert.equal(after, before);
    // Once more it changes nothing: what is shown is whole.
    assert.equal(stringify(await showConfig(elsewhere, true, PLAN_ENV)), shown);
  });
}

test('config show --effective knows which settings are paths', () => {
  const paths = settings().filter(({ takes }) => takes.startsWith('the path of '));
  assert.ok(paths.length > 8);
  for (const { path } of paths) assert.match(path.replace('errorPages', 'errorPages.404'), PATH_SETTINGS);
  // Lists of them say so of their items alone.
  for (const tls of ['listeners[].tls', 'listeners[].tls.names[]']) {
    for (const each of ['authorities', 'authorities[]', 'revocation.crl[]'])
      assert.match(`${tls}.clientCertificates.${each}`, PATH_SETTINGS);
  }
});

/** Sentences in which nothing is wrong, or that no file can bring about. */
const NEVER_SAID: Readonly<Record<string, readonly RegExp[]>> = {
  // Texts that are no file's include nothing.
  'src/config/assemble.ts': [/ cannot be read here/],
  // The mark of an old encrypted key.
  'src/config/certificate-file.ts': [/^Proc-Type/],
  'src/config/compile-routes.ts': [/^text\/\w+; charset=/],
  // Becomes another sentence where it is caught.
  'src/config/document.ts': [/too deep for the library/],
  // Nobody but systemd is pid 1, and a program that is not ours may hold a socket that /proc does not show.
  'src/control/host-listen.ts': [/^ \(pid 1\) listens on $/, /our socket unit$/],
  // The name of what has no file: quick.test.ts.
  'src/config/quick.ts': [/^command line$/],
  // A resolver that says nothing.
  'src/config/resolve-host.ts': [/^no answer within /],
  'src/config/schema.ts': [/^text\/plain; charset=/],
  'src/config/settings.ts': [/^too many$/],
  // The fast engine is part of the program, and a plan without it is of a machine without it: tls-engine.test.ts. Every policy that has a name
  // is one that s2n has.
  'src/config/tls-engine.ts': [/^its package cannot be read/, /^the fast engine cannot be had$/, /^this policy /],
};

/** No part of what is said of a file: the texts of commands, and what is made of the schema. */
const NO_MESSAGES: readonly string[] = ['describe.ts', 'make-password.ts', 'difference.ts', 'free-port.ts'];

// Not src/config/import: `check` never says what stands there. Its sentences are in goldens of their own (import-goldens.test.ts).
test('every sentence that configuration code can say is said in a golden', () => {
  const said = [
    ...[ERRORS, HOST].flatMap((folder) =>
      globSync('**/*.txt', { cwd: folder }).map((file) => readCase(readFileSync(join(folder, file), 'utf8')).output),
    ),
    // A plan tells why a listener has the engine that it has.
    ...planGoldens().map(({ path }) => readFileSync(path, 'utf8')),
  ].join('\n');
  const files = globSync(['src/config/*.ts', 'src/control/host-*.ts', 'src/base/bounded-file.ts'], { cwd: ROOT })
    .filter((file) => !/\.test\.ts$|\/test-/.test(file) && !NO_MESSAGES.includes(file.slice(file.lastIndexOf('/') + 1)))
    .sort();
  assert.ok(files.length > 25);
  const missing = files.flatMap((file) =>
    sentencesOf(readFileSync(join(ROOT, file), 'utf8'), ['about', 'assert', 'Error'])
      .filter(({ text }) => !said.includes(text) && !(NEVER_SAID[file] ?? []).some((pattern) => pattern.test(text)))
      .map(({ line, text }) => `${file}:${line}: ${text}`),
  );
  assert.deepEqual(missing, []);
});
