/**
 * Durations and sizes as people write them: a number with its unit. A bare number is refused, because nobody knows
 * afterwards whether it meant seconds or milliseconds. Pure text to number; ranges are the schema's affair.
 */

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

export const DURATION_FORMS = "a duration with its unit, as '500ms', '30s', '1m30s' or '1h'";
export const SIZE_FORMS = "a size with its unit, as '512B', '64KiB' or '1MiB'";

/** Milliseconds of `1m30s`, `500ms`, `1.5s`; undefined when `text` is no duration. Units go from large to small, each once. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 32 || !/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined;
  let ms = 0;
  let lastUnit = Number.POSITIVE_INFINITY;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    const unitMs = DURATION_UNITS[unit!]!;
    if (unitMs >= lastUnit) return undefined;
    lastUnit = unitMs;
    ms += Number(amount) * unitMs;
  }
  ms = Math.round(ms * 1_000) / 1_000;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** Bytes of `64KiB`, `512B`, `1.5MiB`; undefined when `text` is no size, or no whole number of bytes. */
export function parseSize(text: string): number | undefined {
  const match = text.length > 32 ? null : /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * SIZE_UNITS[match[2]!]!;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export const SHARE_FORMS = "a share as '10%', '0.5%' or '1/100', above nothing and up to all";

/** 0.1 for `10%` and `1/10`; undefined when `text` is no share, nothing, or more than all. */
export function parseShare(text: string): number | undefined {
  const percent = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text);
  const fraction = percent === null ? /^(\d{1,9})\/(\d{1,9})$/.exec(text) : null;
  const share = percent !== null ? Number(percent[1]) / 100 : fraction !== null ? Number(fraction[1]) / Number(fraction[2]) : 0;
  return share > 0 && share <= 1 ? share : undefined;
}

export const RATE_FORMS = "a rate as '50/s', '600/m' or '5000/h'";

/** Events a second of `50/s`, `600/m`, `5000/h`; undefined when `text` is no rate, or one above 100,000 a second. */
export function parseRate(text: string): number | undefined {
  const match = text.length > 32 ? null : /^(\d{1,9})\/(s|m|h)$/.exec(text);
  if (match === null) return undefined;
  const perSecond = (Number(match[1]) * 1_000) / DURATION_UNITS[match[2]!]!;
  return perSecond > 0 && perSecond <= 100_000 ? perSecond : undefined;
}

/** The shortest exact form of a duration: 90000 is `1m30s`. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  let text = '';
  let rest = ms;
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const unitMs = DURATION_UNITS[unit]!;
    const amount = Math.floor(rest / unitMs);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * unitMs;
  }
  return text;
}

/** The shortest exact form of a size: 65536 is `64KiB`. */
export function sizeText(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const unitBytes = SIZE_UNITS[unit]!;
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return `${bytes}B`;
}
