/** For configurations written in TypeScript: `export default defineConfig({ ... })`. What the package exports. */
import type { ConfigInput } from './schema.ts';

export type { ConfigInput };

/** Gives `config` back: an editor knows its shape. A function is called, and may be async. */
export function defineConfig<Given extends ConfigInput | (() => ConfigInput | Promise<ConfigInput>)>(config: Given): Given {
  return config;
}
