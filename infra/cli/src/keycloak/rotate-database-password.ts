import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { closeRole, openRole, readRoles, roleNames, type Ask } from './database-roles.ts';

const PASSWORD_BYTES = 32;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export type DatabaseRotation = {
  ask: Ask;
  /** Owns the tables; the two roles that log in are its members. */
  owner: string;
  /** What the server reads when it starts. */
  files: { username: string; password: string };
  /** How a password stands in its file. */
  sealed(password: string): Promise<string>;
  olderThanDays: number;
  /** How long the role before may still log in: until every server was started anew. */
  keepHours: number;
  /** Puts it on record, before anything is changed. */
  record(role: string): Promise<void>;
  now(): Date;
};

export type DatabaseStep =
  | { done: 'nothing'; role: string; daysLeft: number }
  | { done: 'rotated'; role: string }
  | { done: 'closed'; role: string }
  /** It may no longer be used, but is: a server was not started anew. */
  | { done: 'in use'; role: string; sessions: number };

/**
 * Gives the server the other one of its two roles, with a new password, where the one that it has is due; closes what came before
 * where its time is over and nobody uses it. Stopped anywhere, the role that the files name can log in, but for one moment: a server
 * that starts between the two renames finds a pair that does not fit, until the next run, which puts the second in place.
 */
export async function rotateDatabasePassword(rotation: DatabaseRotation): Promise<DatabaseStep[]> {
  const { ask, owner, files, now } = rotation;
  finishRenames(files);
  const names = roleNames(owner);
  const roles = await readRoles(ask, [...names, owner]);
  const used = existsSync(files.username) ? readFileSync(files.username, 'utf8').trim() : undefined;
  const current = used !== undefined && (names as readonly string[]).includes(used) ? roles.get(used) : undefined;
  const age = current?.open && current.since ? now().getTime() - current.since.getTime() : Infinity;
  if (age >= rotation.olderThanDays * DAY_MS) {
    const next = used === names[0] ? names[1] : names[0];
    // A server that was not started anew still has it: a new password would take its next connection away.
    const { open, sessions } = roles.get(next) ?? { open: false, sessions: 0 };
    if (open && sessions > 0) return [{ done: 'in use', role: next, sessions }];
    await give(rotation, next);
    return [{ done: 'rotated', role: next }];
  }
  const steps: DatabaseStep[] = [];
  if (age >= rotation.keepHours * HOUR_MS)
    for (const { name, open, sessions } of roles.values()) {
      if (!open || name === current?.name) continue;
      if (sessions === 0) await closeRole(ask, name);
      steps.push(sessions > 0 ? { done: 'in use', role: name, sessions } : { done: 'closed', role: name });
    }
  if (steps.length > 0 || !current) return steps;
  return [
    { done: 'nothing', role: current.name, daysLeft: Math.ceil((rotation.olderThanDays * DAY_MS - age) / DAY_MS) },
  ];
}

async function give({ ask, owner, files, sealed, record, now }: DatabaseRotation, role: string): Promise<void> {
  await record(role);
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  writeLike(files.password, await sealed(password));
  writeLike(files.username, role);
  await openRole(ask, owner, role, password, now());
  renameSync(next(files.password), files.password);
  renameSync(next(files.username), files.username);
}

const next = (file: string) => `${file}.next`;

/** A password that is in place without the name that goes with it: the run before ended between the two. */
function finishRenames({ username, password }: DatabaseRotation['files']): void {
  if (existsSync(next(username)) && !existsSync(next(password))) renameSync(next(username), username);
}

/** Beside the file, readable by whom the file is. */
function writeLike(file: string, text: string): void {
  const known = existsSync(file) ? statSync(file) : undefined;
  writeFileSync(next(file), text, { mode: 0o600 });
  if (!known) return;
  if (process.getuid?.() === 0) chownSync(next(file), known.uid, known.gid);
  // A server often reads it by its group.
  chmodSync(next(file), known.mode & 0o777);
}
