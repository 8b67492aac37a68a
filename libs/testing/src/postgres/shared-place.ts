import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A folder that every user can enter and root alone can change, for when root lends PostgreSQL to another user.
 *
 * @throws Error where somebody else made it.
 */
export function sharedPlace(): string {
  for (const parent of ['/var/lib', tmpdir()]) {
    const place = join(parent, 'postern-development');
    try {
      mkdirSync(place, { recursive: true, mode: 0o755 });
      if (statSync(place).uid === 0) return place;
    } catch {
      continue;
    }
  }
  throw new Error('there is no place for PostgreSQL: neither /var/lib nor the temporary folder can be written');
}

/** Beside the data: which folder they belong to. */
const OWNER = 'belongs-to';
/** In that folder: the name of its data. A folder that was deleted and made again under its path has none. */
const NAME = 'data-name';

/**
 * Where the other user keeps the data that belong to `folder`: the same place each time, as long as the folder is there.
 * Data of folders that are gone (a test run that was killed, a home that was deleted to begin from nothing) are removed by
 * the way.
 */
export function sharedDataPlace(folder: string): string {
  const shared = sharedPlace();
  const named = join(folder, NAME);
  if (!existsSync(named)) writeFileSync(named, `data-${randomBytes(8).toString('hex')}`);
  removeOrphans(shared);
  const place = join(shared, readFileSync(named, 'utf8'));
  mkdirSync(place, { recursive: true, mode: 0o755 });
  writeFileSync(join(place, OWNER), folder);
  return place;
}

function removeOrphans(shared: string): void {
  for (const name of readdirSync(shared).filter((name) => name.startsWith('data-'))) {
    const owner = join(shared, name, OWNER);
    // A place without an owner yet is being made by another process.
    if (!existsSync(owner) || isHome(readFileSync(owner, 'utf8'), name)) continue;
    rmSync(join(shared, name), { recursive: true, force: true });
  }
}

/** Whether the folder is there, and has not been given other data since. */
function isHome(folder: string, name: string): boolean {
  const named = join(folder, NAME);
  return existsSync(named) ? readFileSync(named, 'utf8') === name : existsSync(folder);
}
