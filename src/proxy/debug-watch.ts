/**
 * What an operator wants to see closely for a while: the handshakes and requests of one client or network, or the requests of one route. A
 * line of JSON each, `event: "debug"`; bounded in time and in rate. Cold: while nobody watches, the event path pays one comparison.
 */
import { LOG_LINE_BYTES_MAX } from '../base/limits.ts';
import type { NetworkList } from '../plan/network-list.ts';
import type { LogWriter } from '../record/log-writer.ts';

/** Lines in one second of one worker; what was left out is said in the next. */
const LINES_PER_SECOND_MAX = 200;

export class DebugWatch {
  readonly #logs: { readonly errors: LogWriter };
  readonly #clients: NetworkList | null;
  readonly #route: string | null;
  /** On the reactor's clock. */
  readonly untilMs: number;
  #second = 0;
  #lines = 0;
  #omitted = 0;

  /** Null: any client, any route. */
  constructor(logs: { readonly errors: LogWriter }, clients: NetworkList | null, route: string | null, untilMs: number) {
    this.#logs = logs;
    this.#clients = clients;
    this.#route = route;
    this.untilMs = untilMs;
  }

  wantsHandshake(client: string): boolean {
    return this.#route === null && this.#wantsClient(client);
  }

  wantsRequest(client: string, route: string | null): boolean {
    return (this.#route === null || this.#route === route) && this.#wantsClient(client);
  }

  #wantsClient(client: string): boolean {
    return this.#clients === null || this.#clients.lookUp(client) !== 0;
  }

  write(unixMs: number, members: object): void {
    const second = Math.floor(unixMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_PER_SECOND_MAX) {
      this.#omitted++;
      return;
    }
    const writer = this.#logs.errors;
    const batch = writer.reserve();
    if (batch === null) return;
    this.#lines++;
    const omitted = this.#omitted === 0 ? {} : { omitted: this.#omitted };
    this.#omitted = 0;
    const line = JSON.stringify({ time: new Date(unixMs).toISOString(), event: 'debug', ...members, ...omitted });
    // The parts of a request in it are bounded where they are kept; escaped they may still be too long.
    const text = Buffer.byteLength(line) < LOG_LINE_BYTES_MAX ? line : `${JSON.stringify({ event: 'debug', omitted: 1 })}`;
    writer.commit(batch, batch.at + batch.bytes.write(`${text}\n`, batch.at, 'utf8'));
  }
}
