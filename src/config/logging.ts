/** The `log` section: the access log's formats and destinations, and the log for people. */
import { z } from 'zod';
import { LOG_FIELDS, LOG_LEVELS } from '../plan/log-plan.ts';
import { parseTargetAddress, TARGET_FORMS } from './addresses.ts';
import { about, choice, filePath, flag, list, parsed, section, shorthand } from './settings.ts';
import { parseShare, SHARE_FORMS } from './units.ts';
import { wrong } from './wording.ts';

/** RFC 5424, table 1, by the names of syslog.conf. */
export const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;
/** RFC 5424, table 2. */
export const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;

const SYSLOG_EXPECTED = `${TARGET_FORMS}, or a mapping of to, facility, severity, name`;
const NAME_EXPECTED = 'a name of 1 to 48 characters of printable ASCII, without spaces';

const syslog = shorthand(
  'to',
  section(
    {
      to: about('Where datagrams go: a Unix socket, or a host and port by UDP.', parsed(TARGET_FORMS, parseTargetAddress)),
      facility: about('Facility of RFC 5424.', choice(FACILITIES).prefault('local7')),
      severity: about('Severity of RFC 5424.', choice(SEVERITIES).prefault('info')),
      name: about(
        'APP-NAME.',
        z
          .string({ error: (issue) => wrong(issue.input, NAME_EXPECTED) })
          .regex(/^[!-~]{1,48}$/, { error: (issue) => wrong(issue.input, NAME_EXPECTED) })
          .prefault('tollgate'),
      ),
    },
    [],
    SYSLOG_EXPECTED,
  ),
);

const ACCESS_EXPECTED = "'-', 'off', a path, or a mapping of path, format";

const access = shorthand(
  'path',
  section(
    {
      path: about(
        '`-` standard output, `off`, or a file. Default: standard output, unless there is `syslog`.',
        filePath("a log file, '-' for standard output, or 'off'").optional(),
      ),
      syslog: about('A receiver of RFC 5424 datagrams, instead of a file.', syslog.optional()),
      format: about('Form of a line.', choice(['json', 'combined', 'common'], ['text', 'logfmt', 'template']).prefault('json')),
      fields: about(
        'Keys of the JSON, in this order. Default: those of docs/logs.md.',
        list(choice(LOG_FIELDS), 'a list of keys', 1, LOG_FIELDS.length).optional(),
      ),
      sample: about(
        'Share of the requests that is logged.',
        parsed(SHARE_FORMS, (text) => parseShare(text) ?? wrong(text, SHARE_FORMS)).prefault('100%'),
      ),
      sampleErrors: about('Failures are logged whatever `sample` says.', flag().prefault(true)),
    },
    ['rotate', 'filter'],
    ACCESS_EXPECTED,
  ).check((context) => {
    const { path, syslog: to, format, fields } = context.value;
    const refuse = (setting: string, message: string): void => {
      context.issues.push({ code: 'custom', path: [setting], message, input: context.value });
    };
    if (path !== undefined && to !== undefined) refuse('syslog', 'a log goes to one place: path or syslog');
    if (fields !== undefined && format !== 'json') refuse('fields', `the format ${format} has fields of its own`);
    const twice = fields?.find((field, index) => fields.indexOf(field) < index);
    if (twice !== undefined) refuse('fields', `'${twice}' is listed twice`);
  }),
);

const error = shorthand(
  'path',
  section(
    {
      path: about('`-` standard error, or a file.', filePath("a log file, or '-' for standard error").prefault('-')),
      format: about('Default: text on a terminal, JSON elsewhere.', choice(['json', 'text']).optional()),
    },
    ['syslog', 'rotate'],
    "'-', a path, or a mapping of path, format",
  ),
);

const SUCCESSES_EXPECTED = `off, or ${SHARE_FORMS}`;

const handshakes = section({
  successes: about(
    'Share of the handshakes that succeed that has a line in the error log, at `info`; `off`: none. Those that fail have one always.',
    parsed(SUCCESSES_EXPECTED, (text) => (text === 'off' ? 0 : (parseShare(text) ?? wrong(text, SUCCESSES_EXPECTED)))).prefault('off'),
  ),
});

export const log = section({
  level: about(
    'Least level that the error log shows. Handshakes that fail have a line at every level.',
    choice(LOG_LEVELS).prefault('info'),
  ),
  access: about('The access log: a line for each request.', access.prefault({})),
  error: about('The log for people.', error.prefault({})),
  handshakes: about('Lines of TLS handshakes in the error log.', handshakes.prefault({})),
});
