/**
 * Damaged configurations of nginx and HAProxy: whatever comes out passes the check of every configuration, and whatever does not is told in one
 * sentence. By itself: `node src/config/import/import-config.fuzz.ts [seed] [iterations]`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestRandom } from '../../base/test-random.ts';
import { TollgateError } from '../../base/tollgate-error.ts';
import { importConfig } from './import-config.ts';

const GOLDENS = fileURLToPath(new URL('../../../test/golden/import', import.meta.url));
const SOURCES = [
  'nginx-site/nginx.conf',
  'nginx-site/sites-enabled/shop.conf',
  'nginx-corners/parts/a.conf',
  'nginx-corners/parts/b.conf',
  'haproxy-site/haproxy.cfg',
  'haproxy-corners/haproxy.cfg',
];

/** Words that break one thing or another where nobody expects them. */
const PIECES = [
  ...[
    '{',
    '}',
    ';',
    '"',
    "'",
    '\\',
    '$',
    '${',
    '${x}',
    '#',
    '\n',
    ' ',
    '/',
    '*',
    '~',
    '^',
    '=',
    '@',
    ':',
    '::',
    '[',
    ']',
    '%[src]',
    '%',
    '{{',
    '%2f',
    ',',
    '-',
    '|',
    '?',
    '\t',
  ],
  ...[
    '65536',
    '-1',
    '0',
    '4294967296',
    'if',
    'unless',
    '!',
    'or',
    '\u00e9',
    '\u{1f600}',
    'x'.repeat(300),
    'all',
    'unix:',
    'https://',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...[
    '*.',
    '..',
    'default_server',
    'ssl',
    '[::]:443',
    '127.0.0.1:443',
    '10.0.0.0/99',
    '::/0',
    'http',
    'mode',
    'server',
    'location',
    'return',
    'redirect',
  ],
];

/** Returns how many became configurations. */
export async function fuzzImport(seed: number, iterations: number): Promise<number> {
  const random = new TestRandom(seed);
  const texts = SOURCES.map((file) => readFileSync(join(GOLDENS, file), 'utf8').split(/(\s+|[;{}])/));
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-import-'));
  let made = 0;
  try {
    for (let round = 0; round < iterations; round++) {
      const source = random.below(SOURCES.length);
      const words = [...texts[source]!];
      for (let change = random.below(4); change >= 0; change--) damage(words, random);
      const path = join(directory, 'damaged');
      writeFileSync(path, words.join(''));
      try {
        await importConfig(path, SOURCES[source]!.startsWith('nginx') ? 'nginx' : 'haproxy');
        made++;
      } catch (error) {
        const isSaid = error instanceof TollgateError && ['import_unreadable', 'import_empty'].includes(error.code);
        assert.ok(isSaid, `seed ${seed}, round ${round}: ${error instanceof Error ? error.stack : String(error)}\n${words.join('')}`);
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return made;
}

function damage(words: string[], random: TestRandom): void {
  const at = random.below(words.length);
  const piece = random.of(PIECES);
  switch (random.below(5)) {
    case 0:
      words.splice(at, 1 + random.below(3));
      return;
    case 1:
      words.splice(at, 0, piece);
      return;
    case 2:
      words[at] = piece;
      return;
    case 3:
      words[at] += piece;
      return;
    default:
      words[at] = random.of(words);
  }
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Date.now() >>> 0);
  const iterations = Number(process.argv[3] ?? 10_000);
  console.log(`seed ${seed}, ${iterations} iterations`);
  console.log(`${await fuzzImport(seed, iterations)} became configurations`);
}
