/**
 * Configurations of other programs and what becomes of them: `test/golden/import/NAME/`, with the result in `NAME.yaml` beside it, its remarks
 * as comments. In `refused/` each file stands for itself: nothing is made of any, and `refused.txt` says why. `npm run goldens` writes the
 * results anew.
 */
import { cpSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TollgateError } from '../src/base/tollgate-error.ts';
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
  const made = globSync('*/', { cwd: IMPORTS })
    .filter((folder) => !folder.startsWith('refused'))
    .sort()
    .map((folder): ImportGolden => {
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
  return [...made, REFUSED];
}

const REFUSED: ImportGolden = {
  name: 'import/refused',
  path: join(IMPORTS, 'refused.txt'),
  make: async () => {
    const said: string[] = [];
    for (const file of globSync('refused/*', { cwd: IMPORTS }).sort()) said.push(`${file}: ${await refusal(join(IMPORTS, file))}\n`);
    return said.join('').replaceAll(IMPORTS, '/DIR');
  },
};

async function refusal(path: string): Promise<string> {
  try {
    await importConfig(path, null);
    return 'NOT REFUSED';
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    return error.message;
  }
}
