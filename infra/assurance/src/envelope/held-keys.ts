import { randomBytes, randomUUID } from 'node:crypto';

import { BranchKeyUnknown, createEnvelope, type BranchKey, type Envelope } from '@postern/envelope';

/** An envelope over branch keys in memory, and their ids. */
export function heldKeys(count: number): { envelope: Envelope; ids: string[] } {
  const keys = new Map<string, BranchKey>();
  for (let made = 0; made < count; made += 1) {
    const id = randomUUID();
    keys.set(id, { id, version: randomBytes(16), key: randomBytes(32) });
  }
  const lend = async <T>(id: string, use: (key: BranchKey) => T): Promise<T> => {
    const key = keys.get(id);
    if (key === undefined) throw new BranchKeyUnknown();
    return use(key);
  };
  const envelope = createEnvelope({
    withActive: lend,
    withVersion: (id, version, use) =>
      lend(id, (key) => {
        if (Buffer.compare(key.version, version) !== 0) throw new BranchKeyUnknown();
        return use(key);
      }),
  });
  return { envelope, ids: [...keys.keys()] };
}
