import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Service, type Workload } from './services.ts';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** The home unless another is named. */
export const defaultHome = join(root, '.postern');

export type Urls = { api: string; public: string; management: string };
export type CertificatePaths = { cert: string; key: string; ca: string };

/** What other programs on this machine (the `postern` command above all) need to reach a running stack. */
export type State = {
  /** The process that runs the stack, while it runs. */
  pid: number;
  ports: Record<string, number>;
  idp: 'development' | 'keycloak';
  issuer: string;
  urls: Record<Service, Urls>;
  certificates: Record<Workload, CertificatePaths>;
  /** User name -> password, of the development realm. */
  users: Record<string, string>;
};

export type Home = {
  dir: string;
  /** A path below the home; its folder exists. */
  place(...parts: string[]): string;
  readState(): Partial<State>;
  /** Replaces the state in one step: a reader sees the old file or the new one, never a part. */
  writeState(state: Partial<State>): void;
};

/** Where the embedded stack keeps its data, certificates, logs and state: `.postern` in the checkout, which git ignores. */
export function openHome(dir = defaultHome): Home {
  const place = (...parts: string[]) => {
    const path = join(dir, ...parts);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return path;
  };
  const file = place('state.json');
  return {
    dir,
    place,
    readState: () => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}),
    writeState(state) {
      writeFileSync(`${file}.next`, JSON.stringify(state, null, 2) + '\n', { mode: 0o600 });
      renameSync(`${file}.next`, file);
    },
  };
}
