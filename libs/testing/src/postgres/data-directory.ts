import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import { HOST_BASED_ACCESS, loginMap } from './logins.ts';
import type { NativePostgres } from './native.ts';

/** Makes the data directory ready to be served: data at first use, and our certificate and access rules every time. */
export async function prepareDataDirectory(
  native: NativePostgres,
  directory: string,
  authority: Authority,
): Promise<void> {
  if (!existsSync(join(directory, 'PG_VERSION'))) await initialise(native, directory);
  writeOwned(native, join(directory, 'pg_hba.conf'), HOST_BASED_ACCESS);
  writeOwned(native, join(directory, 'pg_ident.conf'), loginMap());
  await installCertificate(native, directory, authority);
}

/** Gives the server a certificate. A running one takes it when told to read its configuration again. */
export async function installCertificate(
  native: NativePostgres,
  directory: string,
  authority: Authority,
): Promise<void> {
  const leaf = await authority.issue('postgres');
  writeOwned(native, join(directory, 'server.key'), leaf.key);
  writeOwned(native, join(directory, 'server.crt'), leaf.cert);
  writeOwned(native, join(directory, 'ca.crt'), leaf.ca);
}

/** Data get their name when they are whole: a first start that is interrupted leaves nothing half made. */
async function initialise(native: NativePostgres, directory: string): Promise<void> {
  const draft = `${directory}.initialising`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(dirname(directory), { recursive: true, mode: 0o755 });
  mkdirSync(draft, { mode: 0o700 });
  if (native.user) chownSync(draft, native.user.uid, native.user.gid);
  await initdb(native, draft);
  rmSync(directory, { recursive: true, force: true });
  renameSync(draft, directory);
}

async function initdb({ binaries, user }: NativePostgres, directory: string): Promise<void> {
  const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const child = spawn(
    join(binaries, 'initdb'),
    ['-D', directory, '--username=postgres', '--auth=reject', '--no-sync', '--no-instructions', ...locale],
    { ...user, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`initdb failed: ${Buffer.concat(errors).toString('utf8').trim()}`);
}

/** PostgreSQL wants its files to be its own, and a key that nobody else reads. */
function writeOwned({ user }: NativePostgres, path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  if (user) chownSync(draft, user.uid, user.gid);
  renameSync(draft, path);
}
