import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { leafCommands, readCommandTree } from '../src/cli/command-tree.ts';
import { program } from '../src/cli/program.ts';
import { cliPages } from './generate-cli.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

test('cliPages() are what docs/ holds', () => {
  for (const { path, text } of cliPages()) {
    assert.equal(readFileSync(join(root, path), 'utf8'), text, `${path} is out of date: npm run generate:cli`);
  }
});

test('cliPages() show every command with every option and example', () => {
  for (const { path, text } of cliPages()) {
    const words = text.replaceAll('\\-', '-').replaceAll('\\(dq', '"').replaceAll('\\(ti', '~');
    for (const entry of leafCommands(readCommandTree(program))) {
      for (const shown of [entry.words.join(' '), ...entry.options.map(({ long }) => long), ...entry.examples]) {
        assert.ok(words.includes(shown), `${path}: ${shown}`);
      }
    }
  }
});

test('cliPages() keep text from being read as roff or as Markdown', () => {
  const made = new Command('tool').description('.so /etc/passwd');
  made.command('a').description("it's <b> | a\\b").argument('<x>', 'x').addHelpText('after', "\nExample:\n  tool a '.x' \\n");
  const [man, page] = cliPages(readCommandTree(made), '1.0');
  assert.doesNotMatch(man!.text, /^\.so|^'/m);
  assert.match(man!.text, /^It\\\(aqs <b> \| a\\eb\.$/m);
  assert.match(man!.text, /^tool a \\\(aq\.x\\\(aq \\en$/m);
  assert.match(page!.text, /^It's \\<b\\> \\\| a\\\\b\.$/m);
});
