/** Completion, in the shells themselves. What stands before the cursor is given; what each shell makes of it is looked at. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Command } from 'commander';
import { readCommandTree } from '../src/cli/command-tree.ts';
import { completionScript, type Shell } from '../src/cli/completion.ts';
import { PROGRAM } from './support/tollgate.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-test-completion-'));
after(() => rmSync(folder, { recursive: true, force: true }));
// What files and directories are completed from.
const here = join(folder, 'here');
mkdirSync(join(here, 'sites'), { recursive: true });
writeFileSync(join(here, 'sites.yaml'), '');
writeFileSync(join(here, 'two words.yaml'), '');

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const result = spawnSync(command, args, {
    cwd: here,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  });
  assert.equal(result.error, undefined, `${command} cannot be run: the tests need it`);
  assert.equal(result.stderr, '');
  assert.equal(result.status, 0);
  return result.stdout;
}

function script(shell: Shell): string {
  const path = join(folder, `completion.${shell}`);
  writeFileSync(path, run(process.execPath, [PROGRAM, 'completion', shell]));
  return path;
}

/** The same for a program with commands below commands, several operands, and words that a shell could stumble over. */
function deepScript(shell: Shell): string {
  const program = new Command('tollgate').description('deep');
  const cert = program.command('cert').description('certificates: all');
  cert.command('list').description("what's [there]").option('--json', 'a \\ b: $(touch ran) `touch ran`');
  cert.command('show').description('one').argument('<name>', 'which').argument('[file...]', 'where to');
  program.command('run').description('serve');
  const path = join(folder, `deep.${shell}`);
  writeFileSync(path, completionScript(shell, readCommandTree(program)));
  return path;
}

const BASH = `source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_tollgate
((\${#COMPREPLY[@]} == 0)) || printf '%s\\n' "\${COMPREPLY[@]}"
`;

test('completion bash offers commands, options, files and words, each where it goes', () => {
  let path = script('bash');
  const offered = (...words: readonly string[]): string[] =>
    run('bash', ['--norc', '-c', BASH, 'bash', path, 'tollgate', ...words])
      .split('\n')
      .filter((line) => line !== '')
      .sort();
  assert.ok(offered('').includes('run') && offered('').includes('completion'));
  assert.deepEqual(offered('che'), ['check']);
  assert.deepEqual(offered('check', '--'), ['--help', '--json', '--offline', '--runtime']);
  assert.deepEqual(offered('check', 'si'), ['sites', 'sites.yaml']);
  assert.deepEqual(offered('check', '--json', 'two'), ['two words.yaml']);
  assert.deepEqual(offered('check', 'sites.yaml', ''), []);
  assert.deepEqual(offered('stop', '--runtime', 'si'), ['sites']);
  assert.deepEqual(offered('run', '--config', 'sites.y'), ['sites.yaml']);
  // As bash splits --config=si and --config=
  assert.deepEqual(offered('run', '--config', '=', 'sites.y'), ['sites.yaml']);
  assert.ok(offered('run', '--config', '=').includes('sites.yaml'));
  assert.deepEqual(offered('run', '--from', ''), []);
  assert.deepEqual(offered('password', 'anna', '--scheme', 's'), ['scrypt']);
  assert.deepEqual(offered('completion', ''), ['bash', 'fish', 'zsh']);
  assert.deepEqual(offered('nonsense', '', ''), []);
  // The value of an option is no command.
  assert.deepEqual(offered('run', '--to', 'check', '--conf'), ['--config']);
  // What is typed is never run.
  assert.deepEqual(offered('check', '$(touch ran)', '*', ''), []);
  assert.deepEqual(offered('check', '$(touch ran)'), []);
  assert.deepEqual(offered('check', 'ran'), []);
  assert.equal(run('bash', ['--norc', '-c', 'source "$1"; complete -p tollgate', 'bash', path]), 'complete -F _tollgate tollgate\n');
  path = deepScript('bash');
  assert.deepEqual(offered(''), ['cert', 'run']);
  assert.deepEqual(offered('cert', ''), ['list', 'show']);
  assert.deepEqual(offered('cert', 'list', '--j'), ['--json']);
  assert.deepEqual(offered('cert', 'show', ''), []);
  assert.deepEqual(offered('cert', 'show', 'run', 'sites.yaml', 'sites.y'), ['sites.yaml']);
});

/** Completes the line it is given as soon as zsh would have somebody type, and writes down what it became. */
const ZSHRC = `autoload -Uz compinit && compinit -D -u
source $SCRIPT
zle-line-init() {
  BUFFER=$LINE
  CURSOR=$#BUFFER
  zle complete-word
  print -r -- "$BUFFER" > $RESULT
  exit
}
zle -N zle-line-init
`;

test('completion zsh completes what is typed', () => {
  let path = script('zsh');
  run('zsh', ['-n', path]);
  writeFileSync(join(folder, '.zshrc'), ZSHRC);
  const result = join(folder, 'line');
  const completed = (line: string): string => {
    run('zsh', ['-f', '-c', 'zmodload zsh/zpty; zpty shell zsh -d -i; while zpty -r shell line; do :; done'], {
      ZDOTDIR: folder,
      SCRIPT: path,
      LINE: line,
      RESULT: result,
      TERM: 'dumb',
    });
    return readFileSync(result, 'utf8').trim();
  };
  assert.equal(completed('tollgate che'), 'tollgate check');
  assert.equal(completed('tollgate check --js'), 'tollgate check --json');
  assert.equal(completed('tollgate check sites.'), 'tollgate check sites.yaml');
  assert.equal(completed('tollgate stop --runtime si'), 'tollgate stop --runtime sites/');
  assert.equal(completed('tollgate run --config=sites.'), 'tollgate run --config=sites.yaml');
  assert.equal(completed('tollgate password --sch'), 'tollgate password --scheme=');
  assert.equal(completed('tollgate password anna --scheme sc'), 'tollgate password anna --scheme scrypt');
  assert.equal(completed('tollgate completion z'), 'tollgate completion zsh');
  path = deepScript('zsh');
  assert.equal(completed('tollgate ce'), 'tollgate cert');
  assert.equal(completed('tollgate cert sh'), 'tollgate cert show');
  assert.equal(completed('tollgate cert list --j'), 'tollgate cert list --json');
  assert.equal(completed('tollgate cert show run sites.yaml sites.y'), 'tollgate cert show run sites.yaml sites.yaml');
});

test('completion fish offers commands, options, files and words, each where it goes', () => {
  let path = script('fish');
  run('fish', ['--no-execute', path]);
  const offered = (line: string): string[] =>
    run('fish', ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', path, line])
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => each.split('\t')[0]!)
      .sort();
  assert.ok(offered('tollgate ').includes('run') && offered('tollgate ').includes('completion'));
  assert.ok(!offered('tollgate ').includes('sites.yaml'));
  assert.deepEqual(offered('tollgate che'), ['check']);
  assert.deepEqual(offered('tollgate check --'), ['--help', '--json', '--offline', '--runtime']);
  assert.deepEqual(offered('tollgate check si'), ['sites.yaml', 'sites/']);
  assert.deepEqual(offered('tollgate check sites.yaml '), []);
  assert.deepEqual(offered('tollgate stop --runtime si'), ['sites/']);
  assert.deepEqual(offered('tollgate run --config sites.'), ['sites.yaml']);
  assert.deepEqual(offered('tollgate run --from '), []);
  assert.deepEqual(offered('tollgate password anna --scheme s'), ['scrypt']);
  assert.deepEqual(offered('tollgate completion '), ['bash', 'fish', 'zsh']);
  assert.deepEqual(offered('tollgate run --to check --conf'), ['--config']);
  path = deepScript('fish');
  assert.deepEqual(offered('tollgate '), ['cert', 'run']);
  assert.deepEqual(offered('tollgate cert '), ['list', 'show']);
  assert.deepEqual(offered('tollgate cert list --j'), ['--json']);
  assert.deepEqual(offered('tollgate cert show '), []);
  assert.deepEqual(offered('tollgate cert show run si'), ['sites.yaml', 'sites/']);
  assert.deepEqual(offered('tollgate cert show run sites.yaml sites.'), ['sites.yaml']);
});
