import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Go's own installer and Debian's package put it, for a PATH that does not say so. */
const USUAL = ['/usr/local/go/bin', '/usr/lib/go/bin'];

/** Go's command. @throws Error where there is none */
export function goProgram(environment: NodeJS.ProcessEnv = process.env): string {
  const folders = [...(environment['PATH'] ?? '').split(delimiter), ...USUAL];
  const found = folders.map((folder) => join(folder, 'go')).find((path) => existsSync(path));
  if (found === undefined) throw new Error('there is no Go on this machine');
  return found;
}
