/** `tollgate status --watch`: the status as a screen that is drawn anew every second, until a key or a signal ends it. */
import { TollgateError } from '../base/tollgate-error.ts';
import { ask } from '../control/control-client.ts';
import { type Status, statusText } from '../observe/status.ts';

const EVERY_MS = 1_000;
const ANSWER_MS = 5_000;
// ECMA-48 and xterm's private modes.
const ALTERNATE_SCREEN = '\x1b[?1049h\x1b[?25l';
const MAIN_SCREEN = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';

/** Resolves when a person has seen enough. Throws when nothing runs in the beginning; later that is shown. */
export async function watchStatus(runtime: string): Promise<void> {
  const { stdin, stdout } = process;
  if (!stdout.isTTY) throw new TollgateError('usage', '--watch needs a terminal; --json is for programs');
  let text = await look(runtime);
  const ended = Promise.withResolvers<void>();
  const onKey = (key: Buffer): void => {
    if (key.includes('q') || key.includes(CTRL_C)) ended.resolve();
  };
  const onSignal = (): void => ended.resolve();
  const draw = (): void => void stdout.write(screen(text, stdout.columns, stdout.rows));
  stdout.write(ALTERNATE_SCREEN);
  if (stdin.isTTY) stdin.setRawMode(true).on('data', onKey).resume();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  stdout.on('resize', draw);
  draw();
  const timer = setInterval(() => {
    void look(runtime)
      .catch((error: unknown) => `${error instanceof Error ? error.message : String(error)}\n`)
      .then((now) => {
        text = now;
        draw();
      });
  }, EVERY_MS);
  try {
    await ended.promise;
  } finally {
    clearInterval(timer);
    stdout.off('resize', draw);
    if (stdin.isTTY) stdin.setRawMode(false).off('data', onKey).pause();
    stdout.write(MAIN_SCREEN);
  }
}

async function look(runtime: string): Promise<string> {
  return statusText((await ask(runtime, { type: 'status' }, ANSWER_MS)).value as Status);
}

/** Drawn over what was there: a screen that is cleared first would flicker. Lines are cut at the edge, and the last says so. */
export function screen(text: string, columns: number, rows: number): string {
  const all = text.trimEnd().split('\n');
  const room = Math.max(1, rows - 1);
  const shown = all.length <= room ? all : [...all.slice(0, room - 1), `and ${all.length - room + 1} lines more`];
  const lines = [...shown, 'q ends'].slice(0, Math.max(1, rows));
  return `${HOME}${lines.map((line) => `${[...line].slice(0, columns).join('')}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`;
}
