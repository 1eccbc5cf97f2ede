/**
 * Tollgate against the nginx and HAProxy of this machine: `npm run bench -- [--quick] [--cases a,b] [--only x,y] [--rounds N]
 * [--seconds N] [--tollgate-command name=command] [--results FILE]`. All contenders run; one is under load at a time.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CASES, type Case, type Setting } from './cases.ts';
import { type Certificate, type Contender, haproxy, hitch, type Mode, nginx, type Running, startOrigin, tollgate } from './contenders.ts';
import { end, endAll, runToEnd } from './process.ts';
import { type CaseResult, page, ratio, shown, table } from './report.ts';
import { median, readWrk } from './statistics.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    cases: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    results: { type: 'string' },
    'tollgate-command': { type: 'string', multiple: true },
  },
});

const rounds = positive('rounds', values.rounds, values.quick ? 2 : 5);
const seconds = positive('seconds', values.seconds, values.quick ? 2 : 4);
const cases = chosen(CASES, values.cases, 'case');
const contenders = chosen([...tollgates(), nginx(), haproxy(), hitch()], values.only, 'contender');
const directory = mkdtempSync(join(tmpdir(), 'tollgate-bench-'));

process.once('SIGINT', () => void finish(130));
process.once('SIGTERM', () => void finish(143));
try {
  await bench();
  await finish(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  await finish(1);
}

async function finish(code: number): Promise<void> {
  await endAll();
  rmSync(directory, { recursive: true, force: true });
  process.exit(code);
}

async function bench(): Promise<void> {
  for (const program of ['nginx', 'haproxy', 'hitch', 'wrk', 'h2load', 'openssl', 'taskset']) mustHave(program);
  const certificates = makeCertificates();
  const origin = await startOrigin(join(directory, 'origin'), certificates.p256);
  const setting: Setting = { directory, client: certificates.client, seconds, nginxTop: 0 };
  const results: CaseResult[] = [];
  for (const [kind, mode] of [
    ['p256', 'http'],
    ['rsa2048', 'http'],
    ['p256', 'mutual'],
    ['p256', 'tcp'],
    ['p256', 'passthrough'],
  ] as const) {
    const wanted = cases.filter((each) => each.certificate === kind && (each.mode ?? 'http') === mode);
    if (wanted.length === 0) continue;
    const behind = mode === 'passthrough' ? origin.tlsPort : origin.port;
    const starting = (): Promise<Map<string, Running>> => startAll(kind, certificates[kind], behind, mode);
    for (const each of wanted.filter(({ fresh }) => fresh)) results.push(await measureFresh(each, starting, setting));
    const running = await starting();
    if (wanted.some((each) => each.name.startsWith('latency'))) setting.nginxTop = await topRate(running.get('nginx'));
    for (const each of wanted.filter(({ fresh }) => !fresh)) results.push(await measure(each, running, setting));
    await endThese(running);
  }
  await end(origin.child);
  results.sort((a, b) => CASES.findIndex((each) => each.name === a.name) - CASES.findIndex((each) => each.name === b.name));
  process.stdout.write(`\n${table(results)}\n`);
  if (values.results !== undefined) writeFileSync(values.results, page(results, machine()));
}

async function startAll(kind: string, certificate: Certificate, origin: number, mode: Mode): Promise<Map<string, Running>> {
  const running = new Map<string, Running>();
  for (const contender of contenders.filter(({ modes }) => modes.includes(mode))) {
    const home = mkdtempSync(join(directory, `${contender.name}-${kind}-${mode}-`));
    running.set(contender.name, await contender.start(home, certificate, origin, mode));
  }
  return running;
}

async function endThese(running: ReadonlyMap<string, Running>): Promise<void> {
  await Promise.all([...running.values()].map(({ child }) => end(child)));
}

async function measureFresh(each: Case, starting: () => Promise<Map<string, Running>>, setting: Setting): Promise<CaseResult> {
  const figures = new Map<string, number[]>();
  process.stdout.write(`${each.name}:`);
  for (let round = 0; round < rounds; round++) {
    const running = await starting();
    await Promise.all([...running.values()].map((one) => each.warm(one, setting)));
    const found = await Promise.all([...running.values()].map((one) => each.measure(one, setting)));
    for (const [i, name] of [...running.keys()].entries()) figures.set(name, [...(figures.get(name) ?? []), found[i]!]);
    await endThese(running);
    process.stdout.write('.'.repeat(running.size));
  }
  return told(each, figures);
}

async function measure(each: Case, running: ReadonlyMap<string, Running>, setting: Setting): Promise<CaseResult> {
  const figures = new Map<string, number[]>();
  process.stdout.write(`${each.name}:`);
  for (const [name, contender] of running) {
    figures.set(name, []);
    await each.warm(contender, setting);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, contender] of running) {
      figures.get(name)!.push(await each.measure(contender, setting));
      process.stdout.write('.');
    }
  }
  for (const contender of running.values()) await each.cool?.(contender);
  return told(each, figures);
}

function told(each: Case, figures: ReadonlyMap<string, readonly number[]>): CaseResult {
  const result: CaseResult = { name: each.name, title: each.title, unit: each.unit, goal: each.goal, figures };
  const found = [...figures].map(([name, own]) => {
    const relative = ratio(result, name);
    return `${name} ${shown(median(own))} ${each.unit}${relative === null || name === 'nginx' ? '' : ` (${relative.toFixed(2)})`}`;
  });
  process.stdout.write(` ${found.join(', ')}\n`);
  return result;
}

/** Requests a second nginx does at most here, with both cores at work. */
async function topRate(running: Running | undefined): Promise<number> {
  if (running === undefined) throw new Error('the latency cases need nginx: its top rate sets theirs');
  const rate = readWrk(await runToEnd(1, ['wrk', '-t1', '-c64', '-d4s', `https://127.0.0.1:${running.port}/`], 60_000)).perSecond;
  process.stdout.write(`nginx does ${Math.round(rate)} requests a second at most here\n`);
  return rate;
}

/** Those of servers sign themselves; the client's has an authority. */
function makeCertificates(): Record<'p256' | 'rsa2048' | 'client', Certificate> {
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const [clientAuthority, authorityKey] = [at('authority.pem'), at('authority.key')];
  openssl('req', '-x509', ...p256, '-days', '2', '-subj', '/CN=Clients', '-keyout', authorityKey, '-out', clientAuthority);
  const make = (name: string, ...key: readonly string[]): Certificate => {
    const [chain, keyPath] = [at(`${name}.pem`), at(`${name}.key`)];
    const subject = ['-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    openssl('req', ...subject, '-newkey', ...key, '-keyout', keyPath, '-out', chain);
    return { chain, key: keyPath, clientAuthority };
  };
  const client = { chain: at('client.pem'), key: at('client.key'), clientAuthority };
  openssl('req', ...p256, '-subj', '/CN=client', '-keyout', client.key, '-out', at('client.csr'));
  const signed = ['-CA', clientAuthority, '-CAkey', authorityKey, '-CAcreateserial', '-days', '2'];
  openssl('x509', '-req', '-in', at('client.csr'), ...signed, '-out', client.chain);
  return { p256: make('p256', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'), rsa2048: make('rsa2048', 'rsa:2048'), client };
}

function tollgates(): Contender[] {
  const given = values['tollgate-command'];
  if (given === undefined) return [tollgate('tollgate', [process.execPath, join(root, 'bin/tollgate.js')])];
  return given.map((each) => {
    const [, name, command] = /^([\w-]+)=(.+)$/.exec(each) ?? [];
    if (name === undefined || command === undefined) throw new Error('--tollgate-command takes name=command');
    return tollgate(name, command.split(' '));
  });
}

function machine() {
  const version = (command: string, ...args: readonly string[]): string => {
    // wrk -v ends with 1.
    const found = execFileSync('sh', ['-c', `${[command, ...args].join(' ')} 2>&1; true`], { encoding: 'utf8' });
    return found.split('\n')[0] ?? command;
  };
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    date: new Date().toISOString().slice(0, 10),
    versions: [
      `Tollgate: ${version(process.execPath, join(root, 'bin/tollgate.js'), 'version').trim()}, node ${process.version}`,
      version('nginx', '-v'),
      version('haproxy', '-v'),
      version('hitch', '-V'),
      version('openssl', 'version'),
      version('wrk', '-v'),
    ],
    rounds,
  };
}

function chosen<Named extends { readonly name: string }>(all: readonly Named[], names: string | undefined, what: string): Named[] {
  if (names === undefined) return [...all];
  return names.split(',').map((name) => {
    const found = all.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no ${what} ${name}; there is ${all.map((each) => each.name).join(', ')}`);
    return found;
  });
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a whole number from 1 on`);
  return value;
}

function mustHave(program: string): void {
  try {
    execFileSync('which', [program], { stdio: 'pipe' });
  } catch {
    throw new Error(
      `the bench needs ${program}: apt-get install nginx libnginx-mod-stream haproxy hitch wrk nghttp2-client openssl util-linux`,
    );
  }
}
