import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Argument, Command, Option } from 'commander';
import { argumentText, type CommandEntry, leafCommands, optionText, readCommandTree, usageOf } from './command-tree.ts';
import { program } from './program.ts';

/** Commands that tell a program nothing, and why. */
const WITHOUT_JSON: Readonly<Record<string, string>> = {
  run: 'runs until it is stopped; its log is JSON',
  password: 'prints a line of a file',
  completion: 'prints a script',
};

const tree = readCommandTree(program);
const commands = leafCommands(tree);

function find(words: readonly string[]): CommandEntry {
  let entry = tree;
  for (const word of words) {
    const next = entry.commands.find((each) => each.words.at(-1) === word);
    if (next === undefined) break;
    entry = next;
  }
  return entry;
}

test('program has a description, an example and --help for every command, and words for every argument and option', () => {
  assert.ok(commands.length >= 10);
  for (const entry of commands) {
    const name = entry.words.join(' ');
    assert.notEqual(entry.description, '', name);
    // One style: a line without a full stop, which lists and pages put into theirs.
    assert.doesNotMatch(entry.description, /^[A-Z]|\.$|\n/, name);
    assert.ok(entry.examples.length > 0, `${name} --help shows no example`);
    assert.equal(entry.options.at(-1)?.long, '--help', name);
    for (const each of [...entry.arguments, ...entry.options]) assert.notEqual(each.description, '', `${name}: ${JSON.stringify(each)}`);
  }
});

test('program answers with --json wherever a program might read it', () => {
  for (const entry of commands) {
    const name = entry.words.slice(1).join(' ');
    const has = entry.options.some(({ long, value }) => long === '--json' && value === null);
    assert.equal(has, !Object.hasOwn(WITHOUT_JSON, name), name);
  }
});

test('every example is a call that the program understands', () => {
  for (const entry of commands) {
    const calls = entry.examples.flatMap((line) =>
      [...line.matchAll(/\btollgate ([^|&<>()]+)/g)].map((match) => match[1]!.trim().split(/\s+/)),
    );
    const name = entry.words.slice(1).join(' ');
    assert.ok(
      calls.some((words) => words.join(' ').startsWith(name)),
      `an example of ${name} shows ${name}`,
    );
    for (const words of calls) {
      const called = find(words);
      assert.notEqual(called, tree, words.join(' '));
      const options = words.filter((word) => word.startsWith('-'));
      for (const option of options) {
        assert.ok(
          called.options.some(({ short, long }) => option === short || option === long),
          `${words.join(' ')}: ${option}`,
        );
      }
      const values = called.options.filter(({ long, value }) => value !== null && options.includes(long)).length;
      const operands = words.length - (called.words.length - 1) - options.length - values;
      assert.ok(operands >= called.arguments.filter(({ required }) => required).length, words.join(' '));
      assert.ok(operands <= called.arguments.length, words.join(' '));
    }
  }
});

test('no text of the program depends on who reads it, or where', () => {
  const text = JSON.stringify(tree);
  assert.doesNotMatch(text, /\/tmp\/|\/home\//);
  for (const entry of commands) {
    const runtime = entry.options.find(({ long }) => long === '--runtime');
    if (runtime?.fallback != null) assert.match(runtime.fallback, /\$XDG_RUNTIME_DIR/);
  }
});

test('readCommandTree() reads commands below commands, choices, defaults and what is hidden', () => {
  const made = new Command('tool').description('a tool');
  const cert = made.command('cert').description('certificates');
  cert
    .command('show')
    .description('one of them')
    .argument('<name>', 'its name')
    .argument('[file...]', 'more')
    .addOption(new Option('-f, --form <form>', 'how').choices(['pem', 'text']).default('text'))
    .option('--at <directory>', 'where')
    .addOption(new Option('--secret').hideHelp())
    .addHelpText('after', '\nExamples:\n  tool cert show a\n  tool cert show b');
  made.command('gone', { hidden: true }).addArgument(new Argument('<x>'));
  const root = readCommandTree(made);
  assert.deepEqual(
    root.commands.map(({ words }) => words),
    [['tool', 'cert']],
  );
  const [show] = leafCommands(root);
  assert.ok(show !== undefined);
  assert.deepEqual(show.words, ['tool', 'cert', 'show']);
  assert.deepEqual(show.examples, ['tool cert show a', 'tool cert show b']);
  assert.deepEqual(show.arguments.map(argumentText), ['<name>', '[file...]']);
  assert.deepEqual(
    show.arguments.map(({ choices }) => choices),
    [null, 'file'],
  );
  assert.deepEqual(show.options.map(optionText), ['-f, --form <form>', '--at <directory>', '-h, --help']);
  assert.deepEqual(
    show.options.map(({ choices, fallback }) => [choices, fallback]),
    [
      [['pem', 'text'], 'text'],
      ['directory', null],
      [null, null],
    ],
  );
  assert.equal(usageOf(show), 'tool cert show [options] <name> [file...]');
  assert.equal(usageOf(root), 'tool <command>');
});
