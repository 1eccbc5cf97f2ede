/**
 * `npm test`: installs what the tests need, runs every check, then the end-to-end tests against real programs. `--long` runs the long
 * versions. The last lines are Node's own totals, over unit and end-to-end tests together.
 */
import { fileURLToPath } from 'node:url';
import { check, isCi } from './check.ts';
import { findProgram, installationObstacle, installPackages, missingPackages } from './packages.ts';
import { addCounts, countLines, runTests, verdict } from './run-tests.ts';

const E2E_TESTS = ['test/**/*.test.ts'];
/** What not every machine can do, beside them. */
const LONG_TESTS = ['test/**/*.long.ts'];
/** What measures memory, descriptors or a program's CPU, or takes all that a machine has, has it for itself. */
const ALONE = ['changes', 'exhaustion', 'metrics', 'privileges', 'processes', 'scale', 'slow', 'transfer', 'years'].map(
  (name) => `test/${name}.test.ts`,
);
/** A gigabyte both ways on a slow machine fits; a hang does not go on for the evening. */
const TEST_MS_MAX = 300_000;
const FILE_MS_MAX = 900_000;
const LONG_MS_MAX = 6 * 3_600_000;

const USAGE = 'usage: npm test [-- --long]';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--long');
  if (unknown !== undefined) return fail(`unknown argument ${unknown}; ${USAGE}`);
  const long = args.includes('--long');
  // Tests read this, wherever they run.
  if (long) process.env.TOLLGATE_TEST_LONG = '1';

  const packages = missingPackages();
  if (packages.length > 0) {
    const obstacle = installationObstacle(packages, process.getuid?.() === 0, findProgram('apt-get') !== null);
    if (obstacle !== null) return fail(obstacle);
    console.log(`installing ${packages.join(' ')}`);
    try {
      installPackages(packages);
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error));
    }
  }

  const strict = isCi();
  const unit = await check({ long, strict });
  if (!unit.ok) {
    console.log(countLines(unit.counts));
    return 1;
  }
  const limits = { testMsMax: long ? LONG_MS_MAX : TEST_MS_MAX, fileMsMax: long ? LONG_MS_MAX : FILE_MS_MAX };
  const folder = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
  const e2e = await runTests(
    { patterns: long ? [...E2E_TESTS, ...LONG_TESTS] : E2E_TESTS, alone: ALONE, folder, concurrency: 2, ...limits },
    process.stdout,
  );
  const problem = verdict(e2e, strict);
  if (problem !== null) console.error(problem);
  console.log(countLines(addCounts(unit.counts, e2e)));
  return problem === null ? 0 : 1;
}

function fail(sentence: string): number {
  console.error(sentence);
  return 1;
}
