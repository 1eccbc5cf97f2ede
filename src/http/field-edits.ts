/**
 * What a configuration changes in the fields of a forwarded head: remove, set, add. Works on a MessageHead's list of fields and on bytes;
 * the head's own framing and hop-by-hop rules come first and cannot be overruled here (config/ refuses their names).
 */
import type { FieldEditsPlan, TemplatePlan } from '../base/field-edits-plan.ts';
import { TOKEN } from './characters.ts';
import { FIELD_NAME_END, FIELD_NAME_START, FIELD_STRIDE, type MessageHead } from './message-head.ts';
import { type TemplateValues, writeTemplate } from './template.ts';
import { asciiBytes, writeBytes, writeLineEnd } from './write-bytes.ts';

interface Line {
  /** `Name: ` */
  readonly opening: Uint8Array;
  readonly value: TemplatePlan;
}

export class FieldEdits {
  /** Lower-case bytes of the names that go. */
  readonly #dropped: readonly Uint8Array[];
  readonly #lines: readonly Line[];

  constructor(plan: FieldEditsPlan) {
    const names = new Set([...plan.remove, ...plan.set.map(({ name }) => name.toLowerCase())]);
    this.#dropped = [...names].map(asciiBytes);
    this.#lines = [...plan.set, ...plan.add].map(({ name, value }) => ({ opening: asciiBytes(`${name}: `), value }));
  }

  /** Marks the fields of `head` (its bytes in `buf`) that go. */
  mark(buf: Uint8Array, head: MessageHead): void {
    const { fields, dropped, fieldCount } = head;
    for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
      if (dropped[i] !== 0) continue;
      const start = fields[at + FIELD_NAME_START]!;
      const end = fields[at + FIELD_NAME_END]!;
      for (let k = 0; k < this.#dropped.length; k++) {
        if (isNamed(buf, start, end, this.#dropped[k]!)) {
          dropped[i] = 1;
          break;
        }
      }
    }
  }

  /** Writes the new field lines into `buf[at, end)`. The position behind them, or -1 when there is no room. */
  write(buf: Uint8Array, at: number, end: number, values: TemplateValues): number {
    let to = at;
    for (let i = 0; i < this.#lines.length; i++) {
      const { opening, value } = this.#lines[i]!;
      if (to + opening.length + 2 > end) return -1;
      to = writeTemplate(value, values, buf, writeBytes(buf, to, opening), end - 2);
      if (to < 0) return -1;
      to = writeLineEnd(buf, to);
    }
    return to;
  }
}

/** Whether the name at `buf[start, end)` is `name` (lower case), in any case. */
export function isNamed(buf: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (TOKEN[buf[start + i]!] !== name[i]) return false;
  return true;
}
