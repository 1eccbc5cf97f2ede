/**
 * `node scripts/node.js test/strict/table.ts > docs/http-strictness.md`: the cases of this folder against Tollgate, nginx and HAProxy, all
 * over plain HTTP in front of the same recording server, and what each program did as a table. Owns what is said about a case, in one word
 * for every program alike.
 */
import { connect } from 'node:net';
import { endAll } from '../../bench/process.ts';
import type { RequestCase, ResponseCase } from './cases.ts';
import { BARRIER, type Dialogue, isCut, type Recorded, RecordingOrigin, talk } from './lane.ts';
import { type Program, startProgram } from './programs.ts';
import { REQUESTS } from './requests.ts';
import { RESPONSES } from './responses.ts';

/** How long a program may neither answer nor close until it is said to wait. Milliseconds; on one machine an answer takes one or two. */
const WAIT_MS = 1_500;
/** Each program is started anew and given every case this often: one was seen to take the same bytes differently from start to start. */
const ROUNDS = 5;
const KINDS = ['tollgate', 'nginx', 'haproxy'] as const;

/** What one program did with one case. */
interface Cell {
  readonly text: string;
  /** As this suite expects, in what reaches the other side. Which status refuses is not judged. */
  readonly right: boolean;
}

interface Column {
  readonly program: Program;
  readonly requests: readonly Cell[];
  readonly responses: readonly Cell[];
}

async function runProgram(kind: (typeof KINDS)[number]): Promise<Column> {
  const origin = await new RecordingOrigin().listen();
  const program = await startProgram(kind, origin.port);
  const dial = () => connect(program.port, '127.0.0.1');
  const requests: Cell[] = [];
  for (const each of REQUESTS) {
    const dialogue = await talk(dial, each.bytes, true, WAIT_MS);
    if (!dialogue.alive) await talk(dial, BARRIER, false, WAIT_MS);
    requests.push(requestCell(each, dialogue, origin.take()));
  }
  const responses: Cell[] = [];
  for (const each of RESPONSES) {
    origin.script = { bytes: each.bytes, ends: each.ends };
    const request = `${each.method} / HTTP/${each.version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const dialogue = await talk(dial, request, false, WAIT_MS);
    origin.script = null;
    const barrier = await talk(dial, BARRIER, false, WAIT_MS);
    origin.take();
    responses.push(responseCell(each, dialogue, barrier));
  }
  origin.close();
  return { program, requests, responses };
}

/** One program over all rounds: a case is right when it was in each of them, and every way it went is told. */
function merge(rounds: readonly Column[]): Column {
  const [first] = rounds;
  if (first === undefined) throw new Error('no round');
  const over = (cellsOf: (column: Column) => readonly Cell[]): Cell[] =>
    cellsOf(first).map((_, at) => {
      const cells = rounds.map((round) => cellsOf(round)[at]!);
      return { text: [...new Set(cells.map(({ text }) => text))].sort().join(' or '), right: cells.every(({ right }) => right) };
    });
  return { program: first.program, requests: over(({ requests }) => requests), responses: over(({ responses }) => responses) };
}

function requestCell({ bytes, expect }: RequestCase, { statuses, silent }: Dialogue, { requests, partial }: Recorded): Cell {
  const wanted = expect.requests ?? (expect.forwarded ? 1 : 0);
  // An interim answer of the program's own is none.
  const status = statuses.find((each) => each >= 200) ?? 0;
  const last = statuses.at(-1) ?? 0;
  if (requests.length === 0) {
    const verdict = silent && status === 0 ? 'waited' : status === 0 ? 'closed' : status < 400 ? `answered ${status}` : `refused ${status}`;
    const right = wanted === 0 && !silent && (partial === '' || expect.part === true) && (status === 0 || status >= 400);
    return { text: partial === '' || expect.part === true ? verdict : `${verdict}, part sent on`, right };
  }
  const manner = keepsLines(bytes, requests.join('')) ? 'forwarded' : 'rewritten';
  const count = requests.length > 1 || wanted > 1 ? ` as ${requests.length}` : '';
  const then = silent ? ', then waited' : last >= 400 ? `, then ${last}` : '';
  return { text: `${manner}${count}${then}`, right: requests.length === wanted && (wanted !== 1 || status === 200) };
}

function responseCell({ bytes, expect }: ResponseCase, { text, statuses, silent }: Dialogue, barrier: Dialogue): Cell {
  if (!barrier.alive || barrier.statuses.length > 0) return { text: 'spoilt the next one', right: false };
  const last = statuses.at(-1) ?? 0;
  if (silent) return { text: 'waited', right: false };
  if (last === 502) return { text: 'refused 502', right: expect.reason !== null && expect.cut !== true };
  if (last === 0) return { text: 'closed', right: expect.reason !== null };
  if (expect.cut === true) return { text: isCut(text) ? 'cut' : 'passed on as whole', right: isCut(text) };
  const leaks = expect.spoilt === true && text.includes('stolen');
  const manner = keepsLines(bytes.replace(/stolen$/, ''), text) ? 'passed on' : 'rewritten';
  return { text: leaks ? 'passed on with what is behind' : manner, right: expect.reason === null && !leaks };
}

/** Whether every line of `bytes` arrived as it was, but for those about the connection. Names of fields may change their case. */
function keepsLines(bytes: string, arrived: string): boolean {
  const lines = new Set(arrived.toLowerCase().split('\r\n'));
  return bytes
    .toLowerCase()
    .split('\r\n')
    .every((line) => line === '' || /^(?:connection|keep-alive):/.test(line) || lines.has(line));
}

function count(cells: readonly Cell[], which: (at: number) => boolean): string {
  const chosen = cells.filter((_, at) => which(at));
  return `${chosen.filter(({ right }) => right).length} of ${chosen.length}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function asCell(text: string): string {
  return text.replace(/[|`*_<>\\[\]]/g, '\\$&');
}

function table(
  columns: readonly Column[],
  cases: readonly { readonly rule: string; readonly rfc: string; readonly name: string }[],
  cellsOf: (column: Column) => readonly Cell[],
): string {
  const lines = [
    row(['Rule', 'Section', 'Case', ...columns.map(({ program }) => program.name)]),
    row(['---', '---', '---', ...columns.map(() => '---')]),
  ];
  let before = '';
  for (const [at, { rule, rfc, name }] of cases.entries()) {
    const cells = columns.map((column) => cellsOf(column)[at]!);
    const told = rule === before ? ['', ''] : [asCell(rule), rfc];
    lines.push(row([...told, asCell(name), ...cells.map(({ text, right }) => (right ? text : `**${text}**`))]));
    before = rule;
  }
  return lines.join('\n');
}

function render(columns: readonly Column[]): string {
  const wanted = (at: number): number => REQUESTS[at]!.expect.requests ?? (REQUESTS[at]!.expect.forwarded ? 1 : 0);
  const simple = (at: number): boolean => REQUESTS[at]!.expect.statuses === undefined;
  const summary = [
    ['Malformed or ambiguous requests refused', 'requests', (at: number) => wanted(at) === 0],
    ['Well-formed requests passed', 'requests', (at: number) => wanted(at) > 0 && simple(at)],
    ['Requests behind requests counted right', 'requests', (at: number) => wanted(at) > 0 && !simple(at)],
    ['Malformed or ambiguous responses refused or cut', 'responses', (at: number) => RESPONSES[at]!.expect.reason !== null],
    ['Well-formed responses passed, with nothing behind them', 'responses', (at: number) => RESPONSES[at]!.expect.reason === null],
  ] as const;
  const names = columns.map(({ program }) => program.name);
  return `# How strict HTTP/1.1 is

${row(['', ...names])}
${row(['---', ...names.map(() => '---')])}
${summary.map(([title, part, which]) => row([title, ...columns.map((column) => count(column[part], which))])).join('\n')}

Made by \`node scripts/node.js test/strict/table.ts\`: the bytes of every case in \`test/strict\` are sent over plain HTTP, one connection a
case, to each program with its default strictness, in front of the same server, which records what it gets: ${names.join(', ')}.
nginx and HAProxy are Debian's packages. All of it is done ${ROUNDS} times, each time with the programs started anew; a case counts as right only if
it was so every time, and a cell with an "or" went differently from start to start. Tollgate's column is also a test (\`test/strict.test.ts\`), over TLS and with the exact answers.

- **refused**: the client got this status, and no byte reached the server. **closed**: the same without an answer.
- **forwarded**: every line reached the server as it was, those about the connection aside. **rewritten**: it reached the server in other
  words, which may well have made it harmless: that is another program's repair of what RFC 9112 lets a server refuse.
- **part sent on**: it was refused when the server had already got its beginning.
- **waited**: neither an answer nor an end within ${WAIT_MS / 1_000} s.

What differs from what this suite asks for is in bold, and this suite asks for what Tollgate does: see the sections for who is right. Not every
bold word is a fault. RFC 9112 permits some repairs (two equal lengths, a length beside chunks that is dropped, a bare LF behind a line, folded
lines), leaves bounds and the handling of Expect and TRACE to each program, HAProxy speaks HTTP/2 to whoever
begins with its preface, and tunnels what follows a CONNECT that the server behind it grants.

## Requests

${table(columns, REQUESTS, ({ requests }) => requests)}

## Responses

${table(columns, RESPONSES, ({ responses }) => responses)}
`;
}

try {
  const rounds: Column[][] = [];
  for (let i = 0; i < ROUNDS; i++) {
    rounds.push(await Promise.all(KINDS.map(runProgram)));
    await endAll();
  }
  process.stdout.write(render(KINDS.map((_, at) => merge(rounds.map((columns) => columns[at]!)))));
} finally {
  await endAll();
}
