/** The command line. Every command exits 0, or tells why on standard error in one sentence and exits 1; a wrong call exits 2. */
import { Command, CommanderError, Option } from 'commander';
import { TollgateError } from '../base/tollgate-error.ts';
import { tollgateVersion } from '../base/version.ts';
import { checkFile } from '../config/check-report.ts';
import { findingText } from '../config/findings.ts';
import { makePasswordHash, NEW_PASSWORD_SCHEMES, type NewPasswordScheme, passwordLine } from '../config/make-password.ts';
import { ask } from '../control/control-client.ts';
import { defaultRuntimeDirectory } from '../control/runtime-directory.ts';
import { s2nLibraryPath } from '../native/library-path.ts';
import { libraryVersions } from '../native/versions.ts';
import { type Status, statusText } from '../observe/status.ts';
import { readSecret } from './read-secret.ts';
import { type RunOptions, run } from './run.ts';

/** A supervisor answers within this time. Milliseconds. */
const ANSWER_MS = 10_000;
/** Reading files, looking up names, and every worker's adoption. Milliseconds. */
const RELOAD_MS = 60_000;
const RUNTIME = ['--runtime <directory>', 'directory of the running instance', defaultRuntimeDirectory()] as const;

const program = new Command('tollgate')
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
  .addHelpText(
    'after',
    '\nExamples:\n  tollgate run --config tollgate.yaml\n  tollgate run --from :8443 --to 127.0.0.1:3000\n  tollgate run',
  )
  .action(async (options: RunOptions) => {
    if (options.config !== undefined && (options.from !== undefined || options.to !== undefined)) {
      throw new TollgateError('usage', '--config names everything: --from and --to do not go with it');
    }
    await run(options);
  });

program
  .command('check')
  .description('read a configuration and say everything that is wrong with it, without serving')
  .argument('<file>', 'configuration (YAML)')
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate check tollgate.yaml')
  .action(async (file: string, options: { json?: boolean }) => {
    const { errors, warnings, plan } = await checkFile(file);
    if (options.json === true) process.stdout.write(`${JSON.stringify({ ok: plan !== null, errors, warnings }, null, 2)}\n`);
    else {
      for (const finding of [...errors, ...warnings]) process.stderr.write(`${findingText(finding)}\n`);
      if (plan !== null)
        process.stdout.write(
          `${file} is fine: ${plan.listeners.length} listeners, ${plan.upstreams.length} upstreams, ${plan.certificates.length} certificates\n`,
        );
    }
    if (plan === null) process.exitCode = 1;
  });

program
  .command('status')
  .description('what a running instance does')
  .option(...RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  tollgate status --json')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const status = (await ask(options.runtime, { type: 'status' }, ANSWER_MS)) as Status;
    process.stdout.write(options.json === true ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
  });

program
  .command('reload')
  .description('have a running instance read its configuration again, without losing a connection')
  .option(...RUNTIME)
  .addHelpText('after', '\nExample:\n  tollgate reload')
  .action(async (options: { runtime: string }) => {
    const { plan, ms, warnings } = (await ask(options.runtime, { type: 'reload' }, RELOAD_MS)) as {
      plan: number;
      ms: number;
      warnings: string[];
    };
    for (const warning of warnings) process.stderr.write(`${warning}\n`);
    process.stdout.write(`configuration ${plan} runs, after ${ms} ms\n`);
  });

program
  .command('reopen')
  .description('have a running instance open its log files anew, once they were moved away; answers when the old ones are complete')
  .option(...RUNTIME)
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  mv access.log access.log.1 && tollgate reopen && gzip access.log.1')
  .action(async (options: { runtime: string; json?: boolean }) => {
    const { workers } = (await ask(options.runtime, { type: 'reopen' }, ANSWER_MS)) as { workers: number };
    process.stdout.write(options.json === true ? `${JSON.stringify({ workers })}\n` : `${workers} workers write to the logs anew\n`);
  });

program
  .command('stop')
  .description('drain a running instance and end it')
  .option(...RUNTIME)
  .addHelpText('after', '\nExample:\n  tollgate stop')
  .action(async (options: { runtime: string }) => {
    const { pid, drainMs } = (await ask(options.runtime, { type: 'stop' }, ANSWER_MS)) as { pid: number; drainMs: number };
    process.stdout.write(`tollgate (pid ${pid}) drains, and ends within ${Math.ceil(drainMs / 1_000)} s\n`);
  });

program
  .command('password')
  .description("make a line of a password file (a route's basicAuth); the password comes from the keyboard or standard input")
  .argument('<user>', 'name of the user')
  .addOption(new Option('--scheme <scheme>', 'how it is hashed').choices(NEW_PASSWORD_SCHEMES).default('bcrypt'))
  .addHelpText('after', '\nExamples:\n  tollgate password anna >> users\n  printf %s "$SECRET" | tollgate password anna --scheme scrypt')
  .action(async (user: string, options: { scheme: NewPasswordScheme }) => {
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
  .action((options: { json?: boolean }) => {
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

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`${error instanceof TollgateError ? error.message : unexpected(error)}\n`);
    process.exitCode = 1;
  }
}

function unexpected(error: unknown): string {
  return `tollgate: an error of its own: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
