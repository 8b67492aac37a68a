import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const KEYCLOAK_VERSION = '26.7.3';
const MINUTE_MS = 60_000;

/** The checkout's ignored folder for real parts that are fetched on demand. */
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache/keycloak');

/** Options that are fixed when the server is built; a start with others would build it again. */
const buildOptions = ['--db=dev-file', '--cache=local', '--https-client-auth=request', '--health-enabled=true'];

/** A short-lived server: no second compiler, the simplest collector. Half the start time and two thirds the memory. */
export const javaEnvironment = {
  JAVA_OPTS_KC_HEAP: '-Xms256m -Xmx1g',
  JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC',
};

/** Something that this machine does not have, with what to do about it. */
export class KeycloakUnavailable extends Error {
  override name = 'KeycloakUnavailable';
}

async function requireCommand(command: string, argument: string, advice: string): Promise<void> {
  await run(command, [argument]).catch(() => {
    throw new KeycloakUnavailable(`${command} is not on PATH: ${advice}`);
  });
}

const built = (home: string) => join(home, 'built-for-tests');

/**
 * The unpacked and built server, fetched by Maven the first time (177 MB) and then kept. Several processes may ask at
 * once: the first to finish puts it there.
 * @throws KeycloakUnavailable without Java 17, Maven or unzip, or when the registry cannot be reached
 */
export async function keycloakDistribution(): Promise<string> {
  const home = join(cacheDirectory, `keycloak-${KEYCLOAK_VERSION}`);
  await requireCommand('java', '-version', 'install a JDK, 17 or later');
  if (existsSync(built(home))) return home;
  await requireCommand('mvn', '-version', 'install Maven');
  await requireCommand('unzip', '-v', 'install unzip');
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(join(cacheDirectory, 'draft-'));
  try {
    const artifact = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:zip`;
    const copy = ['-B', '-q', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${draft}`];
    await run('mvn', copy, { timeout: 10 * MINUTE_MS }).catch((cause: unknown) => {
      throw new KeycloakUnavailable(`Maven could not fetch ${artifact}`, { cause });
    });
    await run('unzip', ['-q', join(draft, `keycloak-quarkus-dist-${KEYCLOAK_VERSION}.zip`), '-d', draft]);
    const unpacked = join(draft, `keycloak-${KEYCLOAK_VERSION}`);
    await run(join(unpacked, 'bin/kc.sh'), ['build', ...buildOptions], {
      env: { ...process.env, ...javaEnvironment },
      timeout: 5 * MINUTE_MS,
    });
    await writeFile(built(unpacked), '');
    // What another process put there meanwhile is in use already; what was never built is in the way.
    if (!existsSync(built(home))) await rm(home, { recursive: true, force: true });
    await rename(unpacked, home).catch(async (error: unknown) => {
      if (!existsSync(built(home))) throw error;
    });
    return home;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * A home folder for one server: its own data, everything else by reference to the distribution.
 * @param data the folder to use for data; it may hold a database already
 */
export async function keycloakHome(distribution: string, directory: string, data: string): Promise<string> {
  await mkdir(join(directory, 'bin'), { recursive: true });
  await mkdir(data, { recursive: true });
  for (const name of await readdir(distribution)) {
    const target = join(directory, name);
    if (name === 'bin' || name === 'data' || existsSync(target)) continue;
    await symlink(join(distribution, name), target);
  }
  await cp(join(distribution, 'bin/kc.sh'), join(directory, 'bin/kc.sh'));
  if (!existsSync(join(directory, 'data'))) await symlink(data, join(directory, 'data'));
  return directory;
}

const templateDirectory = join(cacheDirectory, `template-${KEYCLOAK_VERSION}`);

/** Whether a database with the master realm is kept: starting from it takes a third of the time. */
export async function restoreTemplate(data: string): Promise<boolean> {
  try {
    await access(join(templateDirectory, 'h2'));
  } catch {
    return false;
  }
  await cp(join(templateDirectory, 'h2'), join(data, 'h2'), { recursive: true });
  return true;
}

/** Keeps the database of a server that has been stopped. */
export async function keepTemplate(data: string): Promise<void> {
  const draft = await mkdtemp(`${templateDirectory}-`);
  await cp(join(data, 'h2'), join(draft, 'h2'), { recursive: true });
  await rename(draft, templateDirectory).catch(() => rm(draft, { recursive: true, force: true }));
}
