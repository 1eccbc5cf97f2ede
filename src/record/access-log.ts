/**
 * The access log: one line for each request, in the format of the plan (line-formats.ts). With a sample, a request is logged when its id
 * says so (sample.ts); one that failed (a status from 500 on, or a `reason`) is logged anyway, unless the plan says otherwise.
 */
import type { AccessLogPlan } from '../plan/log-plan.ts';
import type { AccessRecord } from './access-record.ts';
import { ClockText } from './clock-text.ts';
import { type LineFormat, type LoggedConnection, lineFormat } from './line-formats.ts';
import type { LogWriter } from './log-writer.ts';
import { sampleOf } from './sample.ts';
import { writeAscii } from './text.ts';

export class AccessLog {
  readonly #writer: LogWriter;
  readonly #format: LineFormat;
  readonly #sample: number;
  readonly #sampleErrors: boolean;
  /** RFC 5424, section 6: what stands in front of the time and behind it; empty where the line stands alone. */
  readonly #before: string;
  readonly #behind: string;
  readonly #clock = new ClockText();

  constructor(plan: AccessLogPlan, writer: LogWriter) {
    const { destination } = plan;
    this.#writer = writer;
    this.#format = lineFormat(plan.format);
    this.#sample = plan.sample;
    this.#sampleErrors = plan.sampleErrors;
    this.#before = destination.kind === 'syslog' ? `<${destination.priority}>1 ` : '';
    this.#behind = destination.kind === 'syslog' ? ` ${destination.host} ${destination.name} ${process.pid} access - ` : '';
  }

  /** `nowMs` is on the clock `startMs` was read from; `unixMs` is the wall clock's. */
  write(record: AccessRecord, connection: LoggedConnection, client: string, nowMs: number, unixMs: number): void {
    if (!record.isWanted) return;
    if (this.#sample < 1 && !(this.#sampleErrors && (record.status >= 500 || record.reason !== ''))) {
      if (sampleOf(record.requestId) >= this.#sample) return;
    }
    const batch = this.#writer.reserve();
    if (batch === null) return;
    const to = batch.bytes;
    let { at } = batch;
    if (this.#before !== '') {
      at = this.#clock.write(to, writeAscii(to, at, this.#before), unixMs);
      at = writeAscii(to, at, this.#behind);
    }
    this.#writer.commit(batch, this.#format.write(to, at, record, connection, client, nowMs - record.startMs, unixMs));
  }
}
