import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Service, type Workload } from './services.ts';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** Where the embedded stack keeps its data, certificates, logs and state; git ignores it. */
export const home = join(root, '.postern');
export const place = (...parts: string[]) => {
  const path = join(home, ...parts);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return path;
};

export type Urls = { api: string; public: string; management: string };

/** What other programs on this machine (the `postern` command above all) need to reach a running stack. */
export type State = {
  pid: number;
  children: number[];
  ports: Record<string, number>;
  idp: 'development' | 'keycloak';
  issuer: string;
  urls: Record<Service, Urls>;
  certificates: Record<Workload, { cert: string; key: string; ca: string }>;
  users: Record<string, string>;
};

const file = () => place('state.json');

export const readState = (): Partial<State> => (existsSync(file()) ? JSON.parse(readFileSync(file(), 'utf8')) : {});

/** Replaces the state in one step: a reader sees the old file or the new one, never a part. */
export function writeState(state: Partial<State>): void {
  const next = `${file()}.next`;
  writeFileSync(next, JSON.stringify(state, null, 2) + '\n', { mode: 0o600 });
  renameSync(next, file());
}
