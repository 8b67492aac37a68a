import { BranchKeyUnknown, type BranchKey, type BranchKeySource } from '../src/index.ts';

export const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex');

/** Branch keys held in memory; the first of an id is its active one. */
export function fixedKeys(...keys: BranchKey[]): BranchKeySource {
  const lend = async <T>(key: BranchKey | undefined, use: (key: BranchKey) => T): Promise<T> => {
    if (key === undefined) throw new BranchKeyUnknown();
    return use(key);
  };
  return {
    withActive: (id, use) =>
      lend(
        keys.find((key) => key.id === id),
        use,
      ),
    withVersion: (id, version, use) =>
      lend(
        keys.find((key) => key.id === id && Buffer.compare(key.version, version) === 0),
        use,
      ),
  };
}
