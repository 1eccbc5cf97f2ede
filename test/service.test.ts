/** The examples for systemd and Docker: the units as systemd itself reads them, the image's recipe by the files it names. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { readCommandTree } from '../src/cli/command-tree.ts';
import { program } from '../src/cli/program.ts';
import { PROGRAM, ROOT } from './support/tollgate.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-test-service-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Settings that came after systemd 252, which passes over them. */
const YOUNGER = ['FileDescriptorStorePreserve'];
/** In tenths, as systemd-analyze has it: 0 would be perfect, and unreachable with a network. */
const EXPOSURE_MAX = 20;

// The units name the program where npm installs it for all; here it is that of the checkout.
for (const name of ['tollgate.service', 'tollgate.socket']) {
  writeFileSync(join(folder, name), example(name).replaceAll('/usr/local/bin/tollgate', PROGRAM));
}

function example(name: string): string {
  return readFileSync(join(ROOT, 'examples', name), 'utf8');
}

function analyze(...args: readonly string[]): { status: number | null; output: string } {
  const result = spawnSync('systemd-analyze', args, { cwd: folder, encoding: 'utf8', timeout: 60_000 });
  assert.equal(result.error, undefined, 'systemd-analyze cannot be run: the tests need it');
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

test('tollgate.service and tollgate.socket are units without a mistake', () => {
  const { status, output } = analyze('verify', '--man=no', './tollgate.service', './tollgate.socket');
  const mistakes = output.split('\n').filter((line) => line !== '' && !YOUNGER.some((key) => line.includes(`'${key}'`)));
  assert.deepEqual(mistakes, []);
  assert.equal(status, 0);
});

test('tollgate.service is closed off', () => {
  const { status, output } = analyze('security', '--offline=true', `--threshold=${EXPOSURE_MAX}`, '--no-pager', './tollgate.service');
  assert.equal(status, 0, output);
  assert.match(output, /Overall exposure level for tollgate\.service: \d/);
});

test('tollgate.service calls commands that there are, with options that they have', () => {
  const calls = [...example('tollgate.service').matchAll(/^Exec\w+=\/usr\/local\/bin\/tollgate (.+)$/gm)].map((match) =>
    match[1]!.split(' '),
  );
  assert.deepEqual(calls.map(([command]) => command).sort(), ['reload', 'run']);
  for (const [command, ...words] of calls) {
    const entry = readCommandTree(program).commands.find((each) => each.words.at(-1) === command);
    for (const option of words.filter((word) => word.startsWith('--')))
      assert.ok(
        entry?.options.some(({ long }) => long === option),
        option,
      );
  }
});

/** Instructions of a Dockerfile, by stage, their continued lines put together. */
function instructions(text: string): { stage: number; name: string; words: string[] }[] {
  let stage = -1;
  return text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...words] = line.trim().split(/\s+/);
      if (name === 'FROM') stage++;
      return { stage, name, words };
    });
}

test('Dockerfile copies what there is, and from stages that there are', () => {
  const all = instructions(example('docker/Dockerfile'));
  const stages = all.filter(({ name }) => name === 'FROM').map(({ words }) => words[2]);
  const copied: string[] = [];
  for (const { stage, words } of all.filter(({ name }) => name === 'COPY')) {
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
    const paths = words.filter((word) => !word.startsWith('--'));
    const [target = '', sources] = [paths.at(-1), paths.slice(0, -1)];
    assert.ok(sources.length === 1 || target.endsWith('/'), `${words.join(' ')}: several go into a folder`);
    for (const source of sources) {
      if (from !== undefined) {
        const index = stages.indexOf(from);
        assert.ok(index >= 0 && index < stage, `there is no stage ${from} before`);
        continue;
      }
      const path = resolve(ROOT, source);
      assert.ok(existsSync(path), `${source} is not there`);
      assert.equal(source.endsWith('/'), statSync(path).isDirectory(), source);
      copied.push(source);
    }
  }
  // What the build reads, and what of the package is not made by it.
  for (const needed of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'src/', 'bin/']) {
    assert.ok(copied.includes(needed), needed);
  }
  const last = all.filter(({ stage }) => stage === stages.length - 1).map(({ name, words }) => `${name} ${words.join(' ')}`);
  assert.ok(last.includes('USER node'));
  assert.ok(last.includes('STOPSIGNAL SIGTERM'));
  assert.ok(last.some((line) => line.startsWith('HEALTHCHECK ') && line.includes('/readyz')));
  // The flags of a daemon are those of the launcher: it would start node a second time for them.
  const flags = /const NODE_FLAGS = \[([^\]]*)\]/.exec(readFileSync(PROGRAM, 'utf8'))?.[1]?.replaceAll("'", '').split(', ') ?? [];
  assert.ok(flags.length > 0);
  for (const flag of flags)
    assert.ok(
      last.some((line) => line.startsWith('ENTRYPOINT ') && line.includes(`"${flag}"`)),
      flag,
    );
});

test('docker-compose.yaml builds from the Dockerfile beside it', () => {
  const { services } = parse(example('docker/docker-compose.yaml')) as {
    services: Record<string, { build?: { context: string; dockerfile: string } }>;
  };
  const build = services.tollgate?.build;
  assert.ok(build !== undefined);
  const context = join(ROOT, 'examples/docker', build.context);
  assert.equal(resolve(context), resolve(ROOT));
  assert.ok(existsSync(join(context, build.dockerfile)));
});
