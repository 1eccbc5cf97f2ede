/**
 * Configurations of other programs and what becomes of them: `test/golden/import/NAME/`, with the result in `NAME.yaml` beside it, its remarks
 * as comments. `npm run goldens` writes the results anew.
 */
import { cpSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importConfig } from '../src/config/import/import-config.ts';
import { noteText } from '../src/config/import/notes.ts';

const IMPORTS: string = fileURLToPath(new URL('../test/golden/import', import.meta.url));

export interface ImportGolden {
  readonly name: string;
  /** The file that has what is expected. */
  readonly path: string;
  readonly make: () => Promise<string>;
}

export function importGoldens(): readonly ImportGolden[] {
  return globSync('*/', { cwd: IMPORTS })
    .sort()
    .map((folder) => {
      const source = ['nginx.conf', 'haproxy.cfg'].map((file) => join(IMPORTS, folder, file)).find((file) => existsSync(file))!;
      return {
        name: `import/${folder.replace(/\/$/, '')}`,
        path: join(IMPORTS, `${folder.replace(/\/$/, '')}.yaml`),
        make: async () => {
          // Whoever checks it out has it elsewhere, and what goes on one line depends on how long its paths are: these are of one length.
          const directory = mkdtempSync('/tmp/tollgate-import-');
          try {
            cpSync(join(IMPORTS, folder), directory, { recursive: true });
            const { yaml, notes } = await importConfig(join(directory, basename(source)), null);
            const missing = notes.map(noteText).filter((text) => !yaml.includes(text));
            return `${yaml}${missing.map((text) => `# NOT IN THE FILE: ${text}\n`).join('')}`.replaceAll(directory, '/DIR');
          } finally {
            rmSync(directory, { recursive: true });
          }
        },
      };
    });
}
