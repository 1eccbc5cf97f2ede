/** The control plane's log: JSON lines on standard error, or plain ones when a person reads along. */
import { pino } from 'pino';

export type Log = pino.Logger;

/** `plain`: for a terminal. Default: when standard error is one. */
export function openLog(plain: boolean = process.stderr.isTTY === true): Log {
  const options: pino.LoggerOptions = {
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    messageKey: 'message',
    formatters: { level: (label) => ({ level: label }) },
  };
  if (!plain) return pino(options, pino.destination({ dest: 2, sync: true }));
  return pino(options, { write: (line) => void process.stderr.write(plainLine(line)) });
}

function plainLine(line: string): string {
  const { level, time, message, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${String(level)}: ${String(message)}${details.join('')}\n`;
}
