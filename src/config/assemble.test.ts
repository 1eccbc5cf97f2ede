import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compile } from './compile.ts';
import { filesOf } from './files-of.ts';
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
