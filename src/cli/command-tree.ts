/** The commands as data, read off the program: what its pages and completions are made from, so that none of them is written twice. */
import type { Argument, Command, Option } from 'commander';

/** What completes a value: files, directories, one of some words; `null` is free text. */
export type Choices = 'file' | 'directory' | readonly string[] | null;

export interface ArgumentEntry {
  readonly name: string;
  readonly required: boolean;
  readonly variadic: boolean;
  readonly description: string;
  readonly choices: Choices;
}

export interface OptionEntry {
  /** `-h`, or null. */
  readonly short: string | null;
  /** `--config`. */
  readonly long: string;
  /** Name of its value; null: it takes none. */
  readonly value: string | null;
  readonly description: string;
  readonly choices: Choices;
  /** In words, or null. */
  readonly fallback: string | null;
}

export interface CommandEntry {
  /** From the program's name on: `tollgate`, `check`. */
  readonly words: readonly string[];
  readonly description: string;
  readonly arguments: readonly ArgumentEntry[];
  /** `--help` is the last. */
  readonly options: readonly OptionEntry[];
  /** Lines for a shell. */
  readonly examples: readonly string[];
  readonly commands: readonly CommandEntry[];
}

/** Reads `command` and all below it. What help hides is left out. */
export function readCommandTree(command: Command, above: readonly string[] = []): CommandEntry {
  const words = [...above, command.name()];
  const help = command.createHelp();
  return {
    words,
    description: command.description(),
    arguments: command.registeredArguments.map(argumentEntry),
    options: help.visibleOptions(command).map(optionEntry),
    examples: readExamples(command),
    // Every command has --help: "help" says the same again.
    commands: help
      .visibleCommands(command)
      .filter((each) => each.name() !== 'help')
      .map((each) => readCommandTree(each, words)),
  };
}

/** The tree's commands that do something, in the order of help. */
export function leafCommands(entry: CommandEntry): CommandEntry[] {
  return entry.commands.length === 0 ? [entry] : entry.commands.flatMap(leafCommands);
}

/** As a call is written: `tollgate check [options] <file>`. */
export function usageOf({ words, arguments: operands, options, commands }: CommandEntry): string {
  return [
    ...words,
    ...(options.length > 1 ? ['[options]'] : []),
    ...(commands.length > 0 ? ['<command>'] : []),
    ...operands.map(argumentText),
  ].join(' ');
}

export function argumentText({ name, required, variadic }: ArgumentEntry): string {
  const text = `${name}${variadic ? '...' : ''}`;
  return required ? `<${text}>` : `[${text}]`;
}

/** `-h, --help`, `--config <file>`. */
export function optionText({ short, long, value }: OptionEntry): string {
  return `${short === null ? '' : `${short}, `}${long}${value === null ? '' : ` <${value}>`}`;
}

function argumentEntry(argument: Argument): ArgumentEntry {
  const name = argument.name();
  const { required, variadic, description } = argument;
  return { name, required, variadic, description, choices: choicesOf(name, argument.argChoices) };
}

function optionEntry(option: Option): OptionEntry {
  const value = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1]?.replace(/\.{3}$/, '') ?? null;
  const { defaultValue, defaultValueDescription } = option;
  return {
    short: option.short ?? null,
    long: option.long ?? '',
    value,
    description: option.description,
    choices: value === null ? null : choicesOf(value, option.argChoices),
    fallback: defaultValueDescription ?? (defaultValue === undefined ? null : String(defaultValue)),
  };
}

/** A value is completed by what it is called: there is one word for each kind. */
function choicesOf(name: string, given: readonly string[] | undefined): Choices {
  return given ?? (name === 'file' || name === 'directory' ? name : null);
}

/** The lines below "Example:" in the command's help. */
function readExamples(command: Command): string[] {
  const before = command.configureOutput();
  let text = '';
  command.configureOutput({
    ...before,
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  command.configureOutput(before);
  const [, below = ''] = text.split(/^Examples?:\n/m);
  return below
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
