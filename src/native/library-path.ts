/** Where the pinned TLS library lies: inside the aws-crt package. Its JavaScript is never imported. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Where the pinned library lies for this machine. */
export function s2nLibraryPath(): string {
  const root = dirname(createRequire(import.meta.url).resolve('aws-crt/package.json'));
  const glibc = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } })?.header?.glibcVersionRuntime;
  return join(root, 'dist', 'bin', `linux-${process.arch}-${glibc === undefined ? 'musl' : 'glibc'}`, 'aws-crt-nodejs.node');
}
