import { createHash } from 'node:crypto';
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

/** Which folder the data beside it belong to. */
const OWNER = 'belongs-to';

/**
 * Where the other user keeps the data that belong to `folder`: the same place each time. Data of folders that are gone
 * (a test run that was killed, a checkout removed) are removed by the way.
 */
export function sharedDataPlace(folder: string): string {
  const shared = sharedPlace();
  removeOrphans(shared);
  const place = join(shared, `data-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
  mkdirSync(place, { recursive: true, mode: 0o755 });
  writeFileSync(join(place, OWNER), folder);
  return place;
}

function removeOrphans(shared: string): void {
  for (const name of readdirSync(shared).filter((name) => name.startsWith('data-'))) {
    const owner = join(shared, name, OWNER);
    // A place without an owner yet is being made by another process.
    if (!existsSync(owner) || existsSync(readFileSync(owner, 'utf8'))) continue;
    rmSync(join(shared, name), { recursive: true, force: true });
  }
}
