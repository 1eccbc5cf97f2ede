/** A configuration written in TypeScript, under the real program: checked, run, changed while it runs. What one may not do: golden/errors/program. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { livingWorkers, startTimeOf } from '../src/control/process-identity.ts';
import { plainExchange } from './support/client.ts';
import { testPort } from './support/test-port.ts';
import { LONG, PROGRAM, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

function source(port: number, says: string, more = ''): string {
  return `import { defineConfig } from 'tollgate';
import { greeting } from './greeting.ts';
${more}
interface Site { name: string }
const sites: Site[] = [{ name: 'one' }];
export default defineConfig(async () => ({
  admin: { listen: 'off' },
  workers: 1,
  runtime: 'run',
  log: { access: 'off' },
  listeners: sites.map(({ name }, i) => ({
    name,
    address: \`127.0.0.1:\${${port} + i}\`,
    routes: [{ respond: { body: \`\${greeting} ${says}\` } }],
  })),
}));
`;
}

interface Running {
  readonly directory: string;
  readonly port: number;
  readonly path: string;
  readonly write: (text: string) => void;
  readonly command: (...args: string[]) => { readonly status: number | null; readonly out: string; readonly err: string };
}

async function running(t: TestContext): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-typescript-'));
  // As root it is evaluated as another user, who must come through.
  chmodSync(directory, 0o755);
  const port = await testPort();
  const path = join(directory, 'tollgate.config.ts');
  const write = (text: string): void => writeFileSync(path, text, { mode: 0o644 });
  writeFileSync(join(directory, 'greeting.ts'), "export const greeting: string = 'hello';\n", { mode: 0o644 });
  write(source(port, 'first'));
  const env = { ...process.env, TOLLGATE_DATA: join(directory, 'data') };
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, 'run', '--config', path], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let errors = '';
  child.stderr!.on('data', (data) => {
    errors += String(data);
  });
  t.after(() => {
    for (const pid of [child.pid!, ...livingWorkers(join(directory, 'run')).map((each) => each.pid)]) {
      if (startTimeOf(pid) !== null) process.kill(pid, 'SIGKILL');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  await until(() => {
    assert.equal(child.exitCode, null, errors);
    return errors.includes('tollgate serves');
  }, 60_000);
  const command = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', timeout: 60_000, env });
    return { status, out: stdout, err: stderr };
  };
  return { directory, port, path, write, command };
}

test('a configuration in TypeScript is checked, shown, run and changed while it runs; a bad one changes nothing', async (t) => {
  const { directory, port, path, write, command } = await running(t);
  const runtime = ['--runtime', join(directory, 'run')];
  assert.match(String(await plainExchange(port, CLOSE)), /hello first$/);
  const checked = command('check', path);
  assert.equal(checked.status, 0, checked.err);
  assert.match(checked.out, /is fine: 1 listeners/);
  assert.match(command('config', 'show', '--effective', path).out, /body: hello first\n/);

  write(source(port, 'second'));
  const reloaded = command('reload', ...runtime);
  assert.equal(reloaded.status, 0, reloaded.err);
  assert.match(reloaded.out, /~ listeners\.one\.routes\[0\]\.respond\.body: hello first -> hello second/);
  assert.match(String(await plainExchange(port, CLOSE)), /hello second$/);
  // What it imports is part of it.
  writeFileSync(join(directory, 'greeting.ts'), "export const greeting: string = 'good day';\n");
  assert.match(command('reload', ...runtime).out, /good day second/);

  const forbidden = join(directory, 'forbidden');
  for (const [more, expected] of [
    ["throw new Error('not today');", /tollgate\.config\.ts:\d+:\d+: not today/],
    ['process.exit(3);', /tollgate\.config\.ts: it ended with exit code 3 and gave nothing/],
    [
      `import { writeFileSync } from 'node:fs'; writeFileSync('${forbidden}', '');`,
      /a configuration may read files, and nothing else \(FileSystemWrite /,
    ],
    [
      "import { connect } from 'node:net'; await new Promise((_, no) => connect(9, '127.0.0.1').on('error', no));",
      /may read files, and nothing else \(.*connect/,
    ],
    ['const broken = ;', /tollgate\.config\.ts:\d+:\d+: SyntaxError: /],
    // It takes 20 s of a core, each time: golden/errors/program/hangs holds the bound, with a program that waits.
    ...(LONG ? ([['for (;;);', /tollgate\.config\.ts: it takes more than 20 s/]] as const) : []),
  ] as const) {
    write(source(port, 'third', more));
    const refused = command('reload', ...runtime);
    assert.equal(refused.status, 1, more);
    assert.match(refused.err, expected, more);
    assert.equal(refused.err.trim().split('\n').length, 1, `one error: ${refused.err}`);
  }
  assert.equal(existsSync(forbidden), false);
  assert.match(String(await plainExchange(port, CLOSE)), /good day second$/);

  // What it prints goes nowhere, and is in nobody's way.
  write(source(port, 'fourth', "console.log('{}'); process.stderr.write('noise');"));
  const loud = command('reload', ...runtime);
  assert.equal(loud.status, 0, loud.err);
  assert.doesNotMatch(`${loud.out}${loud.err}`, /noise/);
  assert.match(String(await plainExchange(port, CLOSE)), /good day fourth$/);
  // An earlier one is run again as it was, without being evaluated.
  write('export default nonsense');
  const back = command('rollback', ...runtime);
  assert.equal(back.status, 0, back.err);
  assert.match(String(await plainExchange(port, CLOSE)), /good day second$/);
});
