/** `tollgate doctor` on the machine that runs this, whatever it is like. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { DoctorReport } from '../src/control/doctor.ts';
import { leaf } from './support/certificates.ts';
import { PROGRAM, Tollgate } from './support/tollgate.ts';

interface Told {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

async function run(command: string, ...args: readonly string[]): Promise<Told> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, out, errors };
}

async function doctor(...args: readonly string[]): Promise<Told> {
  return await run(process.execPath, PROGRAM, 'doctor', ...args);
}

function configuration(t: TestContext, limits: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-doctor-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { certificate, key } = leaf(['localhost']);
  const path = join(directory, 'tollgate.yaml');
  writeFileSync(
    path,
    `workers: 2
runtime: ${directory}/run
limits: ${limits}
log: { access: ${directory}/access.log }
listeners:
  - name: web
    address: 127.0.0.1:8443
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:1"] }
`,
  );
  return path;
}

test('doctor tells of everything it looked at, the same for people and for programs, and its exit code says whether there is a problem', async () => {
  const { code, out, errors } = await doctor('--json');
  assert.equal(errors, '');
  const report = JSON.parse(out) as DoctorReport;
  assert.equal(code, report.ok ? 0 : 1);
  assert.equal(
    report.ok,
    report.findings.every(({ severity }) => severity !== 'problem'),
  );
  const topics = report.findings.map(({ topic }) => topic);
  for (const each of [
    'kernel',
    'cores',
    'memory',
    'descriptors',
    'backlog',
    'local ports',
    'TCP Fast Open',
    'kernel TLS',
    'time',
    'connection tracking',
  ]) {
    assert.ok(topics.includes(each), each);
  }
  for (const { severity, topic, why, change, sysctls } of report.findings) {
    assert.equal(severity === 'ok', why === null, topic);
    if (severity === 'ok') assert.ok(change === null && sysctls.length === 0, topic);
    for (const line of sysctls) assert.match(line, /^[a-z0-9_.]+ = [\d a-z]+$/, topic);
  }
  const people = await doctor();
  assert.equal(people.code, code);
  for (const topic of topics) assert.ok(people.out.includes(topic), topic);
  assert.match(people.out, /\d+ problems, \d+ warnings, \d+ notes; judged against the usual settings/);
});

test('doctor judges by what a configuration wants, and refuses one that is wrong', async (t) => {
  const path = configuration(t, '{ connections: 10 }');
  const modest = JSON.parse((await doctor('--json', '--config', path)).out) as DoctorReport;
  assert.equal(modest.config, path);
  const severity = ({ findings }: DoctorReport, topic: string) => findings.find((each) => each.topic === topic)?.severity;
  assert.equal(severity(modest, 'local ports'), 'ok');
  assert.ok(['ok', 'warn'].includes(severity(modest, 'certificate') ?? ''), 'the certificate of a test lives for days');
  assert.notEqual(severity(modest, 'disk: access log'), undefined);
  const greedy = await doctor('--json', '--config', configuration(t, '{ connections: 10000000 }'));
  assert.notEqual(severity(JSON.parse(greedy.out) as DoctorReport, 'descriptors'), 'ok');
  const wrong = await doctor('--config', configuration(t, '{ connections: none }'));
  assert.deepEqual([wrong.code, wrong.out], [1, '']);
  assert.match(wrong.errors, /tollgate\.yaml:3:\d+: .*connections/);
});

test('doctor looks at the limits of an instance that runs, and status tells what is not in force by the same rules', async (t) => {
  const tollgate = await Tollgate.start(t, { to: 1, under: ['prlimit', '--nofile=200:200'] });
  const { out } = await doctor('--json', '--runtime', join(tollgate.directory, 'run'));
  const found = (JSON.parse(out) as DoctorReport).findings.find(({ topic }) => topic === 'descriptors');
  assert.match(found?.found ?? '', /^200 for a worker that runs /);
  assert.equal(found?.severity, 'problem');
  const { inactive } = await tollgate.status();
  assert.ok(
    inactive.some((line) => line.startsWith('limits.connections 100000: descriptors are enough for 68 ')),
    inactive.join('; '),
  );
});
