/**
 * Makes the pages of the command line from the commands themselves: `docs/tollgate.1`, `docs/cli.md`. Run it after a change of a command:
 * `npm run generate:cli`. A test compares what it would write with what is there.
 *
 * Owns what no command says of itself: signals, exit codes, environment, files.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tollgateVersion } from '../src/base/version.ts';
import {
  type ArgumentEntry,
  argumentText,
  type CommandEntry,
  leafCommands,
  type OptionEntry,
  optionText,
  readCommandTree,
  usageOf,
} from '../src/cli/command-tree.ts';
import { program } from '../src/cli/program.ts';

interface Page {
  /** Relative to the project. */
  readonly path: string;
  readonly text: string;
}

type Row = readonly [term: string, meaning: string];

const PRELUDE =
  'Tollgate stands in front of web servers, finishes the TLS handshake for them, and forwards plain HTTP. One process supervises; one worker for each core moves the bytes. Where a command takes --runtime, run makes that directory, and the others speak to the instance that lives there.';

const SIGNALS: readonly Row[] = [
  ['SIGTERM, SIGINT', 'Stop: no new connections, open exchanges may finish within timeouts.drain. A second one ends at once.'],
  ['SIGHUP', 'Read the configuration again, as tollgate reload does. A configuration with errors changes nothing; they are logged.'],
];

const EXITS: readonly Row[] = [
  ['0', 'It was done.'],
  ['1', 'It was not, and one sentence on standard error says why.'],
  ['2', 'The call itself was wrong: no such command or option, or an argument is missing.'],
];

const ENVIRONMENT: readonly Row[] = [
  [
    'TOLLGATE_DATA',
    'Folder of the local certificate authority and of the history of configurations. Default: tollgate in $XDG_DATA_HOME, else ~/.local/share/tollgate.',
  ],
  ['STATE_DIRECTORY', 'Folder of the history, as systemd names it, unless TOLLGATE_DATA is set.'],
  ['XDG_RUNTIME_DIR', 'Where the runtime directory is, unless root runs it.'],
  ['TOLLGATE_NODE_FLAGS', "More flags for the workers' node, separated by spaces: profiling and tracing."],
];

const FILES: readonly Row[] = [
  ['/run/tollgate', 'Runtime directory of an instance that root runs: its control socket, and a list of its workers.'],
  ['~/.local/share/tollgate', 'Local certificate authority, and history.'],
];

/** All pages, as they are to be. */
export function cliPages(tree: CommandEntry = readCommandTree(program), version: string = tollgateVersion()): readonly Page[] {
  return [
    { path: 'docs/tollgate.1', text: manPage(tree, version) },
    { path: 'docs/cli.md', text: markdown(tree) },
  ];
}

function optionMeaning({ description, choices, fallback }: OptionEntry): string {
  const words = choices === null || typeof choices === 'string' ? '' : `; one of ${choices.join(', ')}`;
  return `${description}${words}${fallback === null ? '' : ` (default: ${fallback})`}`;
}

function argumentMeaning({ description, choices }: ArgumentEntry): string {
  return choices === null || typeof choices === 'string' ? description : `${description}; one of ${choices.join(', ')}`;
}

/** --help is everywhere: it is told once. */
function ownOptions(entry: CommandEntry): readonly OptionEntry[] {
  return entry.options.filter(({ long }) => long !== '--help');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

// --- the manual page ------------------------------------------------------------------------------------------------------------------

/** Text for roff: nothing in it is a request, an escape, or a hyphen where a minus is meant. man(7). */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replace(/^\./, '\\&.');
}

function roffList(rows: readonly Row[]): string[] {
  return rows.flatMap(([term, meaning]) => ['.TP', `.B ${roff(term)}`, roff(sentence(meaning))]);
}

function roffExamples(examples: readonly string[]): string[] {
  return ['.PP', '.RS 4', '.nf', ...examples.map(roff), '.fi', '.RE'];
}

function manPage(tree: CommandEntry, version: string): string {
  const name = tree.words[0]!;
  const commands = leafCommands(tree);
  const lines = [
    '.\\" Made by scripts/generate-cli.ts from the commands themselves.',
    `.TH ${name.toUpperCase()} 1 "" "${name} ${roff(version)}" "User Commands"`,
    '.SH NAME',
    `${name} \\- TLS offloader for Linux`,
    '.SH SYNOPSIS',
    ...commands.flatMap((entry, index) => [...(index === 0 ? [] : ['.br']), `.B ${roff(usageOf(entry))}`]),
    '.SH DESCRIPTION',
    roff(sentence(tree.description)),
    '.PP',
    roff(PRELUDE),
    '.PP',
    roff('Every command has --help, which shows an example; where a program might read the answer, --json gives it as JSON.'),
    '.SH COMMANDS',
    ...commands.flatMap((entry) => [
      `.SS ${roff(entry.words.slice(1).join(' '))}`,
      `.B ${roff(usageOf(entry))}`,
      '.PP',
      roff(sentence(entry.description)),
      ...roffList([
        ...entry.arguments.map((each): Row => [argumentText(each), argumentMeaning(each)]),
        ...ownOptions(entry).map((each): Row => [optionText(each), optionMeaning(each)]),
      ]),
      ...roffExamples(entry.examples),
    ]),
    '.SH SIGNALS',
    roff('What the process that supervises does:'),
    ...roffList(SIGNALS),
    '.SH EXIT STATUS',
    ...roffList(EXITS),
    '.SH ENVIRONMENT',
    ...roffList(ENVIRONMENT),
    '.SH FILES',
    ...roffList(FILES),
    '.SH SEE ALSO',
    ['curl', 'openssl', 'systemd.service'].map((each) => `.BR ${each} (${each === 'systemd.service' ? 5 : 1})`).join(',\n'),
  ];
  return `${lines.join('\n')}\n`;
}

// --- the page of docs/ ----------------------------------------------------------------------------------------------------------------

/** Text for Markdown: angle brackets and bars are no tags and no cells. */
function plain(text: string): string {
  return text.replace(/[<>|*_`\\]/g, '\\$&');
}

function table(head: Row, rows: readonly Row[], code = true): string[] {
  if (rows.length === 0) return [];
  const cells = rows.map(([term, meaning]) => `| ${code ? `\`${term}\`` : plain(term)} | ${plain(meaning)} |`);
  return ['', `| ${head[0]} | ${head[1]} |`, '| --- | --- |', ...cells];
}

function markdown(tree: CommandEntry): string {
  const commands = leafCommands(tree);
  const lines = [
    '# The command line',
    '',
    '<!-- Made by scripts/generate-cli.ts from the commands themselves: npm run generate:cli. -->',
    '',
    plain(sentence(tree.description)),
    plain(PRELUDE),
    '',
    'Every command has `--help`, which shows an example; where a program might read the answer, `--json` gives it as JSON. `tollgate.1` beside',
    'this file is the same as a manual page.',
    ...table(
      ['command', 'what it does'],
      commands.map((entry) => [entry.words.join(' '), entry.description]),
    ),
    ...commands.flatMap((entry) => [
      '',
      `## ${entry.words.join(' ')}`,
      '',
      plain(sentence(entry.description)),
      '',
      '```',
      usageOf(entry),
      '```',
      ...table(
        ['argument or option', 'what it says'],
        [
          ...entry.arguments.map((each): Row => [argumentText(each), argumentMeaning(each)]),
          ...ownOptions(entry).map((each): Row => [optionText(each), optionMeaning(each)]),
        ],
      ),
      '',
      entry.examples.length === 1 ? 'Example:' : 'Examples:',
      '',
      '```',
      ...entry.examples,
      '```',
    ]),
    '',
    '## Signals',
    ...table(['signal', 'what the process that supervises does'], SIGNALS),
    '',
    '## Exit status',
    ...table(['code', 'meaning'], EXITS),
    '',
    '## Environment',
    ...table(['variable', 'meaning'], ENVIRONMENT),
    '',
    '## Files',
    ...table(['path', 'what is there'], FILES),
  ];
  return `${lines.join('\n')}\n`;
}

if (import.meta.main) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const { path, text } of cliPages()) writeFileSync(join(root, path), text);
}
