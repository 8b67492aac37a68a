import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TlsIdentity } from '@postern/client';
import { CommandFailed, exitCodes } from './outcome.ts';

type Paths = { cert: string; key: string; ca: string };

/** What a running development stack says of itself in `.postern/state.json`. */
export type DevelopmentState = {
  issuer: string;
  urls: Record<string, { api: string; public: string; management: string }>;
  certificates: Record<string, Paths>;
  users: Record<string, string>;
};

/**
 * Reads the state of the stack that `npm start` runs in this folder or one above it.
 *
 * @param from where the search starts
 * @throws CommandFailed (78) when no stack has run here
 */
export function readDevelopmentState(from: string): DevelopmentState {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, '.postern', 'state.json'), 'utf8')) as DevelopmentState;
    } catch {
      if (folder !== dirname(folder)) continue;
      throw new CommandFailed(exitCodes.configuration, 'no development stack was found here: run `npm start` first');
    }
  }
}

/** The certificate of one workload of the development stack. @throws CommandFailed (64) naming those that exist */
export function identityOf(state: DevelopmentState, workload: string): TlsIdentity {
  const paths = Object.hasOwn(state.certificates, workload) ? state.certificates[workload] : undefined;
  if (!paths) {
    const known = Object.keys(state.certificates).sort().join(', ');
    throw new CommandFailed(exitCodes.usage, `${workload} is no workload of this stack; there are ${known}`);
  }
  const { cert, key, ca } = paths;
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8'), ca: readFileSync(ca, 'utf8') };
}
