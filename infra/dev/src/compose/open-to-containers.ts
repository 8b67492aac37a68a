import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Lets the users of the containers read a mounted folder: each image has one of its own, and none is the owner here.
 * On this machine the files stay closed, since the folder above them is. A root key must not be open to all users (its
 * reader refuses that), so it is open to the owner's group, which the containers join.
 */
export function openToContainers(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openToContainers(path);
    else chmodSync(path, entry.name === 'root-key.json' ? 0o640 : 0o644);
  }
}
