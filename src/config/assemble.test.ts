import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compile } from './compile.ts';
import { filesOf } from './files-of.ts';
import { ConfigError } from './findings.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

/** Files in a directory of their own, by name. */
function files(t: TestContext, given: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-config-'));
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(given)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

async function errorsOf(directory: string, env: Record<string, string> = {}, name = 'site.yaml'): Promise<string[]> {
  try {
    await loadConfig(join(directory, name), [], env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.replaceAll(`${directory}/`, '').split('\n');
  }
  return [];
}

const SITE = 'listeners: [{ name: web, address: "127.0.0.1:80", routes: [{ to: app }] }]\n';

test('variables of the environment and files are put into the texts of settings', async (t) => {
  const directory = files(t, {
    'site.yaml': `workers: \${WORKERS}
runtime: \${HOME_OF_IT:-/run/it}/x
listeners:
  - name: web
    address: "127.0.0.1:\${PORT}"
    routes:
      - to: app
        headers: { request: { set: { X-Secret: "\${file:secret.txt}" } } }
      - { match: { path: /x }, respond: { body: "$\${NOT}" } }
upstreams: [{ name: app, targets: ["127.0.0.1:1"] }]
`,
    'secret.txt': 'two words\n',
  });
  const loaded = await loadConfig(join(directory, 'site.yaml'), [], { WORKERS: '3', PORT: '8080', HOME_OF_IT: '' });
  assert.equal(loaded.config.workers, 3);
  assert.equal(loaded.config.runtime, '/run/it/x');
  assert.equal(loaded.config.listeners[0]!.address.text, '127.0.0.1:8080');
  const { plan } = await compile(loaded, { planId: 1 });
  const fields = JSON.stringify(plan.listeners[0]!.routes[0]!.requestFields);
  assert.match(fields, /two words/);
  assert.match(JSON.stringify(plan.listeners[0]!.routes[1]!.action), /"\$\{NOT\}"/);
  assert.equal(JSON.stringify(loaded.written).includes('two words'), false, 'what is shown and kept has no secret');
  assert.equal(JSON.stringify(loaded.sources).includes('two words'), false);
  assert.deepEqual(filesOf(loaded), [join(directory, 'site.yaml'), join(directory, 'secret.txt')]);
});

test('a variable that is not there, or is no variable, is an error at its place', async (t) => {
  const directory = files(t, {
    'site.yaml': `${SITE}workers: \${NO}\nruntime: \${9}\nupstreams: [{ name: "\${file:none.txt}", targets: ["\${open"] }]\nuser: \${LONG}\n`,
  });
  assert.deepEqual(await errorsOf(directory, { LONG: 'x'.repeat(100_000) }), [
    "site.yaml:1:66: listeners[0].routes[0].to: there is no upstream 'app'; there are: ",
    "site.yaml:2:10: workers: the variable NO is not set; '${NO:-default}' would do without",
    "site.yaml:3:10: runtime: found '${9}', expected '${NAME}', '${NAME:-default}' or '${file:PATH}'; write '$${' for the characters themselves",
    'site.yaml:4:21: upstreams[0].name: there is no file none.txt',
    "site.yaml:4:51: upstreams[0].targets[0]: '${' has no '}'; write '$${' for the characters themselves",
    "site.yaml:4:51: upstreams[0].targets[0].address: found 'open' without a port; expected an address as '10.0.0.1:8080', '[fd00::1]:8080', 'app.internal:8080' or 'unix:/path'",
    'site.yaml:5:7: user: the variable LONG has more than 65536 characters',
  ]);
});

test('included files are one configuration with the first: lists are appended, sections merged, paths start at their own file', async (t) => {
  const directory = files(t, {
    'site.yaml': 'include: [parts/*.yaml, upstreams.yaml]\nlimits: { connections: 7 }\nlisteners: []\n',
    'parts/b.yaml': 'listeners: [{ name: b, address: "unix:b.sock", routes: [{ to: app }] }]\nlimits: { fields: 50 }\n',
    'parts/a.yaml':
      'include: ../deep/c.yaml\nlisteners: [{ name: a, address: "127.0.0.1:1", errorPages: { 5xx: oops.html }, routes: [{ to: app }] }]\n',
    'parts/.hidden.yaml': 'nonsense',
    'deep/c.yaml': 'timeouts: { idle: 9s }\n',
    'upstreams.yaml': 'upstreams: [{ name: app, targets: ["127.0.0.1:1"] }]\n',
  });
  const loaded: LoadedConfig = await loadConfig(join(directory, 'site.yaml'), [], {});
  const { config } = loaded;
  assert.deepEqual(
    config.listeners.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.deepEqual([config.limits.connections, config.limits.fields, config.timeouts.idle], [7, 50, 9_000]);
  assert.equal(config.listeners[0]!.errorPages['5xx'], join(directory, 'parts/oops.html'));
  assert.deepEqual(config.listeners[1]!.address.addresses[0], { family: 0, path: join(directory, 'parts/b.sock') });
  assert.deepEqual(
    loaded.sources.map(({ path }) => path.slice(directory.length + 1)),
    ['site.yaml', 'parts/a.yaml', 'deep/c.yaml', 'parts/b.yaml', 'upstreams.yaml'],
  );
  assert.deepEqual(loaded.where(['listeners', 1, 'routes', 0, 'to']), { file: join(directory, 'parts/b.yaml'), line: 1, column: 63 });
  // What is kept is loaded as it was, whatever the files say now.
  writeFileSync(join(directory, 'parts/b.yaml'), 'listeners: [nonsense]');
  const again = await loadConfig(join(directory, 'site.yaml'), loaded.sources, {});
  assert.deepEqual(again.config, config);
});

test('what is wrong with included files is told at their places', async (t) => {
  const directory = files(t, {
    'site.yaml': `include: [a.yaml, missing.yaml, no/*.yaml, "x*/y.yaml", 7, broken.yaml, list.yaml]\n${SITE}limits: { fields: 50 }\nworkers: 1\n`,
    'a.yaml': 'include: site.yaml\nworkers: 2\nlimits: { fields: 60, colour: red }\nupstreams: [{ name: app, targets: [] }]\n',
    'broken.yaml': 'a: [\n',
    'list.yaml': '- a\n',
  });
  const errors = await errorsOf(directory);
  for (const expected of [
    /^a\.yaml:1:10: include: .*site\.yaml includes itself, by way of a\.yaml$/,
    /^a\.yaml:2:1: workers: 'workers' is set twice; site\.yaml:4 sets it already$/,
    /^a\.yaml:3:11: limits\.fields: 'fields' is set twice; site\.yaml:3 sets it already$/,
    /^a\.yaml:3:23: limits\.colour: unknown setting 'colour'/,
    /^a\.yaml:4:35: upstreams\[0\]\.targets: found an empty list, expected a list of targets$/,
    /^site\.yaml:1:19: include: there is no file missing\.yaml$/,
    /^site\.yaml:1:33: include: no cannot be read: ENOENT$/,
    /^site\.yaml:1:44: include: found 'x\*\/y\.yaml': '\*' and '\?' stand in the last part of a path alone$/,
    /^site\.yaml:1:57: include: found 7, expected a file, or files as 'sites\/\*\.yaml'$/,
    /^broken\.yaml:2:1: /,
    /^site\.yaml:1:73: include: list\.yaml holds no mapping of settings$/,
  ]) {
    assert.ok(
      errors.some((error) => expected.test(error)),
      `${expected} in\n${errors.join('\n')}`,
    );
  }
});

test('files that include each other without end are refused', async (t) => {
  const chain = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i}.yaml`, `include: f${i + 1}.yaml\n`]));
  const deep = files(t, { 'site.yaml': `include: f0.yaml\n${SITE}`, ...chain });
  assert.match((await errorsOf(deep)).join('\n'), /files include each other more than 8 deep/);
  const wide = files(t, {
    'site.yaml': `include: p*.yaml\n${SITE}`,
    ...Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}.yaml`, ''])),
  });
  assert.match((await errorsOf(wide)).join('\n'), /more than 256 files/);
});

test('a configuration in TypeScript is evaluated apart, and gives data', async (t) => {
  const directory = files(t, {
    'tollgate.config.ts': `import { defineConfig } from 'tollgate';
import { names } from './names.ts';
const port: number = Number(process.env.TOLLGATE_TEST_PORT ?? 80);
export default defineConfig(async () => ({
  listeners: names.map((name, i) => ({ name, address: \`127.0.0.1:\${port + i}\`, routes: [{ to: 'app' }] })),
  upstreams: [{ name: 'app', targets: ['127.0.0.1:1'] }],
}));
`,
    'names.ts': "export const names: string[] = ['a', 'b'];\n",
  });
  const path = join(directory, 'tollgate.config.ts');
  const loaded = await loadConfig(path, [], {});
  assert.deepEqual(
    loaded.config.listeners.map(({ name, address }) => [name, address.text]),
    [
      ['a', '127.0.0.1:80'],
      ['b', '127.0.0.1:81'],
    ],
  );
  rmSync(path);
  assert.deepEqual((await loadConfig(path, loaded.sources, {})).config, loaded.config, 'what it gave is kept');
});

test('what a configuration in TypeScript must not do, or cannot give, is one sentence', async (t) => {
  const cases: readonly [program: string, expected: RegExp][] = [
    ['export default { a: ', /^c\.ts(:1:\d+)?: (SyntaxError: )?\S/],
    ["\nthrow new Error('not today')", /^c\.ts:2:7: not today$/],
    ['export const a = 1', /there is no default export/],
    ['export default { workers: () => 1 }', /^c\.ts: workers is a function; a configuration is data$/],
    ['const a: any = {}; a.a = { b: [a] }; export default a', /^c\.ts: a\.b\[0\] contains itself$/],
    ['export default { timeouts: new Map() }', /^c\.ts: timeouts is a Map; a configuration is data$/],
    ['export default { workers: NaN }', /^c\.ts: workers is NaN$/],
    ['export default new Promise(() => {})', /^c\.ts: it waits for something that never comes$/],
    ['process.exit(3)', /^c\.ts: it ended with exit code 3 and gave nothing$/],
    [
      "import { writeFileSync } from 'node:fs'; writeFileSync('/tmp/tollgate-must-not-be', ''); export default {}",
      /ERR_ACCESS_DENIED|restricted|permission/i,
    ],
    ["import { spawnSync } from 'node:child_process'; spawnSync('id'); export default {}", /ERR_ACCESS_DENIED|restricted|permission/i],
    ["export default { listeners: ['x'.repeat(5_000_000)] }", /^c\.ts: it gives more than 4 MiB$/],
    ['export default { workers: 7, wrokers: 8 }', /wrokers: unknown setting 'wrokers'; did you mean 'workers'\?/],
    ["export default process.getuid!() === 0 ? (() => { throw new Error('root') })() : {}", /listeners: missing/],
  ];
  for (const [program, expected] of cases) {
    const directory = files(t, { 'c.ts': program });
    const errors = (await errorsOf(directory, {}, 'c.ts')).join('\n');
    assert.match(errors, expected, program);
  }
  assert.match((await errorsOf(files(t, {}), {}, 'c.ts')).join(), /c\.ts does not exist/);
});
