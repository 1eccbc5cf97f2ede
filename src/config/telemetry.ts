/** The kinds of settings that telemetry has: a collector's address, what is sent along, a share. */
import { z } from 'zod';
import { mapping, parsed } from './settings.ts';
import { shown, wrong } from './wording.ts';

/** Where a collector on this machine listens for OTLP/HTTP. */
export const COLLECTOR = 'http://127.0.0.1:4318';
export const ENDPOINT_FORMS = "the URL of a collector as 'http://127.0.0.1:4318' or 'https://otlp.example.com/base'";
const SHARE_FORMS = "a percentage as '1%', or a number from 0 to 1";
const ENTRIES_MAX = 64;
const VALUE_MAX = 4_096;

/** Fields that are ours to write, or that would change what the request is. */
const OWN_FIELDS: readonly string[] = [
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Base URL of a collector: http or https, without user, query and fragment; or what is wrong with it. */
export function parseEndpoint(text: string): URL | string {
  // A password in it would be quoted back.
  if (text.includes('@')) return "a name or password in the URL would end up in logs; write them as 'headers'";
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\/[^/]/i.test(text)) return wrong(text, ENDPOINT_FORMS);
  if (/[?#]/.test(text)) return "the paths of OTLP are put behind the URL, so it has no '?' and no '#'";
  if (/\/v1\/(traces|metrics)\/?$/.test(url.pathname))
    return `found ${shown(text)}: leave out '${url.pathname.slice(url.pathname.lastIndexOf('/v1/'))}', which is put behind it`;
  return url;
}

/** `1%` or `0.01`, as a number from 0 to 1. */
export function share() {
  const error = { error: (issue: { readonly input?: unknown }) => wrong(issue.input, SHARE_FORMS) };
  const percentage = parsed(SHARE_FORMS, (text) => {
    const match = /^(\d{1,3}(?:\.\d{1,12})?) ?%$/.exec(text);
    const value = Number(match?.[1] ?? Number.NaN) / 100;
    return value >= 0 && value <= 1 ? value : wrong(text, SHARE_FORMS);
  });
  return z.union([percentage, z.number(error).min(0, error).max(1, error)], error);
}

/** Field names to values. What was found is not quoted: it is a key. */
export function headerValues() {
  const error = 'expected text of visible ASCII characters and spaces';
  const value = z
    .string({ error })
    .max(VALUE_MAX, { error })
    .regex(/^[!-~](?:[ -~]*[!-~])?$/, { error });
  return mapping(value, 'a mapping of field names to values', ENTRIES_MAX, (name) => {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name)) return `found ${shown(name)}, expected the name of a field`;
    return OWN_FIELDS.includes(name.toLowerCase()) ? `${name} is written by Tollgate itself` : undefined;
  });
}

/** Names of attributes to their values: https://opentelemetry.io/docs/specs/semconv/resource/. */
export function attributes() {
  const error = (issue: { readonly input?: unknown }) => wrong(issue.input, `text of ${VALUE_MAX} characters at most`);
  const value = z.string({ error }).max(VALUE_MAX, { error });
  return mapping(value, 'a mapping of attributes to text', ENTRIES_MAX, (name) =>
    /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/.test(name) ? undefined : `found ${shown(name)}, expected the name of an attribute as 'service.name'`,
  );
}
