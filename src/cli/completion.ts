/**
 * What completes the commands in bash, zsh and fish. Each script holds the whole tree and asks no program while somebody types.
 *
 * A value's kind comes with the tree: files, directories, or words of its own.
 */
import type { ArgumentEntry, Choices, CommandEntry, OptionEntry } from './command-tree.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script for `shell`, to be sourced. */
export function completionScript(shell: Shell, tree: CommandEntry): string {
  const script = shell === 'bash' ? bashScript : shell === 'zsh' ? zshScript : fishScript;
  return script(tree);
}

function allCommands(entry: CommandEntry): CommandEntry[] {
  return [entry, ...entry.commands.flatMap(allCommands)];
}

function nameOf(entry: CommandEntry): string {
  return entry.words.at(-1)!;
}

function namesOf(option: OptionEntry): string[] {
  return option.short === null ? [option.long] : [option.short, option.long];
}

/** In single quotes, which bash and zsh do not look into. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// --- bash -------------------------------------------------------------------------------------------------------------------------

/** A kind in the script: `file`, `directory`, `words:a b`, or nothing. */
function bashKind(choices: Choices): string {
  return choices === null ? 'none' : typeof choices === 'string' ? choices : `words:${choices.join(' ')}`;
}

function bashScript(tree: CommandEntry): string {
  const path = (entry: CommandEntry): string => entry.words.slice(1).join(' ');
  const commands = allCommands(tree);
  const values = commands.flatMap((entry) =>
    entry.options
      .filter((option) => option.value !== null)
      .flatMap((option) =>
        namesOf(option).map((name) => `      ${quoted(`${path(entry)}:${name}`)}) kind=${quoted(bashKind(option.choices))} ;;`),
      ),
  );
  const steps = commands.slice(1).map((entry) => {
    const above = entry.words.slice(1, -1).join(' ');
    return `      ${quoted(`${above}:${nameOf(entry)}`)}) path=${quoted(path(entry))} ;;`;
  });
  const offers = commands.map((entry) => {
    const options = entry.options.flatMap(namesOf).join(' ');
    const words = entry.commands.map(nameOf).join(' ');
    return `    ${quoted(path(entry))}) options=${quoted(options)} commands=${quoted(words)} ;;`;
  });
  const operands = commands.flatMap((entry) =>
    entry.arguments.map((argument, index) => {
      const at = argument.variadic ? '*' : String(index);
      return `      ${quoted(`${path(entry)}:`)}${at}) kind=${quoted(bashKind(argument.choices))} ;;`;
    }),
  );
  return `# Completes tollgate in bash: source <(tollgate completion bash)

_tollgate() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' kind='' operands=0 options='' commands='' word i
  # What stands before the cursor says where in the tree it is. bash splits --config=x into three words.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $kind ]]; then
      kind=''
      continue
    fi
    case "$path:$word" in
${values.join('\n')}
      *:-*) ;;
${steps.join('\n')}
      *) operands=$((operands + 1)) ;;
    esac
  done
  if [[ $current == '=' ]]; then current=''; fi

  case "$path" in
${offers.join('\n')}
  esac
  if [[ -z $kind && $current != -* ]]; then
    case "$path:$operands" in
${operands.join('\n')}
      *) if ((operands == 0)); then kind="words:$commands"; fi ;;
    esac
  elif [[ -z $kind ]]; then
    kind="words:$options"
  fi

  COMPREPLY=()
  case "$kind" in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    directory) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    words:*) mapfile -t COMPREPLY < <(compgen -W "\${kind#words:}" -- "$current") ;;
  esac
  # Known only while somebody types: names are escaped, and directories get their slash.
  if [[ $kind == file || $kind == directory ]]; then compopt -o filenames 2>/dev/null || true; fi
}

complete -F _tollgate tollgate
`;
}

// --- zsh --------------------------------------------------------------------------------------------------------------------------

function zshFunction(entry: CommandEntry): string {
  return `_${entry.words.join('_').replaceAll('-', '_')}`;
}

/** Colons and brackets are _arguments' own. */
function zshText(text: string): string {
  return text.replace(/[\\:[\]]/g, '\\$&');
}

function zshAction(choices: Choices): string {
  if (choices === null) return ' ';
  if (choices === 'file') return '_files';
  return choices === 'directory' ? '_files -/' : `(${choices.join(' ')})`;
}

function zshOption(option: OptionEntry): string[] {
  const value = option.value === null ? '' : `:${zshText(option.value)}:${zshAction(option.choices)}`;
  const help = option.long === '--help' ? '(- *)' : '';
  // A word that begins with "--" takes its value after "=" too.
  return namesOf(option).map((name) =>
    quoted(`${help}${name}${value !== '' && name.startsWith('--') ? '=' : ''}[${zshText(option.description)}]${value}`),
  );
}

function zshArgument(argument: ArgumentEntry, index: number): string {
  const place = argument.variadic ? '*' : String(index + 1);
  // A space, which only shows what is asked for, would keep an option that is typed here from being completed.
  const action = argument.choices === null ? '()' : zshAction(argument.choices);
  return quoted(`${place}:${argument.required ? '' : ':'}${zshText(argument.name)}:${action}`);
}

function zshScript(tree: CommandEntry): string {
  const bodies = allCommands(tree).map((entry) => {
    const options = entry.options.flatMap(zshOption);
    if (entry.commands.length === 0) {
      return `${zshFunction(entry)}() {\n  _arguments -s${['', ...options, ...entry.arguments.map(zshArgument)].join(' \\\n    ')}\n}`;
    }
    const described = entry.commands.map((each) => `        ${quoted(`${nameOf(each).replaceAll(':', '\\:')}:${each.description}`)}`);
    const cases = entry.commands.map((each) => `        ${nameOf(each)}) ${zshFunction(each)} ;;`);
    return `${zshFunction(entry)}() {
  local curcontext=$curcontext state line
  local -A opt_args
  _arguments -C${['', ...options, quoted('1: :->command'), quoted('*:: :->rest')].join(' \\\n    ')}
  case $state in
    command)
      local -a commands=(
${described.join('\n')}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}`;
  });
  return `#compdef tollgate
# Completes tollgate in zsh: into a folder of fpath as _tollgate, or source <(tollgate completion zsh)

${bodies.join('\n\n')}

# As a file of fpath it is the function's body; sourced, it names the function.
if [[ $funcstack[1] == _tollgate ]]; then
  _tollgate "$@"
else
  compdef _tollgate tollgate
fi
`;
}

// --- fish -------------------------------------------------------------------------------------------------------------------------

/** In fish, a backslash in single quotes escapes another, and the quote. */
function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function fishChoices(choices: Choices): string {
  if (choices === null) return '-x';
  if (choices === 'file') return '-r -F';
  return choices === 'directory' ? "-x -a '(__fish_complete_directories)'" : `-x -a ${fishQuoted(choices.join(' '))}`;
}

/** Operands that are completed, where any number may stand. */
const OPERANDS_MAX = 1_000;

function fishScript(tree: CommandEntry): string {
  const commands = allCommands(tree);
  const valued = new Set(commands.flatMap((entry) => entry.options.filter(({ value }) => value !== null).flatMap(namesOf)));
  const lines: string[] = [];
  for (const entry of commands) {
    const path = entry.words.slice(1).join(' ');
    for (const each of entry.commands) {
      lines.push(
        `complete -c tollgate -n ${fishQuoted(`__tollgate_at "${path}" 0 0`)} -a ${nameOf(each)} -d ${fishQuoted(each.description)}`,
      );
    }
    const at = `-n ${fishQuoted(`__tollgate_at "${path}"`)}`;
    for (const option of entry.options) {
      const short = option.short === null ? '' : ` -s ${option.short.slice(1)}`;
      const value = option.value === null ? '' : ` ${fishChoices(option.choices)}`;
      lines.push(`complete -c tollgate ${at}${short} -l ${option.long.slice(2)}${value} -d ${fishQuoted(option.description)}`);
    }
    entry.arguments.forEach(({ choices, variadic }, index) => {
      if (choices === null) return;
      const kind = choices === 'file' ? '-F' : fishChoices(choices).replace(/^-x /, '-f ');
      lines.push(`complete -c tollgate -n ${fishQuoted(`__tollgate_at "${path}" ${index} ${variadic ? OPERANDS_MAX : index}`)} ${kind}`);
    });
  }
  const known = commands.slice(1).map((entry) => fishQuoted(entry.words.slice(1).join(' ')));
  return `# Completes tollgate in fish: tollgate completion fish > ~/.config/fish/completions/tollgate.fish

# Whether the cursor stands behind the command $path, and behind $least to $most operands of it where a number is asked for.
function __tollgate_at --argument-names path least most
    set -l at ''
    set -l operands 0
    set -l skip 0
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${[...valued].join(' ')}
            set skip 1
        else if string match -q -- '-*' $word
            continue
        else
            set -l next (string trim -- "$at $word")
            if test $operands = 0; and contains -- $next ${known.join(' ')}
                set at $next
            else
                set operands (math $operands + 1)
            end
        end
    end
    test "$at" = "$path"; and begin
        test -z "$least"; or test $operands -ge "$least" -a $operands -le "$most"
    end
end

complete -c tollgate -f
${lines.join('\n')}
`;
}
