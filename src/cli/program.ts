/**
 * The commands: what each is called with, what its help says, what it does. Importing this runs none of them: main.ts does, and the pages
 * and completions are made from it (command-tree.ts). What a command works with is loaded by that command: asking a running instance takes
 * none of what reads a configuration, or serves one, and that is most of a short command's time.
 */
import { resolve } from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { NEW_PASSWORD_SCHEMES, type NewPasswordScheme } from '../base/password-hash.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { findingText, inFileOrder } from '../config/findings.ts';
import type { Imported } from '../config/import/import-config.ts';
import { IMPORT_KINDS, type ImportKind } from '../config/import/kind-of-file.ts';
import { noteText } from '../config/import/notes.ts';
import { parseDuration } from '../config/units.ts';
import type { ChangeAnswer } from '../control/changes.ts';
import { ask } from '../control/control-client.ts';
import type { HistoryEntry } from '../control/history.ts';
import { livingWorkers } from '../control/process-identity.ts';
import { defaultRuntimeDirectory } from '../control/runtime-directory.ts';
import type { Explanation } from '../observe/explain-hello.ts';
import { columns, type Status, statusText } from '../observe/status.ts';
import type { ConnectionView, FromCommand } from '../plan/messages.ts';
import type { Plan } from '../plan/plan.ts';
import { me } from './author.ts';
import { readCommandTree } from './command-tree.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import type { ClientOptions } from './explained-client.ts';
import type { RunOptions } from './run.ts';

/** A supervisor answers within this time. Milliseconds. */
const ANSWER_MS = 10_000;
/** Reading files, looking up names, and every worker's adoption. Milliseconds. */
const RELOAD_MS = 60_000;
const UPGRADE_MS = 70_000;
/** Longest time that a configuration may be tried, or something logged. Milliseconds. */
const WAIT_MS_MAX = 86_400_000;
/** Its default is told by rule: help that is read on one machine is followed on another. */
const RUNTIME = new Option('--runtime <directory>', 'directory of the running instance').default(
  defaultRuntimeDirectory(),
  '/run/tollgate for root, else tollgate in $XDG_RUNTIME_DIR',
);

export const program: Command = new Command('tollgate')
  .description('A TLS offloader: takes TLS off web servers and forwards plain traffic.')
  .showHelpAfterError('(see tollgate --help)')
  .exitOverride();

program
  .command('run')
  .description('serve, until stopped: from a configuration file, from two addresses, or as a demo')
  .option('--config <file>', 'configuration (YAML)')
  .option('--from <address>', 'without a file: where to listen, as :8443 or 192.0.2.1:443')
  .option('--to <address>', 'without a file: the server to forward to, as 127.0.0.1:3000')
  .option('--runtime <directory>', 'directory for the control socket')
  .addOption(new Option('--succeed').hideHelp())
  .addHelpText(
    'after',
    '\nExamples:\n  tollgate run --config tollgate.yaml\n  tollgate run --from :8443 --to 127.0.0.1:3000\n  tollgate run',
  )
  .action(async (options: RunOptions) => {
    if (options.config !== undefined && (options.from !== undefined || options.to !== undefined)) {
      throw new TollgateError('usage', '--config names everything: --from and --to do not go with it');
    }
    const { run } = await import('./run.ts');
    await run(options);
  });

program
  .command('check')
  .description('read a configuration and say everything that is wrong with it, without serving')
  .argument('<file>', 'configuration (YAML)')
  .option('--offline', 'look no name up, connect to nobody')
  .option('--runtime <directory>', 'directory it is to run in; what runs there already is taken for the same')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate check tollgate.yaml\n  tollgate check --offline --json tollgate.yaml')
  .action(async (file: string, options: { offline?: boolean; runtime?: string; json?: boolean }) => {
    const { checkFile } = await import('../config/check-report.ts');
    const { checkHost } = await import('../control/host-check.ts');
    const offline = options.offline === true;
    const report = await checkFile(file, { offline });
    const { errors, checked } = report;
    const host = checked === null ? null : await checkHost(checked.loaded, checked.plan, { offline, runtime: options.runtime });
    const warnings = inFileOrder([...report.warnings, ...(host?.warnings ?? [])]);
    const notes = inFileOrder([...report.notes, ...(host?.notes ?? [])]);
    const engines = checked === null ? [] : enginesOf(checked.plan);
    if (options.json === true)
      process.stdout.write(`${JSON.stringify({ ok: checked !== null, errors, warnings, notes, engines }, null, 2)}\n`);
    else {
      for (const finding of [...errors, ...warnings, ...notes]) process.stderr.write(`${findingText(finding)}\n`);
      if (checked !== null) {
        const { listeners, upstreams, certificates } = checked.plan;
        const counts = `${listeners.length} listeners, ${upstreams.length} upstreams, ${certificates.length} certificates`;
        process.stdout.write(`${file} is fine: ${counts}${warnings.length === 0 ? '' : `; ${warnings.length} warnings`}\n`);
      }
      for (const each of engines) process.stdout.write(`  ${each.listener}: TLS by ${each.engine} (${each.reason})\n`);
    }
    if (checked === null) process.exitCode = 1;
  });

const config = program.command('config').description('look at a configuration');

config
  .command('show')
  .description('a configuration as it is put together from its files, as YAML; secrets and variables by their names')
  .argument('<file>', 'configuration')
  .option('--effective', 'as it runs: with every default, and variables put in where they are no secret')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate config show --effective tollgate.yaml')
  .action(async (file: string, options: { effective?: boolean; json?: boolean }) => {
    const { showConfig } = await import('../config/show.ts');
    const { stringify } = await import('yaml');
    const shown = await showConfig(file, options.effective === true);
    process.stdout.write(options.json === true ? `${JSON.stringify(shown, null, 2)}\n` : stringify(shown));
  });

config
  .command('import')
  .description("translate nginx's or HAProxy's configuration, and list what could not be")
  .argument('<file>', "nginx.conf or haproxy.cfg; nginx's includes are followed")
  .addOption(new Option('--from <kind>', 'what the file is; default: what it looks like').choices(IMPORT_KINDS))
  .option('--output <file>', 'write the configuration there; default: standard output')
  .option('--force', 'with --output: also over a file that is there')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate config import /etc/nginx/nginx.conf --output tollgate.yaml && tollgate check tollgate.yaml')
  .action(async (file: string, options: ImportOptions) => {
    const { output, force = false, json = false, from } = options;
    if (force && output === undefined) throw new TollgateError('usage', '--force goes with --output');
    const { importConfig } = await import('../config/import/import-config.ts');
    const { writeConfig } = await import('../config/import/write-config.ts');
    const imported = await importConfig(file, from ?? null);
    if (output !== undefined) await writeConfig(output, imported.yaml, force);
    process.stdout.write(
      json ? `${JSON.stringify({ ...imported, output: output ?? null }, null, 2)}\n` : output === undefined ? imported.yaml : '',
    );
    if (!json) process.stderr.write(importText(imported, output ?? null));
  });

program
  .command('policies')
  .description('the TLS policies that a listener can have; with a name, what that one allows')
  .argument('[name]', 'one of them')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate policies\n  tollgate policies intermediate')
  .action(async (name: string | undefined, options: { json?: boolean }) => {
    const { policiesText, policiesView, policyOf, policyText, policyView } = await import('./policies-text.ts');
    const policy = name === undefined ? null : policyOf(name);
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify(policy === null ? policiesView() : policyView(policy), null, 2)}\n`);
    } else process.stdout.write(policy === null ? policiesText() : policyText(policy));
  });

program
  .command('explain')
  .description(
    'what a client would get: listener, certificate, version, suite, group and route; or why nothing, and what would change that',
  )
  .option('--host <name>', 'the host that it asks for; default with --hello: the one in it')
  .option('--path <path>', 'the path that it asks for', '/')
  .option('--config <file>', 'of this configuration; without it, of the running instance')
  .addOption(RUNTIME)
  .option('--client <name>', 'a known client, as java-8; --clients lists them')
  .option('--hello <file>', 'a recorded hello: hexadecimal, or a capture (pcap, pcapng)')
  .option('--versions <list>', 'of a described client, as 1.2,1.3')
  .option('--suites <list>', 'its cipher suites, by IANA name or as 0xc02b')
  .option('--groups <list>', 'its groups, as x25519,P-256')
  .option('--key-shares <list>', 'the groups that it sends keys for; default: the first')
  .option('--schemes <list>', 'its signature schemes')
  .option('--alpn <list>', 'its protocols, as h2,http/1.1')
  .option('--clients', 'list the known clients')
  .option('--json', 'for programs')
  .addHelpText(
    'after',
    '\nExamples:\n  tollgate explain --host shop.example --client java-8 --config tollgate.yaml\n  tollgate explain --host shop.example --versions 1.2 --groups P-256\n  tollgate explain --hello failed.pcap',
  )
  .action(async (options: ExplainOptions) => {
    const { clientsText, explanationText } = await import('./explain-text.ts');
    const { explainedClients } = await import('./explained-client.ts');
    if (options.clients === true) {
      const { KNOWN_CLIENTS } = await import('../hello/known-clients.ts');
      const known = KNOWN_CLIENTS.map(({ id, about }) => ({ id, about }));
      process.stdout.write(options.json === true ? `${JSON.stringify(known, null, 2)}\n` : clientsText());
      return;
    }
    const clients = await explainedClients(options);
    const explanations: (Explanation & { readonly client: string })[] = [];
    for (const { about, bytes } of clients) explanations.push({ client: about, ...(await explainOne(options, bytes)) });
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify(explanations, null, 2)}\n`
        : explanations.map((each) => explanationText(each.client, each)).join(''),
    );
    if (!explanations.some(({ listeners }) => listeners.some(({ ok }) => ok))) process.exitCode = 1;
  });

program
  .command('status')
  .description('what a running instance does')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .option('--watch', 'a screen that lives, until Ctrl-C or q')
  .addHelpText('after', '\nExamples:\n  tollgate status\n  tollgate status --watch\n  tollgate status --json')
  .action(async (options: { runtime: string; json?: boolean; watch?: boolean }) => {
    if (options.watch === true) {
      if (options.json === true) throw new TollgateError('usage', '--watch is for people: --json does not go with it');
      const { watchStatus } = await import('./watch-status.ts');
      await watchStatus(options.runtime);
      return;
    }
    const status = (await ask(options.runtime, { type: 'status' }, ANSWER_MS)).value as Status;
    process.stdout.write(options.json === true ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
  });

program
  .command('doctor')
  .description('look at this machine, and say what to change for Tollgate to serve well, and why')
  .option('--config <file>', 'judge it against what this configuration wants')
  .option('--runtime <directory>', 'directory of a running instance: whose limits are looked at')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate doctor\n  tollgate doctor --config tollgate.yaml --json')
  .action(async (options: { config?: string; runtime?: string; json?: boolean }) => {
    const { examine, reportText } = await import('../control/doctor.ts');
    const report = await examine(options.config ?? null, options.runtime ?? null);
    process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
    if (!report.ok) process.exitCode = 1;
  });

program
  .command('reload')
  .description('have a running instance read its configuration again, without losing a connection')
  .addOption(RUNTIME)
  .option('--dry-run', 'only say what would change, and whether it could')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate reload --dry-run\n  tollgate reload')
  .action(async (options: { runtime: string; dryRun?: boolean; json?: boolean }) => {
    const dryRun = options.dryRun === true;
    const answer = await change(options.runtime, { type: 'reload', author: me('reload'), dryRun });
    tellChange(answer, options.json === true, dryRun ? 'would run' : 'runs');
  });

program
  .command('apply')
  .description('run a configuration, and take it back by itself unless it is confirmed')
  .argument('[file]', 'configuration; default: the one that runs, read again')
  .addOption(RUNTIME)
  .option('--confirm <time>', 'take it back after this time, as 60s, or when failures get clearly more', parseWait)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate apply new.yaml --confirm 60s && check-the-shop && tollgate confirm')
  .action(async (file: string | undefined, options: { runtime: string; confirm?: number; json?: boolean }) => {
    const confirmMs = options.confirm ?? 0;
    const answer = await change(options.runtime, {
      type: 'apply',
      author: me('apply'),
      file: file === undefined ? null : resolve(file),
      confirmMs,
    });
    tellChange(answer, options.json === true, 'runs');
  });

program
  .command('confirm')
  .description('keep the configuration that is being tried')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate confirm')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const { value } = await ask(options.runtime, { type: 'confirm', author: me('confirm') }, ANSWER_MS);
    const { plan } = value as { plan: number };
    process.stdout.write(options.json === true ? `${JSON.stringify({ plan })}\n` : `configuration ${plan} stays\n`);
  });

program
  .command('rollback')
  .description('run an earlier configuration again')
  .argument('[number]', 'which, as tollgate history shows it; default: the one before', parseNumber)
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate rollback\n  tollgate rollback 12')
  .action(async (to: number | undefined, options: { runtime: string; json?: boolean }) => {
    const answer = await change(options.runtime, { type: 'rollback', author: me('rollback'), to: to ?? null });
    tellChange(answer, options.json === true, 'runs again as');
    if (options.json !== true) process.stderr.write(`${answer.file} was not touched: the next reload or start reads it as it is\n`);
  });

program
  .command('history')
  .description('the configurations that were applied, newest first')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate history')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const { value } = await ask(options.runtime, { type: 'history' }, ANSWER_MS);
    const entries = value as HistoryView[];
    process.stdout.write(options.json === true ? `${JSON.stringify(entries, null, 2)}\n` : historyText(entries));
  });

program
  .command('connections')
  .description('the clients that are connected, oldest first; with --close they are ended')
  .argument('[id]', 'one of them')
  .addOption(RUNTIME)
  .option('--client <network>', 'only of this address or network')
  .option('--listener <name>', 'only of this listener')
  .option('--close', 'end them')
  .option('--most <number>', 'how many are shown', parseNumber, 100)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate connections --listener web\n  tollgate connections --client 192.0.2.0/24 --close')
  .action(async (id: string | undefined, options: ConnectionsOptions) => {
    const { client = null, listener = null, close = false, most } = options;
    if (close && id === undefined && client === null && listener === null) {
      throw new TollgateError('usage', 'name what is to be ended: an id, --client or --listener');
    }
    const filter = { id: id ?? null, client, listener };
    const { value } = await ask(options.runtime, { type: 'connections', author: me('connections'), filter, close, most }, ANSWER_MS);
    const answer = value as { total: number; list: ConnectionView[] };
    process.stdout.write(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : connectionsText(answer, close));
  });

program
  .command('debug')
  .description('log closely, for a while, what one client or one route does')
  .argument('[off]', "'off' ends it early")
  .addOption(RUNTIME)
  .option('--client <network>', 'this address or network')
  .option('--route <name>', 'this route')
  .option('--for <time>', 'how long, as 30s', parseWait, 60_000)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate debug --client 192.0.2.7 --for 5m\n  tollgate debug off')
  .action(async (off: string | undefined, options: { runtime: string; client?: string; route?: string; for: number; json?: boolean }) => {
    const { client = null, route = null } = options;
    if (off !== undefined && off !== 'off') throw new TollgateError('usage', `'${off}' is not known; did you mean 'off'?`);
    if (off === undefined && client === null && route === null) throw new TollgateError('usage', 'name a --client, a --route, or both');
    const forMs = off === 'off' ? 0 : options.for;
    await ask(options.runtime, { type: 'debug', author: me('debug'), client, route, forMs }, ANSWER_MS);
    if (options.json === true) process.stdout.write(`${JSON.stringify({ client, route, forMs })}\n`);
    else process.stdout.write(forMs === 0 ? 'the debug log is off\n' : `the error log tells closely for ${Math.round(forMs / 1_000)} s\n`);
  });

program
  .command('keylog')
  .description("write the secrets of a listener's TLS handshakes to a file, for a while, so that a capture can be read")
  .argument('[off]', "'off' ends it early")
  .addOption(RUNTIME)
  .option('--listener <name>', 'whose')
  .option('--to <file>', 'a new file, in the form of SSLKEYLOGFILE; only the user that Tollgate runs as can read it')
  .option('--for <time>', 'how long, as 30s; 1h at most', parseWait, 60_000)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  tollgate keylog --listener web --for 60s --to /root/keys.txt\n  tollgate keylog off')
  .action(async (off: string | undefined, options: { runtime: string; listener?: string; to?: string; for: number; json?: boolean }) => {
    const { listener = '', to } = options;
    if (off !== undefined && off !== 'off') throw new TollgateError('usage', `'${off}' is not known; did you mean 'off'?`);
    if (off === undefined && (listener === '' || to === undefined)) throw new TollgateError('usage', 'name a --listener and a file, --to');
    const forMs = off === 'off' ? 0 : options.for;
    const file = to === undefined ? '' : resolve(to);
    const { value } = await ask(options.runtime, { type: 'keylog', author: me('keylog'), listener, file, forMs }, ANSWER_MS);
    if (options.json === true) process.stdout.write(`${JSON.stringify(value)}\n`);
    else process.stdout.write(forMs === 0 ? 'no keys are logged any more\n' : `keys go to ${file} for ${Math.round(forMs / 1_000)} s\n`);
  });

program
  .command('upgrade')
  .description('have a running instance replaced by the program as it is installed now, without losing a connection')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  npm install --global tollgate && tollgate upgrade')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const { value } = await ask(options.runtime, { type: 'upgrade', author: me('upgrade') }, UPGRADE_MS);
    const { pid } = value as { pid: number };
    process.stdout.write(
      options.json === true ? `${JSON.stringify({ pid })}\n` : `tollgate serves as pid ${pid}; the one before finishes what it has\n`,
    );
  });

program
  .command('reopen')
  .description('have a running instance open its log files anew, once they were moved away; answers when the old ones are complete')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  mv access.log access.log.1 && tollgate reopen && gzip access.log.1')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const { workers } = (await ask(options.runtime, { type: 'reopen' }, ANSWER_MS)).value as { workers: number };
    process.stdout.write(options.json === true ? `${JSON.stringify({ workers })}\n` : `${workers} workers write to the logs anew\n`);
  });

program
  .command('stop')
  .description('drain a running instance and end it')
  .addOption(RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate stop')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const orphans = livingWorkers(options.runtime);
    const asked = await ask(options.runtime, { type: 'stop' }, ANSWER_MS).catch((error: unknown) => {
      // Workers of a supervisor that was killed serve on: they can be told by their numbers alone.
      if (!(error instanceof TollgateError) || error.code !== 'not_running' || orphans.length === 0) throw error;
      for (const { pid } of orphans) process.kill(pid, 'SIGTERM');
      return null;
    });
    if (options.json === true) process.stdout.write(`${JSON.stringify(asked?.value ?? { workers: orphans.map(({ pid }) => pid) })}\n`);
    else if (asked === null) process.stdout.write(`${orphans.length} workers without a supervisor drain, and end\n`);
    else {
      const { pid, drainMs } = asked.value as { pid: number; drainMs: number };
      process.stdout.write(`tollgate (pid ${pid}) drains, and ends within ${Math.ceil(drainMs / 1_000)} s\n`);
    }
  });

program
  .command('password')
  .description("make a line of a password file (a route's basicAuth); the password comes from the keyboard or standard input")
  .argument('<user>', 'name of the user')
  .addOption(new Option('--scheme <scheme>', 'how it is hashed').choices(NEW_PASSWORD_SCHEMES).default('bcrypt'))
  .addHelpText('after', '\nExamples:\n  tollgate password anna >> users\n  printf %s "$SECRET" | tollgate password anna --scheme scrypt')
  .action(async (user: string, options: { scheme: NewPasswordScheme }) => {
    const { makePasswordHash, passwordLine } = await import('../config/make-password.ts');
    const { readSecret } = await import('./read-secret.ts');
    const password = await readSecret(`Password for ${user}: `);
    try {
      process.stdout.write(passwordLine(user, await makePasswordHash(password, options.scheme)));
    } finally {
      password.fill(0);
    }
  });

program
  .command('version')
  .description('versions of Tollgate, node and the TLS library')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate version --json')
  .action(async (options: { json?: boolean }) => {
    const { s2nLibraryPath } = await import('../native/library-path.ts');
    const { libraryVersions } = await import('../native/versions.ts');
    const library = libraryVersions(s2nLibraryPath());
    const versions = {
      tollgate: tollgateVersion(),
      node: process.versions.node,
      s2n: library.s2n,
      awsLc: library.awsLc,
      library: library.source,
    };
    if (options.json === true) process.stdout.write(`${JSON.stringify(versions, null, 2)}\n`);
    else
      process.stdout.write(
        `tollgate ${versions.tollgate}\nnode ${versions.node}\ns2n-tls ${versions.s2n}\nAWS-LC ${versions.awsLc} (${versions.library})\n`,
      );
  });

program
  .command('completion')
  .description('print what completes the commands in a shell')
  .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
  .addHelpText(
    'after',
    '\nExamples:\n  source <(tollgate completion bash)\n  tollgate completion zsh > /usr/local/share/zsh/site-functions/_tollgate\n  tollgate completion fish > ~/.config/fish/completions/tollgate.fish',
  )
  .action((shell: Shell) => {
    process.stdout.write(completionScript(shell, readCommandTree(program)));
  });

interface ImportOptions {
  readonly from?: ImportKind;
  readonly output?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

function importText({ notes, lost, listeners, upstreams }: Imported, output: string | null): string {
  const more = lost === 0 ? '' : `, and ${lost} more`;
  const what = notes.length === 0 ? 'everything was translated' : `${notes.length} remarks${more}, above and in the file`;
  const next = output === null ? '' : `; next: tollgate check ${output}`;
  return `${[...notes.map(noteText), `${listeners} listeners, ${upstreams} upstreams; ${what}${next}`].join('\n')}\n`;
}

interface ExplainOptions extends ClientOptions {
  readonly path: string;
  readonly config?: string;
  readonly runtime: string;
  readonly clients?: boolean;
  readonly json?: boolean;
}

async function explainOne(options: ExplainOptions, bytes: Buffer): Promise<Explanation> {
  const { host = null, path, config: file, runtime } = options;
  if (file === undefined) {
    const answer = await ask(runtime, { type: 'explain', hello: bytes.toString('hex'), host, path }, ANSWER_MS);
    return answer.value as Explanation;
  }
  const { checkFile } = await import('../config/check-report.ts');
  const { explainHello } = await import('../observe/explain-hello.ts');
  const { checked, errors } = await checkFile(file, { offline: true });
  if (checked === null) throw new TollgateError('config_invalid', errors.map(findingText).join('\n'));
  return explainHello(checked.plan, bytes, host, path, Date.now());
}

async function change(runtime: string, command: FromCommand): Promise<ChangeAnswer> {
  return (await ask(runtime, command, RELOAD_MS)).value as ChangeAnswer;
}

function tellChange(answer: ChangeAnswer, json: boolean, verb: string): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
    return;
  }
  for (const warning of answer.warnings) process.stderr.write(`${warning}\n`);
  for (const line of answer.difference) process.stdout.write(`${line}\n`);
  if (answer.difference.length === 0) process.stdout.write('nothing differs\n');
  process.stdout.write(`configuration ${answer.plan} ${verb}, after ${answer.ms} ms\n`);
  if (answer.untilMs !== null) {
    process.stdout.write(`it is taken back at ${new Date(answer.untilMs).toLocaleTimeString('sv-SE')} unless you run "tollgate confirm"\n`);
  }
}

interface ConnectionsOptions {
  readonly runtime: string;
  readonly client?: string;
  readonly listener?: string;
  readonly close?: boolean;
  readonly most: number;
  readonly json?: boolean;
}

function connectionsText({ total, list }: { total: number; list: ConnectionView[] }, closed: boolean): string {
  const rows = list.map(({ id, client, listener, sni, state, seconds, requests }) => [
    id,
    client,
    listener,
    state,
    `${seconds} s`,
    `${requests} requests`,
    sni ?? '',
  ]);
  const last = closed ? `${total} ended` : `${total} in all`;
  return `${[...columns(rows), last].join('\n')}\n`;
}

type HistoryView = HistoryEntry & { readonly runs: boolean };

function historyText(entries: readonly HistoryView[]): string {
  if (entries.length === 0) return 'nothing has been kept\n';
  return entries
    .map(({ id, appliedMs, author, file, difference, runs }) => {
      const time = new Date(appliedMs).toLocaleString('sv-SE');
      const head = `${String(id).padStart(5)}  ${time}  ${author.user} (${author.by})  ${file}${runs ? '  runs' : ''}`;
      return [head, ...difference.map((line) => `         ${line}`)].join('\n');
    })
    .join('\n')
    .concat('\n');
}

function parseWait(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0 || ms > WAIT_MS_MAX) throw new InvalidArgumentError("expected a time as '60s' or '5m', a day at most");
  return ms;
}

function parseNumber(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('expected a number');
  return Number(text);
}

/** Each TLS listener's engine, once for all its addresses. */
function enginesOf(plan: Plan): { listener: string; engine: string; reason: string }[] {
  const found = new Map<string, { listener: string; engine: string; reason: string }>();
  for (const { name, tls } of plan.listeners)
    if (tls !== null) found.set(name, { listener: name, engine: tls.engine, reason: tls.engineReason });
  return [...found.values()];
}
